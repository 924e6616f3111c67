# SPDX-License-Identifier: Apache-2.0
"""Shares of noise follow the laws that agencies rely on, seen with enough power.

Every sample is compared with its exact law (chi-square, threshold 1e-9) and with the
same law at 0.9 and 1.1 of its scale, which it must reject. Production and reference
draw by different algorithms and are compared with each other in the same way. A last
test computes beforehand that the samples are large enough for these verdicts.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import random
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from accord.core.interval import probability
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.noise import polya as polya_module
from accord.noise import reference
from accord.noise.gaussian import discrete_gaussian
from accord.noise.poisson import PoissonTable
from accord.noise.polya import levels_of, polya
from accord.noise.randomness import Words

pytestmark = pytest.mark.stat

Sample: TypeAlias = npt.NDArray[np.int64]
Weights: TypeAlias = npt.NDArray[np.float64]
"""Probabilities of the integers from -n to n."""

THRESHOLD = 1e-9
"""False alarms of one comparison."""

BINS = 24
RAREST = 5e-4
"""Probability that a tail needs for a bin of its own."""

DRAWS = 200_000
SUMS = 100_000

SCALES = [Fraction(scale) for scale in ("1/2", "1", "3079/1024", "40", "500")]
PARTS = (2, 4, 9, 49)
WIDTHS = [Fraction(scale) for scale in ("1", "7/2", "30")]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two samplers of one law."""

    law: Callable[[Fraction], Weights]
    production: Callable[[Fraction], Sample]
    reference: Callable[[reference.RandBelow, Fraction], int]
    scale: Fraction
    draws: int
    """Of the reference, which is slow."""


def shares(parts: int) -> int:
    """Return a sample size: most shares of many parts are zero and tell little."""
    return DRAWS * (1 + parts // 6)


def words() -> Words:
    return Words(os.urandom(32))


def nearly(scale: Fraction, factor: float) -> Fraction:
    """Return the nearest scale that can be sampled."""
    return Fraction(round(float(scale) * factor * 1024), 1024)


@functools.cache
def gaussian_law(scale: Fraction) -> Weights:
    most = 12 * int(scale) + 12
    law = DiscreteGaussian(scale=scale)
    return np.array([probability(law, k) for k in range(-most, most + 1)])


@functools.cache
def laplace_law(scale: Fraction) -> Weights:
    most = 40 * int(scale) + 40
    law = DiscreteLaplace(scale=scale)
    return np.array([probability(law, k) for k in range(-most, most + 1)])


@functools.cache
def polya_law(scale: Fraction, parts: int) -> Weights:
    """Return the law of the difference of two negative binomial draws."""
    most = 40 * int(scale) + 40
    stops = -np.expm1(-1 / float(scale))
    one = scipy.stats.nbinom(1 / parts, stops).pmf(np.arange(most + 1))
    return np.convolve(one, one[::-1])


def bins_of(law: Weights) -> npt.NDArray[np.intp]:
    """Return the bin of every integer: zero by itself, the others about equal."""
    zero = len(law) // 2
    weights = law.copy()
    weights[zero] = 0
    below = np.cumsum(weights) - weights / 2
    found = (below / weights.sum() * BINS).astype(np.intp)
    found[zero] = BINS
    # Integers in a tail that is too thin to be a bin go with the next one inside.
    thin = int(np.searchsorted(np.cumsum(law), RAREST))
    found = found[np.clip(np.arange(len(law)), thin, len(law) - 1 - thin)]
    return np.unique(found, return_inverse=True)[1].astype(np.intp)


def counted(sample: Sample, bins: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return how many draws fall into each bin; far ones into the outermost."""
    found = bins[places(sample, bins)]
    return np.bincount(found, minlength=int(bins.max()) + 1)


def places(integers: Sample, bins: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return where integers stand among those that have bins."""
    zero = len(bins) // 2
    return np.clip(integers, -zero, zero) + zero


def fit(sample: Sample, law: Weights) -> float:
    """Return the probability of a worse fit, if the sample has this law."""
    bins = bins_of(law)
    expected = np.bincount(bins, weights=law) / law.sum() * len(sample)
    assert expected.min() > 50
    return float(scipy.stats.chisquare(counted(sample, bins), expected).pvalue)


def assert_law(
    sample: Sample, law: Callable[[Fraction], Weights], scale: Fraction
) -> None:
    """Hold a sample to its law, and away from laws that are 10 % off."""
    assert fit(sample, law(scale)) > THRESHOLD
    for factor in (0.9, 1.1):
        assert fit(sample, law(nearly(scale, factor))) < THRESHOLD


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_discrete_gaussian(scale: Fraction) -> None:
    assert_law(discrete_gaussian(words(), scale, DRAWS), gaussian_law, scale)


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("scale", WIDTHS, ids=str)
def test_polya_shares(scale: Fraction, parts: int) -> None:
    sample = polya(words(), scale, parts, shares(parts))
    assert_law(sample, lambda width: polya_law(width, parts), scale)


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("scale", WIDTHS, ids=str)
def test_all_parts_sum_to_the_discrete_laplace_law(scale: Fraction, parts: int) -> None:
    """Each agency draws for all cells from a seed of its own, and the sum is opened."""
    sample = sum(polya(words(), scale, parts, SUMS) for _ in range(parts))
    assert isinstance(sample, np.ndarray)
    assert_law(sample, laplace_law, scale)


def test_a_missing_share_is_noticed() -> None:
    """Eight of nine shares are not yet the discrete Laplace law."""
    sample = sum(polya(words(), Fraction(7, 2), 9, SUMS) for _ in range(8))
    assert isinstance(sample, np.ndarray)
    assert fit(sample, laplace_law(Fraction(7, 2))) < THRESHOLD


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(30)], ids=str)
def test_one_part_alone_is_the_discrete_laplace_law(scale: Fraction) -> None:
    assert_law(polya(words(), scale, 1, DRAWS), laplace_law, scale)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: discrete_gaussian(words(), Fraction(3079, 1024), DRAWS),
        lambda: polya(words(), Fraction(30), 2, DRAWS),
    ],
    ids=["Gaussian", "Polya"],
)
def test_cells_are_independent(draw: Callable[[], Sample]) -> None:
    """Neighbouring cells, and the same cell of two vectors, do not move together.

    Nor do their sizes, which a wrong border between two shares would tie.
    """
    one, two = draw(), draw()
    for left, right in ((one[:-1], one[1:]), (one, two), (one[::2], one[1::2])):
        for first, second in ((left, right), (np.abs(left), np.abs(right))):
            correlation = float(np.corrcoef(first, second)[0, 1])
            assert abs(correlation) < 6.2 / np.sqrt(len(left))


