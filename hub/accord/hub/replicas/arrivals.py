# SPDX-License-Identifier: Apache-2.0
"""What a replica's session brings, given to the parts of the hub that it is for."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

import structlog

from accord.core.errors import Conflict, IntegrityError, Unreachable
from accord.hub.db.engine import Store
from accord.hub.governance.watch import Watch
from accord.hub.replicas import membership
from accord.hub.replicas.letters import Kind, Letter, unpacked
from accord.hub.replicas.membership import Stream
from accord.hub.replicas.notices import Notice, Topic
from accord.hub.replicas.places import Places
from accord.hub.replicas.routing import queries, split
from accord.hub.replicas.sealing import Seal
from accord.hub.replicas.session import Heard, Parcel
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.connections import Connections
from accord.hub.rounds.revisions import Revisions
from accord.rpc.peer import PeerAgency
from accord.v1 import agent_pb2

_NOBODY: Final = -1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What of a hub hears of others."""

    store: Store
    connections: Connections
    collection: Collection
    revisions: Revisions
    watch: Watch


class Arrivals:
    """Takes what one session brings; one at a time, in the order in which it came."""

    def __init__(
        self,
        *,
        own: int,
        parts: Parts,
        seal: Seal,
        places: Places,
        gone: Callable[[list[int]], None],
    ) -> None:
        """Begin with nothing heard.

        Args:
            own: number of this replica.
            parts: what hears of it.
            seal: what parcels are opened with.
            places: what is remembered of others.
            gone: told of replicas that are dead.
        """
        self._own = own
        self._parts = parts
        self._seal = seal
        self._places = places
        self._gone = gone
        self._log = structlog.get_logger()

    async def take(self, heard: Heard) -> None:
        """Take everything that came at once.

        Raises:
            Unreachable: the database cannot be read, so that something is lost.
        """
        for parcel in heard.parcels:
            for letter in self._letters(parcel):
                await self._guarded(self._letter(parcel.sender, letter), letter.agency)
        for notice in heard.notices:
            await self._guarded(self._notice(notice))

    async def _guarded(
        self, work: Coroutine[Any, Any, None], agency: str | None = None
    ) -> None:
        """Let nothing that goes wrong with one thing keep the others."""
        try:
            await work
        except Unreachable:
            raise
        except Exception as error:  # noqa: BLE001  # the boundary of what others say
            kind = type(error).__name__
            self._log.error("arrival.failed", agency=agency, error_type=kind)

    def _letters(self, parcel: Parcel) -> list[Letter]:
        """Return the letters of a parcel; none if nobody of the hub wrote it."""
        try:
            return unpacked(
                self._seal.open(parcel.sealed, sender=parcel.sender, receiver=self._own)
            )
        except IntegrityError as error:
            self._log.error("parcel.rejected", reason=error.reason)
            return []

    async def _letter(self, sender: int, letter: Letter) -> None:
        if letter.kind is Kind.SAID:
            await self._said(letter)
            return
        connection = self._parts.connections.here(letter.agency)
        if connection is None:
            # It has gone elsewhere, and whoever asks hears of its new stream.
            return
        if letter.kind is Kind.SETTLED:
            self._places.rounds.pop(letter.about, None)
            connection.settle(letter.about)
        else:
            self._places.rounds[letter.about] = sender
            connection.call(letter.about, letter.call())

    async def _said(self, letter: Letter) -> None:
        """Take what an agency said to another replica.

        A query that has a round, but not here, is just being taken over: what is
        wanted of the agency will be asked again. One that has none has ended.
        """
        collection = self._parts.collection
        message = agent_pb2.ConnectRequest.FromString(letter.content)
        asked = [query for query in queries(message) if not collection.moves(query)]
        rounds: Mapping[str, int | None] = {}
        if asked:
            rounds = await self._parts.store.run(self._owners, asked)
        own = self._own

        def owner_of(query: str) -> int:
            return own if collection.moves(query) or query not in rounds else _NOBODY

        left = split(message, owner_of).get(own)
        if left is not None:
            peer = PeerAgency(
                label=letter.agency,
                serial=letter.about,
                # The stream is ended by whoever has it.
                expires_at=dt.datetime.max.replace(tzinfo=dt.UTC),
            )
            collection.intake.hear(peer, left)

    def _owners(self, asked: Iterable[str]) -> dict[str, int | None]:
        with self._parts.store.read() as tx:
            return membership.owners(tx, asked)

    async def _notice(self, notice: Notice) -> None:
        """Look at what a notice is about."""
        match notice.topic:
            case Topic.STREAM:
                await self.streams(notice.words)
            case Topic.THROWN_OUT:
                for agency in notice.words:
                    self._parts.collection.forget(agency)
            case Topic.PAIRS:
                encapsulating = self._parts.collection.intake.encapsulating
                await encapsulating.learn(notice.words)
            case Topic.POLICIES:
                self._parts.watch.look_now()
            case Topic.GONE:
                self._gone([int(word) for word in notice.words])
            case Topic.ENDED:
                await self._ended(notice.words)
                self._news(notice)
            case _:
                self._news(notice)

    async def _ended(self, submissions: Iterable[str]) -> None:
        """Ask nobody any more for what an analyst ended at another replica."""
        collection = self._parts.collection
        here = [each for each in submissions if collection.moves(each)]
        rounds = await self._parts.store.run(self._owners, here) if here else {}
        for submission in here:
            if submission not in rounds:
                collection.close(submission, [])

    def _news(self, notice: Notice) -> None:
        """Let those who wait here for a submission hear of it."""
        revisions = self._parts.revisions
        match notice.topic:
            case Topic.BEGAN:
                revisions.heard({}, latest=max(map(int, notice.words)))
            case Topic.NEWS:
                revisions.heard(notice.revisions())
            case Topic.ENDED:
                revisions.heard_end(notice.words)
                for submission in notice.words:
                    self._places.rounds.pop(submission, None)
            case _:
                pass

    async def streams(self, agencies: Iterable[str] | None) -> None:
        """Look where agencies are, and ask those that have just come to somebody."""

        def look() -> dict[str, Stream]:
            with self._parts.store.read() as tx:
                return membership.streams(tx, agencies)

        found = await self._parts.store.run(look)
        for agency in self._places.learn(agencies, found, self._own):
            self._parts.collection.connected(agency)
        for agency, stream in found.items():
            self._end_older(agency, stream)
        for agency in agencies or ():
            if agency not in found and self._parts.connections.here(agency):
                # Its row went with an older stream's, or with a dead replica's.
                self._places.say_again(agency)

    def _end_older(self, agency: str, stream: Stream) -> None:
        """End a stream here of an agency that has opened another one elsewhere."""
        connection = self._parts.connections.here(agency)
        mine = self._places.opened_at(agency)
        if connection is None or stream.replica == self._own:
            return
        if mine is not None and stream.opened_at > mine:
            connection.end(
                Conflict(
                    "STREAM_REPLACED",
                    "Another stream of this agency was opened; only one is kept.",
                )
            )
