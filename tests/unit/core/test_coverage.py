# SPDX-License-Identifier: Apache-2.0
"""Figures that only few agencies can have cases in, by their signed remits."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.coverage import covered_cohorts, covering_cohorts, thin_values
from accord.core.dimension import UNKNOWN, Dimension
from accord.core.layout import lay_out
from accord.core.members import RemitForm
from accord.core.policy import Policy
from accord.core.query import Query, canonical_query
from tests.unit.core.small_policies import AGREEMENT, MODEL, PARTIES, changed, policy

WITH_MONTHS = changed(
    MODEL,
    dimensions__month={
        "title": "Month",
        "calendar": {"from": "2025-11", "until": "2026-04"},
    },
)
OPEN = changed(
    AGREEMENT,
    may_ask__group_by={"age": "all", "place": "all", "kind": "all", "month": "all"},
    may_ask__at_most_dimensions=3,
)
Covers = Mapping[str, list[str]]


@functools.cache
def base(least: int | None = None, most: str | None = None) -> Policy:
    """Return an agreement about everything, without remits."""
    protect: dict[str, Any] = {"groups_per_person": 3}
    if least is not None:
        protect["covered_by_at_least"] = least
    if most is not None:
        protect["no_agency_above"] = most
    return policy(changed(OPEN, protect=protect), model=WITH_MONTHS)


def with_remits(
    found: Policy,
    covers: Mapping[str, Covers],
    sizes: Mapping[str, int | None] | None = None,
) -> Policy:
    """Return *found* with remits as told; who is not named covers everything."""
    members = {
        name: member.model_copy(
            update={
                "remit": RemitForm(
                    description=name,
                    covers=dict(covers.get(name, {})),
                    persons_a_year=(sizes or {}).get(name),
                )
            }
        )
        for name, member in found.members.members.items()
    }
    return dataclasses.replace(
        found, members=found.members.model_copy(update={"members": members})
    )


def question(
    found: Policy,
    group_by: list[tuple[str, str | None]],
    where: Mapping[str, list[str]] | None = None,
) -> Query:
    """Return a canonical query."""
    return canonical_query(
        agreement="trends",
        edition="2026-03",
        measure="persons",
        group_by=group_by,
        where=where or {},
        model=found.model,
    )


NORTH: dict[str, Covers] = {
    "police": {"place": ["north"]},
    "shelter": {"place": ["north"]},
    "work": {"place": ["north"]},
}


@pytest.mark.parametrize(
    ("group_by", "where", "cohorts"),
    [
        ([], {}, ("all", "some")),
        ([("age", "fine")], {}, ("all", "some")),
        ([("place", None)], {}, ()),
        ([("place", None)], {"place": ["north"]}, ("all", "some")),
        ([], {"place": ["south"]}, ()),
        ([("age", "broad")], {"place": ["north", "south"]}, ("all", "some")),
    ],
)
def test_a_figure_needs_members_whose_remit_it_lies_in(
    group_by: list[tuple[str, str | None]],
    where: dict[str, list[str]],
    cohorts: tuple[str, ...],
) -> None:
    """Two of five cover the south."""
    found = with_remits(base(), NORTH)
    assert covering_cohorts(found, question(found, group_by, where)) == cohorts


def test_a_fallback_can_cover_less_than_everybody() -> None:
    """The hub then waits for the cohort that covers everything."""
    found = with_remits(base(), {"police": {"place": ["north"]}})
    by_place = question(found, [("place", None)])
    assert covering_cohorts(found, by_place) == ("all",)
    assert covering_cohorts(found, question(found, [])) == ("all", "some")


def test_thin_values_are_named_with_how_many_cover_them() -> None:
    """So that a refusal can say which, and what to ask instead."""
    found = with_remits(base(), NORTH)
    (thin,) = thin_values(found, question(found, [("place", None), ("age", "fine")]))
    assert (thin.dimension, thin.level, thin.values, thin.members) == (
        *("place", "place", ("south",), 2),
    )


def test_an_unrefined_or_unknown_value_is_covered_by_whoever_may_have_it() -> None:
    """Who has Novembers also has records of which only the year is known."""
    covers = {party: {"month": ["2025-11"]} for party in PARTIES}
    found = with_remits(base(), covers)
    for value in ("2025-11", "2025-Q4-??", "2025-??", UNKNOWN):
        assert covering_cohorts(found, question(found, [], {"month": [value]}))
    for value in ("2025-12", "2026-Q1-??", "2026-??"):
        assert not covering_cohorts(found, question(found, [], {"month": [value]}))


def test_an_agency_that_nobody_knows_covers_nothing() -> None:
    """Agents that hold no members refuse rather than guess."""
    found = base(least=5)
    nobody = found.members.model_copy(
        update={
            "members": {k: v for k, v in found.members.members.items() if k != "work"}
        }
    )
    without = dataclasses.replace(found, members=nobody)
    assert covering_cohorts(found, question(found, [("place", None)])) == ("all",)
    assert covering_cohorts(without, question(found, [("place", None)])) == ()


def test_a_value_of_another_data_model_covers_nothing() -> None:
    """One remit is for all data models of a network."""
    foreign = {party: {"place": ["north", "moon"]} for party in PARTIES}
    found = with_remits(base(), foreign)
    assert covering_cohorts(found, question(found, [], {"place": ["north"]}))
    assert not covering_cohorts(found, question(found, [], {"place": ["south"]}))


def test_no_agency_dominates_and_silence_is_no_answer() -> None:
    """The part is of the members that cover the figure, by their own figures."""
    sizes: dict[str, int | None] = dict.fromkeys(PARTIES, 10)
    even = with_remits(base(most="50 %"), {}, sizes)
    assert covering_cohorts(even, question(even, [])) == ("all", "some")
    large = with_remits(base(most="50 %"), {}, sizes | {"police": 30})
    assert covering_cohorts(large, question(large, [])) == ("all",)
    silent = with_remits(base(most="50 %"), {}, sizes | {"work": None})
    assert covering_cohorts(silent, question(silent, [])) == ("some",)
    assert covered_cohorts(silent, question(silent, [])) == ("all", "some")


def _declared(dimension: Dimension, values: list[str] | None) -> set[str]:
    if values is None:
        return set(dimension.leaves)
    plain = {leaf.path[-1] for leaf in dimension.tree if set(leaf.path) & set(values)}
    extra = set()
    for leaf in dimension.tree:
        inner = leaf.path[-2] if len(leaf.path) > 1 else None
        if inner and leaf.path[-1] in (f"{inner} ?", f"{inner}-??"):
            below = {each.path[-1] for each in dimension.tree if inner in each.path}
            if below & plain:
                extra.add(leaf.path[-1])
    return plain | extra | {UNKNOWN}


def _shared(found: Policy, present: list[str]) -> bool:
    most = found.agreement.form.protect.no_agency_above
    members = found.members.members
    sizes = [members[party].remit.persons_a_year for party in present]
    known = [size for size in sizes if size is not None]
    return most is None or (
        len(known) == len(sizes) and Fraction(max(known), sum(known)) <= most
    )


def by_brute_force(found: Policy, query: Query) -> tuple[str, ...]:
    """Look at every cell and every member."""
    layout = lay_out(query, found.model)
    filters = {
        part.dimension: {
            leaf.path[-1]
            for leaf in found.model.dimension(part.dimension).tree
            if set(leaf.path) & set(part.nodes)
        }
        for part in query.where
    }
    agreement = found.agreement
    protect = agreement.form.protect
    least = protect.covered_by_at_least or protect.at_least_agencies

    def covers(party: str, cell: dict[str, tuple[str, str]]) -> bool:
        remit = found.members.members[party].remit
        for name in cell.keys() | filters.keys():
            dimension = found.model.dimension(name)
            has = _declared(dimension, remit.covers.get(name))
            kept = filters.get(name, set(dimension.leaves))
            if name not in cell:
                if not has & kept:
                    return False
                continue
            level, value = cell[name]
            domain = dimension.domain(level)
            inside = {
                leaf
                for leaf, place in zip(
                    dimension.leaves, dimension.roll_up(level), strict=True
                )
                if domain[place] == value
            }
            if dimension.single and not has & inside & kept:
                return False
            if not dimension.single and not (has & inside and has & kept):
                return False
        return True

    good = []
    for cohort, members in agreement.cohorts.items():
        fits = True
        for values in layout.cells():
            cell = {
                axis.dimension: (axis.level, value)
                for axis, value in zip(layout.axes, values, strict=True)
            }
            present = [party for party in members if covers(party, cell)]
            fits = fits and len(present) >= least
            fits = fits and _shared(found, present)
        if fits:
            good.append(cohort)
    return tuple(good)


VALUES = {
    "age": ["young", "grown", "0-8", "18-20", "grown ?", UNKNOWN],
    "place": ["north", "south", UNKNOWN],
    "kind": ["a", "b", UNKNOWN],
    "month": ["2025", "2025-Q4", "2025-11", "2026-02", "2026-??", "2026"],
}
LEVELS = [
    ("age", "fine"),
    ("age", "broad"),
    ("place", "place"),
    ("kind", "kind"),
    ("month", "month"),
    ("month", "year"),
]


def some_of(name: str) -> st.SearchStrategy[list[str]]:
    """Return lists of values of one dimension."""
    return st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=3, unique=True)


REMITS = st.dictionaries(
    st.sampled_from(PARTIES),
    st.fixed_dictionaries({}, optional={name: some_of(name) for name in VALUES}),
)
SIZES = st.fixed_dictionaries(
    {
        party: st.one_of(st.integers(1, 50), st.integers(1, 50), st.none())
        for party in PARTIES
    }
)


@settings(deadline=None)
@given(
    covers=REMITS,
    sizes=SIZES,
    least=st.sampled_from([None, 1, 2, 4, 5]),
    most=st.sampled_from([None, None, "40 %", "80 %"]),
    group_by=st.lists(
        st.sampled_from(LEVELS), max_size=3, unique_by=lambda each: each[0]
    ),
    where=st.fixed_dictionaries({}, optional={name: some_of(name) for name in VALUES}),
)
def test_it_agrees_with_looking_at_every_cell(
    covers: dict[str, Covers],
    sizes: dict[str, int | None],
    least: int | None,
    most: str | None,
    group_by: list[tuple[str, str | None]],
    where: dict[str, list[str]],
) -> None:
    """Few distinct sets of members stand for many cells."""
    found = with_remits(base(least, most), covers, sizes)
    query = question(found, group_by, where)
    assert covering_cohorts(found, query) == by_brute_force(found, query)
