# SPDX-License-Identifier: Apache-2.0
"""Ends questions that nobody waits for any more, whichever process asks for them.

The transaction decides: it may be made by any process that serves the hub, also while
another one moves the round. That one hears that the submission has ended; where it does
not, its next transaction about the round finds it ended, and changes nothing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
from collections.abc import Callable

import sqlalchemy as sa
import structlog

from accord.hub.governance.standing import Standing
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.revisions import Revisions
from accord.hub.settling.cancellation import cancel
from accord.hub.settling.failure import Failed


class Cancelling:
    """What ends questions for their analysts; lives on one event loop."""

    def __init__(
        self,
        *,
        collection: Collection,
        standing: Standing,
        revisions: Revisions,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep whom to tell."""
        self._collection = collection
        self._standing = standing
        self._revisions = revisions
        self._clock = clock

    async def cancel(self, submission: str) -> None:
        """End a submission if it costs nothing yet; what can be opened goes on.

        It is done even if the caller goes away meanwhile.

        Raises:
            PreconditionFailed: LEDGER_BEHIND.
            Unreachable: the database cannot be written now; nothing has changed.
        """
        at = self._clock()

        def commit(tx: sa.Connection) -> Failed | None:
            policies, mover = self._standing.current(), self._collection.owner
            return cancel(tx, policies, submission, at=at, mover=mover)

        done = self._collection.journal.put(commit, once=True)
        done.add_done_callback(functools.partial(self._committed, submission, at))
        await asyncio.shield(done)

    def _committed(
        self, submission: str, at: dt.datetime, done: asyncio.Future[Failed | None]
    ) -> None:
        """Tell agencies and those who wait; ask for who paid for the rest."""
        if done.cancelled() or done.exception() is not None:
            return
        ended = done.result()
        if ended is None or not ended.ended:
            return
        structlog.get_logger().info(
            "query.failed", query_id=submission, reason=ended.reason
        )
        self._collection.close(submission, ended.ended)
        for promoted in ended.promoted:
            self._collection.open(promoted, at)
        self._revisions.bump(promoted.id for promoted in ended.promoted)
