# SPDX-License-Identifier: Apache-2.0
"""Tables draw the law of their weights exactly, refined draws included."""

from __future__ import annotations

import itertools
import math
import os
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.errors import InternalError
from accord.noise.poisson import PoissonTable
from accord.noise.randomness import Words
from accord.noise.tables import WeightTable
from tests.unit.noise.enumeration import assert_law, law_of

WEIGHTS = st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any)
SEEDS = st.binary(min_size=32, max_size=32)


class Refining(WeightTable):
    """Counts the draws whose first bits did not tell."""

    __slots__ = ("refined",)

    def _refined(self, words: Words, begun: int) -> int:
        self.refined = getattr(self, "refined", 0) + 1
        return super()._refined(words, begun)


@settings(max_examples=60)
@given(WEIGHTS, st.integers(1, 3))
def test_the_law_is_that_of_the_weights(weights: list[int], bits: int) -> None:
    """With one to three bits at a time, every border is met and refined."""
    table = WeightTable(weights, bits=bits)
    assert_law(
        lambda words: int(table.draw(words, 1)[0]),
        {index: weight / sum(weights) for index, weight in enumerate(weights)},
        least=1e-4,
        within=1e-2,
    )


def test_powers_of_two_are_exact_to_the_last_bit() -> None:
    """Borders that fall on a bit leave nothing to break off."""
    table = WeightTable([1, 2, 1, 0, 4], bits=3)
    found, broken_off = law_of(lambda words: int(table.draw(words, 1)[0]), 0)
    assert broken_off == 0
    assert found == {0: 1 / 8, 1: 1 / 4, 2: 1 / 8, 4: 1 / 2}


@given(SEEDS, st.lists(st.integers(0, 2**200), min_size=1).filter(any))
def test_weights_of_any_size_are_taken(seed: bytes, weights: list[int]) -> None:
    """What has no weight is never drawn, however coarse the first look."""
    for bits in (2, 62):
        drawn = WeightTable(weights, bits=bits).draw(Words(seed), 40)
        assert all(weights[index] for index in drawn.tolist())


def test_62_bits_are_hardly_ever_refined_and_few_bits_nearly_always() -> None:
    words = Words(os.urandom(32))
    weights = [3, 1, 4, 1, 5, 9, 2, 6]
    fine, coarse = Refining(weights), Refining(weights, bits=3)
    fine.draw(words, 10_000)
    coarse.draw(words, 1_000)
    assert not hasattr(fine, "refined")
    assert coarse.refined > 500


def test_a_border_within_the_62nd_bit_is_refined() -> None:
    """The word that meets it is followed by one that decides, on either side."""

    class Met(Words):
        __slots__ = ("later",)

        def __init__(self, later: int) -> None:
            self.later = iter((2**62 // 3, later))

        def below_constant(
            self, bound: int, n: int
        ) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
            assert (bound, n) == (2**62, 1)
            return np.array([next(self.later)], np.uint64)

    table = Refining([1, 2])
    assert table.draw(Met(2**62 // 3 - 1), 1).tolist() == [0]
    assert table.draw(Met(2**62 // 3 + 1), 1).tolist() == [1]
    assert table.refined == 2


def test_one_weight_needs_no_words() -> None:
    words = Words(bytes(32))
    assert not WeightTable([7]).draw(words, 5).any()
    assert np.array_equal(words.take(3), Words(bytes(32)).take(3))


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [3, -1, 2]])
def test_weights_that_make_no_law_are_refused(weights: list[int]) -> None:
    with pytest.raises(InternalError):
        WeightTable(weights)


@pytest.mark.parametrize("bits", [0, 63])
def test_bits_are_checked(bits: int) -> None:
    with pytest.raises(InternalError):
        WeightTable([1, 2], bits=bits)


def poisson(mean: Fraction, most: int) -> dict[int, float]:
    """Return the probabilities of the Poisson law from none to *most*."""
    return {
        n: math.exp(-mean) * float(mean) ** n / math.factorial(n)
        for n in range(most + 1)
    }


@pytest.mark.parametrize(
    ("mean", "entries"),
    [("1/2", 1), ("1/3", 2), ("1", 2), ("3/2", 3), ("3/2", 4)],
)
def test_the_poisson_law_within_and_beyond_its_table(mean: str, entries: int) -> None:
    """The table is so short that its rest is drawn, rejected and drawn again."""
    table = PoissonTable(Fraction(mean), entries=entries, bits=3)
    assert_law(
        lambda words: int(table.draw(words, 1)[0]),
        poisson(Fraction(mean), entries + 3),
        least=2e-6,
        within=2e-2,
    )


@pytest.mark.parametrize("mean", ["1/1048576", "2/9", "5", "66"])
def test_the_poisson_table_of_every_mean_in_use_holds_nearly_all(mean: str) -> None:
    """The rest is left to one draw in a trillion, and still drawn exactly."""
    table = PoissonTable(Fraction(mean))
    borders = table._table._borders
    assert Fraction(borders[-1] - borders[-2], borders[-1]) < Fraction(1, 10**12)
    weights = np.diff([0, *borders[:6]]).tolist()
    ratios = [Fraction(later, former) for former, later in itertools.pairwise(weights)]
    assert ratios == [Fraction(mean) / n for n in range(1, 6)]


@pytest.mark.parametrize(("mean", "entries"), [("0", 3), ("-1", 3), ("3", 3)])
def test_a_poisson_table_that_cannot_be_is_refused(mean: str, entries: int) -> None:
    with pytest.raises(InternalError):
        PoissonTable(Fraction(mean), entries=entries)
