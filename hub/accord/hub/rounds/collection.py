# SPDX-License-Identifier: Apache-2.0
"""Asks agencies, gathers what they answer, publishes or gives up: the hub's rounds.

It lives on one event loop. What must survive is in the database before anybody is told
of it; answers are in memory alone, so a restart asks again (`Collection.resume`).
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import datetime as dt
import re
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import Final, TypeVar

import structlog

from accord.core.errors import AccordError, InternalError, Unreachable
from accord.hub.audit import Event, note
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.releases.release import Published, make_noisy, make_release
from accord.hub.rounds import submissions
from accord.hub.rounds.connections import Connections
from accord.hub.rounds.endings import mistake, policies_changed, unanswered
from accord.hub.rounds.revisions import Revisions
from accord.hub.rounds.submissions import Ending, Submission
from accord.hub.rounds.waiting import Waiting, take_up
from accord.hub.settling.failure import Failed, fail
from accord.hub.settling.publication import AnswersRevoked, PoliciesReplaced, publish
from accord.rpc.peer import PeerAgency
from accord.v1 import agent_pb2, analyst_pb2, common_pb2

TICK_SECONDS: Final = 0.5
"""How often deadlines are looked at."""

_CLAUSE: Final = re.compile(r"[a-z]+(\.[a-z-]+)+")
"""What the code of a reason looks like; nothing else of an agent's words is kept."""

