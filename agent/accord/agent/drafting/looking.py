# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""What the columns of a source look like, found within the sandbox.

A column whose name says that it names people or holds free text is not read. Of the
others, numbers of rows are counted here, and texts are fetched from one kind alone:
a list of codes, that is few short texts that stand there again and again. Statements
are put together from numbers of our own; values and paths are parameters.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import numpy as np

from accord.agent.drafting.origins import Origin, common_header, opened
from accord.agent.drafting.words import Words
from accord.agent.intake.sandbox import literal, reading, sandbox
from accord.agent.intake.workspace import workspace
from accord.agent.settings import Ingest
from accord.agent.sources.form import SourceForm
from accord.agent.sources.opening import fault, scan, with_header
from accord.agent.sources.table import Source, Stream, Table
from accord.agent.state import AgentState
from accord.core.document_syntax import hidden_in
from accord.core.errors import SourceError

SAMPLE = 100_000
"""Rows of each file from which the form of a column is told."""

MOST_CODES = 800
"""Distinct texts that a list of codes has at most."""

LONGEST_CODE = 120

FEW_CODES = 12
"""Distinct texts that are taken for codes in a small file, too."""

_AGAIN = 3
"""How often a code stands there on the average."""

_SURELY_MORE = 2
"""An approximate count beyond so many times the most is no list of codes."""

SEPARATORS = (";", "|", ",")
"""What may stand between several codes in one field."""

_BLANK = "' ' || chr(9) || chr(10) || chr(13) || chr(160)"

DATES = {
    "year": r"\d{4}",
    "quarter": r"\d{4}[- ]?[Qq][1-4]",
    "month": r"\d{4}-?(0[1-9]|1[0-2])",
    "%Y-%m-%d": r"\d{4}-\d{2}-\d{2}([T ][0-9:.,]+(Z|[+-][0-9:]+)?)?",
    "%d/%m/%Y": r"(0?[1-9]|[12]\d|3[01])/(0?[1-9]|1[0-2])/\d{4}",
    "%m/%d/%Y": r"(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])/\d{4}",
    "%d.%m.%Y": r"(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.\d{4}",
    "%d-%m-%Y": r"(0?[1-9]|[12]\d|3[01])-(0?[1-9]|1[0-2])-\d{4}",
    "%m-%d-%Y": r"(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])-\d{4}",
    "%Y/%m/%d": r"\d{4}/(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])",
    "%Y%m%d": r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])",
    "%d %b %Y": r"\d{1,2} [A-Za-z]{3} \d{4}",
    "%d %B %Y": r"\d{1,2} [A-Za-z]{4,9} \d{4}",
}
"""Forms of dates that are looked for, with the texts that have them."""

WHOLE_DAYS = frozenset(form for form in DATES if form.startswith("%"))

