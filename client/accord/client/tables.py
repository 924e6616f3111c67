# SPDX-License-Identifier: Apache-2.0
"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from accord.client.budget import Account
from accord.client.described import ReleaseSummary
from accord.client.display import display_cells, display_estimate, display_head
from accord.client.folding import Fitted, Folded
from accord.client.notes import title_of
from accord.client.result import Result

_LARGE: Final = 100
"""From here on three digits are all before the point."""


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


def _framed(result: Result, title: str, table: Fitted) -> Group:
    notes = (Text(f"· {note}") for note in result.footnotes())
    return Group(Text(title, style="bold"), table, *notes)


def result_table(result: Result) -> Fitted:
    """Return the rows of *result*, one line each."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    named = len(result.dimensions)
    for place, name in enumerate(display_head(result)):
        if place < named:
            table.add_column(Folded(name))
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in result.rows:
        cells = display_cells(result, row)
        table.add_row(*map(Folded, cells[:named]), *cells[named:])
    return Fitted(table)


def cross_table(result: Result) -> Fitted:
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
        table.add_column(Folded(value), justify="right")
    for value, line in lines.items():
        table.add_row(value, *(line[name] for name in across))
    return Fitted(table)


def _titled(title: str) -> Table:
    return Table(title=title, title_style="bold", title_justify="left")


def records_table(title: str, records: Sequence[Mapping[str, object]]) -> Fitted:
    """Return one line for each record; the keys of the first are the columns."""
    table = _titled(title)
    for name in records[0] if records else ():
        table.add_column(Folded(name))
    for record in records:
        table.add_row(*(Folded(str(value)) for value in record.values()))
    return Fitted(table)


def releases_table(found: Sequence[ReleaseSummary]) -> Fitted:
    """Return one entry for each release: its id in one piece, the question below."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(Folded("release"))
    table.add_column("edition", no_wrap=True)
    for name in ("ε", "released"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found:
        question = title_of(each.measure, each.by, each.where)
        table.add_row(
            Folded(f"{each.id}\n{each.agreement}: {question}"),
            each.edition,
            _epsilon(each.cost.epsilon),
            f"{each.released_at:%Y-%m-%d}",
        )
    return Fitted(table)


def budget_table(accounts: Sequence[Account]) -> Fitted:
    """Return what is spent and left, as epsilon."""
    table = _titled("privacy budget")
    for name in ("account", "period"):
        table.add_column(Folded(name))
    for name in ("cap ε", "spent ε", "left ε", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    for account in accounts:
        table.add_row(
            Folded(account.name),
            Folded(account.period),
            _epsilon(account.cap.epsilon),
            _epsilon(account.spent.epsilon),
            _epsilon(account.left.epsilon),
            f"{account.left_share:.0%}",
        )
    return Fitted(table)


def _epsilon(amount: float) -> str:
    """Return an amount with three digits, or all before the point."""
    return f"{amount:,.0f}" if amount >= _LARGE else f"{amount:.3g}"
