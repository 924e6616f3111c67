# SPDX-License-Identifier: Apache-2.0
"""The sampler's draws follow the law that was paid for, seen with enough power.

Every sample is compared with its own law (chi-square, threshold 1e-9) and with the
same law at 0.9 and 1.1 of its scale, which it must reject: a test that cannot tell
10 % more noise apart proves nothing. Another test computes beforehand that the sample
is large enough for both verdicts to be certain.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from accord.core.epsilon_delta import delta_upper
from accord.core.interval import (
    cumulative,
    half_width,
    standard_deviation,
)
from accord.core.measure import ComponentVector
from accord.core.privacy import (
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Loss,
    Mechanism,
    nano_down,
)
from accord.hub.releases.noise import add_noise

pytestmark = pytest.mark.stat

THRESHOLD = 1e-9
"""False alarms of one comparison."""

DRAWS: dict[type[Mechanism], int] = {DiscreteGaussian: 20_000, DiscreteLaplace: 50_000}
"""The heavier tail of the Laplace law says less about its scale, draw for draw."""

BINS = 24


def law(kind: type[Mechanism], scale: float) -> Mechanism:
    """Return the mechanism with the nearest scale that can be sampled."""
    return kind(scale=Fraction(round(scale * 1024), 1024))


QUICK = [law(DiscreteGaussian, 10), law(DiscreteLaplace, 3)]
THOROUGH = [
    law(kind, scale)
    for kind in (DiscreteGaussian, DiscreteLaplace)
    for scale in (0.5, 1, 2.125, 50, 1000, 1e6)
]
CASES = [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in THOROUGH)]


def drawn(mechanism: Mechanism, draws: int, around: int = 0) -> npt.NDArray[np.int64]:
    """Return independent noisy values of one number."""
    noisy = add_noise([around] * draws, mechanism, d1=1, d2_squared=1)
    return np.array(noisy, dtype=np.int64)


@functools.cache
def cuts(mechanism: Mechanism) -> tuple[int, ...]:
    """Return the upper ends of bins of about equal probability, the last one open."""
    found: list[int] = []
    for level in np.arange(1, BINS) / BINS:
        low, high = -math.ceil(50 * mechanism.scale), math.ceil(50 * mechanism.scale)
        while high - low > 1:
            middle = (low + high) // 2
            if cumulative(mechanism, middle) >= level:
                high = middle
            else:
                low = middle
        found.append(high)
    ends = sorted(set(found))
    while 1 - cumulative(mechanism, ends[-1]) < 0.01:
        ends.pop()
    return tuple(ends)


def shares(mechanism: Mechanism, ends: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return the probabilities of the bins."""
    return np.diff([0.0, *(cumulative(mechanism, end) for end in ends), 1.0])


def chi_square(sample: npt.NDArray[np.int64], mechanism: Mechanism) -> float:
    """Return the probability of a worse fit, if the sample has this law."""
    ends = cuts(mechanism)
    bins = np.searchsorted(ends, sample, side="left")
    seen = np.bincount(bins, minlength=len(ends) + 1)
    expected = shares(mechanism, ends) * len(sample)
    return float(scipy.stats.chisquare(seen, expected).pvalue)


@pytest.mark.parametrize("mechanism", CASES, ids=str)
def test_draws_have_the_stated_law_and_no_other(mechanism: Mechanism) -> None:
    """Accepted at its own scale, rejected at 10 % less and at 10 % more."""
    sample = drawn(mechanism, DRAWS[type(mechanism)])
    assert chi_square(sample, mechanism) > THRESHOLD
    for factor in (0.9, 1.1):
        other = law(type(mechanism), float(mechanism.scale) * factor)
        assert chi_square(sample, other) < THRESHOLD


