# SPDX-License-Identifier: Apache-2.0
"""The same rows in every kind of source that an agency can have.

Every kind is a context manager that takes rows and yields an agency with the text of
its mapping and the files to name, if any. All columns are texts, but for the number,
which a database holds as a whole number where it can.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from accord.agent.intake.ingest import Ingested, ingest
from accord.agent.state import AgentState
from tests.contract.mariadb import MariadbServer
from tests.contract.postgres import Cluster
from tests.unit.agent.agencies import (
    HEADER,
    LIMITS,
    MAPPING_TEXT,
    NOW,
    mapping,
    new_state,
)

COLUMNS = (*HEADER, "changed")

Rows = Sequence[dict[str, str | None]]

Run = Callable[..., Any]
"""Runs a statement, with ? in the place of values."""

TABLE = "case files"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an agency keeps its rows."""

    state: AgentState
    source: str
    """What its mapping says of it."""
    files: Sequence[Path]
    run: Run | None
    """Databases: changes what is there."""

    def text(self, *, follow: bool = False, of: str = MAPPING_TEXT) -> str:
        entries = self.source + (", changed: changed" if follow else "")
        return of.replace("person:", f"source: {{{entries}}}\nperson:")

    def read(self, *, follow: bool = False, of: str = MAPPING_TEXT) -> Ingested:
        """Ingest all."""
        text = self.text(follow=follow, of=of)
        return ingest(self.state, mapping(text), self.files, LIMITS, NOW)


def settings(state: AgentState, url: str, password: str | None = None) -> None:
    """Name a database in the settings."""
    lines = ["[databases.office]", f'url = "{url}"']
    if password is not None:
        secret = state.root / "office.password"
        secret.touch(0o600)
        secret.write_text(f"{password}\n", encoding="utf-8")
        lines.append('password_file = "office.password"')
    state.config.write_text("\n".join(lines), encoding="utf-8")


@contextlib.contextmanager
def in_csv(folder: Path, rows: Rows) -> Iterator[Place]:
    path = folder / "cases.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    yield Place(
        state=new_state(folder / "csv"), source="format: csv", files=[path], run=None
    )


@contextlib.contextmanager
def in_parquet(folder: Path, rows: Rows) -> Iterator[Place]:
    path = folder / "cases.parquet"
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
    pq.write_table(pa.table(columns, schema=schema), path)
    state = new_state(folder / "parquet")
    yield Place(state=state, source="format: parquet", files=[path], run=None)


@contextlib.contextmanager
def in_sqlite(folder: Path, rows: Rows) -> Iterator[Place]:
    file = folder / "cases.db"
    state = new_state(folder / "sqlite")
    settings(state, f"sqlite:///{file}")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        _fill(connection.execute, '"', rows, {})
        yield _table(state, connection.execute)


@contextlib.contextmanager
def in_postgresql(server: Cluster, folder: Path, rows: Rows) -> Iterator[Place]:
    psycopg = pytest.importorskip("psycopg")
    url = server.database(driver="postgresql")
    state = new_state(folder / "postgresql")
    user, _, rest = url.removeprefix("postgresql://").partition(":")
    password, _, place = rest.partition("@")
    settings(state, f"postgresql://{user}@{place}", password)
    with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:

        def run(statement: str, values: Sequence[object] = ()) -> object:
            return connection.execute(statement.replace("?", "%s"), values or None)

        _fill(run, '"', rows, {"number": "integer", "changed": "timestamptz"})
        yield _table(state, run)


@contextlib.contextmanager
def in_mariadb(server: MariadbServer, folder: Path, rows: Rows) -> Iterator[Place]:
    name = server.database()
    state = new_state(folder / "mariadb")
    settings(state, f"mariadb://accord@127.0.0.1:{server.port}/{name}", server.password)
    with contextlib.closing(server.connect(name)) as connection:

        def run(statement: str, values: Sequence[object] = ()) -> object:
            told = statement.replace("?", "%s")
            return connection.cursor().execute(told, tuple(values) or None)

        kinds = dict.fromkeys(COLUMNS, "longtext") | {
            "number": "integer",
            "changed": "datetime(6)",
        }
        _fill(run, "`", rows, kinds)
        yield _table(state, run)


def _table(state: AgentState, run: Run) -> Place:
    return Place(
        state=state, source=f"database: office, table: {TABLE}", files=[], run=run
    )


def _fill(run: Run, quote: str, rows: Rows, kinds: dict[str, str]) -> None:
    """Make the table; a quote has to be doubled where it stands in a name."""
    fields = ", ".join(
        f"{quote}{name}{quote} {kinds.get(name, 'text')}" for name in COLUMNS
    )
    run(f"CREATE TABLE {quote}{TABLE}{quote} ({fields})")
    marks = ", ".join("?" for _ in COLUMNS)
    for row in rows:
        run(
            f"INSERT INTO {quote}{TABLE}{quote} VALUES ({marks})",
            [row.get(name) for name in COLUMNS],
        )
