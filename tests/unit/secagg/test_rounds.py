# SPDX-License-Identifier: Apache-2.0
"""Sums are exact, and nothing but the sum can be read."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest

from accord.secagg.encoding import derived
from accord.secagg.masks import Words, mask
from accord.secagg.member import pair_keys
from tests.unit.secagg.cohort import (
    Counts,
    Round,
    labels,
    looks_uniform,
    pair_secrets,
    run,
    secret,
    zeros,
)

LIMITS = np.iinfo(np.int64)
MANY = 200_000
"""Entries from which chi-square sees that one in a hundred is not masked."""


def some(n: int, cells: int) -> list[Counts]:
    random = np.random.default_rng(n * cells)
    return [random.integers(-1000, 1000, cells) for _ in range(n)]


class TestSums:
    @pytest.mark.parametrize("n", [3, 10, 25])
    @pytest.mark.parametrize("cells", [1, 7, 1800, 70_000])
    def test_the_sum_is_exact(self, n: int, cells: int) -> None:
        vectors = some(n, cells)
        assert np.array_equal(run(vectors).open(), np.sum(vectors, axis=0))

    def test_sums_wrap_at_the_limits(self) -> None:
        rows = [
            [LIMITS.max, LIMITS.min, -1, LIMITS.max],
            [1, -1, 1, LIMITS.max],
            [0, 0, 0, LIMITS.max],
        ]
        expected = [
            (sum(column) + 2**63) % 2**64 - 2**63 for column in zip(*rows, strict=True)
        ]
        assert run([np.array(row) for row in rows]).open().tolist() == expected

    def test_rows_of_agencies_stay_as_they_were(self) -> None:
        vectors = some(3, 5)
        before = [each.copy() for each in vectors]
        run(vectors).open()
        assert np.array_equal(vectors, before)


def subsets(members: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [
        chosen
        for size in range(1, len(members) + 1)
        for chosen in itertools.combinations(members, size)
    ]


def total(this: Round, members: tuple[str, ...], opened: tuple[str, ...]) -> Words:
    """Add vectors up and take the self masks of some off, as a curious hub would."""
    acc = np.zeros_like(this.masked[members[0]])
    for each in members:
        acc += this.peeled(each, {}, seed=each in opened)
    return acc


@pytest.mark.stat
class TestWhatTheHubHas:
    @pytest.mark.parametrize("value", [0, 1, 12_345])
    def test_vectors_and_partial_sums_are_uniform_whatever_was_counted(
        self, value: int
    ) -> None:
        """With no seed, and with all seeds but one, whichever that is."""
        this = run([np.full(MANY, value)] * 3)
        for chosen in subsets(this.members):
            assert looks_uniform(total(this, chosen, ()))
        for last in this.members:
            others = tuple(each for each in this.members if each != last)
            assert looks_uniform(total(this, this.members, others))
        assert (this.open() == 3 * value).all()

    def test_seeds_of_all_but_leave_out_one_vector(self) -> None:
        """Whom the hub leaves out after round 1 still hides all the others."""
        this = run(zeros(4, MANY))
        for out in this.members:
            others = tuple(each for each in this.members if each != out)
            assert looks_uniform(total(this, others, this.members))

    def test_vectors_are_unrelated(self) -> None:
        this = run(zeros(3, MANY))
        for one, other in itertools.combinations(this.members, 2):
            assert looks_uniform(this.masked[one] - this.masked[other])

    def test_two_queries_and_two_attempts_have_unrelated_masks(self) -> None:
        first = run(zeros(3, MANY))
        others = (run(zeros(3, MANY), query_id="other"), run(zeros(3, MANY), attempt=2))
        for label in first.members:
            for second in others:
                assert looks_uniform(first.masked[label] - second.masked[label])
                assert not set(first.keys_of(label).values()) & set(
                    second.keys_of(label).values()
                )

    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda words: words[::100].fill(0), id="one in 100 unmasked"),
            pytest.param(lambda words: np.mod(words, 2**32, words), id="32 bits"),
            pytest.param(lambda words: np.mod(words, 2**64 - 2**56, words), id="top"),
            pytest.param(lambda words: np.bitwise_or(words, 1, words), id="one bit"),
            pytest.param(lambda words: words.fill(7), id="constant"),
        ],
    )
    def test_the_test_sees_masks_that_are_not_uniform(self, spoil: object) -> None:
        words = mask(np.zeros(MANY, np.int64), os.urandom(32), {}, "a")
        assert looks_uniform(words)
        assert callable(spoil)
        spoil(words)
        assert not looks_uniform(words)


@pytest.mark.stat
class TestCompromise:
    """What a hub learns that has all seeds, and the keys of some members."""

    def view(self, this: Round, honest: str, colluders: tuple[str, ...]) -> Words:
        """Take off a vector what hub and colluders can."""
        known = {each: this.keys_of(each)[honest] for each in colluders}
        return this.peeled(honest, known, seed=True)

    def test_with_all_but_two_it_learns_the_sum_of_those_two(self) -> None:
        vectors = [np.arange(MANY) % (9 + each) for each in range(4)]
        this = run(vectors)
        a, b, *colluders = this.members
        views = [self.view(this, each, tuple(colluders)) for each in (a, b)]
        assert all(looks_uniform(each) for each in views)
        opened = (views[0] + views[1]).view(np.int64)
        assert np.array_equal(opened, vectors[0] + vectors[1])

    def test_with_all_but_one_it_learns_the_last(self) -> None:
        """Nothing can prevent that: the sum is known. The boundary is real."""
        vectors = [np.arange(100) + each for each in range(4)]
        this = run(vectors)
        honest, *colluders = this.members
        opened = self.view(this, honest, tuple(colluders)).view(np.int64)
        assert np.array_equal(opened, vectors[0])

    def test_lasting_keys_that_are_stolen_later_open_nothing(self) -> None:
        """The fresh keys are gone by then: forward secrecy."""
        this = run(zeros(3, MANY))
        honest = this.members[0]
        guessed = {
            peer: derived(lasting, this.transcript, "mask", honest, peer)
            for peer, lasting in pair_secrets(3)[honest].items()
        }
        assert looks_uniform(this.peeled(honest, guessed, seed=True))
        real = this.keys_of(honest)
        assert not set(guessed.values()) & set(real.values())
        # A thief makes fresh keys and goes through the same steps: other keys again.
        stolen = pair_keys(
            secret(honest),
            os.urandom(32),
            this.readies,
            this.transcript,
            pair_secrets(3)[honest],
        )
        assert not set(stolen.values()) & set(real.values())

    def test_fresh_keys_that_leak_open_nothing_without_the_lasting_ones(self) -> None:
        """A member whose machine makes bad random numbers is still covered."""
        this = run(zeros(3, MANY))
        honest = this.members[0]
        without = dict.fromkeys(labels(3)[1:], bytes(32))
        guessed = pair_keys(
            secret(honest),
            this.ephemerals[honest],
            this.readies,
            this.transcript,
            without,
        )
        assert looks_uniform(this.peeled(honest, guessed, seed=True))

    def test_with_every_mask_key_the_vector_is_open(self) -> None:
        """So the views above are uniform because of the keys, not by accident."""
        this = run(zeros(3, 100))
        honest = this.members[0]
        assert not this.peeled(honest, this.keys_of(honest), seed=True).any()
