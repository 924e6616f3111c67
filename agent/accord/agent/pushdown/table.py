# SPDX-License-Identifier: Apache-2.0
"""The form of a coded table: what a database holds in the place of the store.

One row per case, all columns whole numbers::

    person        whatever says who it is; the export writes the ordinal of the store
    person_known  0 where the record names nobody; then no other row has its person
    order_key     rank of the case among those of its person, 64 bits, signed
    case_place    rises from case to case of a person, by order_key

Dimensions are columns of leaf codes, multi-valued ones bitmasks of 63 leaves in
``name__0``, ``name__1``..., as in `accord.agent.store.columns`; a quantity is a column
of stored integers, or NULL where it is not recorded.

Where consent can end, ``consent__until`` has the last day of it, in days since 1970.
A table ``NAME_form`` of one row beside it says of which data model the codes are.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sqlglot import exp

from accord.agent.store.columns import LEAVES_PER_WORD
from accord.agent.store.form import StoreForm
from accord.agent.store.leaving import CONSENT_UNTIL
from accord.core.errors import IntegrityError, PreconditionFailed
from accord.core.model import DataModel

PERSON: Final = "person"
KNOWN: Final = "person_known"
KEY: Final = "order_key"
PLACE: Final = "case_place"

REQUIRED: Final = (PERSON, KNOWN, KEY, PLACE)
"""Columns that every coded table has."""

CURRENT: Final = "accord_cases"
"""The table that the next edition is a copy of."""

FORMAT: Final = 1
"""Goes up when a table of an older program could be misread."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,53}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """What a coded table is called."""

    name: str
    schema: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(self.name)

    @property
    def form(self) -> TableName:
        """The table that describes it."""
        return dataclasses.replace(self, name=f"{self.name}_form")

    @property
    def next(self) -> TableName:
        """Where its successor is made."""
        return dataclasses.replace(self, name=f"{self.name}_next")

    @property
    def last(self) -> TableName:
        """Where it stands for the moment of a swap."""
        return dataclasses.replace(self, name=f"{self.name}_last")

    def node(self) -> exp.Table:
        """Return it as part of a statement."""
        return exp.table_(self.name, db=self.schema, quoted=True)

    def __str__(self) -> str:
        """Return the name as people write it."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"


def edition_table(calendar: str, edition: str, schema: str | None) -> TableName:
    """Return what the table of an edition is called.

    Args:
        calendar: such as ``month-60``.
        edition: such as ``2026-01``.
        schema: of the current table.
    """
    name = re.sub(r"[^a-z0-9]", "_", f"{CURRENT}_{calendar}_{edition}".lower())
    return TableName(name=name, schema=schema)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CodedTable:
    """A table and the columns that it has."""

    name: TableName
    columns: frozenset[str]

    def require(self, name: str) -> str:
        """Return the name of a column that it has.

        Raises:
            PreconditionFailed: STORE_COLUMN.
        """
        if name not in self.columns:
            raise PreconditionFailed(
                "STORE_COLUMN",
                f"The table {self.name} has no column {name!r}. Make the table anew "
                "with it: `accord-agent pushdown export`, or as `accord-agent pushdown "
                "form` prints it.",
                column=name,
            )
        return name

    def is_multi(self, dimension: str) -> bool:
        """Return whether *dimension* is a bitmask here."""
        return f"{dimension}__0" in self.columns

    def words(self, dimension: str, leaves: int) -> Sequence[str]:
        """Return the columns of a bitmask, lowest leaves first.

        Raises:
            PreconditionFailed: STORE_COLUMN
            IntegrityError: STORE_BROKEN, they are not those of so many leaves.
        """
        count = words_of(leaves)
        names = [self.require(f"{dimension}__{word}") for word in range(count)]
        if f"{dimension}__{count}" in self.columns:
            raise IntegrityError(
                "STORE_BROKEN",
                f"The bitmask of {dimension!r} in the table {self.name} is not that of "
                "its data model. Make the table anew.",
                column=dimension,
            )
        return names


def words_of(leaves: int) -> int:
    """Return how many columns the bitmask of so many leaves has."""
    return -(-leaves // LEAVES_PER_WORD)


class CodedColumn(NamedTuple):
    """A column as a database is told to make it."""

    name: str
    kind: str
    optional: bool = False
    """Whether it is NULL where nothing is recorded."""


_FIRST: Final = (
    CodedColumn(PERSON, "BIGINT"),
    CodedColumn(KNOWN, "SMALLINT"),
    CodedColumn(KEY, "BIGINT"),
    CodedColumn(PLACE, "INT"),
)


def columns_of_model(model: DataModel) -> Iterator[CodedColumn]:
    """Yield every column of a table of *model*."""
    yield from _FIRST
    for name, dimension in model.dimensions.items():
        if dimension.single:
            yield _code(name)
            continue
        words = range(words_of(len(dimension.leaves)))
        yield from (_word(f"{name}__{word}") for word in words)
    yield from (_quantity(name) for name in model.quantities)


def columns_of_store(form: StoreForm) -> Iterator[CodedColumn]:
    """Yield every column of a table that has what a store has."""
    yield from _FIRST
    for column in form.columns:
        if column.name in REQUIRED:
            continue
        if column.name == CONSENT_UNTIL:
            yield CodedColumn(column.name, "INT")
            continue
        if re.search("__[0-9]+$", column.name):
            yield _word(column.name)
        elif column.dtype.startswith("<i"):
            yield _quantity(column.name)
        else:
            yield _code(column.name)


def _code(name: str) -> CodedColumn:
    """Leaf codes, of which a dimension has a few thousand at most."""
    return CodedColumn(name, "SMALLINT")


def _word(name: str) -> CodedColumn:
    return CodedColumn(name, "BIGINT")


def _quantity(name: str) -> CodedColumn:
    return CodedColumn(name, "INT", optional=True)
