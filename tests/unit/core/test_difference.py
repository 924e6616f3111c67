# SPDX-License-Identifier: Apache-2.0
"""What becomes possible: over all classes of requests, as `decide` says one by one."""

from __future__ import annotations

import collections
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.board import DeclarationForm
from accord.core.comparison.difference import MOST_EXAMPLES, compare
from accord.core.comparison.lines import difference_json, difference_lines
from accord.core.comparison.requests import Shape, Space, Status, space_of, status_of
from accord.core.errors import ConfigurationError
from accord.core.policy import Policy
from tests.unit.core.small_policies import AGREEMENT, MEMBERS, MODEL, changed, policy

GOLDEN = Path(__file__).parents[2] / "golden" / "diff"
LEVELS = {"age": ["fine", "broad", "all"], "place": ["place", "all"], "kind": ["all"]}
VALUES = {"age": ["0-8", "young", "21+"], "place": ["north"], "kind": ["a"]}
COARSE = changed(
    MODEL, dimensions__age={"title": "Age", "levels": ["broad"], "values": ["0-8", "x"]}
)


@st.composite
def policies(draw: st.DrawFn) -> Policy | None:
    """Draw an agreement that may say anything about requests, with its remits."""
    dimensions = draw(st.lists(st.sampled_from(sorted(LEVELS)), unique=True))
    hidden = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=2))
    together = draw(st.booleans())
    emergency = {
        "purpose": draw(st.sampled_from(["planning", "crisis"])),
        "spend": {"epsilon": 3},
        "at_most": 30,
        "approvers": ["alice", "bela"],
    }
    agreement: dict[str, Any] = changed(
        AGREEMENT,
        purpose=_some(draw, ["planning", "research"]),
        recipients__roles=_some(draw, ["analyst", "editor"]),
        recipients__organisations=_some(draw, ["university", "press"]),
        may_ask__measures=_some(draw, ["persons", "cases"]),
        may_ask__group_by={
            name: draw(st.sampled_from(LEVELS[name])) for name in dimensions
        },
        may_ask__at_most_dimensions=draw(st.integers(0, 3)),
        may_ask__never_together=[["age", "place"]] if together else [],
        may_ask__hidden_values={
            name: [draw(st.sampled_from(VALUES[name]))] for name in hidden
        },
        protect__covered_by_at_least=draw(st.integers(1, 5)),
        protect__no_agency_above=draw(st.sampled_from(["30 %", "90 %", ...])),
        emergency=emergency if draw(st.booleans()) else ...,
    )
    members = changed(MEMBERS, members__shelter__remit__persons_a_year=100)
    for party in draw(st.lists(st.sampled_from(["police", "work"]), unique=True)):
        name = draw(st.sampled_from(sorted(VALUES)))
        members["members"][party]["remit"]["covers"] = {name: VALUES[name]}
        members["members"][party]["remit"]["persons_a_year"] = 10
    model = COARSE if draw(st.integers(0, 5)) == 0 else MODEL
    try:
        return policy(agreement, members=members, model=model)
    except ConfigurationError:
        return None  # the entries contradict each other: no agreement


def _some(draw: st.DrawFn, words: list[str]) -> list[str]:
    return draw(st.lists(st.sampled_from(words), min_size=1, unique=True))


def tally(before: Policy | None, after: Policy | None) -> tuple[int, int, int]:
    """Return what a comparison should count, by `decide` on every class."""
    counts: collections.Counter[int] = collections.Counter()
    space = space_of([each for each in (before, after) if each is not None])
    total = 0
    for request in space.classes():
        total += 1
        old = status_of(before, request) if before else Status.DENIED
        new = status_of(after, request) if after else Status.DENIED
        counts[(new > old) - (new < old)] += 1
    return total, counts[1], counts[-1]


@given(before=policies(), after=policies())
@settings(max_examples=70)
@pytest.mark.slow
def test_a_comparison_agrees_with_every_single_decision(
    before: Policy | None, after: Policy | None
) -> None:
    """Counts, examples and the size of the space."""
    found = compare(before, after)
    assert (
        found.classes,
        found.newly_allowed.count,
        found.no_longer_allowed.count,
    ) == tally(before, after)
    for changed_classes, sign in (
        (found.newly_allowed, 1),
        (found.no_longer_allowed, -1),
    ):
        examples = changed_classes.examples
        assert len(examples) == min(MOST_EXAMPLES, changed_classes.count)
        assert len({each.request for each in examples}) == len(examples)
        sizes = [len(each.request.shape.steps) for each in examples]
        assert sizes == sorted(sizes)
        for each in examples:
            old = status_of(before, each.request) if before else Status.DENIED
            new = status_of(after, each.request) if after else Status.DENIED
            assert (each.before, each.after) == (old, new)
            assert (new > old) - (new < old) == sign
            assert bool(each.limits) == (Status.LIMITED in (old, new))


@given(one=policies(), other=policies())
@pytest.mark.slow
def test_the_way_back_is_the_other_way_round(
    one: Policy | None, other: Policy | None
) -> None:
    """What becomes possible one way is impossible the other way."""
    there, back = compare(one, other), compare(other, one)
    assert there.newly_allowed.count == back.no_longer_allowed.count
    assert there.no_longer_allowed.count == back.newly_allowed.count
    assert not compare(one, one).loosens
    assert difference_lines(there)
    assert difference_json(there)


