# SPDX-License-Identifier: Apache-2.0
"""What the commands show: tables for people, the same as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from accord.agent.intake.parts import Part
from accord.agent.intake.report import SENTENCES, Report
from accord.agent.store.editions import Edition


def print_json(console: Console, content: object) -> None:
    """Print one line of JSON, unwrapped and uncoloured."""
    console.print(
        json.dumps(content, ensure_ascii=False),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def print_line(console: Console, text: str, style: str | None = None) -> None:
    """Print a sentence as it is."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


FREE_TEXT = (
    "WARNING: the column {column!r} looks like free text, in which people write about "
    "people. The mapping reads it as a list of codes. If it is none, take it out: what "
    "no mapping names is never read."
)


def printable(text: str) -> str:
    """Return words of strangers without what a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in text)


def show_report(console: Console, report: Report) -> None:
    """Show what would be stored, or was."""
    console.print(_counts(report))
    if report.refusals:
        console.print(_refusals(report))
    if report.kept or report.changes is None:
        console.print(_recorded(report))
    for column in report.free_texts:
        print_line(console, FREE_TEXT.format(column=column), "bold red")


def _counts(report: Report) -> Table:
    table = _table(f"{report.mapping}: {', '.join(report.files)}", ["rows", "#"])
    if report.changes is not None:
        table.add_row("cases in the source", f"{report.changes.cases:,}")
        table.add_row("cases to read anew", f"{report.changes.anew:,}")
        table.add_row("cases gone", f"{report.changes.gone:,}")
    table.add_row("read", f"{report.read:,}")
    table.add_row("cases", f"{report.kept:,}")
    table.add_row("repeated exactly", f"{report.collapsed:,}")
    table.add_row("refused", f"{report.refused:,}")
    what = "distinct persons" if report.names_persons else "records without a person"
    table.add_row(what, f"{report.persons:,}")
    return table


def _refusals(report: Report) -> Table:
    table = _table("refused", ["dimension", "reason", "rows", "first rows"])
    for (place, reason), refusal in sorted(report.refusals.items()):
        table.add_row(
            place or "–",
            f"{reason.word}: {SENTENCES[reason]}",
            f"{refusal.rows:,}",
            report.rows_named(refusal),
        )
    return table


def _recorded(report: Report) -> Table:
    table = _table("recorded", ["dimension", "share of the cases", "out of bounds"])
    for name in report.dimensions:
        outside = report.outside.get(name)
        table.add_row(
            name,
            f"{report.share_recorded(name):.1%}",
            "" if outside is None else f"{outside:,}",
        )
    return table


def show_parts(console: Console, parts: Iterable[Part]) -> None:
    """Show of what the store consists."""
    table = _table("store", ["part", "cases", "persons", "data model", "ingested"])
    for part in parts:
        table.add_row(
            part.name,
            f"{part.rows:,}",
            f"{part.persons:,}",
            part.data_model,
            f"{part.ingested_at:%Y-%m-%d %H:%M} UTC",
        )
    console.print(table)


def show_editions(console: Console, title: str, editions: Sequence[Edition]) -> None:
    """Show frozen editions."""
    if not editions:
        print_line(console, f"{title}: none.")
        return
    columns = ["number", "name", "calendar", "frozen", "data model"]
    table = _table(title, columns)
    for edition in editions:
        table.add_row(
            str(edition.number),
            edition.name,
            f"{edition.every.value}, embargo {edition.embargo_days} days",
            f"{edition.frozen_at:%Y-%m-%d %H:%M} UTC",
            f"{edition.data_model} {edition.data_model_digest[:12]}",
        )
    console.print(table)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "default")
    return table
