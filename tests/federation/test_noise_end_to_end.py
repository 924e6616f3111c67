# SPDX-License-Identifier: Apache-2.0
"""What analysts get is the truth plus the noise that was announced, and no other.

Questions that differ in their filter are asked afresh, each with 16,040 cells of which
the exact values are known; what is left after taking those away is a sample of noise.
It must follow the law of what is opened, whoever added it: the hub, the agencies, or
both; and not one with a tenth more or less of it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

import accord.client as accord
from accord.core.opened import (
    GaussianSum,
    LaplaceSum,
    OpenedNoise,
    cumulative,
    standard_deviation,
)
from accord.core.placement import NoisePlan
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.core.terms import noise_plan
from tests.federation.asked import terms_of
from tests.federation.network import Network
from tests.federation.small_world import PURPOSE, THREE, SmallWorld

pytestmark = [pytest.mark.federation, pytest.mark.stat, pytest.mark.slow]

THRESHOLD = 1e-9
DEVIATIONS = np.linspace(-2.2, 2.2, 23)
"""Where bins end, in standard deviations; the first and the last one are open."""

PARISHES = ("unknown", *(f"p{number:03d}" for number in range(39)))

Answer = tuple[accord.Result, npt.NDArray[np.int64]]
"""A result, and the exact stored integers of its cells."""

Asked = tuple[NoisePlan, int, list[Answer]]
"""Who added which noise, the stored integer of one count, and what came."""

KINDS: dict[str, tuple[str, type[OpenedNoise]]] = {
    "three": ("hub", DiscreteGaussian),
    "pure": ("hub", DiscreteLaplace),
    "shared": ("shared", GaussianSum),
    "agents": ("agents", GaussianSum),
    "polya": ("agents", LaplaceSum),
}
"""Who adds it by agreement, and of which family the sum is."""


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones().start(THREE) as running:
        yield running


@pytest.fixture(scope="module", params=list(KINDS))
def releases(
    request: pytest.FixtureRequest, network: Network, world: SmallWorld
) -> Asked:
    """Return the answers to four questions."""
    found: list[Answer] = []
    with network.connect() as hub:
        for district in ("n1", "n2", "s1", "s2"):
            result = (
                hub.agreement(request.param)
                .persons()
                .by("parish", "workplace")
                .where(district=district, parish=PARISHES)
                .release(epsilon=1, purpose=PURPOSE)
            )
            found.append((result, exact(world, result, district)))
    ((plan, scale),) = {plan_of(network, result) for result, _ in found}
    placement, family = KINDS[request.param]
    assert plan.placement == placement
    assert isinstance(plan.opened, family)
    for result, _ in found:
        assert result.noise_placement == placement
        assert Fraction(result.noise_scale) == plan.mechanism.scale
    return plan, scale, [(result, scale * counts) for result, counts in found]


def plan_of(network: Network, result: accord.Result) -> tuple[NoisePlan, int]:
    """Return what agencies signed to add, computed from the signed agreement again.

    And the stored integer of one count, which follows from it too.
    """
    sql = "SELECT submission, noise, cohort FROM transcripts WHERE release = ?"
    ((submission, signed, cohort),) = network.rows(sql, result.id)
    agreement, requisition, found = terms_of(network, submission)
    members = len(agreement.cohorts[cohort])
    plan = noise_plan(agreement, found, requisition.mechanism, members)
    assert plan.digest() == signed
    assert found.figure_scale is not None
    return plan, found.figure_scale


def exact(
    world: SmallWorld, result: accord.Result, district: str
) -> npt.NDArray[np.int64]:
    truth = world.persons(
        THREE,
        lambda case: ("unknown", "unknown") if case.district == district else (),
    )
    counts = [truth.get(row.values, 0) for row in result]
    assert sum(counts) == truth["unknown", "unknown"] > 0
    return np.array(counts, dtype=np.int64)


def noise_of(
    scale: int, result: accord.Result, exact_integers: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    stored = [scale * (row.estimate.estimate or 0.0) for row in result]
    assert all(value.is_integer() for value in stored)
    return np.array(stored, dtype=np.int64) - exact_integers


def chi_square(sample: npt.NDArray[np.int64], law: OpenedNoise) -> float:
    """Return the probability of a worse fit, if the sample has this law."""
    ends = np.round(DEVIATIONS * standard_deviation(law)).astype(int)
    seen = np.bincount(np.searchsorted(ends, sample), minlength=len(ends) + 1)
    below = [0.0, *(cumulative(law, int(end)) for end in ends), 1.0]
    return float(scipy.stats.chisquare(seen, np.diff(below) * len(sample)).pvalue)


def scaled(law: OpenedNoise, factor: Fraction) -> OpenedNoise:
    """Return the law of the same noise with so much more or less of it."""
    match law:
        case GaussianSum(variance=variance):
            return dataclasses.replace(law, variance=variance * factor**2)
        case LaplaceSum(scale=scale):
            return dataclasses.replace(law, scale=scale * factor)
        case _:
            scale = Fraction(round(law.scale * 1024 * factor), 1024)
            return type(law)(scale=scale)


def test_the_noise_has_the_law_of_what_is_opened_and_no_other(releases: Asked) -> None:
    plan, scale, found = releases
    sample = np.concatenate([noise_of(scale, *each) for each in found])
    assert len(sample) == 4 * 16_040
    assert chi_square(sample, plan.opened) > THRESHOLD
    for factor in (Fraction(9, 10), Fraction(11, 10)):
        assert chi_square(sample, scaled(plan.opened, factor)) < THRESHOLD
    if plan.share is not None:
        # one share too few, or only what the release is priced by, would be noticed
        assert chi_square(sample, plan.mechanism) < THRESHOLD


def test_no_noise_is_drawn_twice(releases: Asked) -> None:
    """Answers to different questions are independent of each other."""
    _, scale, found = releases
    noises = [noise_of(scale, *each) for each in found]
    for first, second in itertools.combinations(noises, 2):
        correlation = scipy.stats.pearsonr(first, second)
        assert correlation.pvalue > THRESHOLD
        assert abs(correlation.statistic) < 0.06


def test_intervals_hold_the_truth_as_often_as_they_say(releases: Asked) -> None:
    _, scale, found = releases
    inside = total = 0
    for result, exact_integers in found:
        for row, whole in zip(result, exact_integers, strict=True):
            truth = int(whole) / scale
            assert row.estimate.lower is not None
            assert row.estimate.upper is not None
            inside += row.estimate.lower <= truth <= row.estimate.upper
            total += 1
    level = found[0][0].level
    assert 0.95 <= level < 0.97
    lower, upper = scipy.stats.binomtest(inside, total).proportion_ci(
        confidence_level=1 - THRESHOLD
    )
    assert lower <= level <= upper
