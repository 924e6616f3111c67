# SPDX-License-Identifier: Apache-2.0
"""Every measure against a slow reference, and one person's effect on whole vectors."""

from __future__ import annotations

import dataclasses
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns, write_columns
from accord.agent.store.entries import leaf_filters
from accord.core.layout import lay_out
from accord.core.measure import Bounding, Bounds, ComponentVector, component_vector
from accord.core.model import NOT_RECORDED, load_model
from accord.core.query import Query, canonical_query
from tests.unit.agent.reference_bound import Case
from tests.unit.agent.reference_slots import EXTRA, Record, reference
from tests.unit.agent.small_stores import CREATED, Shape, to_columns

MODEL = load_model(
    """
data_model: test-v1
dimensions:
  year:
    title: Year
    levels: [year]
    values: [y1, y2, y3]
  means:
    title: Means
    levels: [fine, broad]
    values: {force: [threat, violence], debt: [debt bondage], other: [none]}
    multi: 3
  work:
    title: Work
    levels: [fine, broad]
    values: {labour: [farm, house], sexual: [street, online]}
    multi: 2
  gender:
    title: Gender
    levels: [gender]
    values: [woman, man, none]
    constant: true
quantities:
  days: {title: Days, unit: days, bounds: [0, 90], bins: [7, 30]}
  change: {title: Change, unit: points, bounds: [-2, 3], scale: 10}
""",
    "model.yaml",
)
MEASURES = [
    *("sum(days)", "mean(days)", "quantile(days)"),
    *("sum(change)", "mean(change)", "quantile(change)"),
    *("share(means)", "share(means:broad)", "values(means)", "values(means:broad)"),
    *("share(gender)", "values(gender)", "persons", "cases"),
]
GROUPS = ["year", "work", "work:broad"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Records of one agency and a question."""

    records: list[Record]
    query: Query
    bounds: Bounds
    bounding: Bounding

    @property
    def vector(self) -> ComponentVector:
        return component_vector(self.query, MODEL, self.bounds, self.bounding)


def question(
    measure: str, groups: list[str], where: dict[str, list[str]] | None = None
) -> Query:
    return canonical_query(
        agreement="test",
        edition="2026-01",
        measure=measure,
        group_by=[
            (name, level or None)
            for name, _, level in (group.partition(":") for group in groups)
        ],
        where=where or {},
        model=MODEL,
    )


def answer(asked: Asked, chunk: int, records: list[Record] | None = None) -> list[int]:
    """Write the records as a store and ask the kernel."""
    kept = asked.records if records is None else records
    kept = sorted(kept, key=lambda each: (each.person, each.key))
    cases = [
        Case(
            person=each.person,
            known=each.known,
            key=each.key,
            leaves={
                name: frozenset(MODEL.dimension(name).code(leaf) for leaf in leaves)
                for name, leaves in each.leaves.items()
            },
        )
        for each in kept
    ]
    shapes = {
        name: Shape(leaves=len(dimension.leaves), multi=not dimension.single)
        for name, dimension in MODEL.dimensions.items()
    }
    order = sorted(
        range(len(kept)),
        key=lambda i: (
            cases[i].person,
            cases[i].key,
            tuple(tuple(sorted(cases[i].leaves[name])) for name in shapes),
        ),
    )
    layout = lay_out(asked.query, MODEL)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "store")
        write_columns(
            path,
            [
                *to_columns(cases, shapes),
                *(
                    (name, np.array([_held(kept[i], name) for i in order], np.int32))
                    for name in MODEL.quantities
                ),
            ],
            model=MODEL.name,
            model_digest=MODEL.digest,
            created_at=CREATED,
        )
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


def _held(record: Record, name: str) -> int:
    held = record.numbers[name]
    return NOT_RECORDED if held is None else held


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


@st.composite
def questions(draw: st.DrawFn, *, ties: bool = False) -> Asked:
    measure = draw(st.sampled_from(MEASURES))
    groups = draw(st.lists(st.sampled_from(GROUPS), max_size=2, unique=True))
    names = [group.partition(":")[0] for group in groups]
    groups = [g for i, g in enumerate(groups) if names[i] not in names[:i]]
    where = draw(
        st.sampled_from(
            [{}, {"year": ["y1", "y3"]}, {"means": ["force"]}, {"gender": ["woman"]}]
        )
    )
    weigh = measure == "persons" and draw(st.booleans())
    rng = random.Random(draw(st.integers(0, 2**32)))
    most_key = 3 if ties else rng.choice([2**20, 2**64 - 1])
    keys = set[int]()
    records: list[Record] = []
    few = rng.random() < 0.5
    for person in range(draw(st.integers(0, 7))):
        known = rng.random() < 0.8
        for _ in range(rng.randint(1, 9) if known else 1):
            key = rng.randint(0, most_key)
            while key in keys and not ties:
                key = rng.randint(0, most_key)
            keys.add(key)
            records.append(
                Record(
                    person=person,
                    known=known,
                    key=key,
                    leaves={
                        name: _leaves(rng, name, few=few) for name in MODEL.dimensions
                    },
                    numbers={
                        "days": rng.choice([None, 0, 6, 7, 30, 90, rng.randint(0, 90)]),
                        "change": rng.choice([None, -20, 30, rng.randint(-20, 30)]),
                    },
                )
            )
    return Asked(
        records=records,
        query=question(measure, groups, where),
        bounds=Bounds(
            groups_per_person=draw(st.integers(1, 3)),
            cases_per_group=draw(st.integers(1, 3)),
            drop_cap=draw(st.integers(1, 4)),
        ),
        bounding=Bounding.WEIGH if weigh else Bounding.KEEP,
    )


def _leaves(rng: random.Random, name: str, *, few: bool) -> frozenset[str]:
    dimension = MODEL.dimension(name)
    leaves = dimension.leaves[:2] if few and rng.random() < 0.8 else dimension.leaves
    return frozenset(rng.choices(leaves, k=rng.randint(1, dimension.max_values)))


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
