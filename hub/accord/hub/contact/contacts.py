# SPDX-License-Identifier: Apache-2.0
"""What each agency said of its ledger when it came last."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from accord.core.privacy import Loss
from accord.hub.contact.heights import Seen, knows_more, lacking
from accord.hub.contact.standing import Cause, Doubt, begin_doubt, standing
from accord.hub.db.engine import LedgerTransaction, microseconds, moment
from accord.hub.db.tables_contact import AGENCY_CONTACTS
from accord.hub.rounds.stages import Stage
from accord.ledger import Unit, height

_USED: Final = "SELECT unit, used FROM ledger_account WHERE name = :name"

_UNOPENED: Final = """
SELECT l.unit, SUM(l.amount) FROM rounds r
JOIN ledger_entry e ON e.id = r.ledger_entry AND e.state = 'reserved'
JOIN ledger_line l ON l.entry = e.id AND l.account = :name
WHERE r.stage <> :opened GROUP BY l.unit
"""


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
    """What the hub's ledger holds for it, as `held_of` says."""
    doubt: Doubt | None
    begun: bool
    """Whether what it said has begun the doubt."""


def account_of(agency: str) -> str:
    """Return the name of an agency's account over all agreements."""
    return f"agency/{agency}"


def held_of(tx: sa.Connection, agency: str) -> Loss:
    """Return what an agency may have charged, as far as this hub remembers.

    That is what is charged here, and what is reserved for openings that are committed.
    Other reservations do not count: a copy from before an opening has those, too.
    """
    name = {"name": account_of(agency)}
    ledger = LedgerTransaction(tx)
    used = _sums(ledger.execute(_USED, name).fetchall())
    opened = {"opened": Stage.REVEAL.value}
    unopened = _sums(ledger.execute(_UNOPENED, name | opened).fetchall())
    return lacking(used, unopened)


def _sums(rows: Sequence[Sequence[Any]]) -> Loss:
    found = {row[0]: int(row[1]) for row in rows}
    return Loss(
        nano_rho=found.get(Unit.NANO_RHO.value, 0),
        nano_epsilon=found.get(Unit.NANO_EPSILON.value, 0),
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
