# SPDX-License-Identifier: Apache-2.0
"""The agent's page: who reaches it, what it shows, and what staff can do on it."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from accord.agent.answer import utc_now
from accord.agent.approvals.decisions import question
from accord.agent.intake.parts import parts_of
from accord.agent.machine.locking import lock_file
from accord.agent.network.identity import IdentityFiles
from accord.agent.overview import home as homes
from accord.agent.overview.home import DONE, is_running
from accord.agent.overview.pages import overview_page
from accord.agent.page.frame import AgentPage
from accord.agent.rounds.approval import Standing
from accord.agent.rules.rulebook import add_rule, rules_of
from accord.agent.rules.rules import Kind, Rule
from accord.agent.state import AgentState
from accord.core.messages import sentence
from tests.unit.agent.agency_world import World
from tests.unit.agent.agreements import AGENCY
from tests.unit.agent.test_approvals import ask, under
from tests.unit.agent.test_metrics import identify
from tests.unit.agent.test_setup_page import FRAME, LOCALE, Visitor, let_in

TEMPLATES = Path(homes.__file__).parent / "templates"


@contextlib.contextmanager
def running(state: AgentState) -> Iterator[AgentPage]:
    page = overview_page(state)
    thread = threading.Thread(target=page.run, daemon=True)
    thread.start()
    try:
        yield page
    finally:
        page.close()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def careful(world: World) -> World:
    return under(world, needed="always")


@pytest.fixture
def state(world: World) -> AgentState:
    return world.states[AGENCY]


@pytest.fixture
def page(state: AgentState) -> Iterator[AgentPage]:
    with running(state) as served:
        yield served


@pytest.fixture
def staff(page: AgentPage) -> Visitor:
    return let_in(page)


@pytest.fixture
def waiting(careful: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """A question that waits, at the time of the world's clock."""
    for module in ("looking", "deciding"):
        monkeypatch.setattr(f"accord.agent.overview.{module}.utc_now", careful.clock)
    asked = careful.asked()
    assert ask(careful, asked) == "APPROVAL_AWAITED"
    return asked.query_id


class TestGuard:
    """The same one as the other pages have; here is that it is in place."""

    def test_strangers_see_nothing(self, page: AgentPage, state: AgentState) -> None:
        stranger = Visitor(page)
        for path in ("", "questions", "stop", "resume", "approvals/x"):
            assert stranger.see(path).status == 403
        assert stranger.post("stop", {"sure": "yes"}).status == 403
        assert rules_of(state) == ()

    def test_other_names_and_foreign_forms_are_refused(
        self, staff: Visitor, state: AgentState
    ) -> None:
        assert staff.ask(f"{staff.base}/", Host="rebound.example.org").status == 421
        sure = {"sure": "yes"}
        foreign = staff.post("stop", sure, Origin="http://elsewhere.example.org")
        assert foreign.status == 403
        wrong = staff.post("stop", {"form_secret": "guessed", **sure})
        assert wrong.status == 403
        assert rules_of(state) == ()

    def test_pages_load_nothing_from_elsewhere(self, staff: Visitor) -> None:
        answer = staff.see("")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        for path in ("", "questions", "stop", "resume"):
            text = staff.see(path).text
            assert "style=" not in text
            assert "<script" not in text
            for target in re.findall(r'(?:src|href|action)="([^"]*)"', text):
                assert target.startswith((staff.base, "#")), target


def test_it_shows_how_the_agent_is_before_it_joined(staff: Visitor) -> None:
    words = staff.see("").words
    assert sentence("overview.concern.not-enrolled") in words
    assert "Nothing has been asked yet." in words
    assert sentence("overview.nothing-waits") in words
    assert "Stop sharing" not in words


def test_what_was_asked_is_told_in_words(world: World, staff: Visitor) -> None:
    world.whole(world.asked())
    for path in ("", "questions"):
        words = staff.see(path).words
        assert "How many persons by region" in words
        assert "kim of observatory, for planning, under small-trends" in words
        assert "only their sum over" in words
    arabic = Visitor(staff.page, staff.cookie, "ar")
    text = arabic.see("").text
    assert '<html lang="ar" dir="rtl">' in text
    assert "كم عدد الأشخاص" in text


@pytest.mark.parametrize("language", ["en", "ar"])
def test_what_was_spent_is_told_without_words_of_the_trade(
    world: World, staff: Visitor, state: AgentState, language: str
) -> None:
    identify([state], world.clock())
    world.whole(world.asked())
    text = Visitor(staff.page, staff.cookie, language).see("").text
    for accounting in ("zcdp", "pure"):
        label = sentence(f"overview.account-{accounting}", language)
        assert f'<label for="bar-{accounting}">{label}</label>' in text
    words = re.sub("<[^>]*>", " ", text)
    assert not re.search(r"zcdp|\bpure\b", words, re.IGNORECASE)


