# SPDX-License-Identifier: Apache-2.0
"""One open stream: what comes in, and what goes out by itself.

It begins with hello, the hub's welcome, a look for newer signed policies, and what
members with later labels need from this one (encapsulations). What the hub sends is
checked against the rules of the protocol; nothing of it is logged but ids and reasons.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import time
from typing import Final, TypeAlias

import grpc
import structlog

from accord.agent.network.outgoing import Outgoing
from accord.agent.network.tasks import first_of
from accord.agent.network.timing import Timing
from accord.agent.network.worker import Worker
from accord.agent.witness.log import Growth
from accord.core._version import __version__
from accord.core.errors import IntegrityError, InvalidQuery, Unreachable
from accord.core.privacy import Loss
from accord.merkle.heads import SignedHead, Witnessed
from accord.rpc.codec import (
    HeldEdition,
    edition_to_message,
    loss_from_message,
    loss_to_message,
)
from accord.rpc.contact import (
    cosignature_to_message,
    head_from_message,
    records_to_messages,
    seen_to_message,
)
from accord.rpc.interceptors import check_message
from accord.rpc.limits import deadline
from accord.rpc.rounds import (
    MOST_TOGETHER,
    encapsulation_to_message,
    ready_to_message,
)
from accord.rpc.status import error_of
from accord.secagg.keys import Encapsulation
from accord.v1 import agent_pb2, agent_pb2_grpc, log_pb2

_MOST_SKEW: Final = 300
"""Seconds by which the clocks of hub and agent may differ before a line says so."""

_MOST_ENCAPSULATIONS: Final = 1000
"""In one message, as the protocol has it; each takes about 1.2 kB."""

Call: TypeAlias = (
    "grpc.aio.StreamStreamCall[agent_pb2.ConnectRequest, agent_pb2.ConnectResponse]"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What an agent says of itself first."""

    editions: tuple[HeldEdition, ...]
    ledger_height: int
    state_sequence: int
    charged: Loss
    """What the agency can prove that its own ledger has charged."""
    log_seen: SignedHead | None
    """The newest head of the hub's log that was accepted."""

    def message(self) -> agent_pb2.Hello:
        """Return the hello."""
        return agent_pb2.Hello(
            agent_version=__version__,
            editions=[edition_to_message(edition) for edition in self.editions],
            ledger_height=self.ledger_height,
            state_sequence=self.state_sequence,
            charged=loss_to_message(self.charged),
            log_seen=None if self.log_seen is None else seen_to_message(self.log_seen),
        )


