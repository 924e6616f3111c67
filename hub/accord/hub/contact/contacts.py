# SPDX-License-Identifier: Apache-2.0
"""What each agency said of its ledger when it came last."""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from accord.core.privacy import Loss
from accord.hub.contact.heights import Seen, knows_more
from accord.hub.contact.standing import Cause, Doubt, begin_doubt, standing
from accord.hub.db.engine import LedgerTransaction, microseconds, moment
from accord.hub.db.tables_contact import AGENCY_CONTACTS
from accord.ledger import Unit, height

_HELD = "SELECT unit, used FROM ledger_account WHERE name = :name"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One agency."""

    at: dt.datetime
    said: Seen
    reported: str | None
    """The doubt for which it has given all that it can prove."""
    aside: Seen
    """What the operator decided to go on without."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What an agency hears back."""

    held: Loss
    """What the hub's ledger holds for it."""
    doubt: Doubt | None
    begun: bool
    """Whether what it said has begun the doubt."""


def account_of(agency: str) -> str:
    """Return the name of an agency's account over all agreements."""
    return f"agency/{agency}"


def held_of(tx: sa.Connection, agency: str) -> Loss:
    """Return what the hub's ledger holds for an agency, reservations included."""
    ledger = LedgerTransaction(tx)
    rows = ledger.execute(_HELD, {"name": account_of(agency)}).fetchall()
    used = {row[0]: int(row[1]) for row in rows}
    return Loss(
        nano_rho=used.get(Unit.NANO_RHO, 0),
        nano_epsilon=used.get(Unit.NANO_EPSILON, 0),
    )


def greet(tx: sa.Connection, agency: str, said: Seen, at: dt.datetime) -> Greeting:
    """Remember what an agency says of its ledger; doubt ours where it saw more."""
    known = contacts(tx, agency).get(agency)
    aside = Seen() if known is None else known.aside
    found = standing(tx)
    held = held_of(tx, agency)
    here = Seen(
        charged=held, epoch=found.epoch, height=height(LedgerTransaction(tx))
    ).or_more(aside)
    _put(
        tx,
        agency,
        {
            "at": microseconds(at),
            "nano_rho": said.charged.nano_rho,
            "nano_epsilon": said.charged.nano_epsilon,
            "epoch": said.epoch,
            "height": said.height,
        },
    )
    doubt, begun = found.doubt, False
    if doubt is None and knows_more(said, here):
        doubt, begun = begin_doubt(tx, Cause.AGENCY, at, agency=agency), True
    return Greeting(held=held, doubt=doubt, begun=begun)


def contacts(tx: sa.Connection, agency: str | None = None) -> dict[str, Contact]:
    """Return what agencies said last; of all, or of one."""
    chosen = sa.select(AGENCY_CONTACTS)
    if agency is not None:
        chosen = chosen.where(AGENCY_CONTACTS.c.agency == agency)
    return {
        row.agency: Contact(
            at=moment(row.at),
            said=Seen(
                charged=Loss(nano_rho=row.nano_rho, nano_epsilon=row.nano_epsilon),
                epoch=row.epoch,
                height=row.height,
            ),
            reported=row.reported,
            aside=Seen(
                charged=Loss(nano_rho=row.aside_rho, nano_epsilon=row.aside_epsilon),
                epoch=row.aside_epoch,
                height=row.aside_height,
            ),
        )
        for row in tx.execute(chosen)
    }


def note_reported(tx: sa.Connection, agency: str, doubt: str) -> None:
    """Remember that an agency has given every record for a doubt."""
    _put(tx, agency, {"reported": doubt})


def set_aside(tx: sa.Connection, agency: str) -> None:
    """Go on without what an agency says; only still more begins another doubt."""
    known = contacts(tx, agency).get(agency)
    if known is None:
        return
    aside = known.aside.or_more(known.said)
    _put(
        tx,
        agency,
        {
            "aside_rho": aside.charged.nano_rho,
            "aside_epsilon": aside.charged.nano_epsilon,
            "aside_epoch": aside.epoch,
            "aside_height": aside.height,
        },
    )


def _put(tx: sa.Connection, agency: str, values: dict[str, object]) -> None:
    own = AGENCY_CONTACTS.c.agency == agency
    if tx.execute(AGENCY_CONTACTS.update().where(own).values(**values)).rowcount:
        return
    nothing: dict[str, object] = dict.fromkeys(
        (each.name for each in AGENCY_CONTACTS.c if not each.nullable), 0
    )
    tx.execute(AGENCY_CONTACTS.insert(), {**nothing, **values, "agency": agency})
