# SPDX-License-Identifier: Apache-2.0
"""Statements of `sum`, `mean` and `quantile`: cases count one by one."""

from __future__ import annotations

from sqlglot import exp

from accord.agent.pushdown.dialect import (
    at_most,
    column,
    equals,
    flag,
    least,
    long,
    named,
    number,
    over,
    times,
    when,
)
from accord.agent.pushdown.entries import CASES
from accord.agent.pushdown.steps import Steps
from accord.agent.pushdown.table import KEY, PERSON, PLACE
from accord.core.layout import Numbers
from accord.core.query import Kind


def of_quantity(steps: Steps, shown: Numbers) -> exp.Select:
    """Return the statement of `sum`, `mean` or `quantile`."""
    table = steps.entries.table
    held = column(table.require(shown.quantity), CASES)
    table.require(PLACE)
    clipped = exp.Case(
        ifs=[
            exp.If(
                this=exp.LT(this=held.copy(), expression=number(shown.lower)),
                true=number(shown.lower),
            ),
            exp.If(this=over(held.copy(), shown.upper), true=number(shown.upper)),
        ],
        default=held,
    )
    group = [PERSON, "cell"]
    placed = exp.select(
        column(PERSON),
        column("cell"),
        column("known"),
        column("value"),
        named(steps.window(least(column(KEY)), group, []), "least"),
        named(steps.window(exp.RowNumber(), group, [PLACE]), "turn"),
    ).from_("entries")
    ranked = exp.select(
        column("cell"),
        column("known"),
        column("value"),
        column("turn"),
        named(steps.window(exp.DenseRank(), [PERSON], ["least", "cell"]), "place"),
    ).from_("groups")
    value, unknown = column("value"), len(steps.layout.slots) - 1
    absent = exp.Is(this=value, expression=exp.null())
    counts = exp.and_(steps.is_kept, at_most(column("turn"), steps.vector.cases))
    other = number(0)
    slot: exp.Expr = number(0)
    match steps.layout.measure.kind:
        case Kind.SUM:
            added = long(value)
        case Kind.MEAN:
            middle = number(shown.lower + shown.upper)
            added = exp.Sub(this=times(long(value), 2), expression=middle)
            other = flag(exp.and_(counts, exp.Not(this=absent)))
        case _:
            added = number(1)
            if shown.edges:
                slot = exp.Case(
                    ifs=[
                        exp.If(
                            this=exp.LT(this=value.copy(), expression=number(edge)),
                            true=number(bin_),
                        )
                        for bin_, edge in enumerate(shown.edges)
                    ],
                    default=number(len(shown.edges)),
                )
    slotted = when(absent, number(unknown), slot)
    added = when(absent.copy(), number(1), added)
    first = equals(column("turn"), 1)
    answer = steps.answer(
        slot=slotted,
        added=when(counts.copy(), added, number(0)),
        other=other,
        persons=when(
            exp.and_(first, equals(column("place"), 1)),
            column("known"),
            number(0),
        ),
        dropped=flag(exp.and_(first.copy(), steps.is_dropped)),
    )
    return steps.whole(
        answer.from_("ranked")
        .where(steps.is_looked_at)
        .group_by(column("cell"), slotted.copy()),
        known=True,
        more=[column(PLACE, CASES), named(clipped, "value")],
        groups=placed,
        ranked=ranked,
    )
