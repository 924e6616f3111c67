# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - a table is read by its columns
"""An agreement can tighten its preset and never loosen it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.comparison.difference import compare
from accord.core.document import DocumentError
from accord.core.preset import PresetForm, PresetLimits
from accord.core.preset_checks import PRESET_CLAUSES
from tests.unit.core.small_policies import AGREEMENT, changed, policy
from tests.unit.core.test_shifts import fields

PRESET: dict[str, Any] = {
    "preset": "strict",
    "title": "Strict",
    "because": ["the law"],
    "editions": {"every": "quarter", "embargo": 30},
    "recipients": {"onward_sharing": "none"},
    "may_ask": {
        "measures": ["persons"],
        "at_most_dimensions": 2,
        "never_together": [["age", "place", "kind"]],
        "sensitive": ["kind"],
    },
    "protect": {
        "groups_per_person": 3,
        "at_least_agencies": 3,
        "covered_by_at_least": 3,
        "no_agency_above": "80 %",
        "suppress_below": 11,
        "noise": "shared",
    },
    "spend": {
        "accounting": "zcdp",
        "delta": 1e-9,
        "each_release_at_most": {"epsilon": 2},
        "each_analyst": {"epsilon": 6, "every": 90},
        "everyone": {"epsilon": 12, "every": 365},
        "lifetime": {"epsilon": 40},
    },
    "review": {"releases": "automatic"},
    "retention": {"releases": 400, "questions": 800},
    "approval": {"quorum": 2, "loosening_needs": ["survivors"]},
}
BARE = changed(
    AGREEMENT,
    extends="strict",
    editions={},
    protect={},
    spend={},
    approval={},
    may_ask={"group_by": {"age": "broad", "place": "all", "kind": "all"}},
    review={"reviewers": ["bela"]},
    cohorts={"all": "everyone"},
)


def findings(agreement: dict[str, Any], preset: dict[str, Any]) -> list[str]:
    """Return the paths at which an agreement is refused, of preset sentences only."""
    try:
        policy(agreement, presets=(preset,))
    except DocumentError as error:
        return sorted(
            each.path if "preset strict" in each.sentence else str(each)
            for each in error.problems
        )
    return []


def test_an_agreement_that_says_nothing_has_the_presets_values() -> None:
    """And is as tight as they are."""
    form = policy(BARE, presets=(PRESET,)).agreement.form
    assert form.protect.suppress_below == 11
    assert form.approval.loosening_needs == ["survivors"]


LOOSER: list[tuple[str, dict[str, object]]] = [
    ("editions.every", {"editions__every": "month"}),
    ("editions.embargo", {"editions__embargo": 29}),
    ("recipients.onward_sharing", {"recipients__onward_sharing": "aggregates"}),
    ("may_ask.measures", {"may_ask__measures": ["persons", "cases"]}),
    ("may_ask.at_most_dimensions", {"may_ask__at_most_dimensions": 3}),
    ("may_ask.never_together", {"may_ask__never_together": []}),
    ("may_ask.sensitive", {"may_ask__sensitive": ["age"]}),
    ("protect.groups_per_person", {"protect__groups_per_person": 4}),
    ("protect.covered_by_at_least", {"protect__covered_by_at_least": 2}),
    ("protect.no_agency_above", {"protect__no_agency_above": "90 %"}),
    ("protect.no_agency_above", {"protect__no_agency_above": None}),
    ("protect.suppress_below", {"protect__suppress_below": 10}),
    ("protect.noise", {"protect__noise": "hub", "protect__hub_sees_exact_pooled_sums": "accepted"}),
    ("spend.delta", {"spend__delta": 1e-8}),
    ("spend.each_release_at_most", {"spend__each_release_at_most": {"epsilon": 3}}),
    ("spend.each_analyst", {"spend__each_analyst__epsilon": 7}),
    ("spend.each_analyst.every", {"spend__each_analyst__every": 30}),
    ("spend.everyone", {"spend__everyone__epsilon": 13}),
    ("spend.everyone.every", {"spend__everyone__every": 364}),
    ("spend.lifetime", {"spend__lifetime": {"epsilon": 41}}),
    ("spend.lifetime", {"spend__lifetime": None}),
    ("retention.releases", {"retention": {"releases": 401}}),
    ("retention.questions", {"retention": {"questions": 801}}),
    ("retention.questions", {"retention": {"questions": None}}),
    ("approval.quorum", {"approval__quorum": 1}),
    ("approval.loosening_needs", {"approval__loosening_needs": []}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "entries"), LOOSER)
def test_a_looser_entry_is_refused_where_it_stands(
    path: str, entries: dict[str, object]
) -> None:
    """With the preset's name in the sentence."""
    assert findings(changed(BARE, **entries), PRESET) == [path]


