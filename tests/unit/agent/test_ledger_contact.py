# SPDX-License-Identifier: Apache-2.0
"""An agency's ledger and its hub's: what is said, compared, and proven on request."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from accord.agent.witness import countersigning
from accord.agent.witness.countersigning import Page
from accord.agent.witness.suspicion import suspicions
from accord.core.privacy import Loss
from accord.merkle.heads import SignedHead, TreeHead
from accord.rpc.codec import loss_from_message, query_id_of
from accord.rpc.contact import (
    ChargeRecord,
    head_to_message,
    record_from_message,
    verify_charge,
)
from accord.v1 import agent_pb2, log_pb2
from tests.unit.agent import streams
from tests.unit.agent.agency_world import World
from tests.unit.agent.agreements import AGENCY, KEY, signed
from tests.unit.agent.test_fence import confirmed, copied, refused, restored
from tests.unit.rpc.hub_double import until

HUB_KEY = KEY.public_key().public_bytes_raw()


def proven(world: World, *, since: int = 0) -> list[ChargeRecord]:
    """Return all that an agency proves, page after page."""
    found: list[ChargeRecord] = []
    beyond = 0
    while True:
        page = world.answerers[AGENCY].proven(since=since, beyond=beyond)
        assert page is not None
        found += page.records
        beyond = page.last
        if page.complete:
            return found


def cost(world: World) -> Loss:
    return world.asked().loss


# What is said and proven


def test_what_was_revealed_is_said_and_proven(world: World) -> None:
    answerer = world.answerers[AGENCY]
    assert answerer.charged() == Loss()
    assert proven(world) == []
    asked = [world.asked() for _ in range(3)]
    for each in asked:
        world.whole(each)
    assert answerer.charged() == cost(world) + cost(world) + cost(world)
    assert world.spent(AGENCY) == (answerer.charged().nano_rho, 0)
    records = proven(world)
    key = world.states[AGENCY].secret_keys(AGENCY).public.sign
    charges = [
        verify_charge(each, agency=AGENCY, agency_key=key, hub_keys=[HUB_KEY])
        for each in records
    ]
    assert [each.query_id for each in charges] == [each.query_id for each in asked]
    assert {each.cohort for each in records} == {"fallback"}
    assert all(each.members == asked[0].members for each in charges)


def test_what_was_never_opened_is_no_charge(world: World) -> None:
    world.hub.mask(world.ready(world.asked()))
    masked = world.hub.mask(world.ready(erased := world.asked()))
    assert masked is not None
    world.answerers[AGENCY].settle([erased.query_id])
    assert world.answerers[AGENCY].charged() == Loss()
    assert proven(world) == []


def test_only_what_was_charged_since_a_moment_is_given(world: World) -> None:
    world.whole(world.asked())
    world.clock.now += datetime.timedelta(minutes=5)
    second = world.asked()
    world.whole(second)
    since = int(world.clock.now.timestamp())
    assert len(proven(world)) == 2
    [found] = proven(world, since=since)
    assert query_id_of(found.payload) == second.query_id
    assert proven(world, since=since + 1) == []


def test_pages_leave_nothing_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [world.asked() for _ in range(5)]
    for each in asked:
        world.whole(each)
    whole = proven(world)
    for most in (1, 2, 5, 6):
        monkeypatch.setattr(countersigning, "MOST_RECORDS", most)
        assert proven(world) == whole


def test_an_audit_that_is_over_takes_no_proof_away(world: World) -> None:
    """The record of an audit is deleted after some days, the charge never is."""
    world.whole(world.asked())
    before = proven(world)
    world.clock.now += datetime.timedelta(days=500)
    world.answerers[AGENCY].expire()
    assert proven(world) == before
    assert world.answerers[AGENCY].charged() == cost(world)


def test_an_old_copy_says_nothing_until_it_is_confirmed_and_then_what_it_knows(
    world: World, tmp_path: Path
) -> None:
    world.whole(first := world.asked())
    world.hub.mask(world.ready(world.asked()))
    copy = copied(world, tmp_path)
    world.whole(world.asked())
    restored(world, copy)
    assert world.answerers[AGENCY].proven(since=0, beyond=0) is None
    assert confirmed(world) == 1
    # What was open then counts as spent here, and claims nothing of the hub.
    assert world.spent(AGENCY) == (2 * cost(world).nano_rho, 0)
    assert world.answerers[AGENCY].charged() == cost(world)
    [found] = proven(world)
    assert query_id_of(found.payload) == first.query_id


# A hub that forgot


@pytest.mark.parametrize(
    ("held", "behind"),
    [
        pytest.param(Loss(nano_rho=10, nano_epsilon=4), False, id="the same"),
        pytest.param(Loss(nano_rho=99, nano_epsilon=99), False, id="more"),
        pytest.param(Loss(nano_rho=9, nano_epsilon=99), True, id="less rho"),
        pytest.param(Loss(nano_rho=99, nano_epsilon=3), True, id="less epsilon"),
        pytest.param(None, True, id="it does not say"),
    ],
)
def test_a_hub_that_holds_less_is_answered_nothing(
    world: World, held: Loss | None, behind: bool
) -> None:
    answerer = world.answerers[AGENCY]
    answerer.compare(Loss(nano_rho=10, nano_epsilon=4), held)
    payload, signature = signed(world.asked())

    def step() -> None:
        answerer.ready(payload, signature, 1, world.offer.fetch)

    if behind:
        assert refused(step) == "HUB_BEHIND"
        noted = {each.reason for each in suspicions(world.states[AGENCY])}
        assert "HUB_BEHIND" in noted
    else:
        step()


def test_no_step_of_a_round_is_taken_until_it_holds_enough_again(world: World) -> None:
    answerer = world.answerers[AGENCY]
    masked = world.hub.mask(world.ready(world.asked()))
    answerer.compare(Loss(nano_rho=1), Loss())
    before = world.spent(AGENCY)
    assert refused(world.hub.reveal, masked) == "HUB_BEHIND"
    assert world.spent(AGENCY) == before
    answerer.compare(Loss(nano_rho=1), Loss(nano_rho=1))
    world.hub.reveal(masked)


def test_a_hub_that_never_charged_anything_has_nothing_to_remember(
    world: World,
) -> None:
    world.answerers[AGENCY].compare(Loss(), None)
    world.whole(world.asked())


# On the stream


@pytest.fixture
async def stream(tmp_path: Path) -> AsyncIterator[streams.World]:
    async with streams.joined(tmp_path) as made:
        yield made


def head(size: int) -> SignedHead:
    found = TreeHead(
        size=size,
        root=bytes(32),
        at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        ledger_height=3,
        epoch=1,
    )
    return SignedHead(head=found, signature=bytes(64))


async def test_it_says_what_it_charged_and_saw_and_compares_before_all_else(
    stream: streams.World,
) -> None:
    stream.answerer.loss = Loss(nano_rho=5, nano_epsilon=6)
    stream.answerer.seen = head(9)
    stream.start()
    talk = await stream.talk()
    hello = talk.received[0].hello
    assert loss_from_message(hello.charged) == Loss(nano_rho=5, nano_epsilon=6)
    assert (hello.log_seen.size, hello.log_seen.epoch) == (9, 1)
    assert hello.log_seen.ledger_height == 3
    await until(lambda: stream.answerer.heads)
    [(charged, _)] = stream.answerer.compared
    assert charged == Loss(nano_rho=5, nano_epsilon=6)
    assert stream.answerer.heads[0][1].from_size == 9


async def test_what_the_log_has_grown_by_is_looked_at_and_cosigned(
    stream: streams.World,
) -> None:
    stream.start()
    talk = await stream.talk()
    await until(lambda: stream.answerer.heads)
    grown = log_pb2.LogGrown(
        head=head_to_message(head(12)), from_size=9, consistency=[bytes(32)]
    )
    talk.send(agent_pb2.ConnectResponse(log=grown))
    await until(lambda: any(each.cosignature.size == 12 for each in talk.received))
    shown, growth = stream.answerer.heads[-1]
    assert shown == head(12)
    assert (growth.from_size, list(growth.proof)) == (9, [bytes(32)])


def record(number: int) -> ChargeRecord:
    return ChargeRecord(
        payload=b"%d" % number,
        signature=bytes(64),
        cohort="all",
        transcript=bytes(32),
        charged_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        countersignature=bytes(64),
    )


async def test_it_proves_its_charges_when_the_hub_asks_page_by_page(
    stream: streams.World,
) -> None:
    stream.answerer.pages = [
        Page(records=(record(1), record(2)), last=7, complete=False),
        Page(records=(record(3),), last=9, complete=True),
        Page(records=(), last=0, complete=True),
    ]
    stream.start()
    talk = await stream.talk()

    def given() -> list[agent_pb2.ChargeRecords]:
        return [each.charges for each in talk.received if each.HasField("charges")]

    wanted = agent_pb2.ChargesWanted(since=12)
    talk.send(agent_pb2.ConnectResponse(charges_wanted=wanted))
    await until(lambda: given() and given()[-1].complete)
    assert [each.complete for each in given()] == [False, True]
    records = itertools.chain.from_iterable(each.records for each in given())
    assert [record_from_message(each) for each in records] == [
        record(number) for number in (1, 2, 3)
    ]
    assert stream.answerer.proofs == [(12, 0), (12, 7)]
    # asked again, it says that there is nothing, and that this is all
    talk.send(agent_pb2.ConnectResponse(charges_wanted=wanted))
    await until(lambda: len(given()) == 3)
    assert given()[-1].complete
    # an old copy does not know: it says nothing at all, and the stream goes on
    talk.send(agent_pb2.ConnectResponse(charges_wanted=wanted))
    await until(lambda: len(stream.answerer.proofs) == 4)
    beats = sum(each.HasField("heartbeat") for each in talk.received)
    await until(
        lambda: sum(each.HasField("heartbeat") for each in talk.received) > beats
    )
    assert len(given()) == 3
