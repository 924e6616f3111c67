# SPDX-License-Identifier: Apache-2.0
"""Files that cannot be read, and those that can although they look strange."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest

from accord.agent.intake.ingest import check
from accord.agent.intake.report import Report
from accord.agent.machine.looking import is_seen, may_be_file
from accord.agent.sources.form import SourceForm
from accord.agent.sources.opening import open_file
from accord.core.document import DocumentError
from accord.core.errors import InvalidQuery, SourceError
from tests.unit.agent.agencies import LIMITS, mapping, new_state
from tests.unit.agent.other_user import hidden

TEXT = """\
mapping: files
data_model: small
source: {source}
person: [name]
dimensions:
  region: {{column: region}}
"""


def checked(
    tmp_path: Path, content: bytes, source: str = "{}", name: str = "a.csv"
) -> Report:
    path = tmp_path / name
    path.write_bytes(content)
    state = new_state(tmp_path / "state")
    try:
        return check(state, mapping(TEXT.format(source=source)), [path], LIMITS)
    finally:
        assert not list(state.scratch.iterdir())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "a.csv is empty"),
        (b"\n \n", "a.csv is empty"),
        (b"\nname,region\nAna,north\n", "line 1: this line is empty.*header_row: 2"),
        (b"name,region\nAna,north\nBela\n", r"line 3 \(row 2\): it has 1 fields"),
        (b"name,region\nAna,north,x\n", r"line 2 \(row 1\): it has 3 fields"),
        (b'name,region\nAna,north\n"B\nC",north\nD\n', r"line 5 \(row 3\)"),
        (b'name,region\nAna,north\nBela,"south\nCyril,west\n', "line 3: a quote"),
        (b'name,region\n"Ana"x,north\n', "line 2: a quote"),
        (b"name,region\nAna,north\nB\0ela,south\n", "line 3: there is a NUL"),
        (b"name,region\nAna,north\nN\xfa\xf1ez,west\n", "line 3: this is not UTF-8"),
        (b'"name,region\nAna,north\n', "line 1: a quote in the header"),
        (b"n\0a\0m\0e\0,\0r\0\n\0", "line 1: there is a NUL.*utf-16"),
    ],
)
def test_a_broken_file_is_named_with_its_line(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    with pytest.raises(SourceError, match=sentence) as caught:
        checked(tmp_path, content)
    for secret in ("Ana", "Bela", "north", "west"):
        assert secret not in str(caught.value)


def test_names_that_differ_in_case_are_suggested(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        checked(tmp_path, b"Name,Region\nAna,north\n")
    for name in ("Name", "Region"):
        assert f"no column '{name.lower()}'. Did you mean '{name}'?" in str(
            caught.value
        )


def test_windows_1252_is_suggested_and_then_read(tmp_path: Path) -> None:
    content = "name,region\nNúñez,north\n".encode("windows-1252")
    with pytest.raises(SourceError, match="encoding: windows-1252"):
        checked(tmp_path, content)
    report = checked(tmp_path, content, "{encoding: windows-1252}")
    assert report.kept == 1


def test_a_byte_that_windows_1252_lacks_is_found(tmp_path: Path) -> None:
    content = b"name,region\nAna,north\n\x81,south\n"
    with pytest.raises(SourceError, match="line 3: this is not windows-1252"):
        checked(tmp_path, content, "{encoding: windows-1252}")


@pytest.mark.parametrize(
    ("content", "source", "meant"),
    [
        ("name,region\n".encode("utf-16"), "{encoding: utf-8}", "utf-16"),
        ("name,region\n".encode("utf-8-sig"), "{encoding: windows-1252}", "utf-8"),
        ("name,region\n".encode("utf-8-sig"), "{encoding: utf-16}", "utf-8"),
    ],
)
def test_the_mark_at_the_start_says_more_than_the_mapping(
    tmp_path: Path, content: bytes, source: str, meant: str
) -> None:
    with pytest.raises(SourceError, match=f"encoding: {meant}"):
        checked(tmp_path, content, source)


@pytest.mark.parametrize(
    ("content", "source"),
    [
        (b"name,region\nAna,north\nBela,south", "{}"),
        (b"name,region\r\nAna,north\r\nBela,south\r\n", "{}"),
        (b"name,region\r\nAna,north\nBela,south\r\n", "{}"),
        (b"name,region\n\nAna,north\n\nBela,south\n\n", "{}"),
        (b"name;region\nAna;north\nBela;south\n", "{}"),
        (b"name\tregion\nAna\tnorth\nBela\tsouth\n", "{}"),
        (b"name|region\nAna|north\nBela|south\n", "{}"),
        (b"name#region\nAna#north\nBela#south\n", "{separator: '#'}"),
        (b'" name ","region"\n"A, ""na""",NORTH\nBela, south \n', "{}"),
        ("\ufeffname,region\nAna,north\nBela,south\n".encode(), "{}"),
        ("name,region\nAna,north\nBela,south\n".encode("utf-16"), "{encoding: utf-16}"),
    ],
)
def test_usual_forms_are_read(tmp_path: Path, content: bytes, source: str) -> None:
    report = checked(tmp_path, content, source)
    assert (report.read, report.kept, report.persons) == (2, 2, 2)