@pytest.mark.parametrize("mechanism", [*QUICK, *THOROUGH], ids=str)
def test_the_sample_is_large_enough_to_tell(mechanism: Mechanism) -> None:
    """A law that is 10 % off escapes detection less than once in a million runs."""
    for factor in (0.9, 1.1):
        other = law(type(mechanism), float(mechanism.scale) * factor)
        ends = cuts(other)
        wrong, right = shares(other, ends), shares(mechanism, ends)
        excess = DRAWS[type(mechanism)] * float(np.sum((right - wrong) ** 2 / wrong))
        limit = scipy.stats.chi2.isf(THRESHOLD, len(ends))
        assert scipy.stats.ncx2.cdf(limit, len(ends), excess) < 1e-6


@pytest.mark.parametrize("mechanism", CASES, ids=str)
def test_intervals_cover_at_their_stated_level(mechanism: Mechanism) -> None:
    """The share inside is the level attained, to 2.5 % and to what chance allows."""
    draws = DRAWS[type(mechanism)]
    sample = np.abs(drawn(mechanism, draws))
    for level in (0.5, 0.8, 0.95):
        width, attained = half_width(mechanism, level)
        inside = int(np.count_nonzero(sample <= width))
        lower, upper = scipy.stats.binomtest(inside, draws).proportion_ci(
            confidence_level=1 - THRESHOLD
        )
        assert lower <= attained <= upper
        assert abs(inside / draws - attained) < 0.025


@pytest.mark.parametrize("mechanism", CASES, ids=str)
def test_mean_and_spread_are_the_laws(mechanism: Mechanism) -> None:
    """No bias, and the standard deviation that is printed beside an estimate."""
    sample = drawn(mechanism, DRAWS[type(mechanism)], around=1000).astype(np.float64)
    spread = standard_deviation(mechanism)
    standard_error = spread / math.sqrt(len(sample))
    assert abs(float(sample.mean()) - 1000) < 6.2 * standard_error
    assert float(sample.std()) == pytest.approx(spread, rel=0.06)


@pytest.mark.parametrize("mechanism", QUICK, ids=str)
def test_entries_of_one_vector_are_independent(mechanism: Mechanism) -> None:
    """Neighbouring entries, and the same entry of two vectors, do not move together."""
    one, two = drawn(mechanism, 20_000), drawn(mechanism, 20_000)
    for left, right in ((one[:-1], one[1:]), (one, two), (one[::2], one[1::2])):
        correlation = float(np.corrcoef(left, right)[0, 1])
        assert abs(correlation) < 6.2 / math.sqrt(len(left))


# One person more, at every agency: what an attacker sees is weighed against the loss
# that the accounts were charged.

DECLARED = ComponentVector.of_counts(Accounting.ZCDP, groups=3, drop_cap=1)
AGENCIES = 2
D1, D2_SQUARED = DECLARED.d1(AGENCIES), DECLARED.d2_squared(AGENCIES)
WITHOUT = [40, 0, 7, 120, 60, 3]
WITH = [
    entry + AGENCIES * change
    for entry, change in zip(WITHOUT, [4, 4, 4, 0, 1, 1], strict=True)
]
ATTACKS = 8_000


def log_likelihoods(mechanism: Mechanism) -> npt.NDArray[np.float64]:
    """Return the privacy loss of answers about the data with the person in them.

    For each answer, the logarithm of how much likelier it is with the person than
    without: nobody can tell the two apart better than by this number.
    """
    answers = np.array(
        add_noise(WITH * ATTACKS, mechanism, d1=D1, d2_squared=D2_SQUARED)
    ).reshape(ATTACKS, len(WITH))

    def log_weight(value: int) -> float:
        if isinstance(mechanism, DiscreteGaussian):
            return -value * value / (2 * float(mechanism.scale) ** 2)
        return -abs(value) / float(mechanism.scale)

    weigh = np.vectorize(log_weight, otypes=[np.float64])
    difference = weigh(answers - np.array(WITH)) - weigh(answers - np.array(WITHOUT))
    return np.asarray(difference.sum(axis=1), dtype=np.float64)


