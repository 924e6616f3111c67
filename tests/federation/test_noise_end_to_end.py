# SPDX-License-Identifier: Apache-2.0
"""What analysts get is the truth plus the noise that was announced, and no other.

Questions that differ in their filter are asked afresh, each with 16,040 cells of which
the exact values are known; what is left after taking those away is a sample of noise.
It must follow the announced law, and not one with a tenth more or less of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

import accord.client as accord
from accord.core.interval import cumulative, standard_deviation
from accord.core.measure import CELL_SCALE
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace, Mechanism
from tests.federation.network import Network
from tests.federation.small_world import PURPOSE, THREE, SmallWorld

pytestmark = [pytest.mark.federation, pytest.mark.stat, pytest.mark.slow]

THRESHOLD = 1e-9
DEVIATIONS = np.linspace(-2.2, 2.2, 23)
"""Where bins end, in standard deviations; the first and the last one are open."""

PARISHES = ("unknown", *(f"p{number:03d}" for number in range(39)))

Answer = tuple[accord.Result, npt.NDArray[np.int64]]
"""A result, and the exact stored integers of its cells."""

Asked = tuple[Mechanism, list[Answer]]
"""What was announced, and what came."""

KINDS: dict[str, type[Mechanism]] = {"three": DiscreteGaussian, "pure": DiscreteLaplace}


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
    scales = {result.noise_scale for result, _ in found}
    assert len(scales) == 1
    return KINDS[request.param](scale=Fraction(scales.pop())), found


def exact(
    world: SmallWorld, result: accord.Result, district: str
) -> npt.NDArray[np.int64]:
    truth = world.persons(
        THREE,
        lambda case: ("unknown", "unknown") if case.district == district else (),
    )
    counts = [truth.get(row.values, 0) for row in result]
    assert sum(counts) == truth["unknown", "unknown"] > 0
    return CELL_SCALE * np.array(counts, dtype=np.int64)


def noise_of(
    result: accord.Result, exact_integers: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    stored = [CELL_SCALE * (row.estimate.estimate or 0.0) for row in result]
    assert all(value.is_integer() for value in stored)
    return np.array(stored, dtype=np.int64) - exact_integers


def chi_square(sample: npt.NDArray[np.int64], mechanism: Mechanism) -> float:
    """Return the probability of a worse fit, if the sample has this law."""
    ends = np.round(DEVIATIONS * standard_deviation(mechanism)).astype(int)
    seen = np.bincount(np.searchsorted(ends, sample), minlength=len(ends) + 1)
    below = [0.0, *(cumulative(mechanism, int(end)) for end in ends), 1.0]
    return float(scipy.stats.chisquare(seen, np.diff(below) * len(sample)).pvalue)


def test_the_noise_has_the_announced_law_and_no_other(releases: Asked) -> None:
    mechanism, found = releases
    sample = np.concatenate([noise_of(*each) for each in found])
    assert len(sample) == 4 * 16_040
    assert chi_square(sample, mechanism) > THRESHOLD
    for factor in (0.9, 1.1):
        scale = Fraction(round(mechanism.scale * 1024 * Fraction(factor)), 1024)
        assert chi_square(sample, type(mechanism)(scale=scale)) < THRESHOLD


def test_no_noise_is_drawn_twice(releases: Asked) -> None:
    """Answers to different questions are independent of each other."""
    _, found = releases
    noises = [noise_of(*each) for each in found]
    for first, second in itertools.combinations(noises, 2):
        correlation = scipy.stats.pearsonr(first, second)
        assert correlation.pvalue > THRESHOLD
        assert abs(correlation.statistic) < 0.06


def test_intervals_hold_the_truth_as_often_as_they_say(releases: Asked) -> None:
    _, found = releases
    inside = total = 0
    for result, exact_integers in found:
        for row, whole in zip(result, exact_integers, strict=True):
            truth = int(whole) / CELL_SCALE
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
