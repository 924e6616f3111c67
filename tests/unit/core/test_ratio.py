# SPDX-License-Identifier: Apache-2.0
"""Intervals of means and shares hold their level; none where there may be no cases."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from accord.core.opened import GaussianSum, OpenedNoise, standard_deviation
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.core.ratio import LEAST_DENOMINATOR, ratio

DRAWS = 20_000

NOISES: list[OpenedNoise] = [
    DiscreteGaussian(scale=Fraction(100)),
    GaussianSum(variance=Fraction(40**2), deviation=Fraction(0)),
    DiscreteLaplace(scale=Fraction(60)),
]


def draws(noise: OpenedNoise, rng: np.random.Generator) -> np.ndarray:
    """Return rounded draws of about the law."""
    if isinstance(noise, DiscreteLaplace):
        kept = np.exp(-1 / float(noise.scale))
        return rng.geometric(1 - kept, DRAWS) - rng.geometric(1 - kept, DRAWS)
    return np.rint(rng.normal(0, standard_deviation(noise), DRAWS)).astype(np.int64)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("share", [-0.4, 0.0, 0.05, 0.6, 1.3])
@pytest.mark.parametrize("away", [8.0, 30.0])
def test_the_interval_covers_at_its_level(
    noise: OpenedNoise, share: float, away: float
) -> None:
    rng = np.random.default_rng(int(1000 * share + away) + 5000)
    under_scale, over_scale = 64, 96
    under = round(away * standard_deviation(noise) / under_scale) * under_scale
    over = round(share * under / under_scale * over_scale)
    truth = (over / over_scale) / (under / under_scale)
    inside = given = 0
    for top, bottom in zip(draws(noise, rng), draws(noise, rng), strict=True):
        found = ratio(
            noise, over + int(top), over_scale, under + int(bottom), under_scale
        )
        if found is not None:
            given += 1
            inside += found.lower <= truth <= found.upper
    assert given > 0.98 * DRAWS
    # 95 %, less four standard deviations of so many draws.
    assert inside / given >= 0.95 - 4 * (0.05 * 0.95 / given) ** 0.5
    if not isinstance(noise, DiscreteLaplace):
        assert inside / given <= 0.96


def test_there_is_no_ratio_of_what_may_be_nothing() -> None:
    noise = NOISES[0]
    least = LEAST_DENOMINATOR * standard_deviation(noise)
    assert ratio(noise, 10, 64, int(least) - 1, 64) is None
    assert ratio(noise, 10, 64, -500, 64) is None
    found = ratio(noise, 10, 64, int(least) + 1, 64)
    assert found is not None
    assert found.lower < found.estimate < found.upper


def test_parts_have_scales_of_their_own() -> None:
    found = ratio(DiscreteGaussian(scale=Fraction(2)), 3_000_000, 300, 20_000, 4)
    assert found is not None
    assert found.estimate == 2.0
    assert found.sd == pytest.approx(
        (4 + 4 * (2 * 300 / 4) ** 2) ** 0.5 / 300 / 5000, rel=0.01
    )
