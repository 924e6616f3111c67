# SPDX-License-Identifier: Apache-2.0
"""The agency's own rules: each refuses what the agreement allows, and none permits."""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
import unicodedata
import uuid
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.rules.rulebook import (
    add_rule,
    remove_rule,
    resume,
    rules_in_force,
    rules_of,
)
from accord.agent.rules.rules import (
    Kind,
    Rule,
    delta_for,
    objections,
    period_caps,
    room,
)
from accord.agent.settings import Settings
from accord.agent.spending import agreement_account, spent
from accord.agent.state import AgentState
from accord.core.epsilon_delta import delta_upper
from accord.core.errors import ConfigurationError, NotFound, RequisitionRefused
from accord.core.privacy import NANO, Accounting
from accord.core.terms import Requisition
from accord.ledger import State, Unit, balance, entry
from tests.unit.agent.agencies import MODEL, NOW, ingest_rows, new_state, row
from tests.unit.agent.agreements import (
    AGENCY,
    AGREEMENT_TEXT,
    PURE_TEXT,
    Agent,
    Clock,
    agreement,
    question,
    requisition,
    signed,
    taught,
)
from tests.unit.agent.hub_rounds import Round

DELTA = Fraction(1, 10**9)
FALLBACK: dict[str, Any] = {
    "cohort": "fallback",
    "members": ("hotline", "police", "shelter"),
}


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    made = new_state(tmp_path / "state")
    ingest_rows(made, [row(number=str(number)) for number in range(4)])
    return made


def refusal(agent: Agent, asked: Requisition, **changes: object) -> RequisitionRefused:
    with pytest.raises(RequisitionRefused) as caught:
        agent.answer(*signed(asked, **changes))
    return caught.value


def used(state: AgentState) -> int:
    return spent(state, AGENCY, Accounting.ZCDP, Settings(), NOW).used


FILTERED = question(("age_band", "broad"), where={"region": ["north"]})

CASES: list[tuple[Rule, dict[str, Any]]] = [
    (Rule(kind=Kind.STOP_SHARING), {}),
    (Rule(kind=Kind.VETO_DIMENSION, subject="region"), {}),
    (Rule(kind=Kind.VETO_DIMENSION, subject="region"), {"query": FILTERED}),
    (Rule(kind=Kind.VETO_PURPOSE, subject="planning"), {}),
    (Rule(kind=Kind.VETO_PURPOSE, subject=" Planning "), {}),
    (Rule(kind=Kind.VETO_ANALYST, subject="kim"), {}),
    (Rule(kind=Kind.VETO_ORGANISATION, subject="observatory"), {}),
    (Rule(kind=Kind.VETO_AGREEMENT, subject="small-trends"), {}),
    (
        Rule(kind=Kind.VETO_MEASURE, subject="cases"),
        {"query": question(measure="cases")},
    ),
    (Rule(kind=Kind.COHORT_AT_LEAST, number=4), FALLBACK),
    (Rule(kind=Kind.CAP_RELEASE, epsilon=Fraction(1, 2)), {}),
    (Rule(kind=Kind.CAP_PERIOD, epsilon=Fraction(1, 2), number=30), {}),
    (
        Rule(
            kind=Kind.CAP_PERIOD,
            subject="small-trends",
            epsilon=Fraction(1, 2),
            number=30,
        ),
        {},
    ),
]


def asked_with(changes: dict[str, Any]) -> Requisition:
    rest = {name: value for name, value in changes.items() if name != "query"}
    return dataclasses.replace(requisition(changes.get("query")), **rest)


def test_there_is_a_case_for_every_kind() -> None:
    assert {rule.kind for rule, _ in CASES} == set(Kind)


@pytest.mark.parametrize(("rule", "changes"), CASES, ids=lambda each: str(each)[:60])
def test_every_rule_refuses_what_the_agreement_permits(
    state: AgentState, rule: Rule, changes: dict[str, Any]
) -> None:
    """The same agent, without a restart: permitted, refused, permitted again."""
    agent = taught(state)
    agent.answer(*signed(asked_with(changes)))
    before = used(state)
    made = add_rule(state, rule, NOW)
    found = refusal(agent, asked_with(changes))
    assert (found.reason, found.metadata["codes"]) == ("LOCAL_RULE", rule.kind.value)
    assert used(state) == before
    remove_rule(state, made.id, "", NOW)
    agent.answer(*signed(asked_with(changes)))


