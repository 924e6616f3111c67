# SPDX-License-Identifier: Apache-2.0
"""Relays between agents and their hub, which a test may stand at.

A `MessageRelay` passes messages on and can hold, drop, repeat or change them: the
moment "masked, but the hub does not know it yet" is then a place where a test can
stay as long as it likes. A `ByteRelay` writes down the bytes, either as they are on the
wire, or as both ends hand them to TLS and get them from it.

Both hold the keys of the network that they stand in, which nobody else has. They run on
a thread of their own and are used in a ``with``.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import ssl
import tempfile
import threading
import time
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

import grpc

from accord.core.errors import NotFound
from accord.rpc.address import Address
from accord.rpc.channel import agent_channel
from accord.rpc.codec import query_id_of
from accord.rpc.interceptors import ErrorBoundary
from accord.rpc.limits import deadline
from accord.rpc.peer import peer_agency
from accord.rpc.pki import SERVER_NAME
from accord.rpc.server import Listener, ServerIdentity, agent_server
from accord.rpc.status import error_of
from accord.v1 import agent_pb2, agent_pb2_grpc, common_pb2
from tests.federation.insider import server_identity, stolen_identity
from tests.federation.network import HOST, Network
from tests.federation.processes import wait_until

Message: TypeAlias = "agent_pb2.ConnectRequest | agent_pb2.ConnectResponse"
Change = Callable[[Any], Iterable[Any]]
"""What is passed on in the place of a message."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Result = TypeVar("Result")

_LOOK_SECONDS = 0.005
_HUB_SECONDS = 0.05
_LAST_TURNS = 5


