# SPDX-License-Identifier: Apache-2.0
"""The law of a sum of noises is never narrower than the sum itself."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from accord.core import interval
from accord.core.opened import (
    GaussianSum,
    LaplaceSum,
    OpenedNoise,
    half_width,
    standard_deviation,
    upper_tail,
)
from accord.core.placement import Placement, plan_noise
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace, Mechanism
from accord.core.summed_noise import LARGEST_SHAPE, summed_noise


def convolved(mechanism: Mechanism, count: int, reach: int) -> list[float]:
    """Return the law of a sum, from -reach to reach, by convolution."""
    one = [interval.probability(mechanism, k) for k in range(-reach, reach + 1)]
    found = np.array([1.0])
    for _ in range(count):
        found = np.convolve(found, one)
    middle = len(found) // 2
    return list(found[middle - reach : middle + reach + 1])


@pytest.mark.parametrize("count", [2, 3, 12])
@pytest.mark.parametrize(
    "mechanism",
    [
        DiscreteGaussian(scale=Fraction(3, 4)),
        DiscreteGaussian(scale=Fraction(5)),
        DiscreteLaplace(scale=Fraction(1, 2)),
        DiscreteLaplace(scale=Fraction(4)),
    ],
)
def test_the_interval_of_a_sum_holds_its_level(
    mechanism: Mechanism, count: int
) -> None:
    law = summed_noise(mechanism, count)
    assert law is not None
    masses = convolved(mechanism, count, 400)
    # the deviation of so small a Gaussian is not negligible
    slack = 0.05 if mechanism.scale < 1 else 1e-6
    for level in (0.5, 0.95, 0.999):
        width, attained = half_width(law, level)
        inside = sum(masses[400 - width : 400 + width + 1])
        assert inside >= attained - 1e-9
        narrower = sum(masses[400 - width + 1 : 400 + width])
        assert narrower < level + slack  # and hardly a narrower one does
    spread = standard_deviation(mechanism) * count**0.5
    assert standard_deviation(law) == pytest.approx(spread, rel=slack)
    assert upper_tail(law, 3) == pytest.approx(sum(masses[403:]), rel=slack)


def test_a_shared_noise_keeps_the_deviation_of_each_summand() -> None:
    plan = plan_noise(
        Placement.SHARED,
        DiscreteGaussian(scale=Fraction(40)),
        members=5,
        colluding=1,
        d1=100,
        d2_squared=400,
        hub_rho_cap=None,
    )
    one = plan.opened
    assert isinstance(one, GaussianSum)
    law = summed_noise(one, 7)
    assert isinstance(law, GaussianSum)
    assert law.variance == 7 * one.variance
    assert law.deviation >= 7 * one.deviation


def test_one_entry_is_left_as_it_is() -> None:
    one: OpenedNoise = LaplaceSum(scale=Fraction(3), shape=Fraction(5, 4))
    assert summed_noise(one, 1) is one
    assert summed_noise(one, 4) == LaplaceSum(scale=Fraction(3), shape=Fraction(5))


def test_what_is_not_proven_is_not_stated() -> None:
    assert summed_noise(DiscreteGaussian(scale=Fraction(1, 2)), 2) is None
    laplace = DiscreteLaplace(scale=Fraction(3))
    assert summed_noise(laplace, LARGEST_SHAPE) is not None
    assert summed_noise(laplace, LARGEST_SHAPE + 1) is None
