# SPDX-License-Identifier: Apache-2.0
"""The hub's word that policies are the newest, as the database keeps it.

All processes that serve one database give out the same timestamp, whose number only
goes up: an agent that comes from one of them to another meets nothing older.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from accord.hub.db.tables_replicas import FRESHNESS
from accord.trust.freshness import timestamp_number
from accord.trust.store import Stored

TIMESTAMP: Final = "metadata/timestamp.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was signed last, by whichever process."""

    number: int
    """Of the timestamp."""
    policies_version: int
    """Of the policies that it is about."""
    fresh: Mapping[str, bytes]
    """Snapshot and timestamp by name."""


def kept(tx: sa.Connection) -> Kept | None:
    """Return what was signed last; nothing where nothing was kept yet."""
    row = tx.execute(sa.select(FRESHNESS)).one_or_none()
    if row is None:
        return None
    return Kept(
        number=row.number,
        policies_version=row.policies_version,
        fresh={row.snapshot_name: row.snapshot, TIMESTAMP: row.timestamp},
    )


def newest_number(tx: sa.Connection) -> int:
    """Return the number of the newest timestamp that was kept; 0 for none."""
    return int(tx.execute(sa.select(FRESHNESS.c.number)).scalar() or 0)


def number_of(stored: Stored | None) -> int:
    """Return the number of a timestamp; 0 where there is none."""
    return 0 if stored is None else timestamp_number(stored.fresh)


def keep(tx: sa.Connection, stored: Stored) -> None:
    """Keep what was just signed; the database has one writer at a time."""
    (name,) = (each for each in stored.fresh if each != TIMESTAMP)
    tx.execute(FRESHNESS.delete())
    tx.execute(
        FRESHNESS.insert(),
        {
            "one": 1,
            "number": number_of(stored),
            "policies_version": stored.repository.version,
            "snapshot_name": name,
            "snapshot": stored.fresh[name],
            "timestamp": stored.fresh[TIMESTAMP],
        },
    )
