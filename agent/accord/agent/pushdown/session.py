# SPDX-License-Identifier: Apache-2.0
"""Statements of our own in a database of the agency."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from accord.agent.pushdown.dialect import Dialect
from accord.agent.pushdown.rights import rights_explained
from accord.agent.pushdown.spark import SparkSession
from accord.agent.pushdown.table import TableName
from accord.agent.settings import SPARK
from accord.agent.sources.access import Access, access_to
from accord.agent.sources.database import columns_in
from accord.agent.sources.spark import spark_in
from accord.agent.state import AgentState

DIALECTS: Final = {
    "sqlite": Dialect.SQLITE,
    "postgresql": Dialect.POSTGRESQL,
    "mysql": Dialect.MYSQL,
    "mariadb": Dialect.MYSQL,
    "mssql": Dialect.SQL_SERVER,
    SPARK: Dialect.SPARK,
}
"""By the scheme of a URL."""


class Session(Protocol):
    """One connection, for as long as one thing takes."""

    dialect: Dialect

    def columns(self, table: TableName) -> frozenset[str]:
        """Return the columns of a table or view; none where there is none."""

    def rows(self, text: str) -> Sequence[Sequence[Any]]:
        """Return all rows that a statement gives."""

    def run(self, text: str) -> None:
        """Run a statement that gives none."""

    def insert(
        self, table: TableName, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Append rows."""

    def commit(self) -> None:
        """Make what was done last, where it does not by itself."""


@dataclasses.dataclass(slots=True, kw_only=True)
class DatabaseSession:
    """A session in a database of the settings."""

    access: Access
    connection: Any
    """Of SQLAlchemy, which `accord.agent.sources` alone imports."""
    dialect: Dialect

    def columns(self, table: TableName) -> frozenset[str]:
        with self._explained():
            found = columns_in(self.connection, table.schema, table.name)
        return frozenset(column.name for column in found)

    def rows(self, text: str) -> Sequence[Sequence[Any]]:
        with self._explained():
            found: Sequence[Sequence[Any]] = self.connection.exec_driver_sql(
                text
            ).fetchall()
        return found

    def run(self, text: str) -> None:
        with self._explained():
            self.connection.exec_driver_sql(text)

    def insert(
        self, table: TableName, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        if self.dialect is Dialect.POSTGRESQL:
            self._copy(table, names, rows)
            return
        mark = "?" if self.connection.dialect.paramstyle == "qmark" else "%s"
        fields = ", ".join(self.dialect.name_text(name) for name in names)
        marks = ", ".join([mark] * len(names))
        target = self.dialect.text(table.node())
        text = f"INSERT INTO {target} ({fields}) VALUES ({marks})"  # noqa: S608 - names of our own
        with self._explained():
            self.connection.exec_driver_sql(text, [tuple(row) for row in rows])

    def _copy(
        self, table: TableName, names: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Append whole numbers as PostgreSQL takes many at once."""
        fields = ", ".join(self.dialect.name_text(name) for name in names)
        text = f"COPY {self.dialect.text(table.node())} ({fields}) FROM STDIN"
        lines = [
            "\t".join("\\N" if value is None else str(int(value)) for value in row)
            for row in rows
        ]
        with (
            self._explained(),
            self.connection.connection.driver_connection.cursor() as cursor,
            cursor.copy(text) as copy,
        ):
            copy.write("\n".join(lines) + "\n")

    def commit(self) -> None:
        with self._explained():
            self.connection.commit()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        with rights_explained(self.access.name), self.access.explained():
            yield


@contextlib.contextmanager
def session_in(
    state: AgentState, database: str, *, writes: bool = False
) -> Iterator[Session]:
    """Connect to a database of the settings.

    Raises:
        AccordError: as `accord.agent.sources.access` or `accord.agent.sources.spark`
            says.
    """
    access = access_to(database, state.settings().databases, state.root)
    with session_by(dataclasses.replace(access, writes=writes)) as session:
        yield session


@contextlib.contextmanager
def session_by(access: Access) -> Iterator[Session]:
    """Connect as `session_in` does."""
    dialect = DIALECTS[access.kind]
    if access.kind == SPARK:
        with spark_in(access) as spark:
            yield SparkSession(connection=spark)
        return
    with access.connected() as connection:
        yield DatabaseSession(access=access, connection=connection, dialect=dialect)