def test_a_preset_can_ask_for_more_agencies_review_and_pure_accounting() -> None:
    """What the preset above leaves at its loosest."""
    four = changed(
        PRESET, protect__at_least_agencies=4, protect__covered_by_at_least=...
    )
    assert findings(changed(BARE, protect__at_least_agencies=3), four) == [
        "protect.at_least_agencies",
        "protect.covered_by_at_least",
    ]
    assert findings(changed(BARE, protect__covered_by_at_least=3), four) == [
        "protect.covered_by_at_least"
    ]
    human = changed(PRESET, review__releases="human")
    assert findings(changed(BARE, review__releases="automatic"), human) == [
        "review.releases"
    ]
    pure = changed(
        PRESET,
        spend__accounting="pure",
        spend__delta=...,
        protect__noise="agents",
    )
    zcdp = {"spend__accounting": "zcdp", "spend__delta": 1e-9}
    assert findings(changed(BARE, **zcdp), pure) == ["spend.accounting"]
    back = {"spend__accounting": "pure", "spend__delta": None}
    agents = {"protect__noise": "agents"}
    assert findings(changed(BARE, **back, **agents), PRESET) == []
    (wrong,) = findings(changed(BARE, **back), PRESET)
    assert "say `agents`" in wrong


def test_a_preset_can_only_raise_how_many_may_collude() -> None:
    """Its number holds where the agreement says nothing, and is the least."""
    two = changed(PRESET, protect__colluding_at_most=2)
    form = policy(BARE, presets=(two,)).agreement.form
    assert form.protect.colluding_at_most == 2
    assert findings(changed(BARE, protect__colluding_at_most=3), two) == []
    assert findings(changed(BARE, protect__colluding_at_most=1), two) == [
        "protect.colluding_at_most"
    ]


def test_forbidding_fewer_dimensions_together_forbids_more_questions() -> None:
    """A part of the preset's list is tighter, a longer list is not."""
    part = changed(BARE, may_ask__never_together=[["age", "kind"]])
    assert findings(part, PRESET) == []
    shorter = changed(PRESET, may_ask__never_together=[["age", "kind"]])
    longer = changed(BARE, may_ask__never_together=[["age", "kind", "place"]])
    assert findings(longer, shorter) == ["may_ask.never_together"]


LAW = {"regime": "none", "basis": "consent"}
LIMITS: list[tuple[str, dict[str, object], dict[str, object], list[str]]] = [
    ("purposes_never", {"purposes_never": [" Law  Enforcement"]}, {"purpose": ["planning", "law enforcement"]}, ["purpose.1"]),
    ("purposes_never", {"purposes_never": ["crisis"]}, {"emergency": {"purpose": "Crisis", "spend": {"epsilon": 2}, "at_most": 9, "approvers": ["bela", "alice"]}}, ["emergency.purpose"]),
    ("dimensions_never", {"dimensions_never": ["kind"]}, {}, ["may_ask.group_by.kind"]),
    ("finest", {"finest": {"age": "broad"}}, {"may_ask__group_by__age": "fine"}, ["may_ask.group_by.age"]),
    ("finest", {"finest": {"age": "broad"}}, {"may_ask__group_by__age": "all"}, ["may_ask.group_by.age"]),
    ("finest", {"finest": {"age": "broad"}}, {}, []),
    ("finest", {"finest": {"age": "fine"}}, {"may_ask__group_by__age": "all"}, []),
    ("finest", {"finest": {"age": "decade"}}, {}, ["may_ask.group_by.age"]),
    ("finest", {"finest": {"age": "decade", "elsewhere": "x"}}, {"may_ask__group_by": {"place": "all"}, "may_ask__sensitive": ["kind"]}, []),
    ("linkage_at_most", {"linkage_at_most": "sketch"}, {"linkage": {"work": "sketch", "police": "overlap"}}, ["linkage.police"]),
    ("every_party_states_law", {"every_party_states_law": True}, {"law": dict.fromkeys(AGREEMENT["parties"][1:], LAW)}, ["law"]),
    ("every_party_assessed", {"every_party_assessed": True}, {"law": dict.fromkeys(AGREEMENT["parties"][:1], LAW) | dict.fromkeys(AGREEMENT["parties"][1:], LAW | {"assessment": "12/7"})}, ["law.health"]),
    ("no_emergency", {"no_emergency": True}, {"emergency": {"purpose": "crisis", "spend": {"epsilon": 2}, "at_most": 9, "approvers": ["bela", "alice"]}}, ["emergency"]),
]  # fmt: skip


