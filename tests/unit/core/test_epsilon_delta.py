# SPDX-License-Identifier: Apache-2.0
"""Conversions are right to the last unit, and wrong only in the safe direction."""

from __future__ import annotations

import decimal
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.epsilon_delta import (
    LARGEST_EPSILON,
    Number,
    delta_upper,
    epsilon_to_rho_lower,
    exact_delta,
    exact_epsilon,
    rho_to_epsilon_upper,
)
from accord.core.errors import AccordError, ConfigurationError, InvalidQuery
from accord.core.interval import probability
from accord.core.privacy import NANO, DiscreteGaussian, nano_up

NANO_RHOS = st.integers(1, 10**13)
DELTAS = st.one_of(
    st.floats(1e-15, 0.99), st.sampled_from([1e-12, 1e-9, 1e-6, Fraction(1, 3)])
)
EPSILONS = st.fractions(
    min_value=Fraction(1, 100), max_value=LARGEST_EPSILON, max_denominator=10**6
)
NO_NUMBERS = [
    float("nan"),
    float("inf"),
    -float("inf"),
    Decimal("nan"),
    True,
    "1",
    None,
]


def closed_form(nano_rho: int, delta: Number) -> Fraction:
    """Return rho + 2 sqrt(rho ln(1/delta)) to 90 digits."""
    with decimal.localcontext() as context:
        context.prec = 90
        exact = exact_delta(delta)
        rho = Decimal(nano_rho) / NANO
        log = (Decimal(exact.denominator) / Decimal(exact.numerator)).ln()
        return Fraction(rho + 2 * (rho * log).sqrt())


@given(nano_rho=NANO_RHOS, delta=DELTAS)
def test_epsilon_is_the_closed_form_rounded_up(nano_rho: int, delta: Number) -> None:
    """Less than a billionth above the truth, never below."""
    excess = rho_to_epsilon_upper(nano_rho, delta) - closed_form(nano_rho, delta)
    assert 0 <= excess < Fraction(1, NANO)


def test_no_loss_is_epsilon_zero() -> None:
    """An untouched account says so."""
    assert rho_to_epsilon_upper(0, 1e-9) == 0
    assert delta_upper(0, Fraction(1)) == 0


@given(epsilon=EPSILONS, delta=DELTAS)
def test_rho_is_the_largest_that_the_closed_form_allows(
    epsilon: Fraction, delta: Number
) -> None:
    """One nano-rho more would exceed epsilon."""
    nano_rho = epsilon_to_rho_lower(epsilon, delta)
    assert closed_form(nano_rho, delta) <= epsilon
    assert closed_form(nano_rho + 1, delta) > epsilon
    assert rho_to_epsilon_upper(nano_rho, delta) <= Fraction(nano_up(epsilon), NANO)


@given(nano_rho=NANO_RHOS, delta=DELTAS)
def test_the_tight_bound_confirms_the_closed_form(nano_rho: int, delta: Number) -> None:
    """Both are theorems: the better one may not contradict the simpler one."""
    epsilon = rho_to_epsilon_upper(nano_rho, delta)
    assert delta_upper(nano_rho, epsilon) <= exact_delta(delta)


@pytest.mark.parametrize("numerator", [300, 700, 1024, 5 * 1024])
@pytest.mark.parametrize("epsilon", [0.05, 0.5, 1.0, 3.0])
def test_the_tight_bound_is_above_the_true_delta_of_the_law(
    numerator: int, epsilon: float
) -> None:
    """Summing the discrete Gaussian against its shift gives the true delta.

    At scale 5 and epsilon 0.5 the bound is less than 4 times the truth.
    """
    law = DiscreteGaussian(scale=Fraction(numerator, 1024))
    reach = math.ceil(15 * law.scale) + 5
    true = math.fsum(
        max(0.0, probability(law, k) - math.exp(epsilon) * probability(law, k - 1))
        for k in range(-reach, reach)
    )
    bound = delta_upper(nano_up(law.privacy_function(1)), exact_epsilon(epsilon))
    assert true <= bound
    if (numerator, epsilon) == (5 * 1024, 0.5):
        assert bound < 4 * true


@given(
    nano_rho=NANO_RHOS,
    more=NANO_RHOS,
    epsilon=st.fractions(min_value=Fraction(1, 1000), max_value=100),
)
def test_the_tight_bound_grows_with_rho_and_falls_with_epsilon(
    nano_rho: int, more: int, epsilon: Fraction
) -> None:
    """Monotone in both, up to the error of the search for the order."""
    slack = 1 + Fraction(1, 10**12)
    delta = delta_upper(nano_rho, epsilon)
    assert 0 < delta <= 1
    assert delta <= delta_upper(nano_rho + more, epsilon) * slack
    assert delta_upper(nano_rho, epsilon * 2) <= delta * slack


@pytest.mark.parametrize("epsilon", [*NO_NUMBERS, 0, 0.0, -1, Decimal(0), 50_001])
def test_an_epsilon_that_is_none_is_refused(epsilon: Number) -> None:
    """With a reason, before anything is computed."""
    with pytest.raises(InvalidQuery) as refused:
        epsilon_to_rho_lower(epsilon, 1e-9)
    assert refused.value.reason == "EPSILON_INVALID"


@pytest.mark.parametrize("delta", [*NO_NUMBERS, 0, 1, -0.1, 1.5, Fraction(1, 10**301)])
def test_a_delta_that_is_none_is_refused(delta: Number) -> None:
    """In either direction."""
    for convert in (
        lambda: epsilon_to_rho_lower(1, delta),
        lambda: rho_to_epsilon_upper(1, delta),
    ):
        with pytest.raises(ConfigurationError) as refused:
            convert()
        assert refused.value.reason == "DELTA_INVALID"


@pytest.mark.parametrize("exponent", ["1e999999999", "1e-999999999", "0e999999999"])
def test_a_huge_exponent_costs_no_memory(exponent: str) -> None:
    """It is refused before it becomes a fraction of a billion digits."""
    with pytest.raises(AccordError):
        exact_epsilon(Decimal(exponent))


def test_a_tiny_epsilon_says_so() -> None:
    """It is a number, but it buys nothing."""
    with pytest.raises(InvalidQuery) as refused:
        epsilon_to_rho_lower(1e-9, 1e-9)
    assert refused.value.reason == "EPSILON_TOO_SMALL"
    with pytest.raises(InvalidQuery) as refused:
        delta_upper(1, Fraction(0))
    assert refused.value.reason == "EPSILON_INVALID"


def test_a_float_is_the_number_that_was_typed() -> None:
    """0.3 is three tenths, not the double next to it."""
    assert exact_epsilon(0.3) == Fraction(3, 10)
    assert exact_epsilon(Decimal("0.3")) == Fraction(3, 10)
    assert exact_epsilon(2) == 2
    assert exact_delta(1e-9) == Fraction(1, 10**9)
    assert exact_delta(Fraction(1, 7)) == Fraction(1, 7)


def test_extremes_stay_bounds() -> None:
    """Far from any use, a bound is still a probability that is not below the truth."""
    assert delta_upper(10**18, Fraction(1, 10**9)) == 1
    assert 0 < delta_upper(1, Fraction(LARGEST_EPSILON)) < Fraction(1, 10**300)
