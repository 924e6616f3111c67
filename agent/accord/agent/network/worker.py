# SPDX-License-Identifier: Apache-2.0
"""The one thread that works for the hub, and what is in hand there.

Everything that touches the agency's store, policies or ledger runs in it, one thing
after the other; the event loop only moves messages. What the hub asks comes in batches,
which are worked off in the order in which they came; those of one kind that wait behind
each other are worked off together. What is in hand already is not taken twice,
whichever stream it comes over. Results go out over the stream there is when they are
ready; if there is none they are dropped, since the hub asks again and every answer is
stored.

Invariant: nothing that a hub or a log can show ends when a computation over records
ends. Each cohort call keeps the *turn* until its own slot is over (`slot_end`), and so
does a look at the calendar by which editions came or went; whatever else uses the
thread, a hello and a refresh of policies too, waits for that.
Slots are not shared: who fills up a batch could else move a computation next to the end
of a slot.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import dataclasses
import functools
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Final, Protocol, TypeAlias, TypeVar

import structlog

from accord.agent.network.asked import Asked, Kind, Work, works_of
from accord.agent.network.replies import Masked, Replies, Reply, requests
from accord.agent.network.slots import slot_end
from accord.agent.network.spans import NO_SPANS, Spans
from accord.agent.network.tasks import Sleep
from accord.agent.rounds.steps import Answerer
from accord.agent.witness.countersigning import Page
from accord.agent.witness.log import Growth
from accord.core.errors import AccordError, InternalError, Unreachable
from accord.core.privacy import Loss
from accord.merkle.heads import SignedHead, Witnessed
from accord.rpc.codec import HeldEdition
from accord.rpc.rounds import MOST_TOGETHER
from accord.secagg.keys import Encapsulation
from accord.secagg.messages import Ready
from accord.v1 import agent_pb2

MOST_IN_HAND: Final = 512
"""Queries taken at once; more wait in the stream, but for a batch that comes alone."""

MOST_HELD: Final = 32 << 20
"""Bytes of vectors that leave together; what is beyond comes after them."""

Result = TypeVar("Result")


class Outlet(Protocol):
    """A stream over which results can go."""

    async def send(self, message: agent_pb2.ConnectRequest) -> None:
        """Return when the message is on its way or the stream is over."""


Files: TypeAlias = Callable[[str], Coroutine[None, None, bytes]]
"""Fetches a file of the signed policies over the connection there is."""


@dataclasses.dataclass(slots=True, eq=False)
class _Batch:
    kind: Kind
    works: collections.deque[Work]


class Worker:
    """Runs an `Answerer`; lives as long as the agent, over many streams."""

    def __init__(
        self,
        answerer: Answerer,
        *,
        slot: float,
        spans: Spans = NO_SPANS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Begin nothing yet.

        Args:
            answerer: called from one thread only.
            slot: seconds, see `slot_end`.
            spans: told of each step.
            clock: seconds that never go back.
            sleep: waits by that clock.
        """
        self.outlet: Outlet | None = None
        self.files: Files | None = None
        self.news_at = clock()
        """When something came, or was done, last; by `clock`."""
        self._answerer = answerer
        self._replies = Replies(answerer, self._fetch, spans)
        self._slot = slot
        self._clock = clock
        self._sleep = sleep
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "accord-answers")
        self._turn = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._waiting: collections.deque[_Batch] = collections.deque()
        self._in_hand: dict[tuple[Kind, bytes], Work] = {}
        self._load = 0
        self._held: tuple[HeldEdition, ...] | None = None
        """Editions as they were looked at last; nothing at first."""

    @property
    def busy(self) -> bool:
        """Whether anything is in hand."""
        return self._load > 0

    async def editions(self) -> tuple[HeldEdition, ...]:
        """Freeze what is due and return what is held; what changed takes whole slots.

        A freeze may look at every record, and the hub is told when it is over.
        """
        async with self._turn:
            begin = self._clock()
            found = tuple(await self._in_thread(self._answerer.editions))
            if found != self._held:
                await self._end_slot(begin)
            self._held = found
        return found

    async def ledger_height(self) -> int:
        """Return the number of events in the agency's own ledger."""
        return await self._call(self._answerer.ledger_height)

    async def state_sequence(self) -> int:
        """Return how many steps in rounds the agent's state has taken."""
        return await self._call(self._answerer.state_sequence)

    async def charged(self) -> Loss:
        """Return what the agency can prove that its own ledger has charged."""
        return await self._call(self._answerer.charged)

    async def compare(self, charged: Loss, held: Loss | None) -> None:
        """Hold what the hub holds for this agency against what it had charged."""
        await self._call(lambda: self._answerer.compare(charged, held))

    async def proven(self, *, since: int, beyond: int) -> Page | None:
        """Return some of the charges that the agency proves; nothing if it cannot."""
        work = functools.partial(self._answerer.proven, since=since, beyond=beyond)
        found = await self._call(work)
        self.news_at = self._clock()
        return found

    async def log_seen(self) -> SignedHead | None:
        """Return the newest head of the hub's log that was accepted."""
        return await self._call(self._answerer.log_seen)

    async def greet(self, shown: SignedHead | None, growth: Growth) -> Witnessed | None:
        """Hold a stream's first head against what was seen; return the cosignature."""
        return await self._call(lambda: self._answerer.greet(shown, growth))

    async def grown(self, shown: SignedHead, growth: Growth) -> Witnessed | None:
        """Hold a later head against what was seen; return the cosignature."""
        return await self._call(lambda: self._answerer.grown(shown, growth))

    async def heard_of(self, sequence: int) -> None:
        """Note the highest sequence that the hub has heard."""
        await self._call(lambda: self._answerer.heard_of(sequence))

    async def encapsulations(self) -> tuple[Encapsulation, ...]:
        """Return all that this agency is the sender of."""
        return tuple(await self._call(self._answerer.encapsulations))

    async def unopened(self) -> tuple[tuple[str, Ready], ...]:
        """Return what was said of queries that are masked yet."""
        return tuple(await self._call(self._answerer.unopened))

    async def refresh(self) -> bool:
        """Ask the hub for newer policies and return whether there were any."""
        return await self._call(lambda: self._answerer.refresh(self._fetch))

    async def expire(self) -> None:
        """Erase what has expired; what goes wrong is logged and tried again later."""
        try:
            await self._call(self._answerer.expire)
        except AccordError as error:
            structlog.get_logger().error("expiry.failed", reason=error.reason)

    async def decided(self) -> list[agent_pb2.Requisitions]:
        """Return what people have decided on since, as the hub asked it."""
        try:
            found = await self._call(self._answerer.decided)
        except AccordError as error:
            structlog.get_logger().error("approvals.unreadable", reason=error.reason)
            return []
        messages = [
            agent_pb2.Requisition(
                payload=each.payload, signature=each.signature, attempt=each.attempt
            )
            for each in found
        ]
        return [
            agent_pb2.Requisitions(requisitions=messages[start : start + MOST_TOGETHER])
            for start in range(0, len(messages), MOST_TOGETHER)
        ]

    async def take(self, asked: Asked) -> None:
        """Have a batch worked off, but for what is in hand; waits where much is."""
        kind, works = works_of(asked)
        self.news_at = self._clock()
        if kind is Kind.SETTLED:
            self._forget({work.query_id for work in works})
        async with self._changed:
            await self._changed.wait_for(
                lambda: not self._load or self._load + len(works) <= MOST_IN_HAND
            )
            for work in works:
                if work.key not in self._in_hand:
                    self._in_hand[work.key] = work
                    self._put(kind, work)
            self._changed.notify_all()

    async def run(self) -> None:
        """Work off what is taken, until cancelled."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting)
                batch = self._waiting.popleft()
            while batch.works:
                async with self._turn:
                    done, replies = await self._worked(batch)
                # one stream for all of it: parts of a vector follow each other
                outlet = self.outlet
                if outlet is not None:
                    for request in requests(replies):
                        await outlet.send(request)
                async with self._changed:
                    self._release(done)
                    self._changed.notify_all()

    async def close(self) -> None:
        """Let the answer that is being computed end, and begin no other.

        `run` was cancelled before.
        """
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _put(self, kind: Kind, work: Work) -> None:
        self._load += 1
        last = self._waiting[-1] if self._waiting else None
        if last is None or last.kind is not kind or len(last.works) >= MOST_TOGETHER:
            last = _Batch(kind, collections.deque())
            self._waiting.append(last)
        last.works.append(work)

    def _forget(self, query_ids: set[str]) -> None:
        """Want nothing more of queries; they may be asked for again."""
        for key, work in list(self._in_hand.items()):
            if work.query_id in query_ids and key[0] is not Kind.SETTLED:
                work.wanted = False
                del self._in_hand[key]

    def _release(self, done: Iterable[Work]) -> None:
        for work in done:
            self._load -= 1
            if self._in_hand.get(work.key) is work:
                del self._in_hand[work.key]
        self.news_at = self._clock()

    async def _worked(self, batch: _Batch) -> tuple[list[Work], list[Reply]]:
        """Work off a batch as far as its vectors can be held; in one turn."""
        done: list[Work] = []
        replies: list[tuple[Work, Reply]] = []
        if batch.kind is Kind.SETTLED:
            done.extend(batch.works)
            batch.works.clear()
            ids = [work.query_id for work in done]
            erased = await self._in_thread(lambda: self._replies.settled(ids))
            self._replies.log()
            return done, list(erased)
        held = 0
        while batch.works and held < MOST_HELD:
            work = batch.works.popleft()
            done.append(work)
            if not work.wanted:
                continue
            begin = self._clock()
            reply = await self._in_thread(functools.partial(self._reply, work))
            if batch.kind is Kind.MASKED:
                await self._end_slot(begin)
            self._replies.log()
            replies.append((work, reply))
            held += reply.size if isinstance(reply, Masked) else 0
        return done, [
            reply
            for work, reply in replies
            # A seed is given away once that is committed, and said so: the hub else
            # waits for a word that it is erased, which cannot come.
            if work.wanted or isinstance(reply, agent_pb2.Reveal)
        ]

    async def _end_slot(self, begin: float) -> None:
        """Wait until the slot is over in which a computation ended that began then."""
        end = begin + slot_end(self._slot, self._clock() - begin)
        await self._sleep(max(0.0, end - self._clock()))

    def _reply(self, work: Work) -> Reply:
        match work.message:
            case agent_pb2.Requisition():
                return self._replies.ready(work.query_id, work.message)
            case agent_pb2.CohortCall():
                return self._replies.masked(work.message)
            case agent_pb2.RevealCall():
                return self._replies.reveal(work.message)
            case None:
                raise InternalError("INTERNAL_ERROR", "No message to reply to.")

    async def _call(self, work: Callable[[], Result]) -> Result:
        async with self._turn:
            return await self._in_thread(work)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        self._loop = asyncio.get_running_loop()
        return await self._loop.run_in_executor(self._thread, work)

    def _fetch(self, name: str) -> bytes:
        """Return a file of the signed policies; waits, in the worker's thread.

        Raises:
            AccordError: the hub does not give it, or there is no connection.
        """
        files, loop = self.files, self._loop
        if files is None or loop is None:
            raise _no_connection()
        fetching = asyncio.run_coroutine_threadsafe(files(name), loop)
        try:
            return fetching.result()
        except concurrent.futures.CancelledError:
            raise _no_connection() from None


def _no_connection() -> Unreachable:
    return Unreachable("STREAM_ENDED", "The hub ended the connection.")
