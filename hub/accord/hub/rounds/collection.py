# SPDX-License-Identifier: Apache-2.0
"""Asks agencies, round after round, until a question is released or given up.

It lives on one event loop and moves every round on: whatever comes in (`Intake`), and
whenever a wait is over. What must survive is in the database before anybody is told of
it; all else is written behind, since agencies answer the same again.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import functools
from collections.abc import Callable, Coroutine, Iterable
from typing import Final

import sqlalchemy as sa
import structlog

from accord.core.errors import AccordError, Unreachable
from accord.hub.audit import Event
from accord.hub.contact.standing import LedgerDoubted
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.rounds import rows
from accord.hub.rounds.asking import Asking
from accord.hub.rounds.calls import Pairs
from accord.hub.rounds.conclusion import Conclusion
from accord.hub.rounds.connections import Connection, Connections
from accord.hub.rounds.elsewhere import Elsewhere
from accord.hub.rounds.encapsulating import Encapsulating, directories
from accord.hub.rounds.endings import Why, failed, mistake, policies_changed, unanswered
from accord.hub.rounds.intake import Intake
from accord.hub.rounds.journal import Journal
from accord.hub.rounds.noting import standing_noted
from accord.hub.rounds.progress import Progress, progress_of, stored_progress
from accord.hub.rounds.revisions import Revisions
from accord.hub.rounds.stages import Stage, Turn
from accord.hub.rounds.submissions import Submission
from accord.hub.rounds.tasks import Tasks
from accord.hub.rounds.waiting import Waiting, restore, take_up, waiting_of
from accord.hub.settling.opening import AlreadyEnded, AnswersRevoked, PoliciesReplaced
from accord.v1 import agent_pb2

TICK_SECONDS: Final = 0.5
"""How often deadlines are looked at."""


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
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """Begin with no rounds; `resume` brings back those that wait."""
        self._elsewhere = Elsewhere() if elsewhere is None else elsewhere
        self._store = store
        self._standing = standing
        self._connections = connections
        self._revisions = revisions
        self._clock = clock
        self._unsafe = unsafe
        self._open: dict[str, Waiting] = {}
        self._tasks = Tasks()
        self._journal = Journal(store, self._elsewhere.fence)
        self._conclusion = Conclusion(
            store=store, standing=standing, journal=self._journal, clock=clock
        )
        self._pairs = Pairs()
        self._asking = Asking(
            waiting=self._open,
            connections=connections,
            pairs=self._pairs,
            stands_still=lambda: self.stands_still,
        )
        self.intake = Intake(
            waiting=self._open,
            journal=self._journal,
            connections=connections,
            clock=clock,
            # No log line of a round belongs to the agency whose message moved it on.
            news=lambda touched: contextvars.Context().run(self._news, touched),
            encapsulating=Encapsulating(
                journal=self._journal,
                clock=clock,
                directories=functools.partial(directories, standing),
                arrived=self._asking.show_held_back,
                pairs=self._pairs,
                told=self._elsewhere.encapsulated,
            ),
        )
        """Takes what agencies say."""
        self.stands_still = False
        """Whether nothing is asked, opened or given up: the ledger is in doubt."""
        self._log = structlog.get_logger()

    # Questions come in

    async def resume(self) -> None:
        """Take up what waited when the hub stopped, or when another process did."""

        def look() -> list[Submission]:
            with self._store.read() as tx:
                for made in rows.encapsulations(tx):
                    self._pairs.put(made)
                return waiting_of(tx, self._elsewhere.owner)

        for submission in await self._store.run(look):
            if submission.follows is None:
                await self._take_up(submission)

    async def start_over(self) -> None:
        """Take up anew what waits, once the ledger is whole again.

        What was in memory is worth nothing: some of it has ended meanwhile.
        """
        before = list(self._open.values())
        self._open.clear()
        for found in before:
            found.settling = True
        await self.resume()
        self._revisions.end(
            found.submission.id
            for found in before
            if found.submission.id not in self._open
        )

    async def admit(self, work: Callable[[sa.Connection], Submission]) -> Submission:
        """Commit a submission and ask agencies for it, even if the caller goes away.

        Questions that come together share a commit.

        Args:
            work: runs on the database's thread, in the transaction of whatever waits.
        """

        async def commit_and_open() -> Submission:
            submission = await self._journal.put(work, once=True)
            if submission.follows is None:
                self.open(submission, submission.created_at)
            return submission

        return await asyncio.shield(self._tasks.keep(commit_and_open()))

    def open(self, submission: Submission, begun_at: dt.datetime) -> None:
        """Ask agencies for a submission whose round was just committed."""
        found = self._prepared(submission, begun_at)
        if found is not None:
            self._begin(found)

    async def take_up(self, submission: Submission) -> None:
        """Go on with a submission that waits in the database, if nobody does.

        Where several processes serve the hub, one of them does.
        """
        if self._elsewhere.owner is None:
            await self._take_up(submission)

    async def _take_up(self, submission: Submission) -> None:
        now = self._clock()
        found = self._prepared(submission, now)
        if found is None:
            return

        def look() -> bool:
            with self._store.read() as tx:
                return restore(tx, found, now)

        if await self._store.run(look):
            self._begin(found)

    def _prepared(self, submission: Submission, now: dt.datetime) -> Waiting | None:
        if submission.id in self._open or not submission.is_collecting:
            return None
        policies = self._standing.current()
        found = take_up(submission, policies, unsafe=self._unsafe, now=now)
        if found is None and not self.stands_still:
            self._tasks.start(
                self._give_up(submission, policies_changed, promote=False)
            )
        return found

    def _begin(self, found: Waiting) -> None:
        if found.submission.id not in self._open:
            self._open[found.submission.id] = found
            self._asking.send(found)
            self._move(found)

    @property
    def owner(self) -> int | None:
        """What the rounds of this process say who moves them."""
        return self._elsewhere.owner

    @property
    def journal(self) -> Journal:
        """What writes behind, in the order in which rounds move."""
        return self._journal

    def moves(self, submission: str) -> bool:
        """Tell whether it is this process that asks agencies for a submission."""
        return submission in self._open

    # Agencies are asked, and say something

    async def take(
        self, connection: Connection, message: agent_pb2.ConnectRequest
    ) -> None:
        """Take what an agency says of rounds, or pass it on to who moves them."""
        peer = connection.peer
        left = await self._elsewhere.sort(peer, message, self._open.keys())
        if left is not None:
            await self.intake.take(connection, left)

    def connected(self, agency: str) -> None:
        """Ask an agency that has just connected for everything that is wanted of it."""
        self._asking.connected(agency)

    def reachable(self) -> list[str]:
        """Return the agencies that have a stream now."""
        return self._connections.connected()

    @property
    def is_delayed(self) -> bool:
        """Whether the database could not be written at the last attempt."""
        return self._journal.is_delayed

    def forget(self, agency: str) -> None:
        """Drop what an agency said that was thrown out."""
        for found in list(self._open.values()):
            if not found.settling:
                found.round.forget(agency)
                self._move(found)

    def progress(self, submission: str) -> Progress:
        """Return who answered so far; nobody where the hub has only just started."""
        found = self._open.get(submission)
        if found is None:
            return Progress()
        return progress_of(found, self.reachable(), self._clock())

    async def progress_anywhere(self, submission: str) -> Progress:
        """Return who answered so far, also where another process moves the round."""
        if self._elsewhere.owner is None or self.moves(submission):
            return self.progress(submission)
        return await self._store.run(
            stored_progress,
            self._store,
            submission,
            self._standing.current(),
            self.reachable(),
            self._clock(),
            unsafe=self._unsafe,
        )

    # Rounds move on

    async def run(self) -> None:
        """Look at deadlines and at the policies, for ever."""
        while True:
            self.review()
            await asyncio.sleep(TICK_SECONDS)

    def review(self) -> None:
        """Move on what is late, or asked under policies that were replaced."""
        for found in list(self._open.values()):
            self._move(found)

    async def stop(self) -> None:
        """Finish what is being settled; everything else waits in the database."""
        self._journal.is_stopping = True
        await self._tasks.finish()
        await self._journal.stop()

    def _news(self, touched: Iterable[Waiting]) -> None:
        unique = {found.submission.id: found for found in touched}
        self._revisions.bump(unique)
        for found in unique.values():
            self._move(found)

    def _move(self, found: Waiting) -> None:
        """Do whatever is due for a round."""
        if found.settling or self.stands_still:
            return
        now, round_ = self._clock(), found.round
        before = round_.closing
        policies = self._standing.current()
        if policies is None or not found.is_under(policies):
            found.why = found.why or policies_changed
            if round_.current.stage is not Stage.REVEAL:
                self._settle(found, self._give_up(found.submission, found.why))
                return
            round_.abandon(now)
        turns = round_.advance(now)
        for turn in turns:
            self._turned(found, turn, now)
        if turns or round_.closing != before:
            self._revisions.bump([found.submission.id])
            if not found.settling:
                self._asking.send(found)

    def _turned(self, found: Waiting, turn: Turn, now: dt.datetime) -> None:
        """Keep, note and follow up what a round did."""
        round_, submission = found.round, found.submission
        match turn:
            case Turn.CHOSEN:
                self._journal.put(standing_noted(found, Event.COHORT_CHOSEN, now))
            case Turn.AGAIN:
                number = round_.current.number
                ended = standing_noted(found, Event.ATTEMPT_ENDED, now)
                kept = self._journal.put(ended)
                self._tasks.start(self._confirmed(found, number, kept))
            case Turn.OPENING:
                self._tasks.start(self._commit_opening(found))
            case Turn.CLOSING:
                pass
            case Turn.OPENED:
                self._settle(found, self._publish(found))
            case Turn.LOST:
                why = found.why or unanswered(round_, found.submission)
                self._settle(found, self._give_up(submission, why))

    async def _confirmed(
        self, found: Waiting, number: int, kept: asyncio.Future[None]
    ) -> None:
        """Begin an attempt once it is committed that the one before has ended."""
        await kept
        found.round.confirm(number, opening=False)
        self._asking.send(found)

    async def _commit_opening(self, found: Waiting) -> None:
        """Ask for seeds once it is committed that the question may cost something."""
        number = found.round.current.number
        try:
            await self._conclusion.open(found)
        except AnswersRevoked as error:
            found.round.set_aside(error.agencies)
            self._move(found)
        except PoliciesReplaced:
            self._settle(found, self._give_up(found.submission, policies_changed))
        except AlreadyEnded:
            self.close(found.submission.id, [])
        except (Unreachable, LedgerDoubted):
            # The hub stops, and its database cannot be written: a restart goes on; or
            # the ledger is in doubt, and everything is taken up anew after it.
            raise
        except Exception as error:  # noqa: BLE001  # the boundary of a round
            known = error if isinstance(error, AccordError) else mistake()
            self._log.error("opening.failed", reason=known.reason)
            self._settle(found, self._give_up(found.submission, failed(known)))
        else:
            found.round.confirm(number, opening=True)
            self._asking.send(found)

    async def _publish(self, found: Waiting) -> None:
        ended = await self._conclusion.publish(found)
        if isinstance(ended, list):
            self.close(found.submission.id, ended)
        else:
            await self._give_up(found.submission, ended)

    async def _give_up(
        self,
        submission: Submission,
        why: Why,
        *,
        promote: bool = True,
    ) -> None:
        done, at = await self._conclusion.give_up(submission, why, promote=promote)
        self.close(submission.id, done.ended)
        for promoted in done.promoted:
            self.open(promoted, at)
        self._revisions.bump(promoted.id for promoted in done.promoted)

    def _settle(self, found: Waiting, work: Coroutine[None, None, None]) -> None:
        """End a round: nothing more is taken for it."""
        if found.settling:
            work.close()
            return
        found.settling = True
        self._tasks.start(work)

    def close(self, submission: str, ended: Iterable[str]) -> None:
        """Ask nobody any more for a submission that has ended."""
        found = self._open.pop(submission, None)
        if found is not None:
            found.settling = True
            for agency in found.round.call.members:
                self._connections.settle(agency, submission)
        self._revisions.end([submission, *ended])
