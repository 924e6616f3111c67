# SPDX-License-Identifier: Apache-2.0
"""What caps buy: releases of a wanted accuracy, and the accuracy of a year's bundle.

Losses are integers of billionths in the agreement's own unit, nano-rho or nano-epsilon.
What a release costs is rounded up, what a cap grants is rounded down, and widths are
those of the exact law of the noise that an answer of the largest cohort opens with,
shares of all its members included, in whole stored integers: an answer here never
promises more than the hub will deliver. (Where a fallback cohort answers, the
shares are fewer and larger, and so are the error bars.) The hub's own conversion of
caps is confirmed by a second program and may be smaller in the last digits.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from fractions import Fraction

from accord.core.agreement import Agreement
from accord.core.epsilon_delta import (
    epsilon_to_rho_tight,
    granted,
    rho_to_epsilon_tight,
)
from accord.core.errors import InvalidQuery
from accord.core.measure import ComponentVector
from accord.core.opened import half_width, noisiest_within
from accord.core.placement import NoisePlan, Placement, plan_noise
from accord.core.privacy import Accounting, Loss, Mechanism, mechanism_class, nano_down
from accord.core.query import Kind

BULLETINS = 12
"""Monthly bulletins of a year."""

QUESTIONS = 25
"""Questions that analysts of trafficking typically ask in a year."""

YEAR = 365
"""Days."""

WIDEST = 10_000_000
"""Half-width in counts beyond which nobody asks."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """Most that one person changes in a release, over all agencies."""

    d1: int
    d2_squared: int
    scale: int
    """Stored integers of one count in its figures."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Releases of one kind that are wanted."""

    sensitivity: Sensitivity
    releases: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Half-widths in counts of the same figures under both ways to account.

    None where a cap cannot buy it at all.
    """

    zcdp: Fraction | None
    pure: Fraction | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How an agreement counts loss, and who adds the noise to an answer of a cohort."""

    accounting: Accounting
    placement: Placement
    members: int
    """Of the cohort."""
    colluding: int
    hub_rho_cap: int | None = None

    def plan(self, mechanism: Mechanism, sensitivity: Sensitivity) -> NoisePlan:
        """Return who adds which noise to a release that *mechanism* prices.

        Raises:
            InvalidQuery: as `accord.core.placement.plan_noise`.
        """
        return plan_noise(
            self.placement,
            mechanism,
            members=self.members,
            colluding=self.colluding,
            d1=sensitivity.d1,
            d2_squared=sensitivity.d2_squared,
            hub_rho_cap=self.hub_rho_cap,
        )


def noise_of(
    agreement: Agreement,
    accounting: Accounting | None = None,
    cohort_members: int | None = None,
) -> Noise:
    """Return how an agreement places noise.

    Args:
        agreement: the agreement.
        accounting: the other way to account, in order to compare: with the noise that
            an agreement has which counts so and is silent about it. Where the hub adds
            all noise, it does in both.
        cohort_members: agencies that answer; without it, those of the largest cohort.
    """
    placement = Placement(agreement.noise)
    cap = agreement.hub_rho_cap
    if accounting not in {None, agreement.accounting}:
        cap = None
        if placement is not Placement.HUB:
            pure = accounting is Accounting.PURE
            placement = Placement.AGENTS if pure else Placement.SHARED
    if cohort_members is None:
        largest = next(iter(agreement.cohorts.values()), agreement.parties)
        cohort_members = len(largest)
    return Noise(
        accounting=accounting or agreement.accounting,
        placement=placement,
        members=cohort_members,
        colluding=agreement.form.protect.colluding_at_most,
        hub_rho_cap=cap,
    )


