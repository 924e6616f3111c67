# SPDX-License-Identifier: Apache-2.0
"""How far a question is, for the analyst who waits."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection

from accord.hub.db.engine import Store
from accord.hub.policies import Policies
from accord.hub.questions.expectation import expected_at
from accord.hub.rounds import submissions
from accord.hub.rounds.stages import Stage
from accord.hub.rounds.waiting import Waiting, restore, take_up


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Who has said what, and when the rest is expected."""

    answered: list[str] = dataclasses.field(default_factory=list)
    """Who has said what the present stage asks for."""
    awaited: list[str] = dataclasses.field(default_factory=list)
    approving: list[str] = dataclasses.field(default_factory=list)
    """Of those awaited: whose people have to approve the question first."""
    refused: list[str] = dataclasses.field(default_factory=list)
    stage: Stage | None = None
    """None where the hub has only just started."""
    attempt: int = 0
    cohort: str = ""
    """The one that was chosen, else the one that is asked."""
    expected_at: dt.datetime | None = None
    deadline_at: dt.datetime | None = None
    """When the present wait is over."""


def progress_of(
    found: Waiting, connected: Collection[str], now: dt.datetime
) -> Progress:
    """Return how far a round is.

    Args:
        found: the question.
        connected: agencies with an open stream.
        now: the time.
    """
    round_ = found.round
    return Progress(
        answered=round_.answered,
        awaited=round_.awaited,
        approving=round_.approving,
        refused=sorted(round_.refused),
        stage=round_.current.stage,
        attempt=round_.current.number,
        cohort=round_.current.cohort or found.submission.cohort,
        expected_at=expected_at(found.agreement, round_.awaited, connected, now),
        deadline_at=round_.current.until,
    )


def stored_progress(
    store: Store,
    submission: str,
    policies: Policies | None,
    connected: Collection[str],
    now: dt.datetime,
    *,
    unsafe: bool,
) -> Progress:
    """Return how far a round is that another process moves, by its rows.

    Seeds are in no row, so of the third stage only its owner knows who answered.

    Args:
        store: the database; called on its thread.
        submission: the question.
        policies: the policies in force.
        connected: agencies with an open stream.
        now: the time.
        unsafe: whether the hub is in the unsafe test mode.
    """
    with store.read() as tx:
        known = submissions.find(tx, submission)
        if known is None or not known.is_collecting:
            return Progress()
        found = take_up(known, policies, unsafe=unsafe, now=now)
        if found is None or not restore(tx, found, now):
            return Progress()
    return progress_of(found, connected, now)
