# SPDX-License-Identifier: Apache-2.0
"""An agreement in sentences: nothing left out, and exactly the clauses that bind."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.afford import cap_of, epsilon_of
from accord.core.agreement_form import AgreementForm, Cap
from accord.core.board import DeclarationForm
from accord.core.decide import Analyst, Ask
from accord.core.document import Strict
from accord.core.explain import explain_agreement, explain_query, place_of
from accord.core.explain.spending import lifetime_of_person, year_of_person
from accord.core.policy import Policy
from accord.core.query import canonical_query
from tests.unit.core.full_policy import full_board, full_policy

GOLDEN = Path(__file__).parents[2] / "golden" / "explain"
ANALYST = Analyst(id="ann", organisation="university", roles=frozenset({"analyst"}))
DAY = datetime.date(2026, 6, 1)


def told(policy: Policy) -> str:
    """Return the whole explanation as text."""
    return "\n".join(each.text() for each in explain_agreement(policy))


def as_page(policy: Policy) -> str:
    """Return the explanation with headings and clauses, as golden files have it."""
    lines: list[str] = []
    section = ""
    for each in explain_agreement(policy, full_board()):
        if each.section != section:
            section = each.section
            lines.append(f"# {each.heading()}")
        lines.append(f"{each.text()} [{each.clause}]")
    return "\n".join(lines) + "\n"


def same_as_golden(name: str, text: str) -> None:
    """Compare with a golden file; $ACCORD_WRITE_GOLDEN writes it anew."""
    path = GOLDEN / name
    if os.environ.get("ACCORD_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_whole_explanation_reads_as_before() -> None:
    """A golden file, so that somebody reads what boards will read."""
    same_as_golden("agreement.txt", as_page(full_policy(declared=True)))


def test_a_pure_agreement_reads_as_before() -> None:
    """The same under the other way to account, with every word that differs."""
    policy = full_policy(
        spend__accounting="pure",
        spend__delta=...,
        protect__noise="hub",
        protect__hub_sees_exact_pooled_sums="accepted",
        protect__hub_sees_at_most=...,
        spend__lifetime=...,
        spend__everyone={"epsilon": 4, "every": 90},
        emergency=...,
        protect__no_agency_above=...,
        protect__person_in_at_most=...,
        protect__reason_for_fewer_agencies=...,
        law=...,
        contacts=...,
        recipients__onward_sharing="none",
        approval__loosening_needs=[],
        may_ask__sensitive=...,
        review={"releases": "human", "reviewers": ["office"]},
    )
    same_as_golden("pure.txt", as_page(policy))


def _bulletin(**entries: object) -> dict[str, object]:
    """Return a change that adds one bulletin, unlike `BULLETIN` in some entries."""
    return {
        "bulletins": {"quarterly": {**BULLETIN, **entries}},
        "may_ask__measures": ["persons", "cases"],
        "purpose": ["planning", "evaluation"],
    }


BULLETIN: dict[str, object] = {"measure": "persons", "epsilon": 0.1}

OTHER: dict[str, dict[str, object]] = {
    "agreement": {},
    "extends": {"extends": ...},
    "version": {"version": 2},
    "purpose": {"purpose": ["planning", "evaluation"]},
    "hub_operator": {"hub_operator": "somebody-else"},
    "parties": {"parties": ["hotline", "police", "shelter", "health", "other"]},
    "cohorts": {"cohorts": {"all": "everyone"}},
    "recipients.roles": {"recipients__roles": ["analyst", "reader"]},
    "recipients.organisations": {"recipients__organisations": ["school"]},
    "recipients.onward_sharing": {"recipients__onward_sharing": "none"},
    "data_model": {},
    "editions.every": {"editions__every": "month"},
    "editions.embargo": {"editions__embargo": 31},
    "rounds.every": {
        "rounds": {"every": "day", "at": "06:00", "open": 2, "deadline": 30}
    },
    "rounds.on": {"rounds__on": "friday"},
    "rounds.at": {"rounds__at": "06:01"},
    "rounds.open": {"rounds__open": "3 hours"},
    "rounds.deadline": {"rounds__deadline": "31 days"},
    "may_ask.measures": {"may_ask__measures": ["persons", "cases"]},
    "may_ask.group_by": {"may_ask__group_by__age": "fine"},
    "may_ask.at_most_dimensions": {"may_ask__at_most_dimensions": 1},
    "may_ask.never_together": {"may_ask__never_together": [["age", "place"]]},
    "may_ask.hidden_values": {"may_ask__hidden_values": {"kind": ["a"]}},
    "may_ask.sensitive": {"may_ask__sensitive": ["age"]},
    "protect.person_in_at_most": {"protect__person_in_at_most": 2},
    "protect.reason_for_fewer_agencies": {
        "protect__reason_for_fewer_agencies": "another one"
    },
    "protect.groups_per_person": {"protect__groups_per_person": 2},
    "protect.cases_per_group": {"protect__cases_per_group": 4},
    "protect.drop_cap": {"protect__drop_cap": 2},
    "protect.at_least_agencies": {
        "protect__at_least_agencies": 4,
        "cohorts": {"all": "everyone"},
    },
    "protect.covered_by_at_least": {"protect__covered_by_at_least": 4},
    "protect.no_agency_above": {"protect__no_agency_above": "70 %"},
    "protect.suppress_below": {"protect__suppress_below": 11},
    "protect.colluding_at_most": {
        "protect__colluding_at_most": 2,
        "cohorts": {"all": "everyone"},
    },
    "protect.noise": {"protect__noise": "agents", "protect__hub_sees_at_most": ...},
    "protect.hub_sees_exact_pooled_sums": {
        "protect__noise": "hub",
        "protect__hub_sees_exact_pooled_sums": "accepted",
        "protect__hub_sees_at_most": ...,
    },
    "protect.hub_sees_at_most.epsilon": {"protect__hub_sees_at_most__epsilon": 5},
    "linkage": {"linkage": {"health": "none"}},
    "spend.accounting": {
        "spend__accounting": "pure",
        "spend__delta": ...,
        "protect__noise": "agents",
        "protect__hub_sees_at_most": ...,
    },
    "spend.delta": {"spend__delta": 1e-8},
    "spend.each_release_at_most.epsilon": {"spend__each_release_at_most__epsilon": 1},
    "spend.each_analyst.epsilon": {"spend__each_analyst__epsilon": 5},
    "spend.each_analyst.every": {"spend__each_analyst__every": 91},
    "spend.everyone.epsilon": {"spend__everyone__epsilon": 11},
    "spend.everyone.every": {"spend__everyone__every": 364},
    "spend.lifetime.epsilon": {"spend__lifetime__epsilon": 25},
    "review.releases": {"review__releases": "human"},
    "review.reviewers": {"review__reviewers": ["bureau"]},
    "retention.releases": {"retention": {"releases": 400}},
    "retention.questions": {"retention": {"releases": 400, "questions": 800}},
    "bulletins.measure": _bulletin(measure="cases"),
    "bulletins.by": _bulletin(by={"place": "all"}),
    "bulletins.where": _bulletin(where={"kind": ["a"]}),
    "bulletins.every": _bulletin(every="year"),
    "bulletins.epsilon": _bulletin(epsilon=0.2),
    "bulletins.purpose": _bulletin(purpose="evaluation"),
    "emergency.purpose": {"emergency__purpose": "flood"},
    "emergency.spend.epsilon": {"emergency__spend__epsilon": 3},
    "emergency.at_most": {"emergency__at_most": 29},
    "emergency.approvers": {"emergency__approvers": ["alice", "chidi"]},
    "approval.quorum": {"approval__quorum": 3},
    "approval.signatories": {"approval__signatories": "parties"},
    "approval.loosening_needs": {"approval__loosening_needs": []},
    "valid.from": {"valid__from": "2026-01-02"},
    "valid.until": {"valid__until": "2027-12-30"},
    "valid.review_by": {"valid__review_by": "2027-06-29"},
    "law.regime": {"law__health__regime": "uk-dpa"},
    "law.basis": {"law__health__basis": "another one"},
    "law.assessment": {"law__health__assessment": "A-18"},
    "contacts.breach": {"contacts__breach": "nobody"},
    "contacts.complaints": {"contacts__complaints": "nobody"},
    "contacts.audit": {"contacts__audit": "nobody"},
}
"""Another value of every entry; the explanation must tell the difference."""

ONE_NAME = {"agreement", "data_model"}
"""Entries that name other documents and cannot change alone."""


def test_every_field_has_another_value_to_be_told_apart_by() -> None:
    """A new field of the form must be put into the table before this passes again."""
    from tests.unit.core.test_shifts import fields

    assert set(fields(AgreementForm)) == set(OTHER)


@pytest.mark.parametrize("path", sorted(set(OTHER) - ONE_NAME))
def test_no_field_can_change_without_another_sentence(path: str) -> None:
    """What an agreement says shows in the explanation, entry by entry."""
    unchanged = _bulletin() if path.startswith("bulletins.") else {}
    before = full_policy(**unchanged)  # type: ignore[arg-type]
    after = full_policy(**OTHER[path])  # type: ignore[arg-type]
    assert told(before) != told(after)
    clauses = {p.clause for each in (before, after) for p in explain_agreement(each)}
    entry = path if path in clauses else path.rpartition(".")[0] or path
    assert any(
        clause == entry or clause.startswith(f"{entry}.") or _law(clause, entry)
        for clause in clauses
    )


def _law(clause: str, entry: str) -> bool:
    return entry.startswith("law.") and clause.startswith("law.")


@pytest.mark.parametrize("path", sorted(ONE_NAME))
def test_names_stand_in_the_explanation(path: str) -> None:
    """Which agreement it is, in the words of which model."""
    assert {"agreement": "trends", "data_model": "tiny-1"}[path] in told(full_policy())


def test_known_to_all_parties_counted_on_loses_what_the_caps_say() -> None:
    """And a person known to fewer loses less, as rho goes with the square."""
    policy = full_policy(emergency=...)
    agreement = policy.agreement
    cap = cap_of(agreement, Fraction(12))
    assert year_of_person(agreement, 3) == cap
    assert year_of_person(agreement, 1) == -(-cap // 9)
    assert epsilon_of(agreement, year_of_person(agreement, 3)) <= 12
    assert year_of_person(agreement, 5) > cap
    lifetime = lifetime_of_person(policy, 3)
    assert lifetime == cap_of(agreement, Fraction(24))


def test_a_window_shorter_than_a_year_is_filled_several_times() -> None:
    """Five windows of 90 days touch a year; the lifetime cap can end it earlier."""
    short = full_policy(spend__everyone={"epsilon": 4, "every": 90}).agreement
    assert year_of_person(short, 3) == min(
        5 * cap_of(short, Fraction(4)), cap_of(short, Fraction(24))
    )


def test_an_emergency_is_not_within_the_agreements_own_lifetime() -> None:
    """It is paid beside it, so only the agencies' caps limit what is lost for ever."""
    with_clause, without = full_policy(), full_policy(emergency=...)
    more, less = lifetime_of_person(with_clause, 3), lifetime_of_person(without, 3)
    assert more is not None
    assert less is not None
    assert more > less


