# SPDX-License-Identifier: Apache-2.0
"""The databases that a hub's store is tested on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from accord.hub.db.engine import Store
from accord.hub.db.place import Place
from accord.hub.db.postgresql import PostgresDatabase
from accord.hub.db.sqlite import SqliteFile
from tests.contract.postgres import Cluster

KINDS = ("sqlite", "postgresql")

on_every_database = pytest.mark.parametrize("state", KINDS, indirect=True)
"""A test of a hub (`tests.unit.hub`) whose `state` is made on each kind of database."""


class Database:
    """One empty database, to be opened by as many programs as a test likes."""

    def __init__(self, kind: str, named: str) -> None:
        self.kind = kind
        self.named = named
        self._opened: list[Store] = []

    def place(self, *, migrating: bool = False) -> Place:
        if self.kind == "sqlite":
            return SqliteFile(Path(self.named))
        return PostgresDatabase(self.named, migrating=migrating)

    def opened(self, *, migrating: bool = False, busy_seconds: float = 5) -> Store:
        """Return the store of one more program."""
        store = Store(self.place(migrating=migrating), busy_seconds=busy_seconds)
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return an empty database of each kind."""
    made = make_database(request.param, request, tmp_path)
    yield made
    made.close()


def make_database(kind: str, request: pytest.FixtureRequest, folder: Path) -> Database:
    if kind == "sqlite":
        return Database(kind, str(folder / "hub.db"))
    return Database(kind, postgres_url(request))


def postgres_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database as an operator writes it."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    server: Cluster = request.getfixturevalue("postgres")
    url = server.database(driver="postgresql")
    request.addfinalizer(lambda: server.drop(url))
    return url
