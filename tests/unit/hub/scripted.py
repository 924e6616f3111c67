# SPDX-License-Identifier: Apache-2.0
"""A small agent that follows a script, over the real protocol and mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc

from accord.core.calendar import Period
from accord.core.layout import Layout, lay_out
from accord.core.model import DataModel
from accord.core.terms import Requisition
from accord.rpc.address import parse_address
from accord.rpc.channel import agent_channel
from accord.rpc.codec import (
    HeldEdition,
    edition_to_message,
    payload_digest,
    requisition_from_bytes,
    verify_requisition,
)
from accord.rpc.status import error_of
from accord.v1 import agent_pb2, agent_pb2_grpc, common_pb2


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

    def __init__(
        self, agent: ScriptedAgent, payload: bytes, requisition: Requisition
    ) -> None:
        self.agent = agent
        self.payload = payload
        self.requisition = requisition
        self.layout: Layout = lay_out(requisition.query, agent.model)

    async def answer(self, vector: list[int] | None = None, **changes: str) -> None:
        """Answer with a vector; by default 40 stored units (10 counts) in each cell."""
        values = [40] * self.layout.n_cells + [7, 1] if vector is None else vector
        message = agent_pb2.Answer(
            query_id=self.requisition.query_id,
            layout_digest=self.layout.digest(),
            payload_digest=payload_digest(self.payload),
            vector=values,
        )
        for name, value in changes.items():
            setattr(message, name, value)
        await self.agent.say(agent_pb2.ConnectRequest(answer=message))

    async def refuse(self, reason: str = "LOCAL_RULE") -> None:
        """Decline."""
        await self.agent.say(
            agent_pb2.ConnectRequest(
                refusal=agent_pb2.Refusal(
                    query_id=self.requisition.query_id,
                    payload_digest=payload_digest(self.payload),
                    reason=common_pb2.RefusalReason.Value(f"REFUSAL_REASON_{reason}"),
                    clauses=["deny.dimension", "name of somebody"],
                )
            )
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

    def __init__(self, identity: Identity, target: str, model: DataModel) -> None:
        self.identity = identity
        self.model = model
        self.asked: list[Asked] = []
        self.settled: list[str] = []
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
        self, script: Script, *, editions: tuple[str, ...] = ("2026-08", "2026-09")
    ) -> None:
        """Open the stream and return once the hub has welcomed the agent."""
        hello = agent_pb2.Hello(
            agent_version="scripted",
            editions=[edition_to_message(held(self.model, name)) for name in editions],
        )
        await self.say(agent_pb2.ConnectRequest(hello=hello))
        self._task = asyncio.create_task(self._run(script))
        await until(lambda: self.welcome is not None or self.ended is not None)

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
        match message.WhichOneof("message"):
            case "welcome":
                self.welcome = message.welcome
            case "requisition":
                payload = message.requisition.payload
                verify_requisition(
                    self.identity.hub_key, payload, message.requisition.signature
                )
                requisition = requisition_from_bytes(payload, lambda *_: self.model)
                asked = Asked(self, payload, requisition)
                self.asked.append(asked)
                await script(asked)
            case "settled":
                self.settled.append(message.settled.query_id)
            case "policies":
                self.told.append(message.policies.policies_version)
            case "heartbeat":
                self.heartbeats += 1
            case _:
                pass

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
