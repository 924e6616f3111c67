# SPDX-License-Identifier: Apache-2.0
"""What a release opens with has the law that is printed, and the hub sees the stated.

Agencies draw their shares, the hub draws its top-up, each with the code that it uses;
sums are compared with exact laws (chi-square, threshold 1e-9) and with the same laws at
0.9 and 1.1 of their scale, which they must not be taken for. A last test computes
beforehand that the samples are large enough for these verdicts.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from accord.agent.rounds.vectors import share
from accord.core.opened import (
    GaussianSum,
    LaplaceSum,
    OpenedNoise,
    cumulative,
    half_width,
    standard_deviation,
)
from accord.core.placement import NoisePlan, Placement, plan_noise
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.hub.releases.noise import add_noise

pytestmark = pytest.mark.stat

Sample: TypeAlias = npt.NDArray[np.int64]
Law: TypeAlias = Callable[[float], OpenedNoise]
"""A law with its scale times a factor."""

THRESHOLD = 1e-9
"""False alarms of one comparison."""

BINS = 24
DRAWS = 100_000
MEMBERS, COLLUDING = 5, 1
D1, D2_SQUARED = 70, 1250
"""Of the sample agreement."""


def planned(placement: Placement, scale: Fraction, *, pure: bool = False) -> NoisePlan:
    """Return the plan for a release of the sample agreement."""
    build = DiscreteLaplace if pure else DiscreteGaussian
    return plan_noise(
        placement,
        build(scale=scale),
        members=MEMBERS,
        colluding=COLLUDING,
        d1=D1,
        d2_squared=D2_SQUARED,
    )


SHARED = planned(Placement.SHARED, Fraction(30))
SMALLEST = planned(Placement.SHARED, Fraction(3))
AGENTS = planned(Placement.AGENTS, Fraction(30))
POLYA = planned(Placement.AGENTS, Fraction(10), pure=True)
PLANS = {"shared": SHARED, "smallest": SMALLEST, "agents": AGENTS, "polya": POLYA}


def shares_of(plan: NoisePlan, members: int) -> Sample:
    """Return the sum of what so many agencies add, each from a seed of its own."""
    found = np.zeros(DRAWS, np.int64)
    for _ in range(members):
        found += share(plan, os.urandom(32), DRAWS)
    return found


def topped_up(plan: NoisePlan, sums: Sample) -> Sample:
    """Return what the hub makes of it."""
    if plan.top_up is None:
        return sums
    noisy = add_noise(sums, plan.top_up, d1=D1, d2_squared=D2_SQUARED)
    return np.array(noisy, dtype=np.int64)


def gaussian_of(variance: Fraction) -> Law:
    """Return the law of a sum of Gaussian shares."""
    return lambda factor: GaussianSum(
        variance=variance * Fraction(factor) ** 2, deviation=Fraction(0)
    )


def opened_by(plan: NoisePlan) -> Law:
    """Return the law that intervals are printed from."""
    opened = plan.opened
    if isinstance(opened, GaussianSum):
        return gaussian_of(opened.variance)
    assert isinstance(opened, LaplaceSum)
    scale, shape = opened.scale, opened.shape
    return lambda factor: LaplaceSum(scale=scale * Fraction(factor), shape=shape)


def seen_by_hub(plan: NoisePlan) -> Law:
    """Return the law that has the stated loss towards the hub."""
    assert plan.hub_loss is not None
    if isinstance(plan.mechanism, DiscreteGaussian):
        return gaussian_of(D2_SQUARED / (2 * plan.hub_loss))
    scale = D1 / plan.hub_loss
    return lambda factor: LaplaceSum(scale=scale * Fraction(factor), shape=Fraction(1))


def seen_by_others(plan: NoisePlan) -> Law:
    """Return the law that has the loss which is charged."""
    assert isinstance(plan.mechanism, DiscreteGaussian)
    loss = plan.mechanism.loss(d1=D1, d2_squared=D2_SQUARED)
    return gaussian_of(D2_SQUARED / (2 * loss.rho))


@functools.cache
def cuts(opened: OpenedNoise) -> tuple[int, ...]:
    """Return the upper ends of bins of about equal probability, the last one open."""
    found = set()
    reach = int(60 * standard_deviation(opened)) + 60
    for level in np.arange(1, BINS) / BINS:
        low, high = -reach, reach
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (
                (low, middle) if cumulative(opened, middle) >= level else (middle, high)
            )
        found.add(high)
    return tuple(sorted(found))


def weights(opened: OpenedNoise, ends: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return the probabilities of the bins."""
    return np.diff([0.0, *(cumulative(opened, end) for end in ends), 1.0])


