# SPDX-License-Identifier: Apache-2.0
"""A board member's day in a real browser, with a real hub."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from accord.client.board.running import Board
from accord.client.policy.proposal_files import read_proposal
from accord.core.members import kem_digest, short_kem
from accord.trust.keys import new_key, text_of
from tests.unit.client.boards import (
    MEMBERS,
    PASSPHRASE,
    Office,
    RunningHub,
    make_office,
    running_hub,
)
from tests.unit.client.test_agency_keys import lines, listed

if TYPE_CHECKING:
    from playwright.sync_api import Page

POLICE = listed(text_of(new_key()))

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.federation,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

EVIL = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"


@pytest.fixture
def office(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Office:
    return make_office(tmp_path, monkeypatch, capsys)


@pytest.fixture
def hub(office: Office) -> Iterator[RunningHub]:
    with running_hub(office.folder) as running:
        yield running


@pytest.fixture
def board(office: Office) -> Iterator[Board]:
    assert not (office.folder / "data").exists()
    served = Board("default")
    thread = threading.Thread(target=served.run, daemon=True)
    thread.start()
    yield served
    served.close()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def page(board: Board) -> Iterator[Page]:
    """The opened page; afterwards, nothing may have been loaded or run."""
    trouble: list[str] = []
    origin = f"http://127.0.0.1:{board.port}/"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        opened = browser.new_page(viewport={"width": 900, "height": 800})
        opened.set_default_timeout(60_000)
        opened.on("dialog", lambda dialog: trouble.append(dialog.message))
        opened.on("pageerror", lambda error: trouble.append(str(error)))
        opened.on(
            "request",
            lambda sent: (
                None if sent.url.startswith(origin) else trouble.append(sent.url)
            ),
        )
        opened.on(
            "console",
            lambda said: (
                trouble.append(said.text)
                if "Content Security Policy" in said.text
                else None
            ),
        )
        opened.goto(board.address)
        yield opened
        browser.close()
    assert trouble == []


def set_up(page: Page, hub: RunningHub) -> None:
    page.get_by_role("link", name="Say where your hub is").click()
    page.get_by_label("Address of the hub").fill(hub.address)
    page.get_by_label("Your token").fill(hub.token)
    page.get_by_role("button", name="Try and keep").click()
    page.get_by_text("The hub knows you").wait_for()


def sign(page: Page, key: Path, passphrase: str = PASSPHRASE) -> None:
    page.get_by_label("Or the file of a key").set_input_files(str(key))
    page.get_by_label("Passphrase").fill(passphrase)
    page.get_by_label("I have compared the six words").check()
    page.get_by_role("button", name="Sign", exact=True).click()


def publish_first(office: Office, hub: RunningHub) -> str:
    """Publish the sample policies by the command; return the board's six words."""
    founded = office.found(hub=hub.keys).json
    path, told = founded["proposal"], ("--words", founded["words"])
    for name in ("alice", "bela"):
        office.sign(path, name)
    online = ("--hub", hub.address)
    office.patch.setenv("ACCORD_TOKEN", hub.token)
    # What the command knows must not help the page.
    office.patch.setenv("ACCORD_DATA", str(office.folder / "other"))
    assert office.policy("publish", path, *told, *online).status == 0
    words = str(office.policy("fetch", office.board, *online).json["words"])
    office.patch.setenv("ACCORD_DATA", str(office.folder / "data"))
    return words


@pytest.mark.slow
def test_a_change_from_the_draft_until_it_is_in_force(
    page: Page, office: Office, hub: RunningHub
) -> None:
    """Confirm, read, edit, sign, publish; without a terminal."""
    words = publish_first(office, hub)
    set_up(page, hub)
    page.get_by_role("link", name="Confirm the board").click()
    page.get_by_label("The six words that you were told").fill("not the right words")
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("BOARD_DIFFERS").wait_for()
    page.get_by_label("The six words that you were told").fill(words)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("link", name="Agreement regional-trends, version 1").click()
    page.get_by_role("heading", name="What may be asked").wait_for()

    page.get_by_role("link", name="Edit the text and propose it").click()
    text = page.get_by_label("The text").input_value()
    wrong = text.replace("groups_per_person", "grops_per_person")
    page.get_by_label("The text").fill(f"# {EVIL}\n{wrong}")
    page.get_by_label("Why").fill(EVIL)
    page.get_by_role("button", name="Check and make the proposal").click()
    alert = page.get_by_role("alert")
    assert "Did you mean 'groups_per_person'?" in alert.inner_text()
    assert "grops_per_person: 3" in alert.inner_text(), "the line itself"

    changed = text.replace("version: 1", "version: 2")
    changed = changed.replace("suppress_below: 10", "suppress_below: 5")
    page.get_by_label("The text").fill(f"# {EVIL}\n{changed}")
    page.get_by_role("button", name="Check and make the proposal").click()
    page.get_by_role("heading", name=EVIL).wait_for()
    assert page.title() == f"{EVIL} · Accord board"
    assert page.get_by_text(
        "Figures are now hidden below 5 instead of below 10."
    ).count()
    assert page.get_by_text("looser", exact=True).count() == 1
    assert page.get_by_role("heading", name="questions of the last 90 days").count()
    page.get_by_text("The changed documents, as they are written").click()
    assert EVIL in page.locator("pre").inner_text()

    page.get_by_role("button", name="Bring it to the hub").click()
    page.get_by_text("The others can see it").wait_for()
    sign(page, office.key("bela"), "not the passphrase")
    page.get_by_text("PASSPHRASE_WRONG").wait_for()
    sign(page, office.key("eve"))
    page.get_by_text("NOT_A_SIGNER").wait_for()
    sign(page, office.key("bela"))
    page.get_by_text("Signed by: bela").wait_for()
    sign(page, office.key("chidi"))
    page.get_by_text("Signed by: bela, chidi").wait_for()
    missing = page.get_by_role("listitem").filter(has_text="survivor representative")
    assert missing.count() == 1
    assert page.get_by_role("button", name="Put it in force").count() == 0
    sign(page, office.key("alice"))
    page.get_by_role("button", name="Put it in force").click()
    page.get_by_text("It is in force.").wait_for()
    page.get_by_role("link", name="Agreement regional-trends, version 2").wait_for()


