# SPDX-License-Identifier: Apache-2.0
"""Workbooks as sources: what is read of them, and what is refused and how."""

from __future__ import annotations

import datetime
import io
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from accord.agent.intake.codes import Reason
from accord.agent.intake.ingest import check, ingest
from accord.agent.intake.report import Report
from accord.agent.sources import workbook, workbook_child
from accord.agent.sources.compound import names_in
from accord.agent.sources.form import SourceForm
from accord.agent.sources.workbook import open_workbook
from accord.core.document import DocumentError
from accord.core.errors import SourceError
from tests.unit.agent.agencies import (
    HEADER,
    LIMITS,
    MAPPING_TEXT,
    NOW,
    ingest_rows,
    mapping,
    new_state,
    row,
    store_bytes,
)
from tests.unit.agent.workbooks import (
    WRITERS,
    Cell,
    Error,
    Sheets,
    compound,
    ods_of,
    with_part,
    write_xlsx,
)

pytest.importorskip("python_calamine", reason="the extra `excel` is not installed")

SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def worksheet(body: bytes) -> bytes:
    """Return the XML of a sheet."""
    return f'<worksheet xmlns="{SPREADSHEET}"><sheetData>'.encode() + body


def cells(**fields: Cell) -> list[Cell]:
    """Return a row of `HEADER` as cells: days are days and numbers are numbers."""
    usual: dict[str, Cell] = dict(row())
    usual |= {
        "born": datetime.date(2000, 5, 1),
        "date": datetime.date(2024, 2, 3),
        "number": 1,
        "days": 10,
    }
    return [(usual | fields)[name] for name in HEADER]


def checked(tmp_path: Path, path: Path, source: str = "{}") -> Report:
    state = new_state(tmp_path / "state")
    text = f"source: {source}\n{MAPPING_TEXT}"
    try:
        return check(state, mapping(text), [path], LIMITS)
    finally:
        assert not list(state.scratch.iterdir())


@pytest.mark.parametrize("ending", WRITERS)
def test_every_form_gives_the_store_of_a_csv_file(tmp_path: Path, ending: str) -> None:
    first, second = new_state(tmp_path / "a"), new_state(tmp_path / "b")
    ingest_rows(
        first,
        [
            row(number="1"),
            row(number="2", first="Bela", region="south", days="1.5"),
            row(number="3", first="שרה", date="2024-12-31", type="labour;sexual"),
            row(number="4", first="=1+1", days=""),
        ],
    )
    sheets: Sheets = {
        "2023": [
            [*HEADER],
            cells(number=1),
            cells(number=2.0, first="Bela", region="south", days=1.5),
        ],
        "Größe": [
            [*HEADER],
            cells(
                number=3,
                first="שרה",
                date=datetime.datetime.fromisoformat("2024-12-31T23:59:00"),
                type="labour;sexual",
            ),
            [None] * len(HEADER),
            cells(number="4", first="=1+1", days=None),
        ],
        "empty": [],
    }
    path = WRITERS[ending](tmp_path / f"cases{ending}", sheets)
    done = ingest(second, mapping(), [path], LIMITS, NOW)
    assert (done.report.read, done.report.kept) == (4, 4)
    assert done.report.files == (
        f"cases{ending}, sheet 2023",
        f"cases{ending}, sheet Größe",
    )
    assert store_bytes(first) == store_bytes(second)


@pytest.mark.parametrize("ending", WRITERS)
def test_values_are_read_as_a_mapping_expects_them(tmp_path: Path, ending: str) -> None:
    row_: list[Cell] = [
        "text",
        12.0,
        -0.125,
        True,
        False,
        datetime.date(2024, 2, 29),
        datetime.datetime.fromisoformat("2024-02-03T04:05:06"),
        None,
        123456789012345,
        Error(),
    ]
    names: list[Cell] = [f"c{index}" for index in range(len(row_))]
    path = WRITERS[ending](tmp_path / f"a{ending}", {"s": [names, row_]})
    (sheet,) = open_workbook(path, SourceForm())
    ((*texts,),) = sheet.rows(sheet.header)
    assert [text for (text,) in texts] == [
        "text",
        "12",
        "-0.125",
        "true",
        "false",
        "2024-02-29",
        "2024-02-03T04:05:06",
        "",
        "123456789012345",
        "\0",
    ]
    # Only what is named is fetched, in that order.
    assert list(sheet.rows(["c5", "c0"])) == [[["2024-02-29"], ["text"]]]


