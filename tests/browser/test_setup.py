# SPDX-License-Identifier: Apache-2.0
"""An agent's first day in a real browser, by keyboard and on a telephone's width."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accord.agent.intake.parts import parts_of
from accord.agent.page.frame import AgentPage
from accord.agent.setup.pages import setup_page
from accord.agent.state import AgentState
from accord.core.messages import sentence
from tests.unit.agent.agencies import new_state
from tests.unit.agent.case_files import refuge

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.federation,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


@pytest.fixture
def served(state: AgentState) -> Iterator[AgentPage]:
    with setup_page(state) as page:
        thread = threading.Thread(target=page.run, daemon=True)
        thread.start()
        yield page
        page.close()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield opened
        opened.close()


def opened(browser: Browser, served: AgentPage, language: str, width: int) -> Page:
    """Open the page; afterwards nothing may have been loaded from elsewhere."""
    context = browser.new_context(
        locale=language, viewport={"width": width, "height": 800}
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    origin = f"http://127.0.0.1:{served.port}/"
    page.on("request", lambda sent: _from(origin, sent.url))
    page.goto(served.address)
    page.wait_for_url(lambda url: "invitation" not in url)  # the entrance leads on
    return page


def _from(origin: str, url: str) -> None:
    assert url.startswith(origin), url


def say(language: str, message: str, **values: object) -> str:
    return sentence(message, language, **values)


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    """Reach *target* with the tabulator alone, and press a key on it."""
    handle = target.element_handle()
    assert handle is not None
    for _ in range(120):
        if page.evaluate("node => document.activeElement === node", handle):
            shown = page.evaluate(
                "() => getComputedStyle(document.activeElement).outlineStyle"
            )
            assert shown != "none"
            page.keyboard.press(key)
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {target}")


def fits(page: Page) -> None:
    """Nothing lies outside of the window's width, and no table scrolls sideways."""
    assert page.evaluate(
        "() => document.documentElement.scrollWidth <= window.innerWidth"
    ), page.url
    for table in page.locator(".table").all():
        assert table.evaluate("node => node.scrollWidth <= node.clientWidth"), page.url
    for unlabelled in page.locator("input:not([type=hidden]), select").all():
        assert unlabelled.evaluate(
            "node => node.labels.length > 0 || node.hasAttribute('aria-label')"
        )


@pytest.mark.parametrize("language", ["en", "ar"])
def test_on_a_telephone_each_cell_stands_under_the_name_of_its_column(
    language: str, browser: Browser, served: AgentPage, tmp_path: Path
) -> None:
    """Also where a column is called by one word that is wider than the window."""
    file = refuge(tmp_path / "refugio.csv")
    text, long_ = file.read_text("cp1252"), "Fecha_de_ingreso_" + "en_el_programa_" * 4
    file.write_text(text.replace("Fecha de ingreso", long_), "cp1252")
    page = opened(browser, served, language, 400)
    page.get_by_label(say(language, "setup.source.path")).fill(str(file))
    page.get_by_role("button", name=say(language, "setup.source.go")).click()
    page.wait_for_url("**/columns")
    fits(page)
    row = page.locator(".stack tbody tr", has_text=long_).first
    places = [cell.bounding_box() for cell in row.locator("td").all()]
    tops = [place["y"] for place in places if place is not None]
    assert tops == sorted(set(tops))
    assert len(tops) == 3
    said = [
        cell.evaluate("node => getComputedStyle(node, '::before').content")
        for cell in row.locator("td").all()
    ]
    for name, shown in zip(("use", "meaning", "column"), said, strict=True):
        assert say(language, f"setup.columns.{name}") in shown
    page.set_viewport_size({"width": 1280, "height": 800})
    boxes = [cell.bounding_box() for cell in row.locator("td").all()]
    assert len({box["y"] for box in boxes if box is not None}) == 1


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ar", 400)])
def test_a_first_day_by_keyboard(
    language: str,
    width: int,
    browser: Browser,
    served: AgentPage,
    state: AgentState,
    tmp_path: Path,
) -> None:
    file = refuge(tmp_path / "refugio.csv")
    page = opened(browser, served, language, width)
    fits(page)
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("html").get_attribute("dir") == (
        "rtl" if language == "ar" else "ltr"
    )
    page.get_by_label(say(language, "setup.source.path")).fill(str(file))
    press(page, page.get_by_role("button", name=say(language, "setup.source.go")))
    page.wait_for_url("**/columns")
    fits(page)
    press(page, page.locator("#person-0-choice"), "Space")
    go = page.get_by_role("button", name=say(language, "setup.columns.go"))
    press(page, go)
    page.wait_for_url("**/codes")
    fits(page)
    [code] = page.locator("select[name^=code-]").all()
    code.select_option("other")
    press(page, page.get_by_role("button", name=say(language, "setup.codes.go")))
    page.wait_for_url("**/check")
    fits(page)
    step = page.locator("[aria-current=step]")
    assert say(language, "setup.step.check") in step.inner_text()
    press(page, page.get_by_role("button", name=say(language, "setup.check.store")))
    page.wait_for_url("**/keys*")
    fits(page)
    page.get_by_text(say(language, "setup.done.stored")).wait_for()
    with page.expect_download() as download:
        press(page, page.get_by_role("link", name=say(language, "setup.keys.file")))
    assert download.value.suggested_filename == "agency.keys"
    press(page, page.get_by_role("link", name=say(language, "setup.keys.on")))
    page.wait_for_url("**/enrol")
    fits(page)
    assert parts_of(state.current)["refugio"].persons == 120


def test_a_file_is_chosen_in_the_browser(
    browser: Browser, served: AgentPage, tmp_path: Path
) -> None:
    file = refuge(tmp_path / "refugio.csv")
    page = opened(browser, served, "en", 900)
    page.get_by_label("A file").set_input_files(str(file))
    page.get_by_role("button", name="Look at it").click()
    page.get_by_text("The file is refugio.csv.").wait_for()
    page.get_by_role("button", name="Close").click()
    page.get_by_text("The program has ended.").wait_for()
