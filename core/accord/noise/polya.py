# SPDX-License-Identifier: Apache-2.0
r"""Polya shares: so many of them sum to a discrete Laplace draw, exactly.

A share of *parts* is the difference of two negative binomial draws with the exponent
``r = 1/parts`` and the ratio ``b = exp(-1/scale)``. Exponents add, so *parts*
independent shares sum to the difference of two geometric draws, which has the discrete
Laplace law ``P(k) ~ exp(-|k|/scale)``.

The negative binomial law is compound Poisson: for every ``k >= 1`` an independent
Poisson number of jumps by k, with the mean ``r b^k / k`` (its generating function is
``exp(sum of r b^k (z^k - 1) / k) = ((1 - b) / (1 - b z))^r``). So a share is a few
signed jumps, and what remains is to draw jumps at these rates. Candidates are drawn
more often than that, and each is kept with the probability that leaves the exact rate.
Let L be the smallest power of two from the scale on, ``L = 2^levels``. Every level has
candidates of total mean r:

- a level below *levels*: k is uniform in ``[2^level, 2 * 2^level)``, kept with
  ``2^level / k`` and ``exp(-k/scale)``;
- the last level: ``k = (v + 1) L + u`` with u uniform below L and v geometric,
  ``P(v) = 2^-(v + 1)``; kept with ``2 exp(-L/scale)``, v + 1 times, then with
  ``L / k`` and ``exp(-u/scale)``. As ``L/scale >= 1``, the first is
  ``2 exp(-1)`` times ``exp(-(L/scale - 1))``, and both are exact coins.

The density of a candidate times its coins is ``b^k / k`` each time, and Poisson numbers
of which each is kept or not by a coin of its own stay Poisson and independent. The
number of candidates grows with the logarithm of the scale, and no other cost does.

Source: M. H. Quenouille, "A relation between the logarithmic, Poisson, and negative
binomial series", Biometrics 5 (1949); S. Goryczka and L. Xiong, "A comprehensive
comparison of multiparty secure additions with differential privacy", IEEE Trans.
Dependable Secure Comput. 14 (2017), for shares of discrete Laplace noise.
"""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from accord.core.errors import InternalError
from accord.core.privacy import DiscreteLaplace
from accord.noise.bernoulli import (
    Flags,
    Places,
    Whole,
    all_of,
    bernoulli,
    bernoulli_exp,
    bernoulli_exp_constant,
    bernoulli_two_over_e,
)
from accord.noise.poisson import PoissonTable
from accord.noise.randomness import Words

MOST_PARTS = 2**20

_AT_ONCE = 2**14
"""Shares that are drawn together: what they need stays in the processor's cache."""


def polya(
    words: Words, scale: Fraction, parts: int, size: int
) -> npt.NDArray[np.int64]:
    """Return independent shares; the same seed gives the same ones again.

    Args:
        words: where the randomness comes from.
        scale: of the discrete Laplace law of the sum; a positive multiple of 1/1024,
            at most 2^32.
        parts: how many shares make up that law, at most 2^20.
        size: number of shares, one for each cell.

    Raises:
        InvalidQuery: SCALE_INVALID.
        InternalError: so many parts, or so many shares, there cannot be.
    """
    scale = DiscreteLaplace(scale=scale).scale
    if not 1 <= parts <= MOST_PARTS:
        raise InternalError(
            "INTERNAL_ERROR",
            "Noise is shared among one agency or more, and at most a million.",
        )
    shares = np.empty(size, np.int64)
    candidates = _candidates(parts, levels_of(scale))
    for begin in range(0, size, _AT_ONCE):
        some = shares[begin : begin + _AT_ONCE]
        counts = candidates.draw(words, some.size)
        # Jumps of one share are neighbours: it is a difference of running sums.
        ends = np.cumsum(counts)
        running = np.zeros(int(ends[-1]) + 1, np.int64)
        np.cumsum(signed_jumps(words, scale, running.size - 1), out=running[1:])
        some[:] = running[ends] - running[ends - counts]
    return shares


