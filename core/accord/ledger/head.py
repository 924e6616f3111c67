# SPDX-License-Identifier: Apache-2.0
"""The one row at which all writers of the ledger queue."""

from __future__ import annotations

import dataclasses
from typing import Final

from accord.ledger.schema import FORMAT, check_schema
from accord.ledger.sets import is_postgresql
from accord.ledger.transaction import Transaction, require_open

_LOCKED: Final = "SELECT height, clock FROM ledger_head WHERE format = :format"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the history stands while its reader keeps other writers out."""

    height: int
    """Number of the newest event."""

    clock: int
    """Latest moment seen, in microseconds since 1970."""

    postgresql: bool
    """Whether the database is PostgreSQL, and not SQLite."""


def lock_head(tx: Transaction) -> Head:
    """Wait until no other writer is at work; keep others out until the commit.

    Raises:
        ConfigurationError: the ledger has another format.
        InternalError: no transaction is open.
    """
    require_open(tx)
    postgresql = is_postgresql(tx)
    expected = {"format": FORMAT}
    if postgresql:
        rows = tx.execute(f"{_LOCKED} FOR UPDATE", expected).fetchall()
    else:
        # SQLite knows no lock of a row. A transaction that has begun as a reader
        # becomes the only writer by an UPDATE, even if that changes nothing.
        tx.execute("UPDATE ledger_head SET height = height", {})
        rows = tx.execute(_LOCKED, expected).fetchall()
    if not rows:
        check_schema(tx)
    height, clock = rows[0]
    return Head(height=height, clock=clock, postgresql=postgresql)
