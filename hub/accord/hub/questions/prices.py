# SPDX-License-Identifier: Apache-2.0
"""What a price says besides the cost: whether the answer would be worth it.

From the question, the agreement, signed remits, the ledger and past releases; no record
is touched.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from accord.core.calendar import MONTH
from accord.core.layout import Layout, wanted_leaves
from accord.core.measure import Component
from accord.core.opened import half_width
from accord.core.policy import Policy
from accord.core.query import Kind, Query
from accord.core.terms import Terms
from accord.hub.db.engine import LedgerTransaction
from accord.hub.questions.accounts import amount_of, of_agency, of_purpose, unit_of
from accord.hub.questions.accuracy import half_width_of
from accord.hub.questions.planning import Plan
from accord.hub.questions.pricing import cost_message
from accord.hub.releases.table import unit
from accord.ledger import balance, used_ever
from accord.v1 import analyst_pb2

_MONTHS: Final = 12

_FAR_TOO_MUCH: Final = 1e6
"""Share of what is left where nothing is left."""


AN_AGENCY: Final = "an agency's lifetime account"
"""Stands for the name of an account whose balance analysts are not shown."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Whether a typical figure would stand out, and what to do where it would not."""

    useful: bool
    advice: str


def price_message(
    tx: sa.Connection, plan: Plan, *, from_archive: bool, now: dt.datetime
) -> analyst_pb2.PriceQueryResponse:
    """Return the price of a permitted question, but for when it would be answered.

    Args:
        tx: to read the ledger with.
        plan: what follows from the question.
        from_archive: whether a stored release would be served.
        now: the time.
    """
    found, agreement = plan.terms, plan.agreement
    typical = typical_persons(plan.policy, plan.query, plan.members, found.layout)
    width, of = expected_error(plan, typical)
    share, account = (0.0, "") if from_archive else share_of_left(tx, plan, now)
    worth = worth_of(
        half_width(plan.noise.opened).half_width / counted(found).scale,
        typical / figures_of(found.layout),
        figures=found.layout.n_cells * figures_of(found.layout),
        suppress_below=agreement.form.protect.suppress_below,
    )
    return analyst_pb2.PriceQueryResponse(
        cost=cost_message(agreement, plan.loss),
        half_width=width,
        level=half_width(plan.noise.opened).level,
        cells=found.layout.n_cells,
        from_archive=from_archive,
        edition=plan.query.edition,
        share_of_left=share,
        tightest_account=account,
        typical=typical,
        useful=worth.useful,
        advice=worth.advice,
        expected_dropped_share=-1.0 if plan.past is None else plan.past.dropped_share,
        dropped_share_of="" if plan.past is None else plan.past.release,
        bounding=found.bounding.value,
        unit=of,
    )


def typical_persons(
    policy: Policy, query: Query, members: Iterable[str], layout: Layout
) -> float:
    """Return about how many persons stand in a cell; 0 where remits do not say.

    The persons a year of the agencies that say it, for as long as the question looks
    back, spread evenly: a filter keeps the part of a dimension's values that it names.
    Nobody says how far back records go, so a question that does not name a time is
    taken to look back one year.
    """
    known = policy.members.members
    yearly = sum(
        known[member].remit.persons_a_year or 0 for member in members if member in known
    )
    wanted = wanted_leaves(query, policy.model)
    timed = {group.dimension for group in query.group_by}
    timed.update(part.dimension for part in query.where)
    persons = float(yearly)
    for name, codes in wanted.items():
        leaves = policy.model.dimension(name).leaves
        if name == policy.model.edition_dimension:
            months = sum(bool(re.fullmatch(MONTH, leaves[code])) for code in codes)
            persons *= months / _MONTHS if name in timed else 1
        else:
            persons *= len(codes) / len(leaves)
    return persons / layout.n_cells


def figures_of(layout: Layout) -> int:
    """Return into how many figures the persons of one cell are divided."""
    kind = layout.measure.kind
    if kind is Kind.QUANTILE or kind is Kind.VALUES:
        return len(layout.slots) - 1
    if kind is Kind.SHARE:
        return max(len(layout.slots) - 2, 1)
    return 1


def counted(found: Terms) -> Component:
    """Return the component that counts persons or cases, by which worth is judged."""
    slots = found.vector.slots
    kind = found.layout.measure.kind
    return slots[1] if kind in (Kind.SUM, Kind.MEAN) else slots[0]


def expected_error(plan: Plan, typical: float) -> tuple[float, str]:
    """Return the half-width of a figure to expect, and its unit.

    Of a mean it is that of a typical cell, or of its count where nobody says what that
    is. Of a share it is that of the counts that it is made of.
    """
    found, noise = plan.terms, plan.noise.opened
    measure = found.layout.measure
    if measure.kind is Kind.SHARE:
        return half_width_of(found, noise), "persons"
    if measure.kind is not Kind.MEAN:
        return half_width_of(found, noise), unit(measure, plan.model)
    if typical > 0:
        return half_width_of(found, noise) / typical, unit(measure, plan.model)
    return half_width(noise).half_width / counted(found).scale, "cases"


def share_of_left(tx: sa.Connection, plan: Plan, now: dt.datetime) -> tuple[float, str]:
    """Return the largest share of what is left in one account, and in which.

    Of all accounts that would be charged. Those of agencies hold what other agreements
    spend, too: which of them is the tightest is not for the analyst.

    Raises:
        PreconditionFailed: MEMBER_UNKNOWN; the question could not be paid for either.
    """
    amount = amount_of(plan.agreement, plan.loss)
    ledger = LedgerTransaction(tx)
    left: list[tuple[int, str]] = [
        (
            balance(
                ledger,
                limits.account,
                limits.unit,
                now,
                limits.windows,
                lifetime_cap=limits.lifetime_cap,
            ).left,
            limits.account,
        )
        for limits in of_purpose(plan.agreement, plan.purpose, plan.analyst.id)
    ]
    agencies = [
        of_agency(plan.agreement, plan.policy.members, each) for each in plan.members
    ]
    used = used_ever(
        ledger, [each.account for each in agencies], unit_of(plan.agreement)
    )
    left += [
        (max(0, (each.lifetime_cap or 0) - used.get(each.account, 0)), AN_AGENCY)
        for each in agencies
    ]
    least, account = min(left, key=lambda each: each[0])
    return (amount / least if least else _FAR_TOO_MUCH), account


def worth_of(
    width: float, typical: float, *, figures: int, suppress_below: int
) -> Worth:
    """Return whether a typical figure would stand out, and what to do if not.

    Args:
        width: half-width of one count.
        typical: persons in one figure; 0 where nobody says.
        figures: how many there are.
        suppress_below: counts below it are not shown.
    """
    if typical <= 0:
        return Worth(
            useful=True,
            advice="The agencies do not say how many persons they see a year; compare"
            " the error with what you expect.",
        )
    least = max(width, float(suppress_below))
    if typical >= least:
        return Worth(useful=True, advice="")
    problem = (
        f"is less than its error of ±{width:.3g}"
        if typical < width
        else f"is below {suppress_below}, which is not shown"
    )
    possible = int(figures * typical / least)
    way = (
        f"ask for at most about {possible} figures, with coarser levels, fewer"
        " dimensions or a longer time"
        if possible
        else "no question under this agreement is likely to show more"
    )
    return Worth(
        useful=False,
        advice=f"A typical figure, of about {typical:.2g} persons, {problem}: {way}"
        + (", or spend more." if typical < width else "."),
    )
