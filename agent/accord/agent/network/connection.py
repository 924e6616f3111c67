# SPDX-License-Identifier: Apache-2.0
"""The agent's connection to its hub: outbound only, and always coming back.

One stream at a time. Opening one goes: hello with the editions held, the hub's welcome,
a look for newer signed policies, then requisitions as they come. Policies are looked
for again whenever the hub says that they changed, and every few minutes whether it does
or not: one that keeps quiet about a change must not win time. A stream ends when the
network, the hub or a renewed certificate says so; the next attempt waits a random time
that grows with failures. Only what staff must see to ends `run`: no identity, or one
whose certificate has ended.

All messages of a stream leave through one queue. What the hub sends is checked against
the rules of the protocol; nothing of it is logged but ids and reasons.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TypeAlias

import grpc
import structlog

from accord.agent.network.identity import Identity, IdentityFiles
from accord.agent.network.renewal import Backoff, keep_renewed, open_channel, utc_now
from accord.agent.network.worker import Answerer, AnswerVector, Worker
from accord.core._version import __version__
from accord.core.errors import (
    AccordError,
    ConfigurationError,
    IntegrityError,
    InvalidQuery,
    Unauthenticated,
    Unreachable,
)
from accord.rpc.codec import HeldEdition, edition_to_message
from accord.rpc.interceptors import check_message
from accord.rpc.limits import HEARTBEAT_SECONDS, WELCOME_SECONDS, deadline
from accord.rpc.status import error_of
from accord.v1 import agent_pb2, agent_pb2_grpc

__all__ = ["AnswerVector", "Answerer", "HeldEdition", "Timing", "run"]

_MOST_SKEW = 300
"""Seconds by which the clocks of hub and agent may differ before a line says so."""

_STAFF_MUST_ACT = frozenset({"CERTIFICATE_EXPIRED", "CERTIFICATE_NOT_YET_VALID"})

Call: TypeAlias = (
    "grpc.aio.StreamStreamCall[agent_pb2.ConnectRequest, agent_pb2.ConnectResponse]"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds between what happens by itself."""

    heartbeat: float = HEARTBEAT_SECONDS
    welcome: float = WELCOME_SECONDS
    editions: float = 300.0
    """How often the calendar is looked at."""
    policies: float = 300.0
    """How often newer policies are looked for."""
    backoff: Backoff = dataclasses.field(default_factory=Backoff)


async def run(
    files: IdentityFiles,
    answerer: Answerer,
    *,
    timing: Timing | None = None,
    clock: Callable[[], datetime.datetime] = utc_now,
) -> None:
    """Answer the hub's requisitions until cancelled; cancelling ends it cleanly.

    Args:
        files: the agent's identity; read anew for every stream.
        answerer: computes the answers; called from one thread only.
        timing: how often what happens by itself does.
        clock: the time in UTC.

    Raises:
        ConfigurationError: NOT_ENROLLED, or the identity cannot be read.
        Unauthenticated: CERTIFICATE_EXPIRED, says to enrol again.
    """
    connection = _Connection(files, answerer, timing or Timing(), clock)
    await connection.run()


