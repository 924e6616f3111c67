# SPDX-License-Identifier: Apache-2.0
"""What caps buy: releases of a wanted accuracy, and the accuracy of a year's bundle.

Losses are integers of billionths in the agreement's own unit, nano-rho or nano-epsilon.
What a release costs is rounded up, what a cap grants is rounded down, and widths are
those of the exact law of the noise, rounded up to quarters of a count: an answer
here never promises more than the hub will deliver. The hub's own conversion of caps is
confirmed by a second program and may be smaller in the last digits.
"""

from __future__ import annotations

import dataclasses
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
from accord.core.interval import half_width, noisiest_within
from accord.core.measure import CELL_SCALE, Component, ComponentVector
from accord.core.privacy import Accounting, Loss, Mechanism, mechanism_class, nano_down
from accord.core.query import Measure

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


def sensitivity_of(
    agreement: Agreement, measure: Measure = Measure.PERSONS
) -> Sensitivity:
    """Return the sensitivity of a full release, grouped by dimensions that can change.

    Questions over fewer groups are cheaper; `accord.core.terms` has those of a query.
    """
    bounds = agreement.bounds
    linf = bounds.cases_per_group if measure is Measure.CASES else 1
    vector = ComponentVector(
        groups=bounds.groups_per_person,
        cells=Component(bound=linf, scale=CELL_SCALE),
        persons=Component(bound=1, scale=1),
        dropped=Component(bound=bounds.drop_cap, scale=1),
    )
    agencies = agreement.person_in_at_most
    return Sensitivity(d1=vector.d1(agencies), d2_squared=vector.d2_squared(agencies))


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


def mechanism_of_width(accounting: Accounting, counts: Fraction | int) -> Mechanism:
    """Return the most noise whose 95 % interval is at most *counts* to either side."""
    return noisiest_within(accounting, math.floor(counts * CELL_SCALE))


def cost_of_width(
    accounting: Accounting, counts: Fraction | int, sensitivity: Sensitivity
) -> int:
    """Return what one release costs whose figures are within ±*counts* at 95 %.

    Rounded up, in units of account.
    """
    return cost_of(mechanism_of_width(accounting, counts), sensitivity)


def cost_of(mechanism: Mechanism, sensitivity: Sensitivity) -> int:
    """Return what a release with *mechanism* costs, rounded up, in units of account."""
    loss = mechanism.loss(d1=sensitivity.d1, d2_squared=sensitivity.d2_squared)
    return amount(mechanism.accounting, loss)


def width_of(mechanism: Mechanism) -> Fraction:
    """Return the half-width in counts of a cell's 95 % interval."""
    return Fraction(half_width(mechanism).half_width, CELL_SCALE)


def width_for(
    accounting: Accounting, nano: int, sensitivity: Sensitivity
) -> Fraction | None:
    """Return the half-width of a release that costs at most *nano*, if it is one."""
    try:
        mechanism = mechanism_class(accounting).for_loss(
            as_loss(accounting, nano),
            d1=sensitivity.d1,
            d2_squared=sensitivity.d2_squared,
        )
    except InvalidQuery:  # so little that no noise is enough for it
        return None
    return width_of(mechanism)


def releases_within(cap: int, each: int) -> int:
    """Return how many releases of one cost a cap pays for."""
    return cap // each


def bundle_cost(
    accounting: Accounting, counts: Fraction | int, demands: Sequence[Demand]
) -> int:
    """Return what all releases of *demands* cost with figures within ±*counts*."""
    mechanism = mechanism_of_width(accounting, counts)
    return sum(
        demand.releases * cost_of(mechanism, demand.sensitivity) for demand in demands
    )


def bundle_width(
    accounting: Accounting,
    cap: int,
    demands: Sequence[Demand],
    each_at_most: int | None = None,
) -> Fraction | None:
    """Return the least common half-width at which *cap* buys all of *demands*.

    Args:
        accounting: how losses are counted.
        cap: for all of them together.
        demands: what is wanted.
        each_at_most: a cap on one release.
    """

    def bought(stored: int) -> bool:
        mechanism = noisiest_within(accounting, stored)
        costs = [cost_of(mechanism, demand.sensitivity) for demand in demands]
        total = sum(
            demand.releases * cost for demand, cost in zip(demands, costs, strict=True)
        )
        single = each_at_most is None or max(costs, default=0) <= each_at_most
        return total <= cap and single

    if bought(0):
        return Fraction(0)
    high = 1
    while not bought(high):
        high *= 2
        if high > WIDEST * CELL_SCALE:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bought(middle) else (middle, high)
    return Fraction(high, CELL_SCALE)


def in_window(releases_a_year: int, days: int) -> int:
    """Return how many releases of an even year fall into a window, rounded up."""
    return -(-releases_a_year * days // YEAR)


def compared(
    epsilon: Fraction, delta: Fraction, sensitivity: Sensitivity, releases: int
) -> Choice:
    """Return how accurate *releases* are that share (epsilon, delta) evenly.

    Under pure accounting the same epsilon is spent with a delta of zero, which promises
    more; the widths say what that costs.
    """
    found = {
        accounting: bundle_width(
            accounting,
            cap_in(accounting, epsilon, delta),
            [Demand(sensitivity=sensitivity, releases=releases)],
        )
        for accounting in Accounting
    }
    return Choice(zcdp=found[Accounting.ZCDP], pure=found[Accounting.PURE])
