# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - a table is read by its columns
"""The agreement's language, and every contradiction that it refuses."""

from __future__ import annotations

import functools
from fractions import Fraction

import pytest

from accord.core.agreement import Agreement, load_agreement
from accord.core.document import DocumentError
from accord.core.epsilon_delta import rho_to_epsilon_upper
from accord.core.members import load_members
from accord.core.privacy import Accounting
from tests.unit.core.test_model import small_model

TEXT = """\
agreement: trends
version: 3
purpose: [prevention planning, service planning]
hub_operator: observatory
parties: [shelter, police, hotline, inspectorate, health]
cohorts: {all: everyone, fallback: [shelter, police, hotline]}
recipients: {roles: [analyst], organisations: [university]}
data_model: small-1
editions: {every: month, embargo: 30 days}
may_ask:
  measures: [persons, mean(days_in_care)]
  group_by: {registered_month: quarter, gender: all, age_band: broad}
  at_most_dimensions: 2
protect:
  person_in_at_most: 5 agencies
  groups_per_person: 3
  at_least_agencies: 3
  suppress_below: 10
  noise: hub
  hub_sees_exact_pooled_sums: accepted
spend:
  accounting: zcdp
  delta: 1e-9
  each_release_at_most: {epsilon: 3}
  each_analyst: {epsilon: 6, every: 90 days}
  everyone: {epsilon: 12, every: 365 days}
approval: {quorum: 2, loosening_needs: [survivor representative]}
valid: {from: 2026-01-01, until: 2027-12-31, review_by: 2027-06-30}
"""

HUB_ADDS = "  noise: hub\n  hub_sees_exact_pooled_sums: accepted\n"


@functools.cache
def small_agreement(text: str = TEXT) -> Agreement:
    """Return an agreement under the small model."""
    model = small_model()
    return load_agreement(text, "trends.yaml", {model.name: model})


def test_an_agreement_means_what_it_says() -> None:
    """Numbers are exact, cohorts sorted with the largest first."""
    agreement = small_agreement()
    assert agreement.form.spend.delta == Fraction(1, 10**9)
    assert list(agreement.cohorts) == ["all", "fallback"]
    assert agreement.cohorts["fallback"] == ("hotline", "police", "shelter")
    assert agreement.person_in_at_most == 5
    assert agreement.accounting is Accounting.ZCDP


def test_a_person_may_be_known_to_all_parties_unless_said_otherwise() -> None:
    """The safe default needs no entry."""
    text = TEXT.replace("  person_in_at_most: 5 agencies\n", "")
    assert small_agreement(text).person_in_at_most == 5


def test_what_the_hub_may_learn_is_rounded_down_and_known_to_everybody() -> None:
    """In nano-rho at the agreement's delta; None where it follows from the price."""
    assert small_agreement().hub_rho_cap is None
    said = TEXT.replace(HUB_ADDS, "  hub_sees_at_most: {epsilon: 6}\n")
    cap = small_agreement(said).hub_rho_cap
    assert cap is not None
    assert rho_to_epsilon_upper(cap, Fraction(1, 10**9)) <= 6
    assert rho_to_epsilon_upper(cap + 1, Fraction(1, 10**9)) > 6


def test_windows_are_read_with_their_units() -> None:
    """And are not there where nothing is said."""
    assert small_agreement().form.rounds is None
    clause = "rounds:\n  every: week\n  on: friday\n  at: 22:15\n"
    clause += "  open: 1 hour\n  deadline: 21 days\n"
    rounds = small_agreement(TEXT + clause).form.rounds
    assert rounds is not None
    assert (rounds.on, rounds.at, rounds.open, rounds.deadline) == (
        *("friday", "22:15"),
        *(1, 21),
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (HUB_ADDS, ""),
        (HUB_ADDS, "  noise: agents\n"),
        ("suppress_below: 10", "suppress_below: 11"),
        ("groups_per_person: 3", "groups_per_person: 4"),
        ("5 agencies", "5 agencies\n  drop_cap: 2"),
        ("fallback: [shelter, police, hotline]", "fallback: [health, police, hotline]"),
    ],
)
def test_the_archive_digest_follows_what_changes_an_answer(old: str, new: str) -> None:
    """Stored releases are never served under other protection."""
    model = small_model()
    changed = small_agreement(TEXT.replace(old, new))
    assert changed.archive_digest(model) != small_agreement().archive_digest(model)


