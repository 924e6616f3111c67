# SPDX-License-Identifier: Apache-2.0
"""One network is built for all tests here; each module gets copies of its own."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import accord.client as accord
from tests.federation.asked import Asked
from tests.federation.network import Network
from tests.federation.relays import MessageRelay
from tests.federation.small_world import THREE, SmallWorld, invent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what ends a thing for good behind the other tests of its module."""
    begins: dict[object, int] = {}
    for number, item in enumerate(items):
        begins.setdefault(item.path, number)

    def place(item: pytest.Item) -> tuple[int, bool]:
        return begins[item.path], item.get_closest_marker("last") is not None

    items.sort(key=place)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    """Records of five invented agencies, and what is true about them."""
    return invent(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def original(
    world: SmallWorld, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Network:
    """The network of all five, stopped: to be cloned. One worker builds it for all."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "original"
    tokens = folder / "tokens.json"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tokens.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with Network.build(folder, world.blueprint()) as network:
                made = json.dumps(network.tokens)
            tokens.write_text(made, encoding="utf-8")
            return network
    network = Network(folder, world.blueprint())
    network.tokens = json.loads(tokens.read_text(encoding="utf-8"))
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
