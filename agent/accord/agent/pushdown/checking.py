# SPDX-License-Identifier: Apache-2.0
"""Whether a coded table keeps the rules of its form; looked at once per edition.

A table that an agency makes itself can break them. What is found is a kind of mistake
and a column, never a row or a number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from accord.agent.pushdown.dialect import (
    Dialect,
    any_of,
    column,
    flag,
    least,
    most,
    named,
    number,
    over,
    window,
)
from accord.agent.pushdown.leaves import outside
from accord.agent.pushdown.session import Session
from accord.agent.pushdown.table import KEY, KNOWN, PERSON, PLACE, CodedTable
from accord.agent.store.columns import LEAVES_PER_WORD
from accord.core.errors import IntegrityError
from accord.core.model import NOT_RECORDED, DataModel


def check_table(session: Session, table: CodedTable, model: DataModel) -> None:
    """Look at all rows of a table.

    Raises:
        PreconditionFailed: STORE_COLUMN
        IntegrityError: STORE_BROKEN, with the rule that does not hold.
    """
    rules = list(_rules(table, model))
    marks = [
        named(most(flag(test)), f"rule{place}") for place, (test, _) in enumerate(rules)
    ]
    asked = exp.select(*marks).from_(table.name.node())
    found = session.rows(session.dialect.text(asked))[0]
    for mark, (_, sentence) in zip(found, rules, strict=True):
        if mark:
            raise _broken(table, sentence)
    for statement, sentence in _orders(table, session.dialect):
        if session.rows(session.dialect.text(statement))[0][0]:
            raise _broken(table, sentence)


def _rules(table: CodedTable, model: DataModel) -> Iterator[tuple[exp.Expr, str]]:
    """Yield tests that a wrong row passes, with what is wrong then."""
    for name in (PERSON, KEY, PLACE):
        here = column(table.require(name))
        yield exp.Is(this=here, expression=exp.null()), f"{name} is empty"
    yield outside(column(table.require(KNOWN)), 2), f"{KNOWN} is neither 0 nor 1"
    for name, dimension in model.dimensions.items():
        leaves = len(dimension.leaves)
        if dimension.single:
            code = column(table.require(name))
            yield outside(code, leaves), f"{name} has a code that its dimension has not"
            continue
        for word, held in enumerate(table.words(name, leaves)):
            bits = min(LEAVES_PER_WORD, leaves - LEAVES_PER_WORD * word)
            sentence = f"{held} has a bit that its dimension has not"
            yield outside(column(held), 1 << bits), sentence
    for name in model.quantities:
        here = column(table.require(name))
        limit = number(NOT_RECORDED)
        wrong = [exp.LTE(this=here, expression=limit), over(here.copy(), 2**31 - 1)]
        yield any_of(wrong), f"{name} has no number of 32 bits"


def _orders(table: CodedTable, dialect: Dialect) -> Iterator[tuple[exp.Select, str]]:
    """Yield statements whose answer is not zero where rows do not fit together."""
    rows = exp.Count(this=exp.Star())
    alone = (
        exp.select(named(number(1), "shared"))
        .from_(table.name.node())
        .group_by(column(PERSON))
        .having(exp.EQ(this=least(column(KNOWN)), expression=number(0)), over(rows, 1))
    )
    yield _any(alone), "records that name nobody share a person"
    before = window(exp.Lag(this=column(KEY)), dialect, per=[PERSON], by=[PLACE])
    last = window(exp.Lag(this=column(PLACE)), dialect, per=[PERSON], by=[PLACE])
    ordered = exp.select(
        column(KEY),
        column(PLACE),
        named(before, "before"),
        named(last, "last"),
    ).from_(table.name.node())
    wrong = any_of(
        [
            exp.LT(this=column(KEY), expression=column("before")),
            exp.EQ(this=column(PLACE), expression=column("last")),
        ]
    )
    misplaced = exp.select(named(number(1), "wrong")).from_("ordered").where(wrong)
    counted = _any(misplaced)
    yield (
        counted.with_(exp.to_identifier("ordered", quoted=True), as_=ordered),
        f"{PLACE} does not rise with {KEY} from one case of a person to the next",
    )


def _any(rows: exp.Select) -> exp.Select:
    found = named(exp.Count(this=exp.Star()), "found")
    return exp.select(found).from_(rows.subquery(exp.to_identifier("r", quoted=True)))


def _broken(table: CodedTable, sentence: str) -> IntegrityError:
    return IntegrityError(
        "STORE_BROKEN",
        f"The table {table.name} breaks a rule of its form: {sentence}. Make it anew; "
        "docs/ref-pushdown.md has the rules.",
    )
