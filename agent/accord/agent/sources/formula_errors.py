# SPDX-License-Identifier: Apache-2.0
"""Cells of a workbook that hold the error of a formula, such as ``#REF!``.

The parser shows such a cell as an empty one, but its value is not absent: it is broken,
and its row must not count as one that says nothing. This reads what the formats say
of errors and nothing else: XML of .xlsx and .ods, records of .xlsb and .xls.
"""

from __future__ import annotations

import io
import re
import struct
import xml.parsers.expat
import zipfile
from collections.abc import Callable, Iterator
from typing import Final

from accord.agent.sources.compound import is_compound, stream_of

Cells = set[tuple[int, int]]
"""Row and column, both from 1, as people count them."""

ERROR_WORDS: Final = frozenset(
    (
        "#NULL!",
        "#DIV/0!",
        "#VALUE!",
        "#REF!",
        "#NAME?",
        "#NUM!",
        "#N/A",
        "#GETTING_DATA",
        "#SPILL!",
        "#CALC!",
        *(f"Err:{number}" for number in range(501, 541)),
    )
)
"""Whoever types such a word into a cell means the same."""

_ERROR_TYPE: Final = re.compile(rb"\st\s*=\s*[\"']e[\"']")
_ERROR_VALUE: Final = re.compile(rb":value-type\s*=\s*[\"']error[\"']")
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def error_cells(content: bytes, sheet: str) -> Cells:
    """Return where the sheet of a workbook has errors."""
    if is_compound(content):
        return set(_in_xls(content, sheet))
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        names = set(parts.namelist())
        if "xl/workbook.xml" in names:
            sheets = _parts_of(parts, "xl/workbook.xml", _named_in_xml)
            return _in_xlsx(parts.read(sheets[sheet])) if sheet in sheets else set()
        if "xl/workbook.bin" in names:
            sheets = _parts_of(parts, "xl/workbook.bin", _named_in_xlsb)
            return _in_xlsb(parts.read(sheets[sheet])) if sheet in sheets else set()
        if "content.xml" in names:
            return _in_ods(parts.read("content.xml"), sheet)
    return set()


def _in_xlsx(part: bytes) -> Cells:
    """Find cells of type ``e`` in a worksheet."""
    if not part.startswith(_UTF16) and not _ERROR_TYPE.search(part):
        return set()
    found: Cells = set()
    row = column = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal row, column
        local = name.rpartition(":")[2]
        if local == "row":
            row, column = int(attributes.get("r", row + 1)), 0
        elif local == "c":
            place = _REFERENCE.fullmatch(attributes.get("r", ""))
            column = _column(place[1]) if place else column + 1
            if attributes.get("t") == "e":
                found.add((row, column))

    _parse(part, begin)
    return found


def _in_ods(part: bytes, sheet: str) -> Cells:
    """Find cells that LibreOffice marks as errors."""
    if not part.startswith(_UTF16) and not _ERROR_VALUE.search(part):
        return set()
    found: Cells = set()
    table = ""
    row = column = rows = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal table, row, column, rows
        plain = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        local = name.rpartition(":")[2]
        if local == "table":
            table, row, rows = plain.get("name", ""), 0, 0
        elif local == "table-row":
            row, column = row + rows, 0
            rows = int(plain.get("number-rows-repeated", 1))
        elif local in {"table-cell", "covered-table-cell"}:
            several = int(plain.get("number-columns-repeated", 1))
            # LibreOffice says `string` first and `error` in a name space of its own.
            kinds = [v for k, v in attributes.items() if k.endswith(":value-type")]
            if table == sheet and "error" in kinds:
                found.update(
                    (row + down + 1, column + right + 1)
                    for down in range(rows)
                    for right in range(several)
                )
            column += several

    _parse(part, begin)
    return found


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _parse(part: bytes, begin: Callable[[str, dict[str, str]], None]) -> None:
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.Parse(part, True)  # noqa: FBT003  # the last piece