def test_the_archive_digest_ignores_who_may_ask_and_until_when() -> None:
    """A prolonged agreement still serves what was paid for."""
    model = small_model()
    longer = small_agreement(TEXT.replace("until: 2027", "until: 2029"))
    assert longer.archive_digest(model) == small_agreement().archive_digest(model)


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("[shelter, police, hotline]}", "[shelter, polise, health]}", "cohorts.fallback", "'police'"),
        ("[shelter, police, hotline]}", "[shelter, police]}", "cohorts.fallback", "has 2 members"),
        ("[shelter, police, hotline]}", "[shelter, police, hotline, health]}", "cohorts", "own figures of"),
        ("[shelter, police, hotline]}", "[shelter, police, hotline, hotline]}", "cohorts.fallback", "twice"),
        ("parties: [shelter, police, hotline, inspectorate, health]\ncohorts: {all: everyone, fallback: [shelter, police, hotline]}", "parties: [shelter, police, hotline, inspectorate, health, courts]\ncohorts: {fallback: [shelter, police, hotline], b: [shelter, police, hotline, health]}", "cohorts", "own figures of 'health'"),
        ("hotline]}", "hotline], b: [hotline, inspectorate, health]}", "cohorts", "own figures of 'hotline'"),
        ("fallback: [shelter, police, hotline]", "b: everyone", "cohorts.b", "same members"),
        ("[shelter, police, hotline, inspectorate, health]", "[shelter, shelter, police, hotline, inspectorate, health]", "parties", "twice"),
        ("hub_operator: observatory", "hub_operator: police", "protect.noise", "exact sums"),
        ("5 agencies", "6 agencies", "protect.person_in_at_most", "only 5"),
        ("5 agencies", "2 agencies", "protect.person_in_at_most", "reason_for_fewer"),
        ("5 agencies", "5 persons", "protect.person_in_at_most", "5 agencies"),
        ("  hub_sees_exact_pooled_sums: accepted\n", "", "protect.noise", "accepted"),
        ("noise: hub", "noise: shared", "protect.hub_sees_exact_pooled_sums", "only with"),
        ("  delta: 1e-9\n", "", "spend", "needs a `delta`"),
        ("accounting: zcdp", "accounting: pure", "spend.delta", "no delta"),
        ("epsilon: 12", "epsilon: 2", "spend.everyone", "cannot buy"),
        ("{epsilon: 6", "{epsilon: 2", "spend.each_analyst", "cannot buy"),
        ("epsilon: 3}", "epsilon: 0}", "spend.each_release_at_most.epsilon", "greater"),
        ("epsilon: 3}", "epsilon: .nan}", "spend.each_release_at_most.epsilon", "finite"),
        ("until: 2027", "until: 2025", "valid.until", "before the first"),
        ("review_by: 2027", "review_by: 2029", "valid.review_by", "within"),
        ("small-1", "smal-1", "data_model", "'small-1'"),
        ("registered_month: quarter", "registered_month: quartr", "may_ask.group_by.registered_month", "'quarter'"),
        ("gender: all", "gendr: all", "may_ask.group_by.gendr", "'gender'"),
        ("[persons,", "[people,", "may_ask.measures.0", "no measure"),
        ("mean(days_in_care)", "mean(days)", "may_ask.measures.1", "no quantity"),
        ("version: 3", "version: 0", "version", "greater"),
        ("agreement: trends", "agreement: Trends!", "agreement", "label"),
    ],
)  # fmt: skip
def test_contradictions_are_refused_at_their_place(
    old: str, new: str, place: str, words: str
) -> None:
    """Line, column, the entry's path and one sentence."""
    assert old in TEXT
    with pytest.raises(DocumentError) as caught:
        small_agreement(TEXT.replace(old, new, 1))
    found = {problem.path: problem for problem in caught.value.problems}
    assert words in found[place].sentence
    assert found[place].line > 0


def test_members_need_a_lifetime_cap() -> None:
    """An agency without one could be asked for ever."""
    good = (
        "network: demo\nmembers:\n  shelter:\n    name: The shelter\n"
        "    remit: {description: Housing}\n"
        "    lifetime: {zcdp: {epsilon: 30, delta: 1e-9}, pure: {epsilon: 5}}\n"
    )
    assert "shelter" in load_members(good, "members.yaml").members
    bad = good.replace(", pure: {epsilon: 5}", "")
    with pytest.raises(DocumentError, match="'pure' is missing"):
        load_members(bad, "members.yaml")
