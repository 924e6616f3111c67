# SPDX-License-Identifier: Apache-2.0
"""The exact laws of the two discrete noises: probabilities, spread, intervals.

A released entry is truth plus an integer k of a known law, so an interval for the
truth needs the law of k and not its continuous cousin, whose quantiles are too small
(a discrete Laplace of scale 3 reaches 95 % at 9, the continuous one "at" 8.99, and a
discrete Gaussian of scale 0.3 has a standard deviation of 0.09).

All figures are double precision with a relative error below 1e-10, tails included:
the discrete Laplace in closed form; the discrete Gaussian by summing its terms where
they are few, and else by the Euler-Maclaurin formula at midpoints, whose remainder is
bounded in `_integral_and_corrections`.

Units: those of the stored integers, before any scaling back to counts.
Source: Inusah and Kozubowski, J. Statist. Plann. Inference 136 (2006) (discrete
Laplace); Canonne, Kamath and Steinke, NeurIPS 2020 (discrete Gaussian).
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple, assert_never

from accord.core.errors import InvalidQuery
from accord.core.privacy import (
    LARGEST_SCALE,
    SCALE_DENOMINATOR,
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Mechanism,
    mechanism_class,
)

_SUMMED_UP_TO = 64.0
"""Scale of a Gaussian up to which its terms are always summed one by one."""

_NEAR = 0.05
"""Beyond this times the square of the scale, a tail has fewer than 900 terms."""


class HalfWidth(NamedTuple):
    """The interval of integers from ``-half_width`` to ``half_width``."""

    half_width: int
    level: float
    """Probability that the noise lies in it; a jump of the law, not a round figure."""


def probability(mechanism: Mechanism, value: int) -> float:
    """Return the probability that the noise is *value*."""
    match mechanism:
        case DiscreteGaussian(scale=scale):
            variance = float(scale**2)
            return _term(variance, value) / _normaliser(variance)
        case DiscreteLaplace(scale=scale):
            unit = float(scale)
            return math.tanh(0.5 / unit) * math.exp(-abs(value) / unit)
        case _:
            assert_never(mechanism)


def cumulative(mechanism: Mechanism, value: int) -> float:
    """Return the probability that the noise is *value* or less."""
    if value < 0:
        return upper_tail(mechanism, -value)
    return 1.0 - upper_tail(mechanism, value + 1)


def upper_tail(mechanism: Mechanism, value: int) -> float:
    """Return the probability that the noise is *value* or more.

    Small tails keep their relative precision.
    """
    if value < 1:
        return 1.0 - upper_tail(mechanism, 1 - value)
    match mechanism:
        case DiscreteGaussian(scale=scale):
            return gaussian_tail(float(scale**2), value)
        case DiscreteLaplace(scale=scale):
            unit = float(scale)
            return math.exp(-value / unit) / (1.0 + math.exp(-1.0 / unit))
        case _:
            assert_never(mechanism)


@functools.lru_cache(maxsize=4096)
def standard_deviation(mechanism: Mechanism) -> float:
    """Return the standard deviation of the noise, below the scale for a Gaussian."""
    match mechanism:
        case DiscreteGaussian(scale=scale):
            return math.sqrt(gaussian_variance(float(scale**2)))
        case DiscreteLaplace(scale=scale):
            return 1.0 / (math.sqrt(2.0) * math.sinh(0.5 / float(scale)))
        case _:
            assert_never(mechanism)


@functools.lru_cache(maxsize=4096)
def half_width(mechanism: Mechanism, level: float = 0.95) -> HalfWidth:
    """Return the shortest symmetric interval that holds at least *level*.

    Integers cannot hit 95 % exactly: the level attained is the nearest one above,
    and it is returned with the interval so that it can be printed.

    Raises:
        InvalidQuery: the level is not strictly between 0 and 1.
    """
    outside = beyond(level)
    return narrowest(
        lambda width: _outside(mechanism, width), _guess(mechanism, outside), outside
    )


def noisiest_within(
    accounting: Accounting, half_width_at_most: int, level: float = 0.95
) -> Mechanism:
    """Return the mechanism with the largest scale whose interval is narrow enough.

    It is the cheapest one that reaches a wanted error: ``half_width(it, level)`` is at
    most *half_width_at_most*, and one step of 1/1024 more would be too wide. The tails
    of both laws grow with the scale, so bisection finds it.

    Raises:
        InvalidQuery: the width is negative, or the level not strictly between 0 and 1.
    """
    if half_width_at_most < 0:
        raise InvalidQuery(
            "ERROR_INVALID", "The wanted error must be a number of at least 0."
        )
    outside = beyond(level)
    build = mechanism_class(accounting)

    def fits(numerator: int) -> bool:
        mechanism = build(scale=Fraction(numerator, SCALE_DENOMINATOR))
        return _outside(mechanism, half_width_at_most) <= outside

    most = LARGEST_SCALE * SCALE_DENOMINATOR
    low, high = 1, 2
    while high <= most and fits(high):
        low, high = high, high * 2
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return build(scale=Fraction(low, SCALE_DENOMINATOR))


def beyond(level: float) -> float:
    """Return what an interval of this level may leave outside."""
    if not 0.0 < level < 1.0:
        raise InvalidQuery(
            "LEVEL_INVALID", "The level of an interval lies strictly between 0 and 1."
        )
    return 1.0 - level


def narrowest(
    outside_of: Callable[[int], float], guess: int, outside: float
) -> HalfWidth:
    """Return the narrowest interval that leaves at most *outside* outside.

    Args:
        outside_of: probability that the noise is further from 0 than a width.
        guess: a width near the one that is sought.
        outside: from `beyond`.
    """
    low, high, step = guess - 1, guess, 1
    while outside_of(high) > outside:
        low, high, step = high, high + step, step * 2
    step = 1
    while low >= 0 and outside_of(low) <= outside:
        low, high, step = low - step, low, step * 2
    low = max(low, -1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if outside_of(middle) <= outside else (middle, high)
    return HalfWidth(high, 1.0 - outside_of(high))


def _outside(mechanism: Mechanism, width: int) -> float:
    """Return the probability that the noise is further from 0 than *width*."""
    return 2.0 * upper_tail(mechanism, width + 1)


def gaussian_guess(deviation: float, outside: float) -> int:
    """Return about the half width of a Gaussian of this standard deviation."""
    return int(-deviation * statistics.NormalDist().inv_cdf(outside / 2.0)) + 1


def _guess(mechanism: Mechanism, outside: float) -> int:
    """Return about the half width sought, from the law's continuous cousin."""
    scale = float(mechanism.scale)
    match mechanism:
        case DiscreteGaussian():
            return gaussian_guess(scale, outside)
        case DiscreteLaplace():
            base = math.log(2.0 / (outside * (1.0 + math.exp(-1.0 / scale))))
            return max(int(scale * base - 1.0), 0)
        case _:
            assert_never(mechanism)


