# SPDX-License-Identifier: Apache-2.0
"""From source values to leaf codes: tables over the distinct values of each column.

A coder sees every distinct text of its columns once (`learn`) and fills a table; rows
are then coded by looking up numbers (`code`). What the mapping cannot place becomes a
reason, never a guess. Texts go no further than this module.
"""

from __future__ import annotations

import dataclasses
import decimal
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from accord.agent.intake.codes import (
    Reason,
    Unplaced,
    code_type,
    mask_columns,
    mask_of,
    placer,
)
from accord.agent.intake.dates import ISO_DAY, Zone, day_number
from accord.agent.intake.mapping import (
    OLDEST,
    REFUSE,
    DimensionEntry,
    QuantityEntry,
    ages,
)
from accord.core.dimension import UNKNOWN, Dimension
from accord.core.model import NOT_RECORDED, Quantity

MOST_EXPONENT = 30
"""Of a number in a source; what is beyond is no measurement."""

_IN_GROUPS = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?")
"""A number whose points group thousands."""

Ids = Mapping[str, npt.NDArray[np.uint32]]
"""For each source column, the number of each row's text among the distinct ones."""

Flags = npt.NDArray[np.bool_]
Reasons = npt.NDArray[np.int8]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """One dimension or quantity of a run of rows."""

    columns: dict[str, npt.NDArray[Any]]
    """Columns of the store."""
    wrong: Reasons | None
    """Reason of each row that has no place, else 0; none: all rows have one."""
    recorded: Flags
    """Whether the row says anything here."""
    outside: Flags | None = None
    """Quantities: whether the number lies outside its bounds and was left out."""


class Coder(Protocol):
    """One dimension or quantity of a mapping."""

    @property
    def name(self) -> str:
        """Name in the data model."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Source columns that it reads."""

    def prepare(self, column: str, distinct: int) -> None:
        """Make room for the distinct texts of a column."""

    def learn(self, column: str, start: int, texts: Iterable[str]) -> None:
        """Code texts, numbered from *start*."""

    def code(self, ids: Ids, rows: int) -> Coded:
        """Code a run of rows."""


class ConstantCoder:
    """A value that all rows of the source share."""

    def __init__(self, dimension: Dimension, value: str) -> None:
        """Look the value up."""
        self.name = dimension.name
        self.inputs: tuple[str, ...] = ()
        self._dimension = dimension
        self._code = dimension.code(value)
        self._recorded = value != UNKNOWN

    def prepare(self, column: str, distinct: int) -> None:
        """Nothing to learn."""

    def learn(self, column: str, start: int, texts: Iterable[str]) -> None:
        """Nothing to learn."""

    def code(self, ids: Ids, rows: int) -> Coded:
        """Repeat the value."""
        if self._dimension.single:
            kind = code_type(len(self._dimension.leaves))
            columns = {self.name: np.full(rows, self._code, kind)}
        else:
            mask = mask_of(self._dimension, [self._code])
            masks = np.broadcast_to(mask, (rows, len(mask)))
            columns = mask_columns(self._dimension, masks)
        return Coded(
            columns=columns, wrong=None, recorded=np.full(rows, self._recorded)
        )


class SingleCoder:
    """One column, one value."""

    def __init__(
        self, dimension: Dimension, entry: DimensionEntry, column: str, zone: Zone
    ) -> None:
        """Prepare the codes of *column*."""
        self.name = dimension.name
        self.inputs: tuple[str, ...] = (column,)
        self._dimension = dimension
        self._place = placer(dimension, entry, zone)
        self._unknown = dimension.code(UNKNOWN)
        self._table = np.empty(0, np.int32)

    def prepare(self, column: str, distinct: int) -> None:
        """Make room."""
        self._table = np.empty(distinct, np.int32)

    def learn(self, column: str, start: int, texts: Iterable[str]) -> None:
        """Code texts; a reason is kept as a negative number."""
        for index, text in enumerate(texts, start):
            try:
                self._table[index] = self._place(text)[0]
            except Unplaced as unplaced:
                self._table[index] = -unplaced.reason

    def code(self, ids: Ids, rows: int) -> Coded:
        """Look the rows up."""
        found = self._table.take(ids[self.inputs[0]])
        wrong = np.minimum(found, 0)
        kind = code_type(len(self._dimension.leaves))
        return Coded(
            columns={self.name: np.maximum(found, 0).astype(kind)},
            wrong=(-wrong).astype(np.int8) if wrong.any() else None,
            recorded=found != self._unknown,
        )


