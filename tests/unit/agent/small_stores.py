# SPDX-License-Identifier: Apache-2.0
"""Small random stores with a layout, a filter and bounds, for the kernel's tests."""

from __future__ import annotations

import dataclasses
import datetime
import math
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns, write_columns
from accord.agent.store.entries import LeafFilter
from accord.core.layout import Axis, Layout
from accord.core.measure import ComponentVector
from accord.core.privacy import Accounting
from accord.core.query import CASES, PERSONS
from tests.unit.agent.reference_bound import Case, Rule

CREATED = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
DIGEST = "0" * 64

MOST_TRIED = 20_000
"""Cells of a drawn layout; more only take longer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A dimension as the store sees it."""

    leaves: int
    multi: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Cases of one agency and a question."""

    shapes: Mapping[str, Shape]
    cases: Sequence[Case]
    rule: Rule


def column_order(case: Case, shapes: Mapping[str, Shape]) -> tuple[object, ...]:
    """Return what the ingest sorts by, with persons as labels."""
    coded = tuple(tuple(sorted(case.leaves[name])) for name in shapes)
    return (case.person, case.key, coded)


def to_columns(
    cases: Sequence[Case], shapes: Mapping[str, Shape]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Code cases as the ingest does: dense ordinals, leaf codes, bitmasks."""
    rows = sorted(cases, key=lambda case: column_order(case, shapes))
    labels = sorted({case.person for case in rows})
    ordinals = {label: ordinal for ordinal, label in enumerate(labels)}
    yield "person", np.array([ordinals[case.person] for case in rows], np.uint32)
    yield "person_known", np.array([case.known for case in rows], np.uint8)
    yield "order_key", np.array([case.key for case in rows], np.uint64)
    for name, shape in shapes.items():
        if not shape.multi:
            kind = np.uint8 if shape.leaves <= 256 else np.uint16
            codes = [next(iter(case.leaves[name])) for case in rows]
            yield name, np.array(codes, kind)
            continue
        for word, first in enumerate(range(0, shape.leaves, 63)):
            bits = min(63, shape.leaves - first)
            masks = [
                sum(
                    1 << leaf - first
                    for leaf in case.leaves[name]
                    if 0 <= leaf - first < 63
                )
                for case in rows
            ]
            size = next(size for size in (8, 16, 32, 64) if bits <= size)
            yield f"{name}__{word}", np.array(masks, np.dtype(f"u{size // 8}"))


def layout_of(rule: Rule) -> Layout:
    return Layout(
        measure=PERSONS if rule.persons else CASES,
        axes=tuple(
            Axis(
                dimension=name,
                level="level",
                values=tuple(str(number) for number in range(size)),
                cell_of_leaf=tuple(cells),
            )
            for name, size, cells in rule.axes
        ),
    )


def declaration(rule: Rule) -> ComponentVector:
    return ComponentVector.of_counts(
        Accounting.ZCDP,
        groups=rule.l0,
        drop_cap=rule.drop_cap,
        cases=1 if rule.persons else rule.linf,
    )


def answer(
    world: World, cases: Sequence[Case] | None = None, chunk_entries: int = 1 << 16
) -> list[int]:
    """Write the cases as a store, open it and ask the kernel."""
    rule = world.rule
    where = [
        LeafFilter(
            dimension=name,
            wanted=tuple(leaf in wanted for leaf in range(world.shapes[name].leaves)),
        )
        for name, wanted in rule.where.items()
    ]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "store")
        write_columns(
            path,
            to_columns(world.cases if cases is None else cases, world.shapes),
            model="test",
            model_digest=DIGEST,
            created_at=CREATED,
        )
        with Columns.open(path, model_digest=DIGEST) as columns:
            vector = bounded_vector(
                columns,
                layout_of(rule),
                where,
                declaration(rule),
                chunk_entries=chunk_entries,
            )
    assert vector.dtype == np.int64
    return [int(entry) for entry in vector]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw dimensions, a rule and cases; order keys collide often."""
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
    shapes = {
        name: Shape(
            leaves=draw(st.sampled_from([2, 3, 5, 8, 9, 63, 64, 130])),
            multi=draw(st.booleans()),
        )
        for name in names
    }
    grouped = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    filtered = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
    rng = random.Random(draw(st.integers(0, 2**32)))
    axes = [_axis(rng, name, shapes[name]) for name in grouped]
    while math.prod(size for _, size, _ in axes) > MOST_TRIED:
        axes.pop()
    rule = Rule(
        persons=draw(st.booleans()),
        axes=axes,
        where={name: _some_leaves(rng, shapes[name]) for name in filtered},
        l0=draw(st.integers(1, 4)),
        linf=draw(st.integers(1, 3)),
        drop_cap=draw(st.integers(0, 4)),
    )
    most_key = draw(st.sampled_from([0, 3, 2**64 - 1]))
    few_leaves = draw(st.booleans())
    cases: list[Case] = []
    for person in range(draw(st.integers(0, 8))):
        known = rng.random() < 0.8
        cases.extend(
            Case(
                person=person,
                known=known,
                key=rng.randint(0, most_key),
                leaves={
                    name: _leaves(rng, shape, few=few_leaves)
                    for name, shape in shapes.items()
                },
            )
            for _ in range(rng.randint(1, 9) if known else 1)
        )
    return World(shapes=shapes, cases=cases, rule=rule)


def _leaves(rng: random.Random, shape: Shape, *, few: bool) -> frozenset[int]:
    reach = min(shape.leaves, 3) if few else shape.leaves
    count = rng.randint(1, 4) if shape.multi else 1
    return frozenset(rng.randrange(reach) for _ in range(count))


def _some_leaves(rng: random.Random, shape: Shape) -> frozenset[int]:
    return frozenset(
        leaf for leaf in range(shape.leaves) if rng.random() < 0.7 or leaf == 0
    )


def _axis(
    rng: random.Random, name: str, shape: Shape
) -> tuple[str, int, tuple[int, ...]]:
    """Return a monotone roll-up, now and then with leaves that have no cell."""
    step = rng.choice([0.0, 0.3, 1.0])
    holes = rng.choice([0.0, 0.3])
    place, places = 0, []
    for leaf in range(shape.leaves):
        place += int(leaf > 0 and rng.random() < step)
        places.append(-1 if rng.random() < holes else place)
    return name, place + 1, tuple(places)