def test_a_board_is_founded(page: Page, office: Office, hub: RunningHub) -> None:
    """From nothing: names, keys, the first signatures."""
    set_up(page, hub)
    page.get_by_role("link", name="Found a board").click()
    page.get_by_label("Short name of the board").fill("first-board")
    page.get_by_label("Short name of the network").fill("sample-network")
    for place, name in enumerate(MEMBERS, 1):
        group = page.get_by_role("group", name=f"Member {place}")
        group.get_by_label("Full name").fill(name.capitalize())
        group.get_by_label("Short name").fill(name)
        group.get_by_label("Public key").fill(office.public(name).read_text("utf-8"))
    page.get_by_role("group", name="Seat 1").get_by_label("Held by").fill("alicia")
    keys = page.get_by_role("group", name="Keys of the hub")
    keys.get_by_label("key", exact=True).fill(hub.keys[0])
    keys.get_by_label("freshness").fill(hub.keys[1])
    page.get_by_label("Why").fill("We begin.")
    page.get_by_role("button", name="Make the proposal").click()
    assert "Did you mean 'alice'?" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Short name of the board").input_value() == "first-board"
    page.get_by_role("group", name="Seat 1").get_by_label("Held by").fill("alice")
    page.get_by_label("Keys of agencies' agents").fill(f"city-police={POLICE.key}")
    page.get_by_role("button", name="Make the proposal").click()
    assert "is missing: exchange:" in page.get_by_role("alert").inner_text()
    page.get_by_label("Keys of agencies' agents").fill(f"city-police\n{lines(POLICE)}")
    page.get_by_role("button", name="Make the proposal").click()
    page.get_by_text("The board first-board is founded").wait_for()
    assert POLICE.kem is not None
    page.get_by_text(f"whose SHA-256 begins {kem_digest(POLICE.kem)}").wait_for()
    page.get_by_text("The changed documents, as they are written").click()
    written = "\n".join(page.locator("pre").all_inner_texts())
    assert short_kem(POLICE.kem) in written
    assert POLICE.kem not in page.content()

    with page.expect_download() as download:
        page.get_by_role("link", name="Save it as a file").click()
    file = office.folder / download.value.suggested_filename
    download.value.save_as(file)
    office.sign(file, "alice")
    assert read_proposal(file).standing().signed == ("alice",)
    page.get_by_role("link", name="Overview").click()
    page.get_by_text("You got a proposal as a file?").click()
    page.get_by_label("File of a proposal").set_input_files(str(file))
    page.get_by_role("button", name="Look at it").click()
    page.get_by_text("Signed by: alice").wait_for()
    sign(page, office.key("bela"))
    page.get_by_role("button", name="Put it in force").click()
    page.get_by_text("It is in force.").wait_for()
    page.get_by_role("heading", name="The board first-board").wait_for()


def test_narrow_screens_and_keyboards_do(page: Page, hub: RunningHub) -> None:
    """320 pixels without scrolling sideways; every field has a label."""
    set_up(page, hub)
    page.set_viewport_size({"width": 320, "height": 640})
    base = page.url.partition("?")[0]
    for path in ("", "hub", "keys", "found"):
        page.goto(base + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        for field in page.locator("input:not([type=hidden]), textarea, select").all():
            name = field.get_attribute("id")
            assert page.locator(f"label[for={name}]").count() == 1, name
        assert page.locator("h1").count() == 1
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.locator("html").get_attribute("dir") == "ltr"
    page.goto(base)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"


def test_another_browser_is_not_let_in(page: Page, board: Board) -> None:
    """The address that was opened is of no use any more."""
    context = page.context.browser
    assert context is not None
    other = context.new_context().new_page()
    other.goto(board.address.replace("invitation=", "invitation=x"))
    assert "not for this browser" in other.title()
    page.reload()
    page.get_by_role("heading", name="First steps").wait_for()