@pytest.mark.parametrize("ending", WRITERS)
def test_a_formulas_error_leaves_its_row_out(tmp_path: Path, ending: str) -> None:
    rows: list[list[Cell]] = [
        [*HEADER],
        cells(number=1),
        [None] * len(HEADER),
        cells(number=2, region=Error()),
        cells(number=3, first=Error("#DIV/0!", 0x07)),
        cells(number=4, notes=Error("#N/A", 0x2A)),
        cells(number=5, region="#REF!"),
        [*([None] * len(HEADER))],
        [Error("#NAME?", 0x1D)],
    ]
    path = WRITERS[ending](tmp_path / f"a{ending}", {"s": rows})
    report = checked(tmp_path, path)
    # The notes are not read, so their error does no harm.
    assert (report.read, report.kept, report.refused) == (6, 2, 4)
    refusal = report.refusals["", Reason.UNREADABLE]
    assert report.rows_named(refusal) == "4, 5, 7, 9"


@pytest.mark.parametrize("ending", WRITERS)
def test_a_table_may_stand_anywhere_in_its_sheet(tmp_path: Path, ending: str) -> None:
    rows: list[list[Cell]] = [
        [],
        [None] * 4,
        [None, None, "name", "region"],
        [None, None, "Ana", Error()],
        [None] * 4,
        [None, None, "Bela", "north"],
        [None, None, Error("#DIV/0!", 0x07), "west"],
    ]
    path = WRITERS[ending](tmp_path / f"a{ending}", {"s": rows})
    (sheet,) = open_workbook(path, SourceForm())
    assert sheet.header == ("name", "region")
    assert list(sheet.rows(["region", "name"])) == [
        [["\0", "north", "west"], ["Ana", "Bela", "\0"]]
    ]
    assert [sheet.counted(number) for number in (1, 2, 3)] == [4, 6, 7]


def test_rows_have_the_numbers_that_excel_shows(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [
        ["Cases of 2024"],
        [],
        [None, *HEADER],
        [],
        [None, *cells()],
        [],
        [None, *cells(region="Atlantis")],
    ]
    path = write_xlsx(tmp_path / "a.xlsx", {"s": rows})
    report = checked(tmp_path, path, "{header_row: 3}")
    refusal = report.refusals["region", Reason.OUT_OF_DOMAIN]
    assert report.rows_named(refusal) == "7"
    assert report.as_json()["refused"][0]["first_rows"] == [
        {"source": "a.xlsx, sheet s", "row": 7}
    ]
    with pytest.raises(DocumentError, match="header_row: 3"):
        checked(tmp_path, path)
    with pytest.raises(SourceError, match="sheet s: row 2, where"):
        checked(tmp_path, path, "{header_row: 2}")


def test_a_sheet_without_the_header_is_named_and_can_be_left_out(
    tmp_path: Path,
) -> None:
    sheets: Sheets = {
        "read me": [["Fill in the other sheet."]],
        "2024": [[*HEADER], cells()],
        "2025": [[*HEADER], cells(number=2)],
    }
    path = write_xlsx(tmp_path / "a.xlsx", sheets)
    with pytest.raises(DocumentError, match="sheet read me has none of") as caught:
        checked(tmp_path, path)
    assert "Fill" not in str(caught.value)
    assert checked(tmp_path, path, "{sheets: ['2024', '2025']}").kept == 2
    assert checked(tmp_path, path, "{sheets: ['2025']}").kept == 1
    with pytest.raises(SourceError, match=r"no sheet '2026'\. It has: read me, 2024"):
        checked(tmp_path, path, "{sheets: ['2026']}")


def test_columns_of_one_name_are_numbered(tmp_path: Path) -> None:
    header = ["notes" if name == "region" else name for name in HEADER]
    path = write_xlsx(tmp_path / "a.xlsx", {"s": [[*header], cells()]})
    state = new_state(tmp_path / "state")
    text = MAPPING_TEXT.replace("column: region", "column: notes")
    with pytest.raises(DocumentError, match=r"2 columns 'notes'.*'notes \(1\)'"):
        check(state, mapping(text), [path], LIMITS)
    text = text.replace("column: notes", "column: notes (1)")
    assert check(state, mapping(text), [path], LIMITS).kept == 1


@pytest.mark.parametrize("mark", ["~$a.xlsx", ".~lock.a.xlsx#"])
def test_a_workbook_that_is_open_elsewhere_is_refused(
    tmp_path: Path, mark: str
) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"s": [[*HEADER], cells()]})
    (tmp_path / mark).write_bytes(b"\5Ana Novak")
    with pytest.raises(SourceError, match=r"a\.xlsx is open") as caught:
        checked(tmp_path, path)
    assert caught.value.reason == "SOURCE_LOCKED"
    assert "Novak" not in str(caught.value)
    (tmp_path / mark).unlink()
    assert checked(tmp_path, path).kept == 1


