# SPDX-License-Identifier: Apache-2.0
"""A question that has been asked and may not be answered yet."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

from accord.client.decode import result_of
from accord.client.result import Result
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Who has answered so far."""

    answered: tuple[str, ...]
    awaited: tuple[str, ...]
    refused: tuple[str, ...]


class Pending:
    """A submission, by its id; safe to keep, drop or look up again later."""

    def __init__(self, wire: Wire, submission: pb.Submission) -> None:
        """Wrap what the hub said last."""
        self._wire = wire
        self._last = submission

    @property
    def id(self) -> str:
        """The submission's id, for ``hub.release(id)``."""
        return self._last.id

    @property
    def done(self) -> bool:
        """Whether it ended, when last heard of."""
        return self._last.state in _ENDED

    @property
    def progress(self) -> Progress:
        """Who has answered, when last heard of."""
        return Progress(
            answered=tuple(self._last.answered),
            awaited=tuple(self._last.awaited),
            refused=tuple(self._last.refused),
        )

    def wait(
        self,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """Return the answer as soon as there is one.

        A hub that restarts meanwhile is asked again until it is back.

        Args:
            timeout: seconds to wait at most; without it, as long as it takes.
            on_progress: called with every news.

        Raises:
            DeadlineExceeded: STILL_WAITING; the question goes on without us.
            AccordError: the question failed; nothing was charged.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            if on_progress is not None:
                on_progress(self.progress)
            left = POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise self._still_waiting()
            self._poll(min(POLL_SECONDS, int(left) + 1), deadline)
        if on_progress is not None:
            on_progress(self.progress)
        return self.result()

    def _poll(self, seconds: int, deadline: float | None) -> None:
        request = pb.GetSubmissionRequest(
            id=self.id, after_revision=self._last.revision, wait_seconds=seconds
        )
        method = self._wire.stub.GetSubmission
        try:
            response = self._wire.call(method, request)
        except Unreachable:
            if deadline is not None and time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)
            return
        self._last = response.submission

    def result(self) -> Result:
        """Return the answer if it is there.

        Raises:
            DeadlineExceeded: STILL_WAITING.
            AccordError: the question failed.
        """
        if self._last.state == pb.SUBMISSION_STATE_RELEASED:
            reply = self._last.reply
            return result_of(
                reply.release, charged=reply.charged, from_archive=reply.from_archive
            )
        if self._last.state == pb.SUBMISSION_STATE_FAILED:
            raise _failure(self._last.failure)
        raise self._still_waiting()

    def _still_waiting(self) -> DeadlineExceeded:
        awaited = ", ".join(self._last.awaited) or "the hub"
        return DeadlineExceeded(
            "STILL_WAITING",
            f"Still waiting for {awaited}. The question goes on; look later with: "
            f"accord release {self.id}",
            id=self.id,
            awaited=",".join(self._last.awaited),
        )


_ENDED = {pb.SUBMISSION_STATE_RELEASED, pb.SUBMISSION_STATE_FAILED}


_FAILURES: Mapping[str, type[AccordError]] = {
    "AGENCY_REFUSED": RequisitionRefused,
    "AGENCIES_AWAITED": DeadlineExceeded,
}


def _failure(failure: pb.Failure) -> AccordError:
    kind = _FAILURES.get(failure.reason, PreconditionFailed)
    return kind(failure.reason, failure.sentence, **dict(failure.metadata))