@pytest.mark.parametrize(
    "rule",
    [
        Rule(kind=Kind.VETO_DIMENSION, subject="age_band"),
        Rule(kind=Kind.VETO_PURPOSE, subject="plan"),
        Rule(kind=Kind.VETO_ANALYST, subject="kimberley"),
        Rule(kind=Kind.VETO_ORGANISATION, subject="police"),
        Rule(kind=Kind.VETO_AGREEMENT, subject="other-trends"),
        Rule(kind=Kind.VETO_MEASURE, subject="cases"),
        Rule(kind=Kind.COHORT_AT_LEAST, number=5),
        Rule(kind=Kind.CAP_RELEASE, epsilon=Fraction(1)),
        Rule(kind=Kind.CAP_PERIOD, epsilon=Fraction(1), number=30),
        Rule(kind=Kind.CAP_PERIOD, subject="other-trends", epsilon=DELTA, number=30),
    ],
    ids=lambda rule: f"{rule.kind} {rule.subject}",
)
def test_a_rule_about_something_else_changes_nothing(
    state: AgentState, rule: Rule
) -> None:
    add_rule(state, rule, NOW)
    taught(state).answer(*signed(requisition()))


def test_the_reason_of_staff_goes_nowhere(state: AgentState) -> None:
    agent = taught(state)
    reason = "a raid on 3 May"
    rule = Rule(kind=Kind.STOP_SHARING, reason=reason)
    add_rule(state, rule, NOW)
    found = refusal(agent, requisition())
    assert reason not in f"{found.sentence}{found.metadata}"
    assert rules_of(state)[0].rule.reason == reason


def test_a_retry_of_what_was_paid_is_refused_too(state: AgentState) -> None:
    agent, asked = taught(state), requisition()
    found = agent.answer(*signed(asked)).round
    add_rule(state, Rule(kind=Kind.STOP_SHARING), NOW)
    assert refusal(agent, asked).reason == "LOCAL_RULE"
    with pytest.raises(RequisitionRefused, match="rule of this agency"):
        agent.hub().mask_one(found, AGENCY)
    resume(state, "", NOW)
    agent.hub().mask_one(found, AGENCY)


def test_a_rule_that_is_made_between_two_steps_stops_the_next(
    state: AgentState,
) -> None:
    agent, asked = taught(state), requisition()
    hub = agent.hub()
    found = hub.ready(signed(asked), "all", asked.members)
    for step in (hub.mask_one, hub.reveal_one):
        add_rule(state, Rule(kind=Kind.VETO_ANALYST, subject="kim"), NOW)
        before = used(state)
        with pytest.raises(RequisitionRefused) as caught:
            step(found, AGENCY)
        assert caught.value.reason == "LOCAL_RULE"
        assert used(state) == before
        remove_rule(state, rules_of(state)[0].rule.id, "", NOW)
        if step == hub.mask_one:
            hub.mask(found)
    hub.reveal(found)
    assert found.sum()[-2] == 1


def test_a_cohort_that_a_rule_forbids_is_refused_in_the_second_round(
    state: AgentState,
) -> None:
    """The first round names the largest cohort, the second one the one that answers."""
    agent, asked = taught(state), requisition()
    hub = agent.hub()
    add_rule(state, Rule(kind=Kind.COHORT_AT_LEAST, number=4), NOW)
    found = hub.ready(signed(asked), "fallback", FALLBACK["members"])
    with pytest.raises(RequisitionRefused) as caught:
        hub.mask_one(found, AGENCY)
    refused = caught.value
    assert (refused.reason, refused.metadata["codes"]) == (
        "LOCAL_RULE",
        "cohort-at-least",
    )
    assert used(state) == 0


