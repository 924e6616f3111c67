# SPDX-License-Identifier: Apache-2.0
"""All that leaves over one stream: one queue, in order."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

from accord.v1 import agent_pb2


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Outgoing:
    message: agent_pb2.ConnectRequest
    gone: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class Outgoing:
    """What waits to be written; belongs to one stream."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[_Outgoing | None] = asyncio.Queue()
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
        while (outgoing := await self._waiting.get()) is not None:
            yield outgoing.message
            self._not_gone.discard(outgoing)
            outgoing.gone.set()

    def finish(self) -> None:
        """Write what waits, then tell the hub that nothing follows."""
        self._waiting.put_nowait(None)

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._closed = True
        for outgoing in self._not_gone:
            outgoing.gone.set()
        self._not_gone.clear()
