# SPDX-License-Identifier: Apache-2.0
"""The least loss for an error, how the bound is kept, whether an answer is worth it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.calendar import Period
from accord.core.coverage import covering_cohorts
from accord.core.decide import Analyst
from accord.core.errors import InvalidQuery, PolicyDenied
from accord.core.measure import Bounding
from accord.core.policy import MEMBERS
from accord.core.query import canonical_query
from accord.core.terms import noise_plan
from accord.hub.policies import Policies, policies_of
from accord.hub.questions.accuracy import exact_error, half_width_of
from accord.hub.questions.bounding import Past, choose_bounding
from accord.hub.questions.planning import Plan, Question, plan
from accord.hub.questions.prices import expected_error, typical_persons, worth_of
from accord.rpc.codec import HeldEdition
from tests.policies import shipped
from tests.unit.hub.world import AGREEMENT, DOCUMENT, MODEL, PARTIES, PURPOSE

DAY = dt.date(2026, 11, 21)
DROPPED = Past(release="r", dropped_share=0.07, is_above_noise=True)


@functools.cache
def policies() -> Policies:
    return policies_of(shipped(MEMBERS, MODEL, DOCUMENT), 1)


def question(measure: str = "persons", **given_: object) -> Question:
    policy = policies().policy(AGREEMENT)
    made = Question(
        query=canonical_query(
            agreement=AGREEMENT,
            edition="2026-09",
            measure=measure,
            group_by=[("region", None)],
            where={},
            model=policy.model,
        ),
        edition="",
        purpose=PURPOSE,
        analyst=Analyst(
            id="ana",
            organisation=policy.agreement.form.recipients.organisations[0],
            roles=frozenset(policy.agreement.form.recipients.roles),
        ),
    )
    return dataclasses.replace(made, **given_)  # type: ignore[arg-type]


def planned(asked: Question, past: Past | None = None) -> Plan:
    policy = policies().policy(AGREEMENT)
    calendar = policy.agreement.form.editions
    held = HeldEdition(
        name="2026-09",
        every=Period(calendar.every),
        embargo_days=calendar.embargo,
        data_model=policy.model.name,
        data_model_digest=policy.model.digest,
    )
    announced = {party: frozenset({held}) for party in PARTIES}
    return plan(policies(), asked, announced, day=DAY, unsafe=False, past=past)


@settings(deadline=None, max_examples=15)
@given(st.sampled_from(["persons", "cases", "share(means_of_control)"]), st.data())
def test_an_error_is_reached_and_a_little_less_noise_was_not_needed(
    measure: str, data: st.DataObject
) -> None:
    least = half_width_of_cap(measure)
    error = Fraction(repr(round(data.draw(st.floats(least * 1.05, least * 40)), 2)))
    found = planned(question(measure, error=error))
    agreement = found.agreement
    widths = [
        half_width_of(
            found.terms,
            noise_plan(agreement, found.terms, found.mechanism, len(members)).opened,
        )
        for members in (
            agreement.cohorts[name]
            for name in covering_cohorts(found.policy, found.query)
        )
    ]
    assert max(widths) <= error
    # The width is a whole number of stored integers, and the scale goes by 1/1024.
    assert max(widths) >= float(error) * 0.97 - 0.3
    cheaper = planned(question(measure, error=error * Fraction(11, 10)))
    assert cheaper.loss.nano_rho < found.loss.nano_rho


@functools.cache
def half_width_of_cap(measure: str) -> float:
    cap = policies().agreement(AGREEMENT).form.spend.each_release_at_most.epsilon
    found = planned(question(measure, epsilon=cap))
    return half_width_of(found.terms, found.noise.opened)


def test_what_the_agreement_does_not_allow_says_what_it_would_take() -> None:
    with pytest.raises(PolicyDenied, match=r"would take ε = .* gives ±") as refused:
        planned(question(error=Fraction(30)))
    assert refused.value.reason == "ERROR_TOO_SMALL"
    cap = policies().agreement(AGREEMENT).form.spend.each_release_at_most.epsilon
    assert float(refused.value.metadata["least_epsilon"]) > cap
    allowed = str(refused.value).rsplit("±", 1)[1].split(":")[0]
    assert planned(question(error=Fraction(allowed))).loss.nano_rho > 0


def test_a_mean_is_asked_for_with_an_epsilon() -> None:
    with pytest.raises(InvalidQuery) as refused:
        planned(question("mean(days_in_care)", error=Fraction(10)))
    assert refused.value.reason == "ERROR_OF_A_MEAN"
    found = planned(question("mean(days_in_care)", epsilon=Fraction(2)))
    assert expected_error(found, 0)[1] == "cases"
    few, many = expected_error(found, 100), expected_error(found, 1000)
    assert few[1] == many[1] == "days"
    assert few[0] == pytest.approx(10 * many[0])


@pytest.mark.parametrize("error", [0.0, -1.0, float("inf"), float("nan"), 2e9])
def test_an_error_is_a_number_above_zero(error: float) -> None:
    with pytest.raises(InvalidQuery) as refused:
        exact_error(error)
    assert refused.value.reason == "ERROR_INVALID"


@pytest.mark.parametrize(
    ("measure", "past", "bounding"),
    [
        ("persons", None, Bounding.KEEP),
        ("persons", DROPPED, Bounding.WEIGH),
        (
            "persons",
            dataclasses.replace(DROPPED, is_above_noise=False),
            Bounding.KEEP,
        ),
        ("cases", DROPPED, Bounding.KEEP),
        ("share(means_of_control)", DROPPED, Bounding.KEEP),
    ],
)
def test_groups_are_weighed_where_releases_show_what_is_left_out(
    measure: str, past: Past | None, bounding: Bounding
) -> None:
    asked = question(measure, epsilon=Fraction(2))
    agreement = policies().agreement(AGREEMENT)
    assert choose_bounding(agreement, asked.query, past) is bounding
    assert planned(asked, past).terms.bounding is bounding


def test_weighing_costs_no_more_noise() -> None:
    asked = question(epsilon=Fraction(2))
    kept, weighed = planned(asked), planned(asked, DROPPED)
    assert half_width_of(weighed.terms, weighed.noise.opened) == pytest.approx(
        half_width_of(kept.terms, kept.noise.opened), rel=0.02
    )


def test_what_is_typical_is_what_remits_say() -> None:
    found = planned(question(epsilon=Fraction(2)))
    policy = found.policy
    members = {
        label: member.model_copy(
            update={"remit": member.remit.model_copy(update={"persons_a_year": 1200})}
        )
        for label, member in policy.members.members.items()
    }
    sized = dataclasses.replace(
        policy, members=policy.members.model_copy(update={"members": members})
    )
    layout = found.terms.layout
    asked = dataclasses.replace(found.query)
    whole = typical_persons(sized, asked, found.members, layout)
    assert whole > 0
    month = canonical_query(
        agreement=AGREEMENT,
        edition="2026-09",
        measure="persons",
        group_by=[("region", None)],
        where={"registered_month": ["2026-03"]},
        model=policy.model,
    )
    one = typical_persons(sized, month, found.members, layout)
    assert one == pytest.approx(100 * len(found.members) / layout.n_cells)
    timeless = dataclasses.replace(month, where=())
    year = typical_persons(sized, timeless, found.members, layout)
    assert year == pytest.approx(12 * one)
    silent = {
        label: member.model_copy(
            update={"remit": member.remit.model_copy(update={"persons_a_year": None})}
        )
        for label, member in members.items()
    }
    nobody = dataclasses.replace(
        policy, members=policy.members.model_copy(update={"members": silent})
    )
    assert typical_persons(nobody, asked, found.members, layout) == 0


@pytest.mark.parametrize(
    ("typical", "useful", "word"),
    [
        (0, True, "do not say"),
        (100, True, ""),
        (8, False, "error of ±12"),
        (15, False, "below 20"),
    ],
)
def test_an_answer_is_worth_it_where_a_typical_figure_stands_out(
    typical: float, useful: bool, word: str
) -> None:
    found = worth_of(12.0, typical, figures=50, suppress_below=20)
    assert found.useful is useful
    assert word in found.advice
    if not useful:
        assert f"about {int(50 * typical / 20)} figures" in found.advice
