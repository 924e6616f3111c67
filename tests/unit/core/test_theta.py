# SPDX-License-Identifier: Apache-2.0
"""Sums of discrete Gaussians: the bounds hold against numeric laws of 50 digits."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.theta import TWO_PI_SQUARED, joined, rho_upper, summed

REACH = 200
"""Values of a law that are looked at, to either side."""

PI = Decimal("3.14159265358979323846264338327950288419716939937511")
LEAST_SHARE = Fraction(1449, 1024) ** 2
"""Variance of the smallest share that agencies add."""

Law = Mapping[int, Decimal]


def decimal(value: Fraction) -> Decimal:
    """Return a fraction in 50 digits."""
    with localcontext() as context:
        context.prec = 50
        return Decimal(value.numerator) / Decimal(value.denominator)


@functools.cache
def gaussian(variance: Fraction) -> Law:
    """Return the law of one discrete Gaussian, from its definition."""
    with localcontext() as context:
        context.prec = 50
        twice = 2 * decimal(variance)
        weights = {k: (-Decimal(k * k) / twice).exp() for k in range(REACH + 1)}
        total = weights[0] + 2 * sum(weights[k] for k in range(1, REACH + 1))
        return {k: weights[abs(k)] / total for k in range(-REACH, REACH + 1)}


def convolved(one: Law, two: Law) -> Law:
    """Return the law of a sum of independent numbers, within the reach."""
    with localcontext() as context:
        context.prec = 50
        half = {
            k: sum(
                (p * two[k - j] for j, p in one.items() if k - j in two),
                start=Decimal(0),
            )
            for k in range(REACH + 1)
        }
    return {k: half[abs(k)] for k in range(-REACH, REACH + 1)}


@functools.cache
def shares(variance: Fraction, count: int) -> Law:
    """Return the law of a sum of shares."""
    one = gaussian(variance)
    return one if count == 1 else convolved(shares(variance, count - 1), one)


def renyi(law: Law, shift: int, order: int) -> Decimal:
    """Return the Renyi divergence of a law from itself, moved by *shift*."""
    with localcontext() as context:
        context.prec = 50
        total = sum(
            (
                p**order / law[k - shift] ** (order - 1)
                for k, p in law.items()
                if k - shift in law
            ),
            start=Decimal(0),
        )
        return total.ln() / (order - 1)


SMALL = st.sampled_from([Fraction(n, 4) for n in range(2, 13)])


@given(SMALL, SMALL)
def test_a_convolution_is_as_near_to_a_gaussian_as_the_lemma_says(
    first: Fraction, second: Fraction
) -> None:
    """Ratio by ratio out to 25; and the bound is at most 30 times what is needed."""
    law, target = convolved(gaussian(first), gaussian(second)), gaussian(first + second)
    found = max(abs((law[k] / target[k]).ln()) for k in range(26))
    bound = decimal(joined(first, second))
    assert found <= bound
    assert bound <= 30 * found


def test_many_shares_are_as_near_as_the_sum_says() -> None:
    """Nine shares of variance 1/2, 1 and the least that agencies add."""
    for variance in (Fraction(1, 2), Fraction(1), LEAST_SHARE):
        for count in (2, 4, 9):
            law, target = shares(variance, count), gaussian(count * variance)
            found = max(abs((law[k] / target[k]).ln()) for k in range(60))
            assert found <= decimal(summed(variance, count))


@pytest.mark.parametrize("variance", [Fraction(1, 2), Fraction(1), LEAST_SHARE])
@pytest.mark.parametrize("count", [2, 4, 9])
def test_no_renyi_divergence_of_real_sums_is_above_the_stated_rho(
    variance: Fraction, count: int
) -> None:
    """Orders 2 to 32, distances 1 to 4: rho = D2^2/2 (1/S + tau)^2 is enough."""
    law = shares(variance, count)
    deviation = summed(variance, count)
    for shift in (1, 2, 4):
        rho = decimal(rho_upper(count * variance, deviation, shift**2))
        for order in (2, 3, 5, 8, 16, 32):
            found = renyi(law, shift, order)
            assert found <= order * rho
            if variance == LEAST_SHARE:
                assert found >= order * rho * Decimal("0.999999")


def test_without_the_correction_small_shares_would_cost_more_than_stated() -> None:
    """So the correction is no ornament."""
    law = shares(Fraction(1, 2), 2)
    gaussian_rho = Decimal(1) / 2
    assert renyi(law, 1, 3) > 3 * gaussian_rho


def test_a_top_up_of_another_variance_is_covered_too() -> None:
    """Four shares and a larger noise, as with shared noise."""
    extra = Fraction(9)
    law = convolved(shares(LEAST_SHARE, 4), gaussian(extra))
    deviation = summed(LEAST_SHARE, 4) + joined(4 * LEAST_SHARE, extra)
    for shift in (1, 4):
        rho = decimal(rho_upper(4 * LEAST_SHARE + extra, deviation, shift**2))
        for order in (2, 8, 32):
            found = renyi(law, shift, order)
            assert order * rho * Decimal("0.999999") <= found <= order * rho


@given(st.fractions(2, 2**64), st.integers(1, 1000))
def test_the_deviation_is_the_formula_rounded_up_a_little(
    variance: Fraction, count: int
) -> None:
    """5 sum_k exp(-2 pi^2 V k/(k+1)), at most 0.2 % above it until it is nothing."""
    with localcontext() as context:
        context.prec = 50
        exact = 5 * sum(
            (-2 * PI**2 * decimal(variance) * k / (k + 1)).exp()
            for k in range(1, count)
        )
        found = decimal(summed(variance, count))
        assert found >= exact
        assert found <= exact * Decimal("1.002") + 1000 * Decimal(2) ** -280
    assert summed(variance, count) < Fraction(1, 10**7)


@given(
    st.fractions(Fraction(1, 1000), 10**12),
    st.fractions(0, Fraction(1, 100), max_denominator=10**30),
    st.integers(1, 10**9),
)
def test_the_loss_is_the_formula_rounded_up_a_little(
    variance: Fraction, deviation: Fraction, d2_squared: int
) -> None:
    """In 50 digits; and without a deviation it is D2^2 / 2 S^2 to the last digit."""
    with localcontext() as context:
        context.prec = 50
        root = (1 / decimal(variance)).sqrt() + 2 * decimal(deviation)
        exact = d2_squared * root**2 / 2
        found = decimal(rho_upper(variance, deviation, d2_squared))
        assert exact * (1 - Decimal("1e-45")) <= found <= exact * (1 + Decimal("1e-40"))
    assert rho_upper(variance, Fraction(0), d2_squared) == d2_squared / (2 * variance)


@given(
    st.fractions(1, 10**6),
    st.fractions(0, Fraction(1, 100)),
    st.integers(1, 50),
    st.integers(1, 10**6),
)
def test_the_loss_goes_with_the_square_of_the_distance(
    variance: Fraction, deviation: Fraction, agencies: int, d2_squared: int
) -> None:
    """So what releases print for persons known to fewer agencies is true of sums."""
    one = rho_upper(variance, deviation, d2_squared)
    assert rho_upper(variance, deviation, agencies**2 * d2_squared) == agencies**2 * one


def test_two_pi_squared_is_rounded_down() -> None:
    """In its last digit."""
    assert TWO_PI_SQUARED < 2 * Fraction(PI) ** 2 < TWO_PI_SQUARED + Fraction(1, 10**12)
    assert math.isclose(TWO_PI_SQUARED, 2 * math.pi**2, rel_tol=1e-13)


def test_the_lemma_needs_variances_of_a_half() -> None:
    """Anything less is a mistake of the program."""
    with pytest.raises(ValueError, match="one half"):
        joined(Fraction(1, 3), Fraction(5))
