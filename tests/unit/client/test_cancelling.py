# SPDX-License-Identifier: Apache-2.0
"""Ending a question, by a program and with Ctrl-C: what a person reads."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import accord.client as accord
from accord.client import progress
from accord.client.pending import Pending
from accord.client.sending import Interrupted, Sent
from accord.core.errors import PolicyDenied, PreconditionFailed
from accord.v1 import analyst_pb2 as pb
from tests.federation.processes import command, environment, wait_until
from tests.unit.client.hub_double import (
    FIVE,
    PURPOSE,
    AnalystHub,
    collecting,
    release,
    released,
)


@pytest.fixture
def hub(hub: AnalystHub) -> AnalystHub:
    """A hub that waits for an agency."""
    hub.script = [collecting(pb.STAGE_READY, FIVE[1:])]
    return hub


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


@contextlib.contextmanager
def typed(hub: AnalystHub, data: Path) -> Iterator[subprocess.Popen[str]]:
    """Type a question at a hub that has heard it, and does not say anything yet."""
    hub.answering.clear()
    options = ["--by", "region", "--epsilon", "2", "--purpose", PURPOSE]
    with subprocess.Popen(
        [*command("client"), "query", *options, "--new"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment({"ACCORD_HUB": hub.address, "ACCORD_TOKEN": hub.token})
        | {"ACCORD_DATA": str(data)},
    ) as process:
        try:
            wait_until(lambda: asked_of(hub), "the question is sent")
            yield process
        finally:
            hub.answering.set()
            process.kill()


def asked_of(hub: AnalystHub) -> list[str]:
    """Return the ids of what was asked."""
    return [r.id for r in hub.requests if isinstance(r, pb.SubmitQueryRequest)]


def cancelled_of(hub: AnalystHub) -> list[str]:
    """Return the ids of what was cancelled."""
    return [r.id for r in hub.requests if isinstance(r, pb.CancelSubmissionRequest)]


def interrupt(process: subprocess.Popen[str], *, after: str = "") -> None:
    """Press Ctrl-C; first wait until a line that begins so was printed."""
    if after:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(after)
    process.send_signal(signal.SIGINT)


def last_words(process: subprocess.Popen[str]) -> str:
    """Return what else a command says; it ends as interrupted, and says no answer."""
    assert process.stdout is not None
    assert process.stderr is not None
    # `communicate` would lose what a line read before has left in the buffer.
    err, out = process.stderr.read(), process.stdout.read()
    assert process.wait(timeout=60) == 130
    assert not out
    assert "Traceback" not in err
    return err


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


def test_ctrl_c_before_the_hub_has_said_anything_ends_it_by_its_id(
    hub: AnalystHub, tmp_path: Path
) -> None:
    with typed(hub, tmp_path / "typed") as process:
        interrupt(process)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("The question is ended as soon as")
        assert not cancelled_of(hub)
        hub.answering.set()
        said = last_words(process)
    assert said == "You ended it. Nothing was charged.\n"
    assert cancelled_of(hub) == asked_of(hub)
    assert not [*(tmp_path / "typed").rglob("*.json")]


def test_a_second_ctrl_c_leaves_it_and_says_how_to_come_back(
    hub: AnalystHub, tmp_path: Path
) -> None:
    with typed(hub, tmp_path / "typed") as process:
        interrupt(process)
        interrupt(process, after="The question is ended as soon as")
        said = last_words(process)
    (name,) = asked_of(hub)
    assert "It could not be ended: Interrupted." in said
    assert f"Come back with: accord release {name}" in said
    assert not cancelled_of(hub)
    (kept,) = (tmp_path / "typed").rglob("*.json")
    assert kept.stem == name


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        (True, "You ended it. Nothing was charged."),
        (False, "The hub does not have the question so far."),
    ],
)
def test_where_the_call_fails_the_id_is_ended_all_the_same(
    hub: AnalystHub, monkeypatch: pytest.MonkeyPatch, taken: bool, words: str
) -> None:
    """Nobody knows then whether the hub has it."""
    if not taken:
        hub.refusal = PreconditionFailed("LEDGER_BEHIND", "Not taken.")
    file = io.StringIO()
    with accord.connect() as session:
        question = session.agreement("regional-trends").persons().by("region")

        def interrupted(_: Sent) -> Pending:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Sent, "pending", interrupted)
            with pytest.raises(Interrupted, match=r"hub\.submission\(") as early:
                question.release(epsilon=2, purpose=PURPOSE)
        sent = early.value.sent
        wait_until(lambda: asked_of(hub), "the question is sent")
        if taken:
            (kept,) = wait_until(session.pending, "the hub has it, and it is listed")
            assert kept.id == sent.id

        def away(_: Sent) -> Pending:
            raise accord.Unreachable("UNREACHABLE", "Nobody answers.")

        monkeypatch.setattr(Sent, "pending", away)
        progress.end_early(sent, Console(file=file))
    said = " ".join(file.getvalue().split())
    assert said.split("leaves it alone. ")[1].startswith(words)
    assert cancelled_of(hub) == [sent.id]


def test_a_refusal_of_what_was_interrupted_is_said(
    hub: AnalystHub, tmp_path: Path
) -> None:
    hub.refusal = PolicyDenied("POLICY_DENIED", "It is not allowed.")
    with typed(hub, tmp_path / "typed") as process:
        interrupt(process)
        assert process.stderr is not None
        process.stderr.readline()
        hub.answering.set()
        said = last_words(process)
    assert said == "The hub has not taken the question: It is not allowed.\n"
    assert not [*(tmp_path / "typed").rglob("*.json")]


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
