# SPDX-License-Identifier: Apache-2.0
"""One network is built for all tests here; each module gets copies of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import accord.client as accord
from tests.federation.asked import Asked
from tests.federation.network import Network
from tests.federation.relays import MessageRelay
from tests.federation.small_world import THREE, SmallWorld, invent


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    """Records of five invented agencies, and what is true about them."""
    return invent(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def original(world: SmallWorld, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The network of all five, stopped: to be cloned."""
    folder = tmp_path_factory.mktemp("original")
    with Network.build(folder, world.blueprint()) as network:
        return network


@pytest.fixture(scope="module")
def clones(
    original: Network, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Network]]:
    """Make stopped copies; what still runs at the end of the module is ended."""
    made: list[Network] = []

    def clone(**changes: Any) -> Network:  # noqa: ANN401
        network = original.clone(tmp_path_factory.mktemp("network") / "it", **changes)
        made.append(network)
        return network

    yield clone
    for network in made:
        network.kill()


# For modules in which things go wrong: three agents behind a relay.


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    """Return a network of which nothing runs yet; it ends with clean logs."""
    with clones() as made:
        yield made


@pytest.fixture(scope="module")
def standing(network: Network) -> Iterator[MessageRelay]:
    with MessageRelay(network) as relay:
        for label in THREE:
            network.route(label, relay.port)
        yield relay
        network.stop()


@pytest.fixture
def relay(standing: MessageRelay, network: Network) -> Iterator[MessageRelay]:
    """Everybody is there, nothing is held, and nothing was seen yet."""
    standing.reset()
    if not network.hub.is_running:
        network.start_hub()
    network.start_agents(
        label for label in THREE if not network.agents[label].is_running
    )
    standing.reset()
    yield standing
    standing.reset()


@pytest.fixture
def hub(network: Network, relay: MessageRelay) -> Iterator[accord.Hub]:
    """Return an analyst's connection."""
    assert relay.port
    with network.connect() as connection:
        yield connection


@pytest.fixture
def asked(network: Network, hub: accord.Hub, world: SmallWorld) -> Iterator[Asked]:
    """Return a question that was not asked before."""
    with Asked(network, hub, world) as question:
        yield question