@given(
    st.lists(
        st.tuples(
            st.integers(1, 10**6),
            st.sets(st.integers(0, 4), min_size=1),
        ),
        max_size=8,
    ),
    st.integers(1, 5),
)
def test_no_way_to_spend_lifetime_caps_exceeds_the_stated_bound(
    releases: list[tuple[int, set[int]]], known: int
) -> None:
    """Whichever agencies take part in which release, known or not to the person."""
    calibrated = 3
    caps = sorted(
        (sum(rho for rho, who in releases if agency in who) for agency in range(5)),
        reverse=True,
    )
    lost = sum(
        Fraction(rho * len(who & set(range(known))) ** 2, calibrated**2)
        for rho, who in releases
    )
    assert lost <= Fraction(known * sum(caps[:known]), calibrated**2)


# Questions: which clauses bind


def loosened(policy: Policy, clause: str, touched: Iterable[str], ask: Ask) -> Policy:
    """Return *policy* with one clause removed, or so loose that it never binds."""
    form = policy.agreement.form
    name = clause.rpartition(".")[2]
    group_by = form.may_ask.group_by
    changes: Mapping[str, Callable[[], AgreementForm]] = {
        "valid.from": lambda: _set(form, "valid", first=datetime.date.min),
        "valid.until": lambda: _set(form, "valid", until=datetime.date.max),
        "recipients.roles": lambda: _set(
            form, "recipients", roles=sorted(ask.analyst.roles)
        ),
        "recipients.organisations": lambda: _set(
            form, "recipients", organisations=[ask.analyst.organisation]
        ),
        "purpose": lambda: form.model_copy(update={"purpose": [ask.purpose]}),
        "may_ask.measures": lambda: _set(
            form, "may_ask", measures=["persons", "cases"]
        ),
        "may_ask.at_most_dimensions": lambda: _set(
            form, "may_ask", at_most_dimensions=9
        ),
        "may_ask.group_by": lambda: _set(
            form, "may_ask", group_by=dict.fromkeys(touched, "all") | group_by
        ),
        "may_ask.never_together": lambda: _set(form, "may_ask", never_together=[]),
        "protect.covered_by_at_least": lambda: _set(
            form, "protect", covered_by_at_least=1
        ),
        "protect.no_agency_above": lambda: _set(form, "protect", no_agency_above=None),
        "spend.each_release_at_most": lambda: _set(
            form, "spend", each_release_at_most=Cap(epsilon=Fraction(1000))
        ),
    }
    if clause == "emergency":
        on = DeclarationForm.model_validate(
            {"emergency": "trends", "reason": "x", "from": ask.day, "until": ask.day}
        )
        return dataclasses.replace(policy, emergency=on)
    if clause.startswith("may_ask.group_by."):
        new = _set(form, "may_ask", group_by={**group_by, name: "all"})
    elif clause.startswith("may_ask.hidden_values."):
        hidden = {k: v for k, v in form.may_ask.hidden_values.items() if k != name}
        new = _set(form, "may_ask", hidden_values=hidden)
    else:
        new = changes[clause]()
    agreement = dataclasses.replace(policy.agreement, form=new)
    return dataclasses.replace(policy, agreement=agreement, digest=f"{new!r}")


