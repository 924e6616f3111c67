# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""What changed in a source since its part was made, found case by case.

For every case the part keeps a *stamp*: the number of its rows, and the sum of keyed
hashes of what the column `changed` said in them. A case is read anew when its stamp
is another one: whichever clock wrote the column, in whichever order transactions
ended, also where rows went away or an old copy of the database came back. A row that
changes again within one tick of that clock keeps its stamp; so cases that changed less
than two days before they were last read are read anew in any case, as are those whose
column is empty.

Cases are told apart by a keyed hash of their id. If two ever shared one they would be
read anew together, and nothing else.

Statements are put together from numbers of our own; values and paths are parameters.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from accord.agent.intake.chain import Chain
from accord.agent.intake.filling import BLANKS, places
from accord.agent.intake.mapping import Mapping
from accord.agent.intake.pseudonym import case_keys
from accord.agent.intake.report import FIRST_ROWS, Changes
from accord.agent.sources.table import Stream

OVERLAP = datetime.timedelta(days=2)
"""Covers time zones, clocks that are wrong, and columns that hold only a day."""

MOST_SOUGHT = 200_000
"""Cases that are asked for one by one; beyond that all rows are read."""

HASH_ROWS = 1 << 18

_SALT = b"changed"


@dataclasses.dataclass(slots=True, kw_only=True)
class Stamps:
    """The stamps of a source's cases, in tables of a sandbox."""

    connection: duckdb.DuckDBPyConnection
    mapping: Mapping
    store_keys: Chain

    def look(self, source: Stream) -> None:
        """Read case and `changed` of all rows into the table ``seen``."""
        names = [*self.mapping.case_columns, self._changed]
        fields = [f"c{index}" for index in range(len(names))]
        listed = ", ".join(f"{field} VARCHAR" for field in fields)
        self.connection.execute(
            f"CREATE TABLE seen (file USMALLINT, row UINTEGER, {listed})"
        )
        before = 0
        for batch in source.rows(names):
            rows = len(batch[0])
            arriving: dict[str, npt.NDArray[Any]] = {
                "file": np.zeros(rows, np.uint16),
                "row": np.arange(before + 1, before + rows + 1, dtype=np.uint32),
            }
            for field, texts in zip(fields, batch, strict=True):
                arriving[field] = np.array(texts, dtype=object)
            self._insert("seen", arriving)
            before += rows

    def take(self, origin: str) -> tuple[int, list[tuple[int, int]]]:
        """Make the table ``stamps`` from ``raw`` or ``seen``.

        Returns:
            How many rows have no case id, and the first of them.
        """
        cases, changed = self._fields(origin)
        self._number_cases(origin, cases)
        salt = self.store_keys.newest.digest(_SALT + self.mapping.name.encode()).hex()
        said = f"trim(o.{changed}, $blanks)"
        stamp = f"('0x' || left(sha256($salt || {said}), 16))::UBIGINT"
        joined = " AND ".join(f"o.{case} = n.{case}" for case in cases)
        moment = f"try_cast({said} AS TIMESTAMP)"
        self.connection.execute(
            "CREATE OR REPLACE TABLE stamps AS SELECT k.case_key, "
            "count(*)::UINTEGER AS rows, "
            f"(sum({stamp}::HUGEINT) % 18446744073709551616)::UBIGINT AS stamp, "
            f"max({moment}) AS newest, bool_or({said} = '') AS blank "
            f"FROM {origin} AS o JOIN numbered AS n ON {joined} "
            "JOIN keyed AS k ON n.number = k.number GROUP BY k.case_key",
            {"salt": salt, "blanks": BLANKS},
        )
        bare = " AND ".join(f"trim({case}, ?) = ''" for case in cases)
        blanks = [BLANKS] * len(cases)
        count = self.connection.execute(
            f"SELECT count(*) FROM {origin} WHERE {bare}", blanks
        ).fetchall()
        first = self.connection.execute(
            f"SELECT file, row FROM {origin} WHERE {bare} ORDER BY file, row "
            f"LIMIT {FIRST_ROWS}",
            blanks,
        ).fetchall()
        return int(count[0][0]), [(int(file), int(row)) for file, row in first]

    def compare(
        self, before: Sequence[Path] | None, since: datetime.datetime | None
    ) -> Changes:
        """Make the table ``touched``: cases to be read anew or to be dropped.

        Args:
            before: cases and stamps of the part that is there, of which some may have
                no stamp; nothing, all cases are new.
            since: cases that changed then or later are read anew.
        """
        if before is None:
            self.connection.execute(
                "CREATE TABLE touched AS SELECT case_key, TRUE AS here FROM stamps"
            )
        else:
            self.connection.execute(
                "CREATE TABLE touched AS SELECT coalesce(s.case_key, b.case_key) AS "
                "case_key, s.case_key IS NOT NULL AS here FROM stamps AS s "
                "FULL JOIN (SELECT case_key, rows, stamp FROM read_parquet($stamps) "
                "UNION ALL SELECT DISTINCT c.case_key, 0, 0 FROM read_parquet($cases) "
                "AS c ANTI JOIN read_parquet($stamps) AS t "
                "ON c.case_key = t.case_key) AS b "
                "ON s.case_key = b.case_key "
                "WHERE s.case_key IS NULL OR b.case_key IS NULL OR s.rows <> b.rows "
                "OR s.stamp <> b.stamp OR s.blank "
                "OR coalesce(s.newest >= $since, FALSE)",
                {"cases": str(before[0]), "stamps": str(before[1]), "since": since},
            )
        found = self.connection.execute(
            "SELECT (SELECT count(*) FROM stamps), "
            "(SELECT count(*) FROM touched WHERE here), "
            "(SELECT count(*) FROM touched WHERE NOT here), "
            "(SELECT coalesce(sum(rows), 0) FROM stamps), "
            "(SELECT coalesce(sum(rows), 0) FROM stamps SEMI JOIN touched "
            "USING (case_key))"
        ).fetchall()[0]
        cases, anew, gone, rows, rows_anew = (int(number) for number in found)
        return Changes(
            cases=cases, anew=anew, gone=gone, rows=rows, rows_anew=rows_anew
        )

    def touched_cases(self) -> list[list[str]]:
        """Return the texts, as the source gave them, of cases to be read anew."""
        cases, _ = self._fields("seen")
        listed = ", ".join(f"n.{case}" for case in cases)
        found = self.connection.execute(
            f"SELECT {listed} FROM numbered AS n JOIN keyed AS k "
            "ON n.number = k.number SEMI JOIN touched AS t ON k.case_key = t.case_key"
        ).fetchall()
        return [list(case) for case in found]

    def restrict(self) -> bool:
        """Leave only touched cases in ``raw``; say whether they are there wholly."""
        cases, _ = self._fields("raw")
        self._number_cases("raw", cases)
        joined = " AND ".join(f"raw.{case} = n.{case}" for case in cases)
        self.connection.execute(
            "CREATE OR REPLACE TABLE wanted AS SELECT raw.*, k.case_key FROM raw "
            f"JOIN numbered AS n ON {joined} JOIN keyed AS k ON n.number = k.number "
            "SEMI JOIN touched AS t ON k.case_key = t.case_key"
        )
        wrong = self.connection.execute(
            "SELECT count(*) FROM (SELECT case_key, rows FROM stamps SEMI JOIN touched "
            "USING (case_key)) AS s FULL JOIN (SELECT case_key, count(*) AS rows "
            "FROM wanted GROUP BY case_key) AS w ON s.case_key = w.case_key "
            "WHERE s.rows IS DISTINCT FROM w.rows"
        ).fetchall()
        self.connection.execute("DROP TABLE raw")
        self.connection.execute(
            "CREATE TABLE raw AS SELECT * EXCLUDE (case_key) FROM wanted"
        )
        self.connection.execute("DROP TABLE wanted")
        return not int(wrong[0][0])

    def without(self, keys: Sequence[npt.NDArray[np.uint64]]) -> None:
        """Leave no stamp of some cases, so that they are read again each time."""
        for some in keys:
            self.connection.register("arriving", {"case_key": some})
            self.connection.execute(
                "DELETE FROM stamps WHERE case_key IN (SELECT case_key FROM arriving)"
            )
            self.connection.unregister("arriving")

    def write(self, path: Path) -> None:
        """Leave the stamps for the next ingest, in an order of no meaning."""
        target = str(path).replace("'", "''")
        self.connection.execute(
            "COPY (SELECT case_key, rows, stamp FROM stamps ORDER BY case_key) TO "
            f"'{target}' (FORMAT parquet, COMPRESSION zstd)"
        )

    def _number_cases(self, origin: str, cases: Sequence[str]) -> None:
        """Make the tables ``numbered`` and ``keyed`` of the distinct cases."""
        listed = ", ".join(cases)
        named = " OR ".join(f"trim({case}, ?) <> ''" for case in cases)
        self.connection.execute(
            "CREATE OR REPLACE TABLE numbered AS SELECT "
            f"(row_number() OVER () - 1)::UBIGINT AS number, {listed} FROM "
            f"(SELECT DISTINCT {listed} FROM {origin} WHERE {named})",
            [BLANKS] * len(cases),
        )
        self.connection.execute(
            "CREATE OR REPLACE TABLE keyed (number UBIGINT, case_key UBIGINT)"
        )
        for number, texts in self._numbered(listed):
            first = case_keys(self.store_keys.first, self.mapping.name, texts)
            keys = self.store_keys.keys(first)
            self._insert("keyed", {"number": number, "case_key": keys})

    def _numbered(
        self, listed: str
    ) -> Iterator[tuple[npt.NDArray[Any], list[list[str]]]]:
        found = self.connection.execute("SELECT count(*) FROM numbered").fetchall()
        for start in range(0, int(found[0][0]), HASH_ROWS):
            some = self.connection.execute(
                f"SELECT number, {listed} FROM numbered WHERE number >= ? AND "
                "number < ?",
                [start, start + HASH_ROWS],
            ).fetchnumpy()
            columns = [np.asarray(values).tolist() for values in some.values()]
            yield np.array(columns[0], np.uint64), columns[1:]

    def _insert(self, table: str, columns: dict[str, npt.NDArray[Any]]) -> None:
        self.connection.register("arriving", columns)
        try:
            self.connection.execute(f"INSERT INTO {table} SELECT * FROM arriving")
        finally:
            self.connection.unregister("arriving")

    def _fields(self, origin: str) -> tuple[list[str], str]:
        """Return the columns of a table that hold case and `changed`."""
        cases = self.mapping.case_columns
        if origin == "seen":
            return [f"c{index}" for index in range(len(cases))], f"c{len(cases)}"
        (changed,) = places(self.mapping, [self._changed])
        return places(self.mapping, cases), changed

    @property
    def _changed(self) -> str:
        named = self.mapping.form.source.changed
        return named or ""


def since(ingested_at: datetime.datetime) -> datetime.datetime:
    """Return from when on cases are read anew whatever their stamp says.

    Args:
        ingested_at: when the earlier reading began.
    """
    return ingested_at.astimezone(datetime.UTC).replace(tzinfo=None) - OVERLAP
