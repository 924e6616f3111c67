# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - a table is read by its columns
"""Every clause has a direction, and no field of an agreement is forgotten."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path

import pydantic
import pytest

from accord.core.agreement_form import AgreementForm
from accord.core.comparison.difference import compare
from accord.core.comparison.member_shifts import (
    MEMBERS_WITHOUT_EFFECT,
    SHIFTED_MEMBERS,
    policy_shifts,
)
from accord.core.comparison.orders import Way
from accord.core.comparison.phrases import decimal_text
from accord.core.comparison.shifts import REQUESTED, SHIFTED, WITHOUT_EFFECT, shifts
from accord.core.members import MembersForm
from tests.member_keys import other_keys
from tests.unit.core.small_policies import (
    AGREEMENT,
    MEMBERS,
    MODEL,
    changed,
    key,
    policy,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "diff"
L, T, O = Way.LOOSER, Way.TIGHTER, Way.OTHER  # noqa: E741 - as the table is read


def fields(form: type[pydantic.BaseModel], above: str = "") -> Iterator[str]:
    """Yield the path of every entry that a form can hold."""
    form.model_rebuild(force=True)  # one form names another that comes after it
    for name, field in form.model_fields.items():
        path = f"{above}{field.alias or name}"
        below = [
            each
            for each in forms_in(field.annotation)
            if issubclass(each, pydantic.BaseModel)
        ]
        if not below:
            yield path
        for each in below:
            yield from fields(each, f"{path}.")


def forms_in(annotation: object) -> list[type]:
    """Return the classes that an annotation names."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return [annotation]
    return [each for part in typing.get_args(annotation) for each in forms_in(part)]


def test_every_field_of_an_agreement_is_compared_or_known_to_be_harmless() -> None:
    """A new field must be put somewhere before this passes again."""
    known = [REQUESTED, SHIFTED, frozenset(WITHOUT_EFFECT)]
    assert set(fields(AgreementForm)) == frozenset.union(*known)
    assert sum(map(len, known)) == len(frozenset.union(*known))


def test_every_field_of_members_is_compared_or_known_to_be_harmless() -> None:
    """The same for what is signed of agencies."""
    known = [SHIFTED_MEMBERS, frozenset(MEMBERS_WITHOUT_EFFECT)]
    assert set(fields(MembersForm)) == frozenset.union(*known)


EMERGENCY = {
    "purpose": "crisis",
    "spend": {"epsilon": 3},
    "at_most": 30,
    "approvers": ["alice", "bela"],
}
BEFORE = changed(
    AGREEMENT,
    purpose=["planning", "prevention"],
    protect__person_in_at_most=4,
    protect__reason_for_fewer_agencies="counted",
    protect__cases_per_group=2,
    protect__drop_cap=2,
    protect__at_least_agencies=3,
    protect__no_agency_above="80 %",
    protect__hub_sees_at_most={"epsilon": 6},
    may_ask__sensitive=["age"],
    may_ask__hidden_values={"place": ["north"]},
    linkage={"police": "sketch"},
    spend__lifetime={"epsilon": 40},
    review={"releases": "human", "reviewers": ["bela"]},
    retention={"releases": 400, "questions": 800},
    emergency=EMERGENCY,
)
PURE = {
    "spend__accounting": "pure",
    "spend__delta": ...,
    "protect__hub_sees_at_most": ...,
}

