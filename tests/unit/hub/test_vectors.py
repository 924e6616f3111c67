# SPDX-License-Identifier: Apache-2.0
"""Vectors that come in parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import IntegrityError
from accord.hub.rounds.vectors import Assembly

SIZE = 12
CONTENT = np.arange(SIZE, dtype="<u8").tobytes()


def span(first: int, last: int) -> tuple[int, bytes]:
    return first, CONTENT[first * 8 : last * 8]


cuts = st.lists(st.integers(1, SIZE - 1), unique=True, max_size=SIZE - 1).map(sorted)


@given(cuts, st.randoms(use_true_random=False))
def test_parts_in_any_order_and_again_are_the_vector(
    places: list[int], order: st.DataObject
) -> None:
    ends = [*places, SIZE]
    parts = [span(a, b) for a, b in zip([0, *places], ends, strict=True)]
    twice = parts * 2
    order.shuffle(twice)  # type: ignore[attr-defined]  # a random generator
    assembly = Assembly(SIZE)
    seen: set[int] = set()
    for offset, content in twice:
        assembly.put(offset, content)
        seen.add(offset)
        assert assembly.is_whole == (len(seen) == len(parts))
    assert assembly.content() == CONTENT


@given(
    st.lists(st.tuples(st.integers(0, SIZE + 2), st.integers(0, SIZE + 2)), max_size=12)
)
def test_what_was_taken_is_never_written_over(spans: list[tuple[int, int]]) -> None:
    assembly = Assembly(SIZE)
    taken: set[tuple[int, int]] = set()
    for offset, count in spans:
        content = bytes([len(taken) + 1]) * (8 * count)
        before = assembly.content()
        place = (offset, offset + count)
        fits = place in taken or (
            count > 0
            and place[1] <= SIZE
            and all(place[1] <= a or b <= place[0] for a, b in taken)
        )
        if fits:
            assembly.put(offset, content)
            if place in taken:
                assert assembly.content() == before
            taken.add(place)
        else:
            with pytest.raises(IntegrityError):
                assembly.put(offset, content)
            assert assembly.content() == before


@pytest.mark.parametrize(
    ("offset", "content"),
    [(0, b"1234567"), (0, b""), (-1, bytes(8)), (SIZE, bytes(8)), (1, CONTENT)],
)
def test_a_part_without_a_place_is_refused(offset: int, content: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        Assembly(SIZE).put(offset, content)
    assert caught.value.reason == "VECTOR_WRONG"