def fit(sample: Sample, opened: OpenedNoise) -> float:
    """Return the probability of a worse fit, if the sample has this law."""
    ends = cuts(opened)
    bins = np.searchsorted(ends, sample, side="left")
    seen = np.bincount(bins, minlength=len(ends) + 1)
    expected = weights(opened, ends) * len(sample)
    return float(scipy.stats.chisquare(seen, expected).pvalue)


def assert_law(sample: Sample, law: Law) -> None:
    """Hold a sample to its law, and away from laws that are 10 % off."""
    assert fit(sample, law(1)) > THRESHOLD
    for factor in (0.9, 1.1):
        assert fit(sample, law(factor)) < THRESHOLD


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_release_opens_with_the_law_that_its_intervals_come_from(
    plan: NoisePlan,
) -> None:
    """Shares of all five agencies, and the hub's top-up where there is one."""
    sample = topped_up(plan, shares_of(plan, MEMBERS))
    assert_law(sample, opened_by(plan))
    width, level = half_width(plan.opened)
    held = int(np.count_nonzero(np.abs(sample) <= width))
    lower, upper = scipy.stats.binomtest(held, DRAWS).proportion_ci(
        confidence_level=1 - THRESHOLD
    )
    assert lower <= level <= upper
    assert float(sample.std()) == pytest.approx(
        standard_deviation(plan.opened), rel=0.05
    )


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_the_hub_and_a_colluder_see_noise_of_the_stated_loss(plan: NoisePlan) -> None:
    """The shares of the other four: of variance D2^2 / 2 rho, or of scale D1 / eps."""
    assert_law(shares_of(plan, MEMBERS - COLLUDING), seen_by_hub(plan))


def test_everybody_else_sees_noise_of_the_loss_that_is_charged() -> None:
    """Four shares and the top-up are one Gaussian of the price, though one colludes."""
    sample = topped_up(SHARED, shares_of(SHARED, MEMBERS - COLLUDING))
    assert_law(sample, seen_by_others(SHARED))


def test_hub_and_everybody_else_are_told_apart() -> None:
    """Shares alone have half of the spread: the weaker promise is no stronger one."""
    sample = shares_of(SHARED, MEMBERS - COLLUDING)
    assert fit(sample, seen_by_others(SHARED)(1)) < THRESHOLD


@pytest.mark.parametrize(
    "law",
    [
        *(opened_by(plan) for plan in PLANS.values()),
        *(seen_by_hub(plan) for plan in PLANS.values()),
        seen_by_others(SHARED),
    ],
)
def test_the_samples_are_large_enough_to_tell(law: Law) -> None:
    """A law that is 10 % off escapes detection less than once in a million runs."""
    for factor in (0.9, 1.1):
        other = law(factor)
        ends = cuts(other)
        wrong, right = weights(other, ends), weights(law(1), ends)
        excess = DRAWS * float(np.sum((right - wrong) ** 2 / wrong))
        limit = scipy.stats.chi2.isf(THRESHOLD, len(ends))
        assert scipy.stats.ncx2.cdf(limit, len(ends), excess) < 1e-6
