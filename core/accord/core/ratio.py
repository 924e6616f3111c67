# SPDX-License-Identifier: Apache-2.0
"""Intervals for a ratio of two noisy figures: a mean, or a share.

Both parts have independent noise of one law, each over a scale of its own. Where the
law is Gaussian the interval is Fieller's: all r for which y - r x is no further from 0
than noise explains::

    |y - r x| <= z sqrt(sd_y^2 + r^2 sd_x^2)

It is no approximation but for the discreteness of the noise, which z allows for with
half a step. Where the law is Laplace the two parts get intervals of 97.5 % each, and
the ratio takes every value that these allow (Bonferroni): at least 95 %, and wider.

Neither means anything where the denominator may be 0. A ratio is given only where it
is at least `LEAST_DENOMINATOR` standard deviations above. That looks at the noisy
denominator alone, which is released, so it tells nothing new.

Source: Fieller, J. R. Statist. Soc. B 16 (1954), pp. 175-185, for uncorrelated parts;
the standard deviation is the delta method's.
"""

from __future__ import annotations

import itertools
import math
from typing import Final, NamedTuple

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

_EACH: Final = 0.975


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
        width = half_width(noise, _EACH).half_width
        if denominator <= width:
            return None
        corners = [
            (numerator + one * width)
            / numerator_scale
            / ((denominator + other * width) / denominator_scale)
            for one, other in itertools.product((-1, 1), repeat=2)
        ]
        return Ratio(estimate, min(corners), max(corners), sd)
    reach = (half_width(noise, LEVEL).half_width + 0.5) / spread if spread else 0.0
    return _fieller(over, under, reach * over_sd, reach * under_sd, sd)


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
