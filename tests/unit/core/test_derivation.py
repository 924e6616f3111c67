# SPDX-License-Identifier: Apache-2.0
"""A coarser answer from a finer one, against a bound that is applied to cases.

The reference counts cases one by one in plain Python, as an agency does: it decides for
each person which cells count, and knows nothing of derivations.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accord.core.derivation import Derivation, Obstacle, Why, derive
from accord.core.errors import InvalidQuery
from accord.core.layout import Layout, lay_out, wanted_leaves
from accord.core.model import DataModel, load_model
from accord.core.query import Query, canonical_query
from tests.unit.core.small_policies import MODEL, changed

DOCUMENT = changed(
    MODEL,
    edition_dimension="month",
    dimensions__month={
        "title": "Month",
        "calendar": {"from": "2025-11", "until": "2026-02"},
    },
    dimensions__sex={
        "title": "Sex",
        "levels": ["sex"],
        "values": ["f", "m"],
        "constant": True,
    },
)
DOCUMENT["dimensions"]["age"]["constant"] = True
TINY: DataModel = load_model(json.dumps(DOCUMENT), "tiny.yaml")
EDITION = "2026-02"
SINGLE = ("age", "month", "place", "sex")


def ask(measure: str, *by: tuple[str, str | None], **where: list[str]) -> Query:
    return canonical_query(
        agreement="trends",
        edition=EDITION,
        measure=measure,
        group_by=by,
        where=where,
        model=TINY,
    )


@dataclasses.dataclass(frozen=True)
class Case:
    person: int
    order: int
    leaves: dict[str, frozenset[int]]


def cells_of(case: Case, query: Query, layout: Layout) -> set[int]:
    """Return the cells in which a case stands; none where the filter leaves it out."""
    for name, kept in wanted_leaves(query, TINY).items():
        if not case.leaves[name] & kept:
            return set()
    places = [
        {axis.cell_of_leaf[leaf] for leaf in case.leaves[axis.dimension]} - {-1}
        for axis in layout.axes
    ]
    sizes = [len(axis.values) for axis in layout.axes]
    found = set()
    for chosen in itertools.product(*places):
        cell = 0
        for place, size in zip(chosen, sizes, strict=True):
            cell = cell * size + place
        found.add(cell)
    return found


def bounded(
    cases: Iterable[Case], query: Query, groups: int, linf: int
) -> tuple[list[int], int]:
    """Return what one agency answers, and how many groups the bound left out."""
    layout = lay_out(query, TINY)
    counts, dropped = [0] * layout.n_cells, 0
    by_person: dict[int, dict[int, list[Case]]] = {}
    for case in cases:
        for cell in cells_of(case, query, layout):
            by_person.setdefault(case.person, {}).setdefault(cell, []).append(case)
    for own in by_person.values():
        ranked = sorted(own, key=lambda cell: (min(c.order for c in own[cell]), cell))
        for cell in ranked[:groups]:
            counts[cell] += min(len(own[cell]), linf)
        dropped += max(0, len(ranked) - groups)
    return counts, dropped


def summed(found: Derivation, finer: Sequence[int]) -> list[int]:
    totals = [0] * found.layout.n_cells
    for cell, count in zip(found.target, finer, strict=True):
        if cell >= 0:
            totals[cell] += count
    return totals


def _leaf(name: str) -> st.SearchStrategy[int]:
    return st.integers(0, len(TINY.dimension(name).tree) - 1)


@st.composite
def people(draw: st.DrawFn) -> list[Case]:
    """Return cases of some persons; age and sex are those of the person."""
    found: list[Case] = []
    for person in range(draw(st.integers(1, 4))):
        age, sex = draw(_leaf("age")), draw(_leaf("sex"))
        for _ in range(draw(st.integers(1, 6))):
            kinds = draw(st.frozensets(_leaf("kind"), min_size=1, max_size=2))
            leaves = {
                "age": frozenset([age]),
                "sex": frozenset([sex]),
                "month": frozenset([draw(_leaf("month"))]),
                "place": frozenset([draw(_leaf("place"))]),
                "kind": kinds,
            }
            # few order keys, so that some are equal
            order = draw(st.integers(0, 5))
            found.append(Case(person, order, leaves))
    return found


@st.composite
def questions(draw: st.DrawFn, measure: str) -> Query:
    names = draw(
        st.lists(st.sampled_from(sorted(TINY.dimensions)), unique=True, max_size=3)
    )
    by = [(n, draw(st.sampled_from(TINY.dimension(n).levels))) for n in names]
    where: dict[str, Any] = {}
    for name in draw(
        st.lists(
            st.sampled_from(["age", "sex", "place", "kind"]), unique=True, max_size=1
        )
    ):
        dimension = TINY.dimension(name)
        level = draw(st.sampled_from(dimension.levels))
        values = st.sampled_from(dimension.domain(level))
        where[name] = draw(st.lists(values, min_size=1, max_size=2, unique=True))
    return ask(measure, *by, **where)


@st.composite
def pairs(draw: st.DrawFn, measure: str) -> tuple[Query, Query]:
    """Return a question and one that is made coarser from it, more or less."""
    finer = draw(questions(measure))
    by: list[tuple[str, str | None]] = []
    where = {part.dimension: list(part.nodes) for part in finer.where}
    for group in finer.group_by:
        dimension = TINY.dimension(group.dimension)
        what = draw(st.sampled_from(["keep", "coarser", "gone", "filter"]))
        level = group.level
        if what in ("coarser", "filter"):
            at = dimension.levels.index(level)
            level = draw(st.sampled_from(dimension.levels[at:]))
        if what == "filter":
            values = st.sampled_from(dimension.domain(level))
            where[group.dimension] = draw(st.lists(values, min_size=1, unique=True))
        if what != "gone":
            by.append((group.dimension, level))
    coarser = ask(measure, *by, **where)
    assume(can_be_asked(coarser))
    return finer, coarser


def can_be_asked(query: Query) -> bool:
    """Tell whether a filter on time has anything before the end of the edition."""
    try:
        wanted_leaves(query, TINY)
    except InvalidQuery:
        return False
    return True


BOUNDS = (st.integers(1, 3), st.integers(1, 3))


def limit(query: Query, groups: int) -> int:
    """Return L0 as agencies compute it."""
    product = 1
    for group in query.group_by:
        dimension = TINY.dimension(group.dimension)
        if not dimension.constant:
            return groups
        product *= dimension.max_values
    return min(groups, product)


@given(asked=pairs("persons"), cases=people(), groups=BOUNDS[0])
def test_sums_of_persons_are_the_very_target_of_the_coarser_question(
    asked: tuple[Query, Query], cases: list[Case], groups: int
) -> None:
    finer, coarser = asked
    found = derive(TINY, finer, coarser)
    assume(isinstance(found, Derivation))
    assert isinstance(found, Derivation)
    assert found.is_exact
    counts, dropped = bounded(cases, finer, limit(finer, groups), 1)
    target, left_out = bounded(cases, coarser, limit(coarser, groups), 1)
    assert summed(found, counts) == target
    if not found.is_narrower:
        assert dropped == left_out


@given(asked=pairs("cases"), cases=people(), groups=BOUNDS[0], linf=BOUNDS[1])
def test_sums_of_cases_count_no_case_twice(
    asked: tuple[Query, Query], cases: list[Case], groups: int, linf: int
) -> None:
    finer, coarser = asked
    found = derive(TINY, finer, coarser)
    assume(isinstance(found, Derivation))
    assert isinstance(found, Derivation)
    most, none = len(cases) + 1, 0
    truth, _ = bounded(cases, coarser, most * most, most)
    raw, _ = bounded(cases, finer, most * most, most)
    assert summed(found, raw) == truth
    counts, dropped = bounded(cases, finer, limit(finer, groups), linf)
    target, _ = bounded(cases, coarser, limit(coarser, groups), linf)
    sums = summed(found, counts)
    assert all(each <= exact for each, exact in zip(sums, truth, strict=True))
    if found.is_exact:
        assert sums == target
    if dropped == none:
        assert all(each >= own for each, own in zip(sums, target, strict=True))


@given(asked=pairs("cases"))
def test_every_coarser_cell_is_a_sum_of_at_least_one(
    asked: tuple[Query, Query],
) -> None:
    found = derive(TINY, *asked)
    assume(isinstance(found, Derivation))
    assert isinstance(found, Derivation)
    assert len(found.target) == lay_out(asked[0], TINY).n_cells
    assert min(found.summed) >= 1
    assert sum(found.summed) == sum(cell >= 0 for cell in found.target)


MONTHLY = (("month", "month"), ("place", None))


@pytest.mark.parametrize(
    ("finer", "coarser", "why", "dimension"),
    [
        (ask("persons", *MONTHLY), ask("cases"), Why.MEASURE, ""),
        (ask("persons", *MONTHLY), ask("persons"), Why.PERSONS, "month"),
        (
            ask("persons", *MONTHLY),
            ask("persons", ("month", "quarter"), ("place", None)),
            *(Why.PERSONS, "month"),
        ),
        (
            ask("persons", ("place", None)),
            ask("persons", place=["north"]),
            *(Why.PERSONS, "place"),
        ),
        (ask("cases", ("kind", None)), ask("cases"), Why.SEVERAL_VALUES, "kind"),
        (
            ask("cases", ("kind", None)),
            ask("cases", ("kind", None), kind=["a"]),
            *(Why.SEVERAL_VALUES, "kind"),
        ),
        (ask("cases", ("place", None)), ask("cases", ("sex", None)), Why.ABSENT, "sex"),
        (ask("cases", sex=["f"]), ask("cases"), Why.FILTER, "sex"),
        (ask("cases"), ask("cases", sex=["f"]), Why.FILTER, "sex"),
        (
            ask("cases", ("age", "broad")),
            ask("cases", ("age", "fine")),
            *(Why.LEVEL, "age"),
        ),
        (
            ask("cases", ("age", "broad")),
            ask("cases", age=["0-8"]),
            *(Why.FILTER, "age"),
        ),
        (
            ask("cases", ("place", None), place=["north"]),
            ask("cases"),
            *(Why.FILTER, "place"),
        ),
    ],
)
def test_what_does_not_follow_is_told_with_the_dimension(
    finer: Query, coarser: Query, why: Why, dimension: str
) -> None:
    assert derive(TINY, finer, coarser) == Obstacle(why=why, dimension=dimension)


def test_figures_of_two_levels_of_time_follow_for_cases() -> None:
    found = derive(TINY, ask("cases", *MONTHLY), ask("cases", ("month", "year")))
    assert isinstance(found, Derivation)
    assert found.rolled == ("month", "place")
    assert not found.is_exact
    assert not found.is_narrower
    # "2025" has two months and two leaves that are not recorded finer
    assert found.most == max(found.summed)


def test_the_same_question_is_its_own_answer() -> None:
    found = derive(TINY, ask("persons", *MONTHLY), ask("persons", *MONTHLY))
    assert isinstance(found, Derivation)
    assert found.rolled == ()
    assert set(found.summed) == {1}


def test_persons_by_something_constant_roll_up_beside_time() -> None:
    finer = ask("persons", ("month", "month"), ("sex", None), ("age", "fine"))
    found = derive(TINY, finer, ask("persons", ("month", "month"), ("age", "broad")))
    assert isinstance(found, Derivation)
    assert found.rolled == ("age", "sex")
    assert found.is_exact
    only = derive(TINY, finer, ask("persons", ("month", "month"), sex=["f"]))
    assert isinstance(only, Derivation)
    assert only.is_narrower
