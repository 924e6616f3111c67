# SPDX-License-Identifier: Apache-2.0
"""Batches of the three rounds over a real stream: few messages, nobody held up."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from accord.core.errors import (
    PreconditionFailed,
    RequisitionRefused,
)
from accord.rpc import codec
from accord.rpc.logs import allow_listed
from accord.rpc.rounds import PART_BYTES
from accord.secagg.masks import WORD as ENTRY
from accord.v1 import agent_pb2, common_pb2
from tests.unit.agent.answering import (
    Gate,
    cohort_calls,
    new_ids,
    payload,
    response,
    reveal_calls,
)
from tests.unit.agent.streams import World, joined
from tests.unit.rpc.hub_double import Conversation, until

PART_ENTRIES = PART_BYTES // ENTRY.itemsize


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with joined(tmp_path) as world:
        yield world


def messages(talk: Conversation, kind: str) -> list[agent_pb2.ConnectRequest]:
    return [each for each in talk.received if each.WhichOneof("message") == kind]


def words(content: bytes) -> list[int]:
    found: list[int] = np.frombuffer(content, "<u8").tolist()
    return found


def settled(*query_ids: str) -> agent_pb2.ConnectResponse:
    return response(agent_pb2.Settled(query_ids=query_ids))


async def test_a_whole_week_takes_one_message_a_round(world: World) -> None:
    """All 256 queries that a batch can hold: one message each way and round."""
    world.start()
    talk = await world.talk()
    ids = new_ids(256)
    talk.send(world.hub.requisitions(*map(payload, ids)))
    await until(lambda: len(talk.readies()) == 256)
    talk.send(response(cohort_calls(*ids)))
    await until(lambda: len(talk.masked()) == 256)
    talk.send(response(reveal_calls(*ids)))
    await until(lambda: len(talk.reveals()) == 256)
    talk.send(settled(*ids))
    await until(lambda: len(talk.erasures()) == 256)
    for kind in ("readies", "masked", "reveals", "erasures"):
        assert len(messages(talk, kind)) == 1
    for parts in (talk.readies(), talk.masked(), talk.reveals(), talk.erasures()):
        assert [each.query_id for each in parts] == ids
    steps = ["ready", "mask", "reveal", "settle"]
    assert world.answerer.asked == list(itertools.product(steps, ids))
    assert len(world.answerer.threads) == 1


async def test_each_round_says_what_the_answerer_said(world: World) -> None:
    world.start()
    talk = await world.talk()
    [query_id] = new_ids(1)
    call = cohort_calls(query_id, attempt=2)
    call.calls[0].encapsulations.add(
        sender="police",
        receiver="shelter-north",
        ciphertext=bytes(1088),
        signature=bytes(64),
    )
    talk.send(response(call))
    talk.send(response(reveal_calls(query_id, attempt=2)))
    await until(talk.reveals)
    [masked], [reveal] = talk.masked(), talk.reveals()
    assert (masked.query_id, masked.attempt, masked.size) == (query_id, 2, 4)
    assert words(masked.vector) == [4, 0, 2**64 - 8, 1]
    assert (reveal.query_id, reveal.attempt) == (query_id, 2)
    assert reveal.seed == bytes([2]) * 32
    [given] = world.answerer.encapsulated
    assert [(each.sender, len(each.ciphertext)) for each in given] == [("police", 1088)]


@pytest.mark.parametrize("round_name", ["readies", "masked", "reveals"])
async def test_one_refusal_among_eight_holds_nobody_else(
    world: World, round_name: str
) -> None:
    ids = new_ids(8)
    batch = {
        "readies": world.hub.requisitions(*map(payload, ids)),
        "masked": response(cohort_calls(*ids, attempt=1)),
        "reveals": response(reveal_calls(*ids, attempt=1)),
    }[round_name]

    def refuse_one(query_id: str) -> None:
        if query_id == ids[3]:
            raise RequisitionRefused("LOCAL_RULE", "no", codes="veto.dimension")

    world.answerer.work = refuse_one
    world.start()
    talk = await world.talk()
    talk.send(batch)
    await until(lambda: messages(talk, round_name) and talk.refusals())
    answered = [each.query_id for each in talk.readies()]
    answered += [each.query_id for each in talk.masked()]
    answered += [each.query_id for each in talk.reveals()]
    assert answered == [*ids[:3], *ids[4:]]
    [refusal] = talk.refusals()
    assert (refusal.query_id, refusal.attempt) == (ids[3], 1)
    assert refusal.reason == common_pb2.REFUSAL_REASON_LOCAL_RULE
    assert list(refusal.clauses) == ["veto.dimension"]
    assert len(messages(talk, round_name)) == len(messages(talk, "refusals")) == 1


async def test_a_later_refusal_names_the_payload_of_the_first_round(
    world: World,
) -> None:
    def refuse(_query_id: str) -> None:
        raise RequisitionRefused("EQUIVOCATION", "no")

    world.start()
    talk = await world.talk()
    [query_id] = new_ids(1)
    asked = payload(query_id)
    talk.send(world.hub.requisitions(asked))
    await until(talk.readies)
    world.answerer.work = refuse
    talk.send(response(reveal_calls(query_id, attempt=7)))
    await until(talk.refusals)
    [refusal] = talk.refusals()
    assert refusal.payload_digest == codec.payload_digest(asked)
    assert (refusal.attempt, refusal.reason) == (
        7,
        common_pb2.REFUSAL_REASON_EQUIVOCATION,
    )


async def test_an_agent_that_was_started_again_refuses_without_a_payload(
    world: World,
) -> None:
    """It knows the query by its id; the hub takes that."""

    def refuse(_query_id: str) -> None:
        raise RequisitionRefused("BUDGET_EXHAUSTED", "no")

    world.answerer.work = refuse
    world.start()
    talk = await world.talk()
    [query_id] = new_ids(1)
    talk.send(response(cohort_calls(query_id)))
    await until(talk.refusals)
    [refusal] = talk.refusals()
    assert refusal.query_id == query_id
    assert refusal.payload_digest == codec.UNKNOWN_PAYLOAD


async def test_of_a_failure_nobody_hears_more_than_its_type(world: World) -> None:
    def fail(_query_id: str) -> None:
        raise LookupError("Ana Example")

    world.answerer.work = fail
    with capture_logs(processors=[allow_listed]) as lines:
        world.start()
        talk = await world.talk()
        ids = new_ids(2)
        talk.send(response(cohort_calls(*ids)))
        await until(lambda: len(talk.refusals()) == 2)
        talk.send(settled(*ids))
        await until(lambda: world.answerer.asked[-1][0] == "settle")
        talk.send(world.hub.requisitions(payload()))
        await until(lambda: len(talk.refusals()) == 3)
    assert "Ana Example" not in str(lines) + str(talk.received)
    assert {each.reason for each in talk.refusals()} == {
        common_pb2.REFUSAL_REASON_STORE_UNAVAILABLE
    }
    assert not talk.erasures()
    assert "LookupError" in {line.get("error_type") for line in lines}


@pytest.mark.parametrize(
    ("entries", "parts"),
    [
        (PART_ENTRIES - 1, 0),
        (PART_ENTRIES, 0),
        (PART_ENTRIES + 1, 1),
        (2 * PART_ENTRIES, 1),
        (2 * PART_ENTRIES + 1, 2),
    ],
)
async def test_a_vector_above_one_mebibyte_comes_in_parts(
    world: World, entries: int, parts: int
) -> None:
    vector = np.arange(entries, dtype=np.uint64) * np.uint64(2**40 + 1)
    world.answerer.vector = vector
    world.start()
    talk = await world.talk()
    [query_id] = new_ids(1)
    talk.send(response(cohort_calls(query_id, attempt=5)))
    talk.send(response(reveal_calls(query_id)))
    await until(talk.reveals)
    [masked] = talk.masked()
    assert masked.size == entries
    found = words(masked.vector)
    rest = [each.part for each in messages(talk, "part")]
    assert len(rest) == parts
    for part in rest:
        assert (part.query_id, part.attempt) == (query_id, 5)
        assert part.offset == len(found)
        assert len(part.vector) <= PART_BYTES
        found += words(part.vector)
    assert found == vector.tolist()


async def test_vectors_share_messages_of_about_one_mebibyte(world: World) -> None:
    """Vectors of 0.4 MiB go by twos, and none is cut."""
    world.answerer.vector = np.zeros(2 * PART_ENTRIES // 5, np.uint64)
    world.start()
    talk = await world.talk()
    talk.send(response(cohort_calls(*new_ids(5))))
    await until(lambda: len(talk.masked()) == 5)
    sizes = [len(each.masked.masked) for each in messages(talk, "masked")]
    assert sizes == [2, 2, 1]


async def test_what_is_in_hand_is_not_taken_twice(world: World) -> None:
    """Not where it is in another batch either."""
    go = world.answerer.work = Gate()
    world.start()
    talk = await world.talk()
    one, two, three = (payload(query_id) for query_id in new_ids(3))
    for batch in ([one, two], [one, two], [two], [one, one, three]):
        talk.send(world.hub.requisitions(*batch))
    await until(lambda: world.answerer.asked)
    go.open()
    await until(lambda: len(talk.readies()) == 3)
    assert [query_id for _, query_id in world.answerer.asked] == [
        codec.query_id_of(each) for each in (one, two, three)
    ]


async def test_a_repeat_afterwards_is_answered_again(world: World) -> None:
    world.start()
    talk = await world.talk()
    asked = payload()
    talk.send(world.hub.requisitions(asked))
    await until(talk.readies)
    talk.send(world.hub.requisitions(asked))
    await until(lambda: len(talk.readies()) == 2)
    first, second = talk.readies()
    assert first == second


async def test_what_waits_behind_each_other_is_answered_together(
    world: World,
) -> None:
    go = world.answerer.work = Gate()
    world.start()
    talk = await world.talk()
    for _ in range(60):
        talk.send(world.hub.requisitions(payload()))
    await until(lambda: world.answerer.asked)
    talk.send(world.hub.policies_changed())
    before = world.answerer.refreshed
    go.open()
    await until(lambda: len(talk.readies()) == 60)
    await until(lambda: world.answerer.refreshed > before)
    assert len(messages(talk, "readies")) < 60


async def test_more_than_can_be_in_hand_waits_in_the_stream(world: World) -> None:
    world.start()
    talk = await world.talk()
    ids = new_ids(1500)
    for start in range(0, 1500, 250):
        talk.send(world.hub.requisitions(*map(payload, ids[start : start + 250])))
    await until(lambda: len(talk.readies()) == 1500)
    assert [query_id for _, query_id in world.answerer.asked] == ids


@pytest.mark.parametrize("lost_before", ["masked", "reveals"])
async def test_a_stream_that_is_lost_between_rounds_loses_nothing(
    world: World, lost_before: str
) -> None:
    """The hub asks for the next round over another stream."""
    world.start()
    talk = await world.talk()
    ids = new_ids(3)
    talk.send(world.hub.requisitions(*map(payload, ids)))
    await until(lambda: len(talk.readies()) == 3)
    if lost_before == "reveals":
        talk.send(response(cohort_calls(*ids)))
        await until(lambda: len(talk.masked()) == 3)
    talk.send(PreconditionFailed("STREAM_CUT", "The test cut it."))
    again = await world.talk(1)
    if lost_before == "masked":
        again.send(response(cohort_calls(*ids)))
        await until(lambda: len(again.masked()) == 3)
    again.send(response(reveal_calls(*ids)))
    await until(lambda: len(again.reveals()) == 3)
    assert [each.query_id for each in again.reveals()] == ids


async def test_what_cannot_be_sent_is_dropped_and_answered_when_asked_again(
    world: World,
) -> None:
    go = world.answerer.work = Gate()
    world.start()
    talk = await world.talk()
    ids = new_ids(2)
    talk.send(response(cohort_calls(*ids)))
    await until(lambda: world.answerer.asked)
    talk.send(PreconditionFailed("STREAM_CUT", "The test cut it."))
    await until(lambda: talk.ended)
    # the worker still computes, so the next hello waits for it
    go.open()
    again = await world.talk(1)
    again.send(response(cohort_calls(*ids)))
    await until(lambda: len(again.masked()) == 2)
    assert not talk.masked()
    assert [query_id for _, query_id in world.answerer.asked] == [*ids, *ids]


async def test_a_settled_query_is_not_computed_and_then_settled(world: World) -> None:
    go = world.answerer.work = Gate()
    world.start()
    talk = await world.talk()
    first, second, third = new_ids(3)
    talk.send(world.hub.requisitions(*map(payload, (first, second, third))))
    await until(lambda: world.answerer.asked)
    talk.send(settled(second))
    heard = len(talk.received)
    await until(lambda: len(talk.received) > heard + 1)  # a heartbeat: it has read
    go.open()
    await until(talk.erasures)
    assert [each.query_id for each in talk.readies()] == [first, third]
    assert world.answerer.asked == [
        ("ready", first),
        ("ready", third),
        ("settle", second),
    ]


async def test_what_ends_while_it_is_computed_is_not_sent_any_more(
    world: World,
) -> None:
    go = world.answerer.work = Gate()
    world.start()
    talk = await world.talk()
    [query_id] = new_ids(1)
    talk.send(response(cohort_calls(query_id)))
    await until(lambda: world.answerer.asked)
    talk.send(settled(query_id))
    heard = len(talk.received)
    await until(lambda: len(talk.received) > heard + 1)
    go.open()
    await until(talk.erasures)
    assert not talk.masked()


async def test_a_settled_query_can_be_asked_for_again(world: World) -> None:
    go = world.answerer.work = Gate()
    world.start()
    talk = await world.talk()
    first, [query_id] = payload(), new_ids(1)
    talk.send(world.hub.requisitions(first))
    talk.send(world.hub.requisitions(payload(query_id)))
    talk.send(settled(query_id))
    talk.send(world.hub.requisitions(payload(query_id)))
    await until(lambda: world.answerer.asked)
    heard = len(talk.received)
    await until(lambda: len(talk.received) > heard + 1)
    go.open()
    await until(lambda: len(talk.readies()) == 2)
    assert world.answerer.asked[1:] == [("settle", query_id), ("ready", query_id)]


async def test_an_end_without_anything_to_erase_is_not_answered(world: World) -> None:
    world.answerer.erases = False
    world.start()
    talk = await world.talk()
    talk.send(settled(*new_ids(3)))
    talk.send(world.hub.requisitions(payload()))
    await until(talk.readies)
    assert [step for step, _ in world.answerer.asked] == ["settle"] * 3 + ["ready"]
    assert not messages(talk, "erasures")


async def test_a_thousand_ends_are_answered_in_few_messages(world: World) -> None:
    world.start()
    talk = await world.talk()
    ids = new_ids(1000)
    talk.send(settled(*ids))
    await until(lambda: len(talk.erasures()) == 1000)
    assert [each.query_id for each in talk.erasures()] == ids
    assert len(messages(talk, "erasures")) == 4


async def test_a_batch_that_breaks_the_protocol_is_dropped_as_a_whole(
    world: World,
) -> None:
    with capture_logs(processors=[allow_listed]) as lines:
        world.start()
        talk = await world.talk()
        bad = cohort_calls(*new_ids(2))
        bad.calls[1].attempt = 0
        talk.send(response(bad))
        talk.send(world.hub.requisitions(payload()))
        await until(talk.readies)
    assert [step for step, _ in world.answerer.asked] == ["ready"]
    assert "MESSAGE_INVALID" in {line.get("reason") for line in lines}


async def test_the_others_of_a_batch_go_on_after_one_without_sense(
    world: World,
) -> None:
    world.start()
    talk = await world.talk()
    good = payload()
    talk.send(world.hub.requisitions(b"\xff\xff", good))
    await until(talk.readies)
    assert world.answerer.asked == [("ready", codec.query_id_of(good))]


async def test_batches_of_all_rounds_keep_their_order(world: World) -> None:
    world.start()
    talk = await world.talk()
    a, b, c, d = new_ids(4)
    talk.send(response(reveal_calls(a)))
    talk.send(response(cohort_calls(b)))
    talk.send(world.hub.requisitions(payload(c)))
    talk.send(settled(d))
    talk.send(response(reveal_calls(b)))
    await until(lambda: len(talk.reveals()) == 2)
    assert world.answerer.asked == [
        ("reveal", a),
        ("mask", b),
        ("ready", c),
        ("settle", d),
        ("reveal", b),
    ]
