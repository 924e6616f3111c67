# SPDX-License-Identifier: Apache-2.0
"""Entries of the log as leaves of a tree that the database keeps.

The entry with number *n* is leaf *n* - 1; numbers have no gaps. What is hashed is RFC
8785 text of number, moment (microseconds since 1970), event and facts, so whoever has
an entry can repeat its hash with any program. Rows are added under the lock that every
writer of the database has (`accord.hub.db.engine.Store.write`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Final

import sqlalchemy as sa

from accord.core.errors import IntegrityError
from accord.hub.db.tables import AUDIT
from accord.hub.db.tables_log import LOG_NODES
from accord.merkle.heads import LARGEST
from accord.merkle.tree import (
    Place,
    completed,
    leaf_hash,
    neighbours,
    prove_growth,
    prove_inclusion,
    root_of,
)

_JSON: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)

_SIZE: Final = sa.select(sa.func.coalesce(sa.func.max(AUDIT.c.number), 0))


def entry_bytes(number: int, at: int, event: str, facts: Mapping[str, object]) -> bytes:
    """Return an entry as it is hashed; *at* in microseconds since 1970.

    For all that an entry can hold (text, whole numbers, flags, lists of text) this is
    `accord.core.canonical.canonical_bytes`, in a tenth of the time. Whole numbers that
    not every reader of JSON can hold are written as text.
    """
    plain = {name: _plain(value) for name, value in facts.items()}
    entry = {"number": number, "at": at, "event": event, "facts": plain}
    return _JSON.encode(entry).encode()


def _plain(value: object) -> object:
    return str(value) if isinstance(value, int) and value > LARGEST else value


def size(tx: sa.Connection) -> int:
    """Return how many entries the log has."""
    return int(tx.execute(_SIZE).scalar_one())


def grow(tx: sa.Connection, index: int, entry: bytes) -> None:
    """Add a leaf, and the nodes that it makes complete, as the only writer.

    Args:
        tx: the transaction that adds the entry.
        index: how many entries there were before.
        entry: `entry_bytes`.
    """
    known = nodes(tx, neighbours(index))
    tx.execute(
        LOG_NODES.insert(),
        [
            {"level": level, "position": position, "hash": value}
            for (level, position), value in completed(index, leaf_hash(entry), known)
        ],
    )


def nodes(tx: sa.Connection, places: Collection[Place]) -> Mapping[Place, bytes]:
    """Return the hashes of complete subtrees.

    Raises:
        IntegrityError: LOG_BROKEN, one is missing.
    """
    if not places:
        return {}
    by_level: dict[int, list[int]] = {}
    for level, position in places:
        by_level.setdefault(level, []).append(position)
    chosen = sa.select(LOG_NODES).where(
        sa.or_(
            *(
                sa.and_(LOG_NODES.c.level == level, LOG_NODES.c.position.in_(positions))
                for level, positions in by_level.items()
            )
        )
    )
    found = {(row.level, row.position): bytes(row.hash) for row in tx.execute(chosen)}
    if len(found) != len(set(places)):
        raise IntegrityError(
            "LOG_BROKEN",
            "The hub's log lacks parts of its tree: release nothing, look with"
            " `accord-hub audit verify`, and restore the newest copy of the database.",
        )
    return found


def root(tx: sa.Connection, entries: int) -> bytes:
    """Return the root of the first *entries* entries."""
    return root_of(entries, lambda places: nodes(tx, places))


def growth(tx: sa.Connection, old: int, new: int) -> list[bytes]:
    """Return the proof that the log only grew from one size to another."""
    return prove_growth(old, new, lambda places: nodes(tx, places))


def inclusion(tx: sa.Connection, number: int, entries: int) -> list[bytes]:
    """Return the path from the entry with a number to the root of so many entries."""
    return prove_inclusion(number - 1, entries, lambda places: nodes(tx, places))
