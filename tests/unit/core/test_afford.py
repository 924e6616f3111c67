# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - the agreement is written as boards write it
"""What caps buy; one shipped preset affords what analysts ask for in a year."""

from __future__ import annotations

import datetime
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.afford import (
    Demand,
    Noise,
    Sensitivity,
    bundle_cost,
    bundle_width,
    cap_in,
    cap_of,
    compared,
    cost_of_width,
    in_window,
    noise_of,
    releases_within,
    sensitivity_of,
    width_for,
)
from accord.core.agreement import Agreement
from accord.core.calendar import Period, edition_due
from accord.core.decide import Analyst, Ask, decide
from accord.core.epsilon_delta import (
    delta_upper,
    epsilon_to_rho_lower,
    epsilon_to_rho_tight,
    rho_to_epsilon_tight,
    rho_to_epsilon_upper,
)
from accord.core.placement import Placement
from accord.core.policy import Policy, load_policy_set
from accord.core.privacy import Accounting
from accord.core.query import Query, canonical_query
from accord.core.simulate import AskedQuery, Verdict, simulate
from accord.core.terms import terms

SHIPPED = Path(__file__).parents[3] / "policies"
DELTA = Fraction(1, 10**9)
NOISES = [
    Noise(accounting=accounting, placement=placement, members=members, colluding=1)
    for accounting, placement in [
        (Accounting.ZCDP, Placement.SHARED),
        (Accounting.ZCDP, Placement.AGENTS),
        (Accounting.ZCDP, Placement.HUB),
        (Accounting.PURE, Placement.AGENTS),
        (Accounting.PURE, Placement.HUB),
    ]
    for members in (3, 5)
]
NOISE = st.sampled_from(NOISES)
SENSITIVITY = st.builds(
    lambda agencies, groups: Sensitivity(
        d1=agencies * (4 * groups + 2),
        d2_squared=agencies**2 * (16 * groups + 2),
        scale=4,
    ),
    st.integers(1, 8),
    st.integers(1, 5),
)


@given(NOISE, SENSITIVITY, st.integers(2, 400))
def test_what_a_width_costs_buys_that_width(
    noise: Noise, sensitivity: Sensitivity, counts: int
) -> None:
    """And a billionth less does not promise more than it."""
    cost = cost_of_width(noise, counts, sensitivity)
    assert cost is not None
    width = width_for(noise, cost, sensitivity)
    assert width is not None
    assert width <= counts


@pytest.mark.parametrize("placement", [Placement.SHARED, Placement.AGENTS])
def test_no_price_is_told_for_less_noise_than_shares_have(placement: Placement) -> None:
    """The shares of 100 agencies alone make ±7 (1.96 times the root of 200, over 4)."""
    noise = Noise(
        accounting=Accounting.ZCDP, placement=placement, members=100, colluding=1
    )
    sensitivity = Sensitivity(d1=70, d2_squared=1250, scale=4)
    demands = [Demand(sensitivity=sensitivity, releases=2)]
    assert cost_of_width(noise, 6, sensitivity) is None
    assert bundle_cost(noise, 6, demands) is None
    assert cost_of_width(noise, 8, sensitivity) is not None
    least = bundle_width(noise, 10**15, demands)
    assert least is not None
    assert 6 < least < 8


@given(NOISE, SENSITIVITY, st.integers(1, 60), st.integers(1, 40))
def test_the_width_of_a_bundle_is_the_least_that_a_cap_buys(
    noise: Noise, sensitivity: Sensitivity, epsilon: int, releases: int
) -> None:
    """The next quarter of a count would be too dear, or less noise than shares have."""
    cap = cap_in(noise.accounting, Fraction(epsilon), DELTA)
    demands = [Demand(sensitivity=sensitivity, releases=releases)]
    width = bundle_width(noise, cap, demands)
    assert width is not None
    cost = bundle_cost(noise, width, demands)
    assert cost is not None
    assert cost <= cap
    if width:
        more = bundle_cost(noise, width - Fraction(1, 4), demands)
        assert more is None or more > cap


