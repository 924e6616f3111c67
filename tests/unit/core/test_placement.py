# SPDX-License-Identifier: Apache-2.0
"""Whoever adds the noise, nobody loses more than is charged, and the hub no more."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accord.core.errors import InvalidQuery
from accord.core.interval import probability
from accord.core.opened import GaussianSum, LaplaceSum
from accord.core.placement import (
    HUB_SEES,
    LEAST_SHARE_VARIANCE,
    NoisePlan,
    Placement,
    PolyaShare,
    plan_noise,
)
from accord.core.privacy import (
    NANO,
    DiscreteGaussian,
    DiscreteLaplace,
    Mechanism,
)

PI = Decimal("3.14159265358979323846264338327950288419716939937511")
STEP = Fraction(1, 1024)

SCALES = st.one_of(
    st.integers(1024, 64 * 1024), st.integers(1024, 2**40), st.integers(2**41, 2**42)
).map(lambda n: Fraction(n, 1024))
COHORTS = st.one_of(st.integers(2, 12), st.integers(2, 1000)).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, min(n - 1, 3)))
)
DISTANCES = st.tuples(st.integers(1, 8), st.integers(1, 6)).map(
    lambda pair: (pair[0] * (4 * pair[1] + 2), pair[0] ** 2 * (16 * pair[1] + 2))
)
GAUSSIAN_PLACES = st.sampled_from([Placement.SHARED, Placement.AGENTS])


def gaussian(scale: float) -> DiscreteGaussian:
    """Return the mechanism with the nearest scale that can be sampled."""
    return DiscreteGaussian(scale=Fraction(round(scale * 1024), 1024))


def planned(
    placement: Placement,
    mechanism: Mechanism,
    *,
    members: int = 5,
    colluding: int = 1,
    d1: int = 70,
    d2_squared: int = 1250,
    hub_rho_cap: int | None = None,
) -> NoisePlan:
    """Plan as for the sample agreement."""
    return plan_noise(
        placement,
        mechanism,
        members=members,
        colluding=colluding,
        d1=d1,
        d2_squared=d2_squared,
        hub_rho_cap=hub_rho_cap,
    )


def plan_if_any(
    placement: Placement, mechanism: Mechanism, **entries: int | None
) -> NoisePlan | str:
    """Return the plan, or the reason why there is none."""
    try:
        return planned(placement, mechanism, **entries)  # type: ignore[arg-type]  # only the cap may be None
    except InvalidQuery as error:
        return error.reason


def published_rho(
    shares: Fraction, parts: int, extra: Fraction | None, d1: int, d2_squared: int
) -> Decimal:
    """Return the rho of Kairouz, Liu and Steinke 2021, Theorem 1, in 50 digits.

    With one more convolution, of the top-up, in tau. Entries that do not change cost
    nothing, so there are at most D1 of them.
    """
    with localcontext() as context:
        context.prec = 50
        variance = Decimal(shares.numerator) / Decimal(shares.denominator)
        tau = sum(
            (-2 * PI**2 * variance * k / (k + 1)).exp() for k in range(1, parts)
        ) + Decimal(0)
        total = parts * variance
        if extra is not None:
            top = Decimal(extra.numerator) / Decimal(extra.denominator)
            tau += (-2 * PI**2 * total * top / (total + top)).exp()
            total += top
        tau *= 10
        root = total.sqrt()
        entries = min(d1, d2_squared)
        summed = d2_squared / total + 2 * d1 * tau / root + tau**2 * entries
        vector = (
            Decimal(d2_squared).sqrt() / root + Decimal(entries).sqrt() * tau
        ) ** 2
        return min(summed, vector) / 2


def shares_of(plan: NoisePlan) -> DiscreteGaussian:
    """Return the Gaussian share of a plan."""
    assert isinstance(plan.share, DiscreteGaussian)
    return plan.share


def top_up_of(plan: NoisePlan) -> Fraction | None:
    """Return the variance that the hub adds."""
    return None if plan.top_up is None else plan.top_up.scale**2


@given(
    GAUSSIAN_PLACES, SCALES, COHORTS, DISTANCES, st.one_of(st.none(), st.integers(1))
)
def test_no_plan_costs_more_than_is_charged_or_than_the_hub_may_learn(
    placement: Placement,
    scale: Fraction,
    cohort: tuple[int, int],
    distances: tuple[int, int],
    cap: int | None,
) -> None:
    """By the published theorem, which is computed here without the program's bounds."""
    mechanism = DiscreteGaussian(scale=scale)
    members, colluding = cohort
    d1, d2_squared = distances
    charged = mechanism.loss(d1=d1, d2_squared=d2_squared).nano_rho
    plan = plan_if_any(
        placement,
        mechanism,
        members=members,
        colluding=colluding,
        d1=d1,
        d2_squared=d2_squared,
        hub_rho_cap=cap,
    )
    if plan == "NOISE_TOO_SMALL":
        assert placement is Placement.AGENTS
        assert scale**2 < (members - colluding) * LEAST_SHARE_VARIANCE
        return
    if plan == "LOSS_TOO_SMALL":  # a share or a top-up beyond the largest scale
        assert scale > 2**31 or (cap is not None and cap < charged)
        return
    assert isinstance(plan, NoisePlan)
    parts, share = members - colluding, shares_of(plan).scale ** 2
    assert share >= LEAST_SHARE_VARIANCE
    everybody = published_rho(share, parts, top_up_of(plan), d1, d2_squared)
    exact = mechanism.privacy_function(d2_squared)
    with localcontext() as context:
        context.prec = 50
        rounded = exact.numerator * (1 + Decimal("1e-45"))
        assert everybody * exact.denominator <= rounded
    hub = published_rho(share, parts, None, d1, d2_squared)
    assert plan.hub_loss is not None
    assert hub <= Decimal(plan.hub_loss.numerator) / plan.hub_loss.denominator
    allowed = charged
    if placement is Placement.SHARED:
        allowed = min(HUB_SEES * charged, cap or HUB_SEES * charged)
    assert plan.hub_loss * NANO <= allowed
    assert (plan.hub_loss * NANO).denominator == 1
    if plan.top_up is None:
        assert plan.hub_loss * NANO <= charged
    else:
        assert plan.top_up.scale**2 >= LEAST_SHARE_VARIANCE


