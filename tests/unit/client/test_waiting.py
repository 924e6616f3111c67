# SPDX-License-Identifier: Apache-2.0
"""Asking, waiting and coming back days later, with a hub over a real connection."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import accord.client as accord
from accord.client.asked import Asked, AskedQuestions
from accord.client.question import Question
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.hub_double import (
    FIVE,
    PURPOSE,
    THREE,
    AnalystHub,
    collecting,
    failed,
    partial,
    release,
    released,
    seconds,
    serving,
)

IN_TWO_DAYS = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)
IN_TWO_WEEKS = IN_TWO_DAYS + datetime.timedelta(days=12)
LATER = {"expected_at": seconds(IN_TWO_DAYS), "deadline_at": seconds(IN_TWO_WEEKS)}
FALLBACK: dict[str, Any] = {"attempt": 2, "cohort": "fallback"}


@pytest.fixture(scope="module")
def serving_hub() -> Iterator[AnalystHub]:
    with serving() as running:
        yield running


@pytest.fixture
def hub(
    serving_hub: AnalystHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AnalystHub:
    """A hub that everybody answers at once, and a user who has asked nothing yet."""
    monkeypatch.setenv("ACCORD_DATA", str(tmp_path / "data"))
    serving_hub.begin_anew()
    return serving_hub


@pytest.fixture
def session(hub: AnalystHub) -> Iterator[accord.Hub]:
    with accord.connect(hub.address, token=hub.token) as connected:
        yield connected


@pytest.fixture
def question(session: accord.Hub) -> Question:
    return session.agreement("regional-trends").persons().by("region")


def ask(question: Question, **more: Any) -> accord.Pending:  # noqa: ANN401
    return question.release(epsilon=2, purpose=PURPOSE, wait=False, **more)


class TestPrice:
    """What is known before anything is paid."""

    def test_a_price_says_when_the_answer_can_be_expected(
        self, hub: AnalystHub, question: Question
    ) -> None:
        hub.price.expected_at = LATER["expected_at"]
        hub.price.deadline_at = LATER["deadline_at"]
        found = question.price(epsilon=2, purpose=PURPOSE)
        assert found.expectation.expected_at == IN_TWO_DAYS.replace(microsecond=0)
        assert found.when.startswith("answer expected by ")
        assert found.when.endswith(" a fallback cohort answers, or nobody")
        assert found.as_json()["expected_at"][:10] == f"{IN_TWO_DAYS:%Y-%m-%d}"
        complete = question.price(epsilon=2, purpose=PURPOSE, complete=True)
        assert complete.when.endswith("UTC nobody answers")
        assert [each.complete_only for each in hub.requests] == [False, True]

    def test_agencies_that_are_awake_answer_at_once(
        self, hub: AnalystHub, question: Question
    ) -> None:
        hub.price.expected_at = seconds(datetime.datetime.now(datetime.UTC))
        hub.price.deadline_at = LATER["deadline_at"]
        found = question.price(epsilon=2, purpose=PURPOSE)
        assert found.when.startswith("answer expected at once if no agency is away; ")

    def test_what_is_paid_for_is_free_and_at_once(
        self, hub: AnalystHub, question: Question, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hub, "price", pb.PriceQueryResponse(from_archive=True))
        found = question.price(epsilon=2, purpose=PURPOSE)
        assert found.when == "already paid for: free, and at once"
        assert found.as_json()["expected_at"] is None


class TestStages:
    """What is told while one waits."""

    def test_every_stage_says_how_many_and_who_is_awaited(
        self, hub: AnalystHub, question: Question
    ) -> None:
        everybody = collecting(pb.STAGE_REVEAL, FIVE)
        hub.script = [
            collecting(pb.STAGE_READY, FIVE[2:]),
            collecting(pb.STAGE_MASKED, FIVE[1:]),
            everybody,
            released(release()),
        ]
        told: list[accord.Progress] = []
        question.release(epsilon=2, purpose=PURPOSE, on_progress=told.append)
        assert [str(each) for each in told] == [
            "3 of 5 agencies ready; awaiting city-police, health-service",
            "4 of 5 agencies have sent their masked figures; awaiting city-police",
            "opening the sum, paid from here on: 5 of 5 agencies have answered",
        ]
        assert [each.stage for each in told] == ["ready", "masked", "reveal"]

    def test_a_hub_that_has_only_just_started_is_waited_for(
        self, hub: AnalystHub, question: Question
    ) -> None:
        hub.script = [pb.Submission(state=pb.SUBMISSION_STATE_COLLECTING)]
        assert ask(question).receipt()[0] == "Waiting for the hub."

    def test_another_attempt_says_who_was_away(
        self, hub: AnalystHub, question: Question
    ) -> None:
        hub.script = [
            collecting(pb.STAGE_READY, FIVE[1:]),
            collecting(pb.STAGE_READY, THREE[:1], awaited=THREE[1:], **FALLBACK),
            collecting(pb.STAGE_MASKED, THREE, awaited=(), **FALLBACK),
            released(partial()),
        ]
        told: list[str] = []
        question.release(
            epsilon=2, purpose=PURPOSE, on_progress=lambda each: told.append(str(each))
        )
        away = "city-police was away; asking the cohort fallback now: "
        assert told[1:] == [
            f"{away}1 of 3 agencies ready; awaiting labour, shelter-north",
            f"{away}3 of 3 agencies have sent their masked figures",
        ]

    def test_who_comes_later_is_told_of_the_attempt_and_not_of_guesses(
        self, hub: AnalystHub, question: Question, session: accord.Hub
    ) -> None:
        hub.script = [
            collecting(
                pb.STAGE_READY, (), awaited=THREE, refused=["labour"], **FALLBACK
            )
        ]
        found = session.submission(ask(question).id)
        assert str(found.progress) == (
            "attempt 2, asking the cohort fallback: 0 of 4 agencies ready; awaiting "
            "hotline, labour, shelter-north; declined: labour"
        )
        assert found.progress.away == ()


class TestComingBack:
    """The answer is days away, and nobody waits at a terminal."""

    def test_asking_without_waiting_says_how_to_come_back(
        self, hub: AnalystHub, question: Question
    ) -> None:
        hub.script = [collecting(pb.STAGE_READY, FIVE[1:], **LATER)]
        pending = ask(question)
        assert not pending.done
        first, second, last = pending.receipt()
        assert first == "4 of 5 agencies ready; awaiting city-police."
        assert second.startswith("Expected by ")
        assert last == (
            "The question goes on by itself. Come back with: "
            f"accord release {pending.id}"
        )
        assert repr(pending).splitlines()[0] == (
            f"<Pending: persons by region; collecting; submission {pending.id}>"
        )
        assert f"hub.release('{pending.id}')" in repr(pending)

    def test_a_wait_that_ends_says_when_to_expect_it(
        self, hub: AnalystHub, question: Question
    ) -> None:
        hub.script = [collecting(pb.STAGE_MASKED, FIVE[1:], **LATER)]
        with pytest.raises(accord.DeadlineExceeded) as late:
            question.release(epsilon=2, purpose=PURPOSE, timeout=0.1)
        assert late.value.reason == "STILL_WAITING"
        assert "Still waiting for city-police; expected by " in late.value.sentence
        assert f"accord release {late.value.metadata['id']}" in late.value.sentence
        assert late.value.metadata["stage"] == "masked"

    def test_open_questions_are_listed_until_their_answers_are_read(
        self, hub: AnalystHub, question: Question, session: accord.Hub
    ) -> None:
        hub.script = [collecting(pb.STAGE_READY, FIVE[1:]), released(release())]
        first, second = ask(question), ask(question.where(region="norvale"))
        with accord.connect(hub.address, token=hub.token) as days_later:
            found = days_later.pending()
            assert [each.id for each in found] == [first.id, second.id]
            assert found[1].asked is not None
            assert found[1].asked.question == (
                "persons by region where region = norvale"
            )
            assert found[0].wait().coverage.is_complete
            assert [each.id for each in days_later.pending()] == [second.id]
            second.wait()
            assert days_later.pending() == []

    def test_an_answer_that_has_come_is_listed_until_it_is_read(
        self, hub: AnalystHub, question: Question, session: accord.Hub
    ) -> None:
        """Who comes back sees that it is there."""
        hub.script = [collecting(pb.STAGE_READY, FIVE[1:]), released(release())]
        pending = ask(question)
        pending._poll(1, None)
        (found,) = session.pending()
        assert found.done
        assert found.receipt() == [
            f"Answered. Read it with: accord release {pending.id}"
        ]
        session.release(pending.id)
        assert session.pending() == []

    def test_what_is_answered_at_once_is_never_listed(
        self, question: Question, session: accord.Hub, tmp_path: Path
    ) -> None:
        question.release(epsilon=2, purpose=PURPOSE)
        assert session.pending() == []
        assert not (tmp_path / "data").exists()

    def test_looking_does_not_wait(
        self, hub: AnalystHub, question: Question, session: accord.Hub
    ) -> None:
        hub.script = [collecting(pb.STAGE_READY, FIVE[1:])]
        found = session.submission(ask(question).id).refresh()
        assert found.state == "collecting"
        assert all(
            each.wait_seconds == 0
            for each in hub.requests
            if isinstance(each, pb.GetSubmissionRequest)
        )

    def test_a_question_that_the_hub_does_not_know_is_not_listed(
        self, hub: AnalystHub, question: Question, session: accord.Hub
    ) -> None:
        """It may be somebody else's who uses this machine: it is not forgotten."""
        hub.script = [collecting(pb.STAGE_READY, FIVE[1:])]
        ask(question)
        hub.forget()
        assert session.pending() == []
        assert len(AskedQuestions(hub.fingerprint.hex()).all()) == 1
        with pytest.raises(accord.NotFound):
            session.submission(str(uuid.uuid4()))

    def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(
        self,
        hub: AnalystHub,
        question: Question,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "file").write_text("no folder", "utf-8")
        monkeypatch.setenv("ACCORD_DATA", str(tmp_path / "file"))
        hub.script = [collecting(pb.STAGE_READY, FIVE[1:]), released(release())]
        assert ask(question).wait().coverage.is_complete

    def test_complete_asks_for_all_or_nothing(
        self, hub: AnalystHub, question: Question
    ) -> None:
        hub.script = [collecting(pb.STAGE_READY, FIVE[1:], **LATER)]
        pending = ask(question, complete=True)
        other = ask(question)
        assert [each.complete_only for each in hub.requests] == [True, False]
        assert pending.receipt()[1].endswith("UTC nobody answers.")
        assert other.receipt()[1].endswith("UTC a fallback cohort answers, or nobody.")

    def test_nobody_stands_in_while_a_sum_is_being_opened(
        self, hub: AnalystHub, question: Question
    ) -> None:
        """It is paid: no other cohort can be asked any more."""
        hub.script = [collecting(pb.STAGE_REVEAL, FIVE[1:], **LATER)]
        assert ask(question).receipt()[1].endswith("UTC nobody answers.")