def test_who_asks_and_why_is_told_where_no_more_can_be(
    waiting: str, staff: Visitor, state: AgentState
) -> None:
    """Such as with a rule that only a newer version of the program can read."""
    add_rule(state, Rule(kind=Kind.VETO_ANALYST, subject="sam"), utc_now())
    with state.ledger() as connection:
        connection.execute("UPDATE local_rule SET kind = 'of-a-later-version'")
    words = staff.see(f"approvals/{waiting}").words
    assert "kim of observatory" in words
    assert "planning" in words
    assert "small-trends, version 2; as things are now" in words
    arabic = Visitor(staff.page, staff.cookie, "ar").see(f"approvals/{waiting}").words
    assert sentence("foreseen.purpose", "ar") in arabic


def test_no_count_stands_beside_what_waits(
    waiting: str, staff: Visitor, state: AgentState
) -> None:
    [part] = parts_of(state.current).values()
    shown = staff.see("")
    assert 'class="number"' not in shown.text
    assert sentence("overview.approval.no-count") in shown.words
    staff.post(f"approvals/{waiting}", {"decision": "refuse", "sure": "yes"})
    shown = staff.see("")
    persons = rf'<td class="number"[^>]*>{part.persons:,}</td>'
    assert re.search(persons, shown.text)
    assert sentence("overview.approval.no-count") not in shown.words


def test_a_question_is_approved_in_two_steps(
    waiting: str, staff: Visitor, state: AgentState
) -> None:
    assert f"approvals/{waiting}" in staff.see("").text
    shown = staff.see(f"approvals/{waiting}").words
    assert "How many persons by region" in shown
    assert sentence("overview.approval.no-count") in shown
    first = staff.post(f"approvals/{waiting}", {"decision": "approve"})
    assert sentence("overview.approval.sure-approve") in first.words
    assert question(state, waiting).standing is Standing.WAITING
    done = staff.post(f"approvals/{waiting}", {"decision": "approve", "sure": "yes"})
    assert sentence("overview.done.approved") in done.words
    assert question(state, waiting).standing is Standing.APPROVED
    assert "Approve" not in staff.see(f"approvals/{waiting}").text


def test_a_question_is_refused_with_a_reason_that_stays(
    waiting: str, staff: Visitor, state: AgentState
) -> None:
    first = staff.post(
        f"approvals/{waiting}", {"decision": "refuse", "reason": '"><b>not ours'}
    )
    assert "<b>" not in first.text
    fields = {"decision": "refuse", "reason": "not ours", "sure": "yes"}
    done = staff.post(f"approvals/{waiting}", fields)
    assert sentence("overview.done.refused") in done.words
    found = question(state, waiting)
    assert (found.standing, found.reason) == (Standing.REFUSED, "not ours")
    again = staff.post(f"approvals/{waiting}", {"decision": "approve", "sure": "yes"})
    assert again.status == 409
    assert "APPROVAL_OVER" in again.text


def test_a_decision_that_is_none_changes_nothing(
    waiting: str, staff: Visitor, state: AgentState
) -> None:
    staff.post(f"approvals/{waiting}", {"decision": "open", "sure": "yes"})
    staff.post(f"approvals/{waiting}", {"sure": "yes"})
    assert question(state, waiting).standing is Standing.WAITING
    assert staff.see("approvals/00000000").status == 404


def test_sharing_stops_and_goes_on_only_when_somebody_is_sure(
    world: World, staff: Visitor, state: AgentState
) -> None:
    assert staff.see("stop").status == 200
    assert staff.post("stop", {"reason": "visit"}).status == 400
    assert rules_of(state) == ()
    done = staff.post("stop", {"reason": "visit", "sure": "yes"})
    assert sentence("overview.done.stopped") in done.words
    [kept] = rules_of(state)
    assert (kept.rule.kind, kept.rule.reason) == (Kind.STOP_SHARING, "visit")
    assert ask(world, world.asked()) == "LOCAL_RULE"
    assert staff.post("resume", {}).status == 400
    assert rules_of(state) == (kept,)
    staff.post("resume", {"sure": "yes"})
    assert rules_of(state) == ()
    assert ask(world, world.asked()) == ""


def test_it_tells_whether_the_agent_runs(state: AgentState) -> None:
    assert not is_running(state)
    held = lock_file(state.root / ".running", wait=False)
    assert is_running(state)
    os.close(held)
    assert not is_running(state)
    assert not IdentityFiles(state.keys).enrolled()


def test_its_button_ends_it(state: AgentState) -> None:
    page = overview_page(state)
    thread = threading.Thread(target=page.run, daemon=True)
    thread.start()
    assert let_in(page).post("close", {}).status == 200
    thread.join(30)
    assert not thread.is_alive()


def test_every_sentence_is_there_in_both_languages() -> None:
    named = set()
    for template in (*TEMPLATES.glob("*.html"), *FRAME.glob("*.html")):
        text = template.read_text(encoding="utf-8")
        named |= set(re.findall(r't\("((?:overview|foreseen)\.[a-z.-]+)"[,)]', text))
    named |= {f"overview.done.{each}" for each in DONE}
    for language in ("en", "ar"):
        place = LOCALE / language / "LC_MESSAGES"
        written = "".join(
            (place / f"{each}.po").read_text(encoding="utf-8")
            for each in ("overview", "foreseen")
        )
        missing = [each for each in sorted(named) if f'"{each}"' not in written]
        assert missing == []
