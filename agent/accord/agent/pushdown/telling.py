# SPDX-License-Identifier: Apache-2.0
"""Statements of `share` and `values`: what units say on a dimension."""

from __future__ import annotations

from sqlglot import exp

from accord.agent.pushdown.dialect import (
    any_of,
    at_most,
    column,
    equals,
    flag,
    least,
    most,
    named,
    number,
    over,
    plus,
    when,
    whole,
)
from accord.agent.pushdown.leaves import any_leaf, in_leaves, place_of
from accord.agent.pushdown.steps import Steps
from accord.agent.pushdown.table import KEY, PERSON
from accord.core.layout import Axis
from accord.core.query import Kind


def of_dimension(steps: Steps, shown: Axis) -> exp.Select:
    """Return the statement of `share` and `values`."""
    value, told = _shown(steps, shown)
    pairs = exp.select(
        column(PERSON),
        column("cell"),
        column("value"),
        named(most(column("known")), "known"),
        named(most(column("told")), "says"),
        named(least(column(KEY)), "earliest"),
    )
    pairs = pairs.from_("entries").group_by(
        column(PERSON), column("cell"), column("value")
    )
    # Names of their own: MariaDB reads a name in a window as that of a result.
    group = [PERSON, "cell"]
    silent = flag(exp.Is(this=column("value"), expression=exp.null()))
    turns = exp.select(
        column(PERSON),
        column("cell"),
        column("value"),
        column("known"),
        named(steps.window(most(column("says")), group, []), "told"),
        named(steps.window(least(column("earliest")), group, []), "least"),
        named(
            steps.window(exp.RowNumber(), group, [silent, "earliest", "value"]),
            "turn",
        ),
        named(steps.window(exp.Count(this=column("value")), group, []), "counted"),
    ).from_("pairs")
    ranked = exp.select(
        column("cell"),
        column("value"),
        column("known"),
        column("told"),
        column("turn"),
        column("counted"),
        named(steps.window(exp.DenseRank(), [PERSON], ["least", "cell"]), "place"),
    ).from_("groups")
    answer, slot = _said(steps)
    return steps.whole(
        answer.from_("ranked").where(steps.is_looked_at).group_by(column("cell"), slot),
        known=True,
        more=[named(value, "value"), named(told, "told")],
        pairs=pairs,
        groups=turns,
        ranked=ranked,
    )


def _shown(steps: Steps, shown: Axis) -> tuple[exp.Expr, exp.Expr]:
    """Return the place of a value of a case, and whether it says something."""
    entries, places = steps.entries, shown.cell_of_leaf
    says = [place != -1 for place in places]
    nothing = exp.cast(exp.null(), "INT")
    if not entries.table.is_multi(shown.dimension):
        code = entries.single(shown.dimension)
        has = in_leaves(code, [place >= 0 for place in places])
        told = flag(in_leaves(code.copy(), says))
        return when(has, place_of(code.copy(), places), None), told
    words = entries.words(shown.dimension, len(places))
    value = entries.places(shown, "shown", 1, "LEFT")
    return nothing if value is None else value, flag(any_leaf(words, says))


def _said(steps: Steps) -> tuple[exp.Select, exp.Expr]:
    """Return the answer of `share` or `values`, and the slot that it is by."""
    value, turn = column("value"), column("turn")
    first = equals(turn, 1)
    told = equals(column("told"), 1)
    last = number(len(steps.layout.slots) - 1)
    silent = exp.Is(this=value, expression=exp.null())
    kept = steps.is_kept
    other: exp.Expr = number(0)
    if steps.layout.measure.kind is Kind.SHARE:
        slot = when(silent, last, plus([value.copy(), number(1)]))
        unheard = exp.and_(first.copy(), equals(column("told"), 0))
        counts = any_of(
            [
                exp.and_(silent.copy(), unheard),
                exp.and_(
                    exp.Not(this=silent.copy()),
                    at_most(turn.copy(), steps.vector.values),
                ),
            ]
        )
        other = flag(exp.and_(kept.copy(), first.copy(), told))
    else:
        most_shown = steps.vector.values
        counted = column("counted")
        shown = when(over(counted, most_shown), number(most_shown), whole(counted))
        slot = when(told, shown, last)
        counts = first.copy()
    answer = steps.answer(
        slot=slot,
        added=flag(exp.and_(kept.copy(), counts)),
        other=other,
        persons=when(
            exp.and_(first.copy(), equals(column("place"), 1)),
            column("known"),
            number(0),
        ),
        dropped=flag(exp.and_(first.copy(), steps.is_dropped)),
    )
    return answer, slot.copy()
