# SPDX-License-Identifier: Apache-2.0
"""The hub's conversions are tight, conservative, and agree with a third program."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.epsilon_delta import Number, epsilon_to_rho_lower, rho_to_epsilon_upper
from accord.core.errors import ConfigurationError, InternalError, InvalidQuery
from accord.core.privacy import NANO, nano_up
from accord.hub.questions import conversion
from accord.hub.questions.conversion import epsilon_of, largest_rho

EPSILONS = st.floats(0.05, 10_000)
DELTAS = st.sampled_from([1e-12, 1e-9, 1e-7, 1e-6, 1e-4])


def reference_delta(rho: float, epsilon: float) -> float:
    """Return delta of a rho and an epsilon: scipy minimises the textbook formula."""

    def log_bound(log_order: float) -> float:
        order = 1 + math.exp(log_order)
        return (
            (order - 1) * (order * rho - epsilon)
            - math.log(order)
            + (order - 1) * math.log1p(-1 / order)
        )

    found = scipy.optimize.minimize_scalar(
        log_bound, bounds=(-20, 30), method="bounded", options={"xatol": 1e-10}
    )
    return math.exp(found.fun)


@settings(max_examples=40)
@given(epsilon=EPSILONS, delta=DELTAS)
def test_largest_rho_is_the_largest(epsilon: float, delta: float) -> None:
    """It stays within (epsilon, delta); a part in a million more does not."""
    nano_rho = largest_rho(epsilon, delta)
    assert reference_delta(nano_rho / NANO, epsilon) <= delta * (1 + 1e-6)
    more = nano_rho + 1 + nano_rho // 10**6
    assert reference_delta(more / NANO, epsilon) > delta * (1 - 1e-6)


@settings(max_examples=40)
@given(nano_rho=st.integers(1, 10**13), delta=DELTAS)
def test_epsilon_of_is_the_smallest(nano_rho: int, delta: float) -> None:
    """It covers the rho; a part in a million less, or two nano less, does not."""
    epsilon = epsilon_of(nano_rho, delta)
    assert reference_delta(nano_rho / NANO, float(epsilon)) <= delta * (1 + 1e-6)
    less = epsilon - max(Fraction(2, NANO), epsilon / 10**6)
    if less > 0:
        assert reference_delta(nano_rho / NANO, float(less)) > delta * (1 - 1e-6)


@settings(max_examples=40)
@given(epsilon=EPSILONS, delta=DELTAS)
def test_there_and_back_never_gains(epsilon: float, delta: float) -> None:
    """What a cap buys, converted back, is not above the cap."""
    nano_rho = largest_rho(epsilon, delta)
    exact = Fraction(repr(epsilon))
    assert epsilon_of(nano_rho, delta) <= Fraction(nano_up(exact), NANO)


@settings(max_examples=40)
@given(epsilon=EPSILONS, delta=DELTAS)
def test_it_is_never_worse_than_the_closed_form(epsilon: float, delta: float) -> None:
    """Agents, who use the closed form, are stricter than the hub, never laxer."""
    nano_rho = largest_rho(epsilon, delta)
    assert nano_rho >= epsilon_to_rho_lower(epsilon, delta)
    assert epsilon_of(nano_rho, delta) <= rho_to_epsilon_upper(nano_rho, delta)


def test_worked_examples() -> None:
    """Figures of OpenDP 0.16 and of the architecture's agreement."""
    assert float(epsilon_of(15_000_000, 1e-7)) == pytest.approx(0.8546, abs=1e-4)
    assert largest_rho(3, 1e-9) == 120_582_428
    assert largest_rho(Fraction(1, 2), Fraction(1, 10**9)) == largest_rho(0.5, 1e-9)
    assert epsilon_of(0, 1e-9) == 0


def test_a_delta_that_covers_everything_still_costs_something() -> None:
    """Where delta alone would do, epsilon is one unit rather than nothing."""
    assert epsilon_of(1, 0.1) == Fraction(1, NANO)
    assert largest_rho(1e-4, 0.1) > 10**6