@given(SCALES, COHORTS, DISTANCES)
def test_noise_is_no_more_than_is_needed(
    scale: Fraction, cohort: tuple[int, int], distances: tuple[int, int]
) -> None:
    """A step less of share or top-up would cost more than it may.

    But for the least variance that any share and top-up has.
    """
    assume(scale < 2**24)
    mechanism = DiscreteGaussian(scale=scale)
    members, colluding = cohort
    d1, d2_squared = distances
    price = mechanism.privacy_function(d2_squared)
    parts = members - colluding
    plan = planned(
        Placement.SHARED,
        mechanism,
        members=members,
        colluding=colluding,
        d1=d1,
        d2_squared=d2_squared,
    )
    share = shares_of(plan).scale
    if share**2 > Fraction(201, 100):
        cheaper = Fraction(d2_squared) / (2 * parts * (share - STEP) ** 2)
        assert cheaper > HUB_SEES * price * (1 - Fraction(1, 10**4))
    total = parts * share**2
    if plan.top_up is not None and plan.top_up.scale**2 > Fraction(201, 100):
        fewer = total + (plan.top_up.scale - STEP) ** 2
        assert fewer < scale**2 * (1 + Fraction(1, 10**4))
        total += plan.top_up.scale**2
        assert scale**2 <= total
        assert total <= scale**2 * (1 + Fraction(1, 10**4)) + 3 * STEP * scale


@given(SCALES, st.integers(1, 2**20), COHORTS, GAUSSIAN_PLACES)
def test_a_cheaper_release_is_never_less_noisy(
    scale: Fraction, more: int, cohort: tuple[int, int], placement: Placement
) -> None:
    """Nor does it tell the hub more; up to one step of the scales."""
    assume(scale < 2**30)
    members, colluding = cohort
    found = []
    for each in (scale, scale + more * STEP):
        plan = plan_if_any(
            placement,
            DiscreteGaussian(scale=each),
            members=members,
            colluding=colluding,
        )
        assume(plan != "NOISE_TOO_SMALL")
        assert isinstance(plan, NoisePlan)
        opened = plan.opened
        assert isinstance(opened, GaussianSum)
        found.append((opened.variance, plan.hub_loss))
    (less, dear), (noisier, cheap) = found
    assert noisier >= less - 3 * STEP * scale
    assert dear is not None
    assert cheap is not None
    assert cheap <= dear


@given(SCALES, COHORTS)
def test_the_hub_alone_adds_what_is_priced(
    scale: Fraction, cohort: tuple[int, int]
) -> None:
    """No shares; it sees exact sums, so there is no loss to state."""
    for build in (DiscreteGaussian, DiscreteLaplace):
        mechanism = build(scale=scale)
        plan = planned(Placement.HUB, mechanism, members=cohort[0], colluding=cohort[1])
        assert plan.top_up == plan.mechanism == plan.opened == mechanism
        assert plan.share is None
        assert plan.hub_loss is None


