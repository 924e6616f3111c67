# SPDX-License-Identifier: Apache-2.0
"""One of several processes that serve a hub on PostgreSQL.

It joins, takes up rounds that are nobody's, passes on what is about rounds of others,
and leaves. Once its session is lost it does nothing any more: whoever runs it stops the
whole hub and starts it anew, with nothing in memory, which is what a restart does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Iterator, KeysView, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.errors import AccordError, Unreachable
from accord.hub.db.engine import Store
from accord.hub.db.postgresql import PostgresDatabase
from accord.hub.governance.watch import Watch
from accord.hub.replicas import membership
from accord.hub.replicas.arrivals import Arrivals, Parts
from accord.hub.replicas.letters import Kind, Letter, calling
from accord.hub.replicas.news import News
from accord.hub.replicas.notices import Topic, notices
from accord.hub.replicas.places import Places
from accord.hub.replicas.post import Post
from accord.hub.replicas.routing import queries, split
from accord.hub.replicas.sealing import Seal
from accord.hub.replicas.session import Heard, Session, SessionLost
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.connections import Connections
from accord.hub.rounds.elsewhere import Elsewhere
from accord.hub.rounds.outbox import Call
from accord.hub.rounds.revisions import Revisions
from accord.rpc.peer import PeerAgency
from accord.v1 import agent_pb2

CLAIM_SECONDS: Final = 1.0
"""How often it looks for rounds that are nobody's."""

MOST_AT_ONCE: Final = 32
"""Rounds that it takes over in one transaction, so that others get some."""

MOST_HEARD: Final = 64
"""Of what came at once that may wait to be taken."""

_NOBODY: Final = -1