CHANGES: list[tuple[str, dict[str, object], Way]] = [
    ("agreement", {"agreement": "figures"}, O),
    ("hub_operator", {"hub_operator": "institute"}, O),
    ("parties", {"parties": [*AGREEMENT["parties"], "other"]}, O),
    ("parties", {"parties": AGREEMENT["parties"][:-1], "cohorts__some": ...}, O),
    ("cohorts.more", {"cohorts__more": ["police", "shelter", "work"], "cohorts__some": ...}, L),
    ("cohorts.some", {"cohorts__some": ...}, T),
    ("cohorts.some", {"cohorts__some": ["health", "hotline", "shelter"]}, O),
    ("editions.every", {"editions__every": "month"}, L),
    ("editions.every", {"editions__every": "year"}, T),
    ("editions.embargo", {"editions__embargo": 29}, L),
    ("editions.embargo", {"editions__embargo": 31}, T),
    ("recipients.onward_sharing", {"recipients__onward_sharing": "aggregates"}, L),
    ("may_ask.sensitive", {"may_ask__sensitive": []}, L),
    ("may_ask.sensitive", {"may_ask__sensitive": ["age", "place"]}, T),
    ("may_ask.hidden_values.place", {"may_ask__hidden_values": {}}, L),
    ("may_ask.hidden_values.age", {"may_ask__hidden_values": {"place": ["north"], "age": ["young"]}}, T),
    ("protect.person_in_at_most", {"protect__person_in_at_most": 3}, L),
    ("protect.person_in_at_most", {"protect__person_in_at_most": ...}, T),
    ("protect.groups_per_person", {"protect__groups_per_person": 4}, L),
    ("protect.groups_per_person", {"protect__groups_per_person": 2}, T),
    ("protect.cases_per_group", {"protect__cases_per_group": 3}, L),
    ("protect.drop_cap", {"protect__drop_cap": 3}, L),
    ("protect.at_least_agencies", {"protect__at_least_agencies": 4, "cohorts__some": ...}, T),
    ("protect.covered_by_at_least", {"protect__covered_by_at_least": 2}, L),
    ("protect.covered_by_at_least", {"protect__covered_by_at_least": 4}, T),
    ("protect.no_agency_above", {"protect__no_agency_above": "81 %"}, L),
    ("protect.no_agency_above", {"protect__no_agency_above": ...}, L),
    ("protect.no_agency_above", {"protect__no_agency_above": "79.5 %"}, T),
    ("protect.suppress_below", {"protect__suppress_below": 9}, L),
    ("protect.suppress_below", {"protect__suppress_below": 11}, T),
    ("protect.colluding_at_most", {"protect__colluding_at_most": 3, "cohorts__some": ...}, T),
    ("protect.noise", {"protect__noise": "agents", "protect__hub_sees_at_most": ...}, T),
    ("protect.noise", {"protect__noise": "hub", "protect__hub_sees_at_most": ..., "protect__hub_sees_exact_pooled_sums": "accepted"}, L),
    ("protect.hub_sees_at_most.epsilon", {"protect__hub_sees_at_most": {"epsilon": 7}}, L),
    ("protect.hub_sees_at_most.epsilon", {"protect__hub_sees_at_most": {"epsilon": 5}}, T),
    ("protect.hub_sees_at_most.epsilon", {"protect__hub_sees_at_most": ...}, O),
    ("linkage.police", {"linkage__police": "token"}, L),
    ("linkage.police", {"linkage": {}}, T),
    ("linkage.work", {"linkage__work": "sketch"}, L),
    ("spend.accounting", PURE, O),
    ("spend.delta", {"spend__delta": 1e-8}, L),
    ("spend.delta", {"spend__delta": 1e-10}, T),
    ("spend.each_release_at_most.epsilon", {"spend__each_release_at_most": {"epsilon": 3}}, L),
    ("spend.each_release_at_most.epsilon", {"spend__each_release_at_most": {"epsilon": 1.5}}, T),
    ("spend.each_analyst.epsilon", {"spend__each_analyst__epsilon": 7}, L),
    ("spend.each_analyst.every", {"spend__each_analyst__every": 89}, L),
    ("spend.each_analyst.every", {"spend__each_analyst__every": 91}, T),
    ("spend.everyone.epsilon", {"spend__everyone__epsilon": 12.5}, L),
    ("spend.everyone.every", {"spend__everyone__every": 364}, L),
    ("spend.lifetime.epsilon", {"spend__lifetime": ...}, L),
    ("spend.lifetime.epsilon", {"spend__lifetime__epsilon": 41}, L),
    ("spend.lifetime.epsilon", {"spend__lifetime__epsilon": 39}, T),
    ("review.releases", {"review__releases": "automatic"}, L),
    ("review.reviewers", {"review__reviewers": ["chidi"]}, O),
    ("retention.releases", {"retention__releases": 401}, L),
    ("retention.releases", {"retention__releases": 399}, T),
    ("retention.questions", {"retention__questions": 801}, L),
    ("retention.questions", {"retention__questions": 799}, T),
    ("retention.questions", {"retention__questions": ...}, L),
    ("emergency", {"emergency": ...}, T),
    ("emergency.purpose", {"emergency__purpose": "flood"}, O),
    ("emergency.spend.epsilon", {"emergency__spend": {"epsilon": 4}}, L),
    ("emergency.at_most", {"emergency__at_most": 31}, L),
    ("emergency.at_most", {"emergency__at_most": 29}, O),
    ("emergency.approvers", {"emergency__approvers": ["alice", "bela", "chidi"]}, L),
    ("emergency.approvers", {"emergency__approvers": ["alice", "chidi"]}, L),
    ("approval.quorum", {"approval__quorum": 1}, L),
    ("approval.quorum", {"approval__quorum": 3}, T),
    ("approval.signatories", {"approval__signatories": "parties"}, O),
    ("approval.loosening_needs", {"approval__loosening_needs": []}, L),
    ("valid.from", {"valid__from": "2025-12-31"}, L),
    ("valid.from", {"valid__from": "2026-01-02"}, T),
    ("valid.until", {"valid__until": "2028-01-01"}, L),
    ("valid.until", {"valid__until": "2027-12-30"}, T),
    ("valid.review_by", {"valid__review_by": "2027-07-01"}, L),
    ("valid.review_by", {"valid__review_by": "2027-06-29"}, T),
]  # fmt: skip