@given(SCALES, COHORTS, DISTANCES)
def test_polya_shares_keep_the_price_towards_the_hub(
    scale: Fraction, cohort: tuple[int, int], distances: tuple[int, int]
) -> None:
    """The exact epsilon, rounded up; the release opens with n of n - t parts."""
    mechanism = DiscreteLaplace(scale=scale)
    members, colluding = cohort
    d1, d2_squared = distances
    plan = planned(
        Placement.AGENTS,
        mechanism,
        members=members,
        colluding=colluding,
        d1=d1,
        d2_squared=d2_squared,
    )
    parts = members - colluding
    assert plan.share == PolyaShare(scale=scale, parts=parts)
    assert plan.top_up is None
    assert plan.hub_loss == mechanism.loss(d1=d1, d2_squared=d2_squared).epsilon
    assert plan.opened == LaplaceSum(scale=scale, shape=Fraction(members, parts))


@pytest.mark.parametrize("parts", [1, 2, 4, 9])
@pytest.mark.parametrize("scale", [0.5, 3, 20])
def test_parts_of_polya_shares_are_exactly_a_discrete_laplace(
    parts: int, scale: float
) -> None:
    """Negative binomials as they are defined, convolved number by number."""
    ratio = math.exp(-1 / scale)
    size = math.ceil(60 * scale) + 40
    one = [(1 - ratio) ** (1 / parts)]
    for k in range(1, size):
        one.append(one[-1] * ratio * (k - 1 + 1 / parts) / k)
    geometric = np.array([1.0])
    for _ in range(parts):
        geometric = np.convolve(geometric, one)[:size]
    law = np.convolve(geometric, geometric[::-1])
    mechanism = DiscreteLaplace(scale=Fraction(scale))
    for value in (0, 1, 2, round(scale), round(5 * scale)):
        assert law[size - 1 + value] == pytest.approx(probability(mechanism, value))


def test_the_samples_plan() -> None:
    """Five agencies, one of which may collude: 3 % more spread than one Gaussian."""
    plan = planned(Placement.SHARED, gaussian(30))
    assert float(shares_of(plan).scale) == pytest.approx(30 / 4, abs=0.002)
    assert plan.top_up is not None
    assert float(plan.top_up.scale) == pytest.approx(30 * math.sqrt(0.75), abs=0.002)
    charged = plan.mechanism.loss(d1=70, d2_squared=1250).rho
    assert plan.hub_loss is not None
    assert plan.hub_loss <= 4 * charged < plan.hub_loss * Fraction(1001, 1000)
    opened = plan.opened
    assert isinstance(opened, GaussianSum)
    assert float(opened.variance) == pytest.approx(900 * (1 + 1 / 16), rel=1e-3)
    alone = planned(Placement.AGENTS, gaussian(30)).opened
    assert isinstance(alone, GaussianSum)
    assert float(alone.variance) == pytest.approx(900 * 5 / 4, rel=1e-3)


