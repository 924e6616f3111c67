# SPDX-License-Identifier: Apache-2.0
"""Workbooks for tests, in the four forms that agencies have.

A cell is a text, a number, a day, a moment, a boolean or an `Error`; .xlsx is written
by XlsxWriter, the others byte by byte, as little as their readers need.
"""

from __future__ import annotations

import dataclasses
import datetime
import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import xlsxwriter  # type: ignore[import-untyped]


@dataclasses.dataclass(frozen=True, slots=True)
class Error:
    """A formula whose last value is an error."""

    word: str = "#REF!"
    code: int = 0x17


Cell = str | bool | int | float | datetime.date | Error | None
Sheets = Mapping[str, Sequence[Sequence[Cell]]]

DAY_ZERO = datetime.date(1899, 12, 30)


def write_xlsx(path: Path, sheets: Sheets) -> Path:
    """Write a workbook of today's Excel."""
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if isinstance(cell, Error):
                        sheet.write_formula(at, column, "=A1", None, cell.word)
                    elif isinstance(cell, datetime.datetime):
                        sheet.write_datetime(at, column, cell, moment)
                    elif isinstance(cell, datetime.date):
                        sheet.write_datetime(at, column, cell, day)
                    elif isinstance(cell, str):
                        sheet.write_string(at, column, cell)
                    elif cell is not None:
                        sheet.write(at, column, cell)
    return path


def write_ods(path: Path, sheets: Sheets) -> Path:
    """Write a workbook of LibreOffice."""
    tables = "".join(
        f"<table:table table:name={quoteattr(name)}>"
        + "".join(
            f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>"
            for row in rows
        )
        + "</table:table>"
        for name, rows in sheets.items()
    )
    return ods_of(path, tables)


def ods_of(path: Path, tables: str) -> Path:
    """Write a workbook of LibreOffice with these tables, as XML."""
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text", "calcext")
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        kind = "application/vnd.oasis.opendocument.spreadsheet"
        file.writestr("mimetype", kind)
        file.writestr("META-INF/manifest.xml", "<manifest/>")
        file.writestr(
            "content.xml",
            f"<office:document-content {spaces}><office:body><office:spreadsheet>"
            f"{tables}</office:spreadsheet></office:body></office:document-content>",
        )
    return path


def _ods_cell(cell: Cell) -> str:
    if cell is None:
        return "<table:table-cell/>"
    if isinstance(cell, Error):
        return (
            '<table:table-cell table:formula="of:=A1" office:value-type="string" '
            'office:string-value="" calcext:value-type="error">'
            f"<text:p>{cell.word}</text:p></table:table-cell>"
        )
    if isinstance(cell, bool):
        kind = f'"boolean" office:boolean-value="{str(cell).lower()}"'
    elif isinstance(cell, datetime.date):
        kind = f'"date" office:date-value="{cell.isoformat()}"'
    elif isinstance(cell, str):
        kind = '"string"'
    else:
        kind = f'"float" office:value="{cell}"'
    return (
        f"<table:table-cell office:value-type={kind}>"
        f"<text:p>{escape(str(cell))}</text:p></table:table-cell>"
    )


def write_xls(path: Path, sheets: Sheets) -> Path:
    """Write a workbook of Excel 97."""
    path.write_bytes(compound({"Workbook": _xls_stream(sheets)}))
    return path


def _xls_stream(sheets: Sheets) -> bytes:
    def record(kind: int, content: bytes = b"") -> bytes:
        return struct.pack("<HH", kind, len(content)) + content

    def begin(kind: int) -> bytes:
        return record(0x809, struct.pack("<HHHHII", 0x600, kind, 0, 1997, 0, 0))

    def named(name: str) -> bytes:
        text = name.encode("utf-16-le")
        return struct.pack("<BB", len(name), 1) + text

    formats = b"".join(
        record(0xE0, struct.pack("<HHHBBBBIIH", 0, number, 0, 0, 0, 0, 0, 0, 0, 0))
        for number in (0, 14, 22)
    )
    bodies = []
    for rows in sheets.values():
        body = begin(0x10)
        for at, row in enumerate(rows):
            for column, cell in enumerate(row):
                body += _xls_cell(record, at, column, cell)
        # A chart within the sheet, which ends as the sheet does.
        body += begin(0x20) + record(0x0A)
        bodies.append(body + _last_row(record, rows) + record(0x0A))
    head = begin(0x05) + formats
    listed = sum(4 + 6 + len(named(name)) for name in sheets)
    at = len(head) + listed + 4
    for name, body in zip(sheets, bodies, strict=True):
        head += record(0x85, struct.pack("<IH", at, 0) + named(name))
        at += len(body)
    return head + record(0x0A) + b"".join(bodies)


def _last_row(
    record: Callable[[int, bytes], bytes], rows: Sequence[Sequence[Cell]]
) -> bytes:
    """Repeat the errors of the last row, which stand behind the chart."""
    if not rows:
        return b""
    at = len(rows) - 1
    return b"".join(
        _xls_cell(record, at, column, cell)
        for column, cell in enumerate(rows[at])
        if isinstance(cell, Error)
    )


