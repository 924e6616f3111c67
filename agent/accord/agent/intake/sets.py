# SPDX-License-Identifier: Apache-2.0
"""Coding of dimensions of which a case can have several values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from accord.agent.intake.codes import (
    Masks,
    Reason,
    Unplaced,
    mask_columns,
    mask_of,
    placer,
)
from accord.agent.intake.coding import Coded, Flags, Ids
from accord.agent.intake.mapping import NONE, REFUSE, DimensionEntry, fold
from accord.core.dimension import UNKNOWN, Dimension

_YES = ("1", "true", "yes", "t", "y")
_NO = ("0", "false", "no", "f", "n")


class MultiCoder:
    """A set of values, from one column, several, or one flag for each value.

    Three states: some value; asked and none of them; nothing recorded. The second is
    the leaf ``none`` where the domain has it, the third ``unknown``.
    """

    _NOTHING, _ASKED = 0, 1

    def __init__(self, dimension: Dimension, entry: DimensionEntry) -> None:
        """Prepare the codes of all columns."""
        self.name = dimension.name
        self._dimension = dimension
        self._separator = entry.separator
        self._place = placer(dimension, entry)
        self._flags = {
            column: dimension.code(value)
            for column, value in (entry.flags or {}).items()
        }
        self._yes = frozenset(map(fold, entry.yes or _YES))
        self._no = frozenset(map(fold, entry.no or _NO)) - self._yes
        named = entry.columns or ([entry.column] if entry.column else [])
        self.inputs: tuple[str, ...] = tuple(self._flags) or tuple(named)
        self._otherwise = entry.otherwise
        self._empty = mask_of(dimension, [dimension.code(entry.empty)])
        has_none = entry.none and NONE in dimension.leaves
        self._none = mask_of(dimension, [dimension.code(NONE if has_none else UNKNOWN)])
        quiet = [UNKNOWN, *([NONE] if NONE in dimension.leaves else [])]
        self._quiet = mask_of(dimension, [dimension.code(leaf) for leaf in quiet])
        self._unknown = mask_of(dimension, [dimension.code(UNKNOWN)])
        self._masks: dict[str, Masks] = {}
        self._states: dict[str, npt.NDArray[np.int8]] = {}

    def prepare(self, column: str, distinct: int) -> None:
        """Make room."""
        self._masks[column] = np.zeros((distinct, len(self._none)), np.uint64)
        self._states[column] = np.zeros(distinct, np.int8)

    def learn(self, column: str, start: int, texts: Iterable[str]) -> None:
        """Code texts as masks, with a state or a reason beside them."""
        masks, states = self._masks[column], self._states[column]
        for index, text in enumerate(texts, start):
            try:
                codes, states[index] = self._read(column, text)
            except Unplaced as unplaced:
                states[index] = -unplaced.reason
            else:
                masks[index] = mask_of(self._dimension, codes)

    def _read(self, column: str, text: str) -> tuple[Sequence[int], int]:
        """Return the codes of a text and whether it says anything."""
        if column in self._flags:
            return self._read_flag(column, fold(text))
        parts = text.split(self._separator) if self._separator else [text]
        parts = [part for part in parts if part.strip()]
        if not parts:
            # Empty texts that the codes name are placed; others say nothing.
            codes = self._place("")
            quiet = (mask_of(self._dimension, codes) == self._empty).all()
            return ((), self._NOTHING) if quiet else (codes, self._ASKED)
        codes = tuple(code for part in parts for code in self._place(part))
        unknown = self._dimension.code(UNKNOWN)
        known = tuple(code for code in codes if code != unknown)
        return known, self._ASKED if known else self._NOTHING

    def _read_flag(self, column: str, text: str) -> tuple[Sequence[int], int]:
        if text in self._yes:
            return (self._flags[column],), self._ASKED
        if text in self._no:
            return (), self._ASKED
        if not text:
            return (), self._NOTHING
        if self._otherwise == REFUSE:
            raise Unplaced(Reason.UNKNOWN_CODE)
        code = self._dimension.code(self._otherwise)
        return ((), self._NOTHING) if self._otherwise == UNKNOWN else ((code,), 1)

    def code(self, ids: Ids, rows: int) -> Coded:
        """Join the masks of all columns."""
        masks = np.zeros((rows, len(self._none)), np.uint64)
        asked = np.zeros(rows, np.bool_)
        wrong = np.zeros(rows, np.int8)
        for column in self.inputs:
            number = ids[column]
            masks |= self._masks[column].take(number, axis=0)
            state = self._states[column].take(number)
            asked |= state == self._ASKED
            np.maximum(wrong, -state, out=wrong, where=state < 0)
        self._settle(masks, asked)
        said = masks & ~self._quiet
        count = np.bitwise_count(said).sum(axis=1, dtype=np.intp)
        wrong[(count > self._dimension.max_values) & (wrong == 0)] = (
            Reason.TOO_MANY_VALUES
        )
        return Coded(
            columns=mask_columns(self._dimension, masks),
            wrong=wrong if wrong.any() else None,
            recorded=(masks != self._unknown).any(axis=1),
        )

    def _settle(self, masks: Masks, asked: Flags) -> None:
        """Let values stand alone, and write down what a row without any says."""
        valued = (masks & ~self._quiet).any(axis=1)
        masks[valued] &= ~self._quiet
        bare = ~valued & ~masks.any(axis=1)
        masks[bare & asked] = self._none
        masks[bare & ~asked] = self._empty
