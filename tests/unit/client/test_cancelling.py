# SPDX-License-Identifier: Apache-2.0
"""Ending a question, by a program and with Ctrl-C: what a person reads."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import accord.client as accord
from accord.client import progress
from accord.client.pending import Pending
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.hub_double import (
    FIVE,
    PURPOSE,
    AnalystHub,
    collecting,
    release,
    released,
    serving,
)


@pytest.fixture(scope="module")
def serving_hub() -> Iterator[AnalystHub]:
    with serving() as running:
        yield running


@pytest.fixture
def hub(
    serving_hub: AnalystHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AnalystHub:
    monkeypatch.setenv("ACCORD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ACCORD_HUB", serving_hub.address)
    monkeypatch.setenv("ACCORD_TOKEN", serving_hub.token)
    serving_hub.begin_anew()
    serving_hub.script = [collecting(pb.STAGE_READY, FIVE[1:])]
    return serving_hub


def asked(session: accord.Hub) -> Pending:
    question = session.agreement("regional-trends").persons().by("region")
    return question.release(epsilon=2, purpose=PURPOSE, wait=False)


def interrupted(
    pending: Pending, monkeypatch: pytest.MonkeyPatch, *, cancels: bool = True
) -> str:
    """Return what is printed to whoever interrupts a wait."""
    file = io.StringIO()

    def wait(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pending, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        progress.waiting(
            pending, Console(file=file), timeout=None, quiet=True, cancels=cancels
        )
    return " ".join(file.getvalue().split())


@pytest.mark.usefixtures("hub")
def test_what_is_cancelled_has_ended_and_is_not_listed_any_more() -> None:
    with accord.connect() as session:
        pending = asked(session)
        assert [each.id for each in session.pending()] == [pending.id]
        assert pending.cancel()
        assert pending.state == "failed"
        assert session.pending() == []
        with pytest.raises(accord.PreconditionFailed) as ended:
            pending.wait()
    assert ended.value.reason == "CANCELLED"


def test_what_is_being_opened_goes_on(hub: AnalystHub) -> None:
    hub.script = [collecting(pb.STAGE_REVEAL, FIVE[1:]), released(release())]
    hub.ending = None
    with accord.connect() as session:
        pending = asked(session)
        assert not pending.cancel()
        assert not pending.done
        assert pending.wait().id


@pytest.mark.usefixtures("hub")
def test_ctrl_c_says_that_nothing_was_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    with accord.connect() as session:
        said = interrupted(asked(session), monkeypatch)
    assert said == "You ended it. Nothing was charged."


def test_ctrl_c_that_comes_too_late_says_how_to_come_back(
    hub: AnalystHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.script = [collecting(pb.STAGE_REVEAL, FIVE[1:])]
    hub.ending = None
    with accord.connect() as session:
        pending = asked(session)
        said = interrupted(pending, monkeypatch)
    assert said.startswith("Too late to give anything back: ")
    assert said.endswith(f"Come back with: accord release {pending.id}")


def test_ctrl_c_after_the_answer_came_says_where_it_is(
    hub: AnalystHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.ending = released(release())
    with accord.connect() as session:
        pending = asked(session)
        said = interrupted(pending, monkeypatch)
    assert said == f"Answered. Read it with: accord release {pending.id}"


@pytest.mark.usefixtures("hub")
def test_ctrl_c_without_a_hub_says_that_the_question_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = accord.connect()
    pending = asked(session)

    def away() -> bool:
        raise accord.Unreachable("UNREACHABLE", "Nobody answers.")

    monkeypatch.setattr(pending, "cancel", away)
    said = interrupted(pending, monkeypatch)
    session.close()
    assert said.startswith(
        "It could not be ended: Nobody answers. The question goes on"
    )


def test_whoever_looks_again_later_ends_nothing(
    hub: AnalystHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``accord release`` waits too, and Ctrl-C there leaves the question alone."""
    with accord.connect() as session:
        said = interrupted(asked(session), monkeypatch, cancels=False)
    assert "The question goes on by itself" in said
    assert not [r for r in hub.requests if isinstance(r, pb.CancelSubmissionRequest)]
