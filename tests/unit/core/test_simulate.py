# SPDX-License-Identifier: Apache-2.0
"""A log of questions under a draft: decided, priced and paid as the hub would."""

from __future__ import annotations

import dataclasses
import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.afford import cap_of
from accord.core.decide import Analyst
from accord.core.simulate import (
    AskedQuery,
    Simulation,
    Verdict,
    outcome_line,
    simulate,
)
from accord.core.simulated_accounts import Remaining
from tests.unit.core.full_policy import full_policy

START = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)


def asked(day: int = 0, **changes: object) -> AskedQuery:
    """Return a permitted question, so many days after the start, or another one."""
    found = AskedQuery(
        asked_at=START + datetime.timedelta(days=day),
        edition="2026-Q1",
        measure="persons",
        group_by=(("place", None),),
        where=(),
        analyst=Analyst(
            id="ann", organisation="university", roles=frozenset({"analyst"})
        ),
        purpose="planning",
        epsilon=Fraction(1),
        agreement_version=1,
        permitted=True,
    )
    return dataclasses.replace(found, **changes)  # type: ignore[arg-type]  # by name


def by(name: str) -> Analyst:
    """Return an analyst who may ask."""
    return Analyst(id=name, organisation="university", roles=frozenset({"analyst"}))


def verdicts(found: Simulation) -> list[Verdict]:
    """Return what every question got."""
    return [each.verdict for each in found.outcomes]


def left(found: Simulation, account: str, days: int | None) -> Remaining:
    """Return one account at the end."""
    return next(r for r in found.accounts if (r.account, r.days) == (account, days))


def test_an_empty_log_is_no_mistake() -> None:
    """Nothing was asked, nothing is told."""
    found = simulate(full_policy(), [])
    assert found.outcomes == ()
    assert found.sentences()[0].startswith("0 questions")


def test_a_repeat_is_free_unless_it_is_more_accurate() -> None:
    """The same question on the same edition; whoever asks, at whatever price below."""
    log = [
        asked(0),
        asked(1, analyst=by("bo")),
        asked(2, epsilon=Fraction(1, 2)),
        asked(3, epsilon=Fraction(2)),
        asked(4, epsilon=Fraction(3, 2)),
        asked(5, edition="2026-Q2"),
    ]
    free, paid = Verdict.FROM_ARCHIVE, Verdict.ANSWERED
    assert verdicts(simulate(full_policy(), log)) == [
        paid,
        free,
        free,
        paid,
        free,
        paid,
    ]


def test_releases_from_before_the_log_count_only_where_answers_stay_the_same() -> None:
    """A draft that protects otherwise has to ask anew."""
    log = [asked(0, from_archive=True)]
    before = full_policy()
    assert verdicts(simulate(full_policy(version=2), log, before)) == [
        Verdict.FROM_ARCHIVE
    ]
    stricter = full_policy(version=2, protect__suppress_below=11)
    assert verdicts(simulate(stricter, log, before)) == [Verdict.ANSWERED]
    assert verdicts(simulate(stricter, log)) == [Verdict.ANSWERED]


def test_refusals_name_their_reasons() -> None:
    """By clause, by a name that the model does not know, for review."""
    log = [
        asked(0, purpose="curiosity", permitted=False),
        asked(1, group_by=(("colour", None),)),
        asked(2, group_by=(("kind", None),)),
        asked(3, edition="soon"),
        asked(4, epsilon=Fraction(3)),
    ]
    found = simulate(full_policy(may_ask__hidden_values={}), log)
    assert [each.reasons for each in found.outcomes] == [
        ("deny.purpose",),
        ("UNKNOWN_DIMENSION",),
        (),
        ("EDITION_INVALID",),
        ("deny.release-cost",),
    ]
    assert found.outcomes[2].verdict is Verdict.NEEDS_REVIEW
    assert len(found.lost()) == 3
    assert not found.gained()


def test_what_a_looser_draft_allows_is_told() -> None:
    """Refused then, allowed now, in one line each."""
    log = [asked(0, purpose="evaluation", permitted=False)]
    draft = full_policy(purpose=["planning", "evaluation"])
    found = simulate(draft, log)
    assert len(found.gained()) == 1
    line = outcome_line(draft.agreement, found.outcomes[0])
    assert "refused then; answered now" in line
    assert "persons place" in line


