# SPDX-License-Identifier: Apache-2.0
"""Released figures as files, with what has to be read with them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import warnings
from pathlib import Path

import polars as pl
import pytest
import python_calamine
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from accord.client import PartialCoverageWarning, Releases, concat
from accord.client.citation import notes_of
from accord.client.export import _harmless
from accord.client.result import Result
from accord.core.errors import ConfigurationError, InvalidQuery
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.made import ID, made

OTHER = "5b8f7c6d-1a2b-4c3d-8e4f-5a6b7c8d9e0f"

ROWS = {
    ("=1+2",): 0.1 + 0.2,
    ("@SUM(A1)",): None,
    ("-5-0",): -3.25,
    ("unknown",): 1234567.125,
}
NAMES = ["release", "edition", "cohort", "coverage", "region", "estimate", "lower"]
NAMES += ["upper", "sd", "whole_lower", "whole_upper", "suppressed", "why"]


def result() -> Result:
    """Return a release whose values a spreadsheet would compute."""
    return made(
        ROWS,
        ["region"],
        definitions=[pb.Definition(agency="a", dimension="region", text="by address")],
        dropped_share=0.031,
        unit="persons",
        denominator="persons with any case",
        whole_withheld="More than 10 % was dropped.",
    )


def test_csv_has_every_digit_and_no_formula(tmp_path: Path) -> None:
    """Suppressed is empty, with why; notes lie beside it."""
    file, notes = result().to_csv(tmp_path / "figures.csv")
    with file.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == NAMES
    assert [line["region"] for line in lines[:3]] == ["'=1+2", "'@SUM(A1)", "'-5-0"]
    assert float(lines[0]["estimate"]) == 0.1 + 0.2
    assert lines[2]["estimate"] == "-3.25"
    assert (lines[1]["estimate"], lines[1]["why"]) == ("", "small")
    assert {line["release"] for line in lines} == {ID}
    text = notes.read_text(encoding="utf-8")
    for said in (
        *("by address", "3.1%", "persons with any case", "More than 10 %"),
        *("cite as: Accord, agreement regional-trends version 1", ID, "3 of 3"),
    ):
        assert said in text


@given(st.text(min_size=1))
def test_no_text_begins_as_a_formula(text: str) -> None:
    """Whatever a board calls its values; and nothing else is changed."""
    written = _harmless(text)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert written.removeprefix("'") == text.removeprefix("'")


def test_parquet_has_the_numbers_as_they_are(tmp_path: Path) -> None:
    """And says in its metadata where they come from."""
    (file,) = result().export(tmp_path / "figures.parquet")
    frame = pl.read_parquet(file)
    assert frame["estimate"].to_list() == list(ROWS.values())
    assert frame["region"].to_list() == [values[0] for values in ROWS]
    said = json.loads(parquet.read_schema(file).metadata[b"accord"])
    assert (said["release"], said["unit"]) == (ID, "persons")


def test_excel_has_figures_as_numbers_and_a_sheet_of_notes(tmp_path: Path) -> None:
    """Texts are texts, whatever they begin with."""
    (file,) = result().export(tmp_path / "figures.XLSX")
    book = python_calamine.CalamineWorkbook.from_path(file)
    head, *lines = book.get_sheet_by_name("figures").to_python()
    assert head == NAMES
    place = head.index("estimate")
    assert lines[1][place] == ""
    shown = [line[place] for line in lines if line[place]]
    released = [value for value in ROWS.values() if value is not None]
    assert shown == pytest.approx(released, rel=1e-15)
    assert [line[head.index("region")] for line in lines] == [v[0] for v in ROWS]
    assert lines[1][head.index("why")] == "small"
    lines = book.get_sheet_by_name("notes").to_python()
    notes = {str(line[0]): line[1] for line in lines}
    assert notes["cite as"] == result().citation()
    assert notes["definition of region, a"] == "by address"
    assert "noise interval (lower, upper)" in notes
    assert "whole interval (whole_lower, whole_upper)" in notes
    assert notes["level of the whole interval"] == "More than 10 % was dropped."
    with file.open("rb") as stream:
        assert b"<f>" not in stream.read()


def two() -> Releases:
    """Return two editions; another agency is missing in each."""
    first = result()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PartialCoverageWarning)
        return concat(
            first,
            made(
                {("norvale",): 77.5, ("unknown",): None},
                ["region"],
                id=OTHER,
                edition="2026-10",
                coverage=pb.Coverage(answered=["a", "c"], missing=["b"], cohort="two"),
                definitions=[
                    pb.Definition(agency="a", dimension="region", text="by address")
                ],
                dropped_share=0.05,
                unit="persons",
                denominator="persons with any case",
                whole_withheld="More than 10 % was dropped.",
            ),
        )


def test_several_releases_are_one_table_and_every_row_names_its_own(
    tmp_path: Path,
) -> None:
    released = [each.columns()["estimate"] for each in two()]
    wanted = [value for column in released for value in column]
    ids = [ID] * len(released[0]) + [OTHER] * len(released[1])
    table, _ = two().export(tmp_path / "figures.csv")
    with table.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == NAMES
    assert [line["release"] for line in lines] == ids
    assert [float(x["estimate"]) if x["estimate"] else None for x in lines] == wanted
    (file,) = two().export(tmp_path / "figures.parquet")
    frame = pl.read_parquet(file)
    assert frame["release"].to_list() == ids
    assert frame["estimate"].to_list() == wanted
    said = json.loads(parquet.read_schema(file).metadata[b"accord"])
    assert [each["release"] for each in said["releases"]] == [ID, OTHER]
    (file,) = two().export(tmp_path / "figures.xlsx")
    book = python_calamine.CalamineWorkbook.from_path(file)
    assert book.sheet_names == ["figures", "notes"]
    head, *rows = book.get_sheet_by_name("figures").to_python()
    assert head == NAMES
    assert [row[0] for row in rows] == ids


def test_notes_of_several_releases_say_once_what_they_share(tmp_path: Path) -> None:
    """And of each one what is its own; nothing is left out."""
    together = two()
    _, notes = together.export(tmp_path / "figures.csv")
    lines = notes.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == [f"cite as: {line}" for line in together.citations()]
    assert lines.count("unit: persons") == 1
    assert lines.count("definition of region, a: by address") == 1
    assert f"edition, release {ID}: 2026-09" in lines
    assert f"edition, release {OTHER}: 2026-10" in lines
    assert not [line for line in lines if line.startswith("edition: ")]
    texts = "\n".join(lines)
    for each in together:
        for heading, text in notes_of(each):
            assert text in texts, heading
            assert (f"{heading}: {text}" in lines) != (
                f"{heading}, release {each.id}: {text}" in lines
            ) or heading == "release"


@pytest.mark.parametrize(
    "other",
    [
        made({("a",): 1.0}, ["region"], id=OTHER, measure="cases"),
        made({("a", "b"): 1.0}, ["region", "gender"], id=OTHER),
    ],
    ids=["another measure", "more dimensions"],
)
def test_other_columns_are_not_put_into_one_file(other: Result) -> None:
    with pytest.raises(InvalidQuery, match="only releases of one measure") as refused:
        concat(result(), other)
    assert refused.value.reason == "RELEASES_DIFFER"


def test_a_file_of_no_known_kind_or_place_is_refused(tmp_path: Path) -> None:
    """And nothing is left behind."""
    with pytest.raises(InvalidQuery, match=r"name it \.csv") as refused:
        result().export(tmp_path / "figures.doc")
    assert refused.value.reason == "EXPORT_KIND_UNKNOWN"
    with pytest.raises(ConfigurationError) as unwritable:
        result().export(tmp_path / "nowhere" / "figures.csv")
    assert unwritable.value.reason == "EXPORT_UNWRITABLE"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_when_the_new_one_is_whole(tmp_path: Path) -> None:
    """Nothing else stays in the folder."""
    file = tmp_path / "figures.csv"
    file.write_text("old")
    result().to_csv(file)
    assert file.read_text(encoding="utf-8").startswith("release,")
    assert {each.name for each in tmp_path.iterdir()} == {
        "figures.csv",
        "figures.notes.txt",
    }


def test_a_citation_is_one_line() -> None:
    """With all that finds the release again."""
    line = result().citation()
    assert "\n" not in line
    for said in (ID, "edition 2026-09", "3 of 3 agencies", "version 1", "95.0%"):
        assert said in line


def test_the_sdk_loads_no_library_for_frames_or_drawings() -> None:
    """They come when they are used; what is derived needs none of them."""
    program = (
        "import sys\n"
        "import accord.client, accord.client.derive, accord.client.consistent\n"
        "import accord.client.export\n"
        "heavy = {'pandas', 'polars', 'pyarrow', 'altair', 'numpy', 'scipy',"
        " 'xlsxwriter', 'sqlglot'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
