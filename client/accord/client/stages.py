# SPDX-License-Identifier: Apache-2.0
"""How far a question is on its way through its three rounds, in words.

First every agency of a cohort says that it is ready, then each sends its masked vector,
then they open the sum together. Where somebody is away for too long the question begins
again with a fallback cohort: that is another attempt. Where the agreement wants people
to look at an answer first, it is held at the end until one of them lets it go.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from accord.client.reviewed import listed
from accord.v1 import analyst_pb2 as pb

READY, MASKED, REVEAL, HELD = "ready", "masked", "reveal", "held"

_STAGES: Mapping[int, str] = {
    pb.STAGE_READY: READY,
    pb.STAGE_MASKED: MASKED,
    pb.STAGE_REVEAL: REVEAL,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a question is: its stage, and who has done their part in it."""

    answered: tuple[str, ...]
    """Who has done what the stage asks for."""
    awaited: tuple[str, ...]
    refused: tuple[str, ...]
    approving: tuple[str, ...] = ()
    """Of those awaited: whose people have to approve the question first."""
    stage: str = ""
    """``ready``, ``masked``, ``reveal`` or ``held``; from ``reveal`` on it is paid."""
    attempt: int = 0
    """From 1; a higher one began when somebody was away for too long."""
    cohort: str = ""
    """Name that the agreement gives to those who are asked in this attempt."""
    away: tuple[str, ...] = ()
    """Whom the attempt before waited for in vain, as far as this program saw it."""
    reviewers: tuple[str, ...] = ()
    """While it is held: one of them has to let it go."""

    @property
    def asked(self) -> int:
        """How many agencies are asked."""
        return len(self.answered) + len(self.awaited) + len(self.refused)

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "stage": self.stage or None,
            "attempt": self.attempt,
            "cohort": self.cohort or None,
            "answered": list(self.answered),
            "awaited": list(self.awaited),
            "refused": list(self.refused),
            "approving": list(self.approving),
            "reviewers": list(self.reviewers),
        }

    def __str__(self) -> str:
        """Return `words`, after why it is asked once more if it is."""
        return f"{note}: {self.words()}" if (note := self.note()) else self.words()

    def words(self) -> str:
        """Return a phrase such as ``3 of 5 agencies ready; awaiting city-police``."""
        if self.stage == HELD:
            return (
                f"paid, and held until a reviewer lets it go: {listed(self.reviewers)}"
            )
        if not self.asked:
            return "waiting for the hub"
        count = f"{len(self.answered)} of {self.asked} agencies"
        words = {
            READY: f"{count} ready",
            MASKED: f"{count} have sent their masked figures",
            REVEAL: f"opening the sum, paid from here on: {count} have answered",
        }.get(self.stage, f"{count} have answered")
        awaited = [each for each in self.awaited if each not in self.approving]
        if awaited:
            words += f"; awaiting {', '.join(awaited)}"
        if self.approving:
            words += f"; awaiting approval of {', '.join(self.approving)}"
        if self.refused:
            words += f"; declined: {', '.join(self.refused)}"
        return words

    def note(self) -> str:
        """Return why it is asked once more, if it is; else nothing."""
        if self.attempt <= 1:
            return ""
        whom = f"the cohort {self.cohort}" if self.cohort else "all again"
        if self.away:
            verb = "was" if len(self.away) == 1 else "were"
            return f"{', '.join(self.away)} {verb} away; asking {whom} now"
        return f"attempt {self.attempt}, asking {whom}"


def progress_of(submission: pb.Submission, *, away: tuple[str, ...] = ()) -> Progress:
    """Return how far a submission is, with what was seen of an attempt before it."""
    is_held = submission.state == pb.SUBMISSION_STATE_HELD
    return Progress(
        answered=tuple(submission.answered),
        awaited=tuple(submission.awaited),
        approving=tuple(submission.approving),
        refused=tuple(submission.refused),
        stage=HELD if is_held else _STAGES.get(submission.stage, ""),
        attempt=submission.attempt,
        cohort=submission.cohort,
        away=away,
        reviewers=tuple(submission.reviewers),
    )
