# SPDX-License-Identifier: Apache-2.0
"""A network of values between one hub and its agents, which a test holds in its hands.

Agents run their own connection over a `Channel`, and the hub's own service takes the
other end. What is written goes into a line; the line lets it through at once, or holds
it until it is let through, dropped, doubled or put in another order. Streams of gRPC
never lose, repeat or reorder what they carry: what holds here holds there.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, Protocol, Self

from accord.agent.network.identity import Identity
from accord.core.errors import AccordError, Unreachable
from accord.rpc.pki import certificate_pem
from accord.v1 import agent_pb2
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.patching import Passed

CONNECT: Final = "/accord.v1.AgentService/Connect"

Up = agent_pb2.ConnectRequest
Down = agent_pb2.ConnectResponse


def gone() -> Unreachable:
    return Unreachable("STREAM_ENDED", "The connection broke.")


class Service(Protocol):
    """The hub's side of a stream."""

    def Connect(
        self, request_iterator: AsyncIterator[Up], context: Passed
    ) -> Coroutine[Any, Any, None]: ...


class Hub(Protocol):
    """Where agents call, if anybody serves there."""

    @property
    def is_serving(self) -> bool: ...

    @property
    def process(self) -> Process | None: ...

    @property
    def service(self) -> Service: ...

    def file(self, agency: str, name: str) -> bytes: ...


class Line:
    """One direction of one agency's connection, over all of its streams."""

    def __init__(self) -> None:
        self.is_held = False
        self.waiting: collections.deque[tuple[Link, bytes]] = collections.deque()

    def put(self, link: Link, content: bytes) -> None:
        self.waiting.append((link, content))
        if not self.is_held:
            self.let_go()

    def let_go(self) -> None:
        """Let everything through that waits."""
        self.is_held = False
        while self.waiting:
            self.step()

    def step(self) -> None:
        """Let the first message through."""
        if self.waiting:
            link, content = self.waiting.popleft()
            link.arrive(self, content)

    def drop(self, place: int) -> None:
        if place < len(self.waiting):
            del self.waiting[place]

    def double(self, place: int) -> None:
        if place < len(self.waiting):
            self.waiting.append(self.waiting[place])

    def swap(self, place: int) -> None:
        if place + 1 < len(self.waiting):
            first, second = self.waiting[place], self.waiting[place + 1]
            self.waiting[place], self.waiting[place + 1] = second, first


class Link:
    """One stream: what the agent holds of it, and what the hub does."""

    def __init__(self, wire: Wire, certificate: bytes) -> None:
        self._wire = wire
        self._certificate = certificate
        self.at_hub: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.at_agent: asyncio.Queue[bytes | AccordError] = asyncio.Queue()
        self.tasks: list[asyncio.Task[None]] = []
        self.handler: asyncio.Task[None] | None = None

    def arrive(self, line: Line, content: bytes) -> None:
        if line is self._wire.up:
            self.at_hub.put_nowait(content)
        else:
            self.at_agent.put_nowait(content)

    # The hub's side

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._certificate]}

    async def write(self, message: Down) -> None:
        if self._wire.heard(message):
            self._wire.down.put(self, message.SerializeToString())

    async def requests(self) -> AsyncIterator[Up]:
        while (content := await self.at_hub.get()) is not None:
            yield Up.FromString(content)

    async def serve(self, service: Service) -> None:
        try:
            await service.Connect(self.requests(), self)
        except AccordError as error:
            self.at_agent.put_nowait(error)
        except Exception as error:  # noqa: BLE001  # nobody awaits this
            self._wire.trouble(error)
        else:
            self.at_agent.put_nowait(gone())

    # The agent's side

    async def pump(self, messages: AsyncIterator[Up]) -> None:
        async for message in messages:
            if self._wire.heard(message):
                self._wire.up.put(self, message.SerializeToString())
        self.at_hub.put_nowait(None)

    async def read(self) -> Down:
        found = await self.at_agent.get()
        if isinstance(found, AccordError):
            raise found
        return Down.FromString(found)

    def cancel(self) -> None:
        self.hang_up(at_agent=True, at_hub=True)

    def hang_up(self, *, at_agent: bool, at_hub: bool) -> None:
        """Break it; whoever does not notice goes on with what is under way."""
        if at_agent:
            for task in self.tasks:
                task.cancel()
            self.at_agent.put_nowait(gone())
        if at_hub and self.handler is not None:
            self.handler.cancel()


class Wire:
    """Whatever is between the hub and one agency."""

    def __init__(
        self, loop: VirtualLoop, agency: str, said: Callable[[str, Up | Down], None]
    ) -> None:
        self._loop = loop
        self.agency = agency
        self.up, self.down = Line(), Line()
        self.is_cut = False
        self.hub: Hub | None = None
        """Who answers there."""
        self._said = said
        self._links: list[Link] = []

    def heard(self, message: Up | Down) -> bool:
        """Tell whether somebody says this who is alive; then it is out."""
        owner = self._loop.owner()
        if owner is not None and not owner.is_alive:
            return False
        self._said(self.agency, message)
        return True

    def trouble(self, error: Exception) -> None:
        """Note what the hub's service did not expect."""
        self._loop.troubles.append(error)

    def heard_by(self, said: Callable[[str, Up | Down], None]) -> None:
        """Tell somebody else of everything that is said from now on."""
        self._said = said

    def line(self, direction: str) -> Line:
        return {"up": self.up, "down": self.down}[direction]

    def cut(self, *, at_agent: bool = True, at_hub: bool = True) -> None:
        """Break what there is; nothing new can begin before `mend`."""
        self.is_cut = True
        if at_agent and at_hub:
            self.up.waiting.clear()
            self.down.waiting.clear()
        for link in self._links:
            link.hang_up(at_agent=at_agent, at_hub=at_hub)

    def open(self, identity: Identity, messages: AsyncIterator[Up]) -> Link:
        hub = self._reached()
        assert hub.process is not None
        link = Link(self, certificate_pem(identity.certificate))
        self._links = [link, *self._links[:1]]
        link.tasks.append(self._loop.create_task(link.pump(messages)))
        link.handler = self._loop.begin(hub.process, link.serve(hub.service))
        return link

    def file(self, name: str) -> bytes:
        return self._reached().file(self.agency, name)

    def _reached(self) -> Hub:
        if self.is_cut or self.hub is None or not self.hub.is_serving:
            raise gone()
        return self.hub


class Channel:
    """What an agent takes for a connection to its hub."""

    def __init__(self, wire: Wire, identity: Identity) -> None:
        self._wire = wire
        self._identity = identity

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Leave nothing open: a stream ends by itself."""

    def stream_stream(self, path: str, *_codecs: Passed, **_more: Passed) -> Passed:
        assert path == CONNECT
        return lambda messages: self._wire.open(self._identity, messages)

    def unary_unary(self, path: str, *_codecs: Passed, **_more: Passed) -> Passed:
        async def call(_request: Passed, **_options: Passed) -> Passed:
            raise Unreachable("NOT_SIMULATED", f"{path} is not called here.")

        return call
