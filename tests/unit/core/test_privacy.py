# SPDX-License-Identifier: Apache-2.0
"""Losses are exact, charged upwards, and what the theorems say of the laws."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import InvalidQuery
from accord.core.interval import probability
from accord.core.privacy import (
    LARGEST_SCALE,
    NANO,
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Loss,
    Mechanism,
    loss_of_person,
    mechanism_class,
    nano_down,
    nano_up,
)

NUMERATORS = st.integers(1, 2**30)
DISTANCES = st.integers(1, 10**6)
AMOUNTS = st.integers(1, 10**14)
MECHANISMS = st.one_of(
    NUMERATORS.map(lambda n: DiscreteGaussian(scale=Fraction(n, 1024))),
    NUMERATORS.map(lambda n: DiscreteLaplace(scale=Fraction(n, 1024))),
)


def spent(mechanism: Mechanism, loss: Loss) -> int:
    """Return the part of a loss that this mechanism spends."""
    if mechanism.accounting is Accounting.ZCDP:
        return loss.nano_rho
    return loss.nano_epsilon


@given(st.lists(st.tuples(st.integers(0, 10**18), st.integers(0, 10**18))))
def test_losses_add(pairs: list[tuple[int, int]]) -> None:
    """Both units add, each for itself."""
    total = sum((Loss(nano_rho=r, nano_epsilon=e) for r, e in pairs), Loss())
    assert total.nano_rho == sum(rho for rho, _ in pairs)
    assert total.nano_epsilon == sum(epsilon for _, epsilon in pairs)


@given(st.fractions(min_value=0, max_value=10**6))
def test_a_loss_is_rounded_up_by_less_than_one_nano_unit(exact: Fraction) -> None:
    """Nobody is charged less than the truth, or a whole unit more."""
    assert 0 <= Loss.from_rho(exact).rho - exact < Fraction(1, NANO)
    assert 0 <= Loss.from_epsilon(exact).epsilon - exact < Fraction(1, NANO)
    assert Loss.from_rho(exact).nano_epsilon == 0
    assert Loss.from_epsilon(exact).nano_rho == 0
    assert nano_up(exact) - nano_down(exact) == (0 if (exact * NANO) % 1 == 0 else 1)


@pytest.mark.parametrize("amount", [-1, True, 1.0, "1", None, float("nan")])
def test_a_loss_is_a_whole_number(amount: object) -> None:
    """Everything else is refused, truth values too."""
    with pytest.raises(InvalidQuery) as refused:
        Loss(nano_rho=amount)  # type: ignore[arg-type]
    assert refused.value.reason == "LOSS_INVALID"
    with pytest.raises(InvalidQuery):
        Loss(nano_epsilon=amount)  # type: ignore[arg-type]


@pytest.mark.parametrize("law", [DiscreteGaussian, DiscreteLaplace])
@pytest.mark.parametrize(
    "scale",
    [
        Fraction(0),
        Fraction(-1),
        Fraction(1, 3),
        Fraction(1, 2048),
        Fraction(LARGEST_SCALE) + 1,
    ],
)
def test_a_scale_that_cannot_be_sampled_is_refused(
    law: type[Mechanism], scale: Fraction
) -> None:
    """Zero, negative, finer than 1/1024, too large."""
    with pytest.raises(InvalidQuery) as refused:
        law(scale=scale)
    assert refused.value.reason == "SCALE_INVALID"


@given(MECHANISMS)
def test_a_scale_is_a_float_exactly(mechanism: Mechanism) -> None:
    """The sampler takes floats: none of them may round."""
    assert Fraction(float(mechanism.scale)) == mechanism.scale
    assert Fraction(mechanism.numerator, 1024) == mechanism.scale


def test_privacy_functions_are_the_stated_formulas() -> None:
    """Worked examples, exact."""
    gaussian = DiscreteGaussian(scale=Fraction(10))
    assert gaussian.privacy_function(3) == Fraction(3, 200)
    assert gaussian.loss(d1=5, d2_squared=3) == Loss(nano_rho=15_000_000)
    laplace = DiscreteLaplace(scale=Fraction(3))
    assert laplace.privacy_function(3) == 1
    assert laplace.loss(d1=1, d2_squared=1) == Loss(nano_epsilon=333_333_334)
    assert gaussian.input_metric == "squared L2 distance"
    assert laplace.input_metric == "L1 distance"
    assert mechanism_class(Accounting.ZCDP) is DiscreteGaussian
    assert mechanism_class(Accounting.PURE) is DiscreteLaplace


@pytest.mark.parametrize("law", [DiscreteGaussian, DiscreteLaplace])
@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, None])
def test_a_sensitivity_is_a_positive_whole_number(
    law: type[Mechanism], wrong: int
) -> None:
    """Whichever of the two it is, and whether or not this mechanism uses it."""
    mechanism = law(scale=Fraction(1))
    loss = Loss(nano_rho=5) if law is DiscreteGaussian else Loss(nano_epsilon=5)
    for d1, d2_squared in ((wrong, 1), (1, wrong)):
        with pytest.raises(InvalidQuery) as refused:
            mechanism.loss(d1=d1, d2_squared=d2_squared)
        assert refused.value.reason == "SENSITIVITY_INVALID"
        with pytest.raises(InvalidQuery) as refused:
            law.for_loss(loss, d1=d1, d2_squared=d2_squared)
        assert refused.value.reason == "SENSITIVITY_INVALID"


@given(
    accounting=st.sampled_from(Accounting),
    nano=AMOUNTS,
    d1=DISTANCES,
    d2_squared=DISTANCES,
)
def test_for_loss_is_the_least_scale_that_costs_no_more(
    accounting: Accounting, nano: int, d1: int, d2_squared: int
) -> None:
    """It never costs more than asked; one step of 1/1024 less would."""
    law = mechanism_class(accounting)
    asked = Loss(**{_unit(accounting): nano})
    largest = law(scale=Fraction(LARGEST_SCALE))
    if largest.exact_loss(d1=d1, d2_squared=d2_squared) * NANO > nano:
        with pytest.raises(InvalidQuery) as refused:
            law.for_loss(asked, d1=d1, d2_squared=d2_squared)
        assert refused.value.reason == "LOSS_TOO_SMALL"
        return
    mechanism = law.for_loss(asked, d1=d1, d2_squared=d2_squared)
    assert mechanism.exact_loss(d1=d1, d2_squared=d2_squared) * NANO <= nano
    assert spent(mechanism, mechanism.loss(d1=d1, d2_squared=d2_squared)) <= nano
    if mechanism.numerator > 1:
        less = law(scale=Fraction(mechanism.numerator - 1, 1024))
        assert less.exact_loss(d1=d1, d2_squared=d2_squared) * NANO > nano


@pytest.mark.parametrize(
    ("law", "loss"),
    [
        (DiscreteGaussian, Loss()),
        (DiscreteGaussian, Loss(nano_epsilon=5)),
        (DiscreteGaussian, Loss(nano_rho=5, nano_epsilon=5)),
        (DiscreteLaplace, Loss()),
        (DiscreteLaplace, Loss(nano_rho=5)),
        (DiscreteLaplace, Loss(nano_rho=5, nano_epsilon=5)),
    ],
)
def test_noise_is_paid_for_in_its_own_unit(law: type[Mechanism], loss: Loss) -> None:
    """A loss of nothing, or in the other unit, buys no noise."""
    with pytest.raises(InvalidQuery) as refused:
        law.for_loss(loss, d1=1, d2_squared=1)
    assert refused.value.reason == "LOSS_INVALID"


@given(mechanism=MECHANISMS, d1=DISTANCES, factor=st.integers(1, 50))
def test_a_person_known_to_some_agencies_loses_the_stated_share(
    mechanism: Mechanism, d1: int, factor: int
) -> None:
    """The share is what the mechanism says of the smaller distance."""
    full = mechanism.exact_loss(d1=d1 * factor, d2_squared=d1 * factor**2)
    for known_to in {0, 1, factor, factor + 3}:
        share = loss_of_person(
            mechanism.accounting, full, known_to=known_to, calibrated_to=factor
        )
        if known_to == 0:
            assert share == 0
        else:
            assert share == mechanism.exact_loss(
                d1=d1 * known_to, d2_squared=d1 * known_to**2
            )


@pytest.mark.parametrize(("known_to", "calibrated_to"), [(-1, 2), (1, 0), (0, -1)])
def test_a_share_needs_agencies(known_to: int, calibrated_to: int) -> None:
    """Nothing is calibrated to no agency."""
    with pytest.raises(InvalidQuery):
        loss_of_person(
            Accounting.PURE,
            Fraction(1),
            known_to=known_to,
            calibrated_to=calibrated_to,
        )


@pytest.mark.parametrize("numerator", [300, 1024, 3 * 1024, 20_000])
@pytest.mark.parametrize("distance", [1, 2, 7])
def test_discrete_laplace_law_keeps_its_epsilon(numerator: int, distance: int) -> None:
    """The largest log ratio of the law and its shift is epsilon, and is reached."""
    law = DiscreteLaplace(scale=Fraction(numerator, 1024))
    epsilon = float(law.privacy_function(distance))
    reach = math.ceil(200 * law.scale)
    ratios = [
        math.log(probability(law, k) / probability(law, k - distance))
        for k in range(-reach, reach + 1)
    ]
    assert max(ratios) == pytest.approx(epsilon, rel=1e-9)
    assert min(ratios) == pytest.approx(-epsilon, rel=1e-9)


@pytest.mark.parametrize("numerator", [500, 1024, 3 * 1024, 20_000])
@pytest.mark.parametrize("distance", [1, 2, 7])
@pytest.mark.parametrize("order", [1.01, 2.0, 5.0, 10.0])
def test_discrete_gaussian_law_keeps_its_rho(
    numerator: int, distance: int, order: float
) -> None:
    """The Renyi divergence of order a between the law and its shift is at most a rho.

    For a whole shift a d of the tilted law the bound is reached.
    """
    law = DiscreteGaussian(scale=Fraction(numerator, 1024))
    rho = float(law.privacy_function(distance**2))
    scale = float(law.scale)
    reach = math.ceil(12 * scale + order * distance + 10)
    log_normaliser = -math.log(probability(law, 0))
    total = math.fsum(
        math.exp(
            -order * k * k / (2 * scale**2)
            - (1 - order) * (k - distance) ** 2 / (2 * scale**2)
            - log_normaliser
            - order * (order - 1) * rho
        )
        for k in range(-reach, reach + 1)
    )
    # total is exp((a - 1) (divergence - a rho)): at most 1.
    assert total <= 1 + 1e-9
    if order == int(order):
        assert total == pytest.approx(1, rel=1e-9)


def _unit(accounting: Accounting) -> str:
    return "nano_rho" if accounting is Accounting.ZCDP else "nano_epsilon"