@pytest.mark.parametrize("subject", ["", "small-trends"])
@pytest.mark.parametrize("text", [AGREEMENT_TEXT, PURE_TEXT])
def test_a_period_counts_what_was_spent_before_the_rule_and_slides(
    state: AgentState, subject: str, text: str
) -> None:
    clock = Clock()
    agent = taught(state, text, clock=clock)
    agent.answer(*signed(requisition(text=text)))
    cap = Rule(kind=Kind.CAP_PERIOD, subject=subject, epsilon=Fraction(6, 5), number=30)
    add_rule(state, cap, NOW)
    retry = requisition(text=text)
    assert refusal(agent, retry).metadata["codes"] == "cap-period"
    clock.now = NOW + datetime.timedelta(days=29, hours=23)
    agent.offer.freshen()
    late = clock.now + datetime.timedelta(hours=3)
    assert refusal(agent, retry, expires_at=late).metadata["codes"] == "cap-period"
    clock.now = NOW + datetime.timedelta(days=30)
    agent.offer.freshen()
    found = agent.answer(*signed(retry, expires_at=late)).round
    # What is paid for is free within the period.
    seed = found.seeds[AGENCY]
    assert agent.hub().reveal_one(found, AGENCY) == seed


@pytest.mark.parametrize("subject", ["", "small-trends"])
@pytest.mark.parametrize("text", [AGREEMENT_TEXT, PURE_TEXT])
def test_what_was_masked_long_ago_counts_in_the_period_in_which_it_is_opened(
    state: AgentState, subject: str, text: str
) -> None:
    """Else a hub masks one answer in each period, and opens all of them in the last."""
    clock = Clock()
    agent = taught(state, text, clock=clock)
    cap = Rule(kind=Kind.CAP_PERIOD, subject=subject, epsilon=Fraction(6, 5), number=30)
    add_rule(state, cap, NOW)
    hub, late = agent.hub(), NOW + datetime.timedelta(days=60)
    members = requisition().members

    def masked() -> Round:
        asked = signed(requisition(text=text), expires_at=late)
        return hub.mask(hub.ready(asked, "all", members))

    old = masked()
    clock.now = NOW + datetime.timedelta(days=30)
    agent.offer.freshen()
    new = masked()
    with pytest.raises(RequisitionRefused) as caught:
        hub.reveal_one(old, AGENCY)
    assert caught.value.metadata["codes"] == "cap-period"
    hub.reveal_one(new, AGENCY)
    with pytest.raises(RequisitionRefused):
        hub.reveal_one(old, AGENCY)
    # The old one is charged nothing, and gives back what it held.
    assert [each.query_id for each in agent.answerer.settle([old.query_id])] == [
        old.query_id
    ]
    with state.ledger() as connection:
        kept = [entry(connection, each.query_id) for each in (old, new)]
    assert [each and each.state for each in kept] == [State.RETURNED, State.CHARGED]


def test_a_later_attempt_takes_no_more_room_in_its_period(state: AgentState) -> None:
    """What is reserved is reserved for all attempts; the period has room for one."""
    agent = taught(state)
    add_rule(state, Rule(kind=Kind.CAP_PERIOD, epsilon=Fraction(6, 5), number=30), NOW)
    asked, hub = signed(requisition()), agent.hub()
    members = requisition().members
    hub.mask(hub.ready(asked, "all", members))
    again = hub.mask(hub.ready(asked, "all", members, 2))
    hub.reveal_one(again, AGENCY)


def test_alone_in_its_period_it_is_opened_however_old_it_is(state: AgentState) -> None:
    clock = Clock()
    agent = taught(state, clock=clock)
    cap = Rule(kind=Kind.CAP_PERIOD, epsilon=Fraction(6, 5), number=30)
    add_rule(state, cap, NOW)
    late = NOW + datetime.timedelta(days=60)
    hub, asked = agent.hub(), requisition()
    found = hub.mask(hub.ready(signed(asked, expires_at=late), "all", asked.members))
    clock.now = NOW + datetime.timedelta(days=31)
    agent.offer.freshen()
    agent.refresh()
    assert hub.reveal_one(found, AGENCY)


def test_each_agreement_has_an_account_of_its_own(state: AgentState) -> None:
    asked = requisition()
    taught(state).answer(*signed(asked))
    account = agreement_account(AGENCY, "small-trends")
    with state.ledger() as connection:
        held = balance(connection, account, Unit.NANO_RHO, NOW)
    assert held.spent == asked.loss.nano_rho == used(state)


def test_the_lifetime_cap_holds_beside_a_generous_rule(state: AgentState) -> None:
    add_rule(state, Rule(kind=Kind.CAP_PERIOD, epsilon=Fraction(900), number=1), NOW)
    tight = Settings.model_validate({"lifetime": {"zcdp": {"epsilon": "0.5"}}})
    agent = taught(state, settings=tight)
    assert refusal(agent, requisition()).reason == "BUDGET_EXHAUSTED"


