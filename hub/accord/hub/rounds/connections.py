# SPDX-License-Identifier: Apache-2.0
"""Agents' open streams: one writer for each, ended when their certificate is.

gRPC never looks at a certificate again once a stream is open, so `Connections.guard`
does: it ends streams whose certificate expired or was revoked (which another process
may have done, in the database) or whose agency the board no longer lists with the same
key, and streams that have gone silent.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from accord.core.errors import (
    AccordError,
    Conflict,
    PolicyDenied,
    PreconditionFailed,
    Unauthenticated,
    Unreachable,
)
from accord.hub.rounds.elsewhere import Elsewhere
from accord.hub.rounds.outbox import Call, Outbox
from accord.rpc.limits import HEARTBEAT_SECONDS, SILENCE_SECONDS
from accord.rpc.peer import PeerAgency
from accord.v1 import agent_pb2

GUARD_SECONDS: Final = 1.0
"""How often streams are looked at."""

MOST_WAITING: Final = 4096
"""Things that may wait to be said to an agent that does not read."""

Held = tuple[str, str]
"""Agency and serial number of a certificate."""


class Connection:
    """One stream of one agent."""

    def __init__(self, peer: PeerAgency, now: float) -> None:
        """Begin with nothing to say."""
        self.peer = peer
        self.heard_at = now
        self.is_noted = False
        """Whether the audit log says that it sent encapsulations of no use."""
        self._spoke_at = now
        self._sequence = 0
        self._outbox = Outbox()
        self._filled = asyncio.Event()
        self._end = asyncio.Event()
        self._error: AccordError | None = None

    def send(self, message: agent_pb2.ConnectResponse) -> None:
        """Put a message of its own in line."""
        self._outbox.put(message)
        self._look()

    def call(self, query: str, call: Call) -> None:
        """Ask the agent something about a query; what waits is sent together."""
        self._outbox.call(query, call)
        self._look()

    def settle(self, query: str) -> None:
        """Tell the agent that a query has ended."""
        self._outbox.settle(query)
        self._look()

    def _look(self) -> None:
        """Let the writer go on; an agent that never reads loses its stream."""
        if len(self._outbox) > MOST_WAITING:
            self.end(
                Unreachable("AGENT_SLOW", "The agent does not read what the hub sends.")
            )
        else:
            self._filled.set()

    def end(self, error: AccordError) -> None:
        """Let the stream end with an error."""
        if self._error is None:
            self._error = error
            self._end.set()

    async def write(
        self, write: Callable[[agent_pb2.ConnectResponse], Awaitable[None]]
    ) -> None:
        """Write what is in line, one message at a time, for ever."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while (message := self._outbox.next()) is not None:
                await write(message)

    async def ended(self) -> None:
        """Wait for the end.

        Raises:
            AccordError: why it ended.
        """
        await self._end.wait()
        if self._error is not None:
            raise self._error

    def beat(self, now: float) -> None:
        """Send a heartbeat if it is time for one, and end a silent stream."""
        if now - self.heard_at > SILENCE_SECONDS:
            self.end(
                Unreachable("AGENT_SILENT", "The hub has not heard the agent lately.")
            )
        elif now - self._spoke_at >= HEARTBEAT_SECONDS:
            self._spoke_at = now
            self._sequence += 1
            heartbeat = agent_pb2.Heartbeat(sequence=self._sequence)
            self.send(agent_pb2.ConnectResponse(heartbeat=heartbeat))