def test_beyond_the_range_of_doubles_the_closed_form_answers() -> None:
    """OpenDP overflows there; the answer stays an upper bound."""
    assert epsilon_of(10**15, 1e-9) == rho_to_epsilon_upper(10**15, 1e-9)
    assert largest_rho(50_000, 0.9) >= 1
    assert epsilon_of(largest_rho(50_000, 0.9), 0.9) <= 50_000


@pytest.mark.parametrize("epsilon", [0, -1, float("nan"), float("inf"), 10**6, True])
def test_an_epsilon_that_is_none_is_refused(epsilon: Number) -> None:
    """With a reason."""
    with pytest.raises(InvalidQuery) as refused:
        largest_rho(epsilon, 1e-9)
    assert refused.value.reason == "EPSILON_INVALID"


@pytest.mark.parametrize("delta", [0, 1, -1, float("nan"), float("inf"), 1e-310])
def test_a_delta_that_is_none_is_refused(delta: Number) -> None:
    """In both directions."""
    with pytest.raises(ConfigurationError):
        largest_rho(1, delta)
    with pytest.raises(ConfigurationError):
        epsilon_of(1, delta)


class Skewed:
    """Stands where OpenDP's conversion does, and is off by a factor."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._rho = 0.0

    def map(self, distance: float) -> Skewed:
        self._rho = distance**2 / 2
        return self

    def epsilon(self, delta: float) -> float:
        nano_rho = max(1, round(self._rho * NANO))
        return float(rho_to_epsilon_upper(nano_rho, delta)) * self._factor


@pytest.fixture
def skewed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Put a wrong program in OpenDP's place; forget what it said afterwards."""

    def forget() -> None:
        conversion._largest_rho.cache_clear()
        conversion._epsilon_of.cache_clear()

    def replace(factor: float) -> None:
        forget()
        monkeypatch.setattr(conversion, "_converted", lambda: Skewed(factor))

    yield replace
    forget()


def test_a_program_that_understates_is_found_out(
    skewed: Callable[[float], None],
) -> None:
    """Half the loss is not believed, and buys no more than the true conversion."""
    honest = largest_rho(1, 1e-9)
    skewed(0.5)
    with pytest.raises(InternalError) as refused:
        epsilon_of(15_000_000, 1e-9)
    assert refused.value.reason == "CONVERSION_MISMATCH"
    assert largest_rho(1, 1e-9) == honest


def test_a_program_that_overstates_costs_accuracy_only(
    skewed: Callable[[float], None],
) -> None:
    """Twice the loss is believed: less is granted, more is stated."""
    honest = largest_rho(1, 1e-9)
    skewed(2)
    assert epsilon_of(15_000_000, 1e-9) > 2
    nano_rho = largest_rho(1, 1e-9)
    assert nano_rho < honest
    assert epsilon_of(nano_rho, 1e-9) <= 1


def test_the_last_bit_of_a_double_is_made_good(
    skewed: Callable[[float], None],
) -> None:
    """A shortfall by rounding alone costs one unit more and stops nothing."""
    nano_rho = largest_rho(1, 1e-9)
    honest = epsilon_of(nano_rho, 1e-9)
    closed_form = rho_to_epsilon_upper(nano_rho, 1e-9)
    skewed(float((honest - Fraction(3, 2 * NANO)) / closed_form))
    assert epsilon_of(nano_rho, 1e-9) == honest


def test_too_little_and_too_odd() -> None:
    """An epsilon that buys nothing, and a rho that is none."""
    with pytest.raises(InvalidQuery) as refused:
        largest_rho(1e-6, 1e-9)
    assert refused.value.reason == "EPSILON_TOO_SMALL"
    for nano_rho in (-1, True, 0.5):
        with pytest.raises(InvalidQuery):
            epsilon_of(nano_rho, 1e-9)  # type: ignore[arg-type]