class LoopThread:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def call(self, work: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(work)

    def close(self) -> None:
        self.run(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        for _ in range(_LAST_TURNS):  # transports close one turn after they are told
            await asyncio.sleep(0)


RECEIPTS = "receipts"
"""The hub's third call, since both ways have a field ``reveals``."""

_PARTS = {
    "requisitions": "requisitions",
    "readies": "readies",
    "cohorts": "calls",
    "masked": "masked",
    RECEIPTS: "calls",
    "reveals": "reveals",
    "erasures": "erasures",
    "refusals": "refusals",
    "encapsulations": "encapsulations",
}
"""Messages that are about several queries or pairs, and where these are in them."""


def kind_of(message: Message) -> str:
    """Return the name of the field that a message has, such as ``masked``."""
    field = message.WhichOneof("message") or ""
    if field == "reveals" and isinstance(message, agent_pb2.ConnectResponse):
        return RECEIPTS
    return field


def parts_of(message: Message) -> Sequence[Any]:
    """Return what a message says of each query, or its one field."""
    kind = kind_of(message)
    found = getattr(message, message.WhichOneof("message") or "")
    return getattr(found, _PARTS[kind]) if kind in _PARTS else [found]


def each(change: Change) -> Change:
    """Return a change of messages that changes what they say of each query."""

    def changed(message: Message) -> list[Message]:
        parts = [made for part in parts_of(message) for made in change(part)]
        if not parts:
            return []
        other = copy.deepcopy(message)
        held: Any = parts_of(other)
        del held[:]
        held.extend(parts)
        return [other]

    return changed


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One message as it came in."""

    agency: str
    kind: str
    """See `kind_of`."""
    message: Message
    at: float = dataclasses.field(default_factory=time.monotonic, compare=False)

    @property
    def parts(self) -> Sequence[Any]:
        """What it says of each query."""
        return parts_of(self.message)


class MessageRelay:
    """A gate for every message between agents and the hub of a network."""

    def __init__(self, network: Network) -> None:
        """Stand before the agents' port of *network*; `port` is where agents go."""
        self._network = network
        self._thread: LoopThread | None = None
        self._listener: Listener | None = None
        self._held: set[tuple[str, str]] = set()
        self._changes: dict[tuple[str, str], Change] = {}
        self._streams: dict[str, _Stream] = {}
        self._shown: dict[str, Mapping[str, bytes]] = {}
        self.seen: list[Seen] = []
        """Everything that came in, in order."""
        self.passed: list[Seen] = []
        """Everything that went out again."""

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._listener is not None
        return self._listener.port

    def __enter__(self) -> Self:
        self._thread = LoopThread()
        self._thread.run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._thread is not None
        self._thread.run(self._stop())
        self._thread.close()

    def hold(self, agencies: Iterable[str], kind: str) -> None:
        """Let messages of a kind wait, and what comes after them on the same way."""
        self._held.update((agency, kind) for agency in agencies)

    def let_go(self, agencies: Iterable[str], kind: str) -> None:
        """Pass on what waits."""
        self._held.difference_update((agency, kind) for agency in agencies)

    def change(self, agency: str, kind: str, change: Change | None) -> None:
        """Pass on what *change* makes of messages; nothing, one or several each."""
        if change is None:
            self._changes.pop((agency, kind), None)
        else:
            self._changes[agency, kind] = change

    def show(self, agency: str, files: Mapping[str, bytes]) -> None:
        """Be a hub that shows an agency other policies than the real one, and says so.

        Args:
            agency: who fetches them.
            files: by name, as a hub keeps them.
        """
        self._shown[agency] = files
        changed = agent_pb2.PoliciesChanged(policies_version=2**31)
        self.say(agency, agent_pb2.ConnectResponse(policies=changed))

    def shown(self, agency: str, name: str) -> bytes | None:
        """Return a file of the hub that this relay is for an agency, if it is one.

        Raises:
            NotFound: POLICY_UNKNOWN, as the real hub does.
        """
        files = self._shown.get(agency)
        if files is None:
            return None
        if name not in files:
            raise NotFound("POLICY_UNKNOWN", f"There is no policy file {name}.")
        return files[name]

    def reset(self) -> None:
        """Be a plain relay again that has seen nothing."""
        self._shown.clear()
        self._held.clear()
        self._changes.clear()
        self.seen.clear()
        self.passed.clear()

    def say(self, agency: str, message: Message) -> None:
        """Put a message of one's own into the open stream of an agency."""
        assert self._thread is not None
        stream = self._streams[agency]
        queue = (
            stream.up if isinstance(message, agent_pb2.ConnectRequest) else stream.down
        )
        self._thread.call(lambda: queue.put_nowait(message))

    def of(self, agency: str, kind: str, *, query_id: str = "") -> list[Any]:
        """Return what came in of a kind, query by query, from the oldest on."""
        return [
            part
            for seen in list(self.seen)
            if seen.agency == agency and seen.kind == kind
            for part in seen.parts
            if not query_id or query_of(part) == query_id
        ]

    def wait_for(
        self, agency: str, kind: str, *, number: int = 1, query_id: str = ""
    ) -> Any:  # noqa: ANN401
        """Return the newest that came of a kind once there are *number* of them."""

        def look() -> list[Any]:
            found = self.of(agency, kind, query_id=query_id)
            return found if len(found) >= number else []

        return wait_until(look, f"{number} × {kind} of {agency}")[-1]

    def wait_passed(self, agency: str, kind: str) -> None:
        """Wait until a message of a kind went out again."""
        wait_until(
            lambda: any(
                seen.agency == agency and seen.kind == kind
                for seen in list(self.passed)
            ),
            f"{kind} of {agency} passed on",
        )

    async def _start(self) -> None:
        network = self._network
        identity = server_identity(network)
        ca = stolen_identity(network, network.blueprint.labels[0]).authority
        self._listener = agent_server(
            f"{HOST}:0",
            lambda: identity,
            ca,
            [
                lambda server: agent_pb2_grpc.add_AgentServiceServicer_to_server(
                    _Relayed(self), server
                )
            ],
            ErrorBoundary(),
        )
        await self._listener.start()

    async def _stop(self) -> None:
        assert self._listener is not None
        await self._listener.stop(0)

    async def hub_is_there(self) -> None:
        """Wait until the real hub serves, so that agents do not come back too early.

        How long they wait before they try again is tested elsewhere.
        """
        hub = self._network.hub
        while not (hub.is_running and any(map(_is_ready, hub.lines()))):  # noqa: ASYNC110  # another process's
            await asyncio.sleep(_HUB_SECONDS)

    def channel(self, agency: str) -> grpc.aio.Channel:
        """Return a channel to the real hub in the name of an agency."""
        own = stolen_identity(self._network, agency)
        hub = Address(HOST, self._network.agent_port)
        return agent_channel(hub, own.authority, own.key, own.certificate)

    def open(self, agency: str) -> _Stream:
        """Take a new stream of an agency."""
        stream = _Stream()
        self._streams[agency] = stream
        return stream

    async def pass_on(
        self,
        agency: str,
        messages: AsyncIterator[Message],
        queue: asyncio.Queue[Message],
    ) -> None:
        """Move messages into a queue as the test wants it."""
        async for message in messages:
            kind = kind_of(message)
            self.seen.append(Seen(agency=agency, kind=kind, message=message))
            while (agency, kind) in self._held:  # noqa: ASYNC110  # another thread's
                await asyncio.sleep(_LOOK_SECONDS)
            change = self._changes.get((agency, kind))
            for made in [message] if change is None else change(message):
                await queue.put(made)
                self.passed.append(Seen(agency=agency, kind=kind, message=made))


def refusals(relay: MessageRelay, agency: str, *, query_id: str = "") -> set[str]:
    """Return the reasons that an agency gave the hub for not answering."""
    return {
        common_pb2.RefusalReason.Name(part.reason).removeprefix("REFUSAL_REASON_")
        for part in relay.of(agency, "refusals", query_id=query_id)
    }


def _is_ready(line: Mapping[str, object]) -> bool:
    return line["event"] == "hub.ready"


class _Stream:
    """Both ways of one agent's stream."""

    def __init__(self) -> None:
        self.up: asyncio.Queue[Any] = asyncio.Queue()
        self.down: asyncio.Queue[Any] = asyncio.Queue()

    async def going_up(self) -> AsyncIterator[agent_pb2.ConnectRequest]:
        while True:
            yield await self.up.get()


class _Relayed(agent_pb2_grpc.AgentServiceServicer):
    """The hub as agents see it from behind the relay."""

    def __init__(self, relay: MessageRelay) -> None:
        self._relay = relay

    async def Connect(  # type: ignore[override]  # a coroutine, as ErrorBoundary wants
        self,
        request_iterator: AsyncIterator[agent_pb2.ConnectRequest],
        context: Context,
    ) -> None:
        agency = peer_agency(context).label
        await self._relay.hub_is_there()
        stream = self._relay.open(agency)
        async with self._relay.channel(agency) as channel:
            stub = agent_pb2_grpc.AgentServiceStub(channel)
            call: Any = stub.Connect(stream.going_up())
            tasks = [
                asyncio.ensure_future(work)
                for work in (
                    self._relay.pass_on(agency, request_iterator, stream.up),
                    self._relay.pass_on(agency, call, stream.down),
                    _write(stream.down, context),
                )
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            except grpc.RpcError as error:
                raise error_of(error) from None
            finally:
                for task in tasks:
                    task.cancel()
                call.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def Renew(
        self, request: agent_pb2.RenewRequest, context: Context
    ) -> agent_pb2.RenewResponse:
        answer: agent_pb2.RenewResponse = await self._call("Renew", request, context)
        return answer

    async def FetchPolicy(
        self, request: agent_pb2.FetchPolicyRequest, context: Context
    ) -> agent_pb2.FetchPolicyResponse:
        shown = self._relay.shown(peer_agency(context).label, request.path)
        if shown is not None:
            return agent_pb2.FetchPolicyResponse(content=shown)
        answer: agent_pb2.FetchPolicyResponse
        answer = await self._call("FetchPolicy", request, context)
        return answer

    async def _call(self, method: str, request: object, context: Context) -> Any:  # noqa: ANN401
        await self._relay.hub_is_there()
        async with self._relay.channel(peer_agency(context).label) as channel:
            stub = agent_pb2_grpc.AgentServiceStub(channel)
            seconds = deadline(f"AgentService/{method}")
            try:
                return await getattr(stub, method)(request, timeout=seconds)
            except grpc.RpcError as error:
                raise error_of(error) from None


async def _write(queue: asyncio.Queue[Any], context: Context) -> None:
    while True:
        await context.write(await queue.get())


def query_of(part: Any) -> str:  # noqa: ANN401  # any message of the protocol
    """Return which query a message, or a part of one, is about; nothing if none."""
    if isinstance(part, agent_pb2.Requisition):
        return query_id_of(part.payload)
    return str(getattr(part, "query_id", ""))


class ByteRelay:
    """Passes bytes on between loopback ports and writes them down.

    With an identity it ends TLS on both sides, so what it writes down is the plain
    text; without one it sees what any router sees.
    """

    def __init__(
        self,
        target: int,
        *,
        server: ServerIdentity | None = None,
        client: Callable[[], tuple[bytes, bytes]] | None = None,
        authority: bytes = b"",
    ) -> None:
        """Prepare it; it listens in a ``with``.

        Args:
            target: port of loopback to pass everything on to.
            server: how it shows itself to who connects, to end TLS here.
            client: key and certificate to show to the target, if it asks for one.
            authority: what the target's certificate, and clients' with it, must be of.
        """
        self._target = target
        self._server_identity = server
        self._client = client
        self._authority = authority
        self._thread: LoopThread | None = None
        self._server: asyncio.Server | None = None
        self.port = 0
        self.sent = bytearray()
        """What clients said."""
        self.received = bytearray()
        """What the target said."""

    def __enter__(self) -> Self:
        self._thread = LoopThread()
        self._thread.run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._thread is not None
        self._thread.run(self._stop())
        self._thread.close()

    async def _start(self) -> None:
        context = None if self._server_identity is None else self._facing_clients()
        self._server = await asyncio.start_server(
            self._serve, HOST, 0, ssl=context, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        context = None if self._server_identity is None else self._facing_target()
        try:
            there, back = await asyncio.open_connection(
                HOST,
                self._target,
                ssl=context,
                server_hostname=None if context is None else SERVER_NAME,
            )
        except OSError:
            writer.transport.abort()
            return
        copying = [
            asyncio.ensure_future(_copy(reader, back, self.sent)),
            asyncio.ensure_future(_copy(there, writer, self.received)),
        ]
        try:
            await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in copying:
                each.cancel()
            await asyncio.gather(*copying, return_exceptions=True)
            for end in (back, writer):
                end.transport.abort()

    def _facing_clients(self) -> ssl.SSLContext:
        assert self._server_identity is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _show(context, self._server_identity.key, self._server_identity.chain)
        context.set_alpn_protocols(["h2"])
        if self._client is not None:
            context.load_verify_locations(cadata=self._authority.decode())
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _facing_target(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self._authority.decode())
        if self._client is not None:
            _show(context, *self._client())
        context.set_alpn_protocols(["h2"])
        return context


def _show(context: ssl.SSLContext, key: bytes, chain: bytes) -> None:
    """Give a key and its certificates to a context, which reads them from a file."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "identity.pem"
        place.touch(mode=0o600)
        place.write_bytes(key + chain)
        context.load_cert_chain(place)


async def _copy(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, record: bytearray
) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while content := await source.read(1 << 16):
            record += content
            target.write(content)
            await target.drain()
