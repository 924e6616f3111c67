# SPDX-License-Identifier: Apache-2.0
r"""The discrete Gaussian: ``P(i) ~ exp(-i^2 / (2 scale^2))`` on all integers, exactly.

Write ``|i| / scale = k + x`` with a whole k and ``0 <= x < 1``. Then
``exp(-(k + x)^2 / 2) = exp(-k^2 / 2) exp(-x (2k + x) / 2)``, and one attempt is:

1. k with probability proportional to ``exp(-k^2 / 2)``: a geometric k of ratio
   ``exp(-1/2)``, accepted with ``exp(-k (k - 1) / 2)``;
2. one of the whole numbers whose k this is, by a uniform offset j below ``ceil(scale)``
   from ``ceil(k scale)`` on, rejected where ``x >= 1``;
3. acceptance with ``exp(-x (2k + x) / 2)``, thrown as k + 1 coins of
   ``exp(-gamma)`` with ``gamma = x (2k + x) / (2k + 2)``, which is below 1;
4. a sign, which rejects half of the zeros.

With ``scale = a/q`` in lowest terms, x is ``m/a`` for a whole number m, so every
decision is a comparison of integers. Nothing is tabulated: a draw costs the same at
every scale, and a scale far below 1 is as exact as any.

Source: C. F. F. Karney, "Sampling exactly from the normal distribution", ACM Trans.
Math. Softw. 42(1), 3 (2016), arXiv 1303.6257, Algorithm D with mu = 0. It is the law
of Canonne, Kamath and Steinke 2020, whose own sampler is in `accord.noise.reference`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from accord.core.privacy import DiscreteGaussian
from accord.noise.bernoulli import (
    Flags,
    Places,
    Whole,
    all_of,
    alternating,
    bernoulli_exp_constant,
    bernoulli_inverse_e,
)
from accord.noise.randomness import Words

_AT_ONCE = 2**14
"""Attempts that are made together: what they need stays in the processor's cache."""


class Attempt(NamedTuple):
    """What came out of attempts; only accepted ones have the law."""

    values: npt.NDArray[np.int64]
    accepted: Flags


def discrete_gaussian(
    words: Words, scale: Fraction, size: int
) -> npt.NDArray[np.int64]:
    """Return independent draws; the same seed gives the same ones again.

    Args:
        words: where the randomness comes from.
        scale: a positive multiple of 1/1024, at most 2^32.
        size: number of draws.

    Raises:
        InvalidQuery: SCALE_INVALID.
    """
    scale = DiscreteGaussian(scale=scale).scale
    drawn = np.empty(size, np.int64)
    done = 0
    while done < size:
        # About half of the attempts succeed; a few more than enough save a round.
        # Which of them are kept depends on their order alone, never on their value.
        wanted = min(2 * (size - done) + 16, _AT_ONCE)
        values, accepted = attempts(words, scale, wanted)
        kept = values[accepted][: size - done]
        drawn[done : done + kept.size] = kept
        done += kept.size
    return drawn


def attempts(words: Words, scale: Fraction, n: int) -> Attempt:
    """Return *n* independent attempts, each of which has the law if it is accepted.

    Overflow: with ``a <= 2^42`` and ``q <= 1024``, all numbers stay below
    ``(k + 2) 2^42``, and a k of a million has a probability below ``exp(-499999)``.
    """
    a, q = np.uint64(scale.numerator), np.uint64(scale.denominator)
    values = np.zeros(n, np.int64)
    accepted = np.zeros(n, np.bool_)
    k = _halves(words, n)
    live = np.flatnonzero(_squares(words, k))
    k = k[live]
    begin = (k * a + (q - np.uint64(1))) // q
    offset = words.below_constant(-(-scale.numerator // scale.denominator), live.size)
    number = begin + offset
    m = number * q - k * a
    negative = words.below_constant(2, live.size) == 1
    usable = np.flatnonzero((m < a) & ~(negative & (number == 0)))
    live, k, m = live[usable], k[usable], m[usable]
    signed = number[usable].astype(np.int64)
    np.negative(signed, out=signed, where=negative[usable])
    values[live] = signed
    accepted[live] = remainders(words, k, m, scale.numerator)
    return Attempt(values, accepted)


def _halves(words: Words, n: int) -> Whole:
    """Return the numbers of successes before coins of ``exp(-1/2)`` fail."""
    k = np.zeros(n, np.uint64)
    going = np.arange(n)
    while going.size:
        going = going[bernoulli_exp_constant(words, 1, 2, going.size)]
        k[going] += np.uint64(1)
    return k


def _squares(words: Words, k: Whole) -> Flags:
    """Throw a coin of ``exp(-k (k - 1) / 2)`` for every k.

    ``k (k - 1) / 2`` is whole: so many coins of ``exp(-1)`` must succeed.
    """
    owed = k * (k - np.minimum(k, np.uint64(1))) // np.uint64(2)
    return all_of(owed, lambda places: bernoulli_inverse_e(words, places.size))


def remainders(words: Words, k: Whole, m: Whole, a: int) -> Flags:
    """Throw a coin of ``exp(-x (2k + x) / 2)`` with ``x = m/a`` for every pair.

    Shape: (n,), (n,) -> (n,).
    """
    times = np.where(m > 0, k + np.uint64(1), np.uint64(0))
    return all_of(times, lambda live: _one_of_k_plus_1(words, k[live], m[live], a))


def _one_of_k_plus_1(words: Words, k: Whole, m: Whole, a: int) -> Flags:
    """Throw a coin of ``exp(-gamma)``, ``gamma = x (2k + x) / (2k + 2)``."""
    twice = k * np.uint64(2)

    def passes(going: Places) -> Places:
        # x, and then (2k + x) / (2k + 2): of 2k + 2 equal parts, 2k succeed surely,
        # one succeeds with x and one fails.
        going = going[words.below_constant(a, going.size) < m[going]]
        part = words.below(twice[going] + np.uint64(2))
        edge = np.flatnonzero(part == twice[going])
        won = part < twice[going]
        won[edge] = words.below_constant(a, edge.size) < m[going[edge]]
        return going[won]

    return alternating(words, k.size, passes)