def test_a_line_break_within_quotes_belongs_to_the_text(tmp_path: Path) -> None:
    report = checked(tmp_path, b'name,region\n"An\na",north\nBela,south\n')
    assert (report.read, report.persons) == (2, 2)


def test_a_packed_file_is_read(tmp_path: Path) -> None:
    content = gzip.compress(b"name,region\nAna,north\n")
    assert checked(tmp_path, content, name="a.csv.gz").kept == 1
    with pytest.raises(SourceError, match="damaged gzip"):
        checked(tmp_path, content[:-9], name="b.csv.gz")
    with pytest.raises(SourceError, match="damaged gzip"):
        checked(tmp_path, b"name,region\n", name="c.csv.gz")


@pytest.mark.parametrize("name", ["cases[1].csv", "ca*es1.csv", "cases?.csv"])
def test_a_file_is_read_whose_name_looks_like_a_pattern(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "cases1.csv").write_bytes(b"name,region\nAna,north\nBela,south\n")
    assert checked(tmp_path, b"name,region\nCyril,west\n", name=name).read == 1


def test_a_parquet_file_is_read_whose_name_looks_like_a_pattern(
    tmp_path: Path,
) -> None:
    for name, rows in (("cases1.parquet", 2), ("cases[1].parquet", 1)):
        duckdb.execute(
            f"COPY (SELECT 'Ana' AS name, 'north' AS region FROM range({rows})) "
            f"TO '{tmp_path / name}'"
        )
    content = (tmp_path / "cases[1].parquet").read_bytes()
    assert checked(tmp_path, content, name="cases[1].parquet").read == 1


@pytest.mark.parametrize("source", ["{}", "{encoding: mac-roman}", "{header_row: 2}"])
@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_end_as_each_system_ends_them(
    tmp_path: Path, source: str, end: str
) -> None:
    lines = ["name,region", "Ana,north", "Bela,south", ""]
    lines = ["Export of 2026", *lines] if "header_row" in source else lines
    report = checked(tmp_path, end.join(lines).encode(), source)
    assert (report.read, report.kept) == (2, 2)


def test_a_packed_file_of_an_old_macintosh_is_read(tmp_path: Path) -> None:
    content = gzip.compress(b"name,region\rAna,north\r")
    assert checked(tmp_path, content, name="a.csv.gz").read == 1


def test_a_return_in_the_last_line_is_said_where_totals_are_sought(
    tmp_path: Path,
) -> None:
    content = b"name,region\nAna,north\nTo\rtal,south\n"
    with pytest.raises(SourceError, match="line 3"):
        checked(tmp_path, content, "{totals: {name: total}}")


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert checked(tmp_path, b"name,region\n").read == 0


def test_an_unknown_ending_asks_for_the_format(tmp_path: Path) -> None:
    content = b"name,region\nAna,north\n"
    with pytest.raises(SourceError, match="format: csv"):
        checked(tmp_path, content, name="a.dat")
    assert checked(tmp_path, content, "{format: csv}", name="b.dat").kept == 1


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.xlsx"])
def test_a_file_in_another_users_folder_says_whose_right_is_missing(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / name).write_bytes(b"name,region\n")
    with (
        hidden(folder),
        pytest.raises(SourceError, match="the user who runs the agent") as caught,
    ):
        open_file(folder / name, SourceForm(), tmp_path, 0)
    assert caught.value.reason == "SOURCE_UNREADABLE"


def test_what_is_hidden_is_no_mistake_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert is_seen(tmp_path / "a")
    assert may_be_file(tmp_path / "a")
    assert not may_be_file(tmp_path)
    with hidden(tmp_path):
        found = is_seen(tmp_path / "a"), may_be_file(tmp_path / "a")
    assert found == (False, True)
    assert not is_seen(tmp_path / "b")
    assert not may_be_file(tmp_path / "b")


@pytest.mark.parametrize("by", ["name", "link", "hard link"])
def test_a_file_that_is_named_twice_is_not_counted_twice(
    tmp_path: Path, by: str
) -> None:
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes(b"name,region\nAna,north\n")
    if by == "link":
        other.symlink_to(path)
    elif by == "hard link":
        other.hardlink_to(path)
    else:
        other = tmp_path / "." / ".." / tmp_path.name / "a.csv"
    state = new_state(tmp_path / "state")
    read_by = mapping(TEXT.format(source="{}"))
    with pytest.raises(InvalidQuery, match="are one file") as caught:
        check(state, read_by, [path, other], LIMITS)
    assert caught.value.reason == "SOURCES_WRONG"


def test_files_of_one_content_are_two(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        path.write_bytes(b"name,region\nAna,north\n")
    state = new_state(tmp_path / "state")
    read_by = mapping(TEXT.format(source="{}"))
    assert check(state, read_by, paths, LIMITS).kept == 2


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    with pytest.raises(SourceError, match="There is no file"):
        check(state, mapping(TEXT.format(source="{}")), [tmp_path / "no.csv"], LIMITS)


def test_a_long_file_is_decoded_in_pieces(tmp_path: Path) -> None:
    lines = ["name,region", *(f"é{number:060d},north" for number in range(80_000))]
    content = "\n".join(lines).encode()
    assert checked(tmp_path, content).kept == 80_000
    broken = content + b"\n\xff,north\n"
    with pytest.raises(SourceError, match="line 80002"):
        checked(tmp_path, broken, name="b.csv")