def _set(form: AgreementForm, section: str, **entries: object) -> AgreementForm:
    part: pydantic.BaseModel = getattr(form, section)
    assert isinstance(part, Strict)
    return form.model_copy(update={section: part.model_copy(update=entries)})


REMITS = ("everything", "some", "huge")


def strict_policy(remits: str, draw: Callable[[], bool]) -> Policy:
    """Return a policy with clauses switched on or off."""
    policy = full_policy(
        may_ask__group_by={"age": "broad"}
        if draw()
        else {"age": "all", "place": "all", "kind": "all"},
        may_ask__never_together=[["age", "kind"]] if draw() else [],
        may_ask__hidden_values={"kind": ["b"]} if draw() else {},
        may_ask__sensitive=...,
        may_ask__at_most_dimensions=1 if draw() else 3,
        protect__no_agency_above="50 %" if remits == "huge" else ...,
        cohorts={"all": "everyone"},
    )
    members = policy.members
    changed_members = {
        label: member.model_copy(
            update={
                "remit": member.remit.model_copy(
                    update={
                        "covers": {"place": ["north"]}
                        if remits == "some" and label not in ("shelter", "work")
                        else {},
                        "persons_a_year": 90_000
                        if remits == "huge" and label == "police"
                        else 500,
                    }
                )
            }
        )
        for label, member in members.members.items()
    }
    return dataclasses.replace(
        policy,
        members=members.model_copy(update={"members": changed_members}),
        digest=f"{remits} {policy.digest}",
    )


