# SPDX-License-Identifier: Apache-2.0
"""The command with a hub that answers later, or in part: what a person reads."""

from __future__ import annotations

import datetime
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import accord.client as accord
from accord.client import progress
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.hub_double import (
    FIVE,
    PURPOSE,
    THREE,
    Accord,
    AnalystHub,
    collecting,
    failed,
    partial,
    release,
    released,
    seconds,
)

QUESTION = ("--by", "region", "--epsilon", "2", "--purpose", PURPOSE)
IN_TWO_DAYS = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)
LATER: dict[str, Any] = {
    "expected_at": seconds(IN_TWO_DAYS),
    "deadline_at": seconds(IN_TWO_DAYS + datetime.timedelta(days=12)),
}
WAY_BACK = re.compile(
    r"The question goes on by itself\. Come back with: accord release ([0-9a-f-]{36})"
)


@pytest.fixture
def hub(hub: AnalystHub) -> AnalystHub:
    """A hub whose agencies are awake in two days."""
    hub.script = [
        collecting(pb.STAGE_READY, FIVE[1:], **LATER),
        released(release()),
    ]
    return hub


def test_a_price_ends_with_when_to_expect_the_answer(
    hub: AnalystHub, run: Accord
) -> None:
    hub.price.expected_at = LATER["expected_at"]
    hub.price.deadline_at = LATER["deadline_at"]
    first, second = run("price", *QUESTION)[1].splitlines()
    assert first == "24 cells, each ±52 at 95.0%, for ε = 2; edition 2026-10"
    assert second.startswith(
        f"answer expected by {IN_TWO_DAYS:%a %Y-%m-%d %H:%M} UTC; "
    )
    assert second.endswith("a fallback cohort answers, or nobody")
    assert run("price", *QUESTION, "--complete")[1].endswith("UTC nobody answers\n")
    found = json.loads(run("price", *QUESTION, "--json")[1])
    assert found["expected_at"][:10] == f"{IN_TWO_DAYS:%Y-%m-%d}"
    hub.price.expected_at = seconds(datetime.datetime.now(datetime.UTC))
    assert "\nanswer expected at once if no" in run("price", *QUESTION)[1]


def test_a_price_can_be_asked_for_by_the_error(hub: AnalystHub, run: Accord) -> None:
    hub.price.MergeFrom(
        pb.PriceQueryResponse(
            unit="persons",
            share_of_left=0.125,
            tightest_account="agreement/regional-trends",
            typical=7.5,
            advice="ask for fewer figures.",
            expected_dropped_share=0.04,
            dropped_share_of="r-1",
            bounding="weigh",
        )
    )
    question = ("--by", "region", "--error", "15", "--purpose", PURPOSE)
    status, out, _ = run("price", *question)
    assert status == 0
    assert hub.requests[0].spending.error == 15
    assert out.splitlines() == [
        "24 cells, each ±52 persons at 95.0%, for ε = 2; edition 2026-10",
        "12.5% of what is left in agreement/regional-trends",
        "about 7.5 persons in a typical cell",
        "expect the bound to leave out 4.0%, as in release r-1",
        (
            "persons with more cells than may count get less weight in each, "
            "instead of losing some"
        ),
        "probably of little use: ask for fewer figures.",
    ]
    found = json.loads(run("price", *question, "--json")[1])
    assert found["share_of_left"] == 0.125
    assert found["expected_dropped_share"] == 0.04
    hub.price.share_of_left = 1.5
    assert (
        "\nmore than is left in agreement/regional-trends" in run("price", *question)[1]
    )
    hub.requests.clear()
    assert run("query", *question, "--no-wait")[0] == 0
    assert hub.requests[-1].spending.error == 15


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("both", [(), ("--error", "15", "--epsilon", "1")])
def test_either_the_loss_or_the_error_is_named(
    run: Accord, both: tuple[str, ...]
) -> None:
    status, _, said = run("price", "--purpose", PURPOSE, *both)
    assert status != 0
    assert "either --epsilon or --error" in said


