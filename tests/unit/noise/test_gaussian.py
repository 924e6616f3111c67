# SPDX-License-Identifier: Apache-2.0
"""One attempt has the discrete Gaussian law where it is accepted: all courses of it."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from accord.core.errors import InvalidQuery
from accord.noise import gaussian
from accord.noise.bernoulli import Whole
from accord.noise.gaussian import (
    _halves,
    _one_of_k_plus_1,
    _squares,
    attempts,
    discrete_gaussian,
    remainders,
)
from accord.noise.randomness import Words
from tests.unit.noise.enumeration import Course, assert_law, with_whole_coins

SEED = bytes(range(32))


def test_k_is_geometric_with_the_ratio_of_half_an_e(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_whole_coins(monkeypatch, gaussian)
    fails = 1 - math.exp(-1 / 2)
    assert_law(
        lambda words: int(_halves(words, 1)[0]),
        {k: math.exp(-k / 2) * fails for k in range(12)},
        least=1e-9,
        within=1e-8,
    )


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_k_is_accepted_as_its_square_asks(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_whole_coins(monkeypatch, gaussian)
    assert_law(
        lambda words: bool(_squares(words, np.array([k], np.uint64))[0]),
        {True: math.exp(-k * (k - 1) / 2)},
        least=0,
        within=1e-12,
    )


@pytest.mark.parametrize(
    ("k", "m", "a"),
    [(0, 1, 2), (0, 2, 3), (1, 1, 2), (1, 2, 3), (2, 1, 2), (3, 1, 3)],
)
def test_each_of_the_coins_of_a_remainder(k: int, m: int, a: int) -> None:
    """All courses, down to the last uniform number."""
    x = m / a
    expected = math.exp(-x * (2 * k + x) / (2 * k + 2))
    assert_law(
        lambda words: bool(
            _one_of_k_plus_1(
                words, np.array([k], np.uint64), np.array([m], np.uint64), a
            )[0]
        ),
        {True: expected, False: 1 - expected},
        least=1e-6,
        within=5e-3,
    )


@pytest.mark.parametrize(
    ("k", "m", "a"), [(0, 0, 1), (0, 2, 3), (1, 0, 2), (1, 1, 2), (4, 5, 7)]
)
def test_a_remainder_throws_k_plus_1_coins_or_none(
    k: int, m: int, a: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaussian, "_one_of_k_plus_1", whole_remainder)
    x = m / a
    assert_law(
        lambda words: bool(
            remainders(words, np.array([k], np.uint64), np.array([m], np.uint64), a)[0]
        ),
        {True: math.exp(-x * (2 * k + x) / 2)},
        least=0,
        within=1e-12,
    )


def whole_remainder(words: Course, k: Whole, m: Whole, a: int) -> npt.NDArray[np.bool_]:
    """Throw each coin of a remainder as one."""
    x = m / a
    probabilities = np.exp(-x * (2 * k + x) / (2 * k + 2))
    return np.array([words.coin(one) for one in probabilities.tolist()], bool)


@pytest.mark.parametrize(
    "scale", ["1/1024", "1/2", "2/3", "1", "1025/1024", "5/4", "2", "7/2", "12"]
)
def test_an_accepted_attempt_has_the_law(
    scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every number comes out as often as it should, before any repetition.

    With probability (1 - exp(-1/2)) / (2 ceil(scale)) an attempt begins with a k, an
    offset and a sign that lead to the number; the rest is its weight.
    """
    with_whole_coins(monkeypatch, gaussian)
    monkeypatch.setattr(gaussian, "_one_of_k_plus_1", whole_remainder)
    sigma = Fraction(scale)
    each = (1 - math.exp(-1 / 2)) / (2 * math.ceil(sigma))

    def weight(number: int) -> float:
        return each * math.exp(-((number / float(sigma)) ** 2) / 2)

    def program(words: Course) -> int | None:
        values, accepted = attempts(words, sigma, 1)
        return int(values[0]) if accepted[0] else None

    expected: dict[int | None, float] = {
        number: weight(number) for number in range(-50, 51)
    }
    expected[None] = 1 - sum(weight(number) for number in range(-200, 201))
    assert_law(program, expected, least=1e-8, within=1e-5)


def test_the_same_seed_gives_the_same_draws() -> None:
    """An audit can draw them again; these ones stand for ever."""
    draws = discrete_gaussian(Words(SEED), Fraction(7, 2), 20_000)
    assert draws.dtype == np.int64
    assert draws[:12].tolist() == [-2, -1, -2, -4, 4, 5, 1, 1, 0, -2, 7, 4]
    digest = hashlib.sha256(draws.astype("<i8").tobytes()).hexdigest()
    assert digest.startswith("8f2ee91e3fe6014e")
    again = discrete_gaussian(Words(SEED), Fraction(7, 2), 20_000)
    assert np.array_equal(draws, again)
    assert not np.array_equal(
        draws, discrete_gaussian(Words(bytes(32)), Fraction(7, 2), 20_000)
    )


def test_draws_go_on_where_the_stream_stands() -> None:
    words = Words(SEED)
    one, two = (discrete_gaussian(words, Fraction(40), 100) for _ in range(2))
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("size", [0, 1, 1800, 40_000])
@pytest.mark.parametrize("scale", ["1/1024", "1/2", "3073/1024", "4294967296"])
def test_every_size_and_scale_is_drawn(scale: str, size: int) -> None:
    """Up to the largest scale that can be charged, without coming near 2^63."""
    sigma = Fraction(scale)
    draws = discrete_gaussian(Words(SEED), sigma, size)
    assert draws.shape == (size,)
    assert all(abs(number) <= 10 * sigma for number in draws.tolist())


def test_the_largest_scale_is_as_wide_as_it_says() -> None:
    draws = discrete_gaussian(Words(SEED), Fraction(2**32), 100_000)
    assert np.std(draws / 2**32) == pytest.approx(1, rel=0.02)
    low_bits = np.bincount(draws & 7, minlength=8)
    assert low_bits.min() > 12_500 - 800, "no bit of so wide a law is left out"


@pytest.mark.parametrize("scale", ["0", "-1", "1/3", "1/2048", "4294967297"])
def test_a_scale_that_cannot_be_charged_is_refused(scale: str) -> None:
    words = Words(SEED)
    with pytest.raises(InvalidQuery) as refused:
        discrete_gaussian(words, Fraction(scale), 3)
    assert refused.value.reason == "SCALE_INVALID"
    assert np.array_equal(words.take(3), Words(SEED).take(3)), "nothing was drawn"
