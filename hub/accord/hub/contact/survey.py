# SPDX-License-Identifier: Apache-2.0
"""What is known of a doubt: who has reported, what is missing, who claims too much.

Read from the database alone, so that the operator sees the same from any process, and
`accord.hub.contact.reconcile` decides by the same in its own transaction.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from accord.core.privacy import Loss
from accord.hub.contact.contacts import Contact, account_of, contacts, held_of
from accord.hub.contact.heights import MOST_EPOCHS, lacking
from accord.hub.contact.records import Proven, is_known, kept
from accord.hub.contact.standing import LedgerStanding, standing
from accord.hub.policies import Policies
from accord.hub.questions.accounts import names_of
from accord.ledger import Posting, Unit
from accord.rpc.contact import Charge


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A charge that agencies prove and the ledger lacks."""

    charge: Charge
    cohort: str
    """That was opened, as the agencies say."""
    members: tuple[str, ...]
    """Who pays for it."""
    charged_at: dt.datetime
    """By the clock of the agency that was first."""
    proven_by: tuple[str, ...]
    emergency: bool
    """Whether the agreement's emergency pays, and not the analyst."""

    @property
    def postings(self) -> tuple[Posting, ...]:
        """What it takes from whom, as it did when it was asked."""
        payers = [
            *(account_of(member) for member in self.members),
            *names_of(
                self.charge.agreement, self.charge.analyst, emergency=self.emergency
            ),
        ]
        amounts = {
            Unit.NANO_RHO: self.charge.loss.nano_rho,
            Unit.NANO_EPSILON: self.charge.loss.nano_epsilon,
        }
        return tuple(
            Posting(account=account, unit=unit, amount=amount)
            for account in sorted(payers)
            for unit, amount in amounts.items()
            if amount
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """What an agency of the network has said in this doubt."""

    label: str
    last_hello: dt.datetime | None
    reported: bool
    unproven: Loss | None
    """What it has charged beyond all that is held or proven; nothing where all is."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Everything about a doubt; or that there is none."""

    standing: LedgerStanding
    agencies: tuple[Agency, ...]
    missing: tuple[Missing, ...]
    epoch: int
    """The highest that an agency has seen, or the hub's own."""

    @property
    def awaited(self) -> list[str]:
        """Agencies that have not reported."""
        return [each.label for each in self.agencies if not each.reported]

    @property
    def unproven(self) -> list[str]:
        """Agencies that claim more than anybody proves."""
        return [each.label for each in self.agencies if each.unproven is not None]


def survey(
    tx: sa.Connection, policies: Policies | None, hub_keys: Sequence[bytes]
) -> Survey:
    """Look at a doubt.

    Args:
        tx: the caller's transaction.
        policies: the newest that are here, even if they have expired.
        hub_keys: raw public keys with which this hub has signed requisitions.

    Raises:
        IntegrityError: CHARGE_UNPROVEN, somebody edited the records.
    """
    found = standing(tx)
    said = contacts(tx)
    missing = _missing(tx, policies, hub_keys)
    return Survey(
        standing=found,
        agencies=_agencies(tx, policies, found, said, missing),
        missing=missing,
        epoch=max([found.epoch, *(_epoch(found, each) for each in said.values())]),
    )


def _missing(
    tx: sa.Connection, policies: Policies | None, hub_keys: Sequence[bytes]
) -> tuple[Missing, ...]:
    def opened(each: Proven) -> tuple[str, str]:
        return each.charge.query_id, each.record.cohort

    found = []
    proven = sorted(kept(tx, hub_keys), key=opened)
    for (_, cohort), group in itertools.groupby(proven, key=opened):
        records = list(group)
        charge = records[0].charge
        if is_known(tx, charge, cohort):
            continue
        found.append(
            Missing(
                charge=charge,
                cohort=cohort,
                members=_members(policies, charge, cohort),
                charged_at=min(each.record.charged_at for each in records),
                proven_by=tuple(sorted(each.agency for each in records)),
                emergency=_is_emergency(policies, charge),
            )
        )
    return tuple(
        sorted(found, key=lambda each: (each.charged_at, each.charge.query_id))
    )


def _members(policies: Policies | None, charge: Charge, cohort: str) -> tuple[str, ...]:
    """Return who pays for an opening.

    The hub's signature names the largest cohort. Who was in a smaller one stands in the
    agreement; where that has been changed or is gone, all who were asked pay.
    """
    if cohort == charge.cohort:
        return charge.members
    policy = policies and policies.by_name.get(charge.agreement)
    if policy and policy.agreement.digest == charge.agreement_digest:
        members = policy.agreement.cohorts.get(cohort, ())
        if members and set(members) <= set(charge.members):
            return members
    return charge.members


def _is_emergency(policies: Policies | None, charge: Charge) -> bool:
    policy = policies and policies.by_name.get(charge.agreement)
    clause = policy.agreement.form.emergency if policy else None
    return clause is not None and clause.purpose == charge.purpose


def _agencies(
    tx: sa.Connection,
    policies: Policies | None,
    found: LedgerStanding,
    said: Mapping[str, Contact],
    missing: Sequence[Missing],
) -> tuple[Agency, ...]:
    """Return every agency that the board lists with a key, and whoever said more."""
    listed = policies.members.members if policies else {}
    labels = {label for label, member in listed.items() if member.key is not None}
    doubt = found.doubt.id if found.doubt else None
    agencies = []
    for label in sorted(labels | said.keys()):
        contact = said.get(label)
        unproven = _unproven(tx, label, contact, found, missing)
        reported = contact is not None and doubt in (None, contact.reported)
        if label not in labels and unproven is None:
            continue  # the board has taken it off the list: it cannot come any more
        agencies.append(
            Agency(
                label=label,
                last_hello=contact.at if contact else None,
                reported=reported or label not in labels,
                unproven=unproven,
            )
        )
    return tuple(agencies)


def _unproven(
    tx: sa.Connection,
    label: str,
    contact: Contact | None,
    found: LedgerStanding,
    missing: Sequence[Missing],
) -> Loss | None:
    """Return what an agency claims beyond what is held, or will be once it is rebuilt.

    An epoch that cannot be true is a claim as well, of no loss.
    """
    if contact is None:
        return None
    held = held_of(tx, label)
    for each in missing:
        if label in each.members:
            held += each.charge.loss
    if contact.aside.or_more(contact.said) == contact.aside:
        return None  # the operator has decided about this before
    left = lacking(contact.said.charged, held)
    if left != Loss() or not _is_plausible(found, contact):
        return left
    return None


def _epoch(found: LedgerStanding, contact: Contact) -> int:
    return contact.said.epoch if _is_plausible(found, contact) else 0


def _is_plausible(found: LedgerStanding, contact: Contact) -> bool:
    return contact.said.epoch <= found.epoch + MOST_EPOCHS
