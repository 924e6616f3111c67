# SPDX-License-Identifier: Apache-2.0
"""Which refusals count: those of the query, whatever else the agency still knows."""

from __future__ import annotations

from accord.rpc.codec import UNKNOWN_PAYLOAD
from accord.v1 import analyst_pb2
from tests.unit.hub.scripted import Asked, answering
from tests.unit.hub.world import (
    PARTIES,
    World,
    a_submission,
    add_analyst,
    call,
    finished,
)


async def test_a_refusal_counts_where_the_agent_cannot_name_the_payload(
    world: World,
) -> None:
    """Else the others would wait for the deadline."""

    async def forgetful(asked: Asked) -> None:
        await asked.refuse("BUDGET_EXHAUSTED", payload_digest=UNKNOWN_PAYLOAD)

    for label in PARTIES:
        await world.agent(label, forgetful if label == "city-police" else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    found = await finished(stub, asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_FAILED
    assert list(found.refused) == ["city-police"]


async def test_a_refusal_of_another_payload_does_not_count(world: World) -> None:
    async def confused(asked: Asked) -> None:
        await asked.refuse(payload_digest="1" * 64)
        await asked.answer()

    for label in PARTIES:
        await world.agent(label, confused if label == "city-police" else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert list(release.coverage.answered) == sorted(PARTIES)
