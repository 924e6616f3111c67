# SPDX-License-Identifier: Apache-2.0
"""Files of this agency's own tables: for its owner alone, and saying so."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from accord.agent.own_table.table import SMALL, OwnTable, Row
from accord.agent.store.durable import write_over
from accord.core.errors import ConfigurationError, PreconditionFailed
from accord.core.messages import sentence

_OBEYED: Final = frozenset("=+-@\t\r")
"""A spreadsheet takes what begins so for a formula."""


def heading(table: OwnTable) -> list[str]:
    """Return the names of the columns."""
    names = [*table.names, table.query.measure.name, "share", "below_10"]
    if table.release is not None:
        names += ["all_agencies", "all_agencies_lower", "all_agencies_upper"]
    return names


def cells(table: OwnTable, row: Row) -> list[str | int | float | None]:
    """Return one row, in the order of the heading."""
    found: list[str | int | float | None] = [*row.values, row.count, row.share]
    found.append("yes" if row.small else "")
    if table.release is not None:
        pooled = row.pooled
        found += (
            [None, None, None]
            if pooled is None
            else [pooled.estimate, pooled.lower, pooled.upper]
        )
    return found


def notes(table: OwnTable, language: str = "en") -> Iterator[str]:
    """Yield what somebody has to know who opens the file."""
    yield sentence("owntable.own-only", language)
    yield sentence("owntable.records", language, records=table.source)
    yield sentence("owntable.exact", language)
    yield sentence("owntable.shares", language, total=f"{table.total:,}")
    if table.small:
        yield sentence(
            "owntable.small", language, cells=f"{table.small:,}", least=SMALL
        )
    if table.release is not None:
        yield sentence("owntable.beside", language, release=table.release)


def as_csv(table: OwnTable) -> bytes:
    """Return the table for a spreadsheet, notes behind it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(heading(table))
    for row in table.rows:
        writer.writerow([_harmless(each) for each in cells(table, row)])
    writer.writerow([])
    for note in notes(table):
        writer.writerow([note])
    return text.getvalue().encode("utf-8-sig")


def as_workbook(table: OwnTable) -> bytes:
    """Return the table as a workbook with a sheet of notes.

    Raises:
        PreconditionFailed: LIBRARY_MISSING
    """
    try:
        import xlsxwriter  # type: ignore[import-untyped]
    except ImportError:
        raise PreconditionFailed(
            "LIBRARY_MISSING",
            "This installation cannot write workbooks. Install the extra `excel`.",
        ) from None
    content = io.BytesIO()
    settings = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "in_memory": True,
    }
    with xlsxwriter.Workbook(content, settings) as book:
        bold = book.add_format({"bold": True})
        share = book.add_format({"num_format": "0.0%"})
        warned = book.add_format({"bg_color": "#fdf0ef", "font_color": "#8a1c1c"})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        sheet = book.add_worksheet("figures")
        sheet.write_row(0, 0, heading(table), bold)
        sheet.freeze_panes(1, 0)
        place = len(table.names)
        for line, row in enumerate(table.rows, start=1):
            sheet.write_row(line, 0, cells(table, row))
            if row.small:
                sheet.write_number(line, place, row.count, warned)
            if row.share is not None:
                sheet.write_number(line, place + 1, row.share, share)
        explained = book.add_worksheet("notes")
        explained.set_column(0, 0, 90, wrapped)
        explained.write_column(0, 0, list(notes(table)))
    return content.getvalue()


def write_privately(file: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, in the place of an older one.

    Raises:
        ConfigurationError: OUTPUT_UNWRITABLE
    """
    try:
        write_over(file, content)
    except OSError as error:
        raise ConfigurationError(
            "OUTPUT_UNWRITABLE", f"{file} cannot be written: {error.strerror}."
        ) from None


def _harmless(value: object) -> object:
    if isinstance(value, str) and value[:1] in _OBEYED:
        return f"'{value}"
    return value


def lines(table: OwnTable) -> tuple[Sequence[str], list[list[str]]]:
    """Return heading and rows as a terminal shows them."""
    written = [
        [
            *row.values,
            f"{row.count:,}",
            "" if row.share is None else f"{row.share:.1%}",
            f"below {SMALL}" if row.small else "",
            *_pooled_words(table, row),
        ]
        for row in table.rows
    ]
    names = [*table.names, table.query.measure.name, "share", ""]
    if table.release is not None:
        names += ["all agencies", "between"]
    return names, written


def _pooled_words(table: OwnTable, row: Row) -> list[str]:
    if table.release is None:
        return []
    found = row.pooled
    if found is None or found.estimate is None:
        return ["withheld", ""]
    between = (
        ""
        if found.lower is None or found.upper is None
        else f"{found.lower:,.0f} and {found.upper:,.0f}"
    )
    return [f"{found.estimate:,.0f}", between]