@given(st.data())
@settings(max_examples=150)
def test_exactly_the_named_clauses_bind(data: st.DataObject) -> None:
    """Without all of them the question is allowed; without all but one it is not."""
    policy = strict_policy(
        data.draw(st.sampled_from(REMITS)), lambda: data.draw(st.booleans())
    )
    some = st.lists(
        st.sampled_from(
            [("age", "fine"), ("age", "broad"), ("place", None), ("kind", None)]
        ),
        max_size=3,
        unique_by=lambda group: group[0],
    )
    where = st.dictionaries(
        st.sampled_from(["kind", "place", "age"]), st.just(None), max_size=2
    )
    values = {"kind": ["a", "b"], "place": ["north", "south"], "age": ["young", "0-8"]}
    chosen = {
        name: [data.draw(st.sampled_from(values[name]))] for name in data.draw(where)
    }
    query = canonical_query(
        agreement="trends",
        edition="2026-Q1",
        measure=data.draw(st.sampled_from(["persons", "cases"])),
        group_by=data.draw(some),
        where=chosen,
        model=policy.model,
    )
    ask = Ask(
        query=query,
        analyst=Analyst(
            id="ann",
            organisation=data.draw(st.sampled_from(["university", "press"])),
            roles=frozenset({data.draw(st.sampled_from(["analyst", "guest"]))}),
        ),
        purpose=data.draw(st.sampled_from(["planning", "curiosity", "crisis"])),
        day=data.draw(
            st.sampled_from([DAY, datetime.date(2025, 1, 1), datetime.date(2030, 1, 1)])
        ),
    )
    epsilon = Fraction(data.draw(st.sampled_from([1, 2, 3])))
    found = explain_query(policy, ask, epsilon)
    clauses = sorted({each.clause for each in found.reasons})
    touched = {g.dimension for g in query.group_by} | {w.dimension for w in query.where}

    def without(some_clauses: list[str]) -> bool:
        looser = policy
        for clause in some_clauses:
            looser = loosened(looser, clause, touched, ask)
        return explain_query(looser, ask, epsilon).permitted

    assert without(clauses)
    for kept in clauses:
        assert not without([clause for clause in clauses if clause != kept])


