# SPDX-License-Identifier: Apache-2.0
"""What one person can change: a person is deleted from the source, the store rebuilt."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.measure import CELL_SCALE
from accord.core.query import Query
from tests.unit.agent.agencies import (
    MAPPING_TEXT,
    ask,
    ingest_rows,
    new_state,
    row,
    vector,
)

Rows = Sequence[Mapping[str, str]]

FEW = settings(max_examples=25)
"""Every example builds up to four stores on disk."""

PEOPLE = ("Ana", "Bela", "Cyril", "Dora")
DROP_CAP = 2


@st.composite
def cases(draw: st.DrawFn) -> dict[str, str]:
    """Draw a row; some repeat a case, some contradict it, some have no place."""
    person = draw(st.sampled_from(PEOPLE))
    return row(
        first=person,
        number=draw(st.sampled_from(["", "1", "2", "3", "4"])),
        date=draw(st.sampled_from(["2024-02-03", "2024-03-01", "2025-01-01"])),
        region=draw(st.sampled_from(["north", "south", "west", "", "Atlantis"])),
        type=draw(st.sampled_from(["labour", "labour;begging", "sexual", "none", ""])),
    )


@st.composite
def queries(draw: st.DrawFn) -> Query:
    names = ["region", "registered_month:year", "age_band:broad", "exploitation_type"]
    group_by = draw(st.lists(st.sampled_from(names), unique=True, max_size=3))
    where = draw(
        st.sampled_from(
            [{}, {"region": ["north"]}, {"exploitation_type": ["labour", "sexual"]}]
        )
    )
    measure = draw(st.sampled_from(["persons", "cases"]))
    return ask(*group_by, measure=measure, where=where)


def answer(
    rows: Rows, query: Query, groups: int, mapping: str = MAPPING_TEXT
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Ingest into a new store and answer; no row that stays is an answer of zeros."""
    with tempfile.TemporaryDirectory() as folder:
        state = new_state(Path(folder) / "state")
        everybody = [*rows, row(first="Zoltan", number="99", region="west")]
        ingest_rows(state, everybody, mapping)
        found = vector(state, query, groups)
        ingest_rows(state, everybody[-1:], mapping)
        return found - vector(state, query, groups)


@FEW
@given(
    rows=st.lists(cases(), min_size=1, max_size=14),
    query=queries(),
    groups=st.integers(1, 3),
)
def test_a_person_adds_to_the_answer_what_it_adds_alone(
    rows: Rows, query: Query, groups: int
) -> None:
    """So nobody else's cells change when a person is deleted, and few of its own."""
    person = rows[0]["first"]
    own = [each for each in rows if each["first"] == person]
    others = [each for each in rows if each["first"] != person]
    added = answer(own, query, groups)
    difference = answer(rows, query, groups) - answer(others, query, groups)
    assert (difference == added).all()
    assert np.count_nonzero(added) <= groups + 2
    assert np.count_nonzero(added[:-2]) <= groups
    most = 2 if query.measure == "cases" else 1
    assert ((added[:-2] >= 0) & (added[:-2] <= most * CELL_SCALE)).all()
    assert 0 <= added[-2] <= 1
    assert 0 <= added[-1] <= DROP_CAP


@FEW
@given(
    rows=st.lists(cases(), min_size=2, max_size=12),
    query=queries(),
    groups=st.integers(1, 3),
    draw=st.randoms(use_true_random=False),
)
def test_the_order_of_rows_does_not_matter(
    rows: Rows, query: Query, groups: int, draw: st.random_module
) -> None:
    mixed = list(rows)
    draw.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis' Random
    assert (answer(rows, query, groups) == answer(mixed, query, groups)).all()


@FEW
@given(
    rows=st.lists(cases(), min_size=1, max_size=10),
    query=queries(),
    groups=st.integers(1, 2),
    data=st.data(),
)
def test_a_row_that_is_a_person_changes_nobody_elses_cells(
    rows: Rows, query: Query, groups: int, data: st.DataObject
) -> None:
    """Deleting it gives every later row another number; nothing else may follow."""
    mapping = MAPPING_TEXT.replace("[first, last, born]\ncase: [number]", "row_number")
    gone = data.draw(st.integers(0, len(rows) - 1))
    others = [*rows[:gone], *rows[gone + 1 :]]
    added = answer([rows[gone]], query, groups, mapping)
    whole = answer(rows, query, groups, mapping)
    assert (whole - answer(others, query, groups, mapping) == added).all()
    assert np.count_nonzero(added) <= groups + 2
