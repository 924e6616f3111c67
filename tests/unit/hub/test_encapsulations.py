# SPDX-License-Identifier: Apache-2.0
"""Who withholds, forges or floods encapsulations harms itself only."""

from __future__ import annotations

import asyncio
import os

import pytest
import sqlalchemy as sa

from accord.hub.db.engine import Store
from accord.hub.db.tables import ENCAPSULATIONS
from accord.rpc.rounds import encapsulation_to_message
from accord.secagg.keys import encapsulate
from accord.v1 import agent_pb2
from tests.unit.hub.scripted import ScriptedAgent, answering, silent, until
from tests.unit.hub.test_three_rounds import OUTSIDE, Start, asking
from tests.unit.hub.world import FALLBACK, PARTIES, World, audited

HIGHEST = PARTIES[-1]
GARBAGE = 200


async def garbage(agent: ScriptedAgent) -> None:
    """Send what has the right form and nobody signed, to everybody above."""
    for _ in range(GARBAGE // 10):
        made = [
            agent_pb2.Encapsulation(
                sender=agent.identity.agency,
                receiver=receiver,
                ciphertext=os.urandom(1088),
                signature=bytes(64),
            )
            for receiver in PARTIES
            if receiver > agent.identity.agency
            for _ in range(10)
        ]
        await agent.say(
            agent_pb2.ConnectRequest(
                encapsulations=agent_pb2.Encapsulations(encapsulations=made)
            )
        )


@pytest.mark.parametrize("forging", [False, True])
async def test_who_withholds_encapsulations_is_set_aside_and_nobody_else(
    within: Start,
    forging: bool,
) -> None:
    """Its receivers could say nothing, since they were not shown the cohort."""
    world = await within(3)
    for label in PARTIES:
        await world.agent(label, answering, encapsulating=label != OUTSIDE)
    if forging:
        await garbage(world.agents[OUTSIDE])
        await until(lambda: len(audited(world, "encapsulation.rejected")) > 0)
    _, found = await asking(world)
    assert list(found.reply.release.coverage.answered) == list(FALLBACK)
    (ended,) = audited(world, "attempt.ended")
    assert (ended["attempt"], ended["awaited"]) == (1, [OUTSIDE])


async def test_where_no_cohort_is_left_the_one_that_withheld_is_named(
    within: Start,
) -> None:
    world = await within(1)
    for label in PARTIES:
        await world.agent(label, answering, encapsulating=label != "city-police")
    _, found = await asking(world)
    assert found.failure.reason == "AGENCIES_AWAITED"
    assert found.failure.metadata["awaited"] == "city-police"
    assert found.failure.metadata["answered"] == ""


async def test_nobody_is_held_up_for_an_encapsulation_that_a_pair_does_not_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowest label is the receiver of none, whatever it says that it lacks."""
    await world.all_agents()
    monkeypatch.setattr(
        world.agency("city-police"), "_lacking", lambda _members: list(PARTIES)
    )
    _, found = await asking(world)
    assert list(found.reply.release.coverage.answered) == list(PARTIES)


async def test_encapsulations_that_nobody_signed_are_noted_once_and_not_kept(
    world: World,
) -> None:
    police = await world.agent("city-police", silent, encapsulating=False)
    await garbage(police)
    await police.encapsulate()
    pairs = world.hub._collection._pairs
    await until(lambda: pairs.get("city-police", HIGHEST) is not None)
    assert pairs._replaced == {}
    assert audited(world, "encapsulation.rejected") == [{"agency": "city-police"}]


async def test_a_flood_of_signed_encapsulations_waits_for_its_own_writes(
    world: World,
) -> None:
    """At no time is more than one message of a sender in line for the database."""
    agent = await world.agent("city-police", silent, encapsulating=False)
    receiver = agent.agency.directory[HIGHEST]
    sent = [encapsulate(agent.agency.secret, receiver)[0] for _ in range(40)]
    connection = world.hub._connections._open["city-police"]
    collection = world.hub._collection
    journal, most = collection._journal, 0

    async def look() -> None:
        nonlocal most
        while True:
            most = max(most, len(journal._waiting))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await asyncio.gather(
        *(
            collection.intake.encapsulating.take(
                connection,
                agent_pb2.Encapsulations(
                    encapsulations=[encapsulation_to_message(made)] * 5
                ),
            )
            for made in sent
        )
    )
    looking.cancel()
    assert most == 1
    store = Store(world.state.database)
    with store.read() as tx:
        rows = tx.execute(sa.select(ENCAPSULATIONS)).all()
    store.close()
    assert [row.ciphertext for row in rows] == [sent[-1].ciphertext]
    assert collection._pairs.get("city-police", HIGHEST) == sent[-1]
