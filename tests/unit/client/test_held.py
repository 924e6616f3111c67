# SPDX-License-Identifier: Apache-2.0
"""Answers that a reviewer has to let go: told beforehand, and nobody hangs for days."""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import accord.client as accord
from accord.client import cli
from accord.client.question import Question
from accord.client.reviewed import Review, review_of
from accord.core.errors import DeadlineExceeded, PreconditionFailed
from accord.rpc.command import run_command
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.hub_double import (
    FIVE,
    PURPOSE,
    AnalystHub,
    collecting,
    failed,
    held,
    release,
    released,
    serving,
)

SINCE = datetime.datetime(2026, 11, 28, 17, 30, tzinfo=datetime.UTC)
WAITS = held("rita", "ravi", since=SINCE)
EVERY = "review: {releases: human, reviewers: [rita, ravi]}\n"
SENSITIVE = "may_ask: {sensitive: [gender]}\nreview: {reviewers: [rita]}\n"


@pytest.fixture(scope="module")
def serving_hub() -> Iterator[AnalystHub]:
    with serving() as running:
        yield running


@pytest.fixture
def hub(
    serving_hub: AnalystHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AnalystHub:
    """A hub that holds every answer, and a user set up for it."""
    monkeypatch.setenv("ACCORD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ACCORD_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("ACCORD_HUB", serving_hub.address)
    monkeypatch.setenv("ACCORD_TOKEN", serving_hub.token)
    monkeypatch.setenv("COLUMNS", "200")
    serving_hub.begin_anew()
    serving_hub.script = [collecting(pb.STAGE_REVEAL, FIVE), WAITS]
    return serving_hub


@pytest.fixture
def session(hub: AnalystHub) -> Iterator[accord.Hub]:
    with accord.connect(hub.address, token=hub.token) as connected:
        yield connected


@pytest.fixture
def question(session: accord.Hub) -> Question:
    return session.agreement("regional-trends").persons().by("region")


def test_nobody_waits_for_a_reviewer_by_accident(
    session: accord.Hub, question: Question
) -> None:
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        question.release(epsilon=2, purpose=PURPOSE)
    assert time.monotonic() - begun < 5
    assert caught.value.reason == "RELEASE_HELD"
    assert caught.value.metadata["reviewers"] == "rita,ravi"
    assert f"accord release {caught.value.metadata['id']}" in caught.value.sentence
    (pending,) = session.pending()
    assert pending.id == caught.value.metadata["id"]
    assert (pending.state, pending.done, pending.held_at) == ("held", False, SINCE)
    with pytest.raises(DeadlineExceeded, match="lets it go"):
        session.release(pending.id)
    with pytest.raises(DeadlineExceeded, match="lets it go"):
        pending.result()


def test_who_says_how_long_waits_for_a_reviewer_as_well(
    hub: AnalystHub, session: accord.Hub, question: Question
) -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        question.release(epsilon=2, purpose=PURPOSE, timeout=1)
    assert caught.value.reason == "RELEASE_HELD"
    answer = release()
    hub.script = [WAITS, WAITS, released(answer)]
    assert question.release(epsilon=2, purpose=PURPOSE, timeout=30).id == answer.id
    assert [each.id for each in session.pending()] == [caught.value.metadata["id"]]


def test_what_was_kept_back_is_told_as_a_failure(
    hub: AnalystHub, question: Question
) -> None:
    hub.script = [WAITS, failed("RELEASE_KEPT_BACK", "A reviewer kept it back.")]
    with pytest.raises(PreconditionFailed) as caught:
        question.release(epsilon=2, purpose=PURPOSE, timeout=30)
    assert caught.value.reason == "RELEASE_KEPT_BACK"


@pytest.mark.usefixtures("hub")
def test_a_held_answer_says_since_when_and_who(question: Question) -> None:
    pending = question.release(epsilon=2, purpose=PURPOSE, wait=False)
    told: list[str] = []
    with pytest.raises(DeadlineExceeded):
        pending.wait(on_progress=lambda progress: told.append(str(progress)))
    assert told[-1] == "paid, and held until a reviewer lets it go: rita or ravi"
    assert pending.receipt() == [
        "Paid, and held until a reviewer lets it go: rita or ravi.",
        "Waits since Sat 2026-11-28 17:30 UTC.",
        f"The question goes on by itself. Come back with: accord release {pending.id}",
    ]
    found = pending.as_json()
    assert (found["state"], found["stage"]) == ("held", "held")
    assert found["reviewers"] == ["rita", "ravi"]
    assert found["held_at"] == SINCE.isoformat()


@pytest.mark.parametrize(
    ("document", "dimensions", "reviewers"),
    [
        (EVERY, {}, ("rita", "ravi")),
        (SENSITIVE, {}, ()),
        (SENSITIVE, {"gender": "female"}, ("rita",)),
        ("", {}, ()),
    ],
    ids=["every release", "untouched", "a sensitive filter", "nothing said"],
)
def test_a_price_says_that_the_answer_will_be_held(
    hub: AnalystHub,
    question: Question,
    document: str,
    dimensions: dict[str, str],
    reviewers: tuple[str, ...],
) -> None:
    hub.document = document
    found = question.where(**dimensions).price(epsilon=2, purpose=PURPOSE)
    assert found.reviewers == reviewers
    assert found.as_json()["reviewers"] == list(reviewers)
    assert ("held until a reviewer lets it go" in found.when) == bool(reviewers)


def test_an_agreement_says_what_it_holds(hub: AnalystHub, session: accord.Hub) -> None:
    hub.document = SENSITIVE
    found = session.agreement("regional-trends").describe()
    assert found.review == Review(sensitive=("gender",), reviewers=("rita",))
    assert found.review.phrase() == (
        "answers by gender wait until a reviewer lets it go: rita"
    )
    assert found.as_json()["review"]["sensitive"] == ["gender"]


def test_a_preset_that_asks_for_review_is_told_of() -> None:
    preset = "extends: public_release\nreview: {reviewers: [rita]}\n"
    assert review_of(preset).holds([])
    assert review_of(preset).phrase() == (
        "every answer waits until a reviewer lets it go: rita"
    )
    assert not review_of("extends: none_of_review\n").holds([])
    assert not review_of("review: {releases: automatic}\n").holds(["gender"])


def test_the_command_says_how_to_come_back(
    hub: AnalystHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["accord", *arguments])
        status = run_command(cli.app, unharmed="")
        said = capsys.readouterr()
        return status, said.out, said.err

    asked = ("-b", "region", "-e", "2", "-p", PURPOSE)
    hub.document = EVERY
    assert "held until a reviewer lets it go" in run("price", *asked)[1]
    assert "review: every answer waits" in run("describe", "regional-trends")[1]
    status, out, error = run("query", *asked)
    assert (status, out) == (6, "")
    assert "lets it go (rita or ravi)" in error
    status, _, error = run("query", *asked, "--json")
    assert json.loads(error)["error"]["reason"] == "RELEASE_HELD"
    listed = run("pending")[1]
    assert "paid, and held until a reviewer lets it go: rita or ravi" in listed
    assert "waits since Sat 2026-11-28 17:30 UTC" in listed
    identifier = listed.split("\n")[0]
    hub.script = [released(release())]
    assert "held" in run("submission", identifier)[1]
