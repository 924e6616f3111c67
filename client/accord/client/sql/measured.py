# SPDX-License-Identifier: Apache-2.0
"""The measures, as functions of SQL."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from accord.client.sql.names import (
    PARTS_OF_DATES,
    PERSON,
    Names,
    is_called,
    listed,
)

MEASURES = (
    "COUNT(DISTINCT person)",
    "COUNT(*)",
    "SUM(quantity)",
    "AVG(quantity)",
    "MEDIAN(quantity)",
    "QUANTILE(quantity, 0.9)",
    "SHARE(dimension)",
    "VALUES_PER_PERSON(dimension)",
)


def is_group(node: exp.Expression) -> bool:
    """Tell whether a selected column is, or tries to be, a dimension."""
    return isinstance(node, (exp.Column, *PARTS_OF_DATES)) or is_called(node, "LEVEL")


def read_measure(names: Names, node: exp.Expression) -> str:
    """Return the name of the measure that *node* calls.

    Raises:
        SqlError: UNKNOWN_MEASURE, UNKNOWN_QUANTITY, UNKNOWN_DIMENSION, UNKNOWN_LEVEL
            or SQL_REFUSED.
    """
    for kind, read in _READERS.items():
        if isinstance(node, kind):
            return read(names, node)
    for function, measure in _OF_DIMENSIONS.items():
        if is_called(node, function):
            return f"{measure}({_about(names, node, function)})"
    if isinstance(node, exp.Func):
        raise names.statement.error(
            node,
            "There is no such measure.",
            f"There are: {listed(MEASURES)}.",
            reason="UNKNOWN_MEASURE",
        )
    raise names.statement.error(
        node,
        "Nothing is computed here, before noise is added.",
        "Ask for one measure at a time, and compute with the answers.",
    )


def _count(names: Names, node: exp.Expression) -> str:
    names.statement.allow(node, "this", "big_int")
    counted = node.this
    if isinstance(counted, exp.Star):
        names.statement.allow(counted)
        return "cases"
    if isinstance(counted, exp.Distinct):
        names.statement.allow(counted, "expressions")
        inner = counted.expressions
        if len(inner) == 1 and names.column(inner[0]) == PERSON:
            return "persons"
        raise names.statement.error(
            node,
            "Only persons are told apart and counted; values of dimensions are public.",
            "Write COUNT(DISTINCT person).",
        )
    raise names.statement.error(
        node,
        "Cases and persons are counted, nothing else.",
        "Write COUNT(*) for cases, COUNT(DISTINCT person) for persons.",
    )


def _sum(names: Names, node: exp.Expression) -> str:
    return f"sum({_quantity(names, node, 'this')})"


def _mean(names: Names, node: exp.Expression) -> str:
    return f"mean({_quantity(names, node, 'this')})"


def _median(names: Names, node: exp.Expression) -> str:
    return f"quantile({_quantity(names, node, 'this')})"


def _quantile(names: Names, node: exp.Expression) -> str:
    quantity = _quantity(names, node, "this", "quantile")
    wanted = node.args.get("quantile")
    if not isinstance(wanted, exp.Literal) or not _is_share(wanted):
        raise names.statement.error(
            wanted if isinstance(wanted, exp.Expression) else node,
            "A quantile is asked for by one number between 0 and 1.",
            "Such as QUANTILE(days_in_care, 0.9), with the quantity's name.",
        )
    return f"quantile({quantity})"


def _is_share(number: exp.Literal) -> bool:
    try:
        return not number.args.get("is_string") and 0 < float(number.this) < 1
    except ValueError:
        return False


def _quantity(names: Names, node: exp.Expression, *parts: str) -> str:
    if isinstance(node.this, exp.Distinct):
        raise names.statement.error(
            node,
            "Every case counts, also one of the same amount.",
            "Leave DISTINCT out.",
        )
    names.statement.allow(node, *parts)
    return names.quantity(node.this)


def _about(names: Names, node: exp.Expression, name: str) -> str:
    parts = node.expressions
    if len(parts) != 1:
        raise names.statement.error(
            node,
            f"{name} takes one dimension.",
            f"Such as {name}(means_of_control), or {name}(LEVEL(dimension, 'level')).",
        )
    found = names.leveled(parts[0])
    return f"{found.dimension}:{found.level}" if found.level else found.dimension


def _own_filter(names: Names, node: exp.Expression) -> str:
    raise names.statement.error(
        node, "A measure has no filter of its own.", "Put the condition into WHERE."
    )


def _percentile(names: Names, node: exp.Expression) -> str:
    raise names.statement.error(
        node,
        "A quantile is written in another way here.",
        "Such as QUANTILE(days_in_care, 0.9), with the quantity's name.",
    )


_READERS: dict[type[exp.Expression], Callable[[Names, exp.Expression], str]] = {
    exp.Count: _count,
    exp.Sum: _sum,
    exp.Avg: _mean,
    exp.Median: _median,
    exp.Quantile: _quantile,
    exp.ApproxQuantile: _quantile,
    exp.Filter: _own_filter,
    exp.WithinGroup: _percentile,
    exp.PercentileCont: _percentile,
    exp.PercentileDisc: _percentile,
}

_OF_DIMENSIONS = {"SHARE": "share", "VALUES_PER_PERSON": "values"}
"""Functions that SQL does not have, and what they measure."""