class AgeCoder:
    """A band of ages, from the day of birth and the day to reckon at."""

    _EMPTY = -1
    _WRONG = -2

    def __init__(
        self,
        dimension: Dimension,
        entry: DimensionEntry,
        birth: str,
        at: str,
        zone: Zone,
    ) -> None:
        """Prepare the bands."""
        self.name = dimension.name
        self.inputs: tuple[str, ...] = tuple(dict.fromkeys((birth, at)))
        self._birth, self._at, self._zone = birth, at, zone
        self._dimension = dimension
        self._formats: Sequence[str] = entry.format or (ISO_DAY,)
        self._empty = dimension.code(entry.empty)
        self._otherwise = (
            None if entry.otherwise == REFUSE else dimension.code(entry.otherwise)
        )
        self._unknown = dimension.code(UNKNOWN)
        bands = ages(dimension)
        self._bands = np.array(
            [bands.get(age, -Reason.OUT_OF_DOMAIN) for age in range(OLDEST + 1)],
            np.int32,
        )
        self._days: dict[str, npt.NDArray[np.int32]] = {}

    def prepare(self, column: str, distinct: int) -> None:
        """Make room."""
        self._days[column] = np.empty(distinct, np.int32)

    def learn(self, column: str, start: int, texts: Iterable[str]) -> None:
        """Read days as numbers."""
        table = self._days[column]
        for index, text in enumerate(texts, start):
            stripped = text.strip()
            if not stripped:
                table[index] = self._EMPTY
                continue
            day = day_number(stripped, self._formats, self._zone)
            table[index] = self._WRONG if day is None else day

    def code(self, ids: Ids, rows: int) -> Coded:
        """Reckon ages in full years and look their bands up."""
        birth = self._days[self._birth].take(ids[self._birth])
        at = self._days[self._at].take(ids[self._at])
        age = (at - birth) // 10_000
        found = self._bands.take(np.clip(age, 0, OLDEST))
        found[(age < 0) | (age > OLDEST)] = -Reason.OUT_OF_DOMAIN
        found[(birth == self._WRONG) | (at == self._WRONG)] = -Reason.NOT_A_DATE
        if self._otherwise is not None:
            found[found < 0] = self._otherwise
        found[(birth == self._EMPTY) | (at == self._EMPTY)] = self._empty
        wrong = np.minimum(found, 0)
        kind = code_type(len(self._dimension.leaves))
        return Coded(
            columns={self.name: np.maximum(found, 0).astype(kind)},
            wrong=(-wrong).astype(np.int8) if wrong.any() else None,
            recorded=found != self._unknown,
        )


class QuantityCoder:
    """A number in fixed point; outside its bounds it counts as not recorded."""

    def __init__(self, quantity: Quantity, entry: QuantityEntry | None) -> None:
        """Prepare the bounds; without an entry nothing is recorded."""
        self.name = quantity.name
        self.inputs: tuple[str, ...] = () if entry is None else (entry.column,)
        self._quantity = quantity
        self._comma = entry is not None and entry.decimal == ","
        self._table = np.empty(0, np.int32)
        self._states = np.empty(0, np.int8)

    def prepare(self, column: str, distinct: int) -> None:
        """Make room."""
        self._table = np.full(distinct, NOT_RECORDED, np.int32)
        self._states = np.zeros(distinct, np.int8)

    def learn(self, column: str, start: int, texts: Iterable[str]) -> None:
        """Read numbers: state 1 is out of bounds, a negative one a reason."""
        for index, text in enumerate(texts, start):
            stripped = text.strip()
            if not stripped:
                continue
            number = self._number(stripped)
            if number is None:
                self._states[index] = -Reason.NOT_A_NUMBER
            elif not self._quantity.lower <= number <= self._quantity.upper:
                self._states[index] = 1
            else:
                self._table[index] = round(number * self._quantity.scale)

    def _number(self, text: str) -> Fraction | None:
        if "_" in text:
            return None  # Python's own way of writing numbers
        if self._comma:
            if "." in text and not _IN_GROUPS.fullmatch(text):
                return None  # 1.5 would be 15
            text = text.replace(".", "").replace(",", ".")
        try:
            number = decimal.Decimal(text)
        except decimal.InvalidOperation:
            return None
        if not number.is_finite() or abs(number.adjusted()) > MOST_EXPONENT:
            return None
        return Fraction(number)

    def code(self, ids: Ids, rows: int) -> Coded:
        """Look the rows up."""
        if not self.inputs:
            return Coded(
                columns={self.name: np.full(rows, NOT_RECORDED, np.int32)},
                wrong=None,
                recorded=np.zeros(rows, np.bool_),
            )
        number = ids[self.inputs[0]]
        found, state = self._table.take(number), self._states.take(number)
        wrong = np.where(state < 0, -state, 0).astype(np.int8)
        return Coded(
            columns={self.name: found},
            wrong=wrong if wrong.any() else None,
            recorded=found != NOT_RECORDED,
            outside=state == 1,
        )
