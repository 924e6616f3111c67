# SPDX-License-Identifier: Apache-2.0
"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from accord.client.result import display_cells

if TYPE_CHECKING:
    from accord.client.result import Result
    from accord.client.session import Account


def result_table(result: Result) -> Table:
    """Return the rows of *result* with its footnotes below."""
    table = Table(
        title=result.title(), caption="\n".join(result.footnotes()), title_style="bold"
    )
    table.title_justify = "left"
    table.caption_justify = "left"
    for name in result.by:
        table.add_column(name, overflow="fold")
    for name in ("estimate", f"{result.level:.1%} interval", "sd"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result.rows:
        table.add_row(*display_cells(row))
    return table


def cross_table(result: Result) -> Table:
    """Return a result over two dimensions with one column per value of the second.

    A cell reads ``estimate ± half-width``.
    """
    across = list(dict.fromkeys(row.values[1] for row in result.rows))
    cells: dict[str, dict[str, str]] = {}
    for row in result.rows:
        number = row.estimate
        shown = "–"
        if number.estimate is not None and number.upper is not None:
            half = number.upper - number.estimate
            shown = f"{number.estimate:,.0f} ± {half:,.0f}"
        cells.setdefault(row.values[0], {})[row.values[1]] = shown
    table = Table(
        title=result.title(), caption="\n".join(result.footnotes()), title_style="bold"
    )
    table.title_justify = "left"
    table.caption_justify = "left"
    table.add_column(result.by[0], overflow="fold")
    for value in across:
        table.add_column(value, justify="right")
    for value, line in cells.items():
        table.add_row(value, *(line[name] for name in across))
    return table


def records_table(title: str, records: Sequence[Mapping[str, object]]) -> Table:
    """Return one line for each record; the keys of the first are the columns."""
    table = Table(title=title, title_style="bold")
    table.title_justify = "left"
    for name in records[0] if records else ():
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(*(str(value) for value in record.values()))
    return table


def budget_table(accounts: Sequence[Account]) -> Table:
    """Return what is spent and left, as epsilon."""
    table = Table(title="privacy budget", title_style="bold")
    table.title_justify = "left"
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
