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
    scale = float(mechanism.scale)
    match mechanism:
        case DiscreteGaussian():
            return _term(scale, value) / _normaliser(scale)
        case DiscreteLaplace():
            return math.tanh(0.5 / scale) * math.exp(-abs(value) / scale)
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
    scale = float(mechanism.scale)
    match mechanism:
        case DiscreteGaussian():
            return _gaussian_tail_sum(scale, value) / _normaliser(scale)
        case DiscreteLaplace():
            return math.exp(-value / scale) / (1.0 + math.exp(-1.0 / scale))
        case _:
            assert_never(mechanism)


@functools.lru_cache(maxsize=4096)
def standard_deviation(mechanism: Mechanism) -> float:
    """Return the standard deviation of the noise, below the scale for a Gaussian."""
    scale = float(mechanism.scale)
    match mechanism:
        case DiscreteGaussian():
            return math.sqrt(_gaussian_variance(scale))
        case DiscreteLaplace():
            return 1.0 / (math.sqrt(2.0) * math.sinh(0.5 / scale))
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
    outside = _beyond(level)
    width = _guess(mechanism, outside)
    while width > 0 and _outside(mechanism, width - 1) <= outside:
        width -= 1
    while _outside(mechanism, width) > outside:
        width += 1
    return HalfWidth(width, 1.0 - _outside(mechanism, width))


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
    outside = _beyond(level)
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


def _beyond(level: float) -> float:
    """Return what an interval of this level may leave outside."""
    if not 0.0 < level < 1.0:
        raise InvalidQuery(
            "LEVEL_INVALID", "The level of an interval lies strictly between 0 and 1."
        )
    return 1.0 - level


def _outside(mechanism: Mechanism, width: int) -> float:
    """Return the probability that the noise is further from 0 than *width*."""
    return 2.0 * upper_tail(mechanism, width + 1)


def _guess(mechanism: Mechanism, outside: float) -> int:
    """Return about the half width sought, from the law's continuous cousin."""
    scale = float(mechanism.scale)
    match mechanism:
        case DiscreteGaussian():
            quantile = -statistics.NormalDist().inv_cdf(outside / 2.0)
            return int(scale * quantile) + 1
        case DiscreteLaplace():
            base = math.log(2.0 / (outside * (1.0 + math.exp(-1.0 / scale))))
            return max(int(scale * base - 1.0), 0)
        case _:
            assert_never(mechanism)


def _term(scale: float, value: float) -> float:
    """Return the weight of a value under the Gaussian, 1 at zero."""
    return math.exp(-0.5 * (value / scale) ** 2)


@functools.lru_cache(maxsize=4096)
def _normaliser(scale: float) -> float:
    """Return the sum of all weights of the Gaussian.

    By Poisson summation it is sqrt(2 pi) s (1 + 2 sum of exp(-2 pi^2 s^2 j^2)), which
    needs two terms where the direct sum needs many.
    """
    if scale < 1.0:
        return 1.0 + 2.0 * _summed_tail(scale, 1)
    image = 2.0 * sum(
        math.exp(-2.0 * (math.pi * scale * order) ** 2) for order in (1, 2, 3)
    )
    return math.sqrt(2.0 * math.pi) * scale * (1.0 + image)


def _gaussian_variance(scale: float) -> float:
    """Return the variance of the discrete Gaussian.

    It is s^3 times the derivative in s of the logarithm of `_normaliser`.
    """
    if scale < 1.0:
        terms = [
            value * value * _term(scale, value)
            for value in range(1, math.ceil(40.0 * scale) + 2)
        ]
        return 2.0 * math.fsum(terms) / _normaliser(scale)
    images = [math.exp(-2.0 * (math.pi * scale * order) ** 2) for order in (1, 2, 3)]
    slope = (
        -8.0
        * (math.pi * scale) ** 2
        * sum(
            order * order * image
            for order, image in zip((1, 2, 3), images, strict=True)
        )
    )
    return scale * scale * (1.0 + slope / (1.0 + 2.0 * sum(images)))


def _gaussian_tail_sum(scale: float, value: int) -> float:
    """Return the sum of the weights of *value* (at least 1) and all above."""
    if scale <= _SUMMED_UP_TO or value > _NEAR * scale * scale:
        return _summed_tail(scale, value)
    return _integral_and_corrections(scale, value)


def _summed_tail(scale: float, value: int) -> float:
    """Return the tail sum term by term.

    It stops at a term below 1e-18 of the first. The ratio r of neighbours falls, so
    what is left out is below that term times 1 / (1 - r). Where it stops, 1 - r is
    more than 1 / 8 up to a scale of 64, and 1 / 21 in a far tail: an error below
    1e-15 of the sum.
    """
    terms: list[float] = []
    least = 1e-18 * _term(scale, value)
    while (term := _term(scale, value + len(terms))) > least:
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
    weight = _term(scale, start)
    integral = scale * math.sqrt(math.pi / 2.0) * math.erfc(unit / math.sqrt(2.0))
    first = -unit / scale * weight
    third = -(unit**3 - 3.0 * unit) / scale**3 * weight
    return integral + first / 24.0 - 7.0 * third / 5760.0
