# SPDX-License-Identifier: Apache-2.0
"""The audit log as JSON, for whoever keeps a copy or checks it.

An entry's hash is SHA-256 over a zero byte and the RFC 8785 text of its ``number``,
``at`` (microseconds since 1970), ``event`` and ``facts``; of one whose facts retention
has erased there is the hash only. Nodes, proofs and heads are those of RFC 6962.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import sqlalchemy as sa

from accord.core.errors import InvalidQuery
from accord.hub.db.engine import moment
from accord.hub.db.tables import AUDIT
from accord.hub.db.tables_log import LOG_NODES
from accord.hub.log import heads, tree

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


def page(tx: sa.Connection, wanted: Range) -> dict[str, Any]:
    """Return entries in order, with the size of the log and where to go on."""
    reached = tree.size(tx)
    rows = tx.execute(
        sa.select(AUDIT, LOG_NODES.c.hash)
        .outerjoin(
            LOG_NODES,
            sa.and_(LOG_NODES.c.level == 0, LOG_NODES.c.position == AUDIT.c.number - 1),
        )
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


def head(tx: sa.Connection, key: str) -> dict[str, Any]:
    """Return the newest signed head with the agencies' words of it.

    Args:
        tx: one moment of the database.
        key: the hub's public key, as members.yaml lists it.
    """
    found = heads.newest(tx)
    if found is None:
        return {"head": None, "key": key, "cosignatures": []}
    return {
        "head": found.as_json(),
        "key": key,
        "cosignatures": [
            {
                "agency": each.witnessed.agency,
                "agency_key": each.agency_key,
                "signature": each.witnessed.signature.hex(),
            }
            for each in heads.seen_by(tx, found.head)
        ],
    }


def inclusion(tx: sa.Connection, entry: int, size: int) -> dict[str, Any]:
    """Return the proof that an entry is in the log of a size.

    Raises:
        InvalidQuery: LOG_RANGE_INVALID.
    """
    _require_order(entry, size, tree.size(tx), ("entry", "size"))
    return {
        "entry": entry,
        "size": size,
        "hash": tree.nodes(tx, [(0, entry - 1)])[0, entry - 1].hex(),
        "path": [each.hex() for each in tree.inclusion(tx, entry, size)],
        "root": tree.root(tx, size).hex(),
    }


def consistency(tx: sa.Connection, old: int, new: int) -> dict[str, Any]:
    """Return the proof that the log only grew from one size to another.

    Raises:
        InvalidQuery: LOG_RANGE_INVALID.
    """
    _require_order(old, new, tree.size(tx), ("from", "to"))
    return {
        "from": old,
        "to": new,
        "proof": [each.hex() for each in tree.growth(tx, old, new)],
        "roots": [tree.root(tx, size).hex() for size in (old, new)],
    }


def _require_order(small: int, large: int, most: int, names: tuple[str, str]) -> None:
    if small <= large <= most:
        return
    raise InvalidQuery(
        "LOG_RANGE_INVALID",
        f"`{names[0]}` may be at most `{names[1]}`, and that at most {most}, the size"
        " of the log.",
    )


def _entry(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": row.at,
        "event": row.event,
        "facts": row.facts,
        "time": moment(row.at).isoformat().replace("+00:00", "Z"),
        "hash": None if row.hash is None else bytes(row.hash).hex(),
    }