_RETRY_SECONDS: Final = 2.0
"""Wait after the database could not be written."""

Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a submission is."""

    answered: list[str]
    awaited: list[str]
    refused: list[str]


class Collection:
    """All rounds of a hub."""

    def __init__(
        self,
        *,
        store: Store,
        standing: Standing,
        connections: Connections,
        revisions: Revisions,
        clock: Callable[[], dt.datetime],
        unsafe: bool,
    ) -> None:
        """Begin with no rounds; `resume` brings back those that wait."""
        self._store = store
        self._standing = standing
        self._connections = connections
        self._revisions = revisions
        self._clock = clock
        self._unsafe = unsafe
        self._open: dict[str, Waiting] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._log = structlog.get_logger()

    async def resume(self) -> None:
        """Take up what waited when the hub stopped."""

        def waiting() -> list[Submission]:
            with self._store.read() as tx:
                return submissions.collecting(tx)

        for submission in await self._store.run(waiting):
            if submission.follows is None:
                self.open(submission)

    async def admit(self, work: Callable[[], Submission]) -> Submission:
        """Commit a submission and ask agencies for it, even if the caller goes away.

        Args:
            work: the transaction; runs on the database's thread.
        """

        async def commit_and_open() -> Submission:
            submission = await self._store.run(work)
            if submission.follows is None:
                self.open(submission)
            return submission

        return await asyncio.shield(self._keep(commit_and_open()))

    def open(self, submission: Submission) -> None:
        """Ask agencies for a submission that waits in the database."""
        if submission.id in self._open or submission.is_settled:
            return
        policies = self._standing.current()
        waiting = take_up(submission, policies, unsafe=self._unsafe)
        if waiting is None:
            self._start(self._give_up(submission, policies_changed(), promote=False))
            return
        self._open[submission.id] = waiting
        for agency in waiting.requisition.members:
            self._connections.send(agency, waiting.message)

    def pending(self, agency: str) -> list[agent_pb2.ConnectResponse]:
        """Return what an agency that connects is still asked for."""
        return [
            each.message
            for each in self._open.values()
            if agency in each.round.awaited and not each.settling
        ]

    def answered(self, peer: PeerAgency, answer: agent_pb2.Answer) -> None:
        """Take an agency's answer; late, repeated and foreign ones change nothing."""
        agency = peer.label
        found = self._of(agency, answer.query_id, answer.payload_digest)
        if found is None:
            return
        rejected = found.round.accept(
            agency,
            serial=peer.serial,
            layout_digest=answer.layout_digest,
            vector=answer.vector,
        )
        if rejected is not None:
            self._note_refusal(
                Event.ANSWER_REJECTED, found, agency, reason=rejected.reason
            )
        self._news(found)

    def refused(self, agency: str, refusal: agent_pb2.Refusal) -> None:
        """Take an agency's refusal."""
        found = self._of(agency, refusal.query_id, refusal.payload_digest)
        if found is None:
            return
        name = common_pb2.RefusalReason.Name(refusal.reason)
        reason = name.removeprefix("REFUSAL_REASON_")
        if found.round.refuse(agency, reason):
            self._note_refusal(
                Event.REQUISITION_REFUSED,
                found,
                agency,
                reason=reason,
                clauses=[each for each in refusal.clauses if _CLAUSE.fullmatch(each)],
            )
            self._news(found)

    def forget(self, agency: str) -> None:
        """Drop the answers of an agency that was thrown out."""
        for each in self._open.values():
            if not each.settling:
                each.round.forget(agency)

    def progress(self, submission: str) -> Progress:
        """Return who answered so far; nobody where the hub has only just started."""
        found = self._open.get(submission)
        if found is None:
            return Progress(answered=[], awaited=[], refused=[])
        return Progress(
            answered=found.round.answered,
            awaited=found.round.awaited,
            refused=list(found.round.refused),
        )

    async def run(self) -> None:
        """Look at deadlines and at the policies, for ever."""
        while True:
            self.review()
            await asyncio.sleep(TICK_SECONDS)

    def review(self) -> None:
        """End what is late, or asked under policies that were replaced."""
        for found in list(self._open.values()):
            self._review(found)

    async def stop(self) -> None:
        """Finish what is being settled; everything else waits in the database."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _of(self, agency: str, submission: str, digest: str) -> Waiting | None:
        """Return what an agency talks about, or tell it that this is over."""
        found = self._open.get(submission)
        if found is None or agency not in found.round.call.members:
            self._settled(submission, [agency])
            return None
        if digest != found.round.call.payload_digest:
            return None
        return None if found.settling else found

    def _news(self, found: Waiting) -> None:
        self._revisions.bump([found.submission.id])
        self._review(found)

    def _review(self, found: Waiting) -> None:
        """Publish or give up if it is time for it."""
        if found.settling or asyncio.get_running_loop().time() < found.retry_at:
            return
        policies = self._standing.current()
        if policies is None or not found.is_under(policies):
            found.settling = True
            self._start(self._give_up(found.submission, policies_changed()))
            return
        late = self._clock() >= found.submission.expires_at
        cohort = found.round.complete(late=late)
        if cohort is not None:
            found.settling = True
            self._start(self._publish(found, cohort))
        elif found.round.is_hopeless(late=late):
            found.settling = True
            self._start(self._give_up(found.submission, unanswered(found.round)))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._keep(self._guarded(work))

    def _keep(self, work: Coroutine[None, None, Made]) -> asyncio.Task[Made]:
        """Begin something that `stop` waits for, and that is part of no call."""
        task = asyncio.create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """Let nothing that goes wrong with one submission reach the others."""
        try:
            await work
        except AccordError as error:
            self._log.error("round.broken", reason=error.reason)
        except Exception as error:  # noqa: BLE001  # the boundary of a round
            self._log.error("round.broken", error_type=type(error).__name__)

    async def _publish(self, found: Waiting, cohort: str) -> None:
        """Draw the noise, commit the charge with the release, then tell."""
        submission = found.submission
        published = Published(
            id=str(uuid.uuid4()),
            agreement=found.agreement,
            query=found.requisition.query,
            terms=found.terms,
            mechanism=found.requisition.mechanism,
            cohort=cohort,
            at=self._clock(),
            unsafe=submission.unsafe,
        )

        def make() -> tuple[list[int], analyst_pb2.Release]:
            if published.loss != submission.loss:
                raise InternalError(
                    "LOSS_MISMATCH", "The release would cost what nobody reserved."
                )
            noisy = make_noisy(published, found.round.pooled(cohort))
            return noisy, make_release(published, noisy)

        def commit(noisy: list[int], release: analyst_pb2.Release) -> list[str]:
            policies = self._standing.now()
            with self._store.write() as tx:
                self._standing.require_current(tx, policies)
                return publish(
                    tx,
                    policies,
                    submission.id,
                    release,
                    noisy,
                    cohort=cohort,
                    held=found.round.held(cohort),
                    at=published.at,
                )

        try:
            ended = await self._store.run(commit, *await asyncio.to_thread(make))
        except AnswersRevoked as revoked:
            found.settling = False
            for agency in revoked.agencies:
                found.round.forget(agency)
                # It may have come back under a new certificate before.
                self._connections.send(agency, found.message)
            self._news(found)
        except PoliciesReplaced:
            await self._give_up(submission, policies_changed())
        except Unreachable as error:
            self._later(found, error)
        except Exception as error:  # noqa: BLE001  # the boundary of a round
            known = error if isinstance(error, AccordError) else mistake()
            self._log.error(
                "release.failed",
                query_id=submission.id,
                reason=known.reason,
                error_type=type(error).__name__,
            )
            await self._give_up(submission, Ending.of(known))
        else:
            self._log.info(
                "release.published",
                query_id=submission.id,
                release_id=published.id,
                agreement=submission.agreement,
                cohort=cohort,
            )
            self._close(submission.id, ended)

    async def _give_up(
        self, submission: Submission, ending: Ending, *, promote: bool = True
    ) -> None:
        def work() -> Failed:
            with self._store.write() as tx:
                return fail(
                    tx,
                    self._standing.current(),
                    submission.id,
                    ending,
                    at=self._clock(),
                    promote=promote,
                )

        try:
            failed = await self._store.run(work)
        except AccordError as error:
            found = self._open.get(submission.id)
            if found is not None:
                self._later(found, error)
            return
        self._log.info(
            "query.failed",
            query_id=submission.id,
            agreement=submission.agreement,
            reason=ending.reason,
        )
        self._close(submission.id, failed.ended)
        for promoted in failed.promoted:
            self.open(promoted)
        self._revisions.bump(promoted.id for promoted in failed.promoted)

    def _later(self, found: Waiting, error: AccordError) -> None:
        """Try again in a while; nothing was changed and the answers are still here."""
        self._log.error(
            "round.delayed", query_id=found.submission.id, reason=error.reason
        )
        found.retry_at = asyncio.get_running_loop().time() + _RETRY_SECONDS
        found.settling = False

    def _close(self, submission: str, ended: Iterable[str]) -> None:
        found = self._open.pop(submission, None)
        if found is not None:
            self._settled(submission, found.round.call.members)
        self._revisions.end([submission, *ended])

    def _settled(self, submission: str, agencies: Iterable[str]) -> None:
        message = agent_pb2.ConnectResponse(
            settled=agent_pb2.Settled(query_id=submission)
        )
        for agency in agencies:
            self._connections.send(agency, message)

    def _note_refusal(
        self,
        event: Event,
        found: Waiting,
        agency: str,
        *,
        reason: str,
        clauses: Iterable[str] = (),
    ) -> None:
        """Note who declined and why, in its own transaction."""
        submission, at = found.submission, self._clock()
        facts = {"clauses": sorted(clauses)} if clauses else {}

        def write() -> None:
            with self._store.write() as tx:
                note(
                    tx,
                    event,
                    at,
                    agency=agency,
                    submission=submission.id,
                    agreement=submission.agreement,
                    reason=reason,
                    **facts,
                )

        self._log.info(
            "requisition.refused", agency=agency, query_id=submission.id, reason=reason
        )
        self._start(self._store.run(write))
