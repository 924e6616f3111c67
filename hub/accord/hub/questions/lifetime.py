# SPDX-License-Identifier: Apache-2.0
"""What persons can have lost, and can lose at most, over all releases there ever are.

A release that costs r, with noise for a person known to A agencies, takes r (a/A)^2
(zCDP) or r a/A (pure) from a person of whose agencies a took part. Let somebody be
known to k. Since a is at most k, and an agency's account adds up r over the releases
that it took part in, the sum over all releases is at most

- k/A^2 (pure: 1/A) times the k fullest accounts of agencies together, and
- (k/A)^2 (pure: k/A) times all releases together,

whichever agencies those are, and whichever releases they took part in. That charges
add up at all, although questions depend on answers, is shown in `accord.ledger`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from accord.core.agreement import Agreement
from accord.core.policy import PolicySet
from accord.core.privacy import NANO, Accounting
from accord.hub.policies import Policies
from accord.hub.questions.accounts import of_agency
from accord.hub.questions.conversion import epsilon_of
from accord.ledger import Unit
from accord.trust.documents import read_policies
from accord.trust.proposal_file import from_file

_AGENCY: Final = "agency/"
_AGREEMENT: Final = "agreement/"
_EMERGENCY: Final = "emergency"

_UNITS: Final = {
    Accounting.ZCDP: Unit.NANO_RHO,
    Accounting.PURE: Unit.NANO_EPSILON,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one account of the ledger holds, reservations included."""

    account: str
    unit: Unit
    used: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """What somebody who is known to so many agencies loses, as (epsilon, delta)."""

    unit: Unit
    known_to: int
    calibrated_to: int
    """Agencies that may know one person: the fewest of any agreement there ever was."""

    lost: Fraction
    """Epsilon of everything so far, reservations included; rounded up."""

    at_most: Fraction
    """Epsilon once every agency's account is full; rounded up."""

    delta: Fraction
    """0 under pure accounting."""


def lifetimes(
    policies: Policies, held: Sequence[Held], published: Iterable[bytes]
) -> Iterator[Lifetime]:
    """Yield the guarantee for 1 to all agencies, for each unit that is accounted in.

    Args:
        policies: in force; they name the agencies, their caps and who may know whom.
        held: all accounts of the ledger.
        published: every proposal that was ever in force, as the hub keeps it: noise
            of older releases may be for fewer agencies.
    """
    versions = [each.agreements for each in map(_documents, published)]
    for accounting in Accounting:
        agreements = _accounted(policies.agreements, accounting)
        own = [each for each in held if each.unit is _UNITS[accounting]]
        if not agreements and not own:
            continue
        ever = [
            each for version in versions for each in _accounted(version, accounting)
        ]
        calibrated_to = min(
            (each.person_in_at_most for each in [*agreements, *ever]), default=1
        )
        used = {
            each.account.removeprefix(_AGENCY): each.used
            for each in own
            if each.account.startswith(_AGENCY)
        }
        total = sum(each.used for each in own if _is_paid_once(each.account))
        full = used | _full(policies, agreements, used)
        delta = _delta(policies, accounting)
        for known_to in range(1, len(full) + 1):
            persons = {"known_to": known_to, "calibrated_to": calibrated_to}
            lost = most_lost(accounting, used.values(), total=total, **persons)
            most = most_lost(accounting, full.values(), **persons)
            yield Lifetime(
                unit=_UNITS[accounting],
                lost=_epsilon(accounting, lost, delta),
                at_most=_epsilon(accounting, most, delta),
                delta=delta,
                **persons,
            )


def most_lost(
    accounting: Accounting,
    agencies: Iterable[int],
    *,
    known_to: int,
    calibrated_to: int,
    total: int | None = None,
) -> int:
    """Return the most that anybody known to so many agencies loses, rounded up.

    Args:
        accounting: of the amounts, which are in its nano units.
        agencies: what the accounts of agencies hold.
        known_to: agencies that know the person.
        calibrated_to: agencies for which noise was made.
        total: what all releases have cost together, if that is known.
    """
    known, calibrated = Fraction(known_to), Fraction(calibrated_to)
    squared = accounting is Accounting.ZCDP
    fullest = sum(sorted(agencies, reverse=True)[:known_to])
    bounds = [fullest * (known / calibrated**2 if squared else 1 / calibrated)]
    if total is not None:
        part = known / calibrated
        bounds.append(total * (part**2 if squared else part))
    return math.ceil(min(bounds))


def _documents(proposal: bytes) -> PolicySet:
    return read_policies(from_file(proposal, "a published proposal").after)


def _accounted(
    agreements: Mapping[str, Agreement], accounting: Accounting
) -> list[Agreement]:
    return [each for each in agreements.values() if each.accounting is accounting]


def _full(
    policies: Policies, agreements: Iterable[Agreement], used: Mapping[str, int]
) -> dict[str, int]:
    """Return what accounts hold at most; who has left the network is asked no more."""
    full = {}
    for agreement in agreements:
        for agency in agreement.parties:
            if agency in policies.members.members:
                cap = of_agency(agreement, policies.members, agency).lifetime_cap or 0
                full[agency] = max(cap, used.get(agency, 0))
    return full


def _is_paid_once(account: str) -> bool:
    """Tell whether each release is on just one account of this kind.

    Those are an agreement's own and its emergency's. Those of analysts ration what
    stands in the first one.
    """
    if not account.startswith(_AGREEMENT):
        return False
    return account.removeprefix(_AGREEMENT).partition("/")[2] in ("", _EMERGENCY)


def _delta(policies: Policies, accounting: Accounting) -> Fraction:
    """Return the smallest delta of any agency's cap: it gives the largest epsilon."""
    if accounting is Accounting.PURE:
        return Fraction(0)
    members = policies.members.members.values()
    return min(Fraction(each.lifetime.zcdp.delta) for each in members)


def _epsilon(accounting: Accounting, nano: int, delta: Fraction) -> Fraction:
    if accounting is Accounting.PURE:
        return Fraction(nano, NANO)
    return epsilon_of(nano, delta)
