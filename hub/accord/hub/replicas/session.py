# SPDX-License-Identifier: Apache-2.0
"""The connection that a replica lives by: its lock, what it hears, its mail.

PostgreSQL ends it when it is silent for `SILENCE_SECONDS`, which gives the lock back: a
replica that stands still, or that the network has cut off, is dead by the judgement of
the database alone. One task uses it at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final, Self, TypeAlias

import psycopg

from accord.hub.replicas.membership import LOCKS
from accord.hub.replicas.notices import CHANNEL, Notice, channel_of, read
from accord.hub.replicas.sealing import Seal, Sealed

BEAT_SECONDS: Final = 2.0
"""The longest that the session says nothing."""

SILENCE_SECONDS: Final = 10
"""After which PostgreSQL ends it, and after which it takes PostgreSQL for lost."""

Connection: TypeAlias = "psycopg.AsyncConnection[tuple[Any, ...]]"


class SessionLost(Exception):
    """The database has ended a connection of this replica, or does not answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Parcel:
    """Mail as it lay in the database."""

    sender: int
    sealed: Sealed


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """What came at once."""

    parcels: Sequence[Parcel]
    notices: Sequence[Notice]


@contextlib.contextmanager
def lost_in_time() -> Iterator[None]:
    """Say that the session is lost, whatever the driver calls it."""
    try:
        yield
    except (psycopg.Error, TimeoutError) as error:
        raise SessionLost from error


class Session:
    """One replica, as the database knows it."""

    def __init__(self, connection: Connection, number: int) -> None:
        """Take a connection that holds the lock of *number*; `open` makes one."""
        self._connection = connection
        self.number: Final = number

    @classmethod
    async def open(cls, conninfo: str, seal: Seal) -> Self:
        """Join those that serve the database.

        Args:
            conninfo: for libpq.
            seal: what others seal to.

        Raises:
            SessionLost: the database cannot be reached.
        """
        with lost_in_time():
            async with asyncio.timeout(SILENCE_SECONDS):
                connection = await connected(conninfo)
            try:
                return await cls._joined(connection, seal)
            except BaseException:
                await connection.close()
                raise

    @classmethod
    async def _joined(cls, connection: Connection, seal: Seal) -> Self:
        """Show the own row only once the lock is held: else others would delete it."""
        await connection.execute(
            "SELECT set_config('idle_session_timeout', %s, false)",
            (f"{SILENCE_SECONDS}s",),
        )
        async with connection.transaction():
            made = await connection.execute(
                "INSERT INTO replicas (public_key, signature, joined_at) VALUES (%s,"
                " %s, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"
                " RETURNING number",
                (seal.public, seal.signature),
            )
            row = await made.fetchone()
            assert row is not None  # noqa: S101  # RETURNING gives one
            number = int(row[0])
            await connection.execute("SELECT pg_advisory_lock(%s, %s)", (LOCKS, number))
        for channel in (CHANNEL, channel_of(number)):
            await connection.execute(f"LISTEN {channel}".encode())
        return cls(connection, number)

    async def listen(
        self, has_room: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[Heard]:
        """Yield what comes, and nothing now and then, until the session is lost.

        Whoever takes it must not keep it waiting: it would fall silent.

        Args:
            has_room: whether more mail can be taken now; else it stays where it is.

        Raises:
            SessionLost: it is.
        """
        notices: list[Notice] = []
        while True:
            yield Heard(await self._mail(wanted=has_room()), notices)
            with lost_in_time():
                texts = [
                    notify.payload
                    async for notify in self._connection.notifies(
                        timeout=BEAT_SECONDS, stop_after=1
                    )
                    if notify.channel == CHANNEL
                ]
            found = [read(text) for text in texts]
            notices = [
                each
                for each in found
                if each is not None and each.sender != self.number
            ]

    async def _mail(self, *, wanted: bool) -> list[Parcel]:
        """Take out what lies here for this replica, in the order of each sender."""
        with lost_in_time():
            async with asyncio.timeout(SILENCE_SECONDS):
                found = await self._connection.execute(
                    b"DELETE FROM relayed WHERE receiver = %(own)s AND %(wanted)s"
                    b" RETURNING number, sender, content, signature",
                    {"own": self.number, "wanted": wanted},
                )
                rows = await found.fetchall()
        return [Parcel(row[1], Sealed(row[2], row[3])) for row in sorted(rows)]

    async def close(self) -> None:
        """Give the lock back."""
        await self._connection.close()


async def connected(conninfo: str) -> Connection:
    """Open a connection that ends each statement's transaction by itself."""
    return await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
