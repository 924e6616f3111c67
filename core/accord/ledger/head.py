# SPDX-License-Identifier: Apache-2.0
"""The one row at which all writers of the ledger queue."""

from __future__ import annotations

import dataclasses

from accord.ledger.schema import FORMAT, check_schema
from accord.ledger.transaction import Transaction, require_open


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where the history stands while its reader keeps other writers out."""

    height: int
    """Number of the newest event."""

    clock: int
    """Latest moment seen, in microseconds since 1970."""


def lock_head(tx: Transaction) -> Head:
    """Wait until no other writer is at work; keep others out until the commit.

    Raises:
        ConfigurationError: the ledger has another format.
        InternalError: no transaction is open.
    """
    require_open(tx)
    # An UPDATE that changes nothing takes the lock on any database.
    locked = tx.execute(
        "UPDATE ledger_head SET height = height WHERE format = :format",
        {"format": FORMAT},
    )
    if locked.rowcount != 1:
        check_schema(tx)
    row = tx.execute("SELECT height, clock FROM ledger_head", {}).fetchall()[0]
    return Head(height=row[0], clock=row[1])
