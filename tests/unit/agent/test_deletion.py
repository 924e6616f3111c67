# SPDX-License-Identifier: Apache-2.0
"""What one person can change: it is deleted from the source, the store rebuilt."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.query import Query
from tests.unit.agent.agencies import (
    MAPPING_TEXT,
    ask,
    declared,
    ingest_rows,
    new_state,
    row,
    vector,
)

Rows = Sequence[Mapping[str, str]]
Question = tuple[Query, int]
"""A query and the groups that a person may have."""

Vectors = list[npt.NDArray[np.int64]]

FEW = settings(max_examples=10)
"""Every example builds several stores on disk, and asks many questions."""

PEOPLE = ("Ana", "Bela", "Cyril", "Dora")
DROP_CAP = 2

ROW_NUMBERS = MAPPING_TEXT.replace("[first, last, born]\ncase: [number]", "row_number")


@st.composite
def cases(draw: st.DrawFn) -> dict[str, str]:
    """Draw a row; some repeat a case, some contradict it, some have no place."""
    return row(
        first=draw(st.sampled_from(PEOPLE)),
        number=draw(st.sampled_from(["", "1", "2", "3", "4"])),
        date=draw(st.sampled_from(["2024-02-03", "2024-03-01", "2025-01-01"])),
        region=draw(st.sampled_from(["north", "south", "west", "", "Atlantis"])),
        type=draw(st.sampled_from(["labour", "labour;begging", "sexual", "none", ""])),
    )


@st.composite
def questions(draw: st.DrawFn) -> Question:
    names = ["region", "registered_month:year", "age_band:broad", "exploitation_type"]
    group_by = draw(st.lists(st.sampled_from(names), unique=True, max_size=3))
    where = draw(
        st.sampled_from(
            [{}, {"region": ["north"]}, {"exploitation_type": ["labour", "sexual"]}]
        )
    )
    measure = draw(st.sampled_from(["persons", "cases"]))
    return ask(*group_by, measure=measure, where=where), draw(st.integers(1, 3))


MANY = st.lists(questions(), min_size=6, max_size=6)


def answers(
    rows: Rows, asked: Sequence[Question], mapping: str = MAPPING_TEXT
) -> Vectors:
    """Ingest into a new store and answer; Zoltan is there so that it is not empty."""
    everybody = [row(first="Zoltan", number="99", region="west"), *rows]
    with tempfile.TemporaryDirectory() as folder:
        state = new_state(Path(folder) / "state")
        ingest_rows(state, everybody, mapping)
        return [vector(state, query, groups) for query, groups in asked]


def check_additions(
    asked: Sequence[Question], whole: Vectors, without: Vectors, alone: Vectors
) -> None:
    """Compare what a person adds to all others with what it adds to nobody.

    They are equal exactly if no other person's cells change; then what it adds alone
    must keep the bounds.
    """
    nobody = answers([], asked)
    for index, (query, groups) in enumerate(asked):
        added = alone[index] - nobody[index]
        assert (whole[index] - without[index] == added).all()
        assert np.count_nonzero(added[:-2]) <= groups
        most = declared(query, groups).slots[0].largest
        assert ((added[:-2] >= 0) & (added[:-2] <= most)).all()
        assert 0 <= added[-2] <= 1
        assert 0 <= added[-1] <= DROP_CAP


@pytest.mark.slow
@FEW
@given(rows=st.lists(cases(), min_size=1, max_size=16), asked=MANY)
def test_a_person_adds_to_the_answer_what_it_adds_alone(
    rows: Rows, asked: Sequence[Question]
) -> None:
    own = [each for each in rows if each["first"] == rows[0]["first"]]
    others = [each for each in rows if each["first"] != rows[0]["first"]]
    check_additions(
        asked, answers(rows, asked), answers(others, asked), answers(own, asked)
    )


@pytest.mark.slow
@FEW
@given(rows=st.lists(cases(), min_size=1, max_size=12), asked=MANY, data=st.data())
def test_a_row_that_is_a_person_changes_nobody_elses_cells(
    rows: Rows, asked: Sequence[Question], data: st.DataObject
) -> None:
    """Deleting it gives every later row another number; nothing else may follow."""
    gone = data.draw(st.integers(0, len(rows) - 1))
    others = [*rows[:gone], *rows[gone + 1 :]]
    check_additions(
        asked,
        answers(rows, asked, ROW_NUMBERS),
        answers(others, asked, ROW_NUMBERS),
        answers([rows[gone]], asked, ROW_NUMBERS),
    )


@pytest.mark.slow
@FEW
@given(
    rows=st.lists(cases(), min_size=2, max_size=16),
    asked=MANY,
    seed=st.integers(0, 1000),
    mapping=st.sampled_from([MAPPING_TEXT, ROW_NUMBERS]),
)
def test_the_order_of_rows_does_not_matter(
    rows: Rows, asked: Sequence[Question], seed: int, mapping: str
) -> None:
    mixed = list(rows)
    random.Random(seed).shuffle(mixed)
    pairs = zip(
        answers(rows, asked, mapping), answers(mixed, asked, mapping), strict=True
    )
    assert all((one == other).all() for one, other in pairs)


QUESTIONS: list[Question] = [
    (ask(*group_by, measure=measure), groups)
    for group_by in (
        ["region"],
        ["region", "registered_month"],
        ["region", "exploitation_type", "age_band:broad"],
    )
    for measure in ("persons", "cases")
    for groups in (1, 2, 3)
]


@pytest.mark.parametrize("mapping", [MAPPING_TEXT, ROW_NUMBERS])
def test_deleting_one_of_many_changes_nobody_else(mapping: str) -> None:
    """With so many groups left out, a choice that depended on others would show."""
    draw = random.Random(11)
    rows = [
        row(
            first=f"P{draw.randrange(60)}",
            number=draw.choice(["", str(number)]),
            date=f"2024-{draw.randrange(1, 13):02d}-01",
            region=draw.choice(["north", "south", "west", ""]),
            type=draw.choice(["labour", "labour;begging", "sexual;military", "none"]),
        )
        for number in range(500)
    ]
    whole = answers(rows, QUESTIONS, mapping)
    for person in ("P7", "P41"):
        own = [each for each in rows if each["first"] == person]
        others = [each for each in rows if each["first"] != person]
        added = answers(own, QUESTIONS, mapping)
        without = answers(others, QUESTIONS, mapping)
        nobody = answers([], QUESTIONS, mapping)
        for index in range(len(QUESTIONS)):
            difference = whole[index] - without[index]
            assert (difference == added[index] - nobody[index]).all()