class Connections:
    """The newest stream of every agency, here or at another process of the hub."""

    def __init__(
        self, clock: Callable[[], dt.datetime], elsewhere: Elsewhere | None = None
    ) -> None:
        """Begin with nobody."""
        self._clock = clock
        self._elsewhere = Elsewhere() if elsewhere is None else elsewhere
        self._open: dict[str, Connection] = {}
        self._stopping = False

    def open(self, peer: PeerAgency) -> Connection:
        """Take a new stream; an older one of the same agency ends.

        Raises:
            Unreachable: HUB_STOPPING.
        """
        if self._stopping:
            raise _stopping()
        connection = Connection(peer, asyncio.get_running_loop().time())
        older = self._open.get(peer.label)
        if older is not None:
            older.end(
                Conflict(
                    "STREAM_REPLACED",
                    "Another stream of this agency was opened; only one is kept.",
                )
            )
        self._open[peer.label] = connection
        self._elsewhere.stream_opened(peer.label)
        return connection

    def close(self, connection: Connection) -> None:
        """Forget a stream that has ended."""
        if self._open.get(connection.peer.label) is connection:
            del self._open[connection.peer.label]
            self._elsewhere.stream_ended(connection.peer.label)

    def here(self, agency: str) -> Connection | None:
        """Return the stream of an agency that is connected to this process."""
        return self._open.get(agency)

    def connected(self) -> list[str]:
        """Return the agencies with an open stream, wherever it is."""
        return sorted({*self._open, *self._elsewhere.reached()})

    def call(self, agency: str, query: str, call: Call) -> None:
        """Ask an agency if it is connected; else it hears when it comes back."""
        connection = self._open.get(agency)
        if connection is not None:
            connection.call(query, call)
        else:
            self._elsewhere.call(agency, query, call)

    def settle(self, agency: str, query: str) -> None:
        """Tell an agency, if it is connected, that a query has ended."""
        connection = self._open.get(agency)
        if connection is not None:
            connection.settle(query)
        else:
            self._elsewhere.settle(agency, query)

    def send(self, agency: str, message: agent_pb2.ConnectResponse) -> None:
        """Send to an agency if it is connected."""
        connection = self._open.get(agency)
        if connection is not None:
            connection.send(message)

    def send_all(self, message: agent_pb2.ConnectResponse) -> None:
        """Send to every agency that is connected to this process."""
        for connection in list(self._open.values()):
            connection.send(message)

    def end_each(self, error: AccordError) -> None:
        """End every stream that is open now; agents may come back at once."""
        for connection in self._open.values():
            connection.end(error)

    def end_all(self) -> None:
        """End every stream, for a hub that stops; agents will come back."""
        self._stopping = True
        for connection in self._open.values():
            connection.end(_stopping())

    async def guard(
        self,
        faults: Callable[[list[Held]], Awaitable[Mapping[Held, AccordError]]],
        thrown_out: Callable[[str], None],
    ) -> None:
        """Look after all streams, for ever.

        Args:
            faults: returns which certificates no longer count, and why.
            thrown_out: told of every agency whose certificate is one of them.
        """
        loop = asyncio.get_running_loop()
        while True:
            now, moment = self._clock(), loop.time()
            for connection in list(self._open.values()):
                if now >= connection.peer.expires_at:
                    connection.end(
                        Unauthenticated(
                            "CERTIFICATE_EXPIRED",
                            "The agency's certificate has expired: renew it, or enrol"
                            " again with a new token.",
                        )
                    )
                connection.beat(moment)
            await self._end_faulty(faults, thrown_out)
            await asyncio.sleep(GUARD_SECONDS)

    async def _end_faulty(
        self,
        faults: Callable[[list[Held]], Awaitable[Mapping[Held, AccordError]]],
        thrown_out: Callable[[str], None],
    ) -> None:
        held = {
            (connection.peer.label, connection.peer.serial): connection
            for connection in self._open.values()
        }
        if not held:
            return
        try:
            found = await faults(list(held))
        except (PreconditionFailed, Unreachable) as error:
            structlog.get_logger().warning("revocation.unchecked", reason=error.reason)
            return
        for place, fault in found.items():
            held[place].end(fault)
            thrown_out(place[0])
            self._elsewhere.thrown_out(place[0])


def certificate_revoked() -> PolicyDenied:
    """Return what an agency hears whose certificate was revoked."""
    return PolicyDenied(
        "CERTIFICATE_REVOKED",
        "The hub's operator has revoked this agency's certificate: talk to them; a new"
        " token lets the agency in again.",
    )


def _stopping() -> Unreachable:
    return Unreachable("HUB_STOPPING", "The hub stops; connect again in a moment.")
