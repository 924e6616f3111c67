# SPDX-License-Identifier: Apache-2.0
"""What is to be erased, and doing it: first the log says so, then it happens.

An order stands in the log and in a table of its own; the database's triggers let
nothing go without one (`accord.hub.db.erasing`). A hub that dies in between finds the
same content the next time, and goes on. Every function works in the caller's
transaction.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from accord.hub.audit import Event, note
from accord.hub.db.engine import microseconds
from accord.hub.db.tables import ASKED, AUDIT, RELEASES, SUBMISSIONS
from accord.hub.db.tables_retention import RETENTION_ORDERS, RETENTION_TERMS
from accord.hub.log import tree
from accord.hub.policies import Policies

MOST_AT_ONCE: Final = 500
"""Rows of each table that one transaction erases; others have their turn between."""


class Kind(enum.StrEnum):
    """What an order is about."""

    RELEASES = "releases"
    """Figures that were published."""
    QUESTIONS = "questions"
    """Who asked what, and what the log says of it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Content of one kind under one agreement that is older than its days."""

    agreement: str
    kind: Kind
    before: dt.datetime
    """The beginning of a day, UTC; what is from before it goes."""


Terms = Mapping[str, Mapping[Kind, int | None]]
"""Days by kind, nothing for ever, of each agreement that there ever was."""


def terms(tx: sa.Connection, policies: Policies | None) -> Terms:
    """Return what agreements say: those in force now, the others with their last word.

    Args:
        tx: a view of the database.
        policies: those in force, if there are any.
    """
    found: dict[str, Mapping[Kind, int | None]] = {
        row.agreement: {Kind.RELEASES: row.releases, Kind.QUESTIONS: row.questions}
        for row in tx.execute(sa.select(RETENTION_TERMS))
    }
    for name, agreement in (policies.agreements if policies else {}).items():
        said = agreement.form.retention
        found[name] = {Kind.RELEASES: said.releases, Kind.QUESTIONS: said.questions}
    return found


def remember(tx: sa.Connection, said: Terms) -> None:
    """Keep the last word of every agreement."""
    tx.execute(RETENTION_TERMS.delete())
    if said:
        tx.execute(
            RETENTION_TERMS.insert(),
            [
                {"agreement": name, **{kind.value: days[kind] for kind in Kind}}
                for name, days in sorted(said.items())
            ],
        )


def orders(tx: sa.Connection, said: Terms, today: dt.date) -> list[Order]:
    """Return the orders of a day for which there is something to erase."""
    found = []
    for name, days in sorted(said.items()):
        for kind in Kind:
            kept = days[kind]
            if kept is None:
                continue
            day = today - dt.timedelta(days=kept)
            before = dt.datetime.combine(day, dt.time(), dt.UTC)
            order = Order(agreement=name, kind=kind, before=before)
            if any(tx.execute(each.limit(1)).first() for each in due(order).values()):
                found.append(order)
    return found


def give(tx: sa.Connection, order: Order, at: dt.datetime) -> None:
    """Note an order, once."""
    before = microseconds(order.before)
    known = sa.select(RETENTION_ORDERS.c.number).where(
        RETENTION_ORDERS.c.agreement == order.agreement,
        RETENTION_ORDERS.c.kind == order.kind.value,
        RETENTION_ORDERS.c.before == before,
    )
    if tx.execute(known).first() is not None:
        return
    facts: dict[str, str | int] = {
        "agreement": order.agreement,
        "kind": order.kind.value,
        "before": before,
    }
    note(tx, Event.RETENTION_APPLIED, at, **facts)
    tx.execute(RETENTION_ORDERS.insert(), {**facts, "number": tree.size(tx)})


def due(order: Order) -> dict[str, sa.Select[Any]]:
    """Return what an order is about: keys of rows by what they are, oldest first."""
    name, before = order.agreement, microseconds(order.before)
    if order.kind is Kind.RELEASES:
        releases = sa.select(RELEASES.c.number).where(
            RELEASES.c.agreement == name,
            RELEASES.c.released_at < before,
            RELEASES.c.message.is_not(None),
        )
        return {"releases": releases.order_by(RELEASES.c.number)}
    unsettled = sa.exists().where(
        SUBMISSIONS.c.id == ASKED.c.submission, SUBMISSIONS.c.settled_at.is_(None)
    )
    asked = sa.select(ASKED.c.number).where(
        ASKED.c.agreement == name, ASKED.c.at < before, ~unsettled
    )
    entries = sa.select(AUDIT.c.number).where(
        AUDIT.c.at < before,
        AUDIT.c.facts.is_not(sa.null()),
        AUDIT.c.event != Event.RETENTION_APPLIED.value,
        AUDIT.c.facts["agreement"].as_string() == name,
    )
    settled = sa.select(SUBMISSIONS.c.id).where(
        SUBMISSIONS.c.agreement == name,
        SUBMISSIONS.c.settled_at < before,
        SUBMISSIONS.c.analyst != "",
    )
    return {
        "questions": asked.order_by(ASKED.c.number),
        "entries": entries.order_by(AUDIT.c.number),
        "submissions": settled.order_by(SUBMISSIONS.c.id),
    }


def erase_some(tx: sa.Connection, order: Order) -> dict[str, int]:
    """Erase some of what a noted order is about; return how many rows of each."""
    overwrite_what_goes(tx)
    done: dict[str, int] = {}
    for what, chosen in due(order).items():
        keys = tx.execute(chosen.limit(MOST_AT_ONCE)).scalars().all()
        if keys:
            tx.execute(_erasing(what, keys))
            done[what] = len(keys)
    return done


def overwrite_what_goes(tx: sa.Connection) -> None:
    """Let SQLite fill what it frees with zeros; elsewhere the server sees to it."""
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql("PRAGMA secure_delete = ON").close()


def _erasing(what: str, keys: Sequence[object]) -> sa.Update | sa.Delete:
    match what:
        case "releases":
            return (
                RELEASES.update()
                .where(RELEASES.c.number.in_(keys))
                .values(message=None, noisy=None)
            )
        case "questions":
            return ASKED.delete().where(ASKED.c.number.in_(keys))
        case "entries":
            return (
                AUDIT.update().where(AUDIT.c.number.in_(keys)).values(facts=sa.null())
            )
        case _:
            # Id, state, price and release stay: an id is never used for two questions.
            return (
                SUBMISSIONS.update()
                .where(SUBMISSIONS.c.id.in_(keys))
                .values(
                    analyst="",
                    purpose="",
                    payload=b"",
                    signature=b"",
                    sentence=sa.case((SUBMISSIONS.c.reason.is_(None), None), else_=""),
                    facts={},
                )
            )


def counts(tx: sa.Connection, order: Order) -> Iterator[tuple[str, int]]:
    """Yield how many rows of each kind an order would erase."""
    for what, chosen in due(order).items():
        counted = sa.select(sa.func.count()).select_from(chosen.subquery())
        yield what, tx.execute(counted).scalar_one()
