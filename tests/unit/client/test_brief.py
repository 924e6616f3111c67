# SPDX-License-Identifier: Apache-2.0
"""A brief says in sentences what figures say, and no more than that."""

from __future__ import annotations

import base64
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accord.client import cli
from accord.client.brief import as_html, as_markdown, brief_of
from accord.client.brief.spans import spoken
from accord.core.messages import sentence
from accord.rpc.command import run_command
from tests.unit.client.hub_double import AnalystHub, release, serving
from tests.unit.client.released_series import FOUR, by_month, months, released

Accord = Callable[..., tuple[int, str, str]]


def said(*results: object) -> list[str]:
    return brief_of(results, drawings=False).sentences()  # type: ignore[arg-type]


def test_a_rise_within_the_noise_is_called_that() -> None:
    lines = said(by_month([50.0] * 11 + [55.0], edition="2024-12"))
    assert (
        "All: between 35 and 75 in 2024-12, after between 30 and 70 in 2024-11; the "
        "rise is not more than noise."
    ) in lines


@pytest.mark.parametrize(
    ("last", "verdict"),
    [
        (200.0, "the rise is more than noise and chance"),
        (83.0, "the rise is more than noise, but not more than chance"),
        (15.0, "the fall is more than noise and chance"),
        (49.0, "the fall is not more than noise"),
    ],
)
def test_verdicts(last: float, verdict: str) -> None:
    lines = said(by_month([50.0] * 11 + [last], edition="2024-12"))
    assert any(line.endswith(f"; {verdict}.") for line in lines)


def test_changes_breaks_and_their_false_alarms_are_said() -> None:
    chance = random.Random(1)
    levels = [100.0] * 12 + [200.0] * 12
    stepped = by_month([level + chance.gauss(0, 14) for level in levels])
    lines = said(stepped)
    assert any(re.search(r"from about 202[45]-\d\d on, the level", x) for x in lines)
    assert any("no more than about 5% show a change" in line for line in lines)
    rows = {(name,): 150.0 for name in months(1, 12, 2025)}
    older = by_month([100.0] * 12, edition="2024-12", answered=FOUR)
    lines = said(older, released(rows, edition="2025-12", released_at=1_800_000_000))
    assert any("other members (+labour" in line for line in lines)
    assert not any("the level is" in line for line in lines)


def test_the_same_month_of_last_year_is_compared() -> None:
    lines = said(by_month([50.0] * 12 + [90.0] * 12))
    assert any("compared with 2024-12" in line for line in lines)


def test_regions_over_time_have_probabilities() -> None:
    rows = {
        (month, region): 300.0 if (month, region) == ("2024-12", "b") else 100.0
        for month in months(1, 12)
        for region in ("a", "b", "c", "d", "e", "f", "g")
    }
    lines = said(released(rows, by=("registered_month", "region"), edition="2024-12"))
    assert any("b (99.9%). Of 7 known figures, about 0.4" in line for line in lines)
    assert "Not shown here: 2 more, which the releases have." in lines


def test_figures_without_time_are_the_largest_with_their_intervals() -> None:
    rows = {("a",): 40.0, ("b",): None, ("c",): -4.0}
    lines = said(released(rows, by=("region",), missing=("police",)))
    assert lines[:3] == [
        "a: between 20 and 60.",
        "c: between 0 and 16.",
        "Suppressed figures: 1 of 3. They are unknown, not zero.",
    ]
    assert any("without police" in line for line in lines)
    assert "Linkage errors are not covered." in lines


def test_a_question_without_time_is_told_by_its_newest_edition_only() -> None:
    """The same cases are counted again in every edition: that is no series."""
    old = released({("a",): 40.0}, by=("region",), edition="2026-10")
    rows = {("a",): 60.0}
    new = released(rows, by=("region",), edition="2026-11", released_at=1_800_000_000)
    (section,) = brief_of([old, new], drawings=False).sections
    assert section.releases == (new.id,)
    assert section.sentences == ("a: between 40 and 80.",)


def test_releases_of_one_period_each_make_a_series() -> None:
    monthly = [
        released(
            {("a",): 40.0},
            by=("region",),
            where={"registered_month": (name,)},
            edition=name,
        )
        for name in months(1, 12)
    ]
    (section,) = brief_of(monthly, drawings=False).sections
    assert len(section.releases) == 12
    assert any("from 2024-01 to 2024-12" in line for line in section.sentences)


