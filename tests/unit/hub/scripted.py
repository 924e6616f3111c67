# SPDX-License-Identifier: Apache-2.0
"""A small agent that follows a script, over the real protocol and mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import grpc

from accord.core._version import __version__
from accord.core.calendar import Period
from accord.core.errors import RequisitionRefused
from accord.core.layout import Layout
from accord.core.model import DataModel
from accord.core.privacy import Loss
from accord.core.terms import Requisition
from accord.rpc.address import parse_address
from accord.rpc.channel import agent_channel
from accord.rpc.codec import (
    HeldEdition,
    edition_to_message,
    loss_to_message,
    query_id_of,
    verify_requisition,
)
from accord.rpc.codec import payload_digest as digest_of
from accord.rpc.contact import ChargeRecord, records_to_messages
from accord.rpc.rounds import encapsulation_to_message, masked_requests
from accord.rpc.status import error_of
from accord.v1 import agent_pb2, agent_pb2_grpc, common_pb2, log_pb2
from tests.unit.hub.agencies import Agency, Part


def held(model: DataModel, name: str = "2026-09") -> HeldEdition:
    """Return an edition of the sample agreement's kind."""
    return HeldEdition(
        every=Period.MONTH,
        embargo_days=30,
        name=name,
        data_model=model.name,
        data_model_digest=model.digest,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an agent has after enrolment."""

    agency: str
    key: bytes
    certificate: bytes
    authority: bytes
    hub_key: bytes
    policy_root: bytes = b""


Script = Callable[["Asked"], Awaitable[None]]
"""What an agent does with a requisition."""


class Asked:
    """A requisition in an agent's hands."""

    def __init__(self, agent: ScriptedAgent, part: Part) -> None:
        self.agent = agent
        self.part = part
        self.payload = part.payload
        self.requisition: Requisition = part.requisition
        self.layout: Layout = part.layout

    @property
    def query_id(self) -> str:
        return self.requisition.query_id

    async def answer(self, vector: list[int] | None = None) -> None:
        """Say ready, and go on by itself when the hub asks for more.

        Without a vector it is 40 stored units (10 counts) in each cell.
        """
        if vector is not None:
            self.part.vector = vector
        self.agent.going.add(self.query_id)
        await self.ready()

    async def ready(self) -> None:
        """Say ready, and nothing more."""
        message = self.agent.agency.ready_message(self.part)
        await self.agent.say(
            agent_pb2.ConnectRequest(readies=agent_pb2.Readies(readies=[message]))
        )

    async def refuse(
        self,
        reason: str | int = "LOCAL_RULE",
        *,
        query_id: str = "",
        payload_digest: str = "",
        attempt: int = 0,
    ) -> None:
        """Decline; a number is a reason that the protocol may not have."""
        values = common_pb2.RefusalReason
        number = (
            reason
            if isinstance(reason, int)
            else values.Value(f"REFUSAL_REASON_{reason}")
        )
        refusal = agent_pb2.Refusal(
            query_id=query_id or self.query_id,
            payload_digest=payload_digest or digest_of(self.payload),
            reason=number,  # type: ignore[arg-type]  # any number can come
            clauses=["deny.dimension", "name of somebody"],
            attempt=attempt or self.part.attempt,
        )
        await self.agent.say(
            agent_pb2.ConnectRequest(refusals=agent_pb2.Refusals(refusals=[refusal]))
        )


async def answering(asked: Asked) -> None:
    """Answer at once."""
    await asked.answer()


async def refusing(asked: Asked) -> None:
    """Decline at once."""
    await asked.refuse()


async def silent(asked: Asked) -> None:
    """Never answer."""


class ScriptedAgent:
    """Speaks the real protocol over real mutual TLS."""

    def __init__(
        self,
        identity: Identity,
        target: str,
        model: DataModel,
        agency: Agency,
        *,
        stop_before: str = "",
    ) -> None:
        """Begin; an agent that stops before "masked" or "reveal" falls silent there."""
        self.identity = identity
        self.model = model
        self.agency = agency
        self.stop_before = stop_before
        self.going: set[str] = set()
        self.asked: list[Asked] = []
        self.cohorts: list[agent_pb2.CohortCall] = []
        self.reveals: list[agent_pb2.RevealCall] = []
        self.settled: list[str] = []
        self.messages: list[agent_pb2.ConnectResponse] = []
        self.proves: Callable[[], Iterable[ChargeRecord]] | None = agency.records
        """What it gives when the hub wants charges; nothing at all for a silent one."""
        self.heartbeats = 0
        self.told: list[int] = []
        """Versions of policies that the hub said were new."""
        self.welcome: agent_pb2.Welcome | None = None
        self.ended: BaseException | None = None
        self._address = parse_address(target)
        self._out: asyncio.Queue[agent_pb2.ConnectRequest] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def channel(self) -> grpc.aio.Channel:
        return agent_channel(
            self._address,
            self.identity.authority,
            self.identity.key,
            self.identity.certificate,
        )

    async def say(self, message: agent_pb2.ConnectRequest) -> None:
        await self._out.put(message)

    async def start(
        self,
        script: Script,
        *,
        editions: tuple[str, ...] = ("2026-08", "2026-09"),
        state_sequence: int = 0,
        encapsulating: bool = True,
        charged: Loss | None = None,
        log_seen: log_pb2.LogSeen | None = None,
        version: str = __version__,
    ) -> None:
        """Open the stream and return once the hub has welcomed the agent.

        It says what it has charged, unless it is to say something else.
        """
        hello = agent_pb2.Hello(
            agent_version=version,
            editions=[edition_to_message(held(self.model, name)) for name in editions],
            state_sequence=state_sequence,
            charged=loss_to_message(charged or self.agency.charged()),
            log_seen=log_seen,
        )
        await self.say(agent_pb2.ConnectRequest(hello=hello))
        if encapsulating:
            await self.encapsulate()
        self._task = asyncio.create_task(self._run(script))
        await until(lambda: self.welcome is not None or self.ended is not None)

    async def encapsulate(self) -> None:
        """Send the secrets that this agency makes for others."""
        made = [encapsulation_to_message(e) for e in self.agency.encapsulations()]
        if made:
            await self.say(
                agent_pb2.ConnectRequest(
                    encapsulations=agent_pb2.Encapsulations(encapsulations=made)
                )
            )

    async def _run(self, script: Script) -> None:
        async def outgoing() -> AsyncIterator[agent_pb2.ConnectRequest]:
            while True:
                yield await self._out.get()

        try:
            async with self.channel() as channel:
                stub = agent_pb2_grpc.AgentServiceStub(channel)
                stream = stub.Connect(outgoing())
                async for message in stream:
                    await self._take(message, script)
        except grpc.aio.AioRpcError as error:
            self.ended = error_of(error)
        except asyncio.CancelledError:
            raise
        else:
            self.ended = RuntimeError("the hub closed the stream without an error")

    async def _take(self, message: agent_pb2.ConnectResponse, script: Script) -> None:
        self.messages.append(message)
        match message.WhichOneof("message"):
            case "welcome":
                self.welcome = message.welcome
            case "requisitions":
                for each in message.requisitions.requisitions:
                    await self._asked(each, script)
            case "cohorts":
                for call in message.cohorts.calls:
                    await self._shown(call, script)
            case "reveals":
                for reveal in message.reveals.calls:
                    await self._told(reveal, script)
            case "settled":
                self.settled.extend(message.settled.query_ids)
                await self._erase(message.settled.query_ids)
            case _:
                await self._other(message)

    async def _asked(self, each: agent_pb2.Requisition, script: Script) -> None:
        verify_requisition(self.identity.hub_key, each.payload, each.signature)
        try:
            part = self.agency.ready(each)
        except RequisitionRefused as error:
            await self.refuse(query_id_of(each.payload), each.attempt, error.reason)
            return
        asked = Asked(self, part)
        self.asked.append(asked)
        await script(asked)

    async def _shown(self, call: agent_pb2.CohortCall, script: Script) -> None:
        self.cohorts.append(call)
        if self._goes_on(call.query_id, script, "masked"):
            await self.mask(call)

    async def _told(self, reveal: agent_pb2.RevealCall, script: Script) -> None:
        self.reveals.append(reveal)
        if self._goes_on(reveal.query_id, script, "reveal"):
            await self.reveal(reveal)

    def _goes_on(self, query: str, script: Script, stage: str) -> bool:
        if self.stop_before == stage:
            return False
        return query in self.going or script is answering

    async def mask(self, call: agent_pb2.CohortCall) -> None:
        """Send the masked vector, or decline a second cohort of one attempt."""
        try:
            masked = self.agency.mask(call)
        except RequisitionRefused as error:
            await self.refuse(call.query_id, call.attempt, error.reason)
            return
        for message in masked_requests(masked):
            await self.say(message)

    async def refuse(self, query: str, attempt: int, reason: str) -> None:
        """Decline in whatever round."""
        refusal = agent_pb2.Refusal(
            query_id=query,
            payload_digest=digest_of(self.agency.parts[query].payload),
            reason=common_pb2.RefusalReason.Value(f"REFUSAL_REASON_{reason}"),
            attempt=attempt,
        )
        await self.say(
            agent_pb2.ConnectRequest(refusals=agent_pb2.Refusals(refusals=[refusal]))
        )

    async def reveal(self, call: agent_pb2.RevealCall) -> None:
        """Give the seed away."""
        reveals = agent_pb2.Reveals(reveals=[self.agency.reveal(call)])
        await self.say(agent_pb2.ConnectRequest(reveals=reveals))

    async def _other(self, message: agent_pb2.ConnectResponse) -> None:
        """Take what is about no question."""
        if message.HasField("policies"):
            self.told.append(message.policies.policies_version)
        if message.HasField("charges_wanted") and self.proves is not None:
            for each in records_to_messages(self.proves(), complete=True):
                await self.say(agent_pb2.ConnectRequest(charges=each))
        self.heartbeats += message.HasField("heartbeat")

    async def _erase(self, queries: Iterable[str]) -> None:
        found = [e for query in queries if (e := self.agency.settle(query))]
        if found:
            await self.say(
                agent_pb2.ConnectRequest(erasures=agent_pb2.Erasures(erasures=found))
            )

    async def stop(self) -> None:
        """Vanish."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # many kinds of conditions
            await asyncio.sleep(0.01)
