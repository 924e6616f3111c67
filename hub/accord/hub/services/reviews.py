# SPDX-License-Identifier: Apache-2.0
"""Reviewers over TLS with a bearer token: what waits for them, and what they decide.

A release that waits for others does not exist for the caller. What is shown has its
noise, and is suppressed like everything that is published.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc
import sqlalchemy as sa
import structlog

from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.releases.held import Held, Reason, Verdict
from accord.hub.releases.reading import seconds
from accord.hub.rounds import submissions
from accord.hub.rounds.revisions import Revisions
from accord.hub.services.callers import Callers
from accord.hub.settling.review import (
    Decided,
    decide,
    for_reviewer,
    require_waiting,
    waiting_for,
)
from accord.rpc.codec import payload_of
from accord.v1 import review_pb2, review_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

_REASONS: Final[Mapping[int, Reason]] = {
    review_pb2.REVIEW_REASON_NO_CONCERN: Reason.NO_CONCERN,
    review_pb2.REVIEW_REASON_COULD_IDENTIFY: Reason.COULD_IDENTIFY,
    review_pb2.REVIEW_REASON_COULD_ENDANGER: Reason.COULD_ENDANGER,
    review_pb2.REVIEW_REASON_OUTSIDE_PURPOSE: Reason.OUTSIDE_PURPOSE,
    review_pb2.REVIEW_REASON_MISLEADING: Reason.MISLEADING,
    review_pb2.REVIEW_REASON_LEGAL: Reason.LEGAL,
}


class ReviewService(review_pb2_grpc.ReviewServiceServicer):
    """Serves whom an agreement names as its reviewers."""

    def __init__(
        self,
        *,
        store: Store,
        callers: Callers,
        standing: Standing,
        revisions: Revisions,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep what decisions are made with."""
        self._store = store
        self._callers = callers
        self._standing = standing
        self._revisions = revisions
        self._clock = clock

    async def ListHeld(
        self, request: review_pb2.ListHeldRequest, context: Context
    ) -> review_pb2.ListHeldResponse:
        """List what waits for the caller, oldest first."""
        caller = await self._callers.analyst(context)
        policies = self._standing.now()

        def look() -> review_pb2.ListHeldResponse:
            with self._store.read() as tx:
                found = waiting_for(tx, policies, caller.id)
                return review_pb2.ListHeldResponse(
                    held=[_summary(tx, each) for each in found]
                )

        return await self._store.run(look)

    async def GetHeld(
        self, request: review_pb2.GetHeldRequest, context: Context
    ) -> review_pb2.GetHeldResponse:
        """Show a release as it would be published."""
        caller = await self._callers.analyst(context)
        structlog.contextvars.bind_contextvars(release_id=request.id)
        policies = self._standing.now()

        def look() -> review_pb2.GetHeldResponse:
            with self._store.read() as tx:
                found = for_reviewer(tx, policies, request.id, caller.id)
                require_waiting(found)
                return review_pb2.GetHeldResponse(
                    summary=_summary(tx, found), release=found.release
                )

        return await self._store.run(look)

    async def DecideHeld(
        self, request: review_pb2.DecideHeldRequest, context: Context
    ) -> review_pb2.DecideHeldResponse:
        """Let a release go, or keep it back for good; idempotent."""
        caller = await self._callers.analyst(context)
        structlog.contextvars.bind_contextvars(release_id=request.id)
        policies = self._standing.now()
        verdict = Verdict(
            reviewer=caller.id, let_go=request.let_go, reason=_REASONS[request.reason]
        )

        def commit() -> tuple[Decided, review_pb2.HeldSummary]:
            with self._store.write() as tx:
                self._standing.require_current(tx, policies)
                done = decide(tx, policies, request.id, verdict, self._clock())
                return done, _summary(tx, done.held)

        done, summary = await self._store.run(commit)
        self._revisions.end(done.ended)
        return review_pb2.DecideHeldResponse(summary=summary)


def _summary(tx: sa.Connection, found: Held) -> review_pb2.HeldSummary:
    leader = submissions.find(tx, found.submission)
    if leader is None:
        message = "a held release has a submission"
        raise RuntimeError(message)
    return review_pb2.HeldSummary(
        release=found.summary,
        analyst=leader.analyst,
        organisation=payload_of(leader.payload).analyst.organisation,
        purpose=leader.purpose,
        held_at=seconds(found.held_at),
    )