@pytest.mark.parametrize(("path", "entries", "way"), CHANGES)
def test_a_clause_is_looser_tighter_or_other(
    path: str, entries: dict[str, object], way: Way
) -> None:
    """And back again, the other way round."""
    before = policy(BEFORE).agreement.form
    after = policy(changed(BEFORE, **entries)).agreement.form
    found = {each.path: each.way for each in shifts(before, after)}
    assert found[path] is way
    back = {each.path: each.way for each in shifts(after, before)}
    if path not in {"emergency.approvers", "emergency.at_most"}:
        assert back[path] is {L: T, T: L, O: O}[way]


def test_every_listed_clause_has_a_row_above() -> None:
    """So that no direction is left to chance."""
    rows = {path for path, _, _ in CHANGES}
    by_name = {path for path in SHIFTED if path.startswith("bulletins.")}
    missing = {
        path
        for path in SHIFTED - {"data_model", "extends"} - by_name
        if not any(row == path or row.startswith(f"{path}.") for row in rows)
    }
    assert not missing


def test_what_has_no_effect_makes_no_shift() -> None:
    """Contacts, law and the version may change without a seat."""
    after = changed(
        BEFORE,
        version=2,
        contacts={"breach": "a", "complaints": "b"},
        law={"police": {"regime": "police", "basis": "statute"}},
        parties=AGREEMENT["parties"][::-1],
        protect__reason_for_fewer_agencies="measured",
        rounds={"every": "day", "at": "06:00", "open": 2, "deadline": 14},
    )
    assert not compare(policy(BEFORE), policy(after)).loosens
    assert shifts(policy(BEFORE).agreement.form, policy(after).agreement.form) == ()


def test_what_is_unsaid_of_the_noise_is_its_default() -> None:
    """Writing the default down changes nothing; it follows the way to account."""
    bare = policy().agreement
    assert bare.noise == "shared"
    said = policy(changed(AGREEMENT, protect__noise="shared")).agreement
    assert shifts(bare.form, said.form) == ()
    pure = changed(AGREEMENT, spend__accounting="pure", spend__delta=...)
    silent = policy(pure).agreement
    assert silent.noise == "agents"
    agents = policy(changed(pure, protect__noise="agents")).agreement
    assert shifts(silent.form, agents.form) == ()
    model = policy().model
    assert bare.archive_digest(model) == said.archive_digest(model)
    assert silent.archive_digest(model) == agents.archive_digest(model)
    assert silent.archive_digest(model) != bare.archive_digest(model)


MEMBER_CHANGES: list[tuple[str, dict[str, object], Way]] = [
    ("hub.key", {"hub__key": key("x")}, O),
    ("hub.freshness", {"hub__freshness": key("x")}, O),
    ("hub.key", {"hub": ...}, O),
    ("remit.covers.place", {"members__police__remit__covers": {"place": ["north"], "kind": ["a"]}}, T),
    ("remit.covers.kind", {"members__police__remit__covers": {}}, L),
    ("remit.covers.kind", {"members__police__remit__covers": {"kind": ["b"]}}, L),
    ("lifetime.zcdp.epsilon", {"members__police__lifetime__zcdp__epsilon": 31}, L),
    ("lifetime.zcdp.epsilon", {"members__police__lifetime__zcdp__epsilon": 29}, T),
    ("lifetime.zcdp.delta", {"members__police__lifetime__zcdp__delta": 1e-8}, L),
    ("lifetime.pure.epsilon", {"members__police__lifetime__pure__epsilon": 9}, T),
    ("police.key", {"members__police__key": key("x")}, O),
    ("police.key", {f"members__police__{each}": ... for each in ("key", "exchange", "kem")}, T),
    ("police.exchange", {"members__police__exchange": other_keys("x")["exchange"]}, O),
    ("police.kem", {"members__police__kem": other_keys("x")["kem"]}, O),
    ("police.kem", {"members__police__kem": ...}, O),
    ("police.signatory", {"members__police__signatory": key("x")}, O),
]  # fmt: skip