@pytest.mark.usefixtures("hub")
def test_asking_without_waiting_prints_a_receipt(run: Accord) -> None:
    status, out, _ = run("query", *QUESTION, "--no-wait")
    first, second, third = out.splitlines()
    assert status == 0
    assert first == "4 of 5 agencies ready; awaiting city-police."
    assert second.startswith("Expected by ")
    assert WAY_BACK.fullmatch(third)


@pytest.mark.usefixtures("hub")
def test_the_receipt_for_machines_has_the_same(run: Accord) -> None:
    out = run("query", *QUESTION, "--no-wait", "--json")[1]
    found = json.loads(out)["submission"]
    assert {name: found[name] for name in ("state", "stage", "attempt", "cohort")} == {
        "state": "collecting",
        "stage": "ready",
        "attempt": 1,
        "cohort": "all",
    }
    assert found["awaited"] == ["city-police"]
    assert found["deadline_at"] > found["expected_at"]
    assert found["failure"] is None


@pytest.mark.usefixtures("hub")
def test_one_comes_back_days_later(run: Accord) -> None:
    """By the list, by the state of one question, by its answer; then it is closed."""
    out = run("query", *QUESTION, "--where", "region=norvale", "--no-wait")[1]
    (name,) = WAY_BACK.findall(out)
    lines = run("pending")[1].splitlines()
    assert lines[:2] == [
        name,
        "  persons by region where region = norvale (regional-trends)",
    ]
    assert lines[2].startswith("  asked ")
    assert lines[3] == "  4 of 5 agencies ready; awaiting city-police"
    assert lines[4].startswith("  expected by ")
    assert lines[5] == "read an answer, or wait for it, with: accord release ID"
    (listed,) = json.loads(run("pending", "--json")[1])["submissions"]
    state = json.loads(run("submission", name, "--json")[1])["submission"]
    assert listed.items() >= state.items()
    assert listed["question"] == "persons by region where region = norvale"
    status, out, err = run("release", name)
    assert status == 0
    assert "5 of 5 agencies" in out
    assert WAY_BACK.search(err), "whoever waits knows how to come back"
    assert "no question is open" in run("pending")[1]
    assert run("submission", name)[1] == (
        f"Answered. Read it with: accord release {name}\n"
    )


def test_a_question_that_failed_is_listed_with_its_reason(
    hub: AnalystHub, run: Accord
) -> None:
    hub.script = [
        collecting(pb.STAGE_READY, FIVE[1:]),
        failed("AGENCIES_AWAITED", "city-police was not ready in time.", stage="ready"),
    ]
    (name,) = WAY_BACK.findall(run("query", *QUESTION, "--no-wait")[1])
    with accord.connect() as session:
        session.submission(name)._poll(1, None)
    assert "  ended without an answer (AGENCIES_AWAITED)" in run("pending")[1]
    assert run("submission", name)[1] == (
        "Ended without an answer: city-police was not ready in time.\n"
    )
    status, _, err = run("release", name, "--json")
    assert status == 6
    error = json.loads(err.splitlines()[-1])["error"]
    assert error["reason"] == "AGENCIES_AWAITED"
    assert error["metadata"] == {"stage": "ready"}
    assert "no question is open" in run("pending")[1]


def test_a_release_is_written_to_a_file(
    hub: AnalystHub, run: Accord, tmp_path: Path
) -> None:
    """Of the kind that its name says, with the line to quote."""
    stored = hub.store(partial())
    file = tmp_path / "figures.csv"
    status, out, _ = run("export", stored, "--out", str(file))
    assert status == 0
    assert f"wrote {file}" in out
    assert "cite as: Accord, agreement regional-trends version 2" in out
    assert "eastmere,,,,,,,true,small" in file.read_text(encoding="utf-8")
    status, out, _ = run("export", stored, "--out", str(file), "--json")
    shown = json.loads(out)
    assert shown["files"] == [str(file), str(file.with_suffix(".notes.txt"))]
    status, _, err = run("export", stored, "--out", str(tmp_path / "a.doc"), "--json")
    assert status == 2
    assert json.loads(err)["error"]["reason"] == "EXPORT_KIND_UNKNOWN"