def test_an_analysts_window_refills_exactly_after_its_length() -> None:
    """What was spent a moment longer ago than the window counts no more."""
    policy = full_policy(spend__each_analyst={"epsilon": 2, "every": 10})
    log = [
        asked(0, epsilon=Fraction(2)),
        asked(1, epsilon=Fraction(2), edition="2025"),
        asked(1, epsilon=Fraction(2), edition="2024", analyst=by("bo")),
        asked(10, epsilon=Fraction(2), edition="2023"),
    ]
    found = simulate(policy, log)
    assert [each.verdict for each in found.outcomes] == [
        Verdict.ANSWERED,
        Verdict.UNPAID,
        Verdict.ANSWERED,
        Verdict.ANSWERED,
    ]
    assert found.outcomes[1].reasons == ("agreement/trends/analyst/ann",)


def test_an_emergency_pays_from_its_own_budget_and_the_agencies() -> None:
    """Not from the agreement's nor the analyst's; refused without a declaration."""
    log = [asked(1, purpose="crisis", epsilon=Fraction(2))]
    assert verdicts(simulate(full_policy(), log)) == [Verdict.DENIED]
    found = simulate(full_policy(declared=True), log)
    assert verdicts(found) == [Verdict.ANSWERED]
    spent = found.outcomes[0].loss.nano_rho
    assert left(found, "agreement/trends/emergency", 30).used == spent
    assert left(found, "agreement/trends", 365).used == 0
    assert left(found, "agency/health", None).used == spent
    assert all("analyst" not in each.account for each in found.accounts)


def test_agencies_that_nobody_knows_can_pay_nothing() -> None:
    """No lifetime cap is a cap of zero."""
    policy = full_policy()
    members = {k: v for k, v in policy.members.members.items() if k != "health"}
    lacking = dataclasses.replace(
        policy, members=policy.members.model_copy(update={"members": members})
    )
    found = simulate(lacking, [asked(0)])
    assert {Verdict.UNPAID, Verdict.DENIED} >= set(verdicts(found))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from(["ann", "bo"]),
            st.sampled_from(["2023", "2024", "2025"]),
            st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(2)]),
            st.sampled_from(["planning", "crisis"]),
        ),
        max_size=25,
    )
)
def test_no_window_and_no_lifetime_is_ever_overspent(
    entries: list[tuple[int, str, str, Fraction, str]],
) -> None:
    """Whatever is asked and in which order the log has it."""
    policy = full_policy(
        declared=True,
        spend__everyone={"epsilon": 3, "every": 100},
        valid__from="2026-01-01",
    )
    log = [
        asked(day, analyst=by(who), edition=edition, epsilon=epsilon, purpose=purpose)
        for day, who, edition, epsilon, purpose in entries
    ]
    found = simulate(policy, log)
    agreement, spend = policy.agreement, policy.agreement.form.spend
    paid = [o for o in found.outcomes if o.verdict is Verdict.ANSWERED]
    ordinary = [o for o in paid if o.asked.purpose == "planning"]
    window = datetime.timedelta(days=100)
    for last in ordinary:
        until = last.asked.asked_at
        within = sum(
            o.loss.nano_rho
            for o in ordinary
            if until - window < o.asked.asked_at <= until
        )
        assert within <= cap_of(agreement, spend.everyone.epsilon)
    assert [o.asked.asked_at for o in found.outcomes] == sorted(
        each.asked_at for each in log
    )
    for account in found.accounts:
        assert account.used <= account.limit
        if account.account.startswith("agency/"):
            assert account.used == sum(o.loss.nano_rho for o in paid)


@pytest.mark.parametrize("epsilon", [Fraction(1), Fraction(2)])
def test_it_costs_what_the_noise_costs(epsilon: Fraction) -> None:
    """At most what was asked for, as the hub charges."""
    policy = full_policy()
    (outcome,) = simulate(policy, [asked(0, epsilon=epsilon)]).outcomes
    assert 0 < outcome.loss.nano_rho <= cap_of(policy.agreement, epsilon)


def test_the_summary_reads_in_sentences() -> None:
    """Counts, what changed, and what is left of each budget."""
    found = simulate(full_policy(), [asked(0), asked(1), asked(2, purpose="x")])
    text = "\n".join(found.sentences())
    for part in (
        "3 questions were asked. Under trends, version 1:",
        "1 would be answered and paid for.",
        "1 would be answered from the archive, free of charge.",
        "1 would be refused by a clause.",
        "Allowed then and refused now: 1.",
        "agreement/trends: ",
        "agency/health: ",
    ):
        assert part in text