class Replica(Elsewhere):
    """This process among others; lives on one event loop."""

    def __init__(self, store: Store, hub: Ed25519PrivateKey) -> None:
        """Prepare to join.

        Args:
            store: on PostgreSQL.
            hub: the requisition key, which all replicas of a hub have.
        """
        self._store = store
        self._seal = Seal(hub)
        self._session: Session | None = None
        self._post: Post | None = None
        self._news: News | None = None
        self._places = Places(
            opened_at=self._opened_at,
            say_again=lambda agency: self._mail.stream(agency, is_open=True),
        )
        self._own: int | None = None
        self._wake = asyncio.Event()
        self._log = structlog.get_logger()
        self.is_lost = False
        """Whether its session has ended, so that others take over."""

    # Coming and going

    async def join(
        self,
        *,
        connections: Connections,
        collection: Collection,
        revisions: Revisions,
        watch: Watch,
    ) -> Sequence[Coroutine[Any, Any, None]]:
        """Become one of those that serve, and take rounds that are nobody's.

        Returns:
            What has to run from then on; each ends once the session is lost.

        Raises:
            Unreachable: STORE_UNAVAILABLE.
        """
        place = self._store.place
        assert isinstance(place, PostgresDatabase)  # noqa: S101  # whoever made it knows
        try:
            self._session = await Session.open(place.conninfo(), self._seal)
            self._own = self._session.number
            self._post = await Post.open(place.conninfo(), self._own, self._seal)
        except SessionLost:
            raise Unreachable(
                "STORE_UNAVAILABLE",
                f"The hub cannot use its database {place.name} now: it cannot be"
                " reached. Nothing was changed and nothing is lost; try again later"
                " with the same id.",
            ) from None
        self._news = News(collection.journal, self._own)
        self._mail.call_out(Topic.BEGAN, [str(revisions.latest)])
        await self._claim()
        arrivals = Arrivals(
            parts=Parts(
                store=self._store,
                connections=connections,
                collection=collection,
                revisions=revisions,
                watch=watch,
            ),
            own=self._own,
            seal=self._seal,
            places=self._places,
            gone=self._gone,
        )
        came: asyncio.Queue[Heard] = asyncio.Queue()
        return (
            self._listen(self._session, came),
            self._take_all(came, arrivals),
            self._send(),
            self._claim_for_ever(collection),
        )

    async def leave(self) -> None:
        """Give up everything for others to take, and let go of the database."""
        if self._own is not None and not self.is_lost:
            with contextlib.suppress(AccordError):
                await self._store.run(self._give_up, self._own)
        for each in (self._post, self._session):
            if each is not None:
                with contextlib.suppress(SessionLost):
                    await each.close()

    def _give_up(self, own: int) -> None:
        with self._store.write() as tx:
            membership.leave(tx, own)
            membership.tell(tx, notices(own, Topic.GONE, [str(own)]))

    async def _listen(self, session: Session, came: asyncio.Queue[Heard]) -> None:
        """Do nothing but listen: whatever takes long must not keep the session."""
        with self._losing():
            async for heard in session.listen(lambda: came.qsize() < MOST_HEARD):
                if heard.parcels or heard.notices:
                    came.put_nowait(heard)

    async def _take_all(self, came: asyncio.Queue[Heard], arrivals: Arrivals) -> None:
        """Take what came; where something of it is lost, so is everything."""
        with self._losing():
            await arrivals.streams(None)
            while True:
                await arrivals.take(await came.get())

    async def _send(self) -> None:
        with self._losing():
            await self._mail.run()

    async def _claim_for_ever(self, collection: Collection) -> None:
        with self._losing():
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLAIM_SECONDS):
                        await self._wake.wait()
                self._wake.clear()
                try:
                    if await self._claim():
                        await collection.resume()
                except Unreachable as error:
                    if error.reason == "REPLICA_REPLACED":
                        raise SessionLost from error
                    self._log.error("replica.delayed", reason=error.reason)

    @contextlib.contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except (SessionLost, Unreachable):
            if not self.is_lost:
                self.is_lost = True
                self._log.error("replica.lost")

    async def _claim(self) -> bool:
        """Take rounds that are nobody's; tell whether there were any."""
        own, found = self.owner, False
        assert own is not None  # noqa: S101  # `join` was called
        while await self._store.run(self._is_any_waiting):
            claimed = await self._store.run(self._take, own)
            if claimed.gone:
                self._gone(claimed.gone)
            if claimed.rounds:
                self._log.info("rounds.claimed")
            found = found or bool(claimed.rounds)
            if len(claimed.rounds) < MOST_AT_ONCE:
                break
        return found

    def _is_any_waiting(self) -> bool:
        with self._store.read() as tx:
            return membership.is_any_waiting(tx)

    def _take(self, own: int) -> membership.Claimed:
        with self._store.write() as tx:
            claimed = membership.claim(tx, own, MOST_AT_ONCE)
            if claimed.gone:
                gone = [str(number) for number in claimed.gone]
                membership.tell(tx, notices(own, Topic.GONE, gone))
            return claimed

    def _gone(self, gone: list[int]) -> None:
        """Forget what belonged to dead replicas, and see whether they left rounds."""
        self._places.forget(gone)
        self._mail.forget(gone)
        self._wake.set()

    # What rounds want of others

    @property
    def owner(self) -> int | None:
        return self._own

    def fence(self, tx: sa.Connection) -> None:
        if self._own is not None:
            membership.require_here(tx, self._own)

    def reached(self) -> KeysView[str]:
        return self._places.streams.keys()

    def call(self, agency: str, query: str, call: Call) -> None:
        replica = self._places.streams.get(agency)
        if replica is not None:
            self._mail.put(replica, calling(agency, query, call))

    def settle(self, agency: str, query: str) -> None:
        replica = self._places.streams.get(agency)
        if replica is not None:
            self._mail.put(replica, Letter(Kind.SETTLED, agency, query, b""))

    async def sort(
        self,
        peer: PeerAgency,
        message: agent_pb2.ConnectRequest,
        here: KeysView[str],
    ) -> agent_pb2.ConnectRequest | None:
        asked = queries(message)
        if not asked or self._own is None:
            return message
        own = self._own
        unknown = [
            each
            for each in asked
            if each not in here and each not in self._places.rounds
        ]
        rounds: Mapping[str, int | None] = {}
        if unknown:
            rounds = await self._store.run(self._owners, unknown)
            self._places.rounds.update(
                {q: who for q, who in rounds.items() if who is not None and who != own}
            )
        await self._mail.room()

        def owner_of(query: str) -> int:
            if query in here:
                return own
            if query in self._places.rounds:
                return self._places.rounds[query]
            # Where there is a round it is just being taken over, and its next owner
            # asks again; where there is none, the agency is told so.
            return _NOBODY if query in rounds else own

        parts = split(message, owner_of)
        for owner, part in parts.items():
            if owner not in (own, _NOBODY):
                content = part.SerializeToString()
                letter = Letter(Kind.SAID, peer.label, peer.serial, content)
                self._mail.put(owner, letter)
        return parts.get(own)

    def _owners(self, asked: Iterable[str]) -> dict[str, int | None]:
        with self._store.read() as tx:
            return membership.owners(tx, asked)

    def stream_opened(self, agency: str) -> None:
        self._places.streams.pop(agency, None)
        self._mail.stream(agency, is_open=True)

    def stream_ended(self, agency: str) -> None:
        self._mail.stream(agency, is_open=False)

    def thrown_out(self, agency: str) -> None:
        self._mail.call_out(Topic.THROWN_OUT, [agency])

    def encapsulated(self, agency: str) -> None:
        self._mail.call_out(Topic.PAIRS, [agency])

    def policies_changed(self) -> None:
        self._mail.call_out(Topic.POLICIES)

    def bumped(self, revisions: Mapping[str, int]) -> None:
        if self._news is not None:
            self._news.bumped(revisions)

    def ended(self, submissions: Iterable[str]) -> None:
        if self._news is not None:
            self._news.ended(submissions)

    def _opened_at(self, agency: str) -> int | None:
        return self._mail.opened_at.get(agency)

    @property
    def _mail(self) -> Post:
        assert self._post is not None  # noqa: S101  # `join` was called
        return self._post
