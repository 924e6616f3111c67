# SPDX-License-Identifier: Apache-2.0
"""A small data model with records of one agency and questions of every measure."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from accord.agent.store.columns import write_columns
from accord.core.measure import Bounding, Bounds, ComponentVector, component_vector
from accord.core.model import NOT_RECORDED, load_model
from accord.core.privacy import Accounting
from accord.core.query import Query, canonical_query
from tests.unit.agent.reference_bound import Case
from tests.unit.agent.reference_slots import Record
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
        return component_vector(
            self.query, MODEL, self.bounds, Accounting.ZCDP, self.bounding
        )


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


def write_store(directory: Path, records: Sequence[Record]) -> None:
    """Write the records as a store."""
    kept = sorted(records, key=lambda each: (each.person, each.key))
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
    write_columns(
        directory,
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


def _held(record: Record, name: str) -> int:
    held = record.numbers[name]
    return NOT_RECORDED if held is None else held


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