@given(st.integers(1, 50), st.sampled_from([DELTA, Fraction(1, 10**6)]))
def test_the_tight_conversion_is_between_the_truth_and_the_closed_form(
    epsilon: int, delta: Fraction
) -> None:
    """It grants more than the closed form, and what it grants is confirmed."""
    nano = epsilon_to_rho_tight(epsilon, delta)
    assert nano >= epsilon_to_rho_lower(epsilon, delta)
    assert delta_upper(nano, Fraction(epsilon)) <= delta
    assert delta_upper(nano + 1, Fraction(epsilon)) > delta
    stated = rho_to_epsilon_tight(nano, delta)
    assert epsilon - Fraction(1, 10**6) <= stated <= epsilon
    assert stated <= rho_to_epsilon_upper(nano, delta)
    assert delta_upper(nano, stated) <= delta


def test_nothing_is_stated_of_nothing() -> None:
    """No loss is no epsilon."""
    assert rho_to_epsilon_tight(0, DELTA) == 0


def sample() -> Agreement:
    """Return the sample agreement that is shipped."""
    documents = {
        path.relative_to(SHIPPED).as_posix(): path.read_bytes()
        for path in SHIPPED.glob("**/*.yaml")
        if path.parent.name in {"policies", "agreements", "models", "presets"}
    }
    found = load_policy_set(documents).policy("regional-trends")
    assert found is not None
    return found.agreement


def test_a_single_release_favours_pure_and_many_favour_zcdp() -> None:
    """At the sample's sensitivities, as the architecture says."""
    agreement = sample()
    one = compared(agreement, Fraction(3), DELTA, 1)
    year = compared(agreement, Fraction(12), DELTA, 37)
    assert one.zcdp is not None
    assert one.pure is not None
    assert year.zcdp is not None
    assert year.pure is not None
    assert one.pure < one.zcdp
    assert year.zcdp < year.pure


def test_an_even_year_never_counts_too_few_releases_for_a_window() -> None:
    """Rounded up to whole releases."""
    assert in_window(37, 365) == 37
    assert in_window(37, 90) == 10
    assert in_window(37, 730) == 74


def test_caps_too_small_for_any_noise_buy_nothing() -> None:
    """They give no width rather than an absurd one."""
    wide = Sensitivity(d1=10**7, d2_squared=10**14, scale=4)
    for noise in NOISES:
        if noise.accounting is Accounting.PURE:
            assert width_for(noise, 1, wide) is None
            assert width_for(noise, 0, wide) is None


# A year under a shipped preset: 12 monthly bulletins and the 25 questions that analysts
# of trafficking ask (CTDC, NRM, task forces, SDG 16.2.2), each at ±15.

REFERENCE = """\
agreement: reference
extends: uk_partner
version: 1
purpose: [prevention planning]
hub_operator: regional-observatory
parties: [shelter-north, city-police, national-hotline, labour-inspectorate, health-service]
recipients: {roles: [analyst], organisations: [observatory]}
data_model: cases-v1
may_ask:
  group_by:
    registered_month: month
    region: all
    source_type: all
    victim_status: all
    decision_org_type: all
    age_band: all
    gender: all
    citizenship: country
    country_of_exploitation: country
    cross_border: all
    exploitation_type: all
    labour_sector: all
    means_of_control: all
    duration_band: all
    recruiter_relation: all
protect:
  person_in_at_most: 2 agencies
  reason_for_fewer_agencies: a comparison of lists by hand found nobody known to three
valid: {from: 2026-01-01, until: 2026-12-31, review_by: 2026-10-01}
law:
  shelter-north: {regime: uk-dpa, basis: a task in the public interest, assessment: A-1}
  city-police: {regime: police, basis: a task in the public interest, assessment: A-2}
  national-hotline: {regime: uk-dpa, basis: a task in the public interest, assessment: A-3}
  labour-inspectorate: {regime: uk-dpa, basis: a task in the public interest, assessment: A-4}
  health-service: {regime: uk-dpa, basis: a task in the public interest, assessment: A-5}
"""

Group = tuple[str, str | None]
Question = tuple[list[Group], dict[str, list[str]]]

