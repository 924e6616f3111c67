# SPDX-License-Identifier: Apache-2.0
"""Statements of `persons` and `cases`, kept and weighed."""

from __future__ import annotations

import math

from sqlglot import exp

from accord.agent.pushdown.dialect import (
    chosen,
    column,
    equals,
    flag,
    least,
    most,
    named,
    number,
    over,
    when,
    whole,
)
from accord.agent.pushdown.steps import Steps
from accord.agent.pushdown.table import KEY, PERSON
from accord.core.measure import Bounding
from accord.core.query import Kind


def of_counts(steps: Steps) -> exp.Select:
    """Return the statement of `persons` and `cases`."""
    by_cases = steps.layout.measure.kind is Kind.CASES
    weighs = steps.vector.bounding is Bounding.WEIGH
    groups = exp.select(
        column(PERSON), column("cell"), named(least(column(KEY)), "least")
    )
    if by_cases:
        counted = exp.Count(this=exp.Star())
        groups = groups.select(
            named(most(column("known")), "known"), named(counted, "counted")
        )
    groups = groups.from_("entries").group_by(column(PERSON), column("cell"))
    ranked = exp.select(
        column("cell"),
        named(steps.window(exp.RowNumber(), [PERSON], ["least", "cell"]), "place"),
    )
    if by_cases:
        ranked = ranked.select(column("known"), column("counted"))
    if weighs:
        owned = steps.window(exp.Count(this=exp.Star()), [PERSON], [])
        ranked = ranked.select(named(owned, "groups"))
    ranked = ranked.from_("groups")
    one = number(1)
    if weighs:
        kept = _weight(steps, column("groups"))
    else:
        if by_cases:
            cases, linf = column("counted"), steps.vector.cases
            one = when(over(cases, linf), number(linf), whole(column("counted")))
        kept = when(steps.is_kept, one, number(0))
    answer = steps.answer(
        slot=number(0),
        added=kept,
        persons=when(
            equals(column("place"), 1),
            column("known") if by_cases else number(1),
            number(0),
        ),
        dropped=flag(steps.is_dropped),
    )
    if not weighs:
        answer = answer.where(steps.is_looked_at)
    return steps.whole(
        answer.from_("ranked").group_by(column("cell")),
        known=by_cases,
        groups=groups,
        ranked=ranked,
    )


def _weight(steps: Steps, groups: exp.Expr) -> exp.Expr:
    """Return what a unit with so many *groups* adds to each, as stored.

    It falls with their number and is whole, so there are few steps.
    """
    unit, kept = steps.vector.slots[0].scale, steps.vector.groups
    weights: list[tuple[int, exp.Expr]] = []
    most_groups = max(steps.layout.n_cells, kept)
    first, weight = 1, unit
    while first <= most_groups:
        # the most m with floor(sqrt(unit² kept / m)) >= weight
        last = most_groups
        if weight:
            last = min(most_groups, unit**2 * kept // weight**2)
        weights.append((last, number(weight)))
        first = last + 1
        weight = math.isqrt(unit**2 * kept // first)
    return chosen(groups, weights)