def test_nothing_is_looser_than_itself_and_anything_than_nothing() -> None:
    """A new agreement loosens; one that ends does not."""
    assert compare(None, policy()).loosens
    assert not compare(policy(), None).loosens
    assert not compare(policy(), policy()).loosens


def test_a_class_is_limited_where_a_filter_can_make_it_possible() -> None:
    """Else a change could allow filtered questions that no difference shows."""
    thin = changed(MEMBERS)
    for party in ("police", "work", "shelter"):
        thin["members"][party]["remit"]["covers"] = {"place": ["north"]}
    before = policy(changed(AGREEMENT, may_ask__group_by={}), members=thin)
    after = policy(changed(AGREEMENT, may_ask__group_by={"place": "all"}), members=thin)
    found = compare(before, after)
    (example,) = found.newly_allowed.examples
    assert example.request.shape == Shape((("place", "place"),))
    assert (example.before, example.after) == (Status.DENIED, Status.LIMITED)
    assert example.limits == ("coverage",)


def test_a_remit_alone_changes_what_is_possible() -> None:
    """The agreement's own text stays the same."""
    thin = changed(MEMBERS)
    for party in ("police", "work", "shelter"):
        thin["members"][party]["remit"]["covers"] = {"place": ["north"]}
    found = compare(policy(members=thin), policy())
    assert found.newly_allowed.count == 2
    assert not found.no_longer_allowed.count


def test_declaring_an_emergency_changes_no_agreement() -> None:
    """Its clause did, when it was signed."""
    clause = {
        "purpose": "crisis",
        "spend": {"epsilon": 3},
        "at_most": 30,
        "approvers": ["alice", "bela"],
    }
    quiet = policy(changed(AGREEMENT, emergency=clause))
    day = quiet.agreement.form.valid.first
    declared = dataclasses.replace(
        quiet,
        emergency=DeclarationForm(
            emergency="trends", reason="flood", first=day, until=day
        ),
    )
    renamed = policy(changed(AGREEMENT, emergency=clause, purpose=["research"]))
    assert not compare(quiet, declared).loosens
    count = compare(quiet, renamed).newly_allowed.count
    assert compare(declared, renamed).newly_allowed.count == count
    ended = dataclasses.replace(renamed, emergency=declared.emergency)
    assert compare(quiet, ended).newly_allowed.count == count


def test_a_measure_that_is_added_can_be_asked_for_newly() -> None:
    """Of a quantity, and of a dimension at the finest level that may be asked for."""
    model = changed(
        MODEL, quantities={"days": {"title": "Days", "unit": "d", "bounds": [0, 9]}}
    )
    after = changed(AGREEMENT, may_ask__measures=["persons", "mean(days)"])
    found = compare(policy(model=model), policy(after, model=model))
    assert found.loosens
    assert {e.request.measure for e in found.newly_allowed.examples} == {"mean(days)"}
    after = changed(AGREEMENT, may_ask__measures=["persons", "share(age)"])
    found = compare(policy(model=model), policy(after, model=model))
    assert {e.request.measure for e in found.newly_allowed.examples} == {"share(age)"}
    assert not compare(policy(after, model=model), policy(model=model)).loosens


def test_the_size_of_a_space_is_known_without_going_through_it() -> None:
    """Also where there are more dimensions than a question may touch."""
    space = Space(
        roles=("a", "b"),
        organisations=("c",),
        purposes=("d", "e", "f"),
        measures=("g",),
        steps=((("x", "1"), ("x", "2")), (("y", "1"),), (("z", "1"), ("z", "2"))),
        named=((("x", "2"), ("n", "m")), (("z", "1"), ("o",))),
        at_most=2,
    )
    assert len(space) == sum(1 for _ in space.classes())


PAIRS: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "new": (None, AGREEMENT),
    "gone": (AGREEMENT, None),
    "same": (
        AGREEMENT,
        changed(AGREEMENT, contacts={"breach": "a", "complaints": "b"}),
    ),
    "looser": (
        changed(AGREEMENT, may_ask__hidden_values={"place": ["north"]}),
        changed(
            AGREEMENT,
            version=2,
            purpose=["planning", "research"],
            may_ask__group_by={"age": "all", "place": "all", "kind": "all"},
            may_ask__never_together=[["age", "place"]],
            spend__each_release_at_most={"epsilon": 3},
            hub_operator="institute",
            protect__suppress_below=12,
            emergency={
                "purpose": "crisis",
                "spend": {"epsilon": 3},
                "at_most": 14,
                "approvers": ["alice", "bela"],
            },
        ),
    ),
    "tighter": (
        AGREEMENT,
        changed(
            AGREEMENT, version=2, may_ask__at_most_dimensions=1, editions__embargo=60
        ),
    ),
}


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_a_difference_reads_as_it_should(name: str) -> None:
    """Golden files, in the words that a board reads."""
    before, after = PAIRS[name]
    found = compare(
        policy(before) if before else None, policy(after) if after else None
    )
    text = "\n".join(difference_lines(found)) + "\n"
    assert text == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    shown = difference_json(found)
    assert shown["loosens"] is (name in {"new", "looser"})