def test_excels_own_mark_is_no_workbook(tmp_path: Path) -> None:
    (tmp_path / "~$a.xlsx").write_bytes(b"\5Ana Novak")
    with pytest.raises(SourceError, match="Excel's mark of one that is open"):
        checked(tmp_path, tmp_path / "~$a.xlsx")


def sealed_xlsx(path: Path) -> None:
    path.write_bytes(compound({"EncryptionInfo": b"x", "EncryptedPackage": b"y" * 9}))


def sealed_xls(path: Path) -> None:
    stream = struct.pack("<HHHHHHII", 0x809, 16, 0x600, 5, 0, 1997, 0, 0)
    stream += struct.pack("<HHHHH48x", 0x2F, 54, 1, 1, 1) + struct.pack("<HH", 0x0A, 0)
    path.write_bytes(compound({"Workbook": stream}))


def sealed_ods(path: Path) -> None:
    ods_of(path, "")
    entry = b"<manifest><file-entry><encryption-data/></file-entry></manifest>"
    with_part(path, "META-INF/manifest.xml", entry)


@pytest.mark.parametrize(
    ("name", "seal"),
    [("a.xlsx", sealed_xlsx), ("a.xls", sealed_xls), ("a.ods", sealed_ods)],
)
def test_a_workbook_under_a_password_is_refused(
    tmp_path: Path, name: str, seal: Callable[[Path], None]
) -> None:
    seal(tmp_path / name)
    with pytest.raises(SourceError, match="under a password") as caught:
        checked(tmp_path, tmp_path / name)
    assert caught.value.reason == "SOURCE_LOCKED"


BOMB = worksheet(
    b'<row r="1"><c r="A1" t="inlineStr"><is><t>first</t></is></c></row>'
    b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
)


def test_cells_far_outside_end_the_reader_and_not_the_agent(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"s": [["first"]]})
    with_part(path, "xl/worksheets/sheet1.xml", BOMB)
    with pytest.raises(SourceError, match="more memory or time"):
        checked(tmp_path, path)