def _parts_of(
    parts: zipfile.ZipFile, book: str, named: Callable[[bytes], list[tuple[str, str]]]
) -> dict[str, str]:
    """Return the part of every sheet by the sheet's name."""
    targets: dict[str, str] = {}

    def begin(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "Relationship":
            targets[attributes["Id"]] = attributes["Target"]

    folder, _, file = book.rpartition("/")
    _parse(parts.read(f"{folder}/_rels/{file}.rels"), begin)
    found = named(parts.read(book))
    return {
        name: targets[key].lstrip("/")
        if targets[key].startswith("/")
        else f"{folder}/{targets[key]}"
        for name, key in found
        if key in targets
    }


def _named_in_xml(part: bytes) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == "sheet":
            key = next((k for k in attributes if k.rpartition(":")[2] == "id"), "")
            found.append((attributes.get("name", ""), attributes.get(key, "")))

    _parse(part, begin)
    return found


_BUNDLE_SHEET: Final = 156
_ROW_HEADER: Final = 0
_CELL_ERROR: Final = 3
_FORMULA_ERROR: Final = 11


def _records(part: bytes) -> Iterator[tuple[int, memoryview]]:
    """Yield kind and content of the records of a part of .xlsb."""
    view, at = memoryview(part), 0
    while at < len(view):
        kind = view[at]
        at += 1
        if kind & 0x80:
            kind = (kind & 0x7F) | (view[at] << 7)
            at += 1
        size = 0
        for shift in (0, 7, 14, 21):
            byte = view[at]
            at += 1
            size |= (byte & 0x7F) << shift
            if not byte & 0x80:
                break
        yield kind, view[at : at + size]
        at += size


def _named_in_xlsb(part: bytes) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for kind, record in _records(part):
        if kind == _BUNDLE_SHEET:
            key, rest = _wide(record[8:])
            found.append((_wide(rest)[0], key))
    return found


def _wide(record: memoryview) -> tuple[str, memoryview]:
    (length,) = struct.unpack_from("<I", record)
    end = 4 + 2 * length
    return bytes(record[4:end]).decode("utf-16-le"), record[end:]


def _in_xlsb(part: bytes) -> Cells:
    found: Cells = set()
    row = 0
    for kind, record in _records(part):
        if kind == _ROW_HEADER:
            row = struct.unpack_from("<I", record)[0] + 1
        elif kind in (_CELL_ERROR, _FORMULA_ERROR):
            found.add((row, struct.unpack_from("<I", record)[0] + 1))
    return found


_BOUND_SHEET: Final = 0x85
_BEGIN: Final = 0x809
_END: Final = 0x0A
_FORMULA: Final = 0x06
_BOOL_OR_ERROR: Final = 0x205
_ERROR_RESULT: Final = (0xFFFF, 2)


def _in_xls(content: bytes, sheet: str) -> Iterator[tuple[int, int]]:
    stream = stream_of(content, ("Workbook", "Book"))
    start = next(
        (
            struct.unpack_from("<I", record)[0]
            for kind, record in _short_records(stream, 0)
            if kind == _BOUND_SHEET and _short_name(record[6:]) == sheet
        ),
        None,
    )
    if start is None:
        return
    for kind, record in _short_records(stream, start):
        if kind == _BOOL_OR_ERROR:
            row, column, _, _, is_error = struct.unpack_from("<HHHBB", record)
            if is_error:
                yield row + 1, column + 1
        elif kind == _FORMULA:
            row, column, _, result, _, _, _, mark = struct.unpack_from(
                "<HHHBBHHH", record
            )
            if (mark, result) == _ERROR_RESULT:
                yield row + 1, column + 1


def _short_records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield the records of .xls up to the end of the sheet or the globals."""
    depth = 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        # A chart within a sheet begins and ends as a sheet does.
        depth += (kind == _BEGIN) - (kind == _END)
        if kind == _END and depth <= 0:
            return
        yield kind, stream[at + 4 : at + 4 + size]
        at += 4 + size


def _short_name(record: bytes) -> str:
    length, wide = record[0], record[1] & 1
    if wide:
        return record[2 : 2 + 2 * length].decode("utf-16-le")
    return record[2 : 2 + length].decode("latin-1")