def _xls_cell(
    record: Callable[[int, bytes], bytes], row: int, column: int, cell: Cell
) -> bytes:
    if cell is None:
        return b""
    place = struct.pack("<HHH", row, column, _style(cell))
    if isinstance(cell, Error):
        result = struct.pack("<BBBBBBH", 2, 0, cell.code, 0, 0, 0, 0xFFFF)
        return record(0x06, place + result + struct.pack("<HIH", 0, 0, 0))
    if isinstance(cell, bool):
        return record(0x205, place + bytes((cell, 0)))
    if isinstance(cell, str):
        text = cell.encode("utf-16-le")
        return record(0x204, place + struct.pack("<HB", len(text) // 2, 1) + text)
    return record(0x203, place + struct.pack("<d", _number(cell)))


def _style(cell: Cell) -> int:
    """Return which of the three formats a cell has."""
    if isinstance(cell, datetime.datetime):
        return 2
    return 1 if isinstance(cell, datetime.date) else 0


def _number(cell: float | datetime.date) -> float:
    """Return a number, or a day as Excel counts days."""
    if isinstance(cell, datetime.datetime):
        midnight = datetime.datetime.combine(cell.date(), datetime.time())
        return (cell.date() - DAY_ZERO).days + (cell - midnight).seconds / 86_400
    if isinstance(cell, datetime.date):
        return float((cell - DAY_ZERO).days)
    return float(cell)


def compound(streams: Mapping[str, bytes]) -> bytes:
    """Return a compound file with these streams."""
    sector = 512
    chains: list[bytes] = []
    table: list[int] = []
    entries = [("Root Entry", 5, 0xFFFFFFFE, 0)]

    def chain(content: bytes) -> int:
        start = len(table)
        count = max(1, -(-len(content) // sector))
        table.extend(range(start + 1, start + count))
        table.append(0xFFFFFFFE)
        chains.append(content.ljust(count * sector, b"\0"))
        return start

    for name, content in streams.items():
        # Above 4096 bytes a stream has sectors of its own.
        whole = content.ljust(4096, b"\0")
        entries.append((name, 2, chain(whole), len(whole)))
    directory = b"".join(
        _entry(name, kind, start, size, child=1 if kind == 5 else 0xFFFFFFFF)
        for name, kind, start, size in entries
    )
    first = chain(directory)
    sectors = 1
    while len(table) + sectors > sectors * sector // 4:
        sectors += 1
    at = len(table)
    table.extend([0xFFFFFFFD] * sectors)
    table.extend([0xFFFFFFFF] * (sectors * sector // 4 - len(table)))
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIII", 0, sectors, first, 0, 4096, *[0xFFFFFFFE, 0] * 2)
    listed = [*range(at, at + sectors), *[0xFFFFFFFF] * (109 - sectors)]
    head += struct.pack("<109I", *listed)
    return head + b"".join(chains) + struct.pack(f"<{len(table)}I", *table)


def _entry(name: str, kind: int, start: int, size: int, child: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    found = text.ljust(64, b"\0") + struct.pack("<HBB", len(text), kind, 1)
    found += struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, child) + bytes(36)
    return found + struct.pack("<III", start, size, 0)


def write_xlsb(path: Path, sheets: Sheets) -> Path:
    """Write a binary workbook of today's Excel."""
    book = _long_record(131) + _long_record(143)
    parts: dict[str, bytes] = {}
    relations = ""
    for number, (name, rows) in enumerate(sheets.items(), 1):
        key = f"rId{number}"
        numbers = struct.pack("<II", 0, number)
        book += _long_record(156, numbers + _wide(key) + _wide(name))
        parts[f"xl/worksheets/sheet{number}.bin"] = _xlsb_sheet(rows)
        relations += (
            f'<Relationship Id="{key}" Target="worksheets/sheet{number}.bin" '
            'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships'
            '/worksheet"/>'
        )
    parts["xl/workbook.bin"] = book + _long_record(144) + _long_record(132)
    listed = f"<Relationships>{relations}</Relationships>"
    parts["xl/_rels/workbook.bin.rels"] = listed.encode()
    formats = b"".join(
        _long_record(47, struct.pack("<HH12x", 0, kind)) for kind in (0, 14, 22)
    )
    parts["xl/styles.bin"] = (
        _long_record(278)
        + _long_record(617, struct.pack("<I", 3))
        + formats
        + _long_record(618)
        + _long_record(279)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for part, content in parts.items():
            file.writestr(part, content)
    return path


def _xlsb_sheet(rows: Sequence[Sequence[Cell]]) -> bytes:
    width = max(map(len, rows), default=1)
    extent = (0, max(len(rows) - 1, 0), 0, max(width - 1, 0))
    body = _long_record(129) + _long_record(148, struct.pack("<IIII", *extent))
    body += _long_record(145)
    for at, row in enumerate(rows):
        body += _long_record(0, struct.pack("<I13x", at))
        body += b"".join(_xlsb_cell(place, each) for place, each in enumerate(row))
    return body + _long_record(146) + _long_record(130)


def _xlsb_cell(column: int, cell: Cell) -> bytes:
    place = struct.pack("<II", column, _style(cell))
    if cell is None:
        return _long_record(1, place)
    if isinstance(cell, Error):
        return _long_record(11, place + bytes((cell.code,)) + bytes(10))
    if isinstance(cell, bool):
        return _long_record(4, place + bytes((cell,)))
    if isinstance(cell, str):
        return _long_record(6, place + _wide(cell))
    return _long_record(5, place + struct.pack("<d", _number(cell)))


def _long_record(kind: int, content: bytes = b"") -> bytes:
    head = bytes((kind,)) if kind < 128 else bytes((kind & 0x7F | 0x80, kind >> 7))
    size = len(content)
    while size > 127:
        head += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return head + bytes((size,)) + content


def _wide(text: str) -> bytes:
    content = text.encode("utf-16-le")
    return struct.pack("<I", len(content) // 2) + content


WRITERS: Mapping[str, Callable[[Path, Sheets], Path]] = {
    ".xlsx": write_xlsx,
    ".xlsb": write_xlsb,
    ".xls": write_xls,
    ".ods": write_ods,
}


def with_part(path: Path, part: str, content: bytes) -> Path:
    """Replace a part of a workbook."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    parts[part] = content
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, each in parts.items():
            file.writestr(name, each)
    path.write_bytes(packed.getvalue())
    return path
