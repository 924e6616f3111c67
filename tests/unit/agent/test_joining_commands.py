# SPDX-License-Identifier: Apache-2.0
"""``init`` and ``draft`` as staff types them, with and without a terminal."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from accord.agent.intake.parts import parts_of
from accord.agent.state import AgentState
from tests.unit.agent.case_files import SECRET_NAMES, SECRET_NOTES, columns, refuge
from tests.unit.agent.command import Command, Said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACCORD_AGENT_STATE", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def run(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    assert folder.is_dir()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return Command(monkeypatch, capsys)


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True


def no_secret(said: Said) -> None:
    for secret in (*SECRET_NAMES, SECRET_NOTES, "García"):
        assert secret not in said.stdout + said.stderr


def test_three_commands_become_one_where_nothing_is_open(
    run: Command, folder: Path
) -> None:
    """State, keys, mapping, check and ingest."""
    content = {
        "Client ID": [f"C{number}" for number in range(40)],
        "Date of registration": ["2025-03-01"],
        "Sex": ["F", "M"],
        "Nationality": ["Albanian", "Nigeria", "VNM"],
    }
    file = columns(folder / "cases.csv", content)
    said = run("init", file, "--person", "Client ID")
    assert said.status == 0, said.stderr
    assert "key: ed25519:" in said.stdout
    assert "`accord-agent enrol`" in said.stdout.splitlines()[-1]
    (part,) = parts_of(AgentState(folder / "state").current).values()
    assert (part.name, part.rows, part.persons) == ("cases", 60, 40)


def test_what_is_open_is_told_and_the_same_command_goes_on(
    run: Command, folder: Path
) -> None:
    file = refuge(folder / "refugio.csv")
    said = run("init", file)
    assert said.status == 0, said.stderr
    no_secret(said)
    assert "2 questions are open" in said.stdout
    assert "run the same command again" in said.stdout.splitlines()[-1]
    mapping = folder / "state" / "mappings" / "refugio.yaml"
    text = mapping.read_text("utf-8")
    refused = run("check", file, "--mapping", mapping)
    assert refused.status == 3
    assert "a question of the draft is open" in refused.stderr
    again = run("init", file)
    assert again.status == 3
    assert "a question of the draft is open" in again.stderr
    person = text.replace("person: TODO", "person: [Nombre, Apellidos]")
    mapping.write_text(person.replace(": TODO", ": other"), "utf-8")
    done = run("init", file)
    assert done.status == 0, done.stderr
    no_secret(done)
    assert "is there already and is used as it is" in done.stdout
    assert parts_of(AgentState(folder / "state").current)["refugio"].rows == 120


def test_a_look_stores_nothing(run: Command, folder: Path) -> None:
    file = columns(folder / "cases.csv", {"Sex": ["F", "M"]})
    said = run("init", file, "--person", "row_number", "--check-only")
    assert said.status == 0, said.stderr
    assert "Nothing was stored." in said.stdout
    assert not parts_of(AgentState(folder / "state").current)


def test_programs_are_told_what_is_open_and_no_code(run: Command, folder: Path) -> None:
    file = refuge(folder / "refugio.csv")
    said = run("init", file, "--json")
    found = json.loads(said.stdout)
    assert (found["open"], found["stored"]) == (2, False)
    assert found["agency_key"].startswith("ed25519:")
    assert "Rarísimo" not in said.stdout
    no_secret(said)
    done = run("init", file, "-o", folder / "other.yaml", "--json")
    assert json.loads(done.stdout)["mapping"] == str(folder / "other.yaml")


def test_options_of_a_source_need_one(run: Command) -> None:
    said = run("init", "--person", "row_number")
    assert said.status == 2
    assert "go with a SOURCE only" in said.stderr


def test_somebody_at_a_terminal_is_asked(
    run: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = refuge(folder / "refugio.csv")
    typed = f"{folder / 'nothing.csv'}\n{file}\n1\nother\nyes\n"
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    said = run("init")
    assert said.status == 0, said.stderr
    asked = " ".join(said.stderr.split())
    assert "There is no file" in asked
    assert "Which columns identify a person?" in asked
    assert "what does 'Rarísimo' mean as 'Type of exploitation'?" in asked
    assert "Store this?" in asked
    assert parts_of(AgentState(folder / "state").current)["refugio"].persons == 120
    no_secret(said)


@pytest.mark.parametrize("typed", ["no\n", "\n", ""])
def test_nothing_is_stored_without_a_yes(
    run: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    file = columns(folder / "cases.csv", {"Sex": ["F", "M"]})
    monkeypatch.setattr(sys, "stdin", Terminal("1\n" + typed))
    said = run("init", file)
    assert said.status == 0, said.stderr
    assert "Nothing was stored." in said.stdout
    assert not parts_of(AgentState(folder / "state").current)


def test_an_empty_line_means_later(
    run: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("\n"))
    said = run("init")
    assert said.status == 0, said.stderr
    assert "key: ed25519:" in said.stdout
    assert not (folder / "state" / "mappings").exists()


def test_a_draft_goes_where_it_is_wanted(run: Command, folder: Path) -> None:
    assert run("init").status == 0
    file = columns(folder / "cases.csv", {"Sex": ["F", "M"]})
    shown = run("draft", file, "--person", "cases-only")
    assert "person: cases only" in shown.stdout
    out = folder / "mine.yaml"
    assert run("draft", file, "-o", out).status == 0
    assert "person: TODO" in out.read_text("utf-8")
    taken = run("draft", file, "-o", out)
    assert taken.status == 4
    assert "is not overwritten" in taken.stderr
    nowhere = run("draft", file, "-o", folder / "no" / "where" / "x.yaml")
    assert nowhere.status == 3
    assert "cannot be written" in nowhere.stderr
    found = json.loads(run("draft", file, "--profile", "none", "--json").stdout)
    assert found["dimensions"] == {"gender": ["Sex"]}
    assert found["open"] == 1


def test_a_draft_needs_an_agent_and_a_file(run: Command, folder: Path) -> None:
    said = run("draft", folder / "cases.csv")
    assert said.status == 3
    assert "accord-agent init" in said.stderr
    run("init")
    said = run("draft", folder / "cases.csv")
    assert said.status == 3
    assert "There is no file" in said.stderr
    file = columns(folder / "cases.csv", {"Sex": ["F"]})
    said = run("draft", file, "--profile", "htcd")
    assert said.status == 2
    assert "PROFILE" not in said.stdout
    assert "Did you mean 'htcds'?" in said.stderr


def test_another_model_is_drafted_for(run: Command, folder: Path) -> None:
    run("init")
    model = folder / "model.yaml"
    model.write_text(
        "data_model: tiny\n"
        "dimensions:\n"
        "  colour: {title: Colour, levels: [colour], values: [red, blue]}\n",
        "utf-8",
    )
    file = columns(folder / "cases.csv", {"Colour": ["RED", "blue"], "Sex": ["F"]})
    said = run("draft", file, "--model", model, "--person", "row_number")
    assert said.status == 0, said.stderr
    assert "data_model: tiny" in said.stdout
    assert "colour: {column: Colour}" in said.stdout
