# SPDX-License-Identifier: Apache-2.0
"""Statements as trees, and what databases write differently.

Trees are built from names of our own and from whole numbers: no text of a person or of
a source ever becomes part of a statement.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Final

from sqlglot import exp

_BRANCHES: Final = 12
"""Branches of one CASE; SQL Server nests no more than ten of them."""

_SMALL: Final = 2**31
"""Whole numbers from here on are of no type in SQL Server that knows bits."""


class Dialect(enum.StrEnum):
    """Databases for which statements can be written, as sqlglot calls them."""

    DUCKDB = "duckdb"
    SQLITE = "sqlite"
    POSTGRESQL = "postgres"
    MYSQL = "mysql"
    """MariaDB too."""
    SQL_SERVER = "tsql"
    SPARK = "spark"

    @property
    def nulls_first(self) -> bool:
        """Whether nothing stands before numbers; said so, no ORDER BY is rewritten."""
        return self not in (Dialect.DUCKDB, Dialect.POSTGRESQL)

    def name_text(self, name: str) -> str:
        """Return a quoted name as this database reads it."""
        return exp.to_identifier(name, quoted=True).sql(self.value)

    def text(self, statement: exp.Expr, *, pretty: bool = False) -> str:
        """Return *statement* as this database reads it."""
        return statement.sql(self.value, pretty=pretty, identify=True, comments=False)


def column(name: str, table: str | None = None) -> exp.Column:
    """Return a column by its quoted name."""
    return exp.column(name, table=table, quoted=True)


def number(value: int) -> exp.Expr:
    """Return a whole number; large ones with their type."""
    literal = exp.Literal.number(value)
    return literal if abs(value) < _SMALL else exp.cast(literal, "BIGINT")


def whole(value: exp.Expr) -> exp.Expr:
    """Return *value* as a number of 32 bits, so that arithmetic does not overflow."""
    return exp.cast(value, "INT")


def long(value: exp.Expr) -> exp.Expr:
    """Return *value* as a number of 64 bits."""
    return exp.cast(value, "BIGINT")


def named(value: exp.Expr, name: str) -> exp.Expr:
    """Return *value* under a quoted name."""
    return exp.alias_(value, name, quoted=True)


def times(value: exp.Expr, factor: int) -> exp.Expr:
    """Return *value* so many times."""
    return value if factor == 1 else exp.Mul(this=value, expression=number(factor))


def plus(values: Sequence[exp.Expr]) -> exp.Expr:
    """Return the sum of *values*, zero for none."""
    found: exp.Expr | None = None
    for value in values:
        found = value if found is None else exp.Add(this=found, expression=value)
    return number(0) if found is None else found


def moved(value: exp.Expr, by: int) -> exp.Expr:
    """Return *value* plus a number."""
    if by < 0:
        return exp.Sub(this=value, expression=number(-by))
    return value if by == 0 else exp.Add(this=value, expression=number(by))


def at_most(value: exp.Expr, most: int) -> exp.Expr:
    """Return the test whether *value* is no more than *most*."""
    return exp.LTE(this=value, expression=number(most))


def over(value: exp.Expr, least: int) -> exp.Expr:
    """Return the test whether *value* is more than *least*."""
    return exp.GT(this=value, expression=number(least))


def equals(value: exp.Expr, to: int) -> exp.Expr:
    """Return the test whether *value* is a number."""
    return exp.EQ(this=value, expression=number(to))


def never() -> exp.Expr:
    """Return a test that nothing passes; not every database has FALSE."""
    return equals(number(1), 0)


def when(test: exp.Expr, then: exp.Expr, other: exp.Expr | None) -> exp.Expr:
    """Return *then* where *test* holds, else *other* or nothing."""
    return exp.Case(ifs=[exp.If(this=test, true=then)], default=other)


def flag(test: exp.Expr) -> exp.Expr:
    """Return 1 where *test* holds, else 0."""
    return when(test, number(1), number(0))


def any_of(tests: Iterable[exp.Expr]) -> exp.Expr:
    """Return whether one of *tests* holds."""
    found = list(tests)
    return exp.paren(exp.or_(*found)) if len(found) > 1 else found[0]


def total(value: exp.Expr, name: str) -> exp.Expr:
    """Return the sum over a group, under a name."""
    return named(exp.Sum(this=value), name)


def least(value: exp.Expr) -> exp.Expr:
    """Return the smallest over a group."""
    return exp.Min(this=value)


def most(value: exp.Expr) -> exp.Expr:
    """Return the largest over a group."""
    return exp.Max(this=value)


def window(
    function: exp.Expr,
    dialect: Dialect,
    *,
    per: Sequence[str],
    by: Sequence[str | exp.Expr] = (),
) -> exp.Expr:
    """Return a function over the rows with the same *per*, in the order of *by*."""
    order = [
        exp.Ordered(
            this=column(each) if isinstance(each, str) else each,
            nulls_first=dialect.nulls_first,
        )
        for each in by
    ]
    return exp.Window(
        this=function,
        partition_by=[column(name) for name in per],
        order=exp.Order(expressions=order) if order else None,
    )


def numbers(
    rows: Sequence[Sequence[int]], name: str, dialect: Dialect
) -> tuple[exp.Expr, Sequence[str]]:
    """Return a table of numbers under a name, and what its columns are called."""
    columns = [f"column{place + 1}" for place in range(len(rows[0]))]
    cells = [[number(value) for value in row] for row in rows]
    if dialect is Dialect.MYSQL:
        # MySQL and MariaDB write VALUES each in a way that the other does not read.
        selects = [
            exp.select(*[named(v, c) for v, c in zip(row, columns, strict=True)])
            for row in cells
        ]
        body = exp.union(*selects, distinct=False) if len(selects) > 1 else selects[0]
        return body.subquery(exp.to_identifier(name, quoted=True)), columns
    alias = exp.TableAlias(
        this=exp.to_identifier(name, quoted=True),
        # SQLite calls them so by itself, and reads no other names.
        columns=[]
        if dialect is Dialect.SQLITE
        else [exp.to_identifier(each, quoted=True) for each in columns],
    )
    tuples = [exp.Tuple(expressions=row) for row in cells]
    return exp.Values(expressions=tuples, alias=alias), columns


def chosen(value: exp.Expr, steps: Sequence[tuple[int, exp.Expr]]) -> exp.Expr:
    """Return what stands at the first step that *value* does not exceed.

    The last step has what is left. Nested, so that many steps take few comparisons.

    Args:
        value: a number.
        steps: last value of each step, ascending, and what stands there.
    """
    if len(steps) == 1:
        return steps[0][1]
    size = 1
    while size * _BRANCHES < len(steps):
        size *= _BRANCHES
    groups = [steps[start : start + size] for start in range(0, len(steps), size)]
    *ifs, rest = [(group[-1][0], chosen(value.copy(), group)) for group in groups]
    return exp.Case(
        ifs=[exp.If(this=at_most(value.copy(), last), true=each) for last, each in ifs],
        default=rest[1],
    )
