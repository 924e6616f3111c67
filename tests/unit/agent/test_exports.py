# SPDX-License-Identifier: Apache-2.0
"""Exports of hotlines and web forms: their habits, and what a mapping says of them."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.intake.coders import coders
from accord.agent.intake.codes import Reason
from accord.agent.intake.dates import day_number, period_reader, zone_called
from accord.agent.intake.ingest import check
from accord.agent.intake.report import Report
from accord.agent.sources.form import Encoding
from accord.agent.sources.table import told_apart
from accord.core.document import DocumentError
from accord.core.errors import SourceError
from tests.unit.agent.agencies import LIMITS, mapping, new_state

TEXT = """\
mapping: files
data_model: small
source: {source}
person: [name]
dimensions:
  region: {{column: region}}
"""


NAMES = [
    *("Núñez", "Žukas", "Şahin", "Иванова", "Παππάς", "سارة", "שרה", "สมชาย", "Ngô"),
    *("陳", "佐藤", "김"),
]


def checked(
    tmp_path: Path, content: bytes, source: str = "{}", text: str = TEXT
) -> Report:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    state = new_state(tmp_path / "state")
    return check(state, mapping(text.format(source=source)), [path], LIMITS)


@pytest.mark.parametrize("encoding", get_args(Encoding))
def test_every_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    names = [
        name
        for name in NAMES
        if name == name.encode(encoding, "ignore").decode(encoding)
    ]
    lines = ["name,region", "Ana,north", *(f"{name},south" for name in names)]
    content = "\n".join(lines).encode(encoding)
    for start in (b"", mark.get(encoding, b"")):
        report = checked(tmp_path, start + content, f"{{encoding: {encoding}}}")
        assert report.kept == report.persons == 1 + len(names)
    assert names


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_names_the_encoding(tmp_path: Path, encoding: str) -> None:
    content = "name\tregion\nשרה\tnorth\n".encode(encoding)
    assert checked(tmp_path, content).kept == 1


def test_a_wrong_old_encoding_is_found_where_it_can_be(tmp_path: Path) -> None:
    content = "name,region\nAna,north\nŞahin,south\n".encode("windows-1254")
    with pytest.raises(SourceError, match="line 3: this is not shift_jis"):
        checked(tmp_path, content[:-10] + b"\xfd\xff\n", "{encoding: shift_jis}")


def test_lines_above_the_header_are_left_away(tmp_path: Path) -> None:
    content = b'"Calls; all\nof 2024"\n\nname;region\nAna;north\nBela;south\nC\n'
    source = "{header_row: 4}"
    report = checked(tmp_path, content[:-2], source)
    assert (report.read, report.kept) == (2, 2)
    with pytest.raises(SourceError, match=r"line 7 \(row 3\): it has 1 fields"):
        checked(tmp_path, content, source)
    with pytest.raises(SourceError, match="no header in line 9"):
        checked(tmp_path, content, "{header_row: 9}")
    with pytest.raises(DocumentError, match="header_row: 3"):
        checked(tmp_path, content.replace(b"Calls; all", b"Calls"))


def test_lines_of_a_macintosh_are_read(tmp_path: Path) -> None:
    report = checked(tmp_path, b"name,region\rAna,north\rBela,south\r")
    assert (report.read, report.kept) == (2, 2)


TOTALS = "{totals: {name: [Total, Grand total]}}"


@pytest.mark.parametrize("last", ["Total,12", " GRAND TOTAL ,", "total", '"Total",9\n'])
def test_a_line_of_totals_is_no_record(tmp_path: Path, last: str) -> None:
    content = f"name,region\nAna,north\nTotality,south\n{last}".encode()
    report = checked(tmp_path, content, TOTALS)
    assert (report.read, report.kept, report.refused) == (3, 2, 1)
    refusal = report.refusals["", Reason.TOTAL_LINE]
    assert report.rows_named(refusal) == "3"


@pytest.mark.parametrize("last", ["Total", "Total\n", "Total\n\n\n"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_short_line_of_totals_ends_as_the_other_lines(
    tmp_path: Path, last: str, line_end: str
) -> None:
    content = f"name,region\nAna,north\n{last}".replace("\n", line_end)
    report = checked(tmp_path, content.encode(), TOTALS)
    assert (report.read, report.kept, report.refused) == (2, 1, 1)


def test_a_short_line_elsewhere_stays_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"line 2 \(row 1\): it has 1 fields"):
        checked(tmp_path, b"name,region\nTotal\nAna,north\n", TOTALS)


def test_a_record_over_several_lines_at_the_end_is_left_as_it_is(
    tmp_path: Path,
) -> None:
    content = b'name,region\n"An\na ""x"" b\nc",north\n'
    assert checked(tmp_path, content, TOTALS).kept == 1
    with pytest.raises(SourceError, match=r"line 2 \(row 1\): it has 1 fields"):
        checked(tmp_path, b"name,region\nAna\n", TOTALS)


def test_without_the_word_a_total_would_be_a_person(tmp_path: Path) -> None:
    """Why the mapping can say it."""
    report = checked(tmp_path, b"name,region\nAna,north\nTotal,\n")
    assert report.persons == 2


def test_the_column_of_totals_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no column 'Month'"):
        checked(tmp_path, b"name,region\nAna,north\n", "{totals: {Month: Total}}")


@given(st.lists(st.sampled_from(["a", "b", " a", "", "a (1)"]), max_size=8))
def test_numbered_names_can_be_told_apart(names: list[str]) -> None:
    found = told_apart(names)
    assert len(found) == len(names)
    for name in ("a", "b"):
        times = [each.strip() for each in names].count(name)
        if times == 1:
            assert found.count(name) == 1
        elif times:
            assert name not in found
            assert {f"{name} ({each})" for each in range(1, times + 1)} <= set(found)


def test_a_header_may_have_line_breaks_and_cannot_steer_a_terminal(
    tmp_path: Path,
) -> None:
    text = TEXT.replace("[name]", "[name of the client]")
    content = b'"name\nof  the\nclient",region\nAna,north\n'
    assert checked(tmp_path, content, text=text).kept == 1
    with pytest.raises(DocumentError, match=r"It has: \S\[2Jx, region") as caught:
        checked(tmp_path, b"\x1b[2Jx,region\nAna,north\n")
    assert "\x1b" not in str(caught.value)


FLAGS = """\
mapping: files
data_model: small
source: {source}
person: [name]
dimensions:
  exploitation_type:
    flags: {{work: labour, sex: sexual}}
    yes: [Checked, X, Ja]
    no: [Unchecked, "-"]
