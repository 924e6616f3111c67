# SPDX-License-Identifier: Apache-2.0
"""The agent's connection to its hub: outbound only, and coming back when it is time.

One stream at a time. A stream ends when the network, the hub or a renewed certificate
says so; the next attempt waits a random time that grows with failures, and a stream
that ends as soon as it is open is one. When there is a stream at all is said by
`accord.agent.network.presence`; the certificate is renewed so that it lasts until the
next one, if need be while nothing is connected. Only what staff must see to ends `run`:
no identity, or one whose certificate has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import math
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias

import grpc
import structlog

from accord.agent.network.identity import Identity, IdentityFiles
from accord.agent.network.link import Link
from accord.agent.network.outgoing import Outgoing
from accord.agent.network.presence import (
    Always,
    AtWindows,
    FindWindow,
    OneContact,
    Presence,
    Window,
    arrival,
    hourly,
    window_now,
)
from accord.agent.network.renewal import (
    LONGEST_SLEEP,
    Due,
    due_at,
    due_before,
    due_early,
    due_if_ends_by,
    keep_renewed,
    open_channel,
    try_renew,
    utc_now,
)
from accord.agent.network.session import Call, Opening, Session
from accord.agent.network.spans import NO_SPANS, Spans, now
from accord.agent.network.tasks import Sleep, end_if_cancelled, first_of
from accord.agent.network.timing import Timing
from accord.agent.network.worker import Worker
from accord.agent.rounds.steps import Answerer
from accord.core.errors import (
    AccordError,
    ConfigurationError,
    Unauthenticated,
    Unreachable,
)
from accord.rpc.status import error_of
from accord.v1 import agent_pb2_grpc

__all__ = ["Timing", "run"]

_STAFF_MUST_ACT: Final = frozenset({"CERTIFICATE_EXPIRED", "CERTIFICATE_NOT_YET_VALID"})

_ALWAYS: Final = Always()

Stay: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


async def run(
    files: IdentityFiles,
    answerer: Answerer,
    *,
    timing: Timing | None = None,
    presence: Presence = _ALWAYS,
    link: Link | None = None,
    spans: Spans = NO_SPANS,
    clock: Callable[[], datetime.datetime] = utc_now,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Do what the hub asks until cancelled; cancelling ends it cleanly.

    Args:
        files: the agent's identity; read anew for every stream.
        answerer: knows store and state; called from one thread only.
        timing: how often what happens by itself does.
        presence: when to be connected; only `OneContact` ends by itself.
        link: told when there is a stream.
        spans: told of streams and steps.
        clock: the time in UTC.
        sleep: waits by that clock, where minutes and days are waited for.

    Raises:
        ConfigurationError: NOT_ENROLLED, or the identity cannot be read.
        Unauthenticated: CERTIFICATE_EXPIRED, says to enrol again.
        AccordError: the one contact did not come about.
    """
    connection = _Connection(
        files, answerer, timing or Timing(), link or Link(), spans, clock, sleep
    )
    await connection.run(presence)


