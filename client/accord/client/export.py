# SPDX-License-Identifier: Apache-2.0
"""Releases as files: CSV, Parquet and Excel, with what has to be read with them.

Numbers are written as they were released, and nothing is written for a suppressed one.
A text that a spreadsheet would take for a formula is made a text: by an apostrophe
before it in CSV, which has no types, and by the type of the cell in Excel. A file
appears when it is whole.
"""

from __future__ import annotations

import contextlib
import csv
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accord.client.citation import notes_of
from accord.client.frames import NUMBERS, missing
from accord.core.errors import ConfigurationError, InvalidQuery

if TYPE_CHECKING:
    from accord.client.result import Result

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Begin what spreadsheets compute."""

_WIDEST: Final = 100
"""Characters of a column of notes in Excel."""


def export(result: Result, path: str | os.PathLike[str]) -> list[Path]:
    """Write a release to a file of the kind that its name says.

    Returns:
        The files that were written; CSV has its notes in a second one.

    Raises:
        InvalidQuery: EXPORT_KIND_UNKNOWN
        ConfigurationError: EXPORT_UNWRITABLE, LIBRARY_MISSING
    """
    file = Path(path)
    kinds: dict[str, Callable[[Result, Path], list[Path]]] = {
        ".csv": to_csv,
        ".parquet": to_parquet,
        ".xlsx": to_excel,
    }
    write = kinds.get(file.suffix.lower())
    if write is None:
        raise InvalidQuery(
            "EXPORT_KIND_UNKNOWN",
            f"The file {file.name!r} is of no known kind; name it .csv, .parquet or "
            ".xlsx.",
        )
    return write(result, file)


def to_csv(result: Result, file: Path) -> list[Path]:
    """Write figures and where they come from, and notes into a file beside them."""
    table = result.columns(provenance=True)
    with _whole(file) as beside, beside.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([_harmless(name) for name in table])
        for line in zip(*table.values(), strict=True):
            writer.writerow([_written(value) for value in line])
    notes = file.with_suffix(".notes.txt")
    with _whole(notes) as beside:
        lines = (f"{name}: {text}\n" for name, text in notes_of(result))
        beside.write_text("".join(lines), encoding="utf-8")
    return [file, notes]


def to_parquet(result: Result, file: Path) -> list[Path]:
    """Write a Parquet file whose metadata say where the figures come from."""
    table = result.to_arrow(provenance=True)
    from pyarrow import parquet

    with _whole(file) as beside:
        parquet.write_table(table, beside)
    return [file]


def to_excel(result: Result, file: Path) -> list[Path]:
    """Write a workbook with the sheets ``figures`` and ``notes``."""
    try:
        import xlsxwriter  # type: ignore[import-untyped]
    except ImportError:
        raise missing("xlsxwriter", extra="excel") from None
    settings = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with _whole(file) as beside, xlsxwriter.Workbook(str(beside), settings) as book:
        bold = book.add_format({"bold": True})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        _figures(book.add_worksheet("figures"), result, bold)
        notes = book.add_worksheet("notes")
        notes.set_column(0, 0, 36, bold)
        notes.set_column(1, 1, _WIDEST, wrapped)
        for line, (name, text) in enumerate(notes_of(result)):
            notes.write_string(line, 0, name, bold)
            notes.write_string(line, 1, text, wrapped)
    return [file]


def _figures(sheet: Any, result: Result, bold: Any) -> None:  # noqa: ANN401
    table = result.columns(provenance=True)
    sheet.freeze_panes(1, 0)
    for place, (name, column) in enumerate(table.items()):
        sheet.write_string(0, place, name, bold)
        for line, value in enumerate(column, start=1):
            if name in NUMBERS:
                if value is not None:
                    sheet.write_number(line, place, value)
            elif isinstance(value, bool):
                sheet.write_boolean(line, place, value)
            else:
                sheet.write_string(line, place, value)


def _written(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else _harmless(str(value))


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """Give a file beside *file*, which takes its place once it is written."""
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        yield beside
        beside.replace(file)
    except OSError as error:
        raise ConfigurationError(
            "EXPORT_UNWRITABLE",
            f"{file} cannot be written: name a file in a folder that you may write to.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