def sensitivity_of(
    agreement: Agreement,
    kind: Kind = Kind.PERSONS,
    accounting: Accounting | None = None,
) -> Sensitivity:
    """Return the sensitivity of a full release, grouped by dimensions that can change.

    Questions over fewer groups are cheaper; `accord.core.terms` has those of a query.

    Args:
        agreement: the agreement.
        kind: `persons` or `cases`.
        accounting: the other way to account, in order to compare.
    """
    bounds = agreement.bounds
    vector = ComponentVector.of_counts(
        accounting or agreement.accounting,
        groups=bounds.groups_per_person,
        drop_cap=bounds.drop_cap,
        cases=bounds.cases_per_group if kind is Kind.CASES else 1,
    )
    agencies = agreement.person_in_at_most
    return Sensitivity(
        d1=vector.d1(agencies),
        d2_squared=vector.d2_squared(agencies),
        scale=vector.slots[0].scale,
    )


def amount(accounting: Accounting, loss: Loss) -> int:
    """Return the part of a loss that accounts of this kind count."""
    return loss.nano_rho if accounting is Accounting.ZCDP else loss.nano_epsilon


def as_loss(accounting: Accounting, nano: int) -> Loss:
    """Return an amount as a loss."""
    if accounting is Accounting.ZCDP:
        return Loss(nano_rho=nano)
    return Loss(nano_epsilon=nano)


def cap_in(accounting: Accounting, epsilon: Fraction, delta: Fraction | None) -> int:
    """Return a cap that is written as epsilon in units of account, rounded down.

    Raises:
        InvalidQuery: EPSILON_TOO_SMALL, or delta is missing where rho is counted.
    """
    if accounting is Accounting.PURE:
        return granted(nano_down(epsilon))
    if delta is None:
        raise InvalidQuery("LOSS_INVALID", "Under zCDP a cap needs a delta.")
    return epsilon_to_rho_tight(epsilon, delta)


def cap_of(agreement: Agreement, epsilon: Fraction) -> int:
    """Return a cap of *agreement* in its unit of account, rounded down."""
    return cap_in(agreement.accounting, epsilon, agreement.form.spend.delta)


def epsilon_of(agreement: Agreement, nano: int) -> Fraction:
    """Return an amount as epsilon at the agreement's delta, rounded up."""
    if agreement.accounting is Accounting.PURE:
        return as_loss(Accounting.PURE, nano).epsilon
    return rho_to_epsilon_tight(nano, agreement.form.spend.delta or Fraction(0))


def mechanism_of_width(
    noise: Noise, counts: Fraction | int, sensitivity: Sensitivity
) -> Mechanism:
    """Return what prices the noisiest release within ±*counts* at 95 %.

    Raises:
        InvalidQuery: NOISE_TOO_SMALL, where shares are wider than that already.
    """
    return noisiest_within(
        noise.accounting,
        math.floor(counts * sensitivity.scale),
        lambda mechanism: noise.plan(mechanism, sensitivity).opened,
    )


@functools.lru_cache(maxsize=1024)
def cost_of_width(
    noise: Noise, counts: Fraction | int, sensitivity: Sensitivity
) -> int | None:
    """Return what one release costs whose figures are within ±*counts* at 95 %.

    Rounded up, in units of account; nothing where shares of noise are wider already.
    """
    try:
        mechanism = mechanism_of_width(noise, counts, sensitivity)
    except InvalidQuery as error:
        if error.reason != "NOISE_TOO_SMALL":
            raise
        return None
    return cost_of(mechanism, sensitivity)


def cost_of(mechanism: Mechanism, sensitivity: Sensitivity) -> int:
    """Return what a release with *mechanism* costs, rounded up, in units of account."""
    loss = mechanism.loss(d1=sensitivity.d1, d2_squared=sensitivity.d2_squared)
    return amount(mechanism.accounting, loss)


def width_of(noise: Noise, mechanism: Mechanism, sensitivity: Sensitivity) -> Fraction:
    """Return the half-width in counts of a cell's 95 % interval.

    Raises:
        InvalidQuery: NOISE_TOO_SMALL.
    """
    opened = noise.plan(mechanism, sensitivity).opened
    return Fraction(half_width(opened).half_width, sensitivity.scale)


