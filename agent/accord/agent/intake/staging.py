# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608

"""Sources read into the sandbox and put in the order of their pseudonyms.

Texts of records live in the sandbox alone. Python sees each distinct identifier once,
to hash it, and each distinct code once, to place it; what comes out per row is a person
ordinal, the case id, and for every coded column the number of its distinct text.

Statements are put together from numbers of our own; values and paths are parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from accord.agent.intake.chain import Chain
from accord.agent.intake.filling import Filling, places
from accord.agent.intake.mapping import Mapping
from accord.agent.intake.progress import QUIET, Phase, Progress
from accord.agent.intake.pseudonym import (
    DIGEST_BYTES,
    WORDS,
    Kind,
    Pseudonyms,
    as_words,
    framed,
    framed_one,
    from_words,
    subject,
)
from accord.agent.sources.table import Source

BATCH_ROWS = 1 << 18
"""Rows that are in Python's memory at once."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """All rows of a run of persons."""

    person: npt.NDArray[np.uint32]
    """Ordinals among all pseudonyms of the sources, ascending."""
    pseudonyms: Pseudonyms
    """Of the persons from the first row's to the last row's."""
    first: Pseudonyms
    """Those that the persons have under the first key."""
    file: npt.NDArray[np.uint16]
    row: npt.NDArray[np.uint32]
    """Number of the row in its file, from 1; the header does not count."""
    cases: tuple[npt.NDArray[Any], ...]
    """Texts of the case columns."""
    ids: dict[str, npt.NDArray[np.uint32]]
    """For each coded column the number of the row's distinct text."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """Rows of one mapping's sources in a sandbox."""

    connection: duckdb.DuckDBPyConnection
    mapping: Mapping
    pseudonyms: Chain
    progress: Progress = QUIET

    def load(self, sources: Sequence[Source]) -> int:
        """Read the columns that the mapping names; return the number of rows.

        Raises:
            DocumentError: the mapping names a column that a source lacks.
            SourceError: a source cannot be read to its end.
        """
        return Filling(
            connection=self.connection, mapping=self.mapping, progress=self.progress
        ).load(sources)

    def distinct(self) -> Iterator[tuple[str, int, Iterator[tuple[int, list[str]]]]]:
        """Yield each coded column, how many texts it has, and those in batches."""
        for name in self.mapping.coded_columns:
            place = self._columns.index(name)
            self._run(
                f"CREATE TABLE d{place} AS SELECT (row_number() OVER () - 1)::UINTEGER "
                f"AS id, text FROM (SELECT DISTINCT s{place} AS text FROM raw)"
            )
            count = self._count(f"SELECT count(*) FROM d{place}")
            yield name, count, self._texts(f"d{place}", count)

    def order(self) -> tuple[int, list[tuple[int, int]]]:
        """Hash all persons and sort the rows by pseudonym.

        Returns:
            How many rows name no person although they must, and the first of them as
            pairs of file and row.
        """
        self._run(
            "CREATE TABLE hashed (subject UBIGINT, kind UTINYINT, "
            f"{', '.join(f'{word} UBIGINT' for word in self._words)})"
        )
        subjects = self._subjects()
        self.progress.begin(Phase.HASH)
        for table, (kind, columns) in subjects.items():
            if columns:
                self._hash_texts(table, kind, columns)
            else:
                self._hash_rows()
        self.progress.begin(Phase.ORDER)
        self._run(
            "CREATE TABLE ranked AS SELECT *, (dense_rank() OVER (ORDER BY p0, p1, p2, "
            "p3) - 1)::UINTEGER AS person FROM hashed"
        )
        self._run("DROP TABLE hashed")
        self._run(
            "CREATE TABLE pseudonym AS SELECT DISTINCT person, "
            f"{', '.join(self._words)} FROM ranked ORDER BY person"
        )
        absent = self._count("SELECT count(*) FROM raw WHERE kind IS NULL")
        first = self._fetch(
            "SELECT file, row FROM raw WHERE kind IS NULL ORDER BY file, row LIMIT 5"
        )
        self._sort(subjects)
        places = zip(first["file"].tolist(), first["row"].tolist(), strict=True)
        return absent, list(places)

    def batches(self) -> Iterator[Batch]:
        """Yield the ordered rows, persons in one piece."""
        total = self._count("SELECT count(*) FROM ordered")
        self.progress.begin(Phase.CODE, total)
        start, size = 0, BATCH_ROWS
        while start < total:
            # The order of a table is that of its row ids.
            found = self._fetch(
                "SELECT * FROM ordered WHERE rowid >= ? AND rowid < ?",
                [start, start + size],
            )
            person = found["person"]
            stop = len(person)
            if start + stop < total:
                stop = int(np.searchsorted(person, person[-1]))
            if stop == 0:
                size *= 2
                continue
            yield self._batch(found, stop)
            self.progress.advance(stop)
            start, size = start + stop, BATCH_ROWS

    def _batch(self, found: Arrays, stop: int) -> Batch:
        person = found["person"][:stop]
        found_words = self._fetch(
            f"SELECT {', '.join(self._words)} FROM pseudonym WHERE person BETWEEN ? "
            "AND ? ORDER BY person",
            [int(person[0]), int(person[-1])],
        )
        words = [found_words[word] for word in self._words]
        newest = from_words(words[:WORDS])
        return Batch(
            person=person,
            pseudonyms=newest,
            first=from_words(words[WORDS:]) if len(words) > WORDS else newest,
            file=found["file"][:stop],
            row=found["row"][:stop],
            cases=tuple(
                found[f"s{self._columns.index(name)}"][:stop]
                for name in self.mapping.case_columns
            ),
            ids={
                name: found[f"i{self._columns.index(name)}"][:stop]
                for name in self.mapping.coded_columns
            },
        )

    @property
    def _words(self) -> list[str]:
        """Columns of a pseudonym, and of the first one where it is another."""
        newest = [f"p{index}" for index in range(WORDS)]
        first = [f"f{index}" for index in range(WORDS)]
        return newest + first if self.pseudonyms.generation else newest

    @property
    def _columns(self) -> list[str]:
        """Source columns in the order of ``s0``, ``s1``..."""
        return list(self.mapping.columns)

    def _places(self, names: Sequence[str]) -> list[str]:
        return places(self.mapping, names)

    def _subjects(self) -> dict[str, tuple[Kind, list[str]]]:
        """Number the distinct persons and cases; return their tables.

        Each kind that rows can be about has a table with the columns that tell its
        subjects apart; the last kind is told apart by the row itself.
        """
        found: dict[str, tuple[Kind, list[str]]] = {}
        for table, kind, names in (
            ("named", Kind.PERSON, self.mapping.person_columns),
            ("cased", Kind.CASE, self.mapping.case_columns),
            ("alone", Kind.ROW, ()),
        ):
            if not self._count(
                f"SELECT count(*) FROM (FROM raw WHERE kind = {kind.value} LIMIT 1)"
            ):
                continue
            columns = self._places(names)
            if columns:
                listed = ", ".join(columns)
                self._run(
                    f"CREATE TABLE {table} AS SELECT row_number() OVER () - 1 AS "
                    f"subject, {listed} FROM (SELECT DISTINCT {listed} FROM raw WHERE "
                    f"kind = {kind.value})"
                )
            found[table] = kind, columns
        return found

    def _hash_rows(self) -> None:
        key = self.pseudonyms.first
        prefix = subject(Kind.ROW, self.mapping.name)
        for found in self._ranges(
            "SELECT g AS subject, file, row FROM raw WHERE kind = "
            f"{Kind.ROW.value} AND {{range}}",
            "g",
            "raw",
        ):
            places = zip(found["file"].tolist(), found["row"].tolist(), strict=True)
            messages = (
                prefix + file.to_bytes(4, "big") + row.to_bytes(8, "big")
                for file, row in places
            )
            self._insert_hashed(Kind.ROW, found["subject"], key.digests(messages))

    def _hash_texts(self, table: str, kind: Kind, columns: Sequence[str]) -> None:
        key = self.pseudonyms.first
        prefix = subject(kind, "" if kind is Kind.PERSON else self.mapping.name)
        for found in self._ranges(
            f"SELECT subject, {', '.join(columns)} FROM {table} WHERE {{range}}",
            "subject",
            table,
        ):
            texts = [found[column].tolist() for column in columns]
            if len(texts) == 1:
                messages = (prefix + framed_one(text) for text in texts[0])
            else:
                messages = (prefix + framed(p) for p in zip(*texts, strict=True))
            self._insert_hashed(kind, found["subject"], key.digests(messages))

    def _insert_hashed(
        self, kind: Kind, subjects: npt.NDArray[Any], digests: bytes
    ) -> None:
        columns: Arrays = {
            "subject": subjects.astype(np.uint64),
            "kind": np.full(len(subjects), kind.value, np.uint8),
        }
        words = as_words(digests)
        if self.pseudonyms.generation:
            first = np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)
            words = as_words(self.pseudonyms.pseudonyms(first).tobytes()) + words
        columns |= dict(zip(self._words, words, strict=True))
        self.insert("hashed", columns)
        self.progress.advance(len(subjects))

    def _sort(self, subjects: dict[str, tuple[Kind, list[str]]]) -> None:
        """Join every row with its person's ordinal and its texts' numbers, in order."""
        joins, whens = "", ""
        for table, (kind, columns) in subjects.items():
            person = f"{table}_person"
            ranked = f"SELECT * FROM ranked WHERE kind = {kind.value}"
            if columns:
                self._run(
                    f"CREATE TABLE {person} AS SELECT r.person, t.* FROM {table} AS t "
                    f"JOIN ({ranked}) AS r ON t.subject = r.subject"
                )
                on = " AND ".join(f"raw.{name} = {person}.{name}" for name in columns)
            else:
                self._run(f"CREATE TABLE {person} AS {ranked}")
                on = f"raw.g = {person}.subject"
            joins += f" LEFT JOIN {person} ON raw.kind = {kind.value} AND {on}"
            whens += f" WHEN {kind.value} THEN {person}.person"
        coded = [self._columns.index(name) for name in self.mapping.coded_columns]
        case = self._places(self.mapping.case_columns)
        picked = ["raw.file", "raw.row", *(f"raw.{name}" for name in case)]
        picked += [f"d{place}.id AS i{place}" for place in coded]
        joins += "".join(
            f" JOIN d{place} ON raw.s{place} = d{place}.text" for place in coded
        )
        person = f"(CASE raw.kind{whens} END)" if whens else "NULL::UINTEGER"
        self._run(
            f"CREATE TABLE ordered AS SELECT {person} AS person, {', '.join(picked)} "
            f"FROM raw{joins} WHERE raw.kind IS NOT NULL ORDER BY person"
        )
        self._run("DROP TABLE raw")

    def insert(self, table: str, columns: Arrays) -> None:
        """Append columns, in the table's order, to a table."""
        self.connection.register("arriving", columns)
        try:
            self._run(f"INSERT INTO {table} SELECT * FROM arriving")
        finally:
            self.connection.unregister("arriving")

    def _texts(self, table: str, count: int) -> Iterator[tuple[int, list[str]]]:
        for start in range(0, count, BATCH_ROWS):
            found = self._fetch(
                f"SELECT id, text FROM {table} WHERE id >= ? AND id < ? ORDER BY id",
                [start, start + BATCH_ROWS],
            )
            yield start, found["text"].tolist()

    def _ranges(self, sql: str, column: str, table: str) -> Iterator[Arrays]:
        low, high = self.connection.execute(
            f"SELECT coalesce(min({column}), 0), coalesce(max({column}), -1) "
            f"FROM {table}"
        ).fetchall()[0]
        for start in range(low, high + 1, BATCH_ROWS):
            stop = min(start + BATCH_ROWS, high + 1)
            where = f"{column} >= {start} AND {column} < {stop}"
            found = self._fetch(sql.format(range=where))
            if len(found["subject"]):
                yield found

    def _run(self, sql: str) -> None:
        self.connection.execute(sql)

    def _count(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return int(self.connection.execute(sql, list(parameters)).fetchall()[0][0])

    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Arrays:
        found = self.connection.execute(sql, list(parameters)).fetchnumpy()
        return {name: np.asarray(values) for name, values in found.items()}
