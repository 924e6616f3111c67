# SPDX-License-Identifier: Apache-2.0
"""The database's server dies in the middle of rounds; nothing is lost, or paid twice.

One of its processes is killed with -9, whereupon it ends all of them and recovers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal

import pytest
import sqlalchemy as sa

from accord.core.errors import DeadlineExceeded, InternalError, Unreachable
from accord.hub.db.engine import LedgerTransaction, Store
from accord.hub.db.tables import RELEASES
from accord.hub.rounds import submissions
from accord.ledger import State, entries
from accord.v1 import analyst_pb2, common_pb2
from tests.unit.hub.scripted import answering
from tests.unit.hub.world import (
    World,
    a_query,
    a_submission,
    add_analyst,
    call,
    finished,
    store_of,
)

QUESTIONS = 12

DEATHS = 3

AGAIN = (Unreachable, DeadlineExceeded, InternalError)
"""What a client tries again after, with the same id."""


@pytest.mark.slow
@pytest.mark.parametrize("state", ["postgresql"], indirect=True)
async def test_a_server_that_dies_in_the_middle_of_rounds_loses_nothing(
    world: World,
) -> None:
    await world.all_agents(answering)
    token = add_analyst(world.state, "ana")
    dying = asyncio.create_task(die(world))
    asked = [question(number) for number in range(QUESTIONS)]
    async with asyncio.timeout(200):
        for each in asked:
            await until_known(world, token, each)
        await dying
    store = store_of(world.state)
    height = await asyncio.to_thread(store.check)
    with store.read() as tx:
        assert submissions.counts(tx)["released"] == QUESTIONS
        releases = tx.execute(sa.select(RELEASES.c.ledger_entry)).scalars().all()
        paid = entries(LedgerTransaction(tx), most=1000)
    store.close()
    assert {each.id for each in paid} == set(releases)
    assert {each.state for each in paid} == {State.CHARGED}
    assert height == 2 * QUESTIONS


def question(number: int) -> analyst_pb2.SubmitQueryRequest:
    """Return a question that no other answers."""
    dimension = ("gender", "region", "registered_month")[number % 3]
    groups = [common_pb2.Grouping(dimension=dimension)]
    return a_submission(0.02 + number / 1000, query=a_query(group_by=groups))


async def until_known(
    world: World, token: str, asked: analyst_pb2.SubmitQueryRequest
) -> None:
    stub = world.analyst(token)
    while True:
        with contextlib.suppress(*AGAIN):
            await call(stub.SubmitQuery(asked))
            found = await finished(stub, asked.id)
            assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
            return
        await asyncio.sleep(0.2)


async def die(world: World) -> None:
    """Kill processes of the server that work for the hub, one after the other."""
    store = store_of(world.state)
    left = DEATHS
    while left:
        await asyncio.sleep(random.uniform(0.3, 1.0))
        with contextlib.suppress(Unreachable):
            os.kill(await asyncio.to_thread(_a_process, store), signal.SIGKILL)
            left -= 1
    store.close()


def _a_process(store: Store) -> int:
    with store.read() as tx:
        return int(
            tx.exec_driver_sql(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
            ).scalar_one()
        )