MONTH: Group = ("registered_month", "month")
QUARTER: Group = ("registered_month", "quarter")
YEAR: Group = ("registered_month", "year")
TYPE: Group = ("exploitation_type", None)
BROAD: Group = ("age_band", "broad")
GENDER: Group = ("gender", None)

QUESTIONS: dict[int, Question] = {
    1: ([YEAR], {}),
    2: ([QUARTER, ("source_type", None)], {}),
    # 3: the change between quarters is computed from the table by quarter.
    3: ([QUARTER], {}),
    # 4: a share needs the counts by type; the denominator is the entry `persons`.
    4: ([TYPE], {}),
    5: ([YEAR, TYPE], {}),
    6: ([TYPE, GENDER], {}),
    7: ([("age_band", "fine")], {"exploitation_type": ["sexual_exploitation"]}),
    # 8: a ratio needs the counts of minors and adults by year.
    8: ([YEAR, BROAD], {}),
    9: ([YEAR, GENDER, BROAD], {}),
    # 10: the largest corridors are picked from the table of regions of the world; by
    # country it would have more cells than an answer may.
    10: (
        [
            ("citizenship", "region_of_the_world"),
            ("country_of_exploitation", "region_of_the_world"),
        ],
        {},
    ),
    11: ([YEAR], {"citizenship": ["UKR"], "country_of_exploitation": ["POL"]}),
    # 12: a ratio needs the counts of both.
    12: ([("cross_border", None)], {}),
    13: ([("country_of_exploitation", "country")], {"citizenship": ["NGA"]}),
    14: ([("citizenship", "country")], {"country_of_exploitation": ["western_europe"]}),
    # 15: a share of persons by means needs the counts by means. Of one person at one
    # party two of them count (`groups_per_person`), and `dropped` says what is left out.
    15: ([("means_of_control", None)], {}),
    16: ([("means_of_control", None), TYPE], {}),
    17: ([("recruiter_relation", None), BROAD], {}),
    18: (
        [("labour_sector", None), GENDER],
        {"exploitation_type": ["forced_labour"]},
    ),
    # 19: a median needs the counts by band of months.
    19: ([("duration_band", None)], {}),
    # 20: both types together are one type within those who suffered the other.
    20: ([TYPE], {"exploitation_type": ["sexual_exploitation"]}),
    21: ([("region", None), QUARTER], {}),
    # 22: a share of persons needs the counts.
    22: (
        [("source_type", None), ("citizenship", "region_of_the_world")],
        {},
    ),
    # 23: rates between the steps of the procedure need the counts of each step.
    23: ([("victim_status", None), BROAD, QUARTER], {}),
    # 24: overlap of lists is not there yet: the lists' sizes by kind of work.
    24: ([("source_type", None)], {}),
    # 25: an estimate of the hidden population is not there yet: a corridor by month,
    # before and after an event.
    25: ([MONTH], {"citizenship": ["UKR"]}),
}

BULLETIN: Question = ([MONTH, ("exploitation_type", None)], {})


def reference() -> Policy:
    """Return the agreement under the preset, with the shipped members and model."""
    documents = {
        str(path.relative_to(SHIPPED).as_posix()): path.read_bytes()
        for path in (
            SHIPPED / "members.yaml",
            SHIPPED / "models" / "cases-v1.yaml",
            SHIPPED / "presets" / "uk_partner.yaml",
        )
    }
    documents["agreements/reference.yaml"] = REFERENCE.encode()
    found = load_policy_set(documents).policy("reference")
    assert found is not None
    # Remits are the sample's; here every party has cases of everything.
    members = {
        label: member.model_copy(
            update={"remit": member.remit.model_copy(update={"covers": {}})}
        )
        for label, member in found.members.members.items()
    }
    replaced = found.members.model_copy(update={"members": members})
    return Policy(
        agreement=found.agreement,
        model=found.model,
        members=replaced,
        digest=found.digest,
    )


def as_query(policy: Policy, question: Question, edition: str) -> Query:
    """Return a question on one edition."""
    group_by, where = question
    return canonical_query(
        agreement=policy.name,
        edition=edition,
        measure="persons",
        group_by=group_by,
        where=where,
        model=policy.model,
    )