def packed_zeros(size: int) -> bytes:
    """Return a workbook with a part of so many zeros, deflated a piece at a time."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("xl/sharedStrings.xml", "w") as part,
    ):
        for _ in range(size >> 20):
            part.write(bytes(1 << 20))
    return packed.getvalue()


@pytest.mark.slow
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    size = 1 << 30
    content = packed_zeros(size + (1 << 20))
    assert len(content) < 2 << 20
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="more memory or time"):
        checked(tmp_path, path)
    # One that states another size is found out while it is unpacked.
    stated = struct.pack("<I", size + (1 << 20))
    assert content.count(stated) >= 1
    path.write_bytes(content.replace(stated, struct.pack("<I", 1000)))
    with pytest.raises(SourceError):
        checked(tmp_path, path)


REPEATED = (
    '<table:table table:name="s"><table:table-row table:number-rows-repeated="1048576">'
    '<table:table-cell table:number-columns-repeated="16384" '
    'office:value-type="string"><text:p>first</text:p></table:table-cell>'
    "</table:table-row></table:table>"
)


def test_repeated_cells_end_the_reader_and_not_the_agent(tmp_path: Path) -> None:
    path = ods_of(tmp_path / "a.ods", REPEATED)
    with pytest.raises(SourceError):
        checked(tmp_path, path)


ENTITIES = b'<!DOCTYPE w [<!ENTITY a0 "xxxxxxxxxx">' + b"".join(
    b'<!ENTITY a%d "%s">' % (each, b"&a%d;" % (each - 1) * 10) for each in range(1, 12)
)


@pytest.mark.parametrize(
    "body",
    [
        b'<row r="1"><c r="A1" t="inlineStr"><is><t>first',
        b"\0\1\2",
        b'<row r="x"><c r="" t="e"/></row></sheetData></worksheet>',
        b'<row r="9"><c r="ZZZ99999999999" t="e"/></row></sheetData></worksheet>',
    ],
)
def test_broken_xml_is_a_damaged_workbook(tmp_path: Path, body: bytes) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"s": [["first"]], "t": [[*HEADER]]})
    for each in (worksheet(body), ENTITIES + b"]>" + worksheet(body)):
        with_part(path, "xl/worksheets/sheet1.xml", each)
        with pytest.raises((SourceError, DocumentError)):
            checked(tmp_path, path, "{sheets: [s]}")


@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.xlsb", "a.ods"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><table><tr><td>Ana Novak</td></tr></table></html>",
        b"first;last\nAna;Novak\n",
        b"PK\3\4" + bytes(100),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 2000,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000),
        compound({"Workbook": b"Ana Novak"}),
        compound({"Other": b"Ana Novak"}),
    ],
)
def test_what_is_no_workbook_is_said_so(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        checked(tmp_path, tmp_path / name)
    assert caught.value.reason == "SOURCE_UNREADABLE"
    assert "Novak" not in str(caught.value)


def test_a_workbook_of_empty_sheets_is_empty(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"s": [], "t": [[" ", None]]})
    with pytest.raises(SourceError, match="no sheet with rows"):
        checked(tmp_path, path)


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"s": [[*HEADER]]})
    assert checked(tmp_path, path).read == 0


def test_many_rows_come_in_batches(tmp_path: Path) -> None:
    rows: list[list[Cell]] = [[*HEADER]]
    rows += [cells(number=number) for number in range(20_000)]
    path = write_xlsx(tmp_path / "a.xlsx", {"s": [*rows, cells(region="x")]})
    report = checked(tmp_path, path)
    assert (report.read, report.kept) == (20_001, 20_000)
    refusal = report.refusals["region", Reason.OUT_OF_DOMAIN]
    assert report.rows_named(refusal) == "20002"


def test_without_the_library_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"s": [[*HEADER], cells()]})
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(SourceError, match="extra `excel`"):
        checked(tmp_path, path)


def test_a_manifest_that_cannot_be_unpacked_is_a_damaged_workbook(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.ods"
    manifest = "META-INF/manifest.xml"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(manifest, "<x/>" * 1000)
    content = bytearray(path.read_bytes())
    start = 30 + len(manifest)
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        open_workbook(path, SourceForm())
    assert caught.value.reason == "SOURCE_UNREADABLE"


def test_an_archive_of_very_many_parts_takes_no_memory_of_the_agent(
    tmp_path: Path,
) -> None:
    entries = 1 << 18
    # Parts without a name, all of which lie at the same place.
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", *[20] * 2, *[0] * 14)
    listing = entry * entries
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0, 0, len(listing), 0, 0)
    path = tmp_path / "a.xlsx"
    path.write_bytes(listing + end)
    tracemalloc.start()
    try:
        with pytest.raises(SourceError) as caught:
            open_workbook(path, SourceForm())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.reason in {"SOURCE_MALFORMED", "SOURCE_UNREADABLE"}
    assert most < 8 << 20


def test_a_manifest_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ods"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("META-INF/manifest.xml", bytes(1 << 25))
    assert path.stat().st_size < 1 << 16
    assert workbook_child.fault_of(path.read_bytes()) == "memory"


def test_a_reading_that_ends_in_the_middle_of_a_word_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"A": [["name"]]})
    child = tmp_path / "half_child.py"
    child.write_text("print('{\"sheet\": \"A', end='')\n", "utf-8")
    monkeypatch.setattr(workbook, "_CHILD", "half_child")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SourceError) as caught:
        open_workbook(path, SourceForm())
    assert caught.value.reason == "SOURCE_MALFORMED"


def test_a_small_compound_file_takes_no_large_memory() -> None:
    """Its lists of sectors name one sector again and again."""
    sectors = 1024
    head = bytearray(512)
    head[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<HH", head, 30, 9, 6)
    struct.pack_into("<II", head, 44, 0xFFFFFFF0, 0xFFFFFFFE)
    struct.pack_into("<II", head, 56, 4096, 0xFFFFFFFE)
    struct.pack_into("<II", head, 68, 0, sectors)
    listing = b"".join(
        struct.pack("<128I", *[0] * 127, number + 1) for number in range(sectors)
    )
    tracemalloc.start()
    try:
        assert names_in(bytes(head) + listing) == set()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16 << 20
