# SPDX-License-Identifier: Apache-2.0
"""`accord policy explain`, `simulate` and `dossier` on files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from accord.client.cli.policy.dossier import dossier
from accord.client.cli.policy.explaining import explain, simulate
from accord.client.policy.query_log import write_log
from accord.core.errors import AccordError
from tests.unit.core.full_policy import FULL, PRESET, SIZED
from tests.unit.core.small_policies import BOARD, MODEL
from tests.unit.core.test_simulate import asked

app = typer.Typer(pretty_exceptions_enable=False)
for command in (explain, simulate, dossier):
    app.command()(command)


@pytest.fixture
def agreement(tmp_path: Path) -> Path:
    """Return the path of an agreement in a board's folder."""
    documents: Mapping[str, Mapping[str, Any]] = {
        "board.yaml": BOARD,
        "members.yaml": SIZED,
        "models/tiny-1.yaml": MODEL,
        "presets/careful.yaml": PRESET,
        "agreements/trends.yaml": FULL,
    }
    for name, document in documents.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
    return tmp_path / "agreements" / "trends.yaml"


def run(*arguments: object) -> str:
    """Run a command and return what it prints."""
    found = CliRunner().invoke(app, [str(each) for each in arguments])
    if found.exception is not None:
        raise found.exception
    return found.stdout


def reason(*arguments: object) -> str:
    """Run a command that fails and return why."""
    with pytest.raises(AccordError) as caught:
        run(*arguments)
    return caught.value.reason


def test_an_agreement_is_explained_with_its_board(agreement: Path) -> None:
    """In sections, or as JSON with clauses."""
    assert "held by Alice (alice)" in run("explain", agreement)
    found = json.loads(run("explain", agreement, "--json"))
    assert found["agreement"] == "trends"
    assert {"section", "clause", "code", "text"} == set(found["passages"][0])


def test_a_question_is_explained_with_lines(agreement: Path) -> None:
    """What is not named is taken as the agreement allows it."""
    allowed = ("--by", "place", "--epsilon", "1", "--on", "2026-06-01")
    found = json.loads(run("explain", agreement, *allowed, "--json"))
    assert found["permitted"]
    assert found["cost"]["half_width"] > 15
    refused = ("--by", "age:fine", "--where", "kind=a", "--on", "2026-06-01")
    found = json.loads(run("explain", agreement, *refused, "--json"))
    assert [each["clause"] for each in found["reasons"]] == [
        "may_ask.group_by.age",
        "may_ask.never_together",
    ]
    assert found["reasons"][0]["line"] == 1


def test_a_log_is_tried_and_kept(agreement: Path, tmp_path: Path) -> None:
    """From a file, within days, and written again."""
    log = tmp_path / "log.jsonl"
    log.write_text(write_log([asked(0), asked(1), asked(40)]), encoding="utf-8")
    kept = tmp_path / "kept.jsonl"
    common = ("simulate", agreement, "--log", log)
    found = json.loads(run(*common, "--json"))
    assert found["counts"]["answered"] == 1
    assert found["counts"]["from-archive"] == 2
    run(*common, "--since", "2026-05-01", "--until", "2026-05-02", "--save", kept)
    assert kept.read_text(encoding="utf-8") == write_log([asked(0), asked(1)])
    assert "3 questions were asked" in run(*common)


def test_a_dossier_is_printed_or_written(agreement: Path, tmp_path: Path) -> None:
    """One part to a file, all of them to a folder; a PDF never to the terminal."""
    assert "DRAFT FOR COUNSEL" in run("dossier", agreement, "--part", "breach")
    folder = tmp_path / "drafts"
    run("dossier", agreement, "--format", "pdf", "--output", folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        f"trends-{part}.pdf"
        for part in ("annex", "assessment", "breach", "orders", "record")
    ]
    assert (folder / names[0]).read_bytes().startswith(b"%PDF")
    single = tmp_path / "x.md"
    run("dossier", agreement, "--part", "record", "-o", single, "--on", "2026-03-01")
    assert "2026-03-01" in single.read_text(encoding="utf-8")


def test_mistakes_have_reasons(agreement: Path, tmp_path: Path) -> None:
    """Each is one sentence with a way out."""
    assert reason("dossier", agreement, "--format", "pdf") == "OUTPUT_NEEDED"
    blocked = agreement / "below" / "x.md"
    common = ("dossier", agreement, "--part", "record")
    assert reason(*common, "-o", blocked) == "OUTPUT_UNWRITABLE"
    assert reason(*common, "--on", "soon") == "DAY_INVALID"
    assert reason("explain", agreement, "--where", "age") == "FILTER_MALFORMED"
    members = tmp_path / "members.yaml"
    assert reason("explain", members) == "NOT_AN_AGREEMENT"
    missing = tmp_path / "none.jsonl"
    assert reason("simulate", agreement, "--log", missing) == "LOG_UNREADABLE"
    assert reason("simulate", agreement, "--log", agreement) == "LOG_MALFORMED"
