# SPDX-License-Identifier: Apache-2.0
"""The agent's page in a real browser: by keyboard, in both languages, at two widths."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accord.agent.approvals.decisions import question
from accord.agent.overview.pages import overview_page
from accord.agent.page.frame import AgentPage
from accord.agent.rounds.approval import Standing
from accord.agent.rules.rulebook import rules_of
from tests.browser.test_setup import CHROMIUM, opened, press, say, sync_api
from tests.unit.agent.agency_world import World, joined, stored
from tests.unit.agent.agreements import AGENCY, AGREEMENT_TEXT
from tests.unit.agent.test_approvals import ask, under

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.federation,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One agency that approves questions, and two that wait for it."""
    state = joined(stored(tmp_path / AGENCY, AGENCY), AGENCY)
    made = under(World({AGENCY: state}, AGREEMENT_TEXT), needed="always")
    for _ in range(2):
        assert ask(made, made.asked()) == "APPROVAL_AWAITED"
    return made


@pytest.fixture
def served(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentPage]:
    for module in ("looking", "deciding"):
        monkeypatch.setattr(f"accord.agent.overview.{module}.utc_now", world.clock)
    page = overview_page(world.states[AGENCY])
    thread = threading.Thread(target=page.run, daemon=True)
    thread.start()
    yield page
    page.close()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield started
        started.close()


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("width", [400, 1280])
def test_a_question_is_approved_by_keyboard_and_another_refused(
    browser: Browser,
    served: AgentPage,
    world: World,
    tmp_path: Path,
    language: str,
    width: int,
) -> None:
    page = opened(browser, served, language, width)

    def look(name: str) -> None:
        """Nothing is cut off at the side; the picture is kept where a test failed."""
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        overflow = "() => document.documentElement.scrollWidth > window.innerWidth"
        assert not page.evaluate(overflow), name

    look("overview")
    ids = [
        str(link.get_attribute("href")).rpartition("/")[2]
        for link in page.get_by_text(say(language, "overview.look")).all()
    ]
    assert len(ids) == 2
    decisions = (("approve", Standing.APPROVED), ("refuse", Standing.REFUSED))
    for query, (decision, standing) in zip(ids, decisions, strict=True):
        press(page, page.get_by_text(say(language, "overview.look")).first)
        page.wait_for_url(f"**/approvals/{query}")
        look(f"{decision}-question")
        wanted = say(language, f"overview.approval.{decision}")
        press(page, page.get_by_role("button", name=wanted, exact=True))
        sure = say(language, f"overview.approval.yes-{decision}")
        page.get_by_role("button", name=sure, exact=True).wait_for()
        look(f"{decision}-sure")
        assert question(world.states[AGENCY], query).standing is Standing.WAITING
        press(page, page.get_by_role("button", name=sure, exact=True))
        page.get_by_role("status").first.wait_for()
        page.wait_for_url("**/?done=*")
        assert question(world.states[AGENCY], query).standing is standing
    look("decided")


def test_sharing_is_stopped_only_with_a_tick(
    browser: Browser, served: AgentPage, world: World
) -> None:
    page = opened(browser, served, "en", 1280)
    page.goto(f"{page.url}stop")
    page.get_by_role("button", name=say("en", "overview.stop.go")).click()
    assert rules_of(world.states[AGENCY]) == ()
    page.get_by_label(say("en", "overview.stop.sure")).check()
    page.get_by_role("button", name=say("en", "overview.stop.go")).click()
    page.wait_for_url("**/?done=stopped")
    assert len(rules_of(world.states[AGENCY])) == 1
