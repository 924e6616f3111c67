# SPDX-License-Identifier: Apache-2.0
"""What an answer would take is told before anybody asks; a count is in none of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from accord.agent.approvals.decisions import question
from accord.agent.approvals.foreseen import foresee
from accord.agent.policies import AgencyPolicies
from accord.agent.rounds.approval import Standing
from accord.agent.settings import Settings
from accord.core.messages import sentence
from tests.unit.agent.agency_world import World
from tests.unit.agent.agreements import AGENCY
from tests.unit.agent.command import Command, Said
from tests.unit.agent.test_approvals import ask, under
from tests.unit.agent.test_metrics import identify


class Staff:
    """Types commands at an agency."""

    def __init__(self, world: World, run: Command) -> None:
        self.world = world
        self.run = run

    def __call__(self, *words: str) -> Said:
        return self.run(*words, "--state", self.world.states[AGENCY].root)

    def json(self, *words: str) -> dict[str, Any]:
        said = self(*words, "--json")
        assert said.status == 0, said.stderr
        found: dict[str, Any] = json.loads(said.stdout)
        return found


@pytest.fixture
def staff(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Staff:
    for name in ("cli.previewing", "cli.approvals", "approvals.words"):
        monkeypatch.setattr(f"accord.agent.{name}.utc_now", world.clock)
    return Staff(world, Command(monkeypatch, capsys))


def test_a_question_of_ones_own_is_foreseen(staff: Staff) -> None:
    found = staff.json("preview", "--by", "region", "--where", "age_band=18+")[
        "preview"
    ]
    assert found["question"].startswith("How many persons by region where age band is")
    assert found["columns"] == ["region", "age_band"]
    assert found["figures"] == 4 + 2
    assert found["members"] == ["clinic", "hotline", "inspection", "police", "shelter"]
    assert found["denials"] == found["objections"] == []
    assert found["nano_rho"] > 0
    cheap = staff.json("preview", "--by", "region", "--epsilon", "0.5")["preview"]
    assert cheap["noise"] > found["noise"]
    assert cheap["nano_rho"] < found["nano_rho"]


def test_it_says_what_forbids_it(staff: Staff) -> None:
    staff("rules", "veto", "dimension", "region")
    found = staff.json("preview", "--by", "region")["preview"]
    assert found["objections"] == ["veto-dimension"]
    denied = staff.json("preview", "--measure", "mean(days)")["preview"]
    assert denied["denials"]
    dear = staff.json("preview", "--epsilon", "50")["preview"]
    assert sentence("foreseen.release-cap") in dear["denials"]
    shown = staff("preview", "--by", "region").stdout
    assert "veto-dimension" in shown
    assert "it would be declined" in shown


def test_it_says_what_there_is_no_room_for(staff: Staff) -> None:
    identify([staff.world.states[AGENCY]], staff.world.clock())
    staff.json("rules", "cap", "period", "0.5", "--days", "30")
    assert staff.json("preview", "--epsilon", "0.1")["preview"]["objections"] == []
    found = staff.json("preview", "--epsilon", "1")["preview"]
    assert (found["objections"], found["denials"]) == (["cap-period"], [])
    config = staff.world.states[AGENCY].config
    config.write_text("[lifetime.zcdp]\nepsilon = 0.2\n", "utf-8")
    found = staff.json("preview", "--epsilon", "0.4")["preview"]
    assert found["denials"] == [sentence("foreseen.no-room")]
    assert staff.world.spent(AGENCY) == (0, 0)


def test_what_is_paid_for_is_not_said_to_be_too_dear(staff: Staff) -> None:
    identify([staff.world.states[AGENCY]], staff.world.clock())
    asked = staff.world.asked()
    staff.world.whole(asked)
    config = staff.world.states[AGENCY].config
    config.write_text("[lifetime.zcdp]\nepsilon = 0.001\n", "utf-8")
    staff.json("rules", "cap", "period", "0.01", "--days", "30000")
    found = staff.json("preview", asked.query_id)["preview"]
    assert found["denials"] == found["objections"] == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--by", "nowhere"), "no dimension"),
        (("--where", "region"), "A filter has the form"),
        (("--edition", "yesterday"), "not the name of an edition"),
        (("--epsilon", "-1"), "above 0"),
        (("--agreement", "small-trend"), "small-trends"),
        (("00000000-none", "--by", "region"), "by its id alone"),
        (("00000000-none",), "does not keep a question"),
    ],
)
def test_what_cannot_be_foreseen_is_a_sentence(
    staff: Staff, words: tuple[str, ...], reason: str
) -> None:
    said = staff("preview", *words)
    assert said.status == 2
    assert reason in said.stderr
    assert "Traceback" not in said.stderr


def test_a_question_that_waits_is_shown_without_a_count(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever would count a record is not even called."""
    world = under(staff.world, needed="always")
    asked = world.asked()
    assert ask(world, asked) == "APPROVAL_AWAITED"

    def never(*_: object, **__: object) -> None:
        pytest.fail("a record was touched")

    for place in ("store.bound.bounded_vector", "rounds.vectors.bounded_vector"):
        monkeypatch.setattr(f"accord.agent.{place}", never)
    monkeypatch.setattr("accord.agent.store.columns.Columns.open", never)
    for words in (
        ("preview", asked.query_id),
        ("approvals", "show", asked.query_id),
        ("approvals", "list"),
    ):
        said = staff(*words)
        assert said.status == 0, said.stderr
        assert "How many persons by region" in said.stdout
    found = staff.json("approvals", "show", asked.query_id)["foreseen"]
    assert (found["analyst"], found["purpose"]) == ("kim", "planning")
    assert found == staff.json("preview", asked.query_id)["preview"]


