# SPDX-License-Identifier: Apache-2.0
"""The agent's stream against a hub double, over real mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import threading
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from accord.agent.network.connection import run
from accord.agent.network.identity import IdentityFiles
from accord.core.errors import (
    AccordError,
    Conflict,
    IntegrityError,
    PolicyDenied,
    PreconditionFailed,
    RequisitionRefused,
    Unauthenticated,
)
from accord.rpc import codec, pki
from accord.rpc.logs import allow_listed
from accord.secagg.messages import Ready
from accord.trust.trusted import Fetch
from accord.v1 import agent_pb2, common_pb2
from tests.unit.agent.answering import (
    AnswererDouble,
    Gate,
    edition,
    encapsulation,
    new_ids,
    payload,
)
from tests.unit.agent.joining import join
from tests.unit.agent.streams import QUICK, World, joined
from tests.unit.rpc.hub_double import until, utc_now


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with joined(tmp_path) as world:
        yield world


async def test_it_says_hello_and_answers(world: World) -> None:
    world.start()
    talk = await world.talk()
    assert talk.agency.label == "shelter-north"
    hello = talk.received[0].hello
    assert codec.edition_from_message(hello.editions[0]) == edition("2026-01")
    assert (hello.ledger_height, hello.state_sequence) == (7, 41)
    assert hello.agent_version
    asked = payload()
    talk.send(world.hub.requisitions(asked, attempt=3))
    await until(talk.readies)
    [ready] = talk.readies()
    assert ready.query_id == codec.query_id_of(asked)
    assert (ready.attempt, list(ready.lacking)) == (3, ["police"])


async def test_the_answerer_is_called_from_one_thread_that_is_not_the_loops(
    world: World,
) -> None:
    world.start()
    talk = await world.talk()
    for _ in range(5):
        talk.send(world.hub.requisitions(payload()))
    await until(lambda: len(talk.readies()) == 5)
    assert len(world.answerer.threads) == 1
    assert threading.get_ident() not in world.answerer.threads


@pytest.mark.parametrize(
    ("error", "reason", "clauses"),
    [
        (
            RequisitionRefused("AGREEMENT_DENIES", "no", codes="deny.role,deny.level"),
            common_pb2.REFUSAL_REASON_AGREEMENT_DENIES,
            ["deny.role", "deny.level"],
        ),
        (
            RequisitionRefused("BUDGET_EXHAUSTED", "no"),
            common_pb2.REFUSAL_REASON_BUDGET_EXHAUSTED,
            [],
        ),
        (
            RequisitionRefused("NO_SUCH_REASON", "no"),
            common_pb2.REFUSAL_REASON_STORE_UNAVAILABLE,
            [],
        ),
        (
            IntegrityError("STORE_BROKEN", "no"),
            common_pb2.REFUSAL_REASON_STORE_UNAVAILABLE,
            [],
        ),
        (
            LookupError("Ana Example"),
            common_pb2.REFUSAL_REASON_STORE_UNAVAILABLE,
            [],
        ),
    ],
)
async def test_a_refusal_has_a_reason_of_the_list_and_nothing_else(
    world: World,
    error: Exception,
    reason: common_pb2.RefusalReason.ValueType,
    clauses: list[str],
) -> None:
    def refuse(_query_id: str) -> None:
        raise error

    world.answerer.work = refuse
    with capture_logs(processors=[allow_listed]) as lines:
        world.start()
        talk = await world.talk()
        asked = payload()
        talk.send(world.hub.requisitions(asked))
        await until(talk.refusals)
    [refusal] = talk.refusals()
    assert (refusal.reason, list(refusal.clauses)) == (reason, clauses)
    assert refusal.query_id == codec.query_id_of(asked)
    assert refusal.payload_digest == codec.payload_digest(asked)
    assert refusal.attempt == 1
    assert "Ana Example" not in str(lines) + str(refusal)
    assert not any("dropped" in line for line in lines)


async def test_a_requisition_of_somebody_else_is_refused(world: World) -> None:
    world.start()
    talk = await world.talk()
    message = world.hub.requisitions(payload())
    message.requisitions.requisitions[0].signature = bytes(64)
    talk.send(message)
    await until(talk.refusals)
    assert talk.refusals()[0].reason == common_pb2.REFUSAL_REASON_SIGNATURE_INVALID
    assert not world.answerer.asked


async def test_a_requisition_without_sense_is_dropped(world: World) -> None:
    world.start()
    talk = await world.talk()
    talk.send(world.hub.requisitions(b"\xff\xff"))
    talk.send(agent_pb2.ConnectResponse())
    good = payload()
    talk.send(world.hub.requisitions(good))
    await until(talk.readies)
    assert world.answerer.asked == [("ready", codec.query_id_of(good))]


async def test_heartbeats_go_on_while_an_answer_is_computed(world: World) -> None:
    go = world.answerer.work = Gate()
    world.start()
    talk = await world.talk()
    talk.send(world.hub.requisitions(payload()))
    await until(lambda: world.answerer.asked)

    def beats() -> list[int]:
        beats = [m.heartbeat for m in talk.received if m.HasField("heartbeat")]
        return [beat.sequence for beat in beats]

    seen = len(beats())
    await until(lambda: len(beats()) > seen + 2)
    go.open()
    assert beats() == list(range(1, len(beats()) + 1))


async def test_policies_are_looked_for_at_the_welcome_and_when_they_change(
    world: World,
) -> None:
    hub = world.hub
    hub.policies["metadata/timestamp.json"] = b"first"
    world.start()
    talk = await world.talk()
    await until(lambda: world.answerer.fetched == [b"first"])
    hub.policies["metadata/timestamp.json"] = b"second"
    talk.send(hub.policies_changed())
    await until(lambda: world.answerer.fetched == [b"first", b"second"])


async def test_policies_are_looked_for_even_if_the_hub_keeps_quiet(
    world: World,
) -> None:
    world.start(dataclasses.replace(QUICK, policies=0.05))
    await world.talk()
    await until(lambda: world.answerer.refreshed > 3)


async def test_the_highest_sequence_that_the_hub_heard_is_told(world: World) -> None:
    world.hub.state_sequence = 2**40
    world.start()
    await world.talk()
    await until(lambda: world.answerer.heard == [2**40])


async def test_encapsulations_are_given_on_every_stream(world: World) -> None:
    world.answerer.made = [encapsulation("union"), encapsulation("van")]
    world.start()
    talk = await world.talk()
    await until(lambda: len(talk.encapsulations()) == 2)
    talk.send(None)
    again = await world.talk(1)
    await until(lambda: len(again.encapsulations()) == 2)
    assert {each.receiver for each in again.encapsulations()} == {"union", "van"}
    assert {each.sender for each in again.encapsulations()} == {"shelter-north"}


async def test_newer_policies_bring_new_encapsulations_and_no_old_ones(
    world: World,
) -> None:
    world.answerer.made = [encapsulation("union")]
    world.start()
    talk = await world.talk()
    await until(talk.encapsulations)
    world.answerer.made.append(encapsulation("van"))
    world.hub.policies["metadata/timestamp.json"] = b"second"
    talk.send(world.hub.policies_changed())
    await until(lambda: len(talk.encapsulations()) > 1)
    given = [each.receiver for each in talk.encapsulations()]
    assert given == ["union", "van"]


async def test_without_encapsulations_none_are_sent(world: World) -> None:
    world.start()
    talk = await world.talk()
    talk.send(world.hub.requisitions(payload()))
    await until(talk.readies)
    assert not any(m.HasField("encapsulations") for m in talk.received)


async def test_on_every_stream_it_asks_for_the_end_of_what_is_masked(
    world: World,
) -> None:
    """The hub told it while the agent was away; it answers with what has ended."""
    ready = Ready(
        agency="shelter-north",
        spec_digest=bytes(32),
        attempt=3,
        ephemeral_key=bytes(32),
        signature=bytes(64),
    )
    ids = new_ids(300)
    world.answerer.masked = [(each, ready) for each in ids]
    world.start()
    for number in range(2):
        talk = await world.talk(number)
        await until(lambda talk=talk: len(talk.readies()) == len(ids))  # type: ignore[misc]
        assert [each.query_id for each in talk.readies()] == ids
        assert {each.attempt for each in talk.readies()} == {3}
        settled = agent_pb2.Settled(query_ids=ids[:1])
        talk.send(agent_pb2.ConnectResponse(settled=settled))
        await until(talk.erasures)
        talk.send(None)
    assert [each for each in world.answerer.asked if each[0] == "settle"] == [
        ("settle", ids[0])
    ] * 2


async def test_what_has_expired_is_erased_at_the_start_and_again(world: World) -> None:
    await world.hub.stop()  # with or without a hub
    world.start(dataclasses.replace(QUICK, expiry=0.01))
    await until(lambda: world.answerer.expired > 2)


async def test_an_expiry_that_fails_is_told_and_tried_again(world: World) -> None:
    tried = []

    def expire() -> None:
        tried.append(1)
        raise PreconditionFailed("STORE_NOT_WRITABLE", "The disk is full.")

    world.answerer.expire = expire  # type: ignore[method-assign]
    with capture_logs(processors=[allow_listed]) as lines:
        world.start(dataclasses.replace(QUICK, expiry=0.01))
        await until(lambda: len(tried) > 1)
        talk = await world.talk()
    assert talk.received
    assert ("expiry.failed", "STORE_NOT_WRITABLE") in {
        (line["event"], line.get("reason")) for line in lines
    }


async def test_newer_policies_may_want_other_editions(world: World) -> None:
    hub = world.hub
    world.start(dataclasses.replace(QUICK, editions=60))
    talk = await world.talk()
    world.answerer.held.append(edition("2026-02"))
    hub.policies["metadata/timestamp.json"] = b"second"
    talk.send(hub.policies_changed())
    await until(lambda: any(m.HasField("editions") for m in talk.received))


async def test_a_file_that_the_hub_does_not_give_is_an_error_of_ours(
    world: World,
) -> None:
    world.answerer.wanted = ["metadata/9.root.json", "../../etc/passwd"]
    world.start()
    talk = await world.talk()
    await until(lambda: world.answerer.refreshed)
    assert world.answerer.fetched == ["POLICY_UNKNOWN", "MESSAGE_INVALID"]
    assert "../../etc/passwd" not in world.hub.fetched
    talk.send(world.hub.requisitions(payload()))
    await until(talk.readies)


async def test_a_file_can_be_fetched_while_a_question_is_answered(
    world: World,
) -> None:
    hub, found = world.hub, []
    hub.policies["metadata/timestamp.json"] = b"newer"
    world.answerer.work = lambda _query_id: found.append(
        world.answerer.fetch("metadata/timestamp.json")
    )
    world.start()
    talk = await world.talk()
    talk.send(hub.requisitions(payload()))
    await until(talk.readies)
    assert found == [b"newer"]


async def test_without_a_stream_nothing_can_be_fetched(world: World) -> None:
    go, ended = Gate(), []

    def late(_query_id: str) -> None:
        go()
        try:
            world.answerer.fetch("metadata/timestamp.json")
        except AccordError as error:
            ended.append(error.reason)

    world.answerer.work = late
    agent = world.start()
    talk = await world.talk()
    talk.send(world.hub.requisitions(payload()))
    await until(lambda: world.answerer.asked)
    agent.cancel()
    await until(lambda: talk.ended)
    go.open()
    with contextlib.suppress(asyncio.CancelledError):
        await agent
    assert ended == ["STREAM_ENDED"]


async def test_a_fetch_ends_with_its_stream(world: World) -> None:
    """The hub takes the call and never answers; the agent is told to stop."""
    never = asyncio.Event()

    async def hang(
        request: agent_pb2.FetchPolicyRequest, context: object
    ) -> agent_pb2.FetchPolicyResponse:
        world.hub.fetched.append(f"{request.path} hangs {context is not None}")
        await never.wait()
        return agent_pb2.FetchPolicyResponse()

    world.hub.FetchPolicy = hang  # type: ignore[method-assign]
    await world.hub.stop()
    await world.hub.start(world.files.load().membership.hub.port)
    agent = world.start()
    await until(lambda: world.hub.fetched)
    agent.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(agent, 10)
    await until(lambda: world.answerer.fetched)
    never.set()


async def test_editions_are_told_when_they_change(world: World) -> None:
    world.start()
    talk = await world.talk()
    world.answerer.held.append(edition("2026-02"))
    await until(lambda: any(m.HasField("editions") for m in talk.received))
    [told] = [m.editions for m in talk.received if m.HasField("editions")]
    assert [one.name for one in told.editions] == ["2026-01", "2026-02"]


async def test_it_comes_back_when_the_hub_does(world: World) -> None:
    world.start()
    await world.talk()
    port = world.hub.agent_address.port
    await world.hub.stop()
    await world.hub.start(port)
    talk = await world.talk(1)
    talk.send(world.hub.requisitions(payload()))
    await until(talk.readies)


async def test_it_waits_for_a_hub_that_is_not_there_yet(world: World) -> None:
    port = world.hub.agent_address.port
    await world.hub.stop()
    with capture_logs(processors=[allow_listed]) as lines:
        agent = world.start()
        await until(lambda: len(lines) > 3)
        assert not agent.done()
        await world.hub.start(port)
        await world.talk()
    lost = [line for line in lines if line["event"] == "connection.lost"]
    assert {line["reason"] for line in lost} == {"HUB_UNREACHABLE"}
    assert [line["attempt"] for line in lost] == list(range(1, len(lost) + 1))


async def test_a_hub_that_never_welcomes_is_left(world: World) -> None:
    world.hub.welcomes = False
    timing = dataclasses.replace(QUICK, welcome=0.1)
    with capture_logs(processors=[allow_listed]) as lines:
        world.start(timing)
        await world.talk(1)
    assert lines[0]["reason"] == "HUB_SILENT"


async def test_a_hub_that_begins_otherwise_is_left(world: World) -> None:
    world.hub.welcomes = False
    with capture_logs(processors=[allow_listed]) as lines:
        world.start()
        (await world.talk()).send(world.hub.requisitions(payload()))
        await world.talk(1)
    assert lines[0]["reason"] == "WELCOME_MISSING"
    assert not world.answerer.asked


async def test_a_stream_that_ends_without_a_word_is_opened_again(world: World) -> None:
    with capture_logs(processors=[allow_listed]) as lines:
        world.start()
        (await world.talk()).send(None)
        await world.talk(1)
    assert "STREAM_ENDED" in {line.get("reason") for line in lines}


def opened_more_than(lines: Sequence[Mapping[str, object]], number: int) -> bool:
    """Tell whether more streams were opened."""
    return sum(line["event"] == "connection.opened" for line in lines) > number


@pytest.mark.parametrize(("steady", "attempts"), [(60, [1, 2, 3]), (0, [1, 1, 1])])
async def test_a_stream_that_ends_at_once_is_a_failure(
    world: World, steady: float, attempts: list[int]
) -> None:
    """A hub that ends all of them would else be called several times a second."""
    with capture_logs(processors=[allow_listed]) as lines:
        world.start(dataclasses.replace(QUICK, steady=steady))
        for number in range(3):
            talk = await world.talk(number)
            await until(partial(opened_more_than, lines, number))
            talk.send(None)
        await world.talk(3)
    lost = [line for line in lines if line["event"] == "connection.lost"]
    assert [line["attempt"] for line in lost[:3]] == attempts


async def test_a_stream_over_which_something_was_asked_is_no_failure(
    world: World,
) -> None:
    """An agency whose hub is killed in the midst of a question is back at once."""
    settled = agent_pb2.Settled(query_ids=[str(uuid.uuid4())])
    with capture_logs(processors=[allow_listed]) as lines:
        world.start(dataclasses.replace(QUICK, steady=60))
        for number in range(3):
            talk = await world.talk(number)
            await until(partial(opened_more_than, lines, number))
            talk.send(agent_pb2.ConnectResponse(settled=settled))
            talk.send(None)
        await world.talk(3)
    lost = [line for line in lines if line["event"] == "connection.lost"]
    assert [line["attempt"] for line in lost[:3]] == [1, 1, 1]


async def test_a_stream_that_ends_before_it_is_open_is_opened_again(
    world: World,
) -> None:
    """What is still to be said over it does not hold the agent for ever."""
    world.answerer.made = [encapsulation("union")]
    world.hub.policies["metadata/timestamp.json"] = b"newer"
    refresh, loop = world.answerer.refresh, asyncio.get_running_loop()

    def meanwhile(fetch: Fetch) -> bool:
        if len(world.hub.conversations) == 1:
            talk = world.hub.conversations[0]
            loop.call_soon_threadsafe(talk.send, None)
            asyncio.run_coroutine_threadsafe(until(lambda: talk.ended), loop).result()
        # the answer to this comes after the end of the stream
        return refresh(fetch)

    world.answerer.refresh = meanwhile  # type: ignore[method-assign]
    world.start()
    again = await world.talk(1)
    await until(again.encapsulations)


@pytest.mark.parametrize(
    "error",
    [
        Unauthenticated("CERTIFICATE_EXPIRED", "the hub's clock says so"),
        PolicyDenied("CERTIFICATE_REVOKED", "revoked"),
        Conflict("STREAM_REPLACED", "another one came"),
    ],
)
async def test_a_stream_that_the_hub_ends_is_tried_again(
    world: World, error: AccordError
) -> None:
    agent = world.start()
    with capture_logs(processors=[allow_listed]) as lines:
        (await world.talk()).send(error)
        await world.talk(1)
        assert not agent.done()
    assert error.reason in {line.get("reason") for line in lines}


async def test_without_an_identity_it_does_not_begin(tmp_path: Path) -> None:
    with pytest.raises(AccordError, match="accord-agent enrol"):
        await run(IdentityFiles(tmp_path), AnswererDouble(bytes(32)), timing=QUICK)


async def test_with_an_ended_certificate_it_does_not_dial(world: World) -> None:
    late = utc_now() + world.hub.lifetime
    agent = world.start(clock=lambda: late)
    with pytest.raises(Unauthenticated, match="enrol` again") as caught:
        await agent
    assert caught.value.reason == "CERTIFICATE_EXPIRED"
    assert not world.hub.conversations


async def test_it_ends_when_the_certificate_does_and_says_why(world: World) -> None:
    ahead = datetime.timedelta()

    def clock() -> datetime.datetime:
        return utc_now() + ahead

    agent = world.start(clock=clock)
    talk = await world.talk()
    ahead = world.hub.lifetime
    talk.send(Unauthenticated("CERTIFICATE_EXPIRED", "It has ended."))
    with pytest.raises(Unauthenticated, match="enrol` again"):
        await agent


async def test_a_renewed_certificate_gets_a_new_stream(world: World) -> None:
    world.hub.lifetime = datetime.timedelta(seconds=3)
    await join(world.hub, world.files, world.hub.new_token("shelter-north"))
    first = pki.serial_of(world.files.load().certificate)
    world.start()
    talk = await world.talk(1)
    assert world.hub.renewals >= 1
    serials = [talk.agency.serial for talk in world.hub.conversations]
    assert serials[0] == first
    assert len(set(serials)) == len(serials)
    talk.send(world.hub.requisitions(payload()))
    await until(lambda: any(t.readies() for t in world.hub.conversations))


async def test_cancelling_ends_it_cleanly_while_it_computes(world: World) -> None:
    go = world.answerer.work = Gate()
    agent = world.start()
    talk = await world.talk()
    talk.send(world.hub.requisitions(payload()))
    await until(lambda: world.answerer.asked)
    agent.cancel()
    go.open()
    with pytest.raises(asyncio.CancelledError):
        await agent
    await until(lambda: talk.ended)
    names = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("accord-answers") for name in names)


async def test_a_wrong_clock_is_told_once_a_stream(world: World) -> None:
    late = world.hub.welcome()
    late.now += 4000
    world.hub.welcome = lambda: late  # type: ignore[method-assign]
    with capture_logs(processors=[allow_listed]) as lines:
        world.start()
        await world.talk()
        await until(lambda: any(line["event"] == "clock.differed" for line in lines))
