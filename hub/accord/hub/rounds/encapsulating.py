# SPDX-License-Identifier: Apache-2.0
"""What agencies encapsulate for each other: checked, kept, and passed on later.

Kept is only what its sender signed for keys that the board lists. The next message of
a sender is not looked at before everything that it sent earlier is committed, so that
whoever floods the hub waits for its own writes, of which there is one for each pair.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence

import sqlalchemy as sa

from accord.core.errors import IntegrityError
from accord.hub.audit import Event, note
from accord.hub.governance.standing import Standing
from accord.hub.rounds import rows
from accord.hub.rounds.calls import Pairs
from accord.hub.rounds.connections import Connection
from accord.hub.rounds.journal import Journal
from accord.rpc.rounds import encapsulation_from_message
from accord.secagg.directory import directory_of
from accord.secagg.keys import (
    CIPHERTEXT_BYTES,
    Directory,
    Encapsulation,
    uses_kem,
)
from accord.v1 import agent_pb2


@dataclasses.dataclass(slots=True, kw_only=True)
class Encapsulating:
    """Takes encapsulations; lives on one event loop."""

    journal: Journal
    clock: Callable[[], dt.datetime]
    directories: Callable[[], Iterable[Directory]]
    """The members of every agreement in force."""
    arrived: Callable[[], None]
    """Told when there are new ones."""
    pairs: Pairs
    told: Callable[[str], None]
    """Told of a sender whose new ones are committed."""
    _writing: dict[str, asyncio.Future[None]] = dataclasses.field(default_factory=dict)
    """What is not committed yet, by sender."""

    async def take(
        self, connection: Connection, message: agent_pb2.Encapsulations
    ) -> None:
        """Keep what is new, and return once it is committed, or given up."""
        agency = connection.peer.label
        # Not awaited itself: a stream that ends must not cancel the write.
        while (before := self._writing.get(agency)) is not None and not before.done():
            await asyncio.wait([before])
        offered = {
            each.receiver: encapsulation_from_message(each)
            for each in message.encapsulations
        }
        unknown = [
            made
            for made in offered.values()
            if made != self.pairs.get(agency, made.receiver)
        ]
        directories = list(self.directories()) if unknown else []
        fresh = [made for made in unknown if _is_from(agency, made, directories)]
        notes = len(fresh) < len(unknown) and not connection.is_noted
        connection.is_noted |= notes
        if not fresh and not notes:
            return
        at = self.clock()

        def keep(tx: sa.Connection) -> None:
            for made in fresh:
                rows.put_encapsulation(tx, made)
            if notes:
                note(tx, Event.ENCAPSULATION_REJECTED, at, agency=agency)

        writing = self._writing[agency] = self.journal.put(keep)
        for made in fresh:
            self.pairs.put(made)
        if fresh:
            self.arrived()
            writing.add_done_callback(lambda _: self.told(agency))
        await asyncio.wait([writing])

    async def learn(self, senders: Sequence[str]) -> None:
        """Take over what agencies have given to another process of the hub."""

        def read(tx: sa.Connection) -> list[Encapsulation]:
            return rows.encapsulations(tx, senders)

        for made in await self.journal.put(read):
            self.pairs.put(made)
        self.arrived()


def directories(standing: Standing) -> Iterator[Directory]:
    """Yield the members of every agreement in force."""
    for policy in standing.newest().by_name.values():
        with contextlib.suppress(IntegrityError):
            yield directory_of(policy)


def _is_from(agency: str, made: Encapsulation, directories: list[Directory]) -> bool:
    """Tell whether an agency signed it for another one's key, as any list has both."""
    if made.sender != agency or not agency < made.receiver:
        return False
    if len(made.ciphertext) != CIPHERTEXT_BYTES:
        return False
    listed = {
        (directory[agency], directory[made.receiver])
        for directory in directories
        if agency in directory and made.receiver in directory
    }
    return any(
        uses_kem(sender, receiver)
        and sender.has_signed(made.body(receiver), made.signature)
        for sender, receiver in listed
    )