def test_refined_draws_have_the_same_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that looks at four bits and ends early: most draws are refined."""
    scale, parts = Fraction(7, 2), 4
    mean = Fraction(2 * (levels_of(scale) + 1), parts)
    table = PoissonTable(mean, entries=int(mean) + 1, bits=4)
    monkeypatch.setattr(polya_module, "_candidates", lambda _parts, _levels: table)
    sample = polya(words(), scale, parts, DRAWS)
    assert_law(sample, lambda width: polya_law(width, parts), scale)


REFERENCE: dict[str, Comparison] = {
    "Gaussian 1/2": Comparison(
        law=gaussian_law,
        production=lambda scale: discrete_gaussian(words(), scale, DRAWS),
        reference=reference.discrete_gaussian,
        scale=Fraction(1, 2),
        draws=20_000,
    ),
    "Gaussian 3+7/1024": Comparison(
        law=gaussian_law,
        production=lambda scale: discrete_gaussian(words(), scale, DRAWS),
        reference=reference.discrete_gaussian,
        scale=Fraction(3079, 1024),
        draws=20_000,
    ),
    "Polya 1/2 of 7/2": Comparison(
        law=lambda scale: polya_law(scale, 2),
        production=lambda scale: polya(words(), scale, 2, DRAWS),
        reference=lambda below, scale: reference.polya(below, scale, 2),
        scale=Fraction(7, 2),
        draws=40_000,
    ),
    "Polya 1/4 of 1": Comparison(
        law=lambda scale: polya_law(scale, 4),
        production=lambda scale: polya(words(), scale, 4, DRAWS),
        reference=lambda below, scale: reference.polya(below, scale, 4),
        scale=Fraction(1),
        draws=60_000,
    ),
}


@pytest.mark.parametrize("name", REFERENCE)
def test_production_draws_what_the_reference_draws(name: str) -> None:
    """And it would be told apart if its scale were 10 % off."""
    case = REFERENCE[name]
    below = random.Random(os.urandom(32)).randrange
    slow = np.array(
        [case.reference(below, case.scale) for _ in range(case.draws)], np.int64
    )
    bins = bins_of(case.law(case.scale))
    pvalues = [
        same(case.production(nearly(case.scale, factor)), slow, bins)
        for factor in (1.0, 0.9, 1.1)
    ]
    assert pvalues[0] > THRESHOLD
    assert max(pvalues[1:]) < THRESHOLD


def same(one: Sample, two: Sample, bins: npt.NDArray[np.intp]) -> float:
    """Return the probability of a larger difference, if both have one law."""
    table = np.stack([counted(one, bins), counted(two, bins)])
    return float(scipy.stats.chi2_contingency(table).pvalue)


POWER: list[tuple[str, Callable[[Fraction], Weights], Fraction, float]] = [
    *(("Gaussian", gaussian_law, scale, DRAWS) for scale in SCALES),
    *(
        (f"1/{parts}", functools.partial(polya_law, parts=parts), scale, shares(parts))
        for parts in PARTS
        for scale in WIDTHS
    ),
    *(("Laplace", laplace_law, scale, SUMS) for scale in WIDTHS),
    *(
        # Two samples tell as much as one of this size beside a known law.
        (name, case.law, case.scale, 1 / (1 / case.draws + 1 / DRAWS))
        for name, case in REFERENCE.items()
    ),
]


@pytest.mark.parametrize(
    ("law", "scale", "draws"),
    [case[1:] for case in POWER],
    ids=[f"{case[0]} {case[2]}" for case in POWER],
)
def test_the_samples_are_large_enough_to_tell(
    law: Callable[[Fraction], Weights], scale: Fraction, draws: float
) -> None:
    """A law that is 10 % off escapes detection less than once in a million runs."""
    for factor in (0.9, 1.1):
        wrong = law(nearly(scale, factor))
        bins = bins_of(wrong)
        expected = np.bincount(bins, weights=wrong)
        right = law(scale)
        integers = np.arange(len(right)) - len(right) // 2
        seen = np.bincount(bins[places(integers, bins)], weights=right)
        excess = draws * float(np.sum((seen - expected) ** 2 / expected))
        limit = scipy.stats.chi2.isf(THRESHOLD, len(expected) - 1)
        assert scipy.stats.ncx2.cdf(limit, len(expected) - 1, excess) < 1e-6
