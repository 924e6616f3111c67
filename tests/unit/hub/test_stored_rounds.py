# SPDX-License-Identifier: Apache-2.0
"""What the hub writes down of a round tells nothing about anybody's figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sqlalchemy as sa

from accord.hub.db.engine import Store
from accord.hub.db.tables import ROUND_RECEIPTS
from accord.v1 import common_pb2
from tests.unit.hub.scripted import answering, until
from tests.unit.hub.world import (
    PARTIES,
    World,
    a_query,
    a_submission,
    add_analyst,
    call,
    edit_agreement,
    finished,
)

LEAST = 1e-9
"""A right program fails a statistical test this seldom."""


def chi_square_p(content: bytes) -> float:
    """Return how probable it is that uniform bytes are at least so uneven.

    With 255 degrees of freedom the cube root of the statistic is normal, up to a
    relative error of the tail that does not matter here (Wilson and Hilferty 1931).
    """
    counts = np.bincount(np.frombuffer(content, np.uint8), minlength=256)
    expected = len(content) / 256
    statistic = float(((counts - expected) ** 2 / expected).sum())
    spread = 2 / (9 * 255)
    normal = ((statistic / 255) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return math.erfc(normal / math.sqrt(2)) / 2


@pytest.mark.stat
async def test_stored_vectors_are_uniform_whatever_was_counted(world: World) -> None:
    """All agencies count nothing, and the hub alone would add noise."""
    await world.stop_hub()
    edit_agreement(
        world.state,
        {
            "noise: shared ": "noise: hub ",
            "hub_sees_at_most: {epsilon: 6} ": "hub_sees_exact_pooled_sums: accepted ",
        },
    )
    await world.start()
    for label in PARTIES:
        await world.agent(
            label,
            lambda asked: asked.answer([0] * asked.layout.size),
            stop_before="reveal",
        )
    stub = world.analyst(add_analyst(world.state, "ana"))
    groups = [
        common_pb2.Grouping(dimension="registered_month"),
        common_pb2.Grouping(dimension="region"),
        common_pb2.Grouping(dimension="gender"),
    ]
    asked = a_submission(3.0, query=a_query(group_by=groups))
    await call(stub.SubmitQuery(asked))
    for agent in world.agents.values():
        await until(lambda agent=agent: len(agent.reveals) == 1)  # type: ignore[misc]
    store = Store(world.state.database)
    with store.read() as tx:
        vectors = list(tx.execute(sa.select(ROUND_RECEIPTS.c.vector)).scalars())
    store.close()
    assert len(vectors) == len(PARTIES)
    for vector in vectors:
        assert len(vector) > 10_000
        assert chi_square_p(vector) > LEAST
        for place in range(8):
            assert chi_square_p(vector[place::8]) > LEAST
    # neither do they together, as long as a seed is missing
    words = [np.frombuffer(vector, "<u8") for vector in vectors]
    total = words[0].copy()
    for each in words[1:]:
        total += each
        assert chi_square_p(total.tobytes()) > LEAST
    # and the test would notice figures: they have mostly zero bytes
    figures = np.random.default_rng(1).integers(0, 1000, len(words[0]), np.uint64)
    assert chi_square_p(figures.tobytes()) < LEAST


async def test_no_file_has_a_seed_or_what_it_opens(world: World) -> None:
    """Agencies' figures make a sum that can be told apart, before and after."""
    await world.stop_hub()
    edit_agreement(
        world.state,
        {
            "noise: shared ": "noise: hub ",
            "hub_sees_at_most: {epsilon: 6} ": "hub_sees_exact_pooled_sums: accepted ",
        },
    )
    await world.start()
    marked = 12_345_678_901
    for label in PARTIES:
        await world.agent(
            label,
            lambda asked: asked.answer([marked] * asked.layout.size),
            stop_before="" if label == PARTIES[0] else "reveal",
        )
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    for agent in world.agents.values():
        await until(lambda agent=agent: len(agent.reveals) == 1)  # type: ignore[misc]
    progress = world.hub._collection.progress
    await until(lambda: progress(asked.id).answered == [PARTIES[0]])
    seeds = [world.agency(label).parts[asked.id].seed for label in PARTIES]
    numbers = (marked, len(PARTIES) * marked)

    needles = [n.to_bytes(8, order) for n in numbers for order in ("little", "big")]
    needles += [*seeds, *(seed.hex().encode() for seed in seeds)]

    def search() -> None:
        for path in world.state.root.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                for needle in (
                    *needles,
                    *seeds,
                    *(seed.hex().encode() for seed in seeds),
                ):
                    assert needle not in content, path.name

    search()
    for label in PARTIES[1:]:
        await world.agent(label, answering)
    await finished(stub, asked.id)
    search()
    await world.stop_hub()
    search()
