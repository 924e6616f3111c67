# SPDX-License-Identifier: Apache-2.0
"""Leaf codes: how the texts of a source find theirs, and how a store writes them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from accord.agent.intake.dates import Zone, first_that_reads, period_reader
from accord.agent.intake.mapping import REFUSE, DimensionEntry, fold
from accord.agent.store.columns import LEAVES_PER_WORD
from accord.core.dimension import Dimension
from accord.core.errors import InvalidQuery


class Reason(enum.IntEnum):
    """Why a row was left out."""

    UNKNOWN_CODE = 1
    OUT_OF_DOMAIN = 2
    NOT_A_DATE = 3
    NOT_A_NUMBER = 4
    TOO_MANY_VALUES = 5
    NO_PERSON = 6
    CASE_CONFLICT = 7
    UNREADABLE = 8
    TOTAL_LINE = 9
    NO_CASE = 10
    OPTED_OUT = 11
    NO_CONSENT = 12
    CONSENT_UNCLEAR = 13
    CONSENT_ENDED = 14
    FORGOTTEN = 15
    TOO_OLD = 16

    @property
    def word(self) -> str:
        """The reason as reports and machines call it."""
        return self.name.lower()


class Unplaced(Exception):
    """A text that the mapping has no place for."""

    def __init__(self, reason: Reason) -> None:
        """Keep the reason; the text itself goes nowhere."""
        super().__init__(reason.word)
        self.reason = reason


def code_type(leaves: int) -> npt.DTypeLike:
    """Return the smallest type for leaf codes of a dimension."""
    return np.uint8 if leaves <= 2**8 else np.uint16


def word_types(leaves: int) -> tuple[npt.DTypeLike, ...]:
    """Return the smallest type for each word of a bitmask over *leaves*."""
    types: list[npt.DTypeLike] = []
    for start in range(0, leaves, LEAVES_PER_WORD):
        bits = min(leaves - start, LEAVES_PER_WORD)
        kinds = ((8, np.uint8), (16, np.uint16), (32, np.uint32), (64, np.uint64))
        types.append(next(kind for size, kind in kinds if bits <= size))
    return tuple(types)


Masks = npt.NDArray[np.uint64]


def mask_columns(dimension: Dimension, masks: Masks) -> dict[str, Any]:
    """Return the columns of the store that hold *masks*."""
    return {
        f"{dimension.name}__{index}": masks[:, index].astype(kind)
        for index, kind in enumerate(word_types(len(dimension.leaves)))
    }


def mask_of(dimension: Dimension, codes: Iterable[int]) -> Masks:
    """Return the bitmask, in words, with the bits of *codes*."""
    words = np.zeros(len(word_types(len(dimension.leaves))), np.uint64)
    for code in codes:
        word, bit = divmod(code, LEAVES_PER_WORD)
        words[word] |= np.uint64(1 << bit)
    return words


def _leaf_reader(
    dimension: Dimension, entry: DimensionEntry, zone: Zone
) -> Callable[..., Any]:
    """Return the function from a text, not empty, to its leaf codes."""
    if entry.date is not None:
        read = first_that_reads([period_reader(form, zone) for form in entry.date])

        def by_date(text: str) -> tuple[int, ...]:
            period = read(text)
            if period is None:
                raise Unplaced(Reason.NOT_A_DATE)
            try:
                return (dimension.code(period),)
            except InvalidQuery:
                raise Unplaced(Reason.OUT_OF_DOMAIN) from None

        return by_date
    if entry.codes is not None:
        table = {
            fold(code): tuple(dimension.code(value) for value in values)
            for code, values in entry.codes.items()
        }
        reason = Reason.UNKNOWN_CODE
    else:
        nodes = [node for level in dimension.levels for node in dimension.domain(level)]
        table = {fold(node): (dimension.code(node),) for node in nodes}
        reason = Reason.OUT_OF_DOMAIN

    def by_code(text: str) -> tuple[int, ...]:
        found = table.get(fold(text)[: entry.prefix])
        if found is None:
            raise Unplaced(reason)
        return found

    return by_code


def placer(
    dimension: Dimension, entry: DimensionEntry, zone: Zone = None
) -> Callable[[str], tuple[int, ...]]:
    """Return the reader with the mapping's word on empty and unplaced texts.

    The codes may name the empty text themselves.
    """
    read = _leaf_reader(dimension, entry, zone)
    empty = (dimension.code(entry.empty),)
    names_empty = entry.codes is not None and any(
        not fold(code) for code in entry.codes
    )
    otherwise = (
        None if entry.otherwise == REFUSE else (dimension.code(entry.otherwise),)
    )

    def place(text: str) -> tuple[int, ...]:
        text = text.strip()
        if not text and not names_empty:
            return empty
        try:
            found: tuple[int, ...] = read(text)
        except Unplaced:
            if otherwise is None:
                raise
            return otherwise
        return found

    return place
