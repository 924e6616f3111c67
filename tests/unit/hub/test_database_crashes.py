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

LEAST, MOST = 12, 100
"""Questions; they are asked as long as the server dies."""

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
    asked = 0
    async with asyncio.timeout(200):
        while asked < LEAST or not dying.done():
            await until_known(world, token, question(asked))
            asked += 1
            assert asked < MOST
        await dying
    store = store_of(world.state)
    height = await asyncio.to_thread(store.check)
    with store.read() as tx:
        assert submissions.counts(tx)["released"] == asked
        releases = tx.execute(sa.select(RELEASES.c.ledger_entry)).scalars().all()
        paid = entries(LedgerTransaction(tx), most=1000)
    store.close()
    assert {each.id for each in paid} == set(releases)
    assert {each.state for each in paid} == {State.CHARGED}
    assert height == 2 * asked


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
        await asyncio.sleep(random.uniform(0.1, 0.5))
        with contextlib.suppress(Unreachable):
            process = await asyncio.to_thread(_a_process, store)
            if process is not None:  # the hub may not be back yet
                os.kill(process, signal.SIGKILL)
                left -= 1
    store.close()


def _a_process(store: Store) -> int | None:
    with store.read() as tx:
        found: int | None = tx.exec_driver_sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
        ).scalar()
        return found
