# SPDX-License-Identifier: Apache-2.0
"""The Poisson law with a rational mean, exactly.

Its weights ``mean^n / n!`` are rational, so a table holds those below a size K as whole
numbers over one denominator, and one more entry for all the rest: from K on the ratio
of neighbours is at most ``q = mean / (K + 1)``, so the rest is at most the weight of K
times ``1 / (1 - q)``. A draw that falls there is K plus a geometric number i of ratio
q, accepted with the product of ``(K + 1) / (K + h)`` for h from 1 to i, or else drawn
again from the beginning.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from accord.core.errors import InternalError
from accord.noise.bernoulli import bernoulli_constant
from accord.noise.randomness import Words
from accord.noise.tables import MOST_BITS, WeightTable


class PoissonTable:
    """Draws from the Poisson law of one mean.

    Args:
        mean: positive.
        entries: weights that the table holds one by one, more than the mean. By
            default so many that the rest is hardly ever drawn.
        bits: as for `WeightTable`.
    """

    __slots__ = ("_entries", "_ratio", "_table")

    def __init__(
        self, mean: Fraction, *, entries: int | None = None, bits: int = MOST_BITS
    ) -> None:
        if entries is None:
            entries = 4 * (mean.numerator // mean.denominator) + 24
        if not 0 < mean < entries:
            raise InternalError(
                "INTERNAL_ERROR",
                "A Poisson table needs a positive mean and more entries than that.",
            )
        # weights[n] is mean^n / n! times denominator^entries times entries!, so that
        # every division has no remainder.
        weights = [mean.denominator**entries]
        for n in range(1, entries + 1):
            weights[0] *= n
        for n in range(1, entries + 1):
            weights.append(weights[-1] * mean.numerator // (mean.denominator * n))
        self._entries = entries
        self._ratio = Fraction(mean, entries + 1)
        kept = self._ratio.denominator - self._ratio.numerator
        rest = weights.pop() * self._ratio.denominator
        self._table = WeightTable([*(kept * one for one in weights), rest], bits=bits)

    def draw(self, words: Words, n: int) -> npt.NDArray[np.intp]:
        """Return *n* independent draws."""
        drawn = self._table.draw(words, n)
        for place in np.flatnonzero(drawn == self._entries).tolist():
            drawn[place] = self._from_the_rest(words)
        return drawn

    def _from_the_rest(self, words: Words) -> int:
        """Return a draw whose first attempt has fallen beyond the table."""
        found = self._entries
        while found == self._entries:
            beyond = self._entries
            while _coin(words, self._ratio.numerator, self._ratio.denominator):
                beyond += 1
            first = self._entries + 1
            if all(_coin(words, first, more) for more in range(first, beyond + 1)):
                return beyond
            found = int(self._table.draw(words, 1)[0])
        return found


def _coin(words: Words, numerator: int, denominator: int) -> bool:
    """Throw a single coin."""
    return bool(bernoulli_constant(words, numerator, denominator, 1)[0])
