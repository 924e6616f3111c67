# SPDX-License-Identifier: Apache-2.0
"""Questions that people approve first: what waits, what they decide, what it binds."""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.answer import StoreAnswerer
from accord.agent.approvals.decisions import approve, question, questions, refuse
from accord.agent.approvals.reminding import Notifier
from accord.agent.cli import reporting
from accord.agent.doctor import standing
from accord.agent.doctor.finding import Verdict
from accord.agent.receipts import Receipt, receipts
from accord.agent.rounds import approval
from accord.agent.rounds.approval import MOST_WAITING, Standing, subject_of
from accord.agent.rounds.checks import Examined
from accord.agent.rounds.history import Outcome
from accord.agent.rounds.opening import Opening
from accord.agent.settings import Settings
from accord.core.decide import Analyst
from accord.core.errors import AccordError, NotFound, PreconditionFailed
from accord.core.terms import Requisition
from tests.unit.agent.agency_world import THREE, World, expected
from tests.unit.agent.agreements import AGENCY, requisition, signed
from tests.unit.agent.command import Command
from tests.unit.agent.test_rounds import refused

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def careful(world: World) -> World:
    """The agency of the tests approves whatever it answers."""
    return under(world, needed="always")


def under(world: World, **rule: object) -> World:
    """Start the agency's program again, with a rule of approvals."""
    answerer = world.answerer(AGENCY, approval=rule)
    world.answerers[AGENCY] = answerer
    world.hub.members[AGENCY] = answerer
    return world


def ask(world: World, asked: Requisition, attempt: int = 1) -> str:
    """Return why the agency is not ready; empty where it is."""
    try:
        world.answerers[AGENCY].ready(*signed(asked), attempt, world.offer.fetch)
    except AccordError as error:
        return error.reason
    return ""


def receipt(world: World, asked: Requisition) -> Receipt:
    with world.states[AGENCY].ledger() as connection:
        return next(e for e in receipts(connection) if e.query_id == asked.query_id)


def test_it_waits_and_is_answered_once_it_is_approved(careful: World) -> None:
    state, asked = careful.states[AGENCY], careful.asked()
    assert ask(careful, asked) == "APPROVAL_AWAITED"
    assert ask(careful, asked) == "APPROVAL_AWAITED"
    [waits] = questions(state, careful.clock())
    assert waits.query_id == asked.query_id
    assert careful.spent(AGENCY) == (0, 0)
    assert careful.answerers[AGENCY].decided() == ()

    approve(state, asked.query_id, careful.clock())
    [told] = careful.answerers[AGENCY].decided()
    assert (told.payload, told.signature) == signed(asked)
    assert careful.answerers[AGENCY].decided() == ()
    assert (careful.whole(asked).sum() == expected(THREE)).all()
    assert questions(state, careful.clock()) == []
    kept = question(state, asked.query_id)
    assert kept.standing is Standing.APPROVED
    assert kept.decided_by


def test_what_is_refused_stays_refused(careful: World) -> None:
    state, asked = careful.states[AGENCY], careful.asked()
    ask(careful, asked)
    refuse(state, asked.query_id, "not our purpose", careful.clock())
    [told] = careful.answerers[AGENCY].decided()
    assert told.attempt == 1
    assert ask(careful, asked) == "APPROVAL_REFUSED"
    assert ask(careful, asked, attempt=2) == "APPROVAL_REFUSED"
    assert receipt(careful, asked).reason == "APPROVAL_REFUSED"
    with pytest.raises(PreconditionFailed) as caught:
        approve(state, asked.query_id, careful.clock())
    assert caught.value.reason == "APPROVAL_OVER"
    assert "not our purpose" not in caught.value.sentence


def test_an_approval_can_be_taken_back_until_it_is_being_opened(
    careful: World,
) -> None:
    state, first, second = careful.states[AGENCY], careful.asked(), careful.asked()
    for asked in (first, second):
        ask(careful, asked)
        approve(state, asked.query_id, careful.clock())
    found = careful.hub.mask(careful.ready(first))
    refuse(state, first.query_id, "", careful.clock())
    assert refused(careful.hub.reveal, found) == "APPROVAL_REFUSED"
    careful.whole(second)
    with pytest.raises(PreconditionFailed):
        refuse(state, second.query_id, "", careful.clock())