class TestAskedQuestions:
    """What is kept on the analyst's own machine."""

    def test_it_is_for_its_user_only_and_names_no_answer(
        self, hub: AnalystHub, question: Question, tmp_path: Path
    ) -> None:
        hub.script = [collecting(pb.STAGE_READY, FIVE[1:])]
        pending = ask(question)
        (path,) = (tmp_path / "data").rglob("*.json")
        assert path.name == f"{pending.id}.json"
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0
        assert hub.token not in path.read_text("utf-8")

    @pytest.mark.usefixtures("hub")
    def test_strange_ids_and_broken_files_are_left_alone(self, tmp_path: Path) -> None:
        """No id leads out of the folder."""
        kept = AskedQuestions("ab")
        moment = datetime.datetime.now(datetime.UTC)
        for name in ("../../outside", "no-uuid"):
            asked = Asked(id=name, agreement="a", question="q", asked_at=moment)
            kept.keep(asked)
            kept.forget(name)
        assert not (tmp_path / "data").exists()
        good = Asked(id=str(uuid.uuid4()), agreement="a", question="q", asked_at=moment)
        kept.keep(good)
        folder = tmp_path / "data" / "asked" / "ab"
        for number, text in enumerate(('{"agreement": 1}', "[1", "", "{}", "[]")):
            (folder / f"{number}.json").write_text(text, "utf-8")
        assert kept.all() == [good]

    @pytest.mark.usefixtures("hub")
    def test_every_hub_has_its_own(self) -> None:
        asked = Asked(
            id=str(uuid.uuid4()),
            agreement="a",
            question="q",
            asked_at=datetime.datetime.now(datetime.UTC),
        )
        AskedQuestions("ab").keep(asked)
        assert AskedQuestions("cd").all() == []


