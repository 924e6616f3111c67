# SPDX-License-Identifier: Apache-2.0
"""What the statements of all measures share, behind their first step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sqlglot import exp

from accord.agent.pushdown.dialect import (
    Dialect,
    at_most,
    column,
    long,
    named,
    number,
    over,
    plus,
    total,
    window,
)
from accord.agent.pushdown.entries import CASES, Entries
from accord.agent.pushdown.table import KEY, KNOWN, PERSON
from accord.core.layout import Layout
from accord.core.measure import ComponentVector


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A question on its way to a statement."""

    entries: Entries
    layout: Layout
    vector: ComponentVector
    dialect: Dialect

    @property
    def is_kept(self) -> exp.Expr:
        """Whether a group is among those that count."""
        return at_most(column("place"), self.vector.groups)

    @property
    def is_dropped(self) -> exp.Expr:
        """Whether a group is left out, and counted as such."""
        groups, cap = self.vector.groups, self.vector.dropped.bound
        return exp.and_(
            over(column("place"), groups), at_most(column("place"), groups + cap)
        )

    @property
    def is_looked_at(self) -> exp.Expr:
        """Whether a group is one of both."""
        return at_most(column("place"), self.vector.groups + self.vector.dropped.bound)

    def window(
        self, function: exp.Expr, per: Sequence[str], by: Sequence[str | exp.Expr]
    ) -> exp.Expr:
        """Return a function over rows with the same *per*, in the order of *by*."""
        return window(function, self.dialect, per=per, by=by)

    def answer(
        self,
        *,
        slot: exp.Expr,
        added: exp.Expr,
        persons: exp.Expr,
        dropped: exp.Expr,
        other: exp.Expr | None = None,
    ) -> exp.Select:
        """Return the last step, without where it selects from.

        Args:
            slot: of a row; one for each group of the answer.
            added: what a row adds to the slot.
            persons: what it adds to ``persons``.
            dropped: what it adds to ``dropped``.
            other: what it adds to the slot that always counts.
        """
        values = {
            "added": added,
            "other": number(0) if other is None else other,
            "persons": persons,
            "dropped": dropped,
        }
        return exp.select(
            column("cell"),
            named(slot, "slot"),
            *[total(self._summed(value), name) for name, value in values.items()],
        )

    def _summed(self, value: exp.Expr) -> exp.Expr:
        """Return *value* so that its sum has room; others make room by themselves."""
        return long(value) if self.dialect is Dialect.SQL_SERVER else value

    def whole(
        self,
        answer: exp.Select,
        *,
        known: bool,
        more: Sequence[exp.Expr] = (),
        **steps: exp.Select,
    ) -> exp.Select:
        """Return the whole statement.

        Args:
            answer: the last step.
            known: whether ``entries`` say which rows name a person.
            more: other columns of ``entries``.
            steps: those between, in order.
        """
        entries = self.entries
        first = exp.select(column(PERSON, CASES), column(KEY, CASES))
        if known:
            first = first.select(named(column(KNOWN, CASES), "known"))
        first = first.select(named(plus(entries.parts), "cell"), *more)
        first = first.from_(entries.table.name.node().as_(CASES, quoted=True))
        for source in entries.sources:
            first = first.join(source)
        if entries.tests:
            first = first.where(*entries.tests)
        for name, step in {"entries": first, **steps}.items():
            answer = answer.with_(exp.to_identifier(name, quoted=True), as_=step)
        return answer