def levels_of(scale: Fraction) -> int:
    """Return how often 1 must be doubled to reach the scale."""
    return (-(-scale.numerator // scale.denominator) - 1).bit_length()


@functools.lru_cache(maxsize=256)
def _candidates(parts: int, levels: int) -> PoissonTable:
    """Return the law of the number of candidates in one share, of both signs."""
    return PoissonTable(Fraction(2 * (levels + 1), parts))


def signed_jumps(words: Words, scale: Fraction, n: int) -> npt.NDArray[np.int64]:
    """Return *n* candidates: a jump with its sign where it is kept, else zero.

    A jump by k or by -k has the probability ``exp(-k/scale) / (2 k (levels + 1))``.

    Overflow: a jump of the last level is below ``(v + 2) 2^32``, and a v of a million
    has a probability below ``2^-1000000``.
    """
    levels = levels_of(scale)
    drawn = words.below_constant(2 * (levels + 1), n)
    level = drawn >> np.uint64(1)
    jumps = np.empty(n, np.uint64)
    within = np.flatnonzero(level < np.uint64(levels))
    jumps[within] = _within(words, scale, level[within])
    beyond = np.flatnonzero(level == np.uint64(levels))
    jumps[beyond] = _beyond(words, scale, beyond.size)
    signed = jumps.astype(np.int64)
    np.negative(signed, out=signed, where=(drawn & np.uint64(1)) == 1)
    return signed


def _within(words: Words, scale: Fraction, level: Whole) -> Whole:
    """Return jumps of levels below the last, zero where the candidate is not kept."""
    least = np.left_shift(np.uint64(1), level)
    jumps = least + words.below(least)
    kept = np.flatnonzero(bernoulli(words, least, jumps))
    return _only(jumps, kept[_decayed(words, scale, jumps[kept])])


def _beyond(words: Words, scale: Fraction, n: int) -> Whole:
    """Return jumps of the last level, zero where the candidate is not kept."""
    length = 1 << levels_of(scale)
    factor = np.ones(n, np.uint64)  # v + 1
    tossing = np.arange(n)
    while tossing.size:
        tossing = tossing[words.below_constant(2, tossing.size) == 1]
        factor[tossing] += np.uint64(1)
    kept = np.flatnonzero(_whole_lengths(words, scale, factor))
    offset = words.below_constant(length, kept.size)
    jumps = np.zeros(n, np.uint64)
    jumps[kept] = factor[kept] * np.uint64(length) + offset
    fits = words.below(jumps[kept]) < np.uint64(length)
    kept, offset = kept[fits], offset[fits]
    return _only(jumps, kept[_decayed(words, scale, offset)])


def _whole_lengths(words: Words, scale: Fraction, factor: Whole) -> Flags:
    """Throw as many coins of ``2 exp(-L/scale)`` as each factor says.

    Shape: (n,) -> (n,), true where all of them succeeded.
    """
    excess = (scale.denominator << levels_of(scale)) - scale.numerator

    def coins(places: Places) -> Flags:
        won = bernoulli_two_over_e(words, places.size)
        half = np.flatnonzero(won)
        won[half] = bernoulli_exp_constant(words, excess, scale.numerator, half.size)
        return won

    return all_of(factor, coins)


def _decayed(words: Words, scale: Fraction, distance: Whole) -> Flags:
    """Throw a coin of ``exp(-distance/scale)`` for every distance, below 2^33."""
    return bernoulli_exp(
        words, distance * np.uint64(scale.denominator), scale.numerator
    )


def _only(jumps: Whole, kept: Places) -> Whole:
    """Return the jumps with zero wherever they are not kept."""
    left = np.zeros_like(jumps)
    left[kept] = jumps[kept]
    return left