def test_staff_decides_by_commands(staff: Staff) -> None:
    world = under(staff.world, needed="always")
    first, second = world.asked(), world.asked()
    for asked in (first, second):
        ask(world, asked)
    assert len(staff.json("approvals", "list")["approvals"]) == 2
    staff.json("approvals", "approve", first.query_id)
    said = staff("approvals", "refuse", second.query_id, "--reason", "no\nneed")
    assert "not why" in said.stdout
    state = world.states[AGENCY]
    assert question(state, first.query_id).standing is Standing.APPROVED
    assert question(state, second.query_id).reason == "no need"
    assert staff("approvals", "list").stdout == "No question waits for approval.\n"
    shown = staff("approvals", "list", "--all").stdout
    assert "refused by" in shown
    assert staff("approvals", "approve", second.query_id).status == 4
    assert staff("approvals", "show", "00000000").status == 2


def test_receipts_end_with_what_they_come_to(staff: Staff) -> None:
    assert staff("receipts").stdout == "Nothing has been asked yet.\n"
    staff.world.whole(staff.world.asked())
    staff("stop-sharing", "--reason", "visit")
    ask(staff.world, staff.world.asked())
    said = staff("receipts").stdout
    assert "Questions in all: 2. answered: 1; declined: 1." in said
    assert "of all that your records may ever lose" in said
    arabic = staff("receipts", "--language", "ar").stdout
    assert "كم عدد الأشخاص" in arabic
    assert "answered" not in arabic
    wrong = staff("receipts", "--language", "xx")
    assert (wrong.status, "ar, en" in wrong.stderr) == (3, True)


def test_words_of_strangers_command_no_terminal(staff: Staff) -> None:
    world = under(staff.world, needed="always")
    asked = world.asked()
    analyst = dataclasses.replace(asked.analyst, id="kim\x1b[2J")
    asked = dataclasses.replace(asked, analyst=analyst)
    assert ask(world, asked) == "APPROVAL_AWAITED"
    for words in (("approvals", "show"), ("preview",)):
        said = staff(*words, asked.query_id).stdout
        assert "kim?[2J of observatory" in said
        assert said.replace("\n", "").isprintable()


def test_an_agreement_that_does_not_exist_is_pointed_at(staff: Staff) -> None:
    config = staff.world.states[AGENCY].config
    config.write_text('[approval]\nneeded = ["small-trend"]\n', encoding="utf-8")
    said = staff("approvals", "list")
    assert "'small-trend'" in said.stderr
    assert "small-trends" in said.stderr


def test_the_words_are_there_in_arabic(world: World) -> None:
    state = world.states[AGENCY]
    policies = AgencyPolicies(state, AGENCY)
    policy = policies.policy("small-trends")
    assert policy is not None
    found = foresee(state, Settings(), policy, world.asked(), world.clock(), AGENCY)
    english, arabic = list(found.lines()), list(found.lines("ar"))
    assert len(english) == len(arabic)
    assert all(one != other for one, other in zip(english, arabic, strict=True))
    assert any("spent 0 rho of" in value for _, value in english)
