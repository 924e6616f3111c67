# SPDX-License-Identifier: Apache-2.0
"""Who is alive and who owns what, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.errors import Unreachable
from accord.hub.db.engine import Store
from accord.hub.db.postgresql import PostgresDatabase
from accord.hub.db.tables import ROUNDS
from accord.hub.db.tables_replicas import AGENT_STREAMS, RELAYED, REPLICAS
from accord.hub.replicas import membership
from accord.hub.replicas.letters import Kind, Letter, unpacked
from accord.hub.replicas.notices import Topic
from accord.hub.replicas.post import Post
from accord.hub.replicas.sealing import Seal
from accord.hub.replicas.session import Heard, Session, SessionLost
from accord.hub.rounds import rows
from tests.contract.postgres import Cluster, postgres

__all__ = ["postgres"]

HUB = Ed25519PrivateKey.generate()
UNTIL = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def place(postgres: Cluster) -> PostgresDatabase:
    return PostgresDatabase(postgres.database(driver="postgresql"))


@pytest.fixture
def store(place: PostgresDatabase) -> Iterator[Store]:
    made = Store(place)
    made.create()
    yield made
    made.close()


@pytest.fixture
async def one(
    store: Store,  # noqa: ARG001  # its tables
    place: PostgresDatabase,
) -> AsyncIterator[Session]:
    session = await Session.open(place.conninfo(), Seal(HUB))
    yield session
    await session.close()


@pytest.fixture
async def two(
    store: Store,  # noqa: ARG001  # its tables
    place: PostgresDatabase,
) -> AsyncIterator[Session]:
    session = await Session.open(place.conninfo(), Seal(HUB))
    yield session
    await session.close()


def begin(store: Store, owner: int | None, *names: str) -> None:
    with store.write() as tx:
        for name in names:
            rows.begin(tx, name, ("alpha", "bravo"), UNTIL, owner)


def owners(store: Store) -> dict[str, int | None]:
    with store.read() as tx:
        chosen = sa.select(ROUNDS.c.submission, ROUNDS.c.owner)
        return {row.submission: row.owner for row in tx.execute(chosen)}


def claimed(store: Store, own: int, most: int = 32) -> membership.Claimed:
    with store.write() as tx:
        return membership.claim(tx, own, most)


def count(store: Store, table: sa.Table) -> int:
    with store.read() as tx:
        chosen = sa.select(sa.func.count()).select_from(table)
        return int(tx.execute(chosen).scalar_one())


@pytest.mark.usefixtures("one")
async def test_whoever_holds_its_session_is_alive(store: Store, two: Session) -> None:
    with store.read() as tx:
        assert membership.dead(tx) == []
    await two.close()
    with store.read() as tx:
        assert membership.dead(tx) == [two.number]
        assert membership.is_any_waiting(tx)


async def test_rounds_of_the_living_are_left_alone(
    store: Store, one: Session, two: Session
) -> None:
    begin(store, one.number, "a")
    begin(store, two.number, "b")
    begin(store, None, "c")
    assert claimed(store, one.number).rounds == ["c"]
    assert owners(store) == {"a": one.number, "b": two.number, "c": one.number}


async def test_rounds_of_the_dead_are_taken_with_all_that_was_theirs(
    store: Store, one: Session, two: Session
) -> None:
    begin(store, two.number, "a", "b")
    with store.write() as tx:
        stream = {"agency": "alpha", "replica": two.number, "opened_at": 1}
        tx.execute(AGENT_STREAMS.insert(), stream)
        mail = {
            "receiver": two.number,
            "sender": one.number,
            "content": b"",
            "signature": b"",
        }
        tx.execute(RELAYED.insert(), mail)
    await two.close()
    found = claimed(store, one.number)
    assert (found.gone, found.rounds) == ([two.number], ["a", "b"])
    assert owners(store) == {"a": one.number, "b": one.number}
    assert not count(store, AGENT_STREAMS)
    assert not count(store, RELAYED)
    assert count(store, REPLICAS) == 1
    assert claimed(store, one.number) == membership.Claimed(gone=[], rounds=[])


async def test_some_are_left_for_others(
    store: Store, one: Session, two: Session
) -> None:
    begin(store, None, "a", "b", "c")
    assert claimed(store, one.number, most=2).rounds == ["a", "b"]
    assert claimed(store, two.number, most=2).rounds == ["c"]


async def test_of_many_who_claim_at_once_each_round_goes_to_one(
    store: Store, place: PostgresDatabase, one: Session, two: Session
) -> None:
    names = [f"{number:03d}" for number in range(40)]
    begin(store, None, *names)
    taken: dict[int, list[str]] = {one.number: [], two.number: []}

    def take(own: int) -> None:
        other = Store(place)
        while found := claimed(other, own, most=3).rounds:
            taken[own] += found
        other.close()

    threads = [threading.Thread(target=take, args=(own,)) for own in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert sorted(itertools.chain.from_iterable(taken.values())) == names


async def test_a_zombie_can_neither_write_nor_claim(
    store: Store, one: Session, two: Session
) -> None:
    begin(store, two.number, "a")
    await two.close()
    claimed(store, one.number)
    for work in (membership.require_here, lambda tx, own: membership.claim(tx, own, 9)):
        with pytest.raises(Unreachable) as replaced, store.write() as tx:
            work(tx, two.number)
        assert replaced.value.reason == "REPLICA_REPLACED"
    assert owners(store) == {"a": one.number}


async def test_a_replica_that_leaves_is_not_missed(
    store: Store, one: Session, two: Session
) -> None:
    begin(store, two.number, "a")
    with store.write() as tx:
        membership.leave(tx, two.number)
    assert claimed(store, one.number) == membership.Claimed(gone=[], rounds=["a"])


async def heard(session: Session, seconds: float = 5) -> Heard:
    """Return the next that a session brings."""
    async with asyncio.timeout(seconds):
        async for each in session.listen():
            if each.parcels or each.notices:
                return each
    raise AssertionError


async def test_letters_and_notices_arrive_in_order(
    store: Store, place: PostgresDatabase
) -> None:
    seals = Seal(HUB), Seal(HUB)
    one = await Session.open(place.conninfo(), seals[0])
    two = await Session.open(place.conninfo(), seals[1])
    post = await Post.open(place.conninfo(), one.number, seals[0])
    sending = asyncio.ensure_future(post.run())
    letters = [Letter(Kind.SAID, "alpha", "serial", b"%d" % n) for n in range(20)]
    for letter in letters:
        post.put(two.number, letter)
    found = await heard(two)
    parcel = found.parcels[0]
    assert parcel.sender == one.number
    content = seals[1].open(parcel.sealed, sender=one.number, receiver=two.number)
    assert unpacked(content) == letters
    assert not count(store, RELAYED)
    post.call_out(Topic.PAIRS, ["alpha"])
    notice = (await heard(two)).notices[0]
    assert (notice.topic, notice.words) == (Topic.PAIRS, ("alpha",))
    post.stream("alpha", is_open=True)
    assert (await heard(two)).notices[0].topic is Topic.STREAM
    with store.read() as tx:
        streams = membership.streams(tx, ["alpha"])
    assert streams["alpha"].replica == one.number
    assert streams["alpha"].opened_at == post.opened_at["alpha"]
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    for each in (post, one, two):
        await each.close()


async def test_a_dead_replica_gets_no_mail_and_sends_none(
    store: Store, place: PostgresDatabase, one: Session, two: Session
) -> None:
    post = await Post.open(place.conninfo(), two.number, Seal(HUB))
    sending = asyncio.ensure_future(post.run())
    await two.close()
    claimed(store, one.number)
    post.put(one.number, Letter(Kind.SAID, "alpha", "serial", b"said"))
    post.call_out(Topic.PAIRS, ["alpha"])
    assert (await heard(one)).parcels == []
    assert not count(store, RELAYED)
    post.stream("alpha", is_open=True)
    with pytest.raises(SessionLost):
        await sending
    await post.close()


async def test_a_stranger_with_the_database_gets_no_letter(
    store: Store, place: PostgresDatabase, one: Session
) -> None:
    """Its key is not signed by the hub, whatever the row says that it owns."""
    stranger = await Session.open(place.conninfo(), Seal(Ed25519PrivateKey.generate()))
    post = await Post.open(place.conninfo(), one.number, Seal(HUB))
    sending = asyncio.ensure_future(post.run())
    post.put(stranger.number, Letter(Kind.SAID, "alpha", "serial", b"a seed"))
    post.call_out(Topic.PAIRS, ["alpha"])
    assert (await heard(stranger)).parcels == []
    assert not count(store, RELAYED)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    for each in (post, stranger):
        await each.close()


@pytest.mark.slow
async def test_the_database_ends_the_session_of_whoever_is_silent(
    store: Store, one: Session, two: Session
) -> None:
    """`one` beats; `two` stands still, as a frozen process does."""

    async def beat() -> None:
        async for _ in one.listen():
            pass

    beating = asyncio.ensure_future(beat())
    async with asyncio.timeout(20):
        while True:
            await asyncio.sleep(0.5)
            with store.read() as tx:
                if membership.dead(tx) == [two.number]:
                    break
    with pytest.raises(SessionLost):
        await anext(aiter(two.listen()))
    assert not beating.done()
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
