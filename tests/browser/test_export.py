# SPDX-License-Identifier: Apache-2.0
"""The exported page in a real browser: wide, narrow, printed, from right to left."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from accord.core.policy import MEMBERS
from accord.core.privacy import Loss
from accord.hub.policies import policies_of
from accord.hub.releases import archive
from accord.hub.transparency.folder import files_of, write_export
from accord.hub.transparency.publication import (
    AskedQuestion,
    Outcome,
    Publication,
    PublishedRelease,
    WitnessedLog,
    Words,
)
from accord.v1 import analyst_pb2, common_pb2
from tests.policies import shipped

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.federation,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]

EVIL = "<img src=x onerror=document.title='taken'>"
RELEASE = "5f0a3d9e-0000-4000-8000-000000000001"


def release() -> analyst_pb2.Release:
    """Return a release of more rows than fit on a screen."""
    rows = [
        analyst_pb2.Row(
            values=[f"2026-{place:03}" if place else EVIL],
            estimate=analyst_pb2.Estimate(
                estimate=10.0 * place, lower=10.0 * place - 25, upper=10.0 * place + 25
            )
            if place % 7
            else analyst_pb2.Estimate(suppressed=True),
        )
        for place in range(60)
    ]
    return analyst_pb2.Release(
        id=RELEASE,
        measure="persons",
        by=[common_pb2.Grouping(dimension="registered_month", level="month")],
        rows=rows,
        persons=analyst_pb2.Estimate(estimate=500, lower=450, upper=550),
        dropped=analyst_pb2.Estimate(suppressed=True),
        cost=analyst_pb2.Cost(epsilon=1.5),
        level=0.95,
        edition="2026-09",
        released_at=1_790_000_000,
        not_covered=[EVIL],
        coverage=analyst_pb2.Coverage(answered=["shelter-north", "city-police"]),
    )


def question(number: int, outcome: Outcome) -> AskedQuestion:
    words = Words(
        measure="persons",
        by=(("registered_month", "month"), ("gender", "")),
        where=(("region", ("north", None)),),
        edition="2026-09",
    )
    return AskedQuestion(
        number=number,
        day=dt.date(2026, 10, 1),
        organisation="observatory",
        purpose="prevention planning",
        words=words,
        outcome=outcome,
        reason="POLICY_DENIED" if outcome is Outcome.REFUSED else None,
        clauses=("deny.purpose", "deny.level") if outcome is Outcome.REFUSED else (),
        loss=Loss(),
        epsilon=0.0,
        release=RELEASE if outcome is Outcome.RELEASED else None,
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return where the exported page is, as a file."""
    paths = (MEMBERS, "models/cases-v1.yaml", "agreements/regional-trends.yaml")
    policies = policies_of(shipped(*paths), 3)
    message = release()
    account = analyst_pb2.Account(
        name="agreement/regional-trends",
        period="365 days",
        cap_epsilon=12,
        spent_epsilon=3,
    )
    shown = Publication(
        agreement=policies.agreement("regional-trends"),
        parties=("Shelter North", "City Police"),
        at=dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
        policies_version=3,
        unsafe=True,
        accounts=(account,),
        spent=3.0,
        log=WitnessedLog(size=7, root=bytes(32), witnesses=("city-police",)),
        questions=tuple(
            question(number, outcome) for number, outcome in enumerate(Outcome, start=1)
        ),
        releases=(
            PublishedRelease(
                summary=archive.summary_of(message), content=message.SerializeToString()
            ),
        ),
    )
    folder = tmp_path_factory.mktemp("public")
    write_export(folder, files_of(shown, "en"))
    return (folder / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The opened page; afterwards, nothing may have been loaded, run or refused."""
    trouble: list[str] = []
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    opened.on("console", lambda message: trouble.append(message.text))
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on(
        "request",
        lambda sent: None if sent.url == address else trouble.append(sent.url),
    )
    opened.goto(address)
    yield opened
    assert opened.title() == "All questions and releases under regional-trends"
    assert trouble == []
    opened.close()


def fits(page: Page) -> bool:
    """Tell whether nothing makes the page wider than the screen."""
    wide = (
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return bool(page.evaluate(wide))


@pytest.mark.parametrize("width", [1200, 390, 320])
@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_it_fits_every_screen(page: Page, width: int, direction: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(f"document.documentElement.dir = '{direction}'")
    assert fits(page)
    drawn = page.locator("article circle").first.bounding_box()
    assert drawn is not None
    assert drawn["width"] > 3


def test_figures_are_read_in_their_own_direction(page: Page) -> None:
    page.evaluate("document.documentElement.dir = 'rtl'")
    cell = page.locator("td.number bdi", has_text="-15 … 35")
    assert cell.evaluate("each => getComputedStyle(each).direction") == "ltr"
    assert EVIL in page.locator("article").inner_text()


def test_a_long_table_is_moved_on_screens_and_whole_on_paper(page: Page) -> None:
    frame = page.locator("article .wide")
    hidden = "each => each.scrollHeight - each.clientHeight"
    assert frame.evaluate(hidden) > 300
    frame.focus()
    page.keyboard.press("End")
    page.wait_for_function("() => document.activeElement.scrollTop > 100")
    page.emulate_media(media="print")
    assert frame.evaluate(hidden) == 0


def test_a_question_leads_to_its_release(page: Page) -> None:
    page.get_by_role("cell", name="released").get_by_role("link").click()
    assert page.evaluate("location.hash") == f"#release-{RELEASE}"
    assert page.get_by_text("the purpose is not in the agreement; finer than").count()