class TestEndings:
    """What is said when no answer comes."""

    def test_who_did_not_answer_in_time_and_in_which_round_is_said(
        self, hub: AnalystHub, question: Question, session: accord.Hub
    ) -> None:
        words = (
            "These agencies did not say in time that they are ready: city-police. "
            "Nothing was charged; ask again later."
        )
        facts = {"awaited": "city-police", "stage": "ready"}
        hub.script = [
            collecting(pb.STAGE_READY, FIVE[1:]),
            failed("AGENCIES_AWAITED", words, **facts),
        ]
        with pytest.raises(accord.DeadlineExceeded) as late:
            question.release(epsilon=2, purpose=PURPOSE)
        assert (late.value.reason, late.value.sentence) == ("AGENCIES_AWAITED", words)
        assert late.value.metadata == facts
        assert late.value.exit_code == 6
        assert session.pending() == []

    def test_an_opening_that_never_ended_says_that_it_was_charged(
        self, hub: AnalystHub, question: Question
    ) -> None:
        words = "city-police did not open the sum in time. It was charged."
        hub.script = [
            collecting(pb.STAGE_REVEAL, FIVE[1:]),
            failed("OPENING_INCOMPLETE", words, awaited="city-police", self="x"),
        ]
        pending = ask(question)
        with pytest.raises(accord.DeadlineExceeded) as late:
            pending.wait()
        assert late.value.reason == "OPENING_INCOMPLETE"
        assert "charged" in late.value.sentence
        assert late.value.metadata == {"awaited": "city-police"}
        assert pending.receipt() == [f"Ended without an answer: {words}"]
        assert pending.as_json()["failure"] == {
            "reason": "OPENING_INCOMPLETE",
            "text": words,
        }