@pytest.mark.parametrize(("limit", "entries", "agreement", "paths"), LIMITS)
def test_a_limit_of_the_preset_is_kept(
    limit: str,
    entries: dict[str, object],
    agreement: dict[str, object],
    paths: list[str],
) -> None:
    """Each with a check of its own."""
    assert limit in entries
    preset = changed(
        PRESET, limits=entries, may_ask__sensitive=[], may_ask__never_together=[]
    )
    assert findings(changed(BARE, **agreement), preset) == paths


def test_no_entry_of_a_preset_is_forgotten() -> None:
    """Every field is held, by its order or by a check of its own, with a row above."""
    known = {clause.path for clause in PRESET_CLAUSES} | {"may_ask.never_together"}
    meta = {"preset", "title", "because"}
    values = {p for p in fields(PresetForm) if not p.startswith("limits.")}
    assert values - meta <= known
    assert {row[0] for row in LIMITS} == set(PresetLimits.model_fields)


def values(*given: object) -> st.SearchStrategy[object]:
    """Return one of the values, or ``...`` to say nothing."""
    return st.sampled_from([..., *given])


ENTRIES: dict[str, st.SearchStrategy[object]] = {
    "editions__every": values("month", "quarter", "year"),
    "editions__embargo": values(0, 29, 30, 31, 90),
    "recipients__onward_sharing": values("none", "aggregates"),
    "may_ask__measures": values(["persons"], ["cases"], ["cases", "persons"]),
    "may_ask__at_most_dimensions": values(0, 1, 2, 3),
    "may_ask__never_together": values([], [["age", "kind"]], [["age", "kind", "place"]]),
    "may_ask__sensitive": values([], ["age"], ["kind"], ["kind", "age"]),
    "protect__groups_per_person": values(1, 3, 4),
    "protect__at_least_agencies": values(3, 4, 5),
    "protect__covered_by_at_least": values(None, 1, 2, 3, 4),
    "protect__no_agency_above": values(None, "50 %", "80 %", "100 %"),
    "protect__suppress_below": values(0, 10, 11, 12),
    "protect__noise": values("agents", "shared"),
    "spend__delta": values(1e-10, 1e-9, 1e-8),
    "spend__each_release_at_most": values({"epsilon": 1}, {"epsilon": 2.5}),
    "spend__each_analyst": values({"epsilon": 3, "every": 90}, {"epsilon": 3, "every": 9}),
    "spend__everyone": values({"epsilon": 9, "every": 400}, {"epsilon": 13, "every": 400}),
    "spend__lifetime": values(None, {"epsilon": 20}, {"epsilon": 50}),
    "review__releases": values("automatic", "human"),
    "retention": values({"releases": 30}, {"releases": 401}, {"questions": 400}, {"questions": 801}),
    "approval__quorum": values(1, 2, 3),
    "approval__loosening_needs": values([], ["survivors"]),
}  # fmt: skip


@given(st.data())
@settings(max_examples=70)
def test_what_keeps_the_preset_is_never_looser_than_the_preset(
    data: st.DataObject,
) -> None:
    """For every class of requests and every clause; what does not is looser indeed."""
    chosen = data.draw(st.sets(st.sampled_from(sorted(ENTRIES)), max_size=4))
    entries = {path: data.draw(ENTRIES[path]) for path in sorted(chosen)}
    before = policy(BARE, presets=(PRESET,))
    try:
        after = policy(changed(BARE, **entries), presets=(PRESET,))
    except DocumentError as error:
        if not re.search("preset strict", str(error)):
            return  # a contradiction of its own
    else:
        assert not compare(before, after).loosens