def test_a_release_is_read_by_its_own_id_too(hub: AnalystHub, run: Accord) -> None:
    stored = hub.store(partial())
    status, out, _ = run("release", stored)
    assert status == 0
    out = " ".join(out.split())  # wherever lines end on this screen
    assert "· 3 of 5 agencies, without city-police, health-service" in out
    assert "another series than figures of all" in out
    assert "The hub and one agency together could learn at most ε = 1.04" in out
    status, _, err = run("release", "6f1d2c3b-0000-4000-8000-000000000000", "--json")
    assert status == 2
    assert json.loads(err)["error"]["reason"] == "RELEASE_UNKNOWN"


def test_complete_is_passed_on(hub: AnalystHub, run: Accord) -> None:
    run("query", *QUESTION, "--complete", "--no-wait")
    run("query", *QUESTION, "--no-wait")
    asked = [each for each in hub.requests if isinstance(each, pb.SubmitQueryRequest)]
    assert [each.complete_only for each in asked] == [True, False]


class TestDrawing:
    """What stays on a terminal while somebody waits."""

    def test_a_wait_that_gets_long_says_how_to_come_back(
        self, hub: AnalystHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once, though the answer was expected at once: somebody may be away."""
        hub.script = [
            collecting(pb.STAGE_READY, FIVE[number:]) for number in (1, 1, 1, 0)
        ] + [released(release())]
        assert not WAY_BACK.search(" ".join(self.draw().split()))
        monkeypatch.setattr(progress, "LONG_SECONDS", -1)
        shown = " ".join(self.draw().split())
        assert len(WAY_BACK.findall(shown)) == 1

    @staticmethod
    def draw() -> str:
        file = io.StringIO()
        screen = Console(file=file, width=120, force_terminal=True, color_system=None)
        with accord.connect() as session:
            question = session.agreement("regional-trends").persons().by("region")
            pending = question.release(epsilon=2, purpose=PURPOSE, wait=False)
            progress.waiting(pending, screen, timeout=30, quiet=False)
        return file.getvalue()

    def test_stages_and_who_was_away(self, hub: AnalystHub) -> None:
        fallback: dict[str, Any] = {"attempt": 2, "cohort": "fallback"}
        hub.script = [
            collecting(pb.STAGE_READY, FIVE[1:]),
            collecting(pb.STAGE_READY, THREE, awaited=(), **fallback),
            collecting(pb.STAGE_MASKED, THREE, awaited=(), **fallback),
            collecting(pb.STAGE_REVEAL, THREE, awaited=(), **fallback),
            released(partial()),
        ]
        shown = self.draw()
        note = "· city-police was away; asking the cohort fallback now"
        assert shown.count(note) == 1
        assert "The question goes on by itself" not in shown

    def test_who_interrupts_is_told_how_to_come_back(
        self, hub: AnalystHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where nothing else is printed."""
        hub.script = [collecting(pb.STAGE_READY, FIVE[1:])]
        file = io.StringIO()
        with accord.connect() as session:
            question = session.agreement("regional-trends").persons().by("region")
            pending = question.release(epsilon=2, purpose=PURPOSE, wait=False)

            def interrupted(**_: object) -> None:
                raise KeyboardInterrupt

            monkeypatch.setattr(pending, "wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                progress.waiting(pending, Console(file=file), timeout=None, quiet=True)
        (name,) = WAY_BACK.findall(" ".join(file.getvalue().split()))
        assert name == pending.id
