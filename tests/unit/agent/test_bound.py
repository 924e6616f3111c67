# SPDX-License-Identifier: Apache-2.0
"""The kernel against an independent reference, and the promises made about it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns, write_columns
from accord.agent.store.entries import LeafFilter, leaf_filters
from accord.core.errors import IntegrityError, InternalError, PreconditionFailed
from accord.core.layout import Axis, Layout, lay_out
from accord.core.measure import Bounds, Component, ComponentVector, component_vector
from accord.core.model import load_model
from accord.core.privacy import Accounting
from accord.core.query import canonical_query
from tests.unit.agent.reference_bound import Case, Rule, reference_vector
from tests.unit.agent.small_stores import (
    CREATED,
    DIGEST,
    Shape,
    World,
    answer,
    declaration,
    layout_of,
    to_columns,
    worlds,
)

MODEL = """
data_model: test-v1
dimensions:
  month:
    title: Month
    calendar: {from: 2019-01, until: 2020-06}
  form:
    title: Form
    levels: [fine, broad]
    values: {labour: [farm, house], sexual: [street, online]}
    multi: 3
  gender:
    title: Gender
    levels: [gender]
    values: [woman, man]
    constant: true
"""

chunks = st.sampled_from([1, 2, 3, 7, 20, 1 << 16])


@settings(max_examples=200, deadline=None)
@given(world=worlds(), chunk=chunks)
def test_kernel_agrees_with_the_reference(world: World, chunk: int) -> None:
    assert answer(world, chunk_entries=chunk) == reference_vector(
        world.cases, world.rule
    )


@settings(max_examples=60, deadline=None)
@given(world=worlds(), chunk=chunks, data=st.data())
def test_one_person_changes_only_what_is_declared(
    world: World, chunk: int, data: st.DataObject
) -> None:
    """Removal changes at most L0 + 2 entries, and leaves all others' alone."""
    labels = sorted({case.person for case in world.cases})
    if not labels:
        return
    person = data.draw(st.sampled_from(labels))
    others = [case for case in world.cases if case.person != person]
    alone = [case for case in world.cases if case.person == person]
    full = np.array(answer(world, chunk_entries=chunk))
    change = full - np.array(answer(world, others, chunk_entries=chunk))
    declared = declaration(world.rule)
    assert (change >= 0).all()
    assert np.count_nonzero(change[:-2]) <= declared.groups
    assert change[:-2].max() <= declared.slots[0].largest
    assert change[-2] <= declared.persons.largest
    assert change[-1] <= declared.dropped.largest
    assert change.sum() <= declared.d1(1)
    assert (change**2).sum() <= declared.d2_squared(1)
    assert change.tolist() == answer(world, alone, chunk_entries=chunk)


@settings(max_examples=60, deadline=None)
@given(world=worlds(), data=st.data())
def test_order_of_the_source_and_repetition_change_nothing(
    world: World, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(world.cases))
    first = answer(world)
    assert answer(world, shuffled) == first
    assert answer(world) == first


def test_the_declared_bounds_are_reached() -> None:
    """One heavy person has exactly D1 and D2 at one agency: no slack, no excess."""
    rule = Rule(
        persons=False, axes=[("a", 9, range(9))], where={}, l0=3, linf=2, drop_cap=4
    )
    cases = [
        Case(person=0, known=True, key=key, leaves={"a": frozenset({key % 9})})
        for key in range(40)
    ]
    world = World(shapes={"a": Shape(leaves=9, multi=False)}, cases=cases, rule=rule)
    vector = np.array(answer(world))
    assert vector.tolist() == [16, 16, 16, 0, 0, 0, 0, 0, 0, 1, 4]
    assert vector.sum() == declaration(rule).d1(1)
    assert (vector**2).sum() == declaration(rule).d2_squared(1)


def test_equal_order_keys_rank_by_cell_number() -> None:
    """Rows of one key are sorted by other columns; the rule looks at cells only."""
    rule = Rule(
        persons=True, axes=[("b", 3, range(3))], where={}, l0=1, linf=1, drop_cap=0
    )
    cases = [
        Case(
            person=0,
            known=True,
            key=5,
            leaves={"a": frozenset({left}), "b": frozenset({2 - left})},
        )
        for left in range(3)
    ]
    shape = Shape(leaves=3, multi=False)
    world = World(shapes={"a": shape, "b": shape}, cases=cases, rule=rule)
    assert answer(world) == [4, 0, 0, 1, 0]


def test_records_that_name_nobody_count_as_cases_only() -> None:
    rule = Rule(
        persons=True, axes=[("a", 2, range(2))], where={}, l0=1, linf=1, drop_cap=1
    )
    cases = [
        Case(person=label, known=label == 0, key=label, leaves={"a": frozenset({1})})
        for label in range(3)
    ]
    world = World(shapes={"a": Shape(leaves=2, multi=False)}, cases=cases, rule=rule)
    by_case = dataclasses.replace(world, rule=dataclasses.replace(rule, persons=False))
    assert answer(world) == [0, 5, 1, 0]
    assert answer(by_case) == [0, 15, 1, 0]
    assert answer(by_case, chunk_entries=1) == [0, 15, 1, 0]