_NUMBER = r"-?\d{1,12}([.,]\d{1,6})?"
_DECIMAL_COMMA = r"-?\d{1,12},(\d{1,2}|\d{4,6})"
"""What surely has one; a comma before three digits may group thousands."""
_FLAG = "('1', '0', 'true', 'false', 'yes', 'no', 't', 'f', 'y', 'n')"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One column."""

    name: str
    filled: int
    """Rows of the sample that hold something."""
    distinct: int
    longest: int
    dates: dict[str, float]
    """Share of the filled rows that have each form."""
    numbers: float
    comma: bool
    """Whether any number has a decimal comma."""
    flag: bool
    """Whether it says yes and no only."""
    separated: dict[str, float]
    """Share of the filled rows in which each separator stands."""

    @property
    def is_list(self) -> bool:
        """Whether it may be a list of codes."""
        few = self.distinct <= MOST_CODES
        return bool(self.filled) and few and self.longest <= LONGEST_CODE

    @property
    def repeats(self) -> bool:
        """Whether its texts stand there again and again, as codes do."""
        return self.is_list and self.filled >= _AGAIN * self.distinct

    def is_free(self, codes: int) -> bool:
        """Whether people seem to write freely here: so many texts do not repeat.

        What no dimension knows of such a column may be about somebody.
        """
        return codes > FEW_CODES and self.filled < _AGAIN * codes

    def separator(self) -> str | None:
        """Return what stands between several codes in one field."""
        found = max(SEPARATORS, key=lambda each: self.separated[each])
        return found if self.separated[found] >= LEAST_SEPARATED else None


LEAST_SEPARATED = 0.02


class Sighting:
    """The sources of one draft, open for as long as a block lasts."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        sources: Sequence[Source],
        form: SourceForm,
        words: Words,
    ) -> None:
        """Look at the columns that all *sources* have and that may be read."""
        self.form = form
        self.header = common_header(sources)
        self._connection = connection
        self._sources = sources
        self.unread = tuple(name for name in self.header if words.is_private(name))
        self.formless: tuple[str, ...] = ()
        """Columns of bytes, lists or the like, which no mapping can read."""
        self._whole: dict[str, set[str]] | None = None
        self.hidden: dict[str, int] = {}
        """Codes of each column that no document can hold."""
        self.looks = {look.name: look for look in self._looks()}

    def values(self, name: str, separator: str | None = None) -> tuple[str, ...] | None:
        """Return the codes of a column in all rows; none where it is no list of them.

        Args:
            name: a column that was looked at.
            separator: what stands between several codes in one field.
        """
        if separator is None:
            if self._whole is None:
                self._whole = self._all_lists()
            found = self._whole.get(name)
        else:
            found = self._split(name, separator)
        codes = {text for text in found or () if text}
        if found is None or len(codes) > MOST_CODES:
            return None
        if any(len(code) > LONGEST_CODE for code in codes):
            return None
        hidden = {code for code in codes if hidden_in(code)}
        if hidden:
            self.hidden[name] = len(hidden)
        codes -= hidden
        return tuple(sorted(codes, key=lambda code: (code.casefold(), code)))

    def _all_lists(self) -> dict[str, set[str]]:
        """Return the distinct texts of all columns that may be lists of codes.

        A large file is read twice for all of them, and not once for each.
        """
        left = [look.name for look in self.looks.values() if look.is_list]
        found: dict[str, set[str]] = {name: set() for name in left}
        for source in self._sources:
            if isinstance(source, Stream):
                _collect(source, found)
            elif found:
                counted = [f"approx_count_distinct({{{n}}})" for n in range(len(found))]
                counts = self._of_table(source, list(found), counted)
                for name, count in zip(list(found), counts, strict=True):
                    if count > _SURELY_MORE * MOST_CODES:
                        del found[name]
                listed = [
                    f"list(DISTINCT trim({{{n}}}, {_BLANK}))" for n in range(len(found))
                ]
                texts = self._of_table(source, list(found), listed)
                for name, values in zip(found, texts, strict=True):
                    found[name].update(text for text in values or () if text)
        return found

    def _split(self, name: str, separator: str) -> set[str]:
        """Return the distinct parts of a column's texts."""
        found: set[str] = set()
        for source in self._sources:
            if isinstance(source, Stream):
                for (texts,) in source.rows([name]):
                    found.update(p.strip() for t in texts for p in t.split(separator))
                continue
            parts = f"list_distinct(flatten(list(string_split({{0}}, '{separator}'))))"
            (texts,) = self._of_table(source, [name], [parts])
            found.update(text.strip() for text in texts or ())
        return found

    def _of_table(
        self, table: Table, names: Sequence[str], expressions: Sequence[str]
    ) -> tuple[Any, ...]:
        """Return what *expressions* are over a whole file; ``{0}`` is a column."""
        if not expressions:
            return ()
        origin, columns = scan(table, names)
        listed = ", ".join(each.format(*columns) for each in expressions)
        try:
            with reading(table.name):
                (row,) = self._connection.execute(
                    f"SELECT {listed} FROM {origin}", {"path": literal(table.path)}
                ).fetchall()
        except SourceError as error:
            raise fault(table, error) from None
        return tuple(row)

    def _looks(self) -> Iterator[Look]:
        names = [name for name in self.header if name not in set(self.unread)]
        while names:
            try:
                self._sample(names)
                break
            except SourceError as error:
                column = error.metadata.get("column")
                if column not in names:
                    raise
                names.remove(column)
                self.formless += (column,)
                self._connection.execute("DROP TABLE seen")
        if not names:
            return
        for index, name in enumerate(names):
            yield self._look(index, name)
        self._connection.execute("DROP TABLE seen")

    def _sample(self, names: Sequence[str]) -> None:
        fields = ", ".join(f"s{index} VARCHAR" for index in range(len(names)))
        self._connection.execute(f"CREATE TABLE seen ({fields})")
        for source in self._sources:
            if isinstance(source, Stream):
                self._sample_stream(source, names)
                continue
            origin, found = scan(source, names)
            listed = ", ".join(f"trim({column}, {_BLANK})" for column in found)
            sql = f"INSERT INTO seen SELECT {listed} FROM {origin} LIMIT {SAMPLE}"
            try:
                with reading(source.name):
                    self._connection.execute(sql, {"path": literal(source.path)})
            except SourceError as error:
                raise fault(source, error) from None

    def _sample_stream(self, stream: Stream, names: Sequence[str]) -> None:
        listed = ", ".join(f"trim(s{index}, {_BLANK})" for index in range(len(names)))
        taken = 0
        for batch in stream.rows(names):
            arriving = {
                f"s{index}": np.array(texts, dtype=object)
                for index, texts in enumerate(batch)
            }
            self._connection.register("arriving", arriving)
            try:
                with reading(stream.name):
                    self._connection.execute(
                        f"INSERT INTO seen SELECT {listed} FROM arriving"
                    )
            finally:
                self._connection.unregister("arriving")
            taken += len(batch[0])
            if taken >= SAMPLE:
                break

    def _look(self, index: int, name: str) -> Look:
        column = f"s{index}"
        counted = [
            "count(*)",
            f"approx_count_distinct({column})",
            f"coalesce(max(length({column})), 0)",
            f"count(*) FILTER (lower({column}) IN {_FLAG})",
            f"count(*) FILTER (regexp_full_match({column}, '{_NUMBER}'))",
            f"count(*) FILTER (regexp_full_match({column}, '{_DECIMAL_COMMA}'))",
        ]
        counted += [
            f"count(*) FILTER (contains({column}, '{separator}'))"
            for separator in SEPARATORS
        ]
        counted += [
            f"count(*) FILTER (regexp_full_match({column}, '{text}'))"
            for text in DATES.values()
        ]
        (row,) = self._connection.execute(
            f"SELECT {', '.join(counted)} FROM seen WHERE {column} <> ''"
        ).fetchall()
        filled, distinct, longest, flags, numbers, commas, *shares = map(int, row)
        if distinct <= 2 * MOST_CODES:
            ((distinct,),) = self._connection.execute(
                f"SELECT count(DISTINCT {column}) FROM seen WHERE {column} <> ''"
            ).fetchall()
        whole = max(filled, 1)
        separated, dates = shares[: len(SEPARATORS)], shares[len(SEPARATORS) :]
        return Look(
            name=name,
            filled=filled,
            distinct=distinct,
            longest=longest,
            dates={form: n / whole for form, n in zip(DATES, dates, strict=True)},
            numbers=numbers / whole,
            comma=bool(commas),
            flag=bool(filled) and flags == filled,
            separated={
                each: n / whole for each, n in zip(SEPARATORS, separated, strict=True)
            },
        )


@contextlib.contextmanager
def sighting(
    state: AgentState, origin: Origin, limits: Ingest, words: Words
) -> Iterator[Sighting]:
    """Open a source for a draft; how it is written is found out.

    Raises:
        SourceError: it cannot be read.
        ConfigurationError: the settings of the database are wrong.
        Unreachable: DATABASE_UNREACHABLE.
        PreconditionFailed: the disk is full, or the limits are too tight.
    """
    with (
        workspace(state) as folder,
        opened(state, origin, folder, words) as (sources, form),
    ):
        readable = [each.path for each in sources if not isinstance(each, Stream)]
        with sandbox(folder, readable, limits) as connection:
            headed = [with_header(source, connection) for source in sources]
            yield Sighting(connection, headed, form, words)


def _collect(stream: Stream, found: dict[str, set[str]]) -> None:
    """Add the texts of a stream; a column with too many of them is given up."""
    names = list(found)
    if not names:
        return
    for batch in stream.rows(names):
        for name, texts in zip(names, batch, strict=True):
            if name in found:
                found[name].update(map(str.strip, texts))
                if len(found[name]) > _SURELY_MORE * MOST_CODES:
                    del found[name]
