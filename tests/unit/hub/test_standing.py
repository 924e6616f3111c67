# SPDX-License-Identifier: Apache-2.0
"""Agencies that lost their standing: nothing of them counts, and nothing is given."""

from __future__ import annotations

import pytest

from accord.core.errors import PolicyDenied
from accord.hub.rounds.stages import Stage
from accord.rpc.pki import certificate_request, new_key
from accord.v1 import agent_pb2, agent_pb2_grpc
from tests.unit.hub.scripted import Asked, answering, silent, until
from tests.unit.hub.world import (
    FALLBACK,
    PARTIES,
    World,
    a_submission,
    account,
    add_analyst,
    call,
    change,
    finished,
    repository,
    revoke,
    with_member,
)

AGENCY = "health-service"


async def poisoning(asked: Asked) -> None:
    """Answer with a million in every cell."""
    await asked.answer([4 * 10**6] * asked.layout.n_cells + [0, 0])


async def gone(world: World) -> None:
    """Let an agency hang up and be revoked: no stream is there to end."""
    await world.agents[AGENCY].stop()
    await until(lambda: AGENCY not in world.hub._connections.connected())
    revoke(world.state, AGENCY)
    del world.agents[AGENCY]


async def test_a_revoked_agency_s_figures_are_not_opened(world: World) -> None:
    """They were handed in before: another attempt goes on without them."""
    stub = world.analyst(add_analyst(world.state, "ana"))
    for label in PARTIES:
        if label == AGENCY:
            await world.agent(label, poisoning)
        else:
            await world.agent(label, answering, stop_before="masked")
    asked = a_submission(3.0)
    await call(stub.SubmitQuery(asked))
    progress = world.hub._collection.progress
    await until(lambda: progress(asked.id).stage is Stage.MASKED)
    await until(lambda: progress(asked.id).answered == [AGENCY])
    await gone(world)
    for label in PARTIES:
        if label != AGENCY:
            await world.agent(label, answering)
    release = (await finished(stub, asked.id)).reply.release
    assert list(release.coverage.answered) == list(FALLBACK)
    assert all(abs(row.estimate.estimate) < 1000 for row in release.rows)
    assert account(world, f"agency/{AGENCY}") == (0, 0)


async def test_an_agency_that_is_let_in_again_goes_on(world: World) -> None:
    """Its fresh key is signed with the key that the board lists, whatever it joined."""
    stub = world.analyst(add_analyst(world.state, "ana"))
    await world.all_agents(silent)
    asked = a_submission(3.0)
    await call(stub.SubmitQuery(asked))
    progress = world.hub._collection.progress
    await world.agent(AGENCY, answering)
    await until(lambda: progress(asked.id).answered == [AGENCY])
    await gone(world)
    for label in PARTIES:
        if label != AGENCY:
            await world.agent(label, answering)
    await until(lambda: progress(asked.id).awaited == [AGENCY])
    await world.agent(AGENCY, answering)
    release = (await finished(stub, asked.id)).reply.release
    assert list(release.coverage.answered) == list(PARTIES)


async def test_an_agency_that_the_boards_no_longer_list_is_out(world: World) -> None:
    listed = repository(world.state).documents()["members.yaml"]
    change(world.state, {"members.yaml": with_member(listed, "other")})
    await until(lambda: world.hub.standing.version == 2)
    before = await world.agent("other")
    assert before.welcome is not None
    await before.stop()
    change(world.state, {"members.yaml": listed})
    await until(lambda: world.hub.standing.version == 3)
    agent = world.stream(before.identity)
    await agent.start(answering)
    assert isinstance(agent.ended, PolicyDenied)
    assert agent.ended.reason == "MEMBER_UNKNOWN"
    async with agent.channel() as channel:
        stub = agent_pb2_grpc.AgentServiceStub(channel)
        renewal = agent_pb2.RenewRequest(
            certificate_request=certificate_request(new_key())
        )
        with pytest.raises(PolicyDenied) as caught:
            await call(stub.Renew(renewal))
        assert caught.value.reason == "MEMBER_UNKNOWN"
        request = agent_pb2.FetchPolicyRequest(path="metadata/timestamp.json")
        with pytest.raises(PolicyDenied) as caught:
            await call(stub.FetchPolicy(request))
        assert caught.value.reason == "MEMBER_UNKNOWN"
