# SPDX-License-Identifier: Apache-2.0
"""Planted names, identifiers and free text come out nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.unit.agent.agencies import HEADER, MAPPING_TEXT, MODEL_TEXT, row, write_csv
from tests.unit.agent.command import Command

CANARIES = {
    "first": "Quokkaria",
    "last": "Żółwińska-Xanthippe",
    "number": "CASE-77231-ZQ",
    "notes": "was moved at night to the harbour of Vlissingen",
    "region": "Atlantis-under-Sea",
    "type": "labour;unheard-of-thing",
    "days": "741.9273",
    "born": "1987-11-23",
}


def spellings(text: str) -> set[bytes]:
    """Return the bytes by which *text* could be found again."""
    forms = {text, text.lower(), text.upper(), text.casefold()}
    return {
        form.encode(encoding)
        for form in forms
        for encoding in ("utf-8", "utf-16-le", "windows-1252")
        if encoding != "windows-1252" or form.isascii()
    }


SEARCHED = {text: spellings(text) for text in CANARIES.values() if len(text) > 6}


def found_in(content: bytes) -> list[str]:
    return [
        text
        for text, forms in SEARCHED.items()
        if any(form in content for form in forms)
    ]


class Folder:
    """A folder with a state, a mapping and a model."""

    def __init__(self, root: Path, command: Command) -> None:
        self.root = root
        self.command = command
        self.source = root / "cases.csv"
        (root / "mapping.yaml").write_text(MAPPING_TEXT)
        (root / "small.yaml").write_text(MODEL_TEXT)
        self.run("init")

    def run(self, *arguments: str) -> bytes:
        """Run the command and return everything that it said."""
        said = self.command(*arguments, "--state", self.root / "state")
        return (said.stdout + said.stderr).encode()

    def run_on_source(self, name: str, *extra: str) -> bytes:
        mapping = ["--mapping", f"{self.root}/mapping.yaml"]
        model = ["--model", f"{self.root}/small.yaml"]
        return self.run(name, str(self.source), *mapping, *model, *extra)


@pytest.fixture
def folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Folder:
    made = Folder(tmp_path, Command(monkeypatch, capsys))
    plant(made.source)
    return made


def plant(path: Path) -> None:
    """Write a source in which every canary stands in a good and in a bad row."""
    identity = {name: CANARIES[name] for name in ("first", "last", "born", "notes")}
    rows = [row(**identity, number=CANARIES["number"])]
    rows += [
        row(**identity, number=f"{number}") | {field: CANARIES[field]}
        for number, field in enumerate(("region", "type", "days", "number"))
    ]
    rows += [row(**identity, number="9"), row(**identity, number="9", region="south")]
    rows.append(row(**identity, number="10", date=CANARIES["first"]))
    write_csv(path, rows, HEADER)


def test_nothing_planted_comes_out(folder: Folder) -> None:
    assert len(found_in(folder.source.read_bytes())) == len(SEARCHED)
    said = b""
    for extra in ([], ["--json"]):
        said += folder.run_on_source("check", *extra)
        said += folder.run_on_source("ingest", *extra)
        for command in ("status", "editions", "freeze"):
            said += folder.run(command, *extra)
    assert found_in(said) == []
    assert b"case_conflict" in said
    files = [path for path in (folder.root / "state").rglob("*") if path.is_file()]
    assert len(files) > 15
    for path in files:
        assert found_in(path.read_bytes()) == [], path.name


def test_parquet_holds_numbers_only(folder: Folder) -> None:
    folder.run_on_source("ingest")
    (path,) = (folder.root / "state").rglob("cases.parquet")
    with duckdb.connect() as connection:
        rows = connection.execute(
            "DESCRIBE FROM read_parquet(?)", [str(path)]
        ).fetchall()
    assert {str(entry[1]) for entry in rows} <= {
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "INTEGER",
    }
    assert not {"notes", "first", "last", "born", "number"} & {row[0] for row in rows}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.replace(",", ";", 1),
        lambda line: f'"{line}',
        lambda line: f"{line},{line}",
        lambda line: f"{line}\0",
        lambda line: f"{line}\udcff",
    ],
)
def test_a_broken_line_is_not_shown(
    folder: Folder, spoil: Callable[[str], str]
) -> None:
    lines = folder.source.read_text().splitlines()
    lines[3] = spoil(lines[3])
    text = "\n".join(lines) + "\n"
    folder.source.write_bytes(text.encode(errors="surrogateescape"))
    said = folder.run_on_source("check")
    assert b"cases.csv, line 4" in said.replace(b"\n", b" ")
    assert found_in(said) == []