@pytest.mark.parametrize(("path", "entries", "way"), MEMBER_CHANGES)
def test_members_shift_the_agreements_that_they_are_parties_of(
    path: str, entries: dict[str, object], way: Way
) -> None:
    """And nobody else's."""
    members = changed(MEMBERS, members__police__remit__covers={"kind": ["a"]})
    before = policy(members=members)
    after = policy(members=changed(members, **entries))
    (found,) = (s for s in policy_shifts(before, after) if s.path.endswith(path))
    assert found.way is way
    assert found.text()
    elsewhere = changed(MEMBERS, members__other__lifetime__zcdp__epsilon=99)
    assert policy_shifts(policy(), policy(members=elsewhere)) == ()


def test_sizes_and_narrower_remits_matter_where_one_agency_must_not_dominate() -> None:
    """A smaller remit can take the largest member out of a figure."""
    agreement = changed(AGREEMENT, protect__no_agency_above="60 %")
    sized = changed(MEMBERS, members__police__remit__persons_a_year=10)
    narrow = changed(MEMBERS, members__police__remit__covers={"kind": ["a"]})
    for members in (sized, narrow):
        plain = policy_shifts(policy(), policy(members=members))
        guarded = policy_shifts(policy(agreement), policy(agreement, members=members))
        assert [each.way for each in guarded] == [Way.OTHER]
        assert Way.OTHER not in [each.way for each in plain]


def test_a_changed_data_model_or_preset_counts_as_looser() -> None:
    """Nobody can tell from outside what other words mean."""
    model = changed(MODEL, dimensions__place__title="Where")
    (shift,) = policy_shifts(policy(), policy(model=model))
    assert (shift.path, shift.way) == ("models/tiny-1.yaml", Way.OTHER)
    other = changed(MODEL, data_model="tiny-2")
    paths = [
        each.path
        for each in policy_shifts(
            policy(), policy(changed(AGREEMENT, data_model="tiny-2"), model=other)
        )
    ]
    assert paths == ["data_model"]
    preset = {"preset": "strict", "title": "Strict", "because": ["law"]}
    extending = changed(AGREEMENT, extends="strict")
    relaxed = changed(preset, because=["custom"])
    (shift,) = policy_shifts(
        policy(extending, presets=(preset,)), policy(extending, presets=(relaxed,))
    )
    assert (shift.path, shift.way) == ("presets/strict.yaml", Way.OTHER)
    (shift,) = policy_shifts(
        policy(presets=(preset,)), policy(extending, presets=(preset,))
    )
    assert (shift.path, shift.way) == ("extends", Way.OTHER)


def test_sentences_of_all_clauses_read_as_they_should() -> None:
    """A golden file, so that somebody reads what boards will read."""
    lines = []
    before = policy(BEFORE).agreement.form
    for path, entries, _ in CHANGES:
        after = policy(changed(BEFORE, **entries)).agreement.form
        lines += [e.text() for e in shifts(before, after) if e.path == path]
    members = policy()
    for _, entries, _ in MEMBER_CHANGES:
        after_members = policy(members=changed(MEMBERS, **entries))
        lines += [each.text() for each in policy_shifts(members, after_members)]
    text = "\n".join(lines) + "\n"
    assert text == (GOLDEN / "clauses.txt").read_text(encoding="utf-8")


def test_numbers_read_as_they_are_written() -> None:
    """Exactly, and without zeros that say nothing."""
    form = policy().agreement.form
    assert decimal_text(form.spend.delta or 0) == "1e-9"  # type: ignore[arg-type]
    assert decimal_text(form.spend.everyone.epsilon) == "12"


@pytest.mark.parametrize(
    ("before", "after", "way"),
    [
        ({}, {"a": {"measure": "persons", "epsilon": 0.1}}, L),
        ({"a": {"measure": "persons", "epsilon": 0.1}}, {}, T),
        *(
            (
                {"a": {"measure": "persons", "epsilon": 0.1}},
                {"a": {"measure": "persons", "epsilon": 0.1, **changed_entry}},
                O,
            )
            for changed_entry in (
                {"epsilon": 0.2},
                {"every": "year"},
                {"by": {"place": "all"}},
                {"where": {"age": ["young"]}},
                {"purpose": "planning"},
            )
        ),
    ],
)
def test_each_bulletin_is_told_by_its_name(
    before: dict[str, object], after: dict[str, object], way: Way
) -> None:
    """A new one is looser, one that ends is tighter, another one is neither."""
    found = shifts(
        policy(changed(AGREEMENT, bulletins=before)).agreement.form,
        policy(changed(AGREEMENT, bulletins=after)).agreement.form,
    )
    assert [(each.path, each.way) for each in found] == [("bulletins.a", way)]
