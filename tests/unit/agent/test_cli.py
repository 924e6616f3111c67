# SPDX-License-Identifier: Apache-2.0
"""The command, as an agency's staff types it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accord.agent.state import AgentState
from accord.core.members import exchange_text, kem_text
from accord.trust.keys import text_of
from tests.conftest import ROOT
from tests.unit.agent.agencies import MAPPING_TEXT, MODEL_TEXT, row, write_csv
from tests.unit.agent.agreements import agent
from tests.unit.agent.command import SCRIPT, Command, Said


class Agency:
    """A folder with a state, a mapping, a model and a source."""

    def __init__(self, folder: Path, command: Command) -> None:
        self.folder = folder
        self.command = command
        self.state = folder / "state"
        self.source = write_csv(folder / "cases.csv", [row(), row(number="2")])
        self.mapping = folder / "mapping.yaml"
        self.mapping.write_text(MAPPING_TEXT)
        self.model = folder / "small.yaml"
        self.model.write_text(MODEL_TEXT)

    def run(self, *arguments: str | Path, status: int = 0) -> Said:
        """Run the command and compare its exit status."""
        said = self.command(*arguments, "--state", self.state)
        assert said.status == status, said.stderr
        return said

    def json(self, *arguments: str | Path) -> dict[str, Any]:
        """Run the command with ``--json`` and return what it prints."""
        done = self.run(*arguments, "--json")
        assert done.stderr == ""
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def sources(self, *sources: Path) -> list[str | Path]:
        return ["--mapping", self.mapping, "--model", self.model, *sources]


@pytest.fixture
def agency(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Agency:
    return Agency(tmp_path, Command(monkeypatch, capsys))


def test_from_a_source_to_an_edition(agency: Agency) -> None:
    made = agency.json("init")
    opened = AgentState.open(agency.state)
    assert made == {"state": str(agency.state)} | agency.json("keys")
    assert agency.json("init") == made  # a second time changes nothing
    source = agency.sources(agency.source)
    report = agency.json("check", *source)
    assert report["rows"] == {"read": 2, "cases": 2, "repeated": 0, "refused": 0}
    assert agency.json("status")["parts"] == []
    done = agency.json("ingest", *source)
    assert done["report"] == report
    assert [(part["part"], part["cases"]) for part in done["parts"]] == [("files", 2)]
    assert agency.json("freeze") == {"frozen": [], "waiting": []}
    assert agent(opened).refresh()
    (frozen,) = agency.json("freeze")["frozen"]
    assert agency.json("editions") == {"editions": [frozen]}
    assert agency.json("status")["editions"] == [frozen]
    assert agency.json("remove", "files") == {"parts": []}


def test_people_get_tables(agency: Agency) -> None:
    agency.run("init")
    bad = write_csv(agency.folder / "bad.csv", [row(), row(region="Atlantis")])
    shown = agency.run("check", *agency.sources(bad)).stdout
    assert "out_of_domain" in shown
    assert "Nothing was stored." in shown
    agency.run("ingest", *agency.sources(bad))
    for command in ("status", "editions", "freeze"):
        assert agency.run(command).stdout


def test_errors_are_sentences_with_an_exit_status(agency: Agency) -> None:
    source = agency.sources(agency.source)
    assert "accord-agent init" in agency.run("check", *source, status=3).stderr
    agency.run("init")
    assert "joined no hub" in agency.run("run", status=3).stderr
    missing = agency.sources(agency.folder / "no.csv")
    assert "There is no file" in agency.run("check", *missing, status=3).stderr
    assert "no part 'x'" in agency.run("remove", "x", status=2).stderr
    agency.mapping.write_text(MAPPING_TEXT.replace("region:", "regoin:"))
    wrong = agency.run("check", *source, status=3).stderr
    assert "mapping.yaml:7:3" in wrong.replace("\n", "")
    assert "Did you mean 'region'?" in wrong
    assert agency.run("ingest", status=2).stdout == ""
    assert "No such option" in agency.run("check", "--bogus", status=2).stderr
    assert agency.run(status=2).stdout == ""


def test_a_program_of_its_own_shows_no_traceback(agency: Agency) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, "status"]
    done = subprocess.run(
        [*command, "--state", str(agency.state)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "accord-agent init" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_child_takes_no_module_from_where_the_agent_is_called() -> None:
    """Somebody may have put some beside the case files."""
    calls = [
        call
        for path in (ROOT / "agent").rglob("*.py")
        for call in re.findall(r"\[sys\.executable, [^]]*\]", path.read_text("utf-8"))
    ]
    assert len(calls) >= 2
    assert all(call.startswith('[sys.executable, "-P", ') for call in calls)


def test_the_name_of_a_file_steers_no_terminal(agency: Agency) -> None:
    agency.run("init")
    path = agency.source.with_name("a\033[2Jb\u202ec.csv")
    agency.source.rename(path)
    shown = agency.run("check", *agency.sources(path))
    path.write_text("x\n")
    told = agency.run("check", *agency.sources(path), status=3)
    for said in (shown.stdout, told.stderr):
        assert "c.csv" in said
        assert "\033" not in said
        assert "\u202e" not in said


def test_an_error_that_is_not_ours_says_its_type_only(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency.run("init")

    def broken(*_: object) -> None:
        message = "Ana Novak"
        raise LookupError(message)

    monkeypatch.setattr("accord.agent.cli.running.status_of", broken)
    said = agency.run("status", status=70)
    assert "LookupError" in said.stderr
    assert "Ana" not in said.stderr


def test_wrong_settings_stop_the_command(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency.run("init")
    with monkeypatch.context() as patch:
        patch.setenv("ACCORD_AGENT_UNSAFE_TESTMODE", "1")
        found = agency.run("status", status=3).stderr
    assert "ACCORD_AGENT_UNSAFE_TEST_MODE" in found
    (agency.state / "config.toml").write_text("[ingest]\nmemory = 3\n")
    source = agency.sources(agency.source)
    assert "config.toml: ingest.memory" in agency.run("check", *source, status=3).stderr


def test_unsafe_test_mode_is_loud(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency.run("init")
    with monkeypatch.context() as patch:
        patch.setenv("ACCORD_AGENT_UNSAFE_TEST_MODE", "1")
        assert "UNSAFE TEST MODE" in agency.run("run", status=3).stderr
        assert "UNSAFE TEST MODE" in agency.run("status").stdout
    assert agency.json("status")["unsafe_test_mode"] is False


def test_an_exposed_state_is_refused(agency: Agency) -> None:
    agency.run("init")
    agency.state.chmod(0o755)
    assert "0700" in agency.run("status", status=3).stderr


def test_lost_keys_are_not_replaced(agency: Agency) -> None:
    agency.run("init")
    agency.run("ingest", *agency.sources(agency.source))
    (agency.state / "keys" / "pseudonym.key").unlink()
    assert "restore" in agency.run("init", status=3).stderr
    assert (
        "is missing"
        in agency.run("check", *agency.sources(agency.source), status=3).stderr
    )


@pytest.mark.parametrize("token", ["", "nonsense", "accord_e1_AAAA"])
def test_a_wrong_token_is_refused_before_anything_is_dialled(
    agency: Agency, token: str
) -> None:
    arguments = ["enrol", "--hub", "127.0.0.1:9", "--token", token]
    assert agency.run(*arguments, status=4).stderr


def test_a_wrong_address_is_refused(agency: Agency) -> None:
    done = agency.run("enrol", "--hub", "a b", "--token", "x", status=3)
    assert "host:port" in done.stderr
    assert not agency.state.exists()


def test_the_board_gets_lines_for_its_list_of_members(agency: Agency) -> None:
    said = agency.run("init").stdout
    own = AgentState.open(agency.state).secret_keys("any").public
    public = text_of(AgentState.open(agency.state).agency_key())
    lines = [f"key: {public}", f"exchange: {exchange_text(own.exchange)}"]
    lines += [] if own.kem is None else [f"kem: {kem_text(own.kem)}"]
    assert said.splitlines()[-len(lines) :] == lines
    assert agency.run("keys").stdout.splitlines() == lines
    assert "board" in said
    assert agency.json("status")["agency_key"] == public
    assert public in agency.run("status").stdout
    key = agency.state / "keys" / "agency.key"
    content = key.read_bytes()
    assert agency.json("init", "--new-agency-key")["agency_key"] == public
    assert key.read_bytes() == content
