# SPDX-License-Identifier: Apache-2.0
"""The laws agree with brute-force sums and with scipy; intervals are the shortest."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from accord.core import interval
from accord.core.errors import InvalidQuery
from accord.core.interval import (
    cumulative,
    half_width,
    noisiest_within,
    probability,
    standard_deviation,
    upper_tail,
)
from accord.core.privacy import (
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Mechanism,
)

LAWS: list[type[Mechanism]] = [DiscreteGaussian, DiscreteLaplace]
SMALL = st.integers(1, 40 * 1024).map(lambda n: Fraction(n, 1024))
ANY_SCALE = st.integers(10, 2**42).map(lambda n: Fraction(n, 1024))
LEVELS = st.one_of(st.sampled_from([0.5, 0.9, 0.95, 0.99]), st.floats(1e-9, 1 - 1e-12))


def weight(mechanism: Mechanism, value: int) -> float:
    """Return the unnormalised weight of a value, straight from the definition."""
    if isinstance(mechanism, DiscreteGaussian):
        return math.exp(-float(Fraction(value * value) / (2 * mechanism.scale**2)))
    return math.exp(-float(abs(value) / mechanism.scale))


def brute_force(mechanism: Mechanism) -> dict[int, float]:
    """Return the whole law as a table, by summing weights."""
    reach = math.ceil(45 * mechanism.scale) + 70
    weights = {k: weight(mechanism, k) for k in range(-reach, reach + 1)}
    total = math.fsum(weights.values())
    return {k: w / total for k, w in weights.items()}


@pytest.mark.parametrize("law", LAWS)
@given(scale=SMALL, value=st.integers(-60, 60))
def test_law_is_the_brute_force_sum(
    law: type[Mechanism], scale: Fraction, value: int
) -> None:
    """Probability, distribution function, tail and spread."""
    mechanism = law(scale=scale)
    table = brute_force(mechanism)
    below = math.fsum(p for k, p in table.items() if k <= value)
    above = math.fsum(p for k, p in table.items() if k >= value)
    assert probability(mechanism, value) == pytest.approx(
        table.get(value, 0.0), rel=1e-9, abs=1e-200
    )
    assert cumulative(mechanism, value) == pytest.approx(below, rel=1e-9, abs=1e-15)
    assert upper_tail(mechanism, value) == pytest.approx(above, rel=1e-9, abs=1e-15)
    variance = math.fsum(k * k * p for k, p in table.items())
    assert standard_deviation(mechanism) == pytest.approx(
        math.sqrt(variance), rel=1e-9, abs=1e-150
    )


@pytest.mark.parametrize("law", LAWS)
@given(scale=SMALL, level=LEVELS)
def test_interval_is_the_shortest_that_reaches_the_level(
    law: type[Mechanism], scale: Fraction, level: float
) -> None:
    """Brute force over all half widths agrees, and so does the level attained."""
    mechanism = law(scale=scale)
    table = brute_force(mechanism)
    width, attained = half_width(mechanism, level)
    inside = math.fsum(p for k, p in table.items() if abs(k) <= width)
    assert attained >= level
    assert attained == pytest.approx(inside, abs=1e-12)
    if width:
        shorter = math.fsum(p for k, p in table.items() if abs(k) < width)
        assert shorter < level + 1e-12


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0, 100.0, 4096.0])
def test_discrete_laplace_is_scipys(scale: float) -> None:
    """Pmf, distribution function, spread and quantile."""
    mechanism = DiscreteLaplace(scale=Fraction(scale))
    theirs = scipy.stats.dlaplace(1 / scale)
    for value in [-3 * int(scale), -1, 0, 1, 2, 5 * int(scale) + 1]:
        assert probability(mechanism, value) == pytest.approx(theirs.pmf(value))
        assert cumulative(mechanism, value) == pytest.approx(theirs.cdf(value))
    assert standard_deviation(mechanism) == pytest.approx(theirs.std())
    width, attained = half_width(mechanism)
    assert attained == pytest.approx(theirs.cdf(width) - theirs.cdf(-width - 1))


@pytest.mark.parametrize("scale", [1.0, 10.0, 63.0, 65.0, 1000.0, 1e6])
def test_discrete_gaussian_is_nearly_the_continuous_one(scale: float) -> None:
    """With the continuity correction, to the order of 1/(24 scale^2)."""
    mechanism = DiscreteGaussian(scale=Fraction(scale))
    theirs = scipy.stats.norm(scale=scale)
    for unit in (-2.5, -1.0, 0.0, 0.3, 1.96):
        value = int(unit * scale)
        assert cumulative(mechanism, value) == pytest.approx(
            theirs.cdf(value + 0.5), abs=0.02 / scale**2 + 1e-12
        )
    spread = standard_deviation(mechanism)
    assert spread == pytest.approx(scale, rel=2e-7)
    assert spread <= scale


@given(numerator=st.integers(64 * 1024 + 1, 300 * 1024), unit=st.floats(0.001, 12))
def test_euler_maclaurin_equals_the_sum(numerator: int, unit: float) -> None:
    """Where the formula is used, it is right to the stated 1e-11."""
    scale = numerator / 1024
    value = max(1, int(unit * scale))
    summed = math.fsum(
        math.exp(-0.5 * (k / scale) ** 2)
        for k in range(value, value + math.ceil(10 * scale))
    )
    assert interval._gaussian_tail_sum(scale**2, value) == pytest.approx(
        summed, rel=2e-11
    )


@given(scale=ANY_SCALE, level=LEVELS)
def test_interval_of_any_scale_attains_its_level_and_not_one_less(
    scale: Fraction, level: float
) -> None:
    """Up to the largest scale there is."""
    for law in LAWS:
        mechanism = law(scale=scale)
        width, attained = half_width(mechanism, level)
        assert level <= attained <= 1
        assert 1 - 2 * upper_tail(mechanism, width + 1) == attained
        assert width == 0 or 2 * upper_tail(mechanism, width) > 1 - level


@given(scale=ANY_SCALE, more=st.integers(1, 2**20), level=LEVELS)
def test_more_noise_is_never_a_narrower_interval(
    scale: Fraction, more: int, level: float
) -> None:
    """The half width and the spread grow with the scale."""
    wider = min(scale + Fraction(more, 1024), Fraction(2**32))
    for law in LAWS:
        one, two = law(scale=scale), law(scale=wider)
        assert half_width(one, level).half_width <= half_width(two, level).half_width
        assert standard_deviation(one) <= standard_deviation(two) * (1 + 1e-12)


@pytest.mark.parametrize("accounting", list(Accounting))
@given(width=st.integers(0, 10**7), level=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_noisiest_within_is_the_largest_scale_that_fits(
    accounting: Accounting, width: int, level: float
) -> None:
    """One step of 1/1024 more would be too wide."""
    found = noisiest_within(accounting, width, level)
    assert found.accounting is accounting
    assert half_width(found, level).half_width <= width
    noisier = type(found)(scale=found.scale + Fraction(1, 1024))
    assert half_width(noisier, level).half_width > width


def test_noisiest_within_stops_at_the_largest_scale() -> None:
    """An error as wide as the world asks for as much noise as there is."""
    found = noisiest_within(Accounting.ZCDP, 10**12)
    assert found.scale == 2**32


def test_intervals_of_known_laws() -> None:
    """The discrete quantiles: 9 where the continuous Laplace would say 8.99."""
    assert half_width(DiscreteLaplace(scale=Fraction(3))).half_width == 9
    assert half_width(DiscreteGaussian(scale=Fraction(10))).half_width == 20
    tiny = Fraction(11, 1024)
    for law in LAWS:
        assert half_width(law(scale=tiny)) == (0, 1.0)
        assert standard_deviation(law(scale=tiny)) < 1e-15
        assert upper_tail(law(scale=tiny), 1) < 1e-30


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, 2.0, math.nan, math.inf])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    """Anything else is refused."""
    mechanism = DiscreteLaplace(scale=Fraction(3))
    with pytest.raises(InvalidQuery) as refused:
        half_width(mechanism, level)
    assert refused.value.reason == "LEVEL_INVALID"
    with pytest.raises(InvalidQuery):
        noisiest_within(Accounting.PURE, 5, level)


def test_an_error_below_zero_is_refused() -> None:
    """No noise is that precise."""
    with pytest.raises(InvalidQuery) as refused:
        noisiest_within(Accounting.ZCDP, -1)
    assert refused.value.reason == "ERROR_INVALID"
