# SPDX-License-Identifier: Apache-2.0
"""What the hub finds out about who spoiled a sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import IntegrityError
from accord.secagg.opening import check_plausible, check_vector, open_sum
from tests.unit.secagg.cohort import Round, reason_of, run

CELLS = 100
BOUND, LARGEST = 50, 1000


def fresh() -> Round:
    return run([np.full(CELLS, each) for each in range(4)])


class TestSeeds:
    @pytest.mark.parametrize("seed", [b"\1" * 32, b"", bytes(33)])
    def test_a_wrong_seed_names_its_agency(self, seed: bytes) -> None:
        this = fresh()
        liar = this.members[2]
        with pytest.raises(IntegrityError) as caught:
            open_sum(this.receipts, this.vectors, this.seeds | {liar: seed})
        assert caught.value.reason == "SEED_WRONG"
        assert caught.value.metadata == {"agency": liar}
        assert liar in caught.value.sentence

    def test_another_members_seed_is_wrong(self) -> None:
        this = fresh()
        a, b = this.members[:2]
        swapped = this.seeds | {a: this.seeds[b], b: this.seeds[a]}
        assert reason_of(open_sum, this.receipts, this.vectors, swapped) == "SEED_WRONG"

    def test_a_seed_of_another_attempt_is_wrong(self) -> None:
        """Even if a careless member took the same one again."""
        this = fresh()
        other = run([np.zeros(CELLS, np.int64)] * 4, attempt=2)
        mixed = [other.receipts[0], *this.receipts[1:]]
        assert reason_of(open_sum, mixed, this.vectors, this.seeds) == "SEED_WRONG"

    def test_without_one_nothing_opens(self) -> None:
        this = fresh()
        for each in this.members:
            seeds = {label: seed for label, seed in this.seeds.items() if label != each}
            assert reason_of(open_sum, this.receipts, this.vectors, seeds) == (
                "SEED_WRONG"
            )


class TestVectors:
    def test_a_changed_vector_names_its_agency(self) -> None:
        this = fresh()
        receipt = this.receipts[1]
        content = bytearray(this.vectors[receipt.agency])
        check_vector(receipt, bytes(content))
        content[17] ^= 1
        with pytest.raises(IntegrityError) as caught:
            check_vector(receipt, bytes(content))
        assert caught.value.reason == "VECTOR_WRONG"
        assert caught.value.metadata == {"agency": receipt.agency}

    @pytest.mark.parametrize("content", [b"", b"1234567", bytes(8 * (CELLS - 1))])
    def test_vectors_of_other_lengths_are_not_added(self, content: bytes) -> None:
        this = fresh()
        for each in this.members:
            vectors = this.vectors | {each: content}
            assert reason_of(open_sum, this.receipts, vectors, this.seeds) == (
                "VECTOR_WRONG"
            )

    def test_a_missing_vector_is_not_taken_for_zeros(self) -> None:
        this = fresh()
        vectors = this.vectors
        del vectors[this.members[3]]
        assert reason_of(open_sum, this.receipts, vectors, this.seeds) == "VECTOR_WRONG"

    def test_vectors_and_seeds_stay_as_they_are(self) -> None:
        """An auditor opens the same sum again."""
        this = fresh()
        vectors = this.vectors
        first = open_sum(this.receipts, vectors, this.seeds)
        assert vectors == this.vectors
        assert np.array_equal(first, open_sum(this.receipts, vectors, this.seeds))
        assert (first == 0 + 1 + 2 + 3).all()


class TestPlausible:
    @given(st.integers(-4 * LARGEST - BOUND, 4 * LARGEST + BOUND))
    def test_what_honest_counts_and_noise_can_give_passes(self, entry: int) -> None:
        check_plausible(np.array([0, entry]), 4, LARGEST, BOUND)

    @pytest.mark.parametrize(
        "entry", [-4 * LARGEST - BOUND - 1, 4 * LARGEST + BOUND + 1]
    )
    def test_anything_else_is_refused_without_saying_it(self, entry: int) -> None:
        with pytest.raises(IntegrityError) as caught:
            check_plausible(np.array([0, entry, 5]), 4, LARGEST, BOUND)
        assert caught.value.reason == "SUM_IMPLAUSIBLE"
        assert str(abs(entry)) not in caught.value.sentence
        assert not caught.value.metadata

    def test_bounds_beyond_64_bits_do_not_wrap(self) -> None:
        limits = np.iinfo(np.int64)
        check_plausible(np.array([limits.min, limits.max]), 10, limits.max, 2**63)

    def test_nothing_is_plausible(self) -> None:
        check_plausible(np.zeros(0, np.int64), 4, LARGEST, BOUND)

    def test_a_vector_masked_for_another_attempt_is_found(self) -> None:
        """Masks that do not cancel leave uniform entries."""
        this = fresh()
        other = run([np.zeros(CELLS, np.int64)] * 4, attempt=2)
        mixed = this.vectors | {this.members[0]: other.vectors[this.members[0]]}
        opened = open_sum(this.receipts, mixed, this.seeds)
        assert (
            reason_of(check_plausible, opened, 4, LARGEST, BOUND) == "SUM_IMPLAUSIBLE"
        )
