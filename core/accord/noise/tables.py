# SPDX-License-Identifier: Apache-2.0
"""Exact draws from a list of integer weights: one word and one search for each.

A uniform real number falls into the piece of [0, 1) that belongs to an index; weights
over their sum are the lengths of the pieces. Its first 62 bits almost always tell
which piece. Where they do not, because a border lies within the last of them, further
bits are drawn until they do, compared as whole numbers of any size. So the law is the
rational one exactly, not to 62 bits.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accord.core.errors import InternalError
from accord.noise.randomness import Words

MOST_BITS = 62


class WeightTable:
    """Draws an index with probability weight over sum of the weights.

    Args:
        weights: whole numbers of any size, none below zero, not all of them zero.
        bits: how many are drawn and compared at a time. The law does not depend on
            it; a test that takes few sees every draw refined.
    """

    __slots__ = ("_bits", "_borders", "_floors")

    def __init__(self, weights: Sequence[int], *, bits: int = MOST_BITS) -> None:
        borders = list(itertools.accumulate(weights))
        if min(weights, default=-1) < 0 or not borders[-1]:
            raise InternalError(
                "INTERNAL_ERROR",
                "A table of weights needs whole numbers from zero on, and one above.",
            )
        if not 1 <= bits <= MOST_BITS:
            raise InternalError(
                "INTERNAL_ERROR", "A table of weights compares 1 to 62 bits at a time."
            )
        self._bits = bits
        self._borders = borders
        inner = [(border << bits) // borders[-1] for border in borders[:-1]]
        self._floors = np.array(inner, np.uint64)

    def draw(self, words: Words, n: int) -> npt.NDArray[np.intp]:
        """Return *n* independent indices."""
        if not self._floors.size:
            return np.zeros(n, np.intp)
        drawn = words.below_constant(1 << self._bits, n)
        index = np.searchsorted(self._floors, drawn, side="right")
        # Right of an index's floor is beyond its border, left of it is before; only
        # at the floor itself the border may lie on either side.
        reached = self._floors[np.maximum(index, 1) - 1]
        for place in np.flatnonzero((index > 0) & (reached == drawn)).tolist():
            index[place] = self._refined(words, int(drawn[place]))
        return index

    def _refined(self, words: Words, begun: int) -> int:
        """Return the index of a number whose first bits are *begun*."""
        bits, total = self._bits, self._borders[-1]
        while True:
            # The number lies in [begun, begun + 1) / 2^bits.
            index = bisect.bisect_right(self._borders, (begun * total) >> bits)
            if (begun + 1) * total <= self._borders[index] << bits:
                return index
            more = int(words.below_constant(1 << self._bits, 1)[0])
            begun = (begun << self._bits) | more
            bits += self._bits