@pytest.mark.parametrize("measure", ["persons", "cases"])
@pytest.mark.parametrize(
    "groups", [["month"], ["form", "gender"], ["form", "month"], []]
)
@pytest.mark.parametrize(
    "where",
    [{}, {"month": ["2019"]}, {"form": ["labour", "unknown"], "gender": ["woman"]}],
    ids=["all", "one-year", "labour"],
)
def test_layouts_and_filters_of_a_data_model(
    tmp_path: Path, measure: str, groups: list[str], where: dict[str, list[str]]
) -> None:
    """What `lay_out`, `leaf_filters` and `component_vector` make fits together."""
    model = load_model(MODEL, "model.yaml")
    level = {"month": "quarter", "form": "broad", "gender": "gender"}
    query = canonical_query(
        agreement="test",
        edition="2020-06",
        measure=measure,
        group_by=[(name, level[name]) for name in groups],
        where=where,
        model=model,
    )
    layout = lay_out(query, model)
    vector = component_vector(
        query,
        model,
        Bounds(groups_per_person=2, cases_per_group=2, drop_cap=3),
        Accounting.ZCDP,
    )
    shapes = {
        name: Shape(leaves=len(dimension.leaves), multi=not dimension.single)
        for name, dimension in model.dimensions.items()
    }
    rng = np.random.default_rng(11)
    cases = [
        Case(
            person=int(rng.integers(60)),
            known=True,
            key=int(rng.integers(2**63)),
            leaves={
                name: frozenset(
                    rng.integers(shape.leaves, size=3 if shape.multi else 1).tolist()
                )
                for name, shape in shapes.items()
            },
        )
        for _ in range(300)
    ]
    write_columns(
        tmp_path,
        to_columns(cases, shapes),
        model=model.name,
        model_digest=model.digest,
        created_at=CREATED,
    )
    rule = Rule(
        persons=measure == "persons",
        axes=[
            (axis.dimension, len(axis.values), axis.cell_of_leaf)
            for axis in layout.axes
        ],
        where={
            part.dimension: frozenset(
                code for code, wanted in enumerate(part.wanted) if wanted
            )
            for part in leaf_filters(query, model)
        },
        l0=vector.groups,
        linf=vector.cases,
        drop_cap=vector.dropped.bound,
    )
    with Columns.open(tmp_path, model_digest=model.digest) as columns:
        found = bounded_vector(columns, layout, leaf_filters(query, model), vector)
    assert found.tolist() == reference_vector(cases, rule)
    assert found.sum() > 0


def single_store(directory: Path, codes: list[int]) -> Columns:
    cases = [
        Case(person=number, known=True, key=number, leaves={"a": frozenset({code})})
        for number, code in enumerate(codes)
    ]
    shapes = {"a": Shape(leaves=max(codes) + 1, multi=False)}
    write_columns(
        directory,
        to_columns(cases, shapes),
        model="test",
        model_digest=DIGEST,
        created_at=CREATED,
    )
    return Columns.open(directory)


def one_axis(dimension: str, cells: tuple[int, ...]) -> tuple[Layout, ComponentVector]:
    rule = Rule(
        persons=True,
        axes=[(dimension, max(cells) + 1, cells)],
        where={},
        l0=1,
        linf=1,
        drop_cap=1,
    )
    return layout_of(rule), declaration(rule)


def test_a_code_outside_its_domain_is_a_broken_store(tmp_path: Path) -> None:
    layout, vector = one_axis("a", (0, 1))
    with (
        single_store(tmp_path, [0, 1, 2]) as columns,
        pytest.raises(IntegrityError, match="outside the domain"),
    ):
        bounded_vector(columns, layout, [], vector)


def test_a_dimension_that_the_store_lacks_is_named(tmp_path: Path) -> None:
    layout, vector = one_axis("other", (0, 1))
    with single_store(tmp_path, [0, 1]) as columns:
        with pytest.raises(PreconditionFailed, match="no column 'other'"):
            bounded_vector(columns, layout, [], vector)
        layout, vector = one_axis("a", (0, 1))
        missing = LeafFilter(dimension="other", wanted=(True, False))
        with pytest.raises(PreconditionFailed, match="no column 'other'"):
            bounded_vector(columns, layout, [missing], vector)


def test_a_bitmask_of_another_domain_is_a_broken_store(tmp_path: Path) -> None:
    case = Case(person=0, known=True, key=0, leaves={"a": frozenset({1})})
    write_columns(
        tmp_path,
        to_columns([case], {"a": Shape(leaves=5, multi=True)}),
        model="test",
        model_digest=DIGEST,
        created_at=CREATED,
    )
    layout, vector = one_axis("a", tuple(range(70)))
    with (
        Columns.open(tmp_path) as columns,
        pytest.raises(IntegrityError, match="bitmask of 'a'"),
    ):
        bounded_vector(columns, layout, [], vector)


def test_what_cannot_be_bounded_is_not_counted(tmp_path: Path) -> None:
    """Declarations and layouts that the kernel could not keep are refused."""
    layout, good = one_axis("a", (0, 1))
    bad = [
        dataclasses.replace(good, groups=0),
        dataclasses.replace(good, slots=(Component(bound=0, scale=4),)),
        dataclasses.replace(good, slots=(Component(bound=2**40, scale=4),)),
        dataclasses.replace(good, persons=Component(bound=2, scale=1)),
        dataclasses.replace(good, dropped=Component(bound=-1, scale=1)),
    ]
    disordered = Axis(dimension="a", level="x", values=("p", "q"), cell_of_leaf=(1, 0))
    huge = Axis(dimension="b", level="x", values=("v",) * 100_001, cell_of_leaf=(0,))
    with single_store(tmp_path, [0, 1]) as columns:
        with pytest.raises(InternalError, match="too many cells"):
            bounded_vector(columns, dataclasses.replace(layout, axes=(huge,)), [], good)
        for vector in bad:
            with pytest.raises(InternalError, match="declared bounds"):
                bounded_vector(columns, layout, [], vector)
        with pytest.raises(InternalError, match="changes the order"):
            bounded_vector(
                columns, dataclasses.replace(layout, axes=(disordered,)), [], good
            )
