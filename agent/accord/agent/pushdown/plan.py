# SPDX-License-Identifier: Apache-2.0
"""One question as one statement: the rule of `accord.agent.store.bound`, in SQL.

A statement has these steps, each a table of its own:

* ``entries``: a row for every case and cell that it stands in, after filter and
  roll-up;
* ``groups``: a row for every unit and cell (and value, for `share` and `values`), with
  the smallest order key; where single cases count, ``entries`` stay apart;
* ``ranked``: the place of a group among those of its unit, by smallest order key and
  then by cell number;
* the answer: per cell and slot the sum of what units add, and what they add to the
  extra entries, unscaled (`accord.agent.pushdown.fold` puts them together).

Whole numbers only, so every database gives the same ones. Each result is a sum over
units that were bounded alone: nothing of a unit depends on another.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

from sqlglot import exp

from accord.agent.pushdown.counting import of_counts
from accord.agent.pushdown.dialect import Dialect, column, equals, over
from accord.agent.pushdown.entries import CASES, Entries, put_cells
from accord.agent.pushdown.measuring import of_quantity
from accord.agent.pushdown.steps import Steps
from accord.agent.pushdown.table import KEY, KNOWN, PERSON, CodedTable
from accord.agent.pushdown.telling import of_dimension
from accord.agent.store.bound import checked_vector
from accord.agent.store.entries import LeafFilter
from accord.agent.store.leaving import CONSENT_UNTIL, day_code
from accord.core.errors import InternalError
from accord.core.layout import MOST_CELLS, Layout
from accord.core.measure import ComponentVector
from accord.core.query import Kind


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A question to one coded table, ready to be written for one database."""

    layout: Layout
    vector: ComponentVector
    dialect: Dialect
    statement: exp.Select

    def text(self, *, pretty: bool = False) -> str:
        """Return the statement as the database reads it."""
        return self.dialect.text(self.statement, pretty=pretty)


def plan(
    table: CodedTable,
    layout: Layout,
    where: Sequence[LeafFilter],
    vector: ComponentVector,
    dialect: Dialect,
    *,
    today: datetime.date | None = None,
) -> Plan:
    """Return the statement whose answer is `bounded_vector`'s.

    Args:
        table: what is counted.
        layout: as for the store.
        where: as for the store.
        vector: the declaration of what one unit adds.
        dialect: of the database that has the table.
        today: cases whose consent has ended by then are not looked at.

    Raises:
        PreconditionFailed: STORE_COLUMN, the table lacks a column of the question.
        IntegrityError: STORE_BROKEN, a bitmask has not the columns of its dimension.
        InternalError: LAYOUT_INVALID or BOUNDS_INVALID.
    """
    if layout.n_entries > MOST_CELLS:
        raise InternalError("LAYOUT_INVALID", "The layout has too many cells.")
    checked_vector(layout, vector)
    for name in (PERSON, KNOWN, KEY):
        table.require(name)
    entries = Entries(table=table, dialect=dialect)
    put_cells(entries, layout, where)
    if today is not None and CONSENT_UNTIL in table.columns:
        until = column(CONSENT_UNTIL, CASES)
        entries.tests.append(over(until, day_code(today) - 1))
    if layout.measure.kind is Kind.PERSONS:
        entries.tests.append(equals(column(KNOWN, CASES), 1))
    steps = Steps(entries=entries, layout=layout, vector=vector, dialect=dialect)
    if layout.numbers is not None:
        statement = of_quantity(steps, layout.numbers)
    elif layout.shown is not None:
        statement = of_dimension(steps, layout.shown)
    else:
        statement = of_counts(steps)
    return Plan(layout=layout, vector=vector, dialect=dialect, statement=statement)