class Session:
    """What an agent does on one stream."""

    def __init__(
        self,
        worker: Worker,
        timing: Timing,
        stub: agent_pb2_grpc.AgentServiceAsyncStub,
        call: Call,
        outgoing: Outgoing,
    ) -> None:
        """Say nothing yet.

        Args:
            worker: does what the hub asks.
            timing: how often what happens by itself does.
            stub: of the stream's channel.
            call: the stream.
            outgoing: what the stream writes.
        """
        self._worker = worker
        self._timing = timing
        self._stub = stub
        self._call = call
        self._outgoing = outgoing
        self._told: tuple[HeldEdition, ...] = ()
        self._given: frozenset[Encapsulation] = frozenset()
        self._changed = asyncio.Event()
        self._wanted: asyncio.Queue[agent_pb2.ChargesWanted] = asyncio.Queue()

    async def open(self, opening: Opening) -> None:
        """Say hello, hear the welcome, look for newer policies and for ends.

        Raises:
            Unreachable: HUB_SILENT or STREAM_ENDED.
            IntegrityError: WELCOME_MISSING.
        """
        self._told = opening.editions
        self._outgoing.post(agent_pb2.ConnectRequest(hello=opening.message()))
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
        await self._worker.heard_of(first.welcome.state_sequence)
        # The first policies of all name the key that signs the hub's log.
        await self._refresh()
        await self._compare(opening, first.welcome)
        await self._ask_for_ends()

    async def serve(self) -> None:
        """Work until the stream ends, which is an error whatever the reason."""
        await first_of(
            self._receive(),
            self._heartbeats(),
            self._calendar(),
            self._policies(),
            self._charges(),
            self._approvals(),
        )

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

    async def _receive(self) -> None:
        while True:
            message = await self._read()
            match message.WhichOneof("message"):
                case "requisitions":
                    await self._worker.take(message.requisitions)
                case "cohorts":
                    await self._worker.take(message.cohorts)
                case "reveals":
                    await self._worker.take(message.reveals)
                case "settled":
                    await self._worker.take(message.settled)
                case "policies":
                    self._changed.set()
                case "log":
                    await self._grown(message.log)
                case "charges_wanted" if self._wanted.empty():
                    self._wanted.put_nowait(message.charges_wanted)
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

    async def _compare(self, opening: Opening, welcome: agent_pb2.Welcome) -> None:
        """Hold the hub's ledger and log against this agency's own, before all else."""
        held = loss_from_message(welcome.held) if welcome.HasField("held") else None
        await self._worker.compare(opening.charged, held)
        seen = opening.log_seen
        growth = Growth(
            from_size=0 if seen is None else seen.head.size,
            proof=tuple(welcome.consistency),
        )
        shown = head_from_message(welcome.head) if welcome.HasField("head") else None
        self._cosign(await self._worker.greet(shown, growth))

    async def _grown(self, message: log_pb2.LogGrown) -> None:
        growth = Growth(from_size=message.from_size, proof=tuple(message.consistency))
        shown = head_from_message(message.head)
        self._cosign(await self._worker.grown(shown, growth))

    def _cosign(self, witnessed: Witnessed | None) -> None:
        if witnessed is not None:
            message = cosignature_to_message(witnessed)
            self._outgoing.post(agent_pb2.ConnectRequest(cosignature=message))

    async def _charges(self) -> None:
        """Prove what was charged, whenever the hub asks, a page at a time."""
        while True:
            wanted = await self._wanted.get()
            beyond, complete = 0, False
            while not complete:
                page = await self._worker.proven(since=wanted.since, beyond=beyond)
                if page is None:
                    break  # an old copy: it says nothing until staff has confirmed it
                beyond, complete = page.last, page.complete
                for message in records_to_messages(page.records, complete=complete):
                    await self._outgoing.send(agent_pb2.ConnectRequest(charges=message))

    async def _heartbeats(self) -> None:
        for sequence in itertools.count(1):
            await asyncio.sleep(self._timing.heartbeat)
            beat = agent_pb2.Heartbeat(sequence=sequence)
            await self._outgoing.send(agent_pb2.ConnectRequest(heartbeat=beat))

    async def _calendar(self) -> None:
        while True:
            await asyncio.sleep(self._timing.editions)
            await self._tell_editions()

    async def _approvals(self) -> None:
        """Answer anew what people have decided on: the hub does not ask again."""
        while True:
            await asyncio.sleep(self._timing.approvals)
            for asked in await self._worker.decided():
                await self._worker.take(asked)

    async def _tell_editions(self) -> None:
        held = await self._worker.editions()
        if held != self._told:
            self._told = held
            editions = [edition_to_message(edition) for edition in held]
            message = agent_pb2.Editions(editions=editions)
            self._outgoing.post(agent_pb2.ConnectRequest(editions=message))

    async def _give_encapsulations(self) -> None:
        """Send those that this stream has not carried yet."""
        made = await self._worker.encapsulations()
        new = [each for each in made if each not in self._given]
        self._given |= frozenset(new)
        for start in range(0, len(new), _MOST_ENCAPSULATIONS):
            some = new[start : start + _MOST_ENCAPSULATIONS]
            message = agent_pb2.Encapsulations(
                encapsulations=[encapsulation_to_message(each) for each in some]
            )
            self._outgoing.post(agent_pb2.ConnectRequest(encapsulations=message))

    async def _ask_for_ends(self) -> None:
        """Repeat what was said of queries that are masked; who has ended them says so.

        A hub tells of an end once, and only whom it can reach. Budget would stay
        reserved until the query expires.
        """
        unopened = await self._worker.unopened()
        for start in range(0, len(unopened), MOST_TOGETHER):
            some = unopened[start : start + MOST_TOGETHER]
            message = agent_pb2.Readies(
                readies=[ready_to_message(query_id, ready) for query_id, ready in some]
            )
            self._outgoing.post(agent_pb2.ConnectRequest(readies=message))

    async def _policies(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timing.policies):
                    await self._changed.wait()
            self._changed.clear()
            await self._refresh()

    async def _refresh(self) -> None:
        """Look for newer policies; they may want other editions and other keys.

        A requisition may have brought policies before this looked for them, so that
        encapsulations are compared whether there were any or not. What there is to say
        is only put in line: while the stream opens, nobody else would notice its end.
        """
        if await self._worker.refresh():
            await self._tell_editions()
        await self._give_encapsulations()
