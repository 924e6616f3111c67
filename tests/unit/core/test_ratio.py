# SPDX-License-Identifier: Apache-2.0
"""Intervals of means and shares hold their level; none where there may be no cases."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accord.core.laplace_difference import reach
from accord.core.opened import (
    GaussianSum,
    LaplaceSum,
    OpenedNoise,
    standard_deviation,
)
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.core.ratio import LEAST_DENOMINATOR, LEVEL, Ratio, ratio

DRAWS = 20_000

NOISES: list[OpenedNoise] = [
    DiscreteGaussian(scale=Fraction(100)),
    GaussianSum(variance=Fraction(40**2), deviation=Fraction(0)),
    DiscreteLaplace(scale=Fraction(60)),
    LaplaceSum(scale=Fraction(60), shape=Fraction(5, 4)),
]
LAPLACE = [each for each in NOISES if isinstance(each, DiscreteLaplace | LaplaceSum)]


def draws(noise: OpenedNoise, rng: np.random.Generator) -> np.ndarray:
    """Return rounded draws of about the law."""
    if isinstance(noise, DiscreteLaplace | LaplaceSum):
        left = 1 - np.exp(-1 / float(noise.scale))
        shape = float(getattr(noise, "shape", 1))
        first, second = rng.negative_binomial(shape, left, (2, DRAWS))
        return np.asarray(first - second)
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
    inside = known = 0
    for top, bottom in zip(draws(noise, rng), draws(noise, rng), strict=True):
        found = ratio(
            noise, over + int(top), over_scale, under + int(bottom), under_scale
        )
        if found is not None:
            known += 1
            inside += found.lower <= truth <= found.upper
    assert known > 0.98 * DRAWS
    # 95 %, less four standard deviations of so many draws.
    assert inside / known >= 0.95 - 4 * (0.05 * 0.95 / known) ** 0.5
    assert inside / known <= 0.96


@pytest.mark.parametrize("noise", LAPLACE)
def test_a_tenth_less_noise_than_there_is_would_be_noticed(noise: OpenedNoise) -> None:
    """The draws above are enough to tell a wrong interval from a right one."""
    assert isinstance(noise, DiscreteLaplace | LaplaceSum)
    told = dataclasses.replace(noise, scale=noise.scale * Fraction(9, 10))
    rng = np.random.default_rng(77)
    under, over = 64 * 200, 64 * 60
    inside = 0
    for top, bottom in zip(draws(noise, rng), draws(noise, rng), strict=True):
        found = ratio(told, over + int(top), 64, under + int(bottom), 64)
        assert found is not None
        inside += found.lower <= over / under <= found.upper
    assert inside / DRAWS < 0.95 - 4 * (0.05 * 0.95 / DRAWS) ** 0.5


def shown(noise: OpenedNoise, numerator: int, denominator: int) -> Ratio:
    """Return the ratio of two figures of one scale."""
    found = ratio(noise, numerator, 1, denominator, 1)
    assume(found is not None)
    assert found is not None
    return found


DENOMINATORS = st.integers(400, 30_000)
NUMERATORS = st.integers(-60_000, 60_000)


@given(st.sampled_from(LAPLACE), NUMERATORS, DENOMINATORS)
def test_the_ends_are_where_noise_stops_to_explain(
    noise: OpenedNoise, numerator: int, denominator: int
) -> None:
    """Inside, |N - t D| is within reach; just outside, and far outside, it is not."""
    assert isinstance(noise, DiscreteLaplace | LaplaceSum)
    far = reach(noise, LEVEL)
    found = shown(noise, numerator, denominator)

    def beyond(slope: float) -> float:
        return abs(numerator - slope * denominator) - far.at(slope)

    size = max(1.0, abs(found.lower), abs(found.upper))
    assert found.lower < found.estimate < found.upper
    for part in (1e-6, 0.3, 0.8, 1 - 1e-6):
        assert beyond(found.lower + part * (found.upper - found.lower)) < 0
    for away in (0.0, 1e-7 * size, 0.01 * size, size, 1000 * size):
        assert beyond(found.lower - away) > -1e-6 * denominator * size
        assert beyond(found.upper + away) > -1e-6 * denominator * size
    for away in (1e-6 * size, 0.01 * size, size, 1000 * size):
        assert beyond(found.lower - away) > 0
        assert beyond(found.upper + away) > 0


@given(st.sampled_from(NOISES), NUMERATORS, DENOMINATORS)
def test_the_other_sign_has_the_mirrored_interval(
    noise: OpenedNoise, numerator: int, denominator: int
) -> None:
    found = shown(noise, numerator, denominator)
    mirrored = shown(noise, -numerator, denominator)
    assert mirrored.lower == pytest.approx(-found.upper, rel=1e-12)
    assert mirrored.upper == pytest.approx(-found.lower, rel=1e-12)


@given(st.sampled_from(NOISES), st.integers(-2000, 2000), st.integers(-500, 500))
def test_a_ratio_is_given_only_of_a_denominator_above_its_noise(
    noise: OpenedNoise, numerator: int, denominator: int
) -> None:
    """However few steps of the lattice the noise is."""
    found = ratio(noise, numerator, 1, denominator, 1)
    least = LEAST_DENOMINATOR * standard_deviation(noise)
    assert found is None or denominator >= least


@pytest.mark.parametrize("scale", [Fraction(1, 8), Fraction(1), Fraction(3)])
@pytest.mark.parametrize("shape", [1, Fraction(4, 3)])
def test_noise_of_few_steps_has_ratios_too(scale: Fraction, shape: Fraction) -> None:
    noise = LaplaceSum(scale=scale, shape=Fraction(shape))
    found = ratio(noise, 300, 64, 640, 64)
    assert found is not None
    assert found.lower <= 300 / 640 <= found.upper
    assert ratio(noise, 300, 64, 0, 64) is None


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
