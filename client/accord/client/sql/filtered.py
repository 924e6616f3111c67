# SPDX-License-Identifier: Apache-2.0
"""Which cases a question in SQL keeps.

A condition is turned into the values of one dimension that it keeps; values of several
levels can stand beside each other. Conditions on different dimensions are joined by
AND, values of one by OR or IN. What a condition leaves out is named as all the others
of the same level: domains are public and finite.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from sqlglot import exp

from accord.client.sql.names import Names, listed

_WAYS = "Write dimension = 'value', IN, <>, NOT IN, or BETWEEN for times."

_ORDERS: dict[type[exp.Expression], Callable[[str, str], bool]] = {
    exp.GTE: lambda period, bound: period >= bound,
    exp.GT: lambda period, bound: period > bound,
    exp.LTE: lambda period, bound: period <= bound,
    exp.LT: lambda period, bound: period < bound,
}
"""Names of periods of one level sort as their times do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The values of one dimension that a condition keeps."""

    dimension: str
    values: tuple[str, ...]
    node: exp.Expression
    """Where it stands."""


def read_filtered(names: Names) -> dict[str, tuple[str, ...]]:
    """Return for each filtered dimension the values that are kept.

    Raises:
        SqlError: with what is wrong.
    """
    clause = names.statement.select.args.get("where")
    if clause is None:
        return {}
    names.statement.allow(clause, "this")
    kept: dict[str, Kept] = {}
    for node in _parts(clause.this, exp.And):
        found = _kept(names, node)
        before = kept.get(found.dimension)
        both = found if before is None else _both(names, before, found)
        if not both.values:
            raise names.statement.error(
                node,
                f"No value of {found.dimension} is kept.",
                "Name one at least.",
                reason="EMPTY_FILTER",
            )
        kept[found.dimension] = both
    return {name: each.values for name, each in kept.items()}


def _parts(node: exp.Expression, kind: type[exp.Binary]) -> Iterator[exp.Expression]:
    """Yield what *kind* joins, from left to right, without recursion."""
    waiting = [node]
    while waiting:
        node = _bare(waiting.pop())
        if isinstance(node, kind):
            waiting += [node.expression, node.this]
        else:
            yield node


def _bare(node: exp.Expression) -> exp.Expression:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _kept(names: Names, node: exp.Expression) -> Kept:
    bare = _bare(node)
    for kind, read in _READERS.items():
        if isinstance(bare, kind):
            return read(names, bare)
    problem = "This is no condition on the values of a dimension."
    if isinstance(bare, exp.And):
        problem = "AND cannot stand inside OR or NOT."
    raise names.statement.error(bare, problem, _WAYS)


def _not(names: Names, node: exp.Expression) -> Kept:
    names.statement.allow(node, "this")
    inner = _bare(node.this)
    if isinstance(inner, exp.Not):
        raise names.statement.error(inner, "NOT stands twice.", "Leave both out.")
    return _others(names, _kept(names, inner))


def _equal(names: Names, node: exp.Expression) -> Kept:
    return _named(names, node, [node.args["expression"]])


def _unequal(names: Names, node: exp.Expression) -> Kept:
    return _others(names, _equal(names, node))


def _in(names: Names, node: exp.Expression) -> Kept:
    names.statement.allow(node, "this", "expressions")
    return _named(names, node, node.expressions)


def _between(names: Names, node: exp.Expression) -> Kept:
    names.statement.allow(node, "this", "low", "high")
    bounds = [
        (_ORDERS[exp.GTE], node.args["low"]),
        (_ORDERS[exp.LTE], node.args["high"]),
    ]
    return _ordered(names, node, bounds)


def _compared(names: Names, node: exp.Expression) -> Kept:
    holds = next(holds for kind, holds in _ORDERS.items() if isinstance(node, kind))
    return _ordered(names, node, [(holds, node.args["expression"])])


def _either(names: Names, either: exp.Expression) -> Kept:
    found = [_kept(names, part) for part in _parts(either, exp.Or)]
    first = found[0]
    for each in found[1:]:
        if each.dimension != first.dimension:
            raise names.statement.error(
                each.node,
                "OR stands between values of one dimension only.",
                f"Group by {first.dimension} and {each.dimension}, and read the cells "
                "that you want.",
            )
    values = dict.fromkeys(value for each in found for value in each.values)
    return dataclasses.replace(first, values=tuple(values), node=either)


def _named(names: Names, node: exp.Expression, written: list[exp.Expression]) -> Kept:
    dimension = _dimension(names, node)
    values = [names.value(each, dimension) for each in written]
    return Kept(dimension=dimension, values=tuple(dict.fromkeys(values)), node=node)


def _dimension(names: Names, node: exp.Expression) -> str:
    if not isinstance(node.this, exp.Column):
        raise names.statement.error(
            node,
            "A condition has the name of a dimension on its left.",
            "Values of all levels are given to the name itself: registered_month = "
            "'2026'.",
        )
    return names.dimension(node.this)


def _others(names: Names, kept: Kept) -> Kept:
    """Return all other values of the level; a case must have one value for that."""
    _refuse_several(names, kept)
    level = names.offer.level_with(kept.dimension, kept.values)
    if level is None:
        raise names.statement.error(
            kept.node,
            "What is left out are values of several levels.",
            f"Name those of {kept.dimension} that you want.",
        )
    domain = names.offer.dimensions[kept.dimension][level]
    others = tuple(value for value in domain if value not in kept.values)
    return dataclasses.replace(kept, values=others)


def _both(names: Names, first: Kept, second: Kept) -> Kept:
    """Return what two conditions on one dimension keep together."""
    _refuse_several(names, second)
    levels = [
        names.offer.level_with(each.dimension, each.values) for each in (first, second)
    ]
    if levels[0] is None or levels[0] != levels[1]:
        raise names.statement.error(
            second.node,
            f"{second.dimension} is filtered twice, at different levels.",
            "Name the values that you want once, with IN.",
            reason="DUPLICATE_DIMENSION",
        )
    values = tuple(value for value in first.values if value in second.values)
    return dataclasses.replace(second, values=values)


def _refuse_several(names: Names, kept: Kept) -> None:
    if kept.dimension in names.offer.multi_valued:
        raise names.statement.error(
            kept.node,
            f"A case can have several values of {kept.dimension}, so it can only be "
            "asked which have one of some.",
            f"Name them once: {kept.dimension} IN ('…', '…').",
        )


def _ordered(
    names: Names,
    node: exp.Expression,
    bounds: list[tuple[Callable[[str, str], bool], exp.Expression]],
) -> Kept:
    """Return the periods of the bounds' level that are on their right side."""
    dimension = _dimension(names, node)
    periods = names.offer.periods(dimension)
    if not periods:
        raise names.statement.error(
            node,
            f"The values of {dimension} are no times, and have no before and after.",
            f"Name them: {dimension} IN ('…', '…').",
        )
    kept: list[str] | None = None
    level = ""
    for holds, written in bounds:
        bound = names.text(written)
        found = next((name for name in periods if bound in periods[name]), None)
        if found is None:
            spans = [f"{each[0]} to {each[-1]}" for each in periods.values() if each]
            raise names.statement.error(
                written,
                f"The agreement offers no such time in {dimension}.",
                f"There are: {listed(spans)}.",
                reason="UNKNOWN_VALUE",
            )
        if level and found != level:
            raise names.statement.error(
                written,
                f"One time is a {level}, and the other a {found}.",
                "Write both as times of the same length.",
            )
        level = found
        before = periods[level] if kept is None else kept
        kept = [period for period in before if holds(period, bound)]
    if not kept:
        raise names.statement.error(
            node,
            f"No time of {dimension} lies there.",
            "The earlier one comes first.",
            reason="EMPTY_FILTER",
        )
    return Kept(dimension=dimension, values=tuple(kept), node=node)


_READERS: dict[type[exp.Expression], Callable[[Names, exp.Expression], Kept]] = {
    exp.Or: _either,
    exp.Not: _not,
    exp.EQ: _equal,
    exp.NEQ: _unequal,
    exp.In: _in,
    exp.Between: _between,
    exp.GTE: _compared,
    exp.GT: _compared,
    exp.LTE: _compared,
    exp.LT: _compared,
}
