# SPDX-License-Identifier: Apache-2.0
"""Agencies that lost their standing: nothing of them counts, and nothing is given."""

from __future__ import annotations

import pytest

from accord.core.errors import PolicyDenied
from accord.rpc.pki import certificate_request, new_key
from accord.v1 import agent_pb2, agent_pb2_grpc, analyst_pb2
from tests.unit.hub.scripted import Asked, ScriptedAgent, answering, silent, until
from tests.unit.hub.world import (
    PARTIES,
    World,
    a_submission,
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


async def answered_and_gone(world: World, submission: str) -> None:
    """Let the agency answer, hang up and be revoked: no stream is there to end."""
    agent = await world.agent(AGENCY, poisoning)
    progress = world.hub._collection.progress
    await until(lambda: progress(submission).answered == [AGENCY])
    await agent.stop()
    await until(lambda: AGENCY not in world.hub._connections.connected())
    revoke(world.state, AGENCY)
    del world.agents[AGENCY]


async def test_a_revoked_agency_s_answer_is_not_published(world: World) -> None:
    stub = world.analyst(add_analyst(world.state, "ana"))
    await world.all_agents(silent)
    asked = a_submission(3.0)
    await call(stub.SubmitQuery(asked))
    await answered_and_gone(world, asked.id)
    for label in PARTIES:
        if label != AGENCY:
            await world.agent(label, answering)
    progress = world.hub._collection.progress
    await until(lambda: progress(asked.id).awaited == [AGENCY])
    look = analyst_pb2.GetSubmissionRequest(id=asked.id)
    waiting = (await call(stub.GetSubmission(look))).submission
    assert waiting.state == analyst_pb2.SUBMISSION_STATE_COLLECTING
    await world.agent(AGENCY, answering)
    release = (await finished(stub, asked.id)).reply.release
    assert list(release.coverage.answered) == list(PARTIES)
    assert all(abs(row.estimate.estimate) < 1000 for row in release.rows)


async def test_an_agency_that_is_let_in_again_is_asked_again(world: World) -> None:
    """Its new certificate does not stand for what it said under the old one."""
    stub = world.analyst(add_analyst(world.state, "ana"))
    await world.all_agents(silent)
    asked = a_submission(3.0)
    await call(stub.SubmitQuery(asked))
    await answered_and_gone(world, asked.id)
    back = await world.agent(AGENCY, answering)
    assert not back.asked
    for label in PARTIES:
        if label != AGENCY:
            await world.agent(label, answering)
    release = (await finished(stub, asked.id)).reply.release
    assert [each.requisition.query_id for each in back.asked] == [asked.id]
    assert all(abs(row.estimate.estimate) < 1000 for row in release.rows)


async def test_an_agency_that_the_boards_no_longer_list_is_out(world: World) -> None:
    listed = repository(world.state).documents()["members.yaml"]
    change(world.state, {"members.yaml": with_member(listed, "other")})
    await until(lambda: world.hub.standing.version == 2)
    before = await world.agent("other")
    assert before.welcome is not None
    await before.stop()
    change(world.state, {"members.yaml": listed})
    await until(lambda: world.hub.standing.version == 3)
    agent = ScriptedAgent(before.identity, world.agents_at, world.model)
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