def newest(at: datetime.datetime) -> str:
    """Return the edition that a question of that day is about."""
    return edition_due(Period.MONTH, 30, at.date())


def year_of_asking() -> list[tuple[datetime.datetime, str, str, Question]]:
    """Return when, by whom, on which edition and what is asked in the year.

    One analyst writes the bulletins; two share the questions, spread over the year.
    """
    found = []
    for month in range(1, 13):
        at = datetime.datetime(2026, month, 5, 9, tzinfo=datetime.UTC)
        found.append((at, "editor", newest(at), BULLETIN))
    for number, question in QUESTIONS.items():
        at = datetime.datetime(2026, 1, 10, 9, tzinfo=datetime.UTC)
        at += datetime.timedelta(days=14 * (number - 1))
        found.append((at, ("ana", "bo")[number % 2], newest(at), question))
    return sorted(found, key=lambda each: each[0])


def test_a_shipped_preset_affords_a_year_of_bulletins_and_the_25_questions() -> None:
    """Each within ±15, in every analyst's, the agreement's and the members' caps."""
    policy = reference()
    agreement, spend = policy.agreement, policy.agreement.form.spend
    assert len(QUESTIONS) == 25
    each_at_most = cap_of(agreement, spend.each_release_at_most.epsilon)
    costs: dict[str, list[tuple[datetime.datetime, int]]] = defaultdict(list)
    log = []
    for at, analyst, edition, question in year_of_asking():
        query = as_query(policy, question, edition)
        who = Analyst(
            id=analyst, organisation="observatory", roles=frozenset({"analyst"})
        )
        ask = Ask(
            query=query, analyst=who, purpose="prevention planning", day=at.date()
        )
        assert decide(policy, ask).reasons == ()
        found = terms(agreement, policy.model, query)
        sensitivity = Sensitivity(
            d1=found.d1,
            d2_squared=found.d2_squared,
            scale=found.vector.slots[0].scale,
        )
        cost = cost_of_width(noise_of(agreement), 15, sensitivity)
        assert cost is not None
        assert cost <= each_at_most
        costs[analyst].append((at, cost))
        # What the analyst writes: the next thousandth that buys ±15.
        exact = rho_to_epsilon_tight(cost, spend.delta or Fraction(0))
        epsilon = Fraction(-(-exact * 1000 // 1), 1000)
        log.append(
            AskedQuery(
                asked_at=at,
                edition=edition,
                measure="persons",
                group_by=tuple(question[0]),
                where=tuple((k, tuple(v)) for k, v in question[1].items()),
                analyst=who,
                purpose="prevention planning",
                epsilon=epsilon,
                agreement_version=1,
                permitted=True,
            )
        )
    total = sum(cost for spent in costs.values() for _, cost in spent)
    assert total <= cap_of(agreement, spend.everyone.epsilon)
    assert spend.lifetime is not None
    assert total <= cap_of(agreement, spend.lifetime.epsilon)
    for label in agreement.parties:
        zcdp = policy.members.members[label].lifetime.zcdp
        assert total <= cap_in(Accounting.ZCDP, zcdp.epsilon, zcdp.delta)
    window = datetime.timedelta(days=spend.each_analyst.every)
    for spent in costs.values():
        for at, _ in spent:
            within = sum(cost for other, cost in spent if at - window < other <= at)
            assert within <= cap_of(agreement, spend.each_analyst.epsilon)
    # The same through every account in order of time, as the hub pays.
    outcomes = simulate(policy, log).outcomes
    assert {each.verdict for each in outcomes} == {Verdict.ANSWERED}


def test_the_explanation_of_that_preset_says_the_same() -> None:
    """The bundle at ±15 is within the year's cap, so its common error is at most 15."""
    agreement = reference().agreement
    cap = cap_of(agreement, agreement.form.spend.everyone.epsilon)
    sensitivity = sensitivity_of(agreement)
    noise = noise_of(agreement)
    assert noise.placement is Placement.SHARED
    width = bundle_width(noise, cap, [Demand(sensitivity=sensitivity, releases=37)])
    assert width is not None
    assert width <= 15
    each = cost_of_width(noise, 15, sensitivity)
    assert each is not None
    assert releases_within(cap, each) >= 37
