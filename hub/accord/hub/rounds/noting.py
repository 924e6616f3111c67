# SPDX-License-Identifier: Apache-2.0
"""Where a round stands, written with the event that brought it there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import sqlalchemy as sa
import structlog

from accord.hub.audit import Event, Fact, note
from accord.hub.rounds import rows
from accord.hub.rounds.waiting import Waiting


def standing_noted(
    found: Waiting, event: Event, at: dt.datetime
) -> Callable[[sa.Connection], None]:
    """Return what keeps where a round stands at this moment; to be put in the journal.

    Args:
        found: the round.
        event: `Event.COHORT_CHOSEN` or `Event.ATTEMPT_ENDED`.
        at: now.
    """
    round_, submission = found.round, found.submission
    snapshot = rows.snapshot(round_)
    facts: dict[str, Fact] = {
        "submission": submission.id,
        "agreement": submission.agreement,
        "attempt": round_.current.number,
    }
    if event is Event.COHORT_CHOSEN:
        facts["cohort"] = round_.current.cohort or ""
    else:
        facts["attempt"] = round_.current.number - 1
        facts["refused"] = sorted(round_.refused)
        facts["awaited"] = sorted(round_.missing)
    structlog.get_logger().info(
        event.value, query_id=submission.id, attempt=facts["attempt"]
    )

    def keep(tx: sa.Connection) -> None:
        if rows.standing(tx, submission.id) is None:
            return  # it has ended meanwhile: its analyst did not wait
        rows.update(tx, snapshot, submission.id)
        note(tx, event, at, **facts)

    return keep
