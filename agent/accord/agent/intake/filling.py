# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""The columns that a mapping names, brought from its sources into the sandbox.

Statements are put together from numbers of our own; values and paths are parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from accord.agent.intake.header import check_header
from accord.agent.intake.mapping import ROW_NUMBER, Mapping
from accord.agent.intake.progress import QUIET, Progress
from accord.agent.intake.pseudonym import Kind
from accord.agent.intake.sandbox import literal, reading
from accord.agent.sources.opening import fault, scan
from accord.agent.sources.table import Source, Stream, Table
from accord.core.errors import SourceError

BLANKS = "".join(chr(point) for point in range(0x3001) if chr(point).isspace())
"""What is cut off at both ends of a text."""

# Nearly all texts begin with a printable character and can be left alone.
_TRIMMED = (
    "CASE WHEN ord({0}) BETWEEN 33 AND 126 THEN {0} "
    "ELSE coalesce(trim({0}, $blanks), '') END"
)


def places(mapping: Mapping, names: Sequence[str]) -> list[str]:
    """Return the columns of ``raw`` that hold source columns."""
    return [f"s{mapping.columns.index(name)}" for name in names]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """The table ``raw``: every row of the sources, and whom it is about."""

    connection: duckdb.DuckDBPyConnection
    mapping: Mapping
    progress: Progress = QUIET

    def load(self, sources: Sequence[Source]) -> int:
        """Fill the table; return the number of rows.

        Raises:
            DocumentError: the mapping names a column that a source lacks.
            SourceError: a source cannot be read to its end.
        """
        for source in sources:
            check_header(self.mapping, source.header, source.name)
        fields = "".join(f", {name} VARCHAR" for name in self._names)
        self.connection.execute(
            "CREATE TABLE raw (g UBIGINT, file USMALLINT, row UINTEGER, kind UTINYINT"
            f"{fields})"
        )
        rows = 0
        for number, source in enumerate(sources):
            if isinstance(source, Stream):
                self._take(source, number, rows)
            else:
                self._read(source, number, rows)
            found = self.connection.execute("SELECT count(*) FROM raw").fetchall()
            read, rows = int(found[0][0]) - rows, int(found[0][0])
            # The rows of a stream were told as they came.
            self.progress.advance(0 if isinstance(source, Stream) else read)
        return rows

    def _read(self, table: Table, number: int, before: int) -> None:
        """Let DuckDB read a file whole."""
        origin, expressions = scan(table, self.mapping.columns)
        sql = self._filling(number, before, 0, origin, expressions)
        try:
            with reading(table.name):
                values = self._values() | {"path": literal(table.path)}
                self.connection.execute(sql, values)
        except SourceError as error:
            raise fault(table, error) from None

    def _take(self, stream: Stream, number: int, before: int) -> None:
        """Fetch the rows of a stream, a batch at a time."""
        columns = self.mapping.columns
        taken = 0
        # A mapping of constants reads no column, but the rows have to be counted.
        for batch in stream.rows(columns or stream.header[:1]):
            rows = len(batch[0])
            arriving: dict[str, npt.NDArray[Any]] = {
                place: np.array(texts, dtype=object)
                for place, texts in zip(self._names, batch, strict=False)
            }
            arriving["n"] = np.arange(rows)
            sql = self._filling(number, before + taken, taken, "arriving", self._names)
            self.connection.register("arriving", arriving)
            try:
                with reading(stream.name):
                    self.connection.execute(sql, self._values())
            finally:
                self.connection.unregister("arriving")
            taken += rows
            self.progress.advance(rows)

    def _filling(
        self,
        number: int,
        before: int,
        earlier: int,
        origin: str,
        expressions: Sequence[str],
    ) -> str:
        """Return the statement that appends rows to ``raw``.

        Args:
            number: of the source.
            before: rows of ``raw``, of all sources.
            earlier: rows that came from this source already.
            origin: the FROM clause.
            expressions: where each column is found.
        """
        identity = self._identity
        chosen = [
            f"{_TRIMMED.format(column)} AS {place}"
            if name in identity
            else f"coalesce({column}, '') AS {place}"
            for name, place, column in zip(
                self.mapping.columns, self._names, expressions, strict=True
            )
        ]
        listed = ", ".join(
            [
                f"{before} + row_number() OVER () - 1 AS g",
                f"{number} AS file",
                f"{earlier} + row_number() OVER () AS row",
                *chosen,
            ]
        )
        # The kind must see our columns, whatever those of the source are called.
        return (
            f"INSERT INTO raw BY NAME SELECT *, {self._kind()} AS kind "
            f"FROM (SELECT {listed} FROM {origin})"
        )

    def _values(self) -> dict[str, Any]:
        """Return the parameters of a filling statement, but for the path."""
        return {"blanks": BLANKS} if self._identity else {}

    @property
    def _identity(self) -> set[str]:
        return {*self.mapping.person_columns, *self.mapping.case_columns}

    @property
    def _names(self) -> list[str]:
        return places(self.mapping, self.mapping.columns)

    def _kind(self) -> str:
        """Return the expression that tells whom a row of ``raw`` is about."""
        form = self.mapping.form
        person = places(self.mapping, self.mapping.person_columns)
        case = places(self.mapping, self.mapping.case_columns)
        cases = (
            [] if form.person == ROW_NUMBER else [(Kind.CASE, place) for place in case]
        )
        rules = [(Kind.PERSON, place) for place in person]
        alone = not person or form.without_person == "own_person"
        rules += cases if alone else []
        whens = [f"WHEN {place} <> '' THEN {kind.value}" for kind, place in rules]
        whens.append(f"WHEN {str(alone).lower()} THEN {Kind.ROW.value}")
        return f"CASE {' '.join(whens)} END"