"""


def test_choices_have_columns_with_words_of_their_own(tmp_path: Path) -> None:
    content = (
        "name,work,sex\nAna,Checked,Unchecked\nBela,x,JA\nCyril,-,-\nDora,,\nEva,yes,\n"
    )
    report = checked(tmp_path, content.encode(), text=FLAGS)
    assert (report.read, report.kept) == (5, 4)
    assert report.recorded["exploitation_type"] == 3
    assert ("exploitation_type", Reason.UNKNOWN_CODE) in report.refusals


def test_words_go_with_flags_only() -> None:
    text = TEXT.format(source="{}").replace("column: region", "column: region, yes: X")
    with pytest.raises(DocumentError, match="goes only with flags"):
        mapping(text)


@pytest.mark.parametrize(
    ("form", "text", "zone", "month"),
    [
        ("day", "2024-03-31T23:30:00Z", None, "2024-03"),
        ("day", "2024-03-31T23:30:00Z", "Europe/Vienna", "2024-04"),
        ("day", "2024-03-31 23:30:00 UTC", "Europe/Vienna", "2024-04"),
        ("day", "2024-03-31T21:30:00.123Z", "Europe/Vienna", "2024-03"),
        ("day", "2024-04-01T00:30:00+02:00", "America/New_York", "2024-03"),
        ("day", "2024-04-01T00:30:00+0200", "Europe/Vienna", "2024-04"),
        ("day", "2024-04-01 00:30+02", "UTC", "2024-03"),
        ("day", "2024-03-31T20:00:00-05:00", "UTC", "2024-04"),
        ("day", "2024-03-31T23:30:00", "Asia/Tokyo", "2024-03"),
        ("day", "2024-03-31", "Asia/Tokyo", "2024-03"),
        ("day", "2024-03-31 9:30Z", "Asia/Tokyo", "2024-03"),
        ("day", "2024-03-31 9:30:15Z", "Asia/Tokyo", "2024-03"),
        ("day", "2024-03-31T25:30:00Z", "UTC", None),
        ("day", "2024-02-31T10:00:00Z", "UTC", None),
        ("day", "0001-01-01T00:00:00+01:00", "UTC", None),
        ("day", "9999-12-31T23:00:00-05:00", "UTC", None),
        ("day", "2024-03-31T::::Z", "UTC", None),
        ("%d/%m/%Y %H:%M %z", "31/03/2024 23:30 +0000", "Europe/Vienna", "2024-04"),
        ("%d/%m/%Y %H:%M %z", "31/03/2024 23:30 +0000", None, "2024-03"),
        ("%d/%m/%Y %H:%M", "31/03/2024 23:30", "Europe/Vienna", "2024-03"),
        ("%d/%m/%Y %z", "01/01/0001 +0100", "UTC", None),
    ],
)
def test_a_moment_falls_on_the_day_that_it_was_there(
    form: str, text: str, zone: str | None, month: str | None
) -> None:
    read = period_reader(form, None if zone is None else zone_called(zone))
    assert read(text) == month


@pytest.mark.parametrize(
    ("form", "text", "period"),
    [
        ("day", "٢٠٢٤-٠٣-٣١", "2024-03"),
        ("day", "۲۰۲۴-۰۳-۳۱", "2024-03"),
        ("month", "٢٠٢٤-٠٣", "2024-03"),
        ("quarter", "٢٠٢٤-Q٢", "2024-Q2"),
        ("year", "२०२४", "2024"),
        ("%d/%m/%Y", "٣١/٠٣/٢٠٢٤", "2024-03"),
        ("%d/%m/%Y", "٣١/٠٢/٢٠٢٤", None),
        ("year", "二〇二四", None),
        ("year", "²⁰²⁴", None),
    ],
)
def test_digits_of_other_scripts_are_digits(
    form: str, text: str, period: str | None
) -> None:
    assert period_reader(form)(text) == period


def test_a_day_of_birth_may_have_digits_of_another_script() -> None:
    assert day_number("٣١/٠٣/٢٠٢٤", ["%d/%m/%Y"]) == 2024_03_31


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_text_breaks_a_reader_of_days(text: str) -> None:
    zone = zone_called("Asia/Kathmandu")
    for form in ("day", "%Y-%m-%d", "%d/%m/%Y %H:%M %z"):
        for each in (text, f"2024-02-03T{text}", f"2024-02-03T10:00:00{text}"):
            period_reader(form, zone)(each)


def test_the_zone_reaches_dates_and_ages() -> None:
    text = """\
mapping: files
data_model: small
source: {zone: Europe/Vienna}
person: row_number
dimensions:
  registered_month: {column: called, date: day}
  age_band: {birth_date: born, at: called}
"""
    found = {coder.name: coder for coder in coders(mapping(text))}
    month, age = found["registered_month"], found["age_band"]
    for coder in (month, age):
        coder.prepare("called", 1)
        coder.learn("called", 0, ["2025-05-31T23:00:00Z"])
    age.prepare("born", 1)
    age.learn("born", 0, ["2007-06-01"])
    import numpy as np

    ids = {"called": np.zeros(1, np.uint32), "born": np.zeros(1, np.uint32)}
    model = mapping(text).model
    code = month.code(ids, 1).columns["registered_month"][0]
    assert model.dimensions["registered_month"].leaves[code] == "2025-06"
    code = age.code(ids, 1).columns["age_band"][0]
    assert model.dimensions["age_band"].leaves[code] == "18-47"


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../../etc/passwd", "/etc/passwd"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(DocumentError, match="no such time zone"):
        mapping(TEXT.format(source=f"{{zone: {zone}}}"))