def test_a_refusal_between_the_checks_and_the_opening_holds(
    careful: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, asked = careful.states[AGENCY], careful.asked()
    ask(careful, asked)
    approve(state, asked.query_id, careful.clock())
    found = careful.hub.mask(careful.ready(asked))
    checks = Opening._check

    def meanwhile(self: Opening, *arguments: Any) -> Examined:  # noqa: ANN401
        examined = checks(self, *arguments)
        if self._state is state:
            refuse(state, asked.query_id, "", careful.clock())
        return examined

    monkeypatch.setattr(Opening, "_check", meanwhile)
    assert refused(careful.hub.reveal, found) == "APPROVAL_REFUSED"
    assert receipt(careful, asked).outcome is not Outcome.OPENED


def test_nobody_is_asked_to_approve_what_would_be_refused_anyway(
    world: World,
) -> None:
    world.answerers[AGENCY] = StoreAnswerer(
        world.states[AGENCY],
        agency=AGENCY,
        settings=Settings.model_validate(
            {
                "approval": {"needed": "always"},
                "lifetime": {"zcdp": {"epsilon": "0.1"}},
            }
        ),
        clock=world.clock,
    )
    assert ask(world, world.asked()) == "BUDGET_EXHAUSTED"
    assert questions(world.states[AGENCY], world.clock(), decided=True) == []


@pytest.mark.parametrize(
    ("rule", "waits"),
    [
        ({}, False),
        ({"needed": "never"}, False),
        ({"needed": "always"}, True),
        ({"needed": ("small-trends",)}, True),
        ({"needed": ("another",)}, False),
    ],
)
def test_people_are_asked_under_the_agreements_that_the_agency_names(
    world: World, rule: dict[str, object], *, waits: bool
) -> None:
    under(world, **rule)
    assert ask(world, world.asked()) == ("APPROVAL_AWAITED" if waits else "")


def test_the_doctor_finds_a_name_under_which_nobody_is_asked(world: World) -> None:
    state = world.states[AGENCY]
    config = state.config
    config.write_text('[approval]\nneeded = ["small-trends"]\n', "utf-8")
    assert list(standing.approvals(state)) == []
    config.write_text('[approval]\nneeded = ["small-trend"]\n', "utf-8")
    [found] = standing.approvals(state)
    assert found.verdict == Verdict.WARNING
    assert "'small-trend'" in found.sentence
    assert "small-trends" in found.sentence


def test_a_decision_holds_in_another_program_and_for_later_attempts(
    careful: World,
) -> None:
    asked = careful.asked()
    ask(careful, asked)
    under(careful, needed="always")
    assert ask(careful, asked) == "APPROVAL_AWAITED"
    approve(careful.states[AGENCY], asked.query_id, careful.clock())
    under(careful, needed="always")
    assert ask(careful, asked) == ""
    assert ask(careful, asked, attempt=2) == ""


def test_what_began_before_people_were_asked_waits_in_its_next_attempt(
    world: World,
) -> None:
    asked = world.asked()
    assert ask(world, asked) == ""
    under(world, needed="always")
    assert ask(world, asked) == ""
    assert ask(world, asked, attempt=2) == "APPROVAL_AWAITED"
    approve(world.states[AGENCY], asked.query_id, world.clock())
    [told] = world.answerers[AGENCY].decided()
    assert told.attempt == 2
    assert ask(world, asked, attempt=2) == ""


def test_another_question_under_an_approved_id_is_refused(careful: World) -> None:
    asked = careful.asked()
    ask(careful, asked)
    swapped = dataclasses.replace(
        asked,
        analyst=dataclasses.replace(
            asked.analyst, roles=asked.analyst.roles | {"reporter"}
        ),
    )
    assert subject_of(swapped) != subject_of(asked)
    assert ask(careful, swapped) == "ID_REUSED"
    approve(careful.states[AGENCY], asked.query_id, careful.clock())
    assert ask(careful, swapped) == "ID_REUSED"
    assert ask(careful, asked) == ""


def test_later_times_are_no_other_question(careful: World) -> None:
    asked = careful.asked()
    ask(careful, asked)
    approve(careful.states[AGENCY], asked.query_id, careful.clock())
    later = dataclasses.replace(asked, expires_at=asked.expires_at + HOUR / 60)
    assert ask(careful, later) == ""


CHANGES = {
    "purpose": st.text(min_size=1, max_size=20),
    "cohort": st.sampled_from(["all", "fallback", "others"]),
    "policy_digest": st.text("0123456789abcdef", min_size=64, max_size=64),
    "agreement_digest": st.text("0123456789abcdef", min_size=64, max_size=64),
    "layout_digest": st.text("0123456789abcdef", min_size=64, max_size=64),
    "analyst": st.builds(
        Analyst,
        id=st.sampled_from(["ana", "bela"]),
        organisation=st.sampled_from(["observatory", "police"]),
        roles=st.frozensets(st.sampled_from(["analyst", "funder"]), min_size=1),
    ),
}


@given(st.fixed_dictionaries({}, optional=CHANGES))
def test_every_change_of_what_people_see_is_another_subject(
    changes: dict[str, object],
) -> None:
    asked = requisition()
    changed = dataclasses.replace(asked, **changes)  # type: ignore[arg-type]  # by name
    same = all(getattr(asked, name) == value for name, value in changes.items())
    assert (subject_of(asked) == subject_of(changed)) == same


def test_what_was_approved_once_is_remembered_where_the_agency_says_so(
    world: World,
) -> None:
    under(world, needed="always", remember=True)
    state, first = world.states[AGENCY], world.asked()
    ask(world, first)
    approve(state, first.query_id, world.clock())
    assert ask(world, world.asked()) == ""
    other = dataclasses.replace(
        world.asked(), analyst=dataclasses.replace(first.analyst, id="bela")
    )
    assert ask(world, other) == "APPROVAL_AWAITED"
    under(world, needed="always")
    assert ask(world, world.asked()) == "APPROVAL_AWAITED"


def test_what_was_opened_is_approved_anew(world: World) -> None:
    under(world, needed="always", remember=True)
    state, first = world.states[AGENCY], world.asked()
    ask(world, first)
    approve(state, first.query_id, world.clock())
    world.whole(first)
    second = world.asked()
    assert ask(world, second) == "APPROVAL_AWAITED"
    approve(state, second.query_id, world.clock())
    world.whole(second)
    assert ask(world, world.asked()) == "APPROVAL_AWAITED"


@pytest.mark.parametrize("remembered_first", [True, False])
def test_one_approval_opens_one_of_those_asked_at_once(
    world: World, *, remembered_first: bool
) -> None:
    under(world, needed="always", remember=True)
    state, first = world.states[AGENCY], world.asked()
    ask(world, first)
    approve(state, first.query_id, world.clock())
    pair = [first, world.asked()]
    masked = [world.hub.mask(world.ready(each)) for each in pair]
    if remembered_first:
        masked.reverse()
    world.hub.reveal(masked[0])
    assert refused(world.hub.reveal, masked[1]) == "APPROVAL_AWAITED"


def test_own_figures_are_not_counted_unsaid_while_a_question_waits(
    careful: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr(reporting, "utc_now", careful.clock)
    # What the command sets up ends with its program, and here with the test.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    before = structlog.get_config()
    request.addfinalizer(lambda: structlog.configure(**before))
    run = Command(monkeypatch, capsys)
    options = ("report", "--by", "region", "--state", careful.states[AGENCY].root)
    assert "wait for approval" not in run(*options, "--json").stderr
    ask(careful, careful.asked())
    said = run(*options, "--json")
    assert json.loads(said.stdout)["total"]
    assert "wait for approval here: 1." in said.stderr.replace("\n", " ")
    logged = json.loads(said.stderr.strip().splitlines()[-1])
    assert (logged["event"], logged["reason"]) == ("report.counted", "APPROVAL_AWAITED")
    assert set(logged) <= {
        *("event", "reason", "level", "timestamp", "component", "version"),
    }


def test_a_refusal_is_not_remembered(world: World) -> None:
    under(world, needed="always", remember=True)
    first = world.asked()
    ask(world, first)
    refuse(world.states[AGENCY], first.query_id, "", world.clock())
    assert ask(world, world.asked()) == "APPROVAL_AWAITED"


def test_what_nobody_decides_on_in_time_is_declined(world: World) -> None:
    under(world, needed="always", expire_after_hours=1)
    asked = dataclasses.replace(world.asked(), expires_at=world.clock() + 48 * HOUR)
    assert ask(world, asked) == "APPROVAL_AWAITED"
    world.clock.now += HOUR
    state = world.states[AGENCY]
    with pytest.raises(PreconditionFailed):
        approve(state, asked.query_id, world.clock())
    assert questions(state, world.clock()) == []
    [told] = world.answerers[AGENCY].decided()
    assert told.payload == signed(asked)[0]
    assert question(state, asked.query_id).standing is Standing.EXPIRED
    assert receipt(world, asked).reason == "APPROVAL_EXPIRED"
    assert ask(world, asked) == "APPROVAL_EXPIRED"


def test_what_the_hub_ends_waits_for_nobody(careful: World) -> None:
    asked = careful.asked()
    ask(careful, asked)
    careful.answerers[AGENCY].settle([asked.query_id])
    state = careful.states[AGENCY]
    assert questions(state, careful.clock()) == []
    assert question(state, asked.query_id).standing is Standing.ENDED
    assert receipt(careful, asked).reason == "APPROVAL_EXPIRED"


def test_receipts_tell_a_decision_at_once(careful: World) -> None:
    state = careful.states[AGENCY]
    first, second, third = careful.asked(), careful.asked(), careful.asked()
    for asked in (first, second, third):
        ask(careful, asked)
        assert receipt(careful, asked).stand == "waiting"
        assert "waits until somebody here" in receipt(careful, asked).what_left()
    refuse(state, first.query_id, "", careful.clock())
    assert receipt(careful, first).reason == "APPROVAL_REFUSED"
    for asked in (second, third):
        approve(state, asked.query_id, careful.clock())
        assert receipt(careful, asked).stand == "asked"
    # one ends at the hub, the other by the clock, before this agency says ready
    careful.answerers[AGENCY].settle([second.query_id])
    assert receipt(careful, second).stand == "ended"
    careful.clock.now = third.expires_at
    careful.answerers[AGENCY].decided()
    assert receipt(careful, third).stand == "ended"
    assert careful.spent(AGENCY) == (0, 0)


def test_an_id_may_be_cut_short_while_it_is_the_only_one(careful: World) -> None:
    state, asked = careful.states[AGENCY], careful.asked()
    ask(careful, asked)
    assert question(state, asked.query_id[:8]).query_id == asked.query_id
    for wrong in ("", asked.query_id[:3], "00000000-none"):
        with pytest.raises(NotFound):
            question(state, wrong)


def test_people_are_told_at_once_and_then_as_often_as_they_want(
    world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = tmp_path / "seen"
    program = (
        f"import sys; open({str(seen)!r}, 'a').write(' '.join(sys.argv[1:]) + chr(10))"
    )
    command = (sys.executable, "-c", program, "note")
    under(world, needed="always", notify=command, remind_after_hours=2)
    asked = dataclasses.replace(world.asked(), expires_at=world.clock() + 48 * HOUR)
    told: Callable[[], list[str]] = lambda: (  # noqa: E731
        seen.read_text(encoding="utf-8").splitlines() if seen.exists() else []
    )
    ask(world, asked)
    ask(world, asked)
    wait_for(lambda: len(told()) == 1)
    world.clock.now += HOUR
    world.answerers[AGENCY].expire()
    world.clock.now += HOUR
    world.answerers[AGENCY].expire()
    wait_for(lambda: len(told()) == 2)
    assert told() == [f"note {asked.query_id}"] * 2
    said = "".join(capfd.readouterr())
    assert said.count("approval.awaited") == 2
    assert asked.purpose not in said


def test_the_program_gets_the_id_and_nothing_of_the_agents_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, partial = tmp_path / "told", tmp_path / "partial"
    program = (
        "import json, os, pathlib, sys\n"
        f"pathlib.Path({str(partial)!r}).write_text("
        "json.dumps([sys.argv[1:], sys.stdin.read(), dict(os.environ)]))\n"
        f"os.replace({str(partial)!r}, {str(told)!r})\n"
    )
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/of-the-agent")
    monkeypatch.setenv("ACCORD_AGENT_KEYS__KEK_FILE", "/media/kek")
    monkeypatch.setenv("HOME", str(tmp_path))
    Notifier([sys.executable, "-c", program]).notify(["one"])
    wait_for(told.exists)
    arguments, read, environment = json.loads(told.read_text("utf-8"))
    assert (arguments, read) == (["one"], "")
    assert environment["HOME"] == str(tmp_path)
    assert not [name for name in environment if "ACCORD" in name or "CRED" in name]


def test_a_program_that_is_not_there_ends_nothing() -> None:
    notifier = Notifier(["/nowhere/at/all"])
    with structlog.testing.capture_logs() as logs:
        notifier.notify(["one", "two"])
        wait_for(lambda: len(logs) == 2)
        notifier.notify(["three"])
        wait_for(lambda: len(logs) == 3)
    assert {each["event"] for each in logs} == {"notification.failed"}
    assert [each["query_id"] for each in logs] == ["one", "two", "three"]


def test_however_many_questions_come_one_program_runs_at_a_time(
    tmp_path: Path,
) -> None:
    began, go_on = tmp_path / "began", tmp_path / "go on"
    program = (
        "import pathlib, time\n"
        f"with open({str(began)!r}, 'a') as file: file.write('x')\n"
        f"while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.01)\n"
    )
    notifier = Notifier([sys.executable, "-c", program])
    before = threading.active_count()
    with structlog.testing.capture_logs() as logs:
        notifier.notify(["first"])
        wait_for(lambda: began.exists() and began.read_text(encoding="utf-8") == "x")
        for number in range(MOST_WAITING):
            notifier.notify([str(number)])
        assert logs == []
        notifier.notify(["too many"])
        assert threading.active_count() == before + 1
        assert [each["query_id"] for each in logs] == ["too many"]
        assert began.read_text(encoding="utf-8") == "x"
        notifier._command = ("/nowhere/at/all",)
        go_on.touch()
        wait_for(lambda: len(logs) == 1 + MOST_WAITING)
    told = [each["query_id"] for each in logs[1:]]
    assert told == [str(number) for number in range(MOST_WAITING)]


def test_only_so_many_questions_wait_at_once(
    careful: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "MOST_WAITING", 2)
    state, (one, two, three) = careful.states[AGENCY], (careful.asked() for _ in "123")
    assert ask(careful, one) == ask(careful, two) == "APPROVAL_AWAITED"
    assert ask(careful, three) == "APPROVAL_EXPIRED"
    assert receipt(careful, three).reason == "APPROVAL_EXPIRED"
    assert ask(careful, two) == "APPROVAL_AWAITED"
    kept = [each.query_id for each in questions(state, careful.clock(), decided=True)]
    assert kept == [one.query_id, two.query_id]

    refuse(state, one.query_id, "", careful.clock())
    assert ask(careful, three) == "APPROVAL_AWAITED"
    approve(state, three.query_id, careful.clock())
    assert ask(careful, three) == ""


def wait_for(true: Callable[[], bool]) -> None:
    """Return once something that another thread does has happened."""
    import time

    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
