# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import collections
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import InternalError
from accord.noise.randomness import LARGEST_BOUND, Words

SEED = bytes(range(32))
BOUNDS = st.one_of(
    st.integers(1, 20),
    st.integers(1, LARGEST_BOUND),
    st.sampled_from([2**bits + off for bits in range(2, 62) for off in (-1, 0, 1)]),
    st.just(LARGEST_BOUND),
)
SEEDS = st.binary(min_size=32, max_size=32)


class Scripted(Words):
    """Words that somebody wrote down."""

    __slots__ = ("words",)

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def take(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        taken, self.words = self.words[:n], self.words[n:]
        return np.array(taken, np.uint64)


def test_words_are_the_keystream_of_aes_256() -> None:
    """The cipher of an all-zero block under an all-zero key, as NIST publishes it."""
    block = bytes.fromhex("dc95c078a2408989ad48a21492842087")
    assert Words(bytes(32)).take(2).astype("<u8").tobytes() == block


@given(SEEDS, st.lists(st.integers(0, 20_000), max_size=5))
def test_words_do_not_depend_on_how_they_are_asked_for(
    seed: bytes, sizes: list[int]
) -> None:
    words = Words(seed)
    parts = [words.take(size) for size in sizes]
    whole = Words(seed).take(sum(sizes))
    assert np.array_equal(np.concatenate([whole[:0], *parts]), whole)


def test_words_cannot_be_written_to() -> None:
    """A caller that changed them would change those that are yet to come."""
    words = Words(SEED)
    for size in (5, 9000, 3):
        with pytest.raises(ValueError, match="read-only"):
            words.take(size)[0] = 0


def test_another_seed_gives_other_words() -> None:
    assert not np.intersect1d(Words(SEED).take(1000), Words(bytes(32)).take(1000)).size


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_seed_has_32_bytes(length: int) -> None:
    with pytest.raises(InternalError) as refused:
        Words(bytes(length))
    assert refused.value.reason == "INTERNAL_ERROR"


@given(SEEDS, st.lists(BOUNDS, max_size=50))
def test_numbers_lie_below_their_bounds(seed: bytes, bounds: list[int]) -> None:
    drawn = Words(seed).below(np.array(bounds, np.uint64))
    assert drawn.dtype == np.uint64
    assert all(low < bound for low, bound in zip(drawn.tolist(), bounds, strict=True))


@given(SEEDS, BOUNDS, st.integers(0, 50))
def test_numbers_lie_below_a_constant_bound(seed: bytes, bound: int, n: int) -> None:
    drawn = Words(seed).below_constant(bound, n)
    assert drawn.dtype == np.uint64
    assert len(drawn) == n
    assert all(number < bound for number in drawn.tolist())


@given(SEEDS, BOUNDS, st.integers(0, 50))
def test_a_constant_bound_is_an_array_of_equal_bounds(
    seed: bytes, bound: int, n: int
) -> None:
    one = Words(seed).below(np.full(n, bound, np.uint64))
    assert np.array_equal(one, Words(seed).below_constant(bound, n))


@pytest.mark.parametrize("bound", [1, 2, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("constant", [True, False])
def test_every_number_comes_from_equally_many_words(
    bound: int, *, constant: bool
) -> None:
    """All pairs of words of three bits, the second for where the first is rejected."""
    seen: collections.Counter[int] = collections.Counter()
    for first, second in itertools.product(range(8), repeat=2):
        # A third word that always fits, counted apart: 64 says that both did not fit.
        words = Scripted(first, second, 0)
        drawn = (
            words.below_constant(bound, 1)
            if constant
            else words.below(np.array([bound], np.uint64))
        )
        seen[int(drawn[0]) if words.words else 64] += 1
    del seen[64]
    assert set(seen) == set(range(bound))
    assert len(set(seen.values())) == 1


def test_only_rejected_numbers_are_drawn_again() -> None:
    words = Scripted(7, 1, 6, 0, 5, 9, 3)
    bounds = np.array([5, 5, 7, 5, 5], np.uint64)
    assert words.below(bounds).tolist() == [1, 1, 6, 0, 3]


@pytest.mark.parametrize("bound", [0, LARGEST_BOUND + 1, 2**64 - 1])
def test_bounds_are_checked(bound: int) -> None:
    words = Words(SEED)
    with pytest.raises(InternalError):
        words.below(np.array([5, bound, 5], np.uint64))
    with pytest.raises(InternalError):
        words.below_constant(bound, 3)
    assert np.array_equal(words.take(4), Words(SEED).take(4)), "nothing was drawn"


def test_a_negative_number_of_draws_is_refused() -> None:
    with pytest.raises(InternalError):
        Words(SEED).below_constant(2, -1)
