# SPDX-License-Identifier: Apache-2.0
"""The ledger's view of a transaction of SQLAlchemy, on any database."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa


@functools.lru_cache(maxsize=256)
def _statement(sql: str) -> sa.TextClause:
    return sa.text(sql)


class LedgerTransaction:
    """The ledger's view of an open transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        """Wrap a connection whose transaction somebody else will end."""
        self._connection = connection

    @property
    def dialect(self) -> str:
        """Which database this is, so that the ledger need not ask it."""
        return self._connection.dialect.name

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is really open."""
        return self._connection.in_transaction()

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> _Rows:
        """Run one statement with named parameters."""
        return _Rows(self._connection.execute(_statement(sql), dict(parameters)))


class _Rows:
    def __init__(self, result: sa.CursorResult[Any]) -> None:
        self._result = result

    @property
    def rowcount(self) -> int:
        return int(self._result.rowcount)

    def fetchall(self) -> Sequence[Sequence[Any]]:
        return self._result.fetchall()
