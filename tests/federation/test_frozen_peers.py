# SPDX-License-Identifier: Apache-2.0
"""A peer that stands still while its kernel acknowledges everything is noticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.small_world import PURPOSE, THREE

pytestmark = [pytest.mark.federation, pytest.mark.slow]

NOTICED_SECONDS = 30.0


@pytest.fixture
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones().start(THREE) as running:
        yield running


def test_a_frozen_hub_is_noticed_by_its_agents(network: Network) -> None:
    """They come back by themselves when it wakes up."""
    network.hub.freeze()
    begin = time.monotonic()
    for label in THREE:
        network.agents[label].wait_line("connection.lost", seconds=NOTICED_SECONDS)
    assert time.monotonic() - begin < NOTICED_SECONDS
    network.hub.thaw()
    for label in THREE:
        agent = network.agents[label]
        wait_until(
            lambda agent=agent: (  # type: ignore[misc]  # bound in this turn
                agent.lines()[-1]["event"] == "connection.opened"
            ),
            f"{label} is back",
            seconds=90,
        )


def test_a_frozen_agent_is_noticed_by_the_hub(network: Network) -> None:
    """Its stream ends; a question that waits for it is answered when it wakes up."""
    agent = network.agents["bravo"]
    agent.freeze()
    connect = {"rpc": "/accord.v1.AgentService/Connect", "agency": "bravo"}
    network.hub.wait_line("rpc.completed", seconds=NOTICED_SECONDS, **connect)
    with network.connect() as hub:
        question = hub.agreement("three").persons().by("district")
        pending = question.release(epsilon=1, purpose=PURPOSE, wait=False)
        assert not pending.done
        agent.thaw()
        result = pending.wait(timeout=60)
    assert result.coverage.answered == THREE
