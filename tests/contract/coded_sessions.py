# SPDX-License-Identifier: Apache-2.0
"""Sessions in every kind of database that can hold a coded table here.

SQLite, PostgreSQL, MariaDB and Spark are reached as the agent reaches them. DuckDB has
a session of the tests' own: statements are written for it, but no setting names it. SQL
Server is not run: golden files hold what would be sent to it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from accord.agent.pushdown.dialect import Dialect
from accord.agent.pushdown.session import Session, session_by
from accord.agent.pushdown.table import TableName
from accord.agent.settings import Database
from accord.agent.sources.access import Access
from tests.contract.mariadb import MariadbServer
from tests.contract.postgres import Cluster
from tests.contract.spark import SparkServer


class DuckdbSession:
    """DuckDB in memory."""

    dialect = Dialect.DUCKDB

    def __init__(self) -> None:
        import duckdb

        self._connection = duckdb.connect()

    def columns(self, table: TableName) -> frozenset[str]:
        found = self._connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ?",
            [table.name],
        ).fetchall()
        return frozenset(str(row[0]) for row in found)

    def rows(self, text: str) -> Sequence[Sequence[Any]]:
        return self._connection.execute(text).fetchall()

    def run(self, text: str) -> None:
        self._connection.execute(text)

    def insert(
        self, table: TableName, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        fields = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" * len(names))
        text = f'INSERT INTO "{table.name}" ({fields}) VALUES ({marks})'
        self._connection.executemany(text, rows)

    def commit(self) -> None:
        """Nothing: each statement is one by itself."""


@contextlib.contextmanager
def in_sqlite(_: pytest.FixtureRequest, folder: Path) -> Iterator[Session]:
    file = folder / "cases.db"
    sqlite3.connect(file).close()
    with connected(Database(url=f"sqlite:///{file}"), folder) as session:
        yield session


@contextlib.contextmanager
def in_postgresql(request: pytest.FixtureRequest, folder: Path) -> Iterator[Session]:
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    cluster: Cluster = request.getfixturevalue("postgres")
    url = cluster.database()
    with connected(postgres_database(url, folder), folder) as session:
        yield session
    cluster.drop(url)


def postgres_database(url: str, folder: Path) -> Database:
    """Return the settings of a database of the test's cluster."""
    user, _, rest = url.partition("://")[2].partition(":")
    password, _, place = rest.partition("@")
    return Database(
        url=f"postgresql://{user}@{place}",
        password_file=secret(folder, password),
        tls="off",
    )


@contextlib.contextmanager
def in_mariadb(request: pytest.FixtureRequest, folder: Path) -> Iterator[Session]:
    pytest.importorskip("pymysql", reason="no driver for MariaDB (extra `mysql`)")
    server: MariadbServer = request.getfixturevalue("mariadb")
    database = Database(
        url=f"mysql://accord@127.0.0.1:{server.port}/{server.database()}",
        password_file=secret(folder, server.password),
        tls="off",
    )
    with connected(database, folder) as session:
        yield session


@contextlib.contextmanager
def in_duckdb(_: pytest.FixtureRequest, _folder: Path) -> Iterator[Session]:
    yield DuckdbSession()


@contextlib.contextmanager
def in_spark(request: pytest.FixtureRequest, _folder: Path) -> Iterator[Session]:
    server: SparkServer = request.getfixturevalue("spark")
    with session_by(server.access()) as session:
        yield session


Maker = Callable[
    [pytest.FixtureRequest, Path], contextlib.AbstractContextManager[Session]
]

MAKERS: dict[str, Maker] = {
    "duckdb": in_duckdb,
    "sqlite": in_sqlite,
    "postgresql": in_postgresql,
    "mariadb": in_mariadb,
    "spark": in_spark,
}


@contextlib.contextmanager
def connected(database: Database, folder: Path) -> Iterator[Session]:
    access = Access(name="own", database=database, folder=folder, writes=True)
    with session_by(access) as session:
        yield session


def secret(folder: Path, text: str) -> str:
    """Write a password as the settings want it; return the file's name."""
    file = folder / "password"
    file.write_text(text, encoding="ascii")
    file.chmod(0o600)
    return file.name
