# SPDX-License-Identifier: Apache-2.0
"""Jumps have exactly the rates of which a share is made: all courses of a candidate."""

from __future__ import annotations

import hashlib
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from accord.core.errors import InternalError, InvalidQuery
from accord.noise import polya as module
from accord.noise.polya import (
    MOST_PARTS,
    _candidates,
    levels_of,
    polya,
    signed_jumps,
)
from accord.noise.randomness import Words
from tests.unit.noise.enumeration import assert_law, with_whole_coins

SEED = bytes(range(32))


@pytest.mark.parametrize(
    "scale", ["1/1024", "1/2", "1", "1025/1024", "3/2", "2", "3", "9/2"]
)
def test_a_candidate_becomes_a_jump_with_exactly_its_probability(
    scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate of jumps by k is ``b^k / k`` of that of the candidates of one level."""
    with_whole_coins(monkeypatch, module)
    width = float(Fraction(scale))
    signs_and_levels = 2 * (levels_of(Fraction(scale)) + 1)

    def rate(k: int) -> float:
        return math.exp(-k / width) / (k * signs_and_levels)

    expected = {sign * k: rate(k) for k in range(1, 40) for sign in (1, -1)}
    expected[0] = 1 - 2 * sum(rate(k) for k in range(1, 2000))
    assert_law(
        lambda words: int(signed_jumps(words, Fraction(scale), 1)[0]),
        expected,
        least=1e-7,
        within=1e-4,
    )


def test_levels_reach_the_scale() -> None:
    for scale in (Fraction(n, 16) for n in range(1, 200)):
        levels = levels_of(scale)
        assert 2**levels >= scale
        assert levels == 0 or 2 ** (levels - 1) < scale
    assert levels_of(Fraction(2**32)) == 32


def test_the_same_seed_gives_the_same_shares() -> None:
    """An audit can draw them again; these ones stand for ever."""
    shares = polya(Words(SEED), Fraction(10), 4, 40_000)
    assert shares.dtype == np.int64
    assert shares[:12].tolist() == [13, 0, 0, 6, 18, 6, -1, -4, -1, -1, 0, 4]
    digest = hashlib.sha256(shares.astype("<i8").tobytes()).hexdigest()
    assert digest.startswith("8d9f93968ecd2ea5")
    assert np.array_equal(shares, polya(Words(SEED), Fraction(10), 4, 40_000))
    assert not np.array_equal(shares, polya(Words(bytes(32)), Fraction(10), 4, 40_000))


def test_a_share_is_the_sum_of_its_jumps() -> None:
    words = Words(SEED)
    counts = _candidates(3, levels_of(Fraction(10))).draw(words, 1000)
    jumps = iter(signed_jumps(words, Fraction(10), int(counts.sum())).tolist())
    shares = [sum(itertools.islice(jumps, count)) for count in counts.tolist()]
    assert polya(Words(SEED), Fraction(10), 3, 1000).tolist() == shares


def test_shares_go_on_where_the_stream_stands() -> None:
    words = Words(SEED)
    one, two = (polya(words, Fraction(10), 2, 100) for _ in range(2))
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("size", [0, 1, 1800, 40_000])
@pytest.mark.parametrize("parts", [1, 2, 199, MOST_PARTS])
@pytest.mark.parametrize("scale", ["1/1024", "1/2", "3073/1024", "10000", "4294967296"])
def test_every_size_scale_and_number_of_parts_is_drawn(
    scale: str, parts: int, size: int
) -> None:
    """Up to the largest scale that can be charged, without coming near 2^63."""
    width = Fraction(scale)
    shares = polya(Words(SEED), width, parts, size)
    assert shares.shape == (size,)
    assert all(abs(number) <= 50 * width for number in shares.tolist())


@pytest.mark.parametrize("scale", [10_000, 2**32])
def test_wide_shares_are_as_wide_as_they_say(scale: int) -> None:
    """One part of nine has a ninth of the variance, 2 scale^2."""
    shares = polya(Words(SEED), Fraction(scale), 9, 200_000)
    variance = float(np.mean((shares / scale) ** 2))
    assert variance == pytest.approx(2 / 9, rel=0.06)
    low_bits = np.bincount(shares[np.abs(shares) > scale // 16] & 7, minlength=8)
    assert low_bits.min() > 0.9 * low_bits.mean(), "no bit is left out"


@pytest.mark.parametrize("scale", ["0", "-1", "1/3", "1/2048", "4294967297"])
def test_a_scale_that_cannot_be_charged_is_refused(scale: str) -> None:
    words = Words(SEED)
    with pytest.raises(InvalidQuery) as refused:
        polya(words, Fraction(scale), 3, 3)
    assert refused.value.reason == "SCALE_INVALID"
    assert np.array_equal(words.take(3), Words(SEED).take(3)), "nothing was drawn"


@pytest.mark.parametrize("parts", [0, -2, MOST_PARTS + 1])
def test_a_number_of_parts_that_cannot_be_is_refused(parts: int) -> None:
    with pytest.raises(InternalError) as refused:
        polya(Words(SEED), Fraction(3), parts, 3)
    assert refused.value.reason == "INTERNAL_ERROR"
