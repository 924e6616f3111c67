# SPDX-License-Identifier: Apache-2.0
"""Releases as files: CSV, Parquet and Excel, with what has to be read with them.

Numbers are written as they were released, and nothing is written for a suppressed one.
A text that a spreadsheet would take for a formula is made a text: by an apostrophe
before it in CSV, which has no types, and by the type of the cell in Excel. A file
appears when it is whole. Several releases stand under each other in one file.
"""

from __future__ import annotations

import contextlib
import csv
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from accord.client.citation import notes_of, notes_of_all
from accord.client.frames import NUMBERS, missing
from accord.client.result import Result
from accord.client.together import Releases
from accord.core.errors import ConfigurationError, InvalidQuery

Exported: TypeAlias = Result | Releases
"""What becomes one file."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Begin what spreadsheets compute."""

_WIDEST: Final = 100
"""Characters of a column of notes in Excel."""


def export(result: Exported, path: str | os.PathLike[str]) -> list[Path]:
    """Write releases to a file of the kind that its name says.

    Returns:
        The files that were written; CSV has its notes in a second one.

    Raises:
        InvalidQuery: EXPORT_KIND_UNKNOWN
        ConfigurationError: EXPORT_UNWRITABLE, LIBRARY_MISSING
    """
    file = Path(path)
    kinds: dict[str, Callable[[Exported, Path], list[Path]]] = {
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


def to_csv(result: Exported, file: Path) -> list[Path]:
    """Write figures and where they come from, and notes into a file beside them."""
    table = _table(result)
    with _whole(file) as beside, beside.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([_harmless(name) for name in table])
        for line in zip(*table.values(), strict=True):
            writer.writerow([_written(value) for value in line])
    notes = file.with_suffix(".notes.txt")
    with _whole(notes) as beside:
        lines = (f"{name}: {text}\n" for name, text in _notes(result))
        beside.write_text("".join(lines), encoding="utf-8")
    return [file, notes]


def to_parquet(result: Exported, file: Path) -> list[Path]:
    """Write a Parquet file whose metadata say where the figures come from."""
    if isinstance(result, Result):
        table = result.to_arrow(provenance=True)
    else:
        table = result.to_arrow()
    from pyarrow import parquet

    with _whole(file) as beside:
        parquet.write_table(table, beside)
    return [file]


def to_excel(result: Exported, file: Path) -> list[Path]:
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
        for line, (name, text) in enumerate(_notes(result)):
            notes.write_string(line, 0, name, bold)
            notes.write_string(line, 1, text, wrapped)
    return [file]


def _table(result: Exported) -> dict[str, list[Any]]:
    """Return the columns of a file; every row says from which release it is."""
    if isinstance(result, Result):
        return result.columns(provenance=True)
    return result.columns()


def _notes(result: Exported) -> list[tuple[str, str]]:
    if isinstance(result, Result):
        return notes_of(result)
    return notes_of_all(result.results)


def _figures(sheet: Any, result: Exported, bold: Any) -> None:  # noqa: ANN401
    table = _table(result)
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
