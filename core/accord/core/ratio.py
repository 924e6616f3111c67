# SPDX-License-Identifier: Apache-2.0
"""Intervals for a ratio of two noisy figures: a mean, or a share.

Both parts have independent noise of one law, each over a scale of its own. The interval
is Fieller's: all r for which y - r x is no further from 0 than noise explains, at the
level, whatever r is. It holds the true ratio in just so many cases, as there y - r x is
noise alone. Where the law is Gaussian, that is

    |y - r x| <= z sqrt(sd_y^2 + r^2 sd_x^2)

and but for the discreteness of the noise, which z allows for with half a step, it is no
approximation. Where the law is Laplace, the right-hand side is another function of r,
from `accord.core.laplace_difference`, and the ends are found by iteration.

**Which r these are.** In stored integers they are the t with |N - t D| <= q(t), where q
is even and convex, grows with |t|, and q(t) / |t| falls to q(0), so that q is nowhere
steeper than q(0). For D > q(0) they are an interval. Let N >= 0; else (-N, -t) are as
good. Upwards from the estimate N / D the condition is D <= (q(t) + N) / t, whose right
side falls to q(0): it holds up to one place. Downwards it is N <= q(t) + t D, whose
right side grows throughout: it holds down to one place. For D <= q(0) one of the ends
lies nowhere: any ratio is possible then, and none is given.

**How they are found.** The upper end is where t = (N + q(t)) / D. As q grows, t -> (N +
q(t)) / D leads from above it down to it, and never below. The lower end is where t =
(N - q(t)) / D; below 0 it is approached from below in the same way, else from both
sides in turn. What is taken is always the outer one, so rounding and an early stop only
widen the interval.

Neither means anything where the denominator may be 0. A ratio is given only where it
is at least `LEAST_DENOMINATOR` standard deviations above. That looks at the noisy
denominator alone, which is released, so it tells nothing new.

Source: Fieller, J. R. Statist. Soc. B 16 (1954), pp. 175-185, for uncorrelated parts;
the standard deviation is the delta method's.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from accord.core.laplace_difference import Reach, reach
from accord.core.opened import (
    LaplaceSum,
    OpenedNoise,
    half_width,
    standard_deviation,
)
from accord.core.privacy import DiscreteLaplace

LEAST_DENOMINATOR: Final = 5.0
"""Standard deviations of its own noise that a denominator is above 0, at least."""

LEVEL: Final = 0.95

_STEPS: Final = 200
"""Most of an iteration; a denominator that is well above its noise takes few."""

_PRECISION: Final = 1e-10
"""At which an iteration stops; relative, or absolute below 1."""


class Ratio(NamedTuple):
    """A ratio with its interval at 95 % and its standard deviation."""

    estimate: float
    lower: float
    upper: float
    sd: float


def ratio(
    noise: OpenedNoise,
    numerator: int,
    numerator_scale: int,
    denominator: int,
    denominator_scale: int,
) -> Ratio | None:
    """Return the ratio of two figures, or nothing where it may be one of 0.

    Args:
        noise: of each, in stored integers.
        numerator: as stored.
        numerator_scale: stored integer of one.
        denominator: as stored.
        denominator_scale: stored integer of one.
    """
    spread = standard_deviation(noise)
    if denominator <= 0 or denominator < LEAST_DENOMINATOR * spread:
        return None
    over, under = numerator / numerator_scale, denominator / denominator_scale
    over_sd, under_sd = spread / numerator_scale, spread / denominator_scale
    estimate = over / under
    sd = math.hypot(over_sd, estimate * under_sd) / under
    if isinstance(noise, DiscreteLaplace | LaplaceSum):
        far = reach(noise, LEVEL)
        # Above q(1), which is above q(0), there is a place to begin from.
        if denominator <= far.at(1.0):
            return None
        unit = denominator_scale / numerator_scale
        lower, upper = _ends(far, numerator, denominator)
        return Ratio(estimate, lower * unit, upper * unit, sd)
    z = (half_width(noise, LEVEL).half_width + 0.5) / spread if spread else 0.0
    return _fieller(over, under, z * over_sd, z * under_sd, sd)


def _ends(far: Reach, numerator: int, denominator: int) -> tuple[float, float]:
    """Return the ends of the t with |N - t D| <= q(t), for D > q(1)."""
    if numerator < 0:
        lower, upper = _ends(far, -numerator, denominator)
        return -upper, -lower
    # q(t) <= max(1, t) q(1), so t = (N + q(t)) / D is not above this, or not above 1.
    above = max(1.0, numerator / (denominator - far.at(1.0)))
    for _ in range(_STEPS):
        nearer = (numerator + far.at(above)) / denominator
        if nearer >= above * (1.0 - _PRECISION):
            break
        above = nearer
    # q(t) < D up to t = 1, and N >= 0: the lower end is above -1.
    below, other = -1.0, math.inf
    for _ in range(_STEPS):
        nearer = (numerator - far.at(below)) / denominator
        if abs(nearer - below) <= _PRECISION * max(1.0, abs(nearer)):
            other = nearer
            break
        below, other = nearer, below
    return min(below, other), above


def _fieller(
    over: float, under: float, over_reach: float, under_reach: float, sd: float
) -> Ratio | None:
    square = under**2 - under_reach**2
    if square <= 0:
        return None
    middle = over * under / square
    # (over under)^2 - square (over^2 - over_reach^2), without cancelling.
    inner = (
        over_reach**2 * under**2
        + under_reach**2 * over**2
        - (over_reach * under_reach) ** 2
    )
    half = math.sqrt(max(inner, 0.0)) / square
    return Ratio(over / under, middle - half, middle + half, sd)
