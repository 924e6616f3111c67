# SPDX-License-Identifier: Apache-2.0
"""The databases that the ledger's contract is tested on, each through its driver.

`CoreTransaction` is the whole adapter that SQLAlchemy needs.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from accord import ledger
from accord.ledger import sqlite

_text = functools.cache(sa.text)


class CoreTransaction:
    """SQLAlchemy Core as the ledger's transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction()

    def execute(
        self, sql: str, parameters: Mapping[str, Any], /
    ) -> sa.CursorResult[Any]:
        return self._connection.execute(_text(sql), parameters)


class Store(Protocol):
    """A database with a ledger in it."""

    def transaction(self) -> contextlib.AbstractContextManager[ledger.Transaction]:
        """Begin, and commit or roll back at the end; from any thread."""

    def outside(self) -> contextlib.AbstractContextManager[ledger.Transaction]:
        """Give a connection on which nothing was begun."""

    def close(self) -> None:
        """Let the database go."""


class StandardLibraryStore:
    """`sqlite3` on a file, one connection for each thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def transaction(self) -> Iterator[ledger.Transaction]:
        with (
            contextlib.closing(sqlite.open_database(self._path)) as connection,
            sqlite.transaction(connection) as tx,
        ):
            yield tx

    @contextlib.contextmanager
    def outside(self) -> Iterator[ledger.Transaction]:
        with contextlib.closing(sqlite.open_database(self._path)) as connection:
            yield connection

    def close(self) -> None:
        """Nothing stays open."""


class CoreStore:
    """SQLAlchemy Core on any URL."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextlib.contextmanager
    def transaction(self) -> Iterator[ledger.Transaction]:
        with self._engine.begin() as connection:
            yield CoreTransaction(connection)

    @contextlib.contextmanager
    def outside(self) -> Iterator[ledger.Transaction]:
        with self._engine.connect() as connection:
            yield CoreTransaction(connection)

    def close(self) -> None:
        self._engine.dispose()


def sqlite_engine(path: Path) -> sa.Engine:
    """Return an engine with one writer that begins at once and commits durably."""
    engine = sa.create_engine(
        f"sqlite:///{path}", pool_size=1, max_overflow=0, pool_timeout=120
    )

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:  # noqa: ANN401  # DBAPI
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def with_ledger(store: Store) -> Store:
    """Make the ledger's tables in a new database."""
    with store.transaction() as tx:
        ledger.create_schema(tx)
    return store


def standard_library(directory: Path) -> Store:
    return with_ledger(StandardLibraryStore(directory / "ledger.db"))


def core_on_sqlite(directory: Path) -> Store:
    return with_ledger(CoreStore(sqlite_engine(directory / "ledger.db")))


def core_on_postgres(url: str, *, isolation_level: str) -> Store:
    return with_ledger(
        CoreStore(
            sa.create_engine(
                url,
                isolation_level=isolation_level,
                pool_size=20,
                max_overflow=0,
                pool_timeout=120,
            )
        )
    )


MAKERS: dict[str, Callable[[Path], Store]] = {
    "sqlite3": standard_library,
    "sqlalchemy-sqlite": core_on_sqlite,
}
"""Those that need no server."""
