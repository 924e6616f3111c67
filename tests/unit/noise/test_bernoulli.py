# SPDX-License-Identifier: Apache-2.0
"""Exact coins have exactly their probabilities: all courses are gone through."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable

import numpy as np
import pytest

from accord.noise.bernoulli import (
    Flags,
    Places,
    all_of,
    alternating,
    bernoulli,
    bernoulli_constant,
    bernoulli_exp,
    bernoulli_exp_constant,
    bernoulli_inverse_e,
    bernoulli_two_over_e,
)
from accord.noise.randomness import Words
from tests.unit.noise.enumeration import Course, assert_law

RATIONALS = [(0, 1), (1, 1), (1, 3), (2, 3), (5, 7), (7, 8)]
EXPONENTS = [(0, 1), (1, 2), (1, 3), (2, 3), (1, 1), (3, 2), (4, 3), (2, 1), (5, 2)]


@pytest.mark.parametrize(("numerator", "denominator"), RATIONALS)
def test_a_rational_coin(numerator: int, denominator: int) -> None:
    probability = numerator / denominator
    expected = {True: probability, False: 1 - probability}
    for program in (
        lambda words: bool(bernoulli_constant(words, numerator, denominator, 1)[0]),
        lambda words: bool(
            bernoulli(
                words,
                np.array([numerator], np.uint64),
                np.array([denominator], np.uint64),
            )[0]
        ),
    ):
        assert_law(program, expected, least=0, within=1e-12)


@pytest.mark.parametrize(("numerator", "denominator"), EXPONENTS)
def test_a_coin_of_an_exponential(numerator: int, denominator: int) -> None:
    """Whether the exponent is its own or that of all."""
    probability = math.exp(-numerator / denominator)
    expected = {True: probability, False: 1 - probability}

    def own(words: Course) -> bool:
        return bool(
            bernoulli_exp(words, np.array([numerator], np.uint64), denominator)[0]
        )

    def constant(words: Course) -> bool:
        return bool(bernoulli_exp_constant(words, numerator, denominator, 1)[0])

    for program in (own, constant):
        assert_law(program, expected, least=1e-8, within=1e-3)


@pytest.mark.parametrize(
    ("coin", "probability"),
    [(bernoulli_inverse_e, math.exp(-1)), (bernoulli_two_over_e, 2 * math.exp(-1))],
)
def test_the_coins_of_e(
    coin: Callable[[Words, int], Flags], probability: float
) -> None:
    assert_law(
        lambda words: bool(coin(words, 1)[0]),
        {True: probability, False: 1 - probability},
        least=1e-12,
        within=1e-10,
    )


def test_neighbours_do_not_change_a_coin() -> None:
    """Two coins of other exponents at once: the joint law is the product."""
    one, two = math.exp(-1 / 2), math.exp(-3 / 2)
    assert_law(
        lambda words: tuple(
            bernoulli_exp(words, np.array([1, 3], np.uint64), 2).tolist()
        ),
        {
            (True, True): one * two,
            (True, False): one * (1 - two),
            (False, True): (1 - one) * two,
            (False, False): (1 - one) * (1 - two),
        },
        least=1e-6,
        within=2e-3,
    )


def test_every_factor_must_succeed() -> None:
    """None, one and two coins of 2/3."""

    def program(words: Course) -> tuple[bool, ...]:
        def coins(places: Places) -> Flags:
            return bernoulli_constant(words, 2, 3, places.size)

        return tuple(all_of(np.array([0, 1, 2], np.uint64), coins).tolist())

    one, two = 2 / 3, 4 / 9
    expected: dict[tuple[bool, ...], float] = {
        (True, True, True): one * two,
        (True, True, False): one * (1 - two),
        (True, False, True): (1 - one) * two,
        (True, False, False): (1 - one) * (1 - two),
    }
    assert_law(program, expected, least=0, within=1e-12)


def test_a_coin_that_always_goes_on_would_be_told_of() -> None:
    """The scheme asks only the places that still stand, and each of them."""
    asked: list[list[int]] = []

    def passes(going: Places) -> Places:
        asked.append(going.tolist())
        return going[going > len(asked)]

    words = Words(bytes(32))
    odd = alternating(words, 4, passes)
    assert asked[0] == [0, 1, 2, 3]
    assert all(set(later) <= set(former) for former, later in itertools.pairwise(asked))
    assert odd[:2].all(), "these failed at once, at the first coin"


def test_long_exponents_and_large_denominators() -> None:
    """Far from any overflow: 2^62 is a denominator, and exp(-1000) does not happen."""
    words = Words(os.urandom(32))
    numerators = np.array([0, 1, 2**62, 2**62 - 1, 2**63], np.uint64)
    assert bernoulli_exp(words, numerators, 2**62)[:2].all()
    assert not bernoulli_exp_constant(words, 1000 * 2**62, 2**62, 100).any()


def test_nothing_is_drawn_for_nothing() -> None:
    words = Words(bytes(32))
    none = np.empty(0, np.uint64)
    assert not bernoulli(words, none, none).size
    assert not bernoulli_exp(words, none, 3).size
    assert not bernoulli_exp_constant(words, 7, 3, 0).size
    assert np.array_equal(words.take(3), Words(bytes(32)).take(3))