def test_a_suppressed_newest_figure_is_unknown() -> None:
    lines = said(by_month([50.0] * 11 + [None], edition="2024-12"))
    assert "All: suppressed in 2024-12, so unknown; not zero." in lines


def test_numbers_are_rounded_outwards() -> None:
    assert spoken(-3.0, "persons", up=False) == "0"
    assert spoken(1234.2, "persons", up=True) == "1,235"
    assert spoken(0.123, "share", up=False) == "12 %"
    assert spoken(0.123, "share", up=True) == "13 %"
    assert spoken(41.24, "days", up=True) == "41.3 days"
    assert spoken(-41.24, "days", up=True) == "-41.2 days"


def test_every_sentence_of_a_verdict_exists() -> None:
    for way in ("rise", "fall"):
        for verdict in ("noise", "chance", "more", "beyond"):
            assert sentence(f"brief.{way}.{verdict}")
    for kind in ("agencies", "membership", "definitions", "bounds", "known"):
        assert sentence(f"brief.break.{kind}", period="2026-01", text="x")


def test_a_page_needs_nothing_else_and_escapes_names() -> None:
    rows = {("<script>",): 40.0, ("[x](y)",): 30.0}
    brief = brief_of([released(rows, by=("region",))])
    page = as_html(brief)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "default-src 'none'" in page
    (image,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    drawing = base64.b64decode(image).decode()
    assert drawing.startswith("<svg")
    assert "href" not in drawing.replace("xmlns:xlink", "")
    written = as_markdown(brief)
    assert "](data:image/svg+xml;base64," in written
    assert "[x](y)" not in written
    assert written.startswith("# Brief: regional-trends\n")


def test_without_the_libraries_there_are_sentences_only(tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(
        "import sys\n"
        "sys.modules['altair'] = None\n"
        "from accord.client.brief import as_html, brief_of\n"
        "from tests.unit.client.released_series import by_month\n"
        "page = as_html(brief_of([by_month([50.0] * 12)]))\n"
        "assert '<img' not in page\n"
        "print('There is no drawing' in page)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, script],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.fixture
def serving_hub() -> Iterator[AnalystHub]:
    with serving() as running:
        yield running


@pytest.fixture
def run(
    serving_hub: AnalystHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Accord:
    """Run ``accord`` as a user of the hub; return exit status, output and errors."""
    monkeypatch.setenv("ACCORD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ACCORD_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("ACCORD_HUB", serving_hub.address)
    monkeypatch.setenv("ACCORD_TOKEN", serving_hub.token)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["accord", *arguments])
        status = run_command(cli.app, unharmed="")
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_the_command_writes_the_page(
    serving_hub: AnalystHub, run: Accord, tmp_path: Path
) -> None:
    empty = ("--agreement", "nothing-yet", "--out", str(tmp_path / "none.md"))
    assert run("brief", *empty)[0] == 2
    stored = serving_hub.store(release())
    page, text = tmp_path / "brief.html", tmp_path / "brief.md"
    status, out, _ = run("brief", stored, "--out", str(page), "--json")
    assert status == 0
    found = json.loads(out)
    assert found["releases"] == [stored]
    assert found["drawings"] == 1
    assert "norvale: between 113 and 134." in found["sentences"]
    assert "norvale: between 113 and 134." in page.read_text(encoding="utf-8")
    named = ("--agreement", "regional-trends", "--no-drawings", "--out", str(text))
    status, out, _ = run("brief", *named)
    assert (status, out.replace("\n", "")) == (0, f"wrote {text}")
    assert stored in text.read_text(encoding="utf-8")


def test_a_wrong_place_is_one_sentence(
    serving_hub: AnalystHub, run: Accord, tmp_path: Path
) -> None:
    stored = serving_hub.store(release())
    status, _, err = run("brief", stored, "--out", str(tmp_path / "brief.pdf"))
    assert status == 2
    assert ".html or .md" in err.replace("\n", " ")
    status, _, err = run("brief", stored, "--out", str(tmp_path / "no" / "brief.md"))
    assert status == 3
    assert "cannot be written" in err.replace("\n", " ")
