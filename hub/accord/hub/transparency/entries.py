# SPDX-License-Identifier: Apache-2.0
"""Pages of the audit log as JSON, for whoever keeps a copy or checks it."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import sqlalchemy as sa

from accord.core.errors import InvalidQuery
from accord.hub.db.engine import moment
from accord.hub.db.tables import AUDIT

PAGE: Final = 100
"""Entries on a page where no number is asked for."""

MOST: Final = 1000
"""Entries on a page."""

_LONGEST: Final = 18
"""Digits of a number that the database can hold."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Which entries are wanted."""

    first: int
    most: int


def range_of(first: str | None, most: str | None) -> Range:
    """Read the parameters of a request for entries.

    Raises:
        InvalidQuery: LOG_RANGE_INVALID.
    """
    return Range(
        first=number_of("from", first, default=1),
        most=min(number_of("most", most, default=PAGE), MOST),
    )


def number_of(name: str, text: str | None, *, default: int | None = None) -> int:
    """Return a number of an entry or of entries.

    Raises:
        InvalidQuery: LOG_RANGE_INVALID.
    """
    if text is None and default is not None:
        return default
    given = text or ""
    if (
        not (given.isascii() and given.isdigit() and len(given) <= _LONGEST)
        or int(given) < 1
    ):
        raise InvalidQuery(
            "LOG_RANGE_INVALID",
            f"`{name}` has to be a whole number, 1 or more: entries of the log are"
            " numbered from 1 on.",
        )
    return int(given)


def size(tx: sa.Connection) -> int:
    """Return how many entries the log has."""
    return tx.execute(sa.select(sa.func.max(AUDIT.c.number))).scalar_one() or 0


def page(tx: sa.Connection, wanted: Range) -> dict[str, Any]:
    """Return entries in order, with the size of the log and where to go on."""
    reached = size(tx)
    rows = tx.execute(
        sa.select(AUDIT)
        .where(AUDIT.c.number >= wanted.first)
        .order_by(AUDIT.c.number)
        .limit(wanted.most)
    ).all()
    last = rows[-1].number if rows else reached
    return {
        "size": reached,
        "entries": [_entry(row) for row in rows],
        "next": last + 1 if last < reached else None,
    }


def _entry(row: sa.Row[tuple[object, ...]]) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": moment(row.at).isoformat().replace("+00:00", "Z"),
        "event": row.event,
        "facts": row.facts,
    }
