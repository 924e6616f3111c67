# SPDX-License-Identifier: Apache-2.0
"""Every measure against a slow reference, and one person's effect on whole vectors."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.agent.store.entries import leaf_filters
from accord.core.layout import lay_out
from accord.core.measure import Bounding, Bounds
from tests.unit.agent.reference_slots import EXTRA, Record, reference
from tests.unit.agent.small_questions import (
    MODEL,
    Asked,
    question,
    questions,
    write_store,
)


def answer(asked: Asked, chunk: int, records: list[Record] | None = None) -> list[int]:
    """Write the records as a store and ask the kernel."""
    layout = lay_out(asked.query, MODEL)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "store")
        write_store(path, asked.records if records is None else records)
        with Columns.open(path) as columns:
            found = bounded_vector(
                columns,
                layout,
                leaf_filters(asked.query, MODEL),
                asked.vector,
                chunk_entries=chunk,
            )
    assert found.dtype == np.int64
    assert found.shape == (layout.size,)
    return [int(each) for each in found]


def expected(asked: Asked) -> list[int]:
    layout = lay_out(asked.query, MODEL)
    found = reference(asked.records, asked.query, MODEL, asked.vector)
    extra = [found.pop((EXTRA, name), 0) for name in ("persons", "dropped")]
    flat = [
        found.pop((cell, slot), 0) for cell in layout.cells() for slot in layout.slots
    ]
    assert not found
    assert all(int(each) == each for each in flat)
    return [int(each) for each in (*flat, *extra)]


chunks = st.sampled_from([1, 2, 5, 20, 1 << 16])


@settings(max_examples=150, deadline=None)
@given(asked=questions(), chunk=chunks)
def test_the_kernel_agrees_with_the_reference(asked: Asked, chunk: int) -> None:
    assert answer(asked, chunk) == expected(asked)


@settings(max_examples=100, deadline=None)
@given(asked=st.one_of(questions(), questions(ties=True)), chunk=chunks, data=st.data())
def test_one_person_changes_no_more_than_the_sensitivity(
    asked: Asked, chunk: int, data: st.DataObject
) -> None:
    """D1 and D2 of the whole vector, and nobody else's part of it moves."""
    if not asked.records:
        return
    person = data.draw(st.sampled_from(sorted({r.person for r in asked.records})))
    alone = [each for each in asked.records if each.person == person]
    others = [each for each in asked.records if each.person != person]
    full = np.array(answer(asked, chunk))
    change = full - np.array(answer(asked, chunk, others))
    assert change.tolist() == answer(asked, chunk, alone)
    assert np.abs(change).sum() <= asked.vector.d1(1)
    assert (change**2).sum() <= asked.vector.d2_squared(1)
    slots = [slot.largest for slot in asked.vector.slots]
    cells = np.abs(change[:-2]).reshape(-1, len(slots))
    assert (cells <= np.array(slots)).all()
    assert (cells.sum(axis=1) <= asked.vector.cell_d1).all()
    assert ((cells**2).sum(axis=1) <= asked.vector.cell_d2_squared).all()


@pytest.mark.parametrize("measure", ["sum(days)", "mean(days)", "quantile(days)"])
def test_the_worst_person_reaches_the_bound(measure: str) -> None:
    """No slack: three cells of two cases at the end of the range, and many more."""
    records = [
        Record(
            person=0,
            known=True,
            key=key,
            leaves={
                "year": frozenset({f"y{key % 3 + 1}"}),
                "work": frozenset({"farm", "online"}),
                "means": frozenset({"threat"}),
                "gender": frozenset({"woman"}),
            },
            numbers={"days": 90, "change": None},
        )
        for key in range(12)
    ]
    asked = Asked(
        records=records,
        query=question(measure, ["year", "work"]),
        bounds=Bounds(groups_per_person=3, cases_per_group=2, drop_cap=3),
        bounding=Bounding.KEEP,
    )
    for chunk in (1, 1 << 16):
        found = np.array(answer(asked, chunk))
        assert np.abs(found).sum() == asked.vector.d1(1)
        assert (found**2).sum() == asked.vector.d2_squared(1)


def test_weighed_groups_cost_what_kept_ones_do() -> None:
    """A person in many cells adds a little to each, and no more in all."""
    query = question("persons", ["year", "work"])
    records = [
        Record(
            person=0,
            known=True,
            key=number,
            leaves={
                "year": frozenset({f"y{number % 3 + 1}"}),
                "work": frozenset({"farm", "online"}),
                "means": frozenset({"threat"}),
                "gender": frozenset({"woman"}),
            },
            numbers={"days": None, "change": None},
        )
        for number in range(6)
    ]
    asked = Asked(
        records=records,
        query=query,
        bounds=Bounds(groups_per_person=3, cases_per_group=1, drop_cap=2),
        bounding=Bounding.WEIGH,
    )
    found = np.array(answer(asked, 1 << 16))
    assert sorted(found[:-2][found[:-2] > 0]) == [45] * 6
    assert found[-2:].tolist() == [16, 32]
    assert (found**2).sum() <= asked.vector.d2_squared(1)
    assert found.sum() <= asked.vector.d1(1)
    assert asked.vector.d2_squared(1) == 3 * 64**2 + 16**2 + 32**2
