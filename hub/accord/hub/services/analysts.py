# SPDX-License-Identifier: Apache-2.0
"""Analysts over TLS with a bearer token: what they may ask, at what price, and answers.

An agreement that is not for the caller does not exist for the caller. Every read of a
release is decided afresh.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

import grpc
import structlog

from accord.core.decide import Analyst
from accord.core.errors import NotFound
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.log.witnesses import Witnesses
from accord.hub.questions.asking import Desk
from accord.hub.questions.covering import coverage
from accord.hub.questions.describing import balances, budget, description, summary
from accord.hub.questions.expectation import expected_at
from accord.hub.questions.planning import common_editions, policy_for, visible
from accord.hub.questions.prices import price_message
from accord.hub.releases.deriving import Deriving
from accord.hub.releases.reading import Reader, collecting, failed, seconds
from accord.hub.rounds.cancelling import Cancelling
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.revisions import HELD, Revisions
from accord.hub.rounds.submissions import Submission, SubmissionState
from accord.hub.services.callers import Callers
from accord.v1 import analyst_pb2, analyst_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class AnalystService(analyst_pb2_grpc.AnalystServiceServicer):
    """Serves everybody whose token the hub issued."""

    def __init__(  # noqa: PLR0913  # what answers are made of
        self,
        *,
        store: Store,
        callers: Callers,
        standing: Standing,
        desk: Desk,
        reader: Reader,
        collection: Collection,
        revisions: Revisions,
        witnesses: Witnesses,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep what answers are made of."""
        self._store = store
        self._callers = callers
        self._standing = standing
        self._desk = desk
        self._reader = reader
        self._collection = collection
        self._revisions = revisions
        self._witnesses = witnesses
        self._clock = clock
        self._deriving = Deriving(
            store=store, standing=standing, desk=desk, reader=reader, clock=clock
        )
        self._cancelling = Cancelling(
            collection=collection, standing=standing, revisions=revisions, clock=clock
        )

    async def ListAgreements(
        self, request: analyst_pb2.ListAgreementsRequest, context: Context
    ) -> analyst_pb2.ListAgreementsResponse:
        """List the agreements that the caller is a recipient of."""
        analyst = await self._callers.analyst(context)
        found = visible(self._standing.now(), analyst).values()
        return analyst_pb2.ListAgreementsResponse(
            agreements=[summary(agreement) for agreement in found]
        )

    async def DescribeAgreement(
        self, request: analyst_pb2.DescribeAgreementRequest, context: Context
    ) -> analyst_pb2.DescribeAgreementResponse:
        """Tell what can be asked under an agreement."""
        analyst = await self._callers.analyst(context)
        policy = policy_for(self._standing.now(), request.agreement, analyst)
        agreement, model = policy.agreement, policy.model
        announced = await self._desk.announced(agreement)
        largest = next(iter(agreement.cohorts))
        editions = common_editions(agreement, model, announced, largest)
        return description(policy, editions)

    async def PriceQuery(
        self, request: analyst_pb2.PriceQueryRequest, context: Context
    ) -> analyst_pb2.PriceQueryResponse:
        """Tell what a question would cost; nothing is asked of anybody."""
        analyst = await self._callers.analyst(context)
        found = await self._desk.plan(self._standing.now(), analyst, request)
        archived = await self._desk.is_archived(found)
        offered = None if archived else await self._deriving.offer(found)
        now = self._clock()

        def look() -> analyst_pb2.PriceQueryResponse:
            with self._store.read() as tx:
                return price_message(tx, found, from_archive=archived, now=now)

        price = await self._store.run(look)
        if not archived:
            connected = self._collection.reachable()
            expected = expected_at(found.agreement, found.members, connected, now)
            price.expected_at = seconds(expected)
            price.deadline_at = seconds(now + self._desk.patience(found))
        if offered is not None:
            price.derivable_from = offered.release
            price.derivable_half_width = offered.half_width
        return price

    async def SubmitQuery(
        self, request: analyst_pb2.SubmitQueryRequest, context: Context
    ) -> analyst_pb2.SubmitQueryResponse:
        """Take a question, or say how it is if it came before."""
        analyst = await self._callers.analyst(context)
        structlog.contextvars.bind_contextvars(query_id=request.id)
        submission = await self._desk.submit(analyst, request)
        return analyst_pb2.SubmitQueryResponse(
            submission=await self._message(submission)
        )

    async def GetSubmission(
        self, request: analyst_pb2.GetSubmissionRequest, context: Context
    ) -> analyst_pb2.GetSubmissionResponse:
        """Tell how a submission of the caller is, at once or when there is news."""
        analyst = await self._callers.analyst(context)
        structlog.contextvars.bind_contextvars(query_id=request.id)
        submission = await self._own(analyst, request.id)
        if not submission.is_settled and request.wait_seconds:
            submission = await self._wait(analyst, submission, request)
        if submission.state is SubmissionState.RELEASED:
            policy_for(self._standing.now(), submission.agreement, analyst)
        return analyst_pb2.GetSubmissionResponse(
            submission=await self._message(submission)
        )

    async def CancelSubmission(
        self, request: analyst_pb2.CancelSubmissionRequest, context: Context
    ) -> analyst_pb2.CancelSubmissionResponse:
        """End a submission of the caller where it costs nothing yet."""
        analyst = await self._callers.analyst(context)
        structlog.contextvars.bind_contextvars(query_id=request.id)
        submission = await self._own(analyst, request.id)
        if submission.is_collecting:
            await self._cancelling.cancel(submission.id)
            submission = await self._own(analyst, request.id)
        if submission.state is SubmissionState.RELEASED:
            policy_for(self._standing.now(), submission.agreement, analyst)
        return analyst_pb2.CancelSubmissionResponse(
            submission=await self._message(submission)
        )

    async def ListReleases(
        self, request: analyst_pb2.ListReleasesRequest, context: Context
    ) -> analyst_pb2.ListReleasesResponse:
        """List what was published and the caller may read, newest first."""
        analyst = await self._callers.analyst(context)
        policies = self._standing.now()
        if request.agreement:
            names = [policy_for(policies, request.agreement, analyst).name]
        else:
            names = list(visible(policies, analyst))
        return await self._reader.page(
            policies, analyst, names, request.page_token, request.page_size
        )

    async def GetRelease(
        self, request: analyst_pb2.GetReleaseRequest, context: Context
    ) -> analyst_pb2.GetReleaseResponse:
        """Give a release to whoever may ask its question now."""
        analyst = await self._callers.analyst(context)
        structlog.contextvars.bind_contextvars(release_id=request.id)
        release = await self._reader.release(analyst, request.id)
        return analyst_pb2.GetReleaseResponse(release=release)

    async def ProveRelease(
        self, request: analyst_pb2.ProveReleaseRequest, context: Context
    ) -> analyst_pb2.ProveReleaseResponse:
        """Prove that a release stands in the log, to whoever may read it now."""
        analyst = await self._callers.analyst(context)
        structlog.contextvars.bind_contextvars(release_id=request.id)
        await self._reader.release(analyst, request.id)
        return await self._witnesses.prove(request.id)

    async def DeriveRelease(
        self, request: analyst_pb2.DeriveReleaseRequest, context: Context
    ) -> analyst_pb2.DeriveReleaseResponse:
        """Answer a question from a stored finer release, for nothing."""
        analyst = await self._callers.analyst(context)
        release = await self._deriving.release(analyst, request)
        return analyst_pb2.DeriveReleaseResponse(release=release)

    async def GetCoverage(
        self, request: analyst_pb2.GetCoverageRequest, context: Context
    ) -> analyst_pb2.GetCoverageResponse:
        """Tell which figures enough agencies cover, by their signed remits alone."""
        analyst = await self._callers.analyst(context)
        policy = policy_for(self._standing.now(), request.agreement, analyst)
        return await asyncio.to_thread(coverage, policy, request)

    async def GetBudget(
        self, request: analyst_pb2.GetBudgetRequest, context: Context
    ) -> analyst_pb2.GetBudgetResponse:
        """Tell what is spent and left, for everybody and for the caller."""
        analyst = await self._callers.analyst(context)
        agreement = policy_for(
            self._standing.now(), request.agreement, analyst
        ).agreement

        def look() -> analyst_pb2.GetBudgetResponse:
            with self._store.read() as tx:
                found = balances(tx, agreement, analyst.id, self._clock())
            return budget(agreement, found)

        return await self._store.run(look)

    async def _own(self, analyst: Analyst, submission: str) -> Submission:
        """Return a submission of the analyst.

        Raises:
            NotFound: SUBMISSION_UNKNOWN, also where it is somebody else's.
        """
        known = await self._desk.find(submission)
        if known is None or known.analyst != analyst.id:
            raise NotFound(
                "SUBMISSION_UNKNOWN",
                "You have no submission with this id.",
                submission=submission,
            )
        return known

    async def _wait(
        self,
        analyst: Analyst,
        submission: Submission,
        request: analyst_pb2.GetSubmissionRequest,
    ) -> Submission:
        """Return the submission once it is newer than the caller knows, or in time.

        News is listened for before the row is read, so none falls in between.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + request.wait_seconds
        while not submission.is_settled:
            paying = submission.follows or submission.id
            with self._revisions.listening(paying) as news:
                submission = await self._own(analyst, submission.id)
                left = until - loop.time()
                if (
                    left <= 0
                    or submission.is_settled
                    or self._revision(submission) > request.after_revision
                ):
                    break
                try:
                    async with asyncio.timeout(left):
                        await news.wait()
                except TimeoutError:
                    break
            submission = await self._own(analyst, submission.id)
        return submission

    async def _message(self, submission: Submission) -> analyst_pb2.Submission:
        """Return a submission as its analyst sees it."""
        if submission.state is SubmissionState.RELEASED:
            return await self._reader.released(submission)
        if submission.ending is not None:
            return failed(submission, submission.ending)
        if submission.state is SubmissionState.HELD:
            return await self._reader.held(submission)
        paying = submission.follows or submission.id
        progress = await self._collection.progress_anywhere(paying)
        return collecting(submission, progress, self._revision(submission))

    def _revision(self, submission: Submission) -> int:
        """Return the revision of a submission that waits."""
        if submission.state is SubmissionState.HELD:
            return HELD
        return self._revisions.of(submission.follows or submission.id)