class _Connection:
    def __init__(
        self,
        files: IdentityFiles,
        answerer: Answerer,
        timing: Timing,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        self._files = files
        self._timing = timing
        self._clock = clock
        self._worker = Worker(answerer)
        self._renewed = asyncio.Event()
        self._attempt = 0

    async def run(self) -> None:
        self._files.load().check(self._clock())
        renewal = keep_renewed(
            self._files,
            self._renewed.set,
            backoff=self._timing.backoff,
            clock=self._clock,
        )
        try:
            await _first_of(self._reconnect(), renewal)
        finally:
            await self._worker.close()

    async def _reconnect(self) -> None:
        """Open streams, one after the other."""
        log = structlog.get_logger()
        while True:
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
                reason = error.reason
            except AccordError as error:
                reason = error.reason
            wait = self._timing.backoff.wait(self._attempt)
            self._attempt += 1
            log.warning(
                "connection.lost",
                agency=identity.membership.agency,
                reason=reason,
                attempt=self._attempt,
                wait_s=round(wait, 1),
            )
            await asyncio.sleep(wait)

    async def _stream(self, identity: Identity) -> None:
        """Serve one stream; returns only when the certificate was renewed."""
        peer = f"the hub at {identity.membership.hub}"
        queue = _Queue()
        held = await self._worker.editions()  # may freeze one, which takes a while
        height = await self._worker.ledger_height()
        async with open_channel(identity) as channel:
            stub = agent_pb2_grpc.AgentServiceStub(channel)
            call: Call = stub.Connect(queue.messages())
            try:
                session = _Session(self._worker, self._timing, stub, call, queue)
                self._worker.files = session.fetch
                await session.open(held, height)
                self._attempt = 0
                structlog.get_logger().info(
                    "connection.opened", agency=identity.membership.agency
                )
                self._worker.outlet = queue
                await _first_of(session.serve(), _wait(self._renewed))
            except grpc.RpcError as error:
                raise error_of(error, peer) from None
            finally:
                self._worker.outlet = self._worker.files = None
                queue.close()
                call.cancel()


class _Session:
    """One open stream: what comes in, and what goes out by itself."""

    def __init__(
        self,
        worker: Worker,
        timing: Timing,
        stub: agent_pb2_grpc.AgentServiceAsyncStub,
        call: Call,
        queue: _Queue,
    ) -> None:
        self._worker = worker
        self._timing = timing
        self._stub = stub
        self._call = call
        self._queue = queue
        self._told: tuple[HeldEdition, ...] = ()
        self._changed = asyncio.Event()

    async def open(self, held: tuple[HeldEdition, ...], height: int) -> None:
        """Say hello, hear the welcome, look for newer policies."""
        self._told = held
        hello = agent_pb2.Hello(
            agent_version=__version__,
            editions=[edition_to_message(edition) for edition in held],
            ledger_height=height,
        )
        self._queue.post(agent_pb2.ConnectRequest(hello=hello))
        try:
            async with asyncio.timeout(self._timing.welcome):
                first = await self._read()
        except TimeoutError:
            raise Unreachable(
                "HUB_SILENT", "The hub took the connection but does not answer."
            ) from None
        if not first.HasField("welcome"):
            raise IntegrityError("WELCOME_MISSING", "The hub began without a welcome.")
        if abs(first.welcome.now - time.time()) > _MOST_SKEW:
            structlog.get_logger().warning("clock.differed")
        await self._refresh()

    async def serve(self) -> None:
        """Work until the stream ends, which is an error whatever the reason."""
        await _first_of(
            self._receive(), self._heartbeats(), self._calendar(), self._policies()
        )

    async def _receive(self) -> None:
        while True:
            message = await self._read()
            match message.WhichOneof("message"):
                case "requisition":
                    await self._worker.take(message.requisition)
                case "settled":
                    self._worker.settle(message.settled.query_id)
                case "policies":
                    self._changed.set()
                case _:
                    pass  # a heartbeat, or a second welcome

    async def _read(self) -> agent_pb2.ConnectResponse:
        """Return the next message that keeps the protocol's rules."""
        while True:
            message = await self._call.read()
            if not isinstance(message, agent_pb2.ConnectResponse):
                raise Unreachable("STREAM_ENDED", "The hub ended the connection.")
            try:
                check_message(message)
            except InvalidQuery as error:
                structlog.get_logger().warning("message.dropped", reason=error.reason)
            else:
                return message

    async def _heartbeats(self) -> None:
        sequence = 0
        while True:
            await asyncio.sleep(self._timing.heartbeat)
            sequence += 1
            beat = agent_pb2.Heartbeat(sequence=sequence)
            await self._queue.send(agent_pb2.ConnectRequest(heartbeat=beat))

    async def _calendar(self) -> None:
        while True:
            await asyncio.sleep(self._timing.editions)
            await self._tell_editions()

    async def _tell_editions(self) -> None:
        held = await self._worker.editions()
        if held != self._told:
            self._told = held
            editions = [edition_to_message(edition) for edition in held]
            message = agent_pb2.Editions(editions=editions)
            await self._queue.send(agent_pb2.ConnectRequest(editions=message))

    async def _policies(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.policies):
                    await self._changed.wait()
            self._changed.clear()
            await self._refresh()

    async def _refresh(self) -> None:
        """Look for newer policies; other agreements may want other editions."""
        if await self._worker.refresh():
            await self._tell_editions()

    async def fetch(self, name: str) -> bytes:
        """Return one file of the signed policies as the hub has it.

        Raises:
            AccordError: the hub does not give it, or not in time.
        """
        request = agent_pb2.FetchPolicyRequest(path=name)
        check_message(request)
        seconds = deadline("AgentService/FetchPolicy")
        try:
            answer = await self._stub.FetchPolicy(request, timeout=seconds)
        except (grpc.RpcError, grpc.aio.UsageError) as error:
            if isinstance(error, grpc.RpcError):
                raise error_of(error) from None
            raise Unreachable("STREAM_ENDED", "The hub ended the connection.") from None
        return answer.content


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Outgoing:
    message: agent_pb2.ConnectRequest
    gone: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class _Queue:
    """All that leaves over one stream, in order."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[_Outgoing] = asyncio.Queue()
        self._not_gone: set[_Outgoing] = set()
        self._closed = False

    def post(self, message: agent_pb2.ConnectRequest) -> asyncio.Event:
        """Put *message* at the end; the event tells when it has left or never will."""
        outgoing = _Outgoing(message)
        if self._closed:
            outgoing.gone.set()
        else:
            self._not_gone.add(outgoing)
            self._waiting.put_nowait(outgoing)
        return outgoing.gone

    async def send(self, message: agent_pb2.ConnectRequest) -> None:
        """Wait until *message* has left, or the stream is over."""
        await self.post(message).wait()

    async def messages(self) -> AsyncIterator[agent_pb2.ConnectRequest]:
        """Yield what is to be written; gRPC comes back when one has been."""
        while True:
            outgoing = await self._waiting.get()
            yield outgoing.message
            self._not_gone.discard(outgoing)
            outgoing.gone.set()

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._closed = True
        for outgoing in self._not_gone:
            outgoing.gone.set()
        self._not_gone.clear()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _first_of(*work: Coroutine[object, object, None]) -> None:
    """Run all until one ends, cancel the others, and end as that one did."""
    tasks = [asyncio.ensure_future(part) for part in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
