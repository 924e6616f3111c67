# SPDX-License-Identifier: Apache-2.0
"""The process that reads one workbook: a stranger's file in a native parser.

It has its own limits of memory and time and no core dump, so that a workbook that
unpacks to more than it says, names millions of parts, or breaks the parser, ends this
process alone. A request
comes on standard input as JSON; what is found goes to standard output, one JSON a
line. It imports little, so it begins fast.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypedDict

from accord.agent.sources.compound import is_compound, names_in
from accord.agent.sources.formula_errors import ERROR_WORDS, error_cells

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

MOST_MEMORY: Final = 3 << 29
"""Bytes of address space."""

_MOST_SECONDS: Final = 900
_MOST_COLUMNS: Final = 16_384
_MOST_UNPACKED: Final = 1 << 30
"""Bytes of a workbook's parts, as the archive itself states them."""

_LARGEST_MANIFEST: Final = 1 << 24
"""Bytes; it lists parts, of which a document has hundreds."""

_BROKEN: Final = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(NotImplementedError, EOFError, OSError, RuntimeError, ValueError),
)
"""What is raised over archives that are none, or damaged."""

_EXACT: Final = 10**15
"""Whole numbers below have all their digits in a workbook."""


class Request(TypedDict):
    """What is asked."""

    path: str
    sheet: str | None
    """Whose rows are wanted; none: the headers of all sheets."""
    header_row: int | None
    columns: list[int]
    unreadable: str
    batch: int


def text_of(value: object) -> str:
    """Return a cell's value as text, as a mapping expects it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _EXACT
        return str(int(value)) if whole else repr(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def headers(
    workbook: CalamineWorkbook, header_row: int | None
) -> Iterator[dict[str, Any]]:
    """Yield every sheet of rows with its header."""
    for sheet in workbook.sheets_metadata:
        if not str(sheet.typ).endswith("WorkSheet"):
            continue
        number, header = _header(workbook.get_sheet_by_name(sheet.name), header_row)
        yield {"sheet": sheet.name, "row": number, "header": header}


def _header(sheet: CalamineSheet, header_row: int | None) -> tuple[int, list[str]]:
    """Return the row of the header and its texts; 0 where the sheet is empty."""
    last = 0
    for number, row in enumerate(sheet.iter_rows(), 1):
        texts = [text_of(value) for value in row[:_MOST_COLUMNS]]
        if any(text.strip() for text in texts):
            last = number
            if header_row in (None, number):
                while not texts[-1].strip():
                    texts.pop()
                return number, texts
    return last, []


def rows(
    workbook: CalamineWorkbook, content: bytes, request: Request
) -> Iterator[dict[str, Any]]:
    """Yield the asked columns of a sheet in batches, without its empty rows."""
    name, columns = request["sheet"] or "", request["columns"]
    start = request["header_row"] or 1
    wrong = error_cells(content, name)
    wrong_rows = {row for row, _ in wrong}
    sheet = workbook.get_sheet_by_name(name)
    # The parser leaves empty columns on the left away.
    left = 0 if sheet.start is None else sheet.start[1]
    numbers: list[int] = []
    texts: list[list[str]] = []
    for number, row in _numbered(sheet, wrong_rows):
        blank = all(value in ("", None) for value in row)
        if number <= start or (blank and number not in wrong_rows):
            continue
        found = [text_of(row[index]) if index < len(row) else "" for index in columns]
        for place, (index, text) in enumerate(zip(columns, found, strict=True)):
            if text in ERROR_WORDS or (number, index + left + 1) in wrong:
                found[place] = request["unreadable"]
        numbers.append(number)
        texts.append(found)
        if len(numbers) == request["batch"]:
            yield {"numbers": numbers, "columns": _turned(texts)}
            numbers, texts = [], []
    if numbers:
        yield {"numbers": numbers, "columns": _turned(texts)}


def _numbered(
    sheet: CalamineSheet, wrong_rows: set[int]
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows with their numbers, and those at the end that hold errors alone.

    The parser takes such rows for the end of the sheet.
    """
    last = 0
    for last, row in enumerate(sheet.iter_rows(), 1):  # used below
        yield last, row
    for number in sorted(each for each in wrong_rows if each > last):
        yield number, []


def fault_of(content: bytes) -> str | None:
    """Return what is wrong with a workbook before anything of it is read, in a word."""
    if is_compound(content):
        return "password" if "EncryptedPackage" in names_in(content) else None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            infos = parts.infolist()
            manifests = [i for i in infos if i.filename == "META-INF/manifest.xml"]
            if sum(info.file_size for info in infos) > _MOST_UNPACKED or any(
                info.file_size > _LARGEST_MANIFEST for info in manifests
            ):
                return "memory"
            sealed = any(info.flag_bits & 1 for info in infos) or any(
                b"encryption-data" in parts.read(info) for info in manifests
            )
    except _BROKEN:
        return "strange"
    return "password" if sealed else None


def _opened(library: ModuleType, path: str, content: bytes) -> CalamineWorkbook:
    """Open a workbook by what it is, whatever its name says."""
    found: CalamineWorkbook
    try:
        found = library.CalamineWorkbook.from_filelike(io.BytesIO(content))
    except library.CalamineError:
        # The library has tried all forms; the one that the name says tells more.
        found = library.CalamineWorkbook.from_path(path)
    return found


def _turned(texts: list[list[str]]) -> list[list[str]]:
    """Return columns of rows."""
    return [list(column) for column in zip(*texts, strict=True)]


def main() -> None:
    """Answer one request; a fault is one word."""
    _shut_in()
    request: Request = json.load(sys.stdin)
    import python_calamine

    try:
        with open(request["path"], "rb") as file:  # noqa: PTH123  # a lean process
            content = file.read()
        if fault := fault_of(content):
            _say({"fault": fault})
            return
        workbook = _opened(python_calamine, request["path"], content)
        found = (
            headers(workbook, request["header_row"])
            if request["sheet"] is None
            else rows(workbook, content, request)
        )
        for each in found:
            _say(each)
        _say({"end": True})
    except python_calamine.PasswordError:
        _say({"fault": "password"})
    except MemoryError:
        _say({"fault": "memory"})
    except PermissionError:
        _say({"fault": "permission"})
    except BaseException:  # noqa: BLE001  # a panic of the parser is a BaseException
        _say({"fault": "damaged"})


def _say(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def _shut_in() -> None:
    """Set the limits, where the system knows them."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, _MOST_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        # A service may forbid the call; it has limits of its own then.
        with contextlib.suppress(OSError):
            _, hard = resource.getrlimit(kind)
            if hard == resource.RLIM_INFINITY or most < hard:
                resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()