def test_rules_hold_in_unsafe_test_mode(state: AgentState) -> None:
    add_rule(state, Rule(kind=Kind.CAP_RELEASE, epsilon=Fraction(1, 2)), NOW)
    agent = taught(state, settings=Settings(unsafe_test_mode=True))
    assert refusal(agent, requisition()).metadata["codes"] == "cap-release"


def test_all_rules_that_object_are_told_once(state: AgentState) -> None:
    for subject in ("region", "Region", "REGION"):
        rule = Rule(kind=Kind.VETO_DIMENSION, subject=subject)
        add_rule(state, rule, NOW)
    add_rule(state, Rule(kind=Kind.VETO_ANALYST, subject="kim"), NOW)
    codes = refusal(taught(state), requisition()).metadata["codes"]
    assert codes == "veto-dimension,veto-analyst"


# The pure part, over arbitrary rules


EPSILONS = st.fractions(Fraction(1, 100), 3, max_denominator=100)


def rules() -> st.SearchStrategy[Rule]:
    subjects = "region age_band planning kim observatory small-trends persons cases x"
    words = st.sampled_from(["", *subjects.split()])
    return st.builds(
        lambda kind, subject, epsilon, number: Rule(
            kind=kind, subject=subject, epsilon=epsilon, number=number
        ),
        st.sampled_from(Kind),
        words,
        EPSILONS,
        st.integers(1, 8),
    )


ASKED = st.sampled_from(
    [
        {},
        FALLBACK,
        {"query": FILTERED},
        {"query": question(measure="cases")},
        {"purpose": "curiosity"},
        {"layout_digest": "0" * 64},
        {"policy_digest": "0" * 64},
        {"cohort": "others"},
    ]
)


@given(st.lists(rules(), max_size=6), st.lists(rules(), max_size=6), ASKED)
def test_one_more_rule_never_takes_an_objection_away(
    some: list[Rule], more: list[Rule], changes: dict[str, Any]
) -> None:
    asked = asked_with(changes)

    def found(each: list[Rule]) -> set[Kind]:
        return set(objections(each, asked, MODEL, DELTA))

    assert found([*some, *more]) == found(some) | found(more)
    assert found([]) == set()
    assert found([*some, Rule(kind=Kind.STOP_SHARING)]) >= {Kind.STOP_SHARING}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> AgentState:
    made = new_state(tmp_path_factory.mktemp("rules") / "state")
    ingest_rows(made, [row(number=str(number)) for number in range(4)])
    return made


@settings(max_examples=40, deadline=None)
@given(st.lists(rules(), max_size=4), ASKED)
def test_no_rule_turns_a_refusal_into_an_answer(
    shared: AgentState, some: list[Rule], changes: dict[str, Any]
) -> None:
    agent, asked = taught(shared), asked_with(changes)

    def outcome() -> str:
        new = dataclasses.replace(asked, query_id=str(uuid.uuid4()))
        try:
            return str(agent.answer(*signed(new)).vector.tolist())
        except RequisitionRefused as refused:
            return refused.reason

    before = outcome()
    made = [add_rule(shared, rule, NOW) for rule in some]
    try:
        after = outcome()
    finally:
        for number in {rule.id for rule in made}:
            remove_rule(shared, number, "", NOW)
    assert after in (before, "LOCAL_RULE")
    if before in ("AGREEMENT_DENIES", "POLICY_DIFFERS", "COHORT_NOT_PERMITTED"):
        assert after == before


