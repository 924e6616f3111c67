# SPDX-License-Identifier: Apache-2.0
"""The noise that is in an opened release, whoever added it, and its intervals.

With `hub` it is the mechanism itself. Where agencies add shares, it is more: shares
are made so that n - t of them are enough, and in an honest round all n are there.

**Conservative.** The sum of Gaussian shares is the discrete Gaussian of the total
variance up to a factor within exp(+-deviation) at every integer, hence in every tail
(proof in `accord.core.theta`; with shares of variance 2 or more the deviation is below
1e-7). Figures here are computed to a relative error below 1e-10. `half_width` counts
the probability outside with both factors on top, so that an interval never holds less
than the level that is printed with it.

Units: those of the stored integers, before any scaling back to counts.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

from accord.core import interval, laplace_sum
from accord.core.errors import InvalidQuery
from accord.core.interval import HalfWidth
from accord.core.privacy import (
    SCALE_DENOMINATOR,
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Mechanism,
    mechanism_class,
)

_ARITHMETIC = 1e-9
"""Relative error of a tail in double precision, ten times what is stated."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GaussianSum:
    """Law of a sum of discrete Gaussians, each of variance one half or more."""

    variance: Fraction
    """Sum of the variances."""
    deviation: Fraction
    """The law is the discrete Gaussian's, up to a factor within exp(+-deviation)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LaplaceSum:
    """Law of G - G' with draws of NB(shape, exp(-1/scale)): a sum of Polya shares."""

    scale: Fraction
    shape: Fraction
    """At least 1, where it is the discrete Laplace."""


OpenedNoise: TypeAlias = DiscreteGaussian | DiscreteLaplace | GaussianSum | LaplaceSum
"""The law of the noise in a release; a plain mechanism where the hub adds all."""


def upper_tail(opened: OpenedNoise, value: int) -> float:
    """Return the probability that the noise is *value* or more.

    Of a sum of Gaussians, it is the Gaussian's: true up to its deviation.
    """
    if value < 1:
        return 1.0 - upper_tail(opened, 1 - value)
    match opened:
        case GaussianSum(variance=variance):
            return interval.gaussian_tail(float(variance), value)
        case LaplaceSum(scale=scale, shape=shape):
            return laplace_sum.tail(float(scale), float(shape), value)
        case _:
            return interval.upper_tail(opened, value)


def cumulative(opened: OpenedNoise, value: int) -> float:
    """Return the probability that the noise is *value* or less."""
    return upper_tail(opened, -value)


def standard_deviation(opened: OpenedNoise) -> float:
    """Return the standard deviation of the noise."""
    match opened:
        case GaussianSum(variance=variance):
            return math.sqrt(interval.gaussian_variance(float(variance)))
        case LaplaceSum(scale=scale, shape=shape):
            return laplace_sum.standard_deviation(float(scale), float(shape))
        case _:
            return interval.standard_deviation(opened)


@functools.lru_cache(maxsize=4096)
def half_width(opened: OpenedNoise, level: float = 0.95) -> HalfWidth:
    """Return the shortest symmetric interval that surely holds at least *level*.

    The level that is returned with it is attained or surpassed.

    Raises:
        InvalidQuery: the level is not strictly between 0 and 1.
    """
    if isinstance(opened, DiscreteGaussian | DiscreteLaplace):
        return interval.half_width(opened, level)
    outside = interval.beyond(level)
    guess = interval.gaussian_guess(standard_deviation(opened), outside)
    return interval.narrowest(
        lambda width: _outside_at_most(opened, width), guess, outside
    )


def noisiest_within(
    accounting: Accounting,
    half_width_at_most: int,
    opened_of: Callable[[Mechanism], OpenedNoise],
    level: float = 0.95,
) -> Mechanism:
    """Return the mechanism with the largest scale whose release is accurate enough.

    ``half_width(opened_of(it), level)`` is at most *half_width_at_most*.

    Args:
        accounting: decides on the mechanism.
        half_width_at_most: in stored integers.
        opened_of: the noise that a release priced by a mechanism opens with; never
            less than the mechanism's own. It may raise NOISE_TOO_SMALL.
        level: of the interval.

    Raises:
        InvalidQuery: NOISE_TOO_SMALL, the least noise that hides anything from the hub
            is more than that; ERROR_INVALID or LEVEL_INVALID.
    """
    outside = interval.beyond(level)
    build = mechanism_class(accounting)
    # The release is never less noisy than its mechanism: search downwards from there.
    most = interval.noisiest_within(accounting, half_width_at_most, level).numerator

    def quiet(numerator: int) -> bool:
        """Tell whether this noise, or the lack of it, stays within the width."""
        try:
            opened = opened_of(build(scale=Fraction(numerator, SCALE_DENOMINATOR)))
        except InvalidQuery as error:
            if error.reason != "NOISE_TOO_SMALL":
                raise
            return True
        return _outside_at_most(opened, half_width_at_most) <= outside

    low, high, step = most, most + 1, max(1, most // 64)
    while low > 0 and not quiet(low):
        low, high, step = low - step, low, step * 2
    low = max(low, 0)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if quiet(middle) else (low, middle)
    if low < 1:
        raise InvalidQuery(
            "NOISE_TOO_SMALL",
            "The least noise that hides anything from the hub is more than this error"
            " allows; ask for a larger one.",
        )
    found = build(scale=Fraction(low, SCALE_DENOMINATOR))
    opened_of(found)  # raises if it is too small to be shared
    return found


def _outside_at_most(opened: OpenedNoise, width: int) -> float:
    """Return the most that the probability beyond *width* to either side can be."""
    outside = 2.0 * upper_tail(opened, width + 1)
    match opened:
        case GaussianSum(deviation=deviation):
            return outside * math.exp(float(deviation) + _ARITHMETIC)
        case LaplaceSum():
            return outside * math.exp(_ARITHMETIC)
        case _:
            return outside
