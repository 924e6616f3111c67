# SPDX-License-Identifier: Apache-2.0
"""The commands of an agency's own rules, and what `status` says of trust."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from accord.agent.machine.account import account_name
from accord.agent.state import AgentState
from tests.unit.agent.agencies import new_state
from tests.unit.agent.agreements import agent
from tests.unit.agent.command import Command, Said


class Staff:
    """Types commands for one agency."""

    def __init__(self, state: AgentState, command: Command) -> None:
        self.state = state
        self.command = command

    def run(self, *arguments: str, status: int = 0) -> Said:
        said = self.command(*arguments, "--state", self.state.root)
        assert said.status == status, said.stderr
        return said

    def json(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json").stdout)
        return found


@pytest.fixture
def staff(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Staff:
    return Staff(new_state(tmp_path / "state"), Command(monkeypatch, capsys))


PERIOD_OF_ONE = (
    "All releases of 30 days under the agreement small-trends together may cost at "
    "most ε = 2."
)

SENTENCES = [
    ("rules veto dimension region", "No question may group by region or filter on it."),
    ("rules veto purpose planning", "Nothing is answered for the purpose “planning”."),
    ("rules veto analyst kim", "Nothing is answered to the analyst kim."),
    (
        "rules veto organisation observatory",
        "Nothing is answered to the organisation observatory.",
    ),
    (
        "rules veto agreement small-trends",
        "Nothing is answered under the agreement small-trends.",
    ),
    ("rules veto measure cases", "The measure cases is not answered."),
    ("rules cap release 0.5", "One release may cost at most ε = 0.5."),
    (
        "rules cap period 2 --days 30",
        "All releases of 30 days together may cost at most ε = 2.",
    ),
    (
        "rules cap period 2 --days 30 --agreement small-trends",
        PERIOD_OF_ONE,
    ),
    ("rules cohort-at-least 4", "At least 4 agencies must answer together."),
    ("stop-sharing", "Nothing is answered."),
]


def test_every_rule_is_a_sentence_in_the_list(staff: Staff) -> None:
    assert "no rules" in staff.run("rules", "list").stdout
    for number, (words, text) in enumerate(SENTENCES, 1):
        said = staff.run(*words.split(), "--reason", f"because of {number}")
        assert said.stdout == f"Rule {number} is in force: {text}\n"
        known = "analyst" in words or not re.search("veto|agreement", words)
        assert (said.stderr == "") is known  # no agreement is in force yet
    shown = staff.run("rules", "list").stdout.splitlines()
    assert len(shown) == len(SENTENCES)
    for number, (line, (_, text)) in enumerate(zip(shown, SENTENCES, strict=True), 1):
        assert line.startswith(f"{number}: {text} Made by {account_name()}, ")
        assert line.endswith(f"Reason: because of {number}")
    listed = staff.json("rules", "list")["rules"]
    assert [each["text"] for each in listed] == [text for _, text in SENTENCES]
    assert staff.json("status")["rules"] == listed
    assert SENTENCES[0][1] in staff.run("status").stdout


def test_a_removed_rule_is_remembered(staff: Staff) -> None:
    made = staff.json("rules", "veto", "analyst", "kim", "--reason", "left")["rule"]
    assert (made["id"], made["made_by"], made["reason"]) == (1, account_name(), "left")
    assert staff.json("rules", "remove", "1")["removed"][0]["id"] == 1
    assert staff.json("rules", "list") == {"rules": []}
    (kept,) = staff.json("rules", "list", "--all")["rules"]
    assert kept["removed_by"] == account_name()
    assert "Removed by" in staff.run("rules", "list", "--all").stdout
    assert "rules list" in staff.run("rules", "remove", "1", status=2).stderr


def test_who_made_a_rule_is_not_what_the_environment_says(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "somebody-else")
    made = staff.json("rules", "veto", "analyst", "kim", "--reason", "x")["rule"]
    assert made["made_by"] in (Path(staff.state.root).owner(), f"user {os.getuid()}")


def test_stopping_and_resuming_need_a_reason(staff: Staff) -> None:
    assert "--reason" in staff.run("stop-sharing", status=2).stderr
    assert "--reason" in staff.run("resume-sharing", status=2).stderr
    said = staff.run("resume-sharing", "--reason", "x").stdout
    assert "was not stopped" in said
    staff.run("stop-sharing", "--reason", "a court order")
    staff.run("stop-sharing", "--reason", "again")
    assert "goes on" in staff.run("resume-sharing", "--reason", "over").stdout
    assert staff.json("rules", "list") == {"rules": []}
    (kept,) = staff.json("rules", "list", "--all")["rules"]
    assert (kept["reason"], kept["removed_because"]) == ("a court order", "over")


def test_a_misspelt_name_is_pointed_out_and_kept(staff: Staff) -> None:
    said = staff.run("rules", "veto", "dimension", "anything")  # nothing is in force
    assert "no agreement in force here knows the dimension 'anything'" in said.stderr
    agent(staff.state).refresh()
    said = staff.run("rules", "veto", "dimension", "regoin")
    assert "Did you mean 'region'?" in said.stderr
    assert "Rule 2 is in force" in said.stdout
    assert staff.run("rules", "veto", "dimension", "Region").stderr == ""
    assert staff.run("rules", "veto", "analyst", "anybody").stderr == ""
    for what in ("purpose", "organisation", "agreement", "measure"):
        assert "refuses nothing" in staff.run("rules", "veto", what, "x").stderr
    period = ("rules", "cap", "period", "1", "--days", "3", "--agreement")
    assert "refuses nothing" in staff.run(*period, "small-trend").stderr
    assert staff.run(*period, "small-trends").stderr == ""


@pytest.mark.parametrize("text", ["0", "0.0", "nan", "inf", "a lot", "1e-9", "1001"])
def test_a_cap_is_an_epsilon(staff: Staff, text: str) -> None:
    said = staff.run("rules", "cap", "release", text, status=2)
    assert "stop-sharing" in said.stderr
    assert staff.json("rules", "list") == {"rules": []}


@pytest.mark.parametrize("name", ["", "  ", "a\x1b[2J", "x" * 501])
def test_a_veto_names_something(staff: Staff, name: str) -> None:
    said = staff.run("rules", "veto", "purpose", name, status=2)
    assert "printable" in said.stderr


def test_the_same_rule_twice_is_one_rule(staff: Staff) -> None:
    first = staff.json("rules", "cap", "release", "0.50")
    assert staff.json("rules", "cap", "release", "1e0", "--reason", "x") != first
    assert staff.json("rules", "cap", "release", "0.5") == first


def test_rules_need_an_agent(tmp_path: Path, staff: Staff) -> None:
    other = Staff(AgentState(tmp_path / "none"), staff.command)
    assert "accord-agent init" in other.run("rules", "list", status=3).stderr