def test_a_person_at_every_agency_loses_at_most_epsilon_and_really_that() -> None:
    """Pure: no answer betrays more than epsilon; some answers betray it all."""
    paid = Loss(nano_epsilon=1_500_000_000)
    mechanism = DiscreteLaplace.for_loss(paid, d1=D1, d2_squared=D2_SQUARED)
    losses = log_likelihoods(mechanism)
    epsilon = float(mechanism.privacy_function(D1))
    assert epsilon <= 1.5
    assert float(np.abs(losses).max()) <= epsilon * (1 + 1e-9)
    assert float(losses.max()) > 0.99 * epsilon


def test_a_person_at_every_agency_loses_rho_and_really_that() -> None:
    """zCDP: the loss has the mean rho and the variance 2 rho of the worst case.

    Less would be noise that nobody paid for, more a broken promise.
    """
    paid = Loss(nano_rho=250_000_000)
    mechanism = DiscreteGaussian.for_loss(paid, d1=D1, d2_squared=D2_SQUARED)
    losses = log_likelihoods(mechanism)
    rho = float(mechanism.privacy_function(D2_SQUARED))
    assert rho == pytest.approx(0.25, rel=1e-3)
    standard_error = math.sqrt(2 * rho / ATTACKS)
    assert abs(float(losses.mean()) - rho) < 6.2 * standard_error
    assert float(losses.var()) == pytest.approx(2 * rho, rel=0.12)


CERTAIN = THRESHOLD / 1000
"""Every value that a sample takes is looked at, so each look must be surer."""


def surely_less(count: int, draws: int) -> float:
    """Return a share that the true one exceeds."""
    return float(scipy.stats.beta.ppf(CERTAIN, count, draws - count + 1))


def surely_more(count: int, draws: int) -> float:
    """Return a share that exceeds the true one."""
    if count == draws:
        return 1.0
    return float(scipy.stats.beta.ppf(1 - CERTAIN, count + 1, draws - count))


def tails(
    one: npt.NDArray[np.int64], two: npt.NDArray[np.int64]
) -> list[tuple[float, float]]:
    """Return bounds on the probabilities of every event "this value or more".

    The first is surely below that in the first sample, the other surely above that in
    the second.
    """
    draws = len(one)
    first, second = np.sort(one), np.sort(two)
    found = []
    for value in np.unique(one):
        count = draws - int(np.searchsorted(first, value))
        other = draws - int(np.searchsorted(second, value))
        found.append((surely_less(count, draws), surely_more(other, draws)))
    return found


def test_histograms_of_neighbours_differ_by_epsilon_and_not_by_less() -> None:
    """Knowing no law, only counting: the promise holds, 0.7 of it would not."""
    mechanism, distance, draws = DiscreteLaplace(scale=Fraction(4)), 3, 40_000
    epsilon = float(mechanism.privacy_function(distance))
    pairs = tails(drawn(mechanism, draws, around=distance), drawn(mechanism, draws))
    betrayed = max(math.log(less / more) for less, more in pairs)
    assert 0.7 * epsilon < betrayed <= epsilon


def test_histograms_of_neighbours_keep_the_converted_delta() -> None:
    """Counting again: (epsilon, delta) holds, that of a quarter rho would not."""
    mechanism, distance, draws = DiscreteGaussian(scale=Fraction(4)), 4, 40_000
    rho = mechanism.privacy_function(distance**2)
    pairs = tails(drawn(mechanism, draws, around=distance), drawn(mechanism, draws))
    for epsilon in (Fraction(1, 4), Fraction(1, 2), Fraction(1)):
        betrayed = max(less - math.exp(epsilon) * more for less, more in pairs)
        assert betrayed <= delta_upper(nano_down(rho), epsilon)
        assert betrayed > delta_upper(nano_down(rho / 4), epsilon)


def test_a_bias_is_noticed() -> None:
    """A shift by a fifth of the scale is rejected: the chi-square sees both sides."""
    mechanism = QUICK[0]
    assert chi_square(drawn(mechanism, 20_000, around=2), mechanism) < THRESHOLD
