# SPDX-License-Identifier: Apache-2.0
"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from accord.client.budget import Account
from accord.client.display import display_cells, display_estimate, display_head
from accord.client.result import Result


def with_notes(result: Result) -> Group:
    """Return *result* as a table, with its question and what has to be read with it."""
    return _framed(result, result.title(), result_table(result))


def crossed_with_notes(result: Result) -> Group:
    """Return a result over two dimensions as a cross-table, framed in the same way."""
    half = next(
        (
            row.estimate.upper - row.estimate.estimate
            for row in result.rows
            if row.estimate.estimate is not None and row.estimate.upper is not None
        ),
        None,
    )
    spread = "" if half is None else f", each ±{half:,.0f} at {result.level:.1%}"
    return _framed(result, result.title() + spread, cross_table(result))


def _framed(result: Result, title: str, table: Table) -> Group:
    notes = (Text(f"· {note}") for note in result.footnotes())
    return Group(Text(title, style="bold"), table, *notes)


def result_table(result: Result) -> Table:
    """Return the rows of *result*, one line each."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(display_head(result)):
        if place < len(result.dimensions):
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in result.rows:
        table.add_row(*display_cells(result, row))
    return table


def cross_table(result: Result) -> Table:
    """Return a result over two dimensions, one column per value of the second.

    Cells hold estimates; they all have the same half-width.
    """
    across = list(dict.fromkeys(row.values[1] for row in result.rows))
    lines: dict[str, dict[str, str]] = {}
    for row in result.rows:
        estimate = display_estimate(result, row.estimate)
        lines.setdefault(row.values[0], {})[row.values[1]] = estimate
    table = Table()
    table.add_column(result.dimensions[0], no_wrap=True)
    for value in across:
        table.add_column(value, justify="right", overflow="fold")
    for value, line in lines.items():
        table.add_row(value, *(line[name] for name in across))
    return table


def _titled(title: str) -> Table:
    return Table(title=title, title_style="bold", title_justify="left")


def records_table(title: str, records: Sequence[Mapping[str, object]]) -> Table:
    """Return one line for each record; the keys of the first are the columns."""
    table = _titled(title)
    for name in records[0] if records else ():
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(*(str(value) for value in record.values()))
    return table


def budget_table(accounts: Sequence[Account]) -> Table:
    """Return what is spent and left, as epsilon."""
    table = _titled("privacy budget")
    for name in ("account", "period"):
        table.add_column(name, overflow="fold")
    for name in ("cap ε", "spent ε", "left ε", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    for account in accounts:
        table.add_row(
            account.name,
            account.period,
            f"{account.cap.epsilon:.3g}",
            f"{account.spent.epsilon:.3g}",
            f"{account.left.epsilon:.3g}",
            f"{account.left_share:.0%}",
        )
    return table