def test_a_cap_on_what_the_hub_learns_enlarges_the_shares() -> None:
    """Below the price, they carry everything and the release is more accurate no more.

    The variance of n - t shares is D2^2 / 2 rho_hub.
    """
    mechanism = gaussian(30)
    charged = mechanism.loss(d1=70, d2_squared=1250).nano_rho
    twice = planned(Placement.SHARED, mechanism, hub_rho_cap=2 * charged)
    assert twice.top_up is not None
    assert twice.hub_loss is not None
    assert twice.hub_loss * NANO <= 2 * charged
    assert float(4 * shares_of(twice).scale ** 2) == pytest.approx(450, rel=1e-3)
    generous = planned(Placement.SHARED, mechanism, hub_rho_cap=9 * charged)
    assert generous == planned(Placement.SHARED, mechanism)
    same = planned(Placement.SHARED, mechanism, hub_rho_cap=charged)
    assert same.top_up is None
    assert same.placement is Placement.SHARED
    assert shares_of(same) == shares_of(planned(Placement.AGENTS, mechanism))
    strict = planned(Placement.SHARED, mechanism, hub_rho_cap=charged // 2)
    assert strict.top_up is None
    assert strict.hub_loss is not None
    assert strict.hub_loss * NANO <= charged // 2
    assert float(4 * shares_of(strict).scale ** 2) == pytest.approx(1800, rel=1e-3)


@pytest.mark.parametrize("placement", [Placement.SHARED, Placement.AGENTS])
@pytest.mark.parametrize("more", [2, 4, 8])
def test_more_colluders_than_agreed_cost_in_proportion(
    placement: Placement, more: int
) -> None:
    """Gaussian shares of c fewer agencies: the rho goes with (n - t) / (n - c)."""
    plan = planned(placement, gaussian(60), members=10)
    assert plan.hub_loss is not None
    left = published_rho(shares_of(plan).scale ** 2, 10 - more, None, 70, 1250)
    assert float(left) == pytest.approx(float(plan.hub_loss) * 9 / (10 - more))


def test_shared_noise_has_its_least_share_where_the_price_needs_less() -> None:
    """Ten least shares have a variance of 20; with 18 of it a price of 9 is covered."""
    many = planned(Placement.SHARED, gaussian(3), members=10)
    assert shares_of(many).scale == Fraction(1449, 1024)
    assert many.top_up is None
    few = planned(Placement.SHARED, gaussian(3), members=4)
    assert shares_of(few).scale == Fraction(1449, 1024)
    assert few.top_up is not None
    assert few.top_up.scale >= Fraction(1449, 1024)


@pytest.mark.parametrize(
    ("placement", "mechanism", "entries", "reason"),
    [
        (Placement.AGENTS, gaussian(4), {"members": 10}, "NOISE_TOO_SMALL"),
        (Placement.AGENTS, gaussian(0.5), {"members": 2}, "NOISE_TOO_SMALL"),
        (Placement.SHARED, gaussian(30), {"hub_rho_cap": 0}, "PLACEMENT_INVALID"),
        (Placement.SHARED, gaussian(30), {"members": 1}, "PLACEMENT_INVALID"),
        (Placement.AGENTS, gaussian(30), {"members": 1001}, "PLACEMENT_INVALID"),
        (Placement.AGENTS, gaussian(30), {"colluding": 5}, "PLACEMENT_INVALID"),
        (Placement.HUB, gaussian(30), {"colluding": -1}, "PLACEMENT_INVALID"),
        (
            Placement.SHARED,
            DiscreteLaplace(scale=Fraction(30)),
            {},
            "PLACEMENT_INVALID",
        ),
        (
            Placement.SHARED,
            gaussian(30),
            {"hub_rho_cap": 1, "d2_squared": 10**13},
            "LOSS_TOO_SMALL",
        ),
        (Placement.AGENTS, gaussian(30), {"d1": 0}, "SENSITIVITY_INVALID"),
    ],
)
def test_what_has_no_plan_is_refused(
    placement: Placement, mechanism: Mechanism, entries: dict[str, int], reason: str
) -> None:
    """With a sentence that says what to ask for."""
    with pytest.raises(InvalidQuery) as refused:
        planned(placement, mechanism, **entries)
    assert refused.value.reason == reason


def test_a_digest_says_everything_in_a_plan() -> None:
    """Hub and agencies compute it apart; a change of any field changes it."""
    plan = planned(Placement.SHARED, gaussian(30))
    assert plan.digest() == planned(Placement.SHARED, gaussian(30)).digest()
    others: list[dict[str, object]] = [
        {"placement": Placement.AGENTS},
        {"mechanism": gaussian(31)},
        {"mechanism": DiscreteLaplace(scale=Fraction(30))},
        {"members": 6},
        {"colluding": 2},
        {"share": gaussian(8)},
        {"share": PolyaShare(scale=shares_of(plan).scale, parts=4)},
        {"share": None},
        {"top_up": gaussian(25)},
        {"top_up": None},
        {"hub_loss": Fraction(1, NANO)},
        {"hub_loss": None},
    ]
    changed = [dataclasses.replace(plan, **entries) for entries in others]  # type: ignore[arg-type]  # one field each
    digests = {each.digest() for each in (plan, *changed)}
    assert len(digests) == len(others) + 1
    laplace = planned(Placement.AGENTS, DiscreteLaplace(scale=Fraction(30)))
    other = dataclasses.replace(laplace, share=PolyaShare(scale=Fraction(30), parts=5))
    assert laplace.digest() != other.digest()


def test_digests_do_not_change_between_versions() -> None:
    """Otherwise a hub and agents of two versions could not answer together."""
    shared = planned(Placement.SHARED, gaussian(30))
    assert shared.digest() == (
        "73f19737ead9bbb852e669da4d4a8500a24f5b0b0f466211b3b2fa99e03a31a9"
    )
    laplace = planned(Placement.AGENTS, DiscreteLaplace(scale=Fraction(2**31)))
    assert laplace.digest() == (
        "b8c047616937f70900e670cd41cc86bf2e66480e44832867ec24d7a9ef37155c"
    )
