# SPDX-License-Identifier: Apache-2.0
"""Editions, prices and accounts, from policies alone."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.agreement import Agreement
from accord.core.agreement_form import Emergency
from accord.core.calendar import Period
from accord.core.decide import Analyst
from accord.core.epsilon_delta import delta_upper
from accord.core.errors import PreconditionFailed
from accord.core.policy import MEMBERS
from accord.core.query import canonical_query
from accord.hub.policies import Policies, policies_of
from accord.hub.questions import accounts
from accord.hub.questions.planning import Announced, Question, choose_edition, plan
from accord.hub.questions.pricing import epsilon_for, loss_for
from accord.hub.rounds.revisions import Revisions
from accord.rpc.codec import HeldEdition
from tests.policies import shipped
from tests.unit.hub.world import (
    AGREEMENT,
    DOCUMENT,
    FALLBACK,
    MODEL,
    PARTIES,
    PURPOSE,
)

DAY = dt.date(2026, 11, 21)


@functools.cache
def sample_policies() -> Policies:
    return policies_of(shipped(MEMBERS, MODEL, DOCUMENT), 1)


@pytest.fixture(scope="module")
def policies() -> Policies:
    """Return the sample policies."""
    return sample_policies()


@pytest.fixture(scope="module")
def agreement(policies: Policies) -> Agreement:
    """Return the sample agreement."""
    return policies.agreement(AGREEMENT)


def editions(
    policies: Policies, *names: str, **changes: object
) -> frozenset[HeldEdition]:
    """Return editions of the sample agreement's kind."""
    model = policies.models["cases-v1"]
    values: dict[str, object] = {
        "every": Period.MONTH,
        "embargo_days": 30,
        "data_model": model.name,
        "data_model_digest": model.digest,
        **changes,
    }
    return frozenset(
        HeldEdition(name=name, **values)  # type: ignore[arg-type]  # by name
        for name in names
    )


def chosen(
    policies: Policies, announced: Announced, named: str = ""
) -> tuple[str, str]:
    """Return edition and cohort."""
    agreement = policies.agreement(AGREEMENT)
    model = policies.model_of(agreement)
    return choose_edition(agreement, model, announced, named, list(agreement.cohorts))


def test_the_newest_edition_that_everybody_has(policies: Policies) -> None:
    announced = {
        party: editions(policies, "2026-08", "2026-09", "2025-12") for party in PARTIES
    }
    assert chosen(policies, announced) == ("2026-09", "all")
    announced["health-service"] = editions(policies, "2025-12", "2026-10")
    assert chosen(policies, announced) == ("2025-12", "all")
    assert chosen(policies, announced, "2026-09") == ("2026-09", "fallback")


