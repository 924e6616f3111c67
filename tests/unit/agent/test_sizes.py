# SPDX-License-Identifier: Apache-2.0
"""What an agency sends has the same size whatever its records are.

The real answerer speaks to a hub double over mutual TLS; the other members of the
cohort answer beside it. The same day is led with a few cases, with one person less, and
with some hundred cases that lie otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from accord.agent.network.connection import run
from accord.agent.network.identity import IdentityFiles
from accord.agent.network.timing import Timing
from accord.core.terms import Requisition
from accord.rpc.rounds import (
    encapsulation_to_message,
    masked_requests,
    masked_to_messages,
    member_readies_to_messages,
    ready_from_message,
    receipt_from_masked,
    receipts_to_messages,
)
from accord.v1 import agent_pb2
from tests.unit.agent.agencies import NOW
from tests.unit.agent.agency_world import THREE, Templates, World, joined, stored
from tests.unit.agent.agreements import (
    AGENCY,
    AGREEMENT_TEXT,
    FRESHNESS,
    KEY,
    question,
    repository,
    requisition,
    signed,
)
from tests.unit.agent.hub_rounds import Round
from tests.unit.agent.joining import join
from tests.unit.rpc.hub_double import Conversation, running_hub, until

OTHERS = tuple(label for label in THREE if label != AGENCY)
SLOT = 0.05


@dataclasses.dataclass(frozen=True)
class Sent:
    """One message of the agency."""

    kind: str
    size: int


class Day:
    """Leads the agency behind a stream, and the others beside it, through rounds."""

    def __init__(self, world: World, talk: Conversation) -> None:
        self.world = world
        self.talk = talk

    def messages(self, kind: str) -> list[agent_pb2.ConnectRequest]:
        return [each for each in self.talk.received if each.HasField(kind)]  # type: ignore[arg-type]  # names of fields

    async def next(
        self, kind: str, response: agent_pb2.ConnectResponse
    ) -> agent_pb2.ConnectRequest:
        """Send something and return the first message of a kind that follows."""
        known = len(self.messages(kind))
        self.talk.send(response)
        await until(lambda: len(self.messages(kind)) > known, 60)
        return self.messages(kind)[known]

    async def ready(self, asked: Requisition) -> tuple[Round, agent_pb2.Ready]:
        payload, signature = signed(asked)
        hub = self.world.hub
        found = hub.ready((payload, signature), "fallback", OTHERS)
        one = agent_pb2.Requisition(payload=payload, signature=signature, attempt=1)
        batch = agent_pb2.Requisitions(requisitions=[one])
        answer = await self.next(
            "readies", agent_pb2.ConnectResponse(requisitions=batch)
        )
        return found, answer.readies.readies[0]

    async def mask(self, found: Round, own: agent_pb2.Ready) -> agent_pb2.Masked:
        hub = self.world.hub
        readies = [*found.readies, ready_from_message(AGENCY, own)]
        readies.sort(key=lambda each: each.agency)
        lacked = [
            hub.stored[sender, AGENCY]
            for sender in own.lacking
            if (sender, AGENCY) in hub.stored
        ]
        call = agent_pb2.CohortCall(
            query_id=found.query_id,
            attempt=1,
            cohort="fallback",
            readies=member_readies_to_messages(readies),
            encapsulations=[encapsulation_to_message(each) for each in lacked],
        )
        begun = asyncio.get_running_loop().time()
        answer = await self.next(
            "masked",
            agent_pb2.ConnectResponse(cohorts=agent_pb2.CohortCalls(calls=[call])),
        )
        assert asyncio.get_running_loop().time() - begun >= SLOT
        for label in OTHERS:
            found.masked[label] = self.world.answerers[label].mask(
                found.query_id, 1, "fallback", readies, hub.lacked(found, label)
            )
        return answer.masked.masked[0]

    async def reveal(self, found: Round, own: agent_pb2.Masked) -> None:
        receipts = [
            *(found.masked[label].receipt for label in OTHERS),
            receipt_from_masked(AGENCY, own),
        ]
        receipts.sort(key=lambda each: each.agency)
        call = agent_pb2.RevealCall(
            query_id=found.query_id,
            attempt=1,
            receipts=receipts_to_messages(receipts),
        )
        calls = agent_pb2.RevealCalls(calls=[call])
        await self.next("reveals", agent_pb2.ConnectResponse(reveals=calls))

    async def end(self, query_id: str) -> None:
        settled = agent_pb2.Settled(query_ids=[query_id])
        await self.next("erasures", agent_pb2.ConnectResponse(settled=settled))

    async def refused(self, asked: Requisition) -> None:
        payload, signature = signed(asked)
        one = agent_pb2.Requisition(payload=payload, signature=signature, attempt=1)
        batch = agent_pb2.Requisitions(requisitions=[one])
        await self.next("refusals", agent_pb2.ConnectResponse(requisitions=batch))

    async def whole(self) -> None:
        """Answer, be refused, and erase; then prove what was charged."""
        world = self.world
        for asked in (
            world.asked(),
            requisition(question(("registered_month", None), ("region", None))),
        ):
            found, own = await self.ready(asked)
            await self.reveal(found, await self.mask(found, own))
        found, own = await self.ready(world.asked())
        await self.mask(found, own)
        await self.end(found.query_id)
        await self.refused(world.asked(agreement_version=9))
        wanted = agent_pb2.ChargesWanted(since=0)
        await self.next("charges", agent_pb2.ConnectResponse(charges_wanted=wanted))


async def sent(
    templates: Templates, folder: Path, persons: Sequence[int]
) -> list[Sent]:
    """Return what an agency with these persons by region sends on one day."""
    others = templates.world(folder, OTHERS)
    own = joined(stored(folder / AGENCY, AGENCY, persons), AGENCY)
    world = World({**others.states, AGENCY: own}, AGREEMENT_TEXT)
    world.answerers.pop(AGENCY)
    world.hub.members.pop(AGENCY)
    world.hub.collect()
    async with running_hub() as hub:
        hub.signing_key, hub.freshness_key = KEY, FRESHNESS
        hub.publish(repository(), NOW)
        files = IdentityFiles(own.keys)
        await join(
            hub,
            files,
            hub.new_token(AGENCY),
            policies=own.policies,
        )
        timing = Timing(slot=SLOT, heartbeat=3600)
        agent = asyncio.create_task(run(files, world.answerer(AGENCY), timing=timing))
        try:
            await until(lambda: hub.conversations, 60)
            day = Day(world, hub.conversations[0])
            await until(lambda: day.talk.received, 60)
            await day.whole()
        finally:
            agent.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await agent
        return [
            Sent(each.WhichOneof("message") or "", each.ByteSize())
            for each in day.talk.received
        ]


@pytest.mark.slow
async def test_sizes_and_order_are_those_of_the_questions(
    templates: Templates, tmp_path: Path
) -> None:
    base = await sent(templates, tmp_path / "base", (4, 0, 2))
    kinds = {each.kind for each in base}
    assert kinds == {
        *("hello", "readies", "masked", "reveals", "erasures"),
        *("refusals", "charges", "cosignature"),
    }
    assert len({each.size for each in base if each.kind == "masked"}) == 2
    neighbour = await sent(templates, tmp_path / "neighbour", (4, 0, 1))
    assert neighbour == base
    other = await sent(templates, tmp_path / "other", (0, 190, 3, 41))
    assert other == base


def test_a_masked_vector_is_as_long_as_its_layout(world: World) -> None:
    """Words of eight bytes, whatever stands in them."""
    found = world.whole(world.asked())
    lengths = {
        sum(message.ByteSize() for message in requests)
        for requests in (
            list(
                masked_requests(
                    masked_to_messages(found.query_id, 1, each.receipt, each.vector)
                )
            )
            for each in found.masked.values()
        )
    }
    assert len(lengths) == 1