def gaussian_tail(variance: float, value: int) -> float:
    """Return the probability that a discrete Gaussian is *value* (from 1) or more.

    Its variance need not be the square of a scale that can be sampled: sums of
    Gaussians have others.
    """
    return _gaussian_tail_sum(variance, value) / _normaliser(variance)


def gaussian_variance(variance: float) -> float:
    """Return the true variance of the discrete Gaussian that has this in its law.

    With v in exp(-k^2 / (2 v)), it is 2 v^2 times the derivative in v of the logarithm
    of `_normaliser`; below v by a hair, or by more where v is below 1.
    """
    if variance < 1.0:
        terms = [
            value * value * _term(variance, value)
            for value in range(1, math.ceil(40.0 * math.sqrt(variance)) + 2)
        ]
        return 2.0 * math.fsum(terms) / _normaliser(variance)
    images = [math.exp(-2.0 * variance * (math.pi * j) ** 2) for j in (1, 2, 3)]
    slope = (
        -8.0
        * variance
        * math.pi**2
        * sum(j * j * image for j, image in zip((1, 2, 3), images, strict=True))
    )
    return variance * (1.0 + slope / (1.0 + 2.0 * sum(images)))


def _term(variance: float, value: float) -> float:
    """Return the weight of a value under the Gaussian, 1 at zero."""
    return math.exp(-0.5 * value * value / variance)


@functools.lru_cache(maxsize=4096)
def _normaliser(variance: float) -> float:
    """Return the sum of all weights of the Gaussian.

    By Poisson summation it is sqrt(2 pi v) (1 + 2 sum of exp(-2 pi^2 v j^2)), which
    needs two terms where the direct sum needs many.
    """
    if variance < 1.0:
        return 1.0 + 2.0 * _summed_tail(variance, 1)
    image = 2.0 * sum(math.exp(-2.0 * variance * (math.pi * j) ** 2) for j in (1, 2, 3))
    return math.sqrt(2.0 * math.pi * variance) * (1.0 + image)


def _gaussian_tail_sum(variance: float, value: int) -> float:
    """Return the sum of the weights of *value* (at least 1) and all above."""
    if variance <= _SUMMED_UP_TO**2 or value > _NEAR * variance:
        return _summed_tail(variance, value)
    return _integral_and_corrections(math.sqrt(variance), value)


def _summed_tail(variance: float, value: int) -> float:
    """Return the tail sum term by term.

    It stops at a term below 1e-18 of the first. The ratio r of neighbours falls, so
    what is left out is below that term times 1 / (1 - r). Where it stops, 1 - r is
    more than 1 / 8 up to a scale of 64, and 1 / 21 in a far tail: an error below
    1e-15 of the sum.
    """
    terms: list[float] = []
    least = 1e-18 * _term(variance, value)
    while (term := _term(variance, value + len(terms))) > least:
        terms.append(term)
    return math.fsum(terms)


def _integral_and_corrections(scale: float, value: int) -> float:
    """Return the tail sum by Euler-Maclaurin at the midpoint ``a = value - 1/2``.

    With f the weight and D its derivatives at a, the sum of f over the tail is
    int_a f + D1/24 - 7 D3/5760 + R with |R| <= 2 |B_6|/6! int_a |D6|, that is
    1/15120 int_a |D6|. With x = a/s, Dn = (-1/s)^n He_n(x) f(a). Under the tail beyond
    x the square of a normal variable exceeds x^2 by less than an exponential one of
    mean 2, so relative to the tail |R| is at most
    (x^6 + 21 x^4 + 129 x^2 + 273) / (15120 s^6): below 1e-11 for s > 64 and x < s/20.
    """
    start = value - 0.5
    unit = start / scale
    weight = math.exp(-0.5 * unit * unit)
    integral = scale * math.sqrt(math.pi / 2.0) * math.erfc(unit / math.sqrt(2.0))
    first = -unit / scale * weight
    third = -(unit**3 - 3.0 * unit) / scale**3 * weight
    return integral + first / 24.0 - 7.0 * third / 5760.0
