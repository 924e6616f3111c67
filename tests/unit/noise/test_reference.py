# SPDX-License-Identifier: Apache-2.0
"""The reference laws are the formulas: all courses of each draw."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction

import pytest

from accord.core.interval import probability
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.noise import reference
from accord.noise.reference import RandBelow
from tests.unit.noise.enumeration import Course, TooUnlikelyError, assert_law, law_of


def negative_binomial(k: int, scale: Fraction, parts: int) -> float:
    """Return the probability of k under the law with the exponent 1/parts."""
    if k < 0:
        return 0.0
    ratio, exponent = math.exp(-1 / scale), 1 / parts
    ways = math.gamma(k + exponent) / (math.gamma(exponent) * math.factorial(k))
    return ways * math.pow(1 - ratio, exponent) * math.pow(ratio, k)


@pytest.mark.parametrize("exponent", ["0", "1/3", "1", "3/2"])
def test_a_coin_of_an_exponential(exponent: str) -> None:
    gamma = Fraction(exponent)
    assert_law(
        lambda course: reference.bernoulli_exp(course.choose, gamma),
        {True: math.exp(-gamma), False: 1 - math.exp(-gamma)},
        least=1e-8,
        within=1e-3,
    )


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1), Fraction(3, 2)])
def test_geometric(scale: Fraction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "bernoulli_exp", whole_coin)
    assert_law(
        lambda course: reference.geometric(course.choose, scale),
        {k: geometric(k, scale) for k in range(20)},
        least=1e-8,
        within=1e-3,
    )


def geometric(k: int, scale: Fraction) -> float:
    """Return the probability of k from 0 on."""
    return math.exp(-k / scale) * (1 - math.exp(-1 / scale))


def laplace(k: int, scale: Fraction) -> float:
    return probability(DiscreteLaplace(scale=scale), k)


def course_of(randbelow: RandBelow) -> Course:
    """Return the course whose numbers a sampler is given."""
    course = getattr(randbelow, "__self__", None)
    assert isinstance(course, Course)
    return course


def whole_coin(randbelow: RandBelow, exponent: Fraction) -> bool:
    """Throw an exponential coin, which has been gone through, as one."""
    return course_of(randbelow).coin(math.exp(-exponent))


def drawn_once(
    law: Callable[[int, Fraction], float], support: range
) -> Callable[[RandBelow, Fraction], int]:
    """Return a sampler in one throw, whose second use breaks the course off.

    A rejection sampler that begins again would have no end of courses. Its first
    attempt says it all, since what it accepts has the law but for a factor.
    """

    @functools.cache
    def weights_at(scale: Fraction) -> list[float]:
        return [law(k, scale) for k in support]

    def draw(randbelow: RandBelow, scale: Fraction) -> int:
        course = course_of(randbelow)
        weights = weights_at(scale)
        if any(former is weights for former in course.taken()):
            raise TooUnlikelyError
        return support[course.among(weights)]

    return draw


def assert_first_attempt(
    program: Callable[[Course], int], law: Callable[[int], float], most: int
) -> None:
    found, _ = law_of(program, 0)
    accepted = math.fsum(found.values())
    assert accepted > 0.1
    for k in range(-most, most + 1):
        assert found.get(k, 0) / accepted == pytest.approx(law(k), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("scale", ["1/1024", "1/2", "1", "9/4", "5"])
def test_discrete_laplace(scale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "geometric", drawn_once(geometric, range(150)))
    width = Fraction(scale)
    assert_first_attempt(
        lambda course: reference.discrete_laplace(course.choose, width),
        lambda k: laplace(k, width),
        40,
    )


@pytest.mark.parametrize("scale", ["1/1024", "1/2", "1", "9/4", "5"])
def test_discrete_gaussian(scale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "bernoulli_exp", whole_coin)
    support = range(-150, 151)
    monkeypatch.setattr(reference, "discrete_laplace", drawn_once(laplace, support))
    sigma = Fraction(scale)
    assert_first_attempt(
        lambda course: reference.discrete_gaussian(course.choose, sigma),
        lambda k: probability(DiscreteGaussian(scale=sigma), k),
        40,
    )


@pytest.mark.parametrize("parts", [1, 2, 9])
@pytest.mark.parametrize("scale", ["1/2", "3"])
def test_negative_binomial(
    scale: str, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        reference,
        "bernoulli",
        lambda below, chance: course_of(below).coin(float(chance)),
    )
    monkeypatch.setattr(reference, "geometric", drawn_once(geometric, range(75)))
    width = Fraction(scale)
    assert_first_attempt(
        lambda course: reference.negative_binomial(course.choose, width, parts),
        lambda k: negative_binomial(k, width, parts),
        20,
    )


def test_two_shares_of_two_parts_are_one_discrete_laplace_draw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def draw(randbelow: RandBelow, scale: Fraction, parts: int) -> int:
        weights = [negative_binomial(k, scale, parts) for k in range(14)]
        return course_of(randbelow).among(weights)

    monkeypatch.setattr(reference, "negative_binomial", draw)
    width = Fraction(1, 2)
    found, _ = law_of(
        lambda course: sum(reference.polya(course.choose, width, 2) for _ in range(2)),
        1e-9,
    )
    for k in range(-5, 6):
        assert found[k] == pytest.approx(laplace(k, width), rel=1e-3)