def width_for(noise: Noise, nano: int, sensitivity: Sensitivity) -> Fraction | None:
    """Return the half-width of a release that costs at most *nano*, if it is one."""
    try:
        mechanism = mechanism_class(noise.accounting).for_loss(
            as_loss(noise.accounting, nano),
            d1=sensitivity.d1,
            d2_squared=sensitivity.d2_squared,
        )
        return width_of(noise, mechanism, sensitivity)
    except InvalidQuery:  # too little for any noise, or too much for shares of it
        return None


def releases_within(cap: int, each: int) -> int:
    """Return how many releases of one cost a cap pays for."""
    return cap // each


def bundle_cost(
    noise: Noise, counts: Fraction | int, demands: Sequence[Demand]
) -> int | None:
    """Return what all releases of *demands* cost with figures within ±*counts*.

    Nothing where shares of noise are wider than that already.
    """
    total = 0
    for demand in demands:
        each = cost_of_width(noise, counts, demand.sensitivity)
        if each is None:
            return None
        total += demand.releases * each
    return total


def bundle_width(
    noise: Noise,
    cap: int,
    demands: Sequence[Demand],
    each_at_most: int | None = None,
) -> Fraction | None:
    """Return the least common half-width at which *cap* buys all of *demands*.

    Args:
        noise: how losses are counted, and who adds what.
        cap: for all of them together.
        demands: what is wanted.
        each_at_most: a cap on one release.
    """
    # Widths are whole numbers of stored integers, of some demand or other.
    finest = math.lcm(*(demand.sensitivity.scale for demand in demands))

    def bought(stored: int) -> bool:
        counts = Fraction(stored, finest)
        costs = []
        for demand in demands:
            cost = cost_of_width(noise, counts, demand.sensitivity)
            if cost is None:
                return False
            costs.append(cost)
        total = sum(
            demand.releases * cost for demand, cost in zip(demands, costs, strict=True)
        )
        single = each_at_most is None or max(costs, default=0) <= each_at_most
        return total <= cap and single

    most = WIDEST * finest
    low = high = min(int(_even_width(noise, cap, demands) * finest), most)
    step = 1
    while not bought(high):
        if high == most:
            return None
        low, high, step = high, min(high + step, most), step * 2
    step = 1
    while low >= 0 and bought(low):
        low, high, step = low - step, low, step * 2
    low = max(low, -1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bought(middle) else (middle, high)
    return Fraction(high, finest)


def _even_width(noise: Noise, cap: int, demands: Sequence[Demand]) -> Fraction:
    """Return the width at which releases are that share a cap evenly.

    Of releases of one kind it is the answer; else a place to search from.
    """
    releases = sum(demand.releases for demand in demands)
    each = releases_within(cap, max(releases, 1))
    widths = (width_for(noise, each, demand.sensitivity) for demand in demands)
    return max((width for width in widths if width is not None), default=Fraction(0))


def in_window(releases_a_year: int, days: int) -> int:
    """Return how many releases of an even year fall into a window, rounded up."""
    return -(-releases_a_year * days // YEAR)


def compared(
    agreement: Agreement,
    epsilon: Fraction,
    delta: Fraction,
    releases: int,
) -> Choice:
    """Return how accurate *releases* are that share (epsilon, delta) evenly.

    Under pure accounting the same epsilon is spent with a delta of zero, which promises
    more; the widths say what that costs. Noise comes from where it would come from in
    *agreement*, or in one that counts the other way and is silent about it.
    """
    found = {
        accounting: bundle_width(
            noise_of(agreement, accounting),
            cap_in(accounting, epsilon, delta),
            [
                Demand(
                    sensitivity=sensitivity_of(agreement, accounting=accounting),
                    releases=releases,
                )
            ],
        )
        for accounting in Accounting
    }
    return Choice(zcdp=found[Accounting.ZCDP], pure=found[Accounting.PURE])
