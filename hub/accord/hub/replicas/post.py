# SPDX-License-Identifier: Apache-2.0
"""What a replica sends to others: letters, where agents are, and notices.

One transaction for everything that came in while the last one ran, in the order in
which it came, on a connection of its own: none of it waits for the one writer, and a
letter lost with the database's memory is one that agencies are asked for again. A
replica that others took for dead sends no letter and has no stream.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterable, Mapping
from typing import Final

from accord.hub.replicas.letters import Letter, packed
from accord.hub.replicas.notices import CHANNEL, Notice, Topic, channel_of, notices
from accord.hub.replicas.sealing import Seal
from accord.hub.replicas.session import (
    SILENCE_SECONDS,
    Connection,
    SessionLost,
    connected,
    lost_in_time,
)

MOST_WAITING: Final = 32 << 20
"""Bytes that may be in line before whoever brings more has to wait."""

PARCEL_BYTES: Final = 8 << 20
"""About what one parcel holds."""

_OPENED: Final = """
INSERT INTO agent_streams (agency, replica, opened_at)
SELECT %(agency)s, %(own)s, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
WHERE EXISTS (SELECT FROM replicas WHERE number = %(own)s)
ON CONFLICT (agency) DO UPDATE
SET replica = excluded.replica, opened_at = excluded.opened_at
RETURNING opened_at
"""

_CLOSED: Final = """
DELETE FROM agent_streams WHERE agency = %(agency)s AND replica = %(own)s
"""

_RELAY: Final = """
INSERT INTO relayed (receiver, sender, content, signature)
SELECT %(to)s, %(own)s, %(content)s, %(signature)s
WHERE EXISTS (SELECT FROM replicas WHERE number = %(own)s)
"""

_KEYS: Final = """
SELECT number, public_key, signature FROM replicas WHERE number = ANY(%(numbers)s)
"""

_NOTIFY: Final = """
SELECT pg_notify(channel, payload)
FROM unnest(%(channels)s::text[], %(payloads)s::text[]) AS t (channel, payload)
"""


class Post:
    """The line of what goes out; lives on one event loop."""

    def __init__(self, connection: Connection, own: int, seal: Seal) -> None:
        """Begin with nothing to send; `open` makes one."""
        self._connection = connection
        self._own = own
        self._seal = seal
        self._letters: dict[int, list[Letter]] = collections.defaultdict(list)
        self._size = 0
        self._streams: dict[str, bool] = {}
        self._notices: list[Notice] = []
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._keys: dict[int, bytes] = {}
        self.opened_at: dict[str, int] = {}
        """Own streams, by the database's clock."""

    @classmethod
    async def open(cls, conninfo: str, own: int, seal: Seal) -> Post:
        """Connect.

        Raises:
            SessionLost: the database cannot be reached.
        """
        with lost_in_time():
            async with asyncio.timeout(SILENCE_SECONDS):
                connection = await connected(conninfo)
                # What is sent here may be lost with the server, so nobody waits for
                # the disk.
                await connection.execute("SET synchronous_commit = off")
                # It may have nothing to send for days.
                await connection.execute("SET idle_session_timeout = 0")
                return cls(connection, own, seal)

    def put(self, receiver: int, letter: Letter) -> None:
        """Put a letter in line."""
        self._letters[receiver].append(letter)
        self._size += len(letter)
        if self._size > MOST_WAITING:
            self._room.clear()
        self._filled.set()

    async def room(self) -> None:
        """Wait until more may be put in line."""
        await self._room.wait()

    def stream(self, agency: str, *, is_open: bool) -> None:
        """Say that an agency's stream was opened here, or has ended."""
        self._streams.pop(agency, None)
        self._streams[agency] = is_open
        self._filled.set()

    def call_out(self, topic: Topic, words: Iterable[str] = ()) -> None:
        """Let all others hear something."""
        self._notices.extend(notices(self._own, topic, words))
        self._filled.set()

    async def run(self) -> None:
        """Send, for ever.

        Raises:
            SessionLost: the database cannot be reached.
        """
        while True:
            await self._filled.wait()
            self._filled.clear()
            letters, self._letters = self._letters, collections.defaultdict(list)
            streams, self._streams = self._streams, {}
            called, self._notices = self._notices, []
            self._size = 0
            self._room.set()
            with lost_in_time():
                async with asyncio.timeout(SILENCE_SECONDS):
                    await self._send(letters, streams, called)

    async def _send(
        self,
        letters: Mapping[int, list[Letter]],
        streams: Mapping[str, bool],
        called: list[Notice],
    ) -> None:
        await self._learn_keys(letters.keys() - self._keys.keys())
        channels = [CHANNEL] * len(called)
        payloads = [each.text() for each in called]
        async with self._connection.transaction():
            for agency, is_open in streams.items():
                await self._note_stream(agency, is_open=is_open)
            for notice in notices(self._own, Topic.STREAM, streams) if streams else ():
                channels.append(CHANNEL)
                payloads.append(notice.text())
            for receiver, some in letters.items():
                if receiver in self._keys:
                    await self._relay(receiver, some)
                    channels.append(channel_of(receiver))
                    payloads.append("")
            await self._connection.execute(
                _NOTIFY.encode(), {"channels": channels, "payloads": payloads}
            )

    async def _note_stream(self, agency: str, *, is_open: bool) -> None:
        own = {"agency": agency, "own": self._own}
        if not is_open:
            self.opened_at.pop(agency, None)
            await self._connection.execute(_CLOSED.encode(), own)
            return
        made = await self._connection.execute(_OPENED.encode(), own)
        row = await made.fetchone()
        if row is None:
            raise SessionLost
        self.opened_at[agency] = int(row[0])

    async def _relay(self, receiver: int, letters: list[Letter]) -> None:
        for parcel in _parcels(letters):
            sealed = self._seal.close(
                packed(parcel),
                sender=self._own,
                receiver=receiver,
                to=self._keys[receiver],
            )
            await self._connection.execute(
                _RELAY.encode(),
                {
                    "to": receiver,
                    "own": self._own,
                    "content": sealed.content,
                    "signature": sealed.signature,
                },
            )

    async def _learn_keys(self, unknown: Iterable[int]) -> None:
        """Read what others seal to; whoever is gone has none, and gets nothing."""
        numbers = list(unknown)
        if not numbers:
            return
        found = await self._connection.execute(_KEYS.encode(), {"numbers": numbers})
        for number, public, signature in await found.fetchall():
            if self._seal.is_ours(public, signature):
                self._keys[number] = public

    def forget(self, gone: Iterable[int]) -> None:
        """Drop the keys of replicas that are dead."""
        for number in gone:
            self._keys.pop(number, None)

    async def close(self) -> None:
        """Let go of the connection; what is in line is given up."""
        with lost_in_time():
            await self._connection.close()


def _parcels(letters: list[Letter]) -> Iterable[list[Letter]]:
    held: list[Letter] = []
    size = 0
    for letter in letters:
        if held and size + len(letter) > PARCEL_BYTES:
            yield held
            held, size = [], 0
        held.append(letter)
        size += len(letter)
    yield held
