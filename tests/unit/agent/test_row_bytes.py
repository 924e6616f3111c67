# SPDX-License-Identifier: Apache-2.0
"""Rows as bytes: counted among equal ones, and cut from their table."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from accord.agent.intake.batches import earlier_equals
from accord.agent.intake.pseudonym import sliced

TABLES = arrays.arrays(
    np.uint8,
    st.tuples(st.integers(0, 40), st.integers(1, 20)),
    # Few values, so that rows are often equal.
    elements=st.integers(0, 2),
)


@given(TABLES)
def test_every_row_is_counted_among_the_equal_ones_before_it(
    rows: np.typing.NDArray[np.uint8],
) -> None:
    seen: dict[bytes, int] = {}
    counts = []
    for row in rows:
        counts.append(seen.get(row.tobytes(), 0))
        seen[row.tobytes()] = counts[-1] + 1
    found = earlier_equals(rows)
    assert found.tolist() == counts
    # Its bytes go under a hash: the order of them is part of every store.
    assert found.tobytes() == b"".join(count.to_bytes(4, "big") for count in counts)


@given(TABLES)
def test_rows_are_cut_whole(rows: np.typing.NDArray[np.uint8]) -> None:
    assert sliced(rows) == [row.tobytes() for row in rows]
    assert sliced(rows[:, ::-1]) == [row[::-1].tobytes() for row in rows]
