# SPDX-License-Identifier: Apache-2.0
"""The agent's stream against a hub double, over real mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from accord.agent.network.connection import AnswerVector, Timing, run
from accord.agent.network.identity import IdentityFiles
from accord.agent.network.renewal import Backoff
from accord.core.calendar import Period
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
from accord.rpc.codec import HeldEdition
from accord.rpc.logs import allow_listed
from accord.trust.trusted import Fetch
from accord.v1 import agent_pb2, common_pb2
from tests.unit.agent.joining import join
from tests.unit.rpc.hub_double import (
    Conversation,
    HubDouble,
    running_hub,
    until,
    utc_now,
)

QUICK = Timing(
    heartbeat=0.05,
    editions=0.05,
    policies=60,
    welcome=5,
    backoff=Backoff(least=0.01, most=0.05),
)


def edition(name: str) -> HeldEdition:
    return HeldEdition(
        every=Period.MONTH,
        embargo_days=30,
        name=name,
        data_model="cases-v1",
        data_model_digest="a" * 64,
    )


def payload(query_id: str | None = None, purpose: str = "planning") -> bytes:
    message = agent_pb2.RequisitionPayload(
        query_id=query_id or str(uuid.uuid4()),
        query=common_pb2.Query(agreement="x", edition="2026", measure="persons"),
        agreement_version=1,
        agreement_digest="a" * 64,
        data_model_digest="b" * 64,
        policy_digest="d" * 64,
        cohort="all",
        members=["a", "b", "c"],
        mechanism=agent_pb2.Mechanism(
            kind=agent_pb2.Mechanism.KIND_DISCRETE_GAUSSIAN, scale_numerator=1
        ),
        loss=common_pb2.Loss(nano_rho=1),
        layout_digest="c" * 64,
        purpose=purpose,
        analyst=agent_pb2.Analyst(id="x"),
    )
    return message.SerializeToString()


class AnswererDouble:
    """Answers with a fixed vector, or as a test tells it."""

    def __init__(self, hub_key: bytes) -> None:
        self.hub_key = hub_key
        self.held: list[HeldEdition] = [edition("2026-01")]
        self.wanted = ["metadata/timestamp.json"]
        self.fetched: list[bytes | str] = []
        self.refreshed = 0
        self.threads: set[int] = set()
        self.asked: list[bytes] = []
        self.work: Callable[[], None] = lambda: None

    def editions(self) -> Sequence[HeldEdition]:
        self.threads.add(threading.get_ident())
        return list(self.held)

    def refresh(self, fetch: Fetch) -> bool:
        """Fetch what is wanted; new content counts as newer policies."""
        self.threads.add(threading.get_ident())
        before = list(self.fetched)
        for name in self.wanted:
            try:
                self.fetched.append(fetch(name))
            except AccordError as error:
                self.fetched.append(error.reason)
        self.refreshed += 1
        return self.fetched[-1] not in before

    def answer(self, payload: bytes, signature: bytes, fetch: Fetch) -> AnswerVector:
        self.threads.add(threading.get_ident())
        self.fetch = fetch
        codec.verify_requisition(self.hub_key, payload, signature)
        self.asked.append(payload)
        self.work()
        vector = np.array([4, 0, -8, 1, 0], np.int64)
        return AnswerVector(vector=vector, layout_digest="c" * 64)

    def ledger_height(self) -> int:
        self.threads.add(threading.get_ident())
        return 7


@dataclasses.dataclass
class World:
    hub: HubDouble
    files: IdentityFiles
    answerer: AnswererDouble
    agents: list[asyncio.Task[None]] = dataclasses.field(default_factory=list)

    def start(
        self,
        timing: Timing = QUICK,
        clock: Callable[[], datetime.datetime] = utc_now,
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(
            run(self.files, self.answerer, timing=timing, clock=clock)
        )
        self.agents.append(task)
        return task

    async def talk(self, number: int = 0) -> Conversation:
        """Return the conversation of that number when its hello has come."""
        await until(lambda: len(self.hub.conversations) > number)
        conversation = self.hub.conversations[number]
        await until(lambda: conversation.received)
        return conversation


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_hub() as hub:
        files = IdentityFiles(tmp_path / "keys")
        files.folder.mkdir()
        await join(hub, files, hub.new_token("shelter-north"))
        hub_key = hub.signing_key.public_key().public_bytes_raw()
        world = World(hub, files, AnswererDouble(hub_key))
        try:
            yield world
        finally:
            for agent in world.agents:
                agent.cancel()
                with contextlib.suppress(asyncio.CancelledError, AccordError):
                    await agent


async def test_it_says_hello_and_answers(world: World) -> None:
    world.start()
    talk = await world.talk()
    assert talk.agency.label == "shelter-north"
    hello = talk.received[0].hello
    assert codec.edition_from_message(hello.editions[0]) == edition("2026-01")
    assert (hello.ledger_height, hello.agent_version != "") == (7, True)
    asked = payload()
    talk.send(world.hub.requisition(asked))
    await until(talk.answers)
    [answer] = talk.answers()
    assert answer.query_id == codec.query_id_of(asked)
    assert answer.payload_digest == codec.payload_digest(asked)
    assert (list(answer.vector), answer.layout_digest) == ([4, 0, -8, 1, 0], "c" * 64)


async def test_the_answerer_is_called_from_one_thread_that_is_not_the_loops(
    world: World,
) -> None:
    world.start()
    talk = await world.talk()
    for _ in range(5):
        talk.send(world.hub.requisition(payload()))
    await until(lambda: len(talk.answers()) == 5)
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
    def refuse() -> None:
        raise error

    world.answerer.work = refuse
    with capture_logs(processors=[allow_listed]) as lines:
        world.start()
        talk = await world.talk()
        asked = payload()
        talk.send(world.hub.requisition(asked))
        await until(talk.refusals)
    [refusal] = talk.refusals()
    assert (refusal.reason, list(refusal.clauses)) == (reason, clauses)
    assert refusal.query_id == codec.query_id_of(asked)
    assert refusal.payload_digest == codec.payload_digest(asked)
    assert "Ana Example" not in str(lines) + str(refusal)
    assert not any("dropped" in line for line in lines)


async def test_a_requisition_of_somebody_else_is_refused(world: World) -> None:
    world.start()
    talk = await world.talk()
    message = world.hub.requisition(payload())
    message.requisition.signature = bytes(64)
    talk.send(message)
    await until(talk.refusals)
    assert talk.refusals()[0].reason == common_pb2.REFUSAL_REASON_SIGNATURE_INVALID
    assert not world.answerer.asked


async def test_a_requisition_without_sense_is_dropped(world: World) -> None:
    world.start()
    talk = await world.talk()
    talk.send(world.hub.requisition(b"\xff\xff"))
    talk.send(agent_pb2.ConnectResponse())
    good = payload()
    talk.send(world.hub.requisition(good))
    await until(talk.answers)
    assert world.answerer.asked == [good]


async def test_duplicates_in_flight_are_answered_once(world: World) -> None:
    go = threading.Event()
    world.answerer.work = lambda: world_wait(go)
    world.start()
    talk = await world.talk()
    asked = payload()
    for _ in range(10):
        talk.send(world.hub.requisition(asked))
    last = payload()
    talk.send(world.hub.requisition(last))
    await until(lambda: world.answerer.asked)
    go.set()
    await until(lambda: len(talk.answers()) == 2)
    assert world.answerer.asked == [asked, last]


async def test_a_repeat_after_the_answer_is_answered_again(world: World) -> None:
    world.start()
    talk = await world.talk()
    asked = payload()
    talk.send(world.hub.requisition(asked))
    await until(lambda: len(talk.answers()) == 1)
    talk.send(world.hub.requisition(asked))
    await until(lambda: len(talk.answers()) == 2)
    first, second = talk.answers()
    assert first == second


def world_wait(event: threading.Event) -> None:
    assert event.wait(30), "nobody let the answer go on"


async def test_an_answer_in_flight_survives_a_lost_stream(world: World) -> None:
    go = threading.Event()
    world.answerer.work = lambda: world_wait(go)
    world.start()
    talk = await world.talk()
    asked = payload()
    talk.send(world.hub.requisition(asked))
    await until(lambda: world.answerer.asked)
    talk.send(PreconditionFailed("STREAM_CUT", "The test cut it."))
    # the worker still computes, so the next hello waits for it
    go.set()
    again = await world.talk(1)
    again.send(world.hub.requisition(asked))
    await until(again.answers)
    assert again.answers()[0].query_id == codec.query_id_of(asked)


async def test_a_settled_query_is_not_computed(world: World) -> None:
    go = threading.Event()
    world.answerer.work = lambda: world_wait(go)
    world.start()
    talk = await world.talk()
    first, second, third = payload(), payload(), payload()
    for asked in (first, second, third):
        talk.send(world.hub.requisition(asked))
    await until(lambda: world.answerer.asked)
    settled = agent_pb2.Settled(query_id=codec.query_id_of(second))
    talk.send(agent_pb2.ConnectResponse(settled=settled))
    heard = len(talk.received)
    await until(lambda: len(talk.received) > heard + 1)
    go.set()
    await until(lambda: len(talk.answers()) == 2)
    assert world.answerer.asked == [first, third]


async def test_a_settled_query_can_be_asked_for_again(world: World) -> None:
    go = threading.Event()
    world.answerer.work = lambda: world_wait(go)
    world.start()
    talk = await world.talk()
    asked = payload()
    settled = agent_pb2.Settled(query_id=codec.query_id_of(asked))
    talk.send(world.hub.requisition(asked))
    talk.send(agent_pb2.ConnectResponse(settled=settled))
    talk.send(world.hub.requisition(asked))
    go.set()
    await until(talk.answers)


async def test_many_requisitions_are_all_answered(world: World) -> None:
    world.start()
    talk = await world.talk()
    asked = [payload() for _ in range(60)]
    for one in asked:
        talk.send(world.hub.requisition(one))
    await until(lambda: len(talk.answers()) == 60)
    assert world.answerer.asked == asked


async def test_heartbeats_go_on_while_an_answer_is_computed(world: World) -> None:
    go = threading.Event()
    world.answerer.work = lambda: world_wait(go)
    world.start()
    talk = await world.talk()
    talk.send(world.hub.requisition(payload()))
    await until(lambda: world.answerer.asked)

    def beats() -> list[int]:
        beats = [m.heartbeat for m in talk.received if m.HasField("heartbeat")]
        return [beat.sequence for beat in beats]

    seen = len(beats())
    await until(lambda: len(beats()) > seen + 2)
    go.set()
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
    talk.send(world.hub.requisition(payload()))
    await until(talk.answers)


async def test_a_file_can_be_fetched_while_a_question_is_answered(
    world: World,
) -> None:
    hub, found = world.hub, []
    hub.policies["metadata/timestamp.json"] = b"newer"
    world.answerer.work = lambda: found.append(
        world.answerer.fetch("metadata/timestamp.json")
    )
    world.start()
    talk = await world.talk()
    talk.send(hub.requisition(payload()))
    await until(talk.answers)
    assert found == [b"newer"]


async def test_without_a_stream_nothing_can_be_fetched(world: World) -> None:
    go, ended = threading.Event(), []

    def late() -> None:
        world_wait(go)
        try:
            world.answerer.fetch("metadata/timestamp.json")
        except AccordError as error:
            ended.append(error.reason)

    world.answerer.work = late
    agent = world.start()
    talk = await world.talk()
    talk.send(world.hub.requisition(payload()))
    await until(lambda: world.answerer.asked)
    agent.cancel()
    await until(lambda: talk.ended)
    go.set()
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
    talk.send(world.hub.requisition(payload()))
    await until(talk.answers)


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
        (await world.talk()).send(world.hub.requisition(payload()))
        await world.talk(1)
    assert lines[0]["reason"] == "WELCOME_MISSING"
    assert not world.answerer.asked


async def test_a_stream_that_ends_without_a_word_is_opened_again(world: World) -> None:
    with capture_logs(processors=[allow_listed]) as lines:
        world.start()
        (await world.talk()).send(None)
        await world.talk(1)
    assert "STREAM_ENDED" in {line.get("reason") for line in lines}


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
    talk.send(world.hub.requisition(payload()))
    await until(lambda: any(t.answers() for t in world.hub.conversations))


async def test_cancelling_ends_it_cleanly_while_it_computes(world: World) -> None:
    go = threading.Event()
    world.answerer.work = lambda: world_wait(go)
    agent = world.start()
    talk = await world.talk()
    talk.send(world.hub.requisition(payload()))
    await until(lambda: world.answerer.asked)
    agent.cancel()
    go.set()
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
