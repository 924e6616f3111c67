# SPDX-License-Identifier: Apache-2.0
"""Three hubs under load, of which one is killed again and again."""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import accord.client as accord
from tests.contract.postgres import Cluster, postgres
from tests.federation.network import Network
from tests.federation.replicated import ReplicatedNetwork
from tests.federation.small_world import PURPOSE, THREE

__all__ = ["postgres"]

pytestmark = [pytest.mark.federation, pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = 20
ASKING = 4
"""Analysts' programs that ask one question after the other."""


@pytest.fixture
def network(
    original: Network, tmp_path_factory: pytest.TempPathFactory, postgres: Cluster
) -> Iterator[ReplicatedNetwork]:
    """Return a network of three hubs."""
    folder = tmp_path_factory.mktemp("replicas") / "it"
    url = postgres.database(driver="postgresql")
    made = ReplicatedNetwork(original, folder, url, 3)
    with made.front, made.back, made.start(THREE):
        yield made


def ask(network: ReplicatedNetwork, numbers: Iterator[int]) -> accord.Result:
    """Ask a question that nobody asked before, with one id, until it is answered."""
    submission = str(uuid.uuid4())
    epsilon = 0.5 + next(numbers) / 512
    while True:
        try:
            with network.connect() as hub:
                question = hub.agreement("three").persons().by("district")
                return question.release(
                    epsilon=epsilon,
                    purpose=PURPOSE,
                    submission_id=submission,
                    timeout=120,
                )
        except accord.Unreachable:
            time.sleep(0.1)


def test_twenty_kills_lose_nothing_and_repeat_nothing(
    network: ReplicatedNetwork,
) -> None:
    numbers, stop = itertools.count(), threading.Event()
    answered: list[accord.Result] = []

    def keep_asking() -> None:
        while not stop.is_set():
            answered.append(ask(network, numbers))

    draw = random.Random(20_261_129)
    with ThreadPoolExecutor(ASKING) as pool:
        asking = [pool.submit(keep_asking) for _ in range(ASKING)]
        try:
            for _ in range(KILLS):
                time.sleep(draw.uniform(0.2, 2))
                victim = draw.choice(network.replicas)
                victim.kill()
                time.sleep(draw.uniform(0, 1))
                network.start_replica(victim)
        finally:
            stop.set()
        for each in asking:
            each.result(180)
    assert len(answered) > KILLS
    states = dict(
        network.rows("SELECT state, count(*) FROM submissions GROUP BY state")
    )
    assert states == {"released": len(answered)}
    network.assert_books_agree(THREE)
    # An answer that is there already serves whoever asks for a less accurate one.
    own = "SELECT entry FROM ledger_event WHERE kind = 'charge' ORDER BY entry"
    charges = network.rows(own)
    assert len(charges) == len({each.id for each in answered})
    for label in THREE:
        assert network.agent_rows(label, own) == charges