@settings(deadline=None)
@given(
    EPSILONS,
    st.sampled_from(Accounting),
    st.integers(0, NANO // 10),
    st.integers(0, 2 * NANO),
)
def test_what_has_room_never_exceeds_the_cap(
    cap: Fraction, accounting: Accounting, nano_rho: int, nano_epsilon: int
) -> None:
    """Whatever both units hold together afterwards is within the rule's epsilon."""
    rule = Rule(kind=Kind.CAP_PERIOD, epsilon=cap, number=1)
    most = room(
        rule,
        accounting,
        nano_rho=nano_rho,
        nano_epsilon=nano_epsilon,
        delta=DELTA,
    )
    if accounting is Accounting.ZCDP:
        filled = max(nano_rho, most), nano_epsilon
        grew = most > nano_rho
    else:
        filled = nano_rho, max(nano_epsilon, most)
        grew = most > nano_epsilon
    if grew:
        left = cap - Fraction(filled[1], NANO)
        assert left >= 0
        assert not filled[0] or delta_upper(filled[0], left) <= DELTA


def test_the_stricter_delta_counts() -> None:
    agreed = agreement()
    assert delta_for(agreed, Fraction(1, 10**6)) == DELTA
    assert delta_for(agreed, Fraction(1, 10**12)) == Fraction(1, 10**12)
    assert delta_for(agreement(PURE_TEXT), Fraction(1, 10**6)) == Fraction(1, 10**6)


def test_a_cap_over_one_agreement_leaves_the_others_alone() -> None:
    every = Rule(kind=Kind.CAP_PERIOD, epsilon=Fraction(1), number=1)
    one = dataclasses.replace(every, subject="a")
    assert list(period_caps([every, one], "a")) == [every, one]
    assert list(period_caps([every, one], "b")) == [every]


# How rules are kept


def test_rules_are_kept_with_who_when_and_why(state: AgentState) -> None:
    rule = Rule(
        kind=Kind.CAP_PERIOD,
        subject="small-trends",
        epsilon=Fraction(1, 3),
        number=30,
        reason="until the audit",
    )
    made = add_rule(state, rule, NOW)
    assert (made.id, made.made_at, bool(made.made_by)) == (1, NOW, True)
    assert add_rule(state, rule, NOW + datetime.timedelta(days=1)) == made
    assert [kept.rule for kept in rules_of(state)] == [made]
    later = NOW + datetime.timedelta(days=2)
    assert remove_rule(state, made.id, "audited", later) == made
    assert rules_of(state) == ()
    (kept,) = rules_of(state, removed=True)
    assert (kept.removed_at, kept.removed_because) == (later, "audited")
    assert kept.removed_by == made.made_by
    assert add_rule(state, rule, later).id == 2
    with pytest.raises(NotFound, match="rules list"):
        remove_rule(state, 1, "", later)


def test_sharing_that_was_not_stopped_is_not_resumed(state: AgentState) -> None:
    add_rule(state, Rule(kind=Kind.VETO_ANALYST, subject="kim"), NOW)
    assert resume(state, "", NOW) == ()
    stop = add_rule(state, Rule(kind=Kind.STOP_SHARING, reason="raid"), NOW)
    assert resume(state, "over", NOW) == (stop,)
    assert [kept.rule.kind for kept in rules_of(state)] == [Kind.VETO_ANALYST]


def test_a_database_of_an_older_version_has_no_rules(state: AgentState) -> None:
    with state.ledger() as connection:
        assert rules_in_force(connection) == ()
    assert rules_of(state, removed=True) == ()


@pytest.mark.parametrize("column", ["kind = 'newer'", "epsilon = 'x'", "made_at = ''"])
def test_a_rule_that_cannot_be_read_stops_every_answer(
    state: AgentState, column: str
) -> None:
    add_rule(state, Rule(kind=Kind.VETO_ANALYST, subject="nobody"), NOW)
    with sqlite3.connect(state.database) as connection:
        connection.execute(f"UPDATE local_rule SET {column}")
    connection.close()
    with pytest.raises(ConfigurationError) as caught:
        taught(state).answer(*signed(requisition()))
    assert caught.value.reason == "RULE_UNREADABLE"
    assert used(state) == 0


def test_spellings_of_a_name_are_one_name() -> None:
    """Of caps as of vetoes; accents may be typed as one character or as two."""
    cap = Rule(
        kind=Kind.CAP_PERIOD, subject="Régional  TRENDS", epsilon=Fraction(1), number=3
    )
    for spelt in ("régional trends", unicodedata.normalize("NFD", "régional trends")):
        assert list(period_caps([cap], spelt)) == [cap]
    assert not list(period_caps([cap], "regional trends"))
    purpose = "année"
    for veto in ("NFC", "NFD"):
        subject = unicodedata.normalize(veto, purpose.upper())
        rule = Rule(kind=Kind.VETO_PURPOSE, subject=subject)
        for asked in ("NFC", "NFD"):
            wanted = dataclasses.replace(
                requisition(), purpose=unicodedata.normalize(asked, purpose)
            )
            assert objections([rule], wanted, MODEL, DELTA) == (Kind.VETO_PURPOSE,)