@pytest.mark.parametrize(
    "changes",
    [
        {"every": Period.QUARTER},
        {"embargo_days": 0},
        {"data_model": "other"},
        {"data_model_digest": "0" * 64},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_editions_of_another_kind_do_not_count(
    policies: Policies, changes: dict[str, object]
) -> None:
    announced = {party: editions(policies, "2026-09") for party in PARTIES}
    announced["city-police"] = editions(policies, "2026-09", **changes)
    for named in ("", "2026-09"):
        with pytest.raises(PreconditionFailed) as caught:
            chosen(policies, announced, named)
        assert caught.value.metadata["lacking"] == "city-police"


def test_editions_that_nobody_shares_are_told_as_such(policies: Policies) -> None:
    announced = {
        party: editions(policies, f"2026-0{number + 1}")
        for number, party in enumerate(PARTIES)
    }
    with pytest.raises(PreconditionFailed, match="none that all of them have"):
        chosen(policies, announced)


def a_plan(policies: Policies, epsilon: Fraction, *, unsafe: bool = False):  # type: ignore[no-untyped-def]  # noqa: ANN201
    model = policies.models["cases-v1"]
    question = Question(
        query=canonical_query(
            agreement=AGREEMENT,
            edition="0000",
            measure="persons",
            group_by=[("gender", None)],
            where={},
            model=model,
        ),
        edition="",
        epsilon=epsilon,
        purpose=PURPOSE,
        analyst=Analyst(
            id="ana", organisation="observatory", roles=frozenset({"analyst"})
        ),
    )
    announced = {party: editions(policies, "2026-09") for party in PARTIES}
    return plan(policies, question, announced, day=DAY, unsafe=unsafe)


def test_a_plan_costs_no_more_than_was_asked(policies: Policies) -> None:
    found = a_plan(policies, Fraction(3))
    most = loss_for(found.agreement, Fraction(3))
    assert 0 < found.loss.nano_rho <= most.nano_rho
    assert most.nano_rho - found.loss.nano_rho < most.nano_rho // 1000 + 2
    delta = found.agreement.form.spend.delta
    assert delta is not None
    assert delta_upper(found.loss.nano_rho, Fraction(3)) <= delta
    assert found.query.edition == "2026-09"
    assert found.members == PARTIES


def test_the_test_mode_lifts_the_price_limit_only(policies: Policies) -> None:
    found = a_plan(policies, Fraction(10_000), unsafe=True)
    assert found.loss.nano_rho > 10**12
    lines = accounts.lines(
        found.agreement,
        policies.members,
        analyst="ana",
        purpose=PURPOSE,
        cohort=found.members,
        loss=found.loss,
        unsafe=True,
    )
    assert all(not line.windows and line.lifetime_cap is None for line in lines)


def test_everybody_concerned_pays(policies: Policies, agreement: Agreement) -> None:
    found = a_plan(policies, Fraction(1))
    lines = accounts.lines(
        agreement,
        policies.members,
        analyst="ana",
        purpose=PURPOSE,
        cohort=FALLBACK,
        loss=found.loss,
        unsafe=False,
    )
    assert [line.account for line in lines] == [
        f"agreement/{AGREEMENT}",
        f"agreement/{AGREEMENT}/analyst/ana",
        f"agreement/{AGREEMENT}/analysts",
        *(f"agency/{agency}" for agency in FALLBACK),
    ]
    assert {line.amount for line in lines} == {found.loss.nano_rho}
    assert lines[0].windows[0].seconds == 365 * 86_400
    assert lines[1].windows[0].seconds == 90 * 86_400
    # Nothing is kept for bulletins, since there are none.
    assert (lines[2].windows, lines[2].lifetime_cap) == ((), None)
    assert all(line.lifetime_cap for line in lines[3:])


@pytest.mark.parametrize("purpose", [PURPOSE, "emergency response"])
@pytest.mark.parametrize("analyst", ["ana", "bulletin:by-gender"])
def test_what_is_rebuilt_is_paid_from_the_same_accounts(
    agreement: Agreement, analyst: str, purpose: str
) -> None:
    """A charge of which the hub has only an agency's word."""
    clause = Emergency.model_validate(
        {
            "purpose": "emergency response",
            "at_most": "14 days",
            "spend": {"epsilon": 2},
            "approvers": ["alice", "bela"],
        }
    )
    form = agreement.form.model_copy(update={"emergency": clause})
    prepared = dataclasses.replace(agreement, form=form)
    paying = accounts.of_purpose(prepared, purpose, analyst)
    assert accounts.names_of(
        agreement.name, analyst, emergency=purpose == clause.purpose
    ) == tuple(each.account for each in paying)


def test_an_agency_that_left_the_members_cannot_be_charged(
    policies: Policies, agreement: Agreement
) -> None:
    with pytest.raises(PreconditionFailed, match="no longer in members"):
        accounts.of_agency(agreement, policies.members, "stranger")


@given(st.fractions(min_value=Fraction(1, 1000), max_value=3, max_denominator=1000))
def test_epsilon_to_loss_and_back_never_gives_more(epsilon: Fraction) -> None:
    agreement = sample_policies().agreement(AGREEMENT)
    loss = loss_for(agreement, epsilon)
    assert epsilon_for(agreement, loss) <= epsilon + Fraction(1, 10**9)


async def test_revisions_go_up_over_restarts_and_wake_who_listens() -> None:
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    older = Revisions(begin)
    older.bump(["a"])
    newer = Revisions(begin + dt.timedelta(seconds=1))
    assert newer.of("a") > older.of("a") > older.of("b")
    with newer.listening("a") as mine, newer.listening("b") as other:
        newer.bump(["a"])
        assert mine.is_set()
        assert not other.is_set()
        newer.end(["b"])
        assert other.is_set()
    assert not newer._listeners
