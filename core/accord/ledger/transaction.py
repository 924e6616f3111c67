# SPDX-License-Identifier: Apache-2.0
"""The little that the ledger asks of a database.

`sqlite3.Connection` fits as it is. For SQLAlchemy Core an adapter of a few lines wraps
a ``Connection`` and runs ``text(sql)``; named parameters are written ``:name`` in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from accord.core.errors import InternalError


class Result(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows that an UPDATE or INSERT changed."""

    def fetchall(self) -> Sequence[Sequence[Any]]:
        """Return all rows of a SELECT."""


class Transaction(Protocol):
    """An open transaction that its owner will commit or roll back."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is really open."""

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> Result:
        """Run one statement with named parameters."""


def require_open(tx: Transaction) -> None:
    """Refuse to write where each statement would be committed by itself.

    Raises:
        InternalError: no transaction is open.
    """
    if not tx.in_transaction:
        raise InternalError(
            "LEDGER_WITHOUT_TRANSACTION",
            "The ledger was called outside a transaction: the caller has to begin one"
            " (BEGIN IMMEDIATE on SQLite) and commit it.",
        )