class _Connection:
    def __init__(
        self,
        files: IdentityFiles,
        answerer: Answerer,
        timing: Timing,
        link: Link,
        spans: Spans,
        clock: Callable[[], datetime.datetime],
        sleep: Sleep,
    ) -> None:
        self._files = files
        self._timing = timing
        self._link = link
        self._spans = spans
        self._clock = clock
        self._sleep = sleep
        self._worker = Worker(answerer, slot=timing.slot, spans=spans)
        self._renewed = asyncio.Event()
        self._leaving = asyncio.Event()
        self._attempt = 0
        self._opening = False
        self._opened_at: float | None = None
        self._trouble: AccordError | None = None

    async def run(self, presence: Presence) -> None:
        self._files.load().check(self._clock())
        try:
            await first_of(
                self._worker.run(), self._expiring(), self._present(presence)
            )
        finally:
            await self._worker.close()

    async def _present(self, presence: Presence) -> None:
        match presence:
            case Always():
                await first_of(self._reconnect(), self._renewal(due_at))
            case AtWindows():
                await self._at_windows(presence.find)
            case OneContact():
                await self._once(presence.seconds)

    async def _expiring(self) -> None:
        while True:
            await self._worker.expire()
            await self._sleep(self._timing.expiry)

    # when to be there

    async def _at_windows(self, find: FindWindow) -> None:
        """Come when a window opens, leave when it closes, for ever."""
        now = self._clock()
        found = await asyncio.to_thread(find, now)
        window = window_now(now) if found is None else found
        come_at = arrival(window, now)
        while True:
            following = await _next_window(find, window.end)
            await first_of(
                self._sleep_until(come_at), self._renewal(due_if_ends_by(come_at))
            )
            if self._clock() < window.end:
                held = self._files.load().certificate
                due = due_before(held, following.latest_arrival)
                await self._contact(partial(self._sleep_until, window.end), due)
            now, left = self._clock(), window.end
            window = await _next_window(find, now)
            # where one window runs into the next, nobody stays away in between
            come_at = (
                max(now, window.begin) if window.begin <= left else arrival(window, now)
            )

    async def _once(self, seconds: float | None) -> None:
        """Come now, and leave when nothing has come for a while."""
        await self._contact(partial(self._until_quiet, seconds), due_early)
        if self._opened_at is None:
            raise self._trouble or Unreachable(
                "HUB_UNREACHABLE",
                "There was no connection to the hub in time; check address, network "
                "and hub.",
            )

    async def _contact(self, stay: Stay, due: Due) -> None:
        """Be connected as long as *stay* lasts, with a certificate that is not due."""
        identity = self._files.load()
        if due(identity.certificate) <= self._clock():
            await try_renew(self._files, identity)
        self._leaving.clear()
        await first_of(self._reconnect(), self._renewal(due), self._leave_after(stay))

    async def _leave_after(self, stay: Stay) -> None:
        await stay()
        self._leaving.set()
        await asyncio.sleep(self._timing.farewell)

    async def _until_quiet(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (left := self._quiet_in()) > 0:  # noqa: ASYNC110  # time passes
                    await asyncio.sleep(left)

    def _quiet_in(self) -> float:
        """Return in how many seconds to ask again; none where it is quiet."""
        if self._opening or self._worker.busy:
            return min(1.0, self._timing.idle)
        last = max(self._worker.news_at, self._opened_at or 0.0)
        return last + self._timing.idle - time.monotonic()

    async def _sleep_until(self, moment: datetime.datetime) -> None:
        while (left := (moment - self._clock()).total_seconds()) > 0:
            await self._sleep(min(left, LONGEST_SLEEP))

    async def _renewal(self, due: Due) -> None:
        await keep_renewed(
            self._files,
            self._renewed.set,
            backoff=self._timing.backoff,
            due=due,
            clock=self._clock,
            sleep=self._sleep,
        )

    # while there

    async def _reconnect(self) -> None:
        """Open streams, one after the other, until it is time to leave."""
        log = structlog.get_logger()
        while not self._leaving.is_set():
            identity = self._files.load()
            identity.check(self._clock())
            self._renewed.clear()
            try:
                await self._stream(identity)
                self._attempt = 0
                continue  # the certificate is new: no reason to wait
            except (ConfigurationError, Unauthenticated) as error:
                if error.reason in _STAFF_MUST_ACT:
                    identity.check(self._clock())  # the hub's word is not enough
                self._trouble = error
            except AccordError as error:
                self._trouble = error
            end_if_cancelled()
            if self._leaving.is_set():
                log.info("connection.closed", agency=identity.membership.agency)
                return
            wait = self._timing.backoff.wait(self._attempt)
            self._attempt += 1
            log.warning(
                "connection.lost",
                agency=identity.membership.agency,
                reason=self._trouble.reason,
                attempt=self._attempt,
                wait_s=round(wait, 1),
            )
            await asyncio.sleep(wait)

    async def _stream(self, identity: Identity) -> None:
        """Serve one stream; returns only when the certificate was renewed."""
        peer = f"the hub at {identity.membership.hub}"
        outgoing = Outgoing()
        self._opening, begin, reason, opened_at = True, now(), "", math.inf
        try:
            opening = await self._introduction()
            async with open_channel(identity) as channel:
                stub = agent_pb2_grpc.AgentServiceStub(channel)
                call: Call = stub.Connect(outgoing.messages())
                try:
                    session = Session(self._worker, self._timing, stub, call, outgoing)
                    self._worker.files = session.fetch
                    await session.open(opening)
                    self._opening, self._opened_at = False, time.monotonic()
                    opened_at = self._opened_at
                    self._link.opened(self._clock())
                    structlog.get_logger().info(
                        "connection.opened", agency=identity.membership.agency
                    )
                    self._worker.outlet = outgoing
                    await first_of(
                        session.serve(), self._renewed.wait(), self._goodbye(outgoing)
                    )
                except grpc.RpcError as error:
                    raise error_of(error, peer) from None
                finally:
                    self._link.ended(self._clock())
                    self._worker.outlet = self._worker.files = None
                    outgoing.close()
                    call.cancel()
        except AccordError as error:
            reason = error.reason
            raise
        finally:
            self._opening = False
            lasted = time.monotonic() - opened_at
            if lasted >= self._timing.steady or self._worker.news_at > opened_at:
                self._attempt = 0
            self._spans.contact(begin, now(), reason or "ENDED")

    async def _introduction(self) -> Opening:
        """Return what to say first; freezing an edition may take a while."""
        return Opening(
            editions=await self._worker.editions(),
            ledger_height=await self._worker.ledger_height(),
            state_sequence=await self._worker.state_sequence(),
            charged=await self._worker.charged(),
            log_seen=await self._worker.log_seen(),
        )

    async def _goodbye(self, outgoing: Outgoing) -> None:
        """Let the hub hang up once it has everything; `_leave_after` does not wait."""
        await self._leaving.wait()
        outgoing.finish()
        await asyncio.Event().wait()


async def _next_window(find: FindWindow, moment: datetime.datetime) -> Window:
    found = await asyncio.to_thread(find, moment)
    return hourly(moment) if found is None else found