def ask_about(*group_by: tuple[str, str | None], **changes: object) -> Ask:
    """Return a question that the full policy permits, or one that differs."""
    query = canonical_query(
        agreement="trends",
        edition="2026-Q1",
        measure="persons",
        group_by=group_by,
        where={},
        model=full_policy().model,
    )
    ask = Ask(query=query, analyst=ANALYST, purpose="planning", day=DAY)
    return dataclasses.replace(ask, **changes)  # type: ignore[arg-type]  # by name


def test_a_refusal_reads_as_before() -> None:
    """Each reason with its clause and its line in the agreement."""
    refused = explain_query(
        full_policy(),
        ask_about(("age", "fine"), ("kind", None), purpose="curiosity"),
        Fraction(3),
    )
    allowed = explain_query(
        full_policy(), ask_about(("age", "broad"), ("place", None)), Fraction(2)
    )
    reviewed = explain_query(
        full_policy(may_ask__hidden_values={}), ask_about(("kind", None))
    )
    crisis = explain_query(
        full_policy(declared=True),
        ask_about(purpose="crisis", day=datetime.date(2026, 5, 2)),
    )
    pages = ("\n".join(e.sentences()) for e in (refused, allowed, reviewed, crisis))
    same_as_golden("questions.txt", "\n\n".join(pages) + "\n")


def test_places_are_lines_of_the_agreement_or_of_its_preset() -> None:
    """Documents are one line here, so only which document it is differs."""
    agreement = full_policy(protect__suppress_below=...).agreement
    assert str(place_of(agreement, "may_ask.hidden_values.kind")) == (
        "agreements/trends.yaml:1"
    )
    assert str(place_of(agreement, "protect.suppress_below")) == (
        "presets/careful.yaml:1"
    )
    bare = full_policy(extends=..., protect__suppress_below=...).agreement
    assert str(place_of(bare, "protect.suppress_below")) == "agreements/trends.yaml"


def test_the_expected_error_is_what_the_price_buys() -> None:
    """No epsilon: ±15, or the dearest release where ±15 is beyond the cap."""
    dear = explain_query(full_policy(), ask_about(("place", None))).cost
    assert dear is not None
    assert dear.half_width > 15
    assert dear.epsilon <= 2
    cheap = explain_query(
        full_policy(
            spend__each_release_at_most={"epsilon": 6},
            emergency__spend={"epsilon": 6},
            protect__hub_sees_at_most=...,
        ),
        ask_about(("place", None)),
    ).cost
    assert cheap is not None
    assert cheap.half_width <= 15
