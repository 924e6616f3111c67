# SPDX-License-Identifier: Apache-2.0
"""A question that has been asked and may not be answered yet.

It goes on at the hub whoever waits. Machines of some agencies are awake once a day or
once a week only, and a reviewer may have to let an answer go, so it may be days away:
one comes back with the id, or with `Hub.pending`.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping

from accord.client.asked import Asked, AskedQuestions
from accord.client.decode import result_of
from accord.client.moments import Expectation, expectation_of, moment_of, spoken
from accord.client.result import Result
from accord.client.reviewed import listed
from accord.client.stages import REVEAL, Progress, progress_of
from accord.client.wire import Wire
from accord.core.errors import (
    AccordError,
    DeadlineExceeded,
    PreconditionFailed,
    RequisitionRefused,
    Unreachable,
)
from accord.v1 import analyst_pb2 as pb

POLL_SECONDS = 20
"""How long the hub holds one question for news."""

RETRY_SECONDS = 1.0
"""Pause before asking a hub again that could not be reached."""

_STATES: Mapping[int, str] = {
    pb.SUBMISSION_STATE_COLLECTING: "collecting",
    pb.SUBMISSION_STATE_HELD: "held",
    pb.SUBMISSION_STATE_RELEASED: "released",
    pb.SUBMISSION_STATE_FAILED: "failed",
}


class Pending:
    """A submission, by its id; safe to keep, drop or look up again later."""

    def __init__(
        self,
        wire: Wire,
        submission: pb.Submission,
        *,
        asked: Asked | None = None,
        complete: bool = False,
    ) -> None:
        """Wrap what the hub said last.

        Args:
            wire: to the hub.
            submission: what it said.
            asked: what this machine knows of the question.
            complete: only an answer of the largest cohort was asked for.
        """
        self._wire = wire
        self._last = submission
        self._away: tuple[str, ...] = ()
        self._complete = complete
        self.asked = asked

    @property
    def id(self) -> str:
        """The submission's id, for ``hub.submission(id)`` and ``hub.release(id)``."""
        return self._last.id

    @property
    def state(self) -> str:
        """``collecting``, ``held``, ``released`` or ``failed``, when last heard of."""
        return _STATES.get(self._last.state, "collecting")

    @property
    def done(self) -> bool:
        """Whether it ended, when last heard of."""
        return self.state not in ("collecting", "held")

    @property
    def held_at(self) -> datetime.datetime | None:
        """Since when it waits for a reviewer (`Progress.reviewers`), if it does."""
        return moment_of(self._last.held_at)

    @property
    def progress(self) -> Progress:
        """How far it is and who is awaited, when last heard of."""
        return progress_of(self._last, away=self._away)

    @property
    def expectation(self) -> Expectation:
        """When the answer can be expected, and what comes if somebody is away."""
        return expectation_of(self._last.expected_at, self._last.deadline_at)

    @property
    def when(self) -> str:
        """The same as a phrase; empty where it has ended or the hub does not say."""
        if self.held_at is not None:
            return f"waits since {spoken(self.held_at)}"
        or_nobody = self._complete or self.progress.stage == REVEAL
        return "" if self.done else self.expectation.phrase(or_nobody=or_nobody)

    @property
    def failure(self) -> AccordError | None:
        """Why it ended without an answer, if it did."""
        if self._last.state != pb.SUBMISSION_STATE_FAILED:
            return None
        return _failure(self._last.failure)

    def refresh(self) -> Pending:
        """Ask the hub how it is now, without waiting; return itself."""
        self._ask(pb.GetSubmissionRequest(id=self.id))
        return self

    def wait(
        self,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """Return the answer as soon as there is one.

        A hub that restarts meanwhile is asked again until it is back. For a reviewer
        nobody waits without a timeout: that can take days.

        Args:
            timeout: seconds to wait at most; without it, as long as agencies take.
            on_progress: called with every news.

        Raises:
            DeadlineExceeded: STILL_WAITING or RELEASE_HELD; the question goes on
                without us.
            AccordError: the question failed; its sentence says what was charged.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            if on_progress is not None:
                on_progress(self.progress)
            left = POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0 or (timeout is None and self.state == "held"):
                raise self._still_waiting()
            self._poll(min(POLL_SECONDS, int(left) + 1), deadline)
        return self.result()

    def cancel(self) -> bool:
        """End the question if that still costs nothing; tell whether it has so ended.

        From the opening on it is paid for, and goes on to its answer.

        Raises:
            Unreachable: the hub cannot be told; the question goes on.
        """
        request = pb.CancelSubmissionRequest(id=self.id)
        response = self._wire.call(self._wire.stub.CancelSubmission, request)
        self._last = response.submission
        failure = self.failure
        ended = failure is not None and failure.reason == "CANCELLED"
        if ended:
            AskedQuestions(self._wire.hub_identity).forget(self.id)
        return ended

    def _poll(self, seconds: int, deadline: float | None) -> None:
        request = pb.GetSubmissionRequest(
            id=self.id, after_revision=self._last.revision, wait_seconds=seconds
        )
        try:
            self._ask(request)
        except Unreachable:
            if deadline is not None and time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)

    def _ask(self, request: pb.GetSubmissionRequest) -> None:
        response = self._wire.call(self._wire.stub.GetSubmission, request)
        before, self._last = self._last, response.submission
        if self._last.attempt > before.attempt and before.attempt:
            asked = {*self._last.answered, *self._last.awaited}
            self._away = tuple(name for name in before.awaited if name not in asked)

    def result(self) -> Result:
        """Return the answer if it is there; whoever has read it is not reminded of it.

        Raises:
            DeadlineExceeded: STILL_WAITING or RELEASE_HELD.
            AccordError: the question failed.
        """
        if not self.done:
            raise self._still_waiting()
        AskedQuestions(self._wire.hub_identity).forget(self.id)
        if (failure := self.failure) is not None:
            raise failure
        reply = self._last.reply
        return result_of(
            reply.release, charged=reply.charged, from_archive=reply.from_archive
        )

    def receipt(self, how: str = "accord release {id}") -> list[str]:
        """Return in sentences how it is, when to expect it and how to come back.

        Args:
            how: what to type, with a place for the id.
        """
        way = how.format(id=self.id)
        if (failure := self.failure) is not None:
            return [f"Ended without an answer: {failure.sentence}"]
        if self.done:
            return [f"Answered. Read it with: {way}"]
        lines = [f"{_begun(str(self.progress))}."]
        if phrase := self.when:
            lines.append(f"{_begun(phrase)}.")
        return [*lines, f"The question goes on by itself. Come back with: {way}"]

    def as_json(self) -> dict[str, object]:
        """Return the documented form."""
        failure = self.failure
        return {
            "id": self.id,
            "state": self.state,
            **self.progress.as_json(),
            **self.expectation.as_json(),
            "held_at": self.held_at and self.held_at.isoformat(),
            "failure": failure and {"reason": failure.reason, "text": failure.sentence},
        }

    def __repr__(self) -> str:
        """Return a few lines, so that whoever sees them can come back."""
        title = f"{self.asked.question}; " if self.asked else ""
        lines = [f"<Pending: {title}{self.state}; submission {self.id}>"]
        return "\n".join([*lines, *self.receipt("hub.release({id!r})")])

    def _still_waiting(self) -> DeadlineExceeded:
        if self.state == "held":
            return DeadlineExceeded(
                "RELEASE_HELD",
                "The answer is there and paid for, and is published once a reviewer"
                f" lets it go ({listed(self.progress.reviewers)}). Nobody knows when"
                f" that is; look later with: accord release {self.id}",
                id=self.id,
                reviewers=",".join(self.progress.reviewers),
            )
        approving = frozenset(self._last.approving)
        names = [
            f"{each} (people there have to approve it)" if each in approving else each
            for each in self._last.awaited
        ]
        awaited = ", ".join(names) or "the hub"
        phrase = self.when
        return DeadlineExceeded(
            "STILL_WAITING",
            f"Still waiting for {awaited}"
            + (f"; {phrase}" if phrase else "")
            + f". The question goes on; look later with: accord release {self.id}",
            id=self.id,
            awaited=",".join(self._last.awaited),
            stage=self.progress.stage,
        )


_FAILURES: Mapping[str, type[AccordError]] = {
    "AGENCY_REFUSED": RequisitionRefused,
    "AGENCIES_AWAITED": DeadlineExceeded,
    "OPENING_INCOMPLETE": DeadlineExceeded,
}


def _failure(failure: pb.Failure) -> AccordError:
    kind = _FAILURES.get(failure.reason, PreconditionFailed)
    facts = {
        name: value
        for name, value in failure.metadata.items()
        if name not in {"self", "reason", "sentence"}
    }
    return kind(failure.reason, failure.sentence, **facts)


def _begun(phrase: str) -> str:
    return f"{phrase[:1].upper()}{phrase[1:]}"
