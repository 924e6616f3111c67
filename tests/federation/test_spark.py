# SPDX-License-Identifier: Apache-2.0
"""A network in which one agency counts in a Spark cluster of its own.

What its statements give is compared with the store in tests/contract/test_pushdown.py;
here an agent is told to use a cluster, and does.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import accord.client as accord
from tests.contract.spark import SparkServer, SparkUnavailableError, server
from tests.federation.network import Network
from tests.federation.small_world import PURPOSE, THREE
from tests.federation.test_pushdown import ALPHA, HUGE, figures, move_to_database

pytestmark = [
    pytest.mark.federation,
    pytest.mark.slow,
    pytest.mark.timeout(900),  # Java starts, and every statement is a job of its own
]


@pytest.fixture(scope="module")
def stack() -> Iterator[contextlib.ExitStack]:
    """What ends the cluster; the last test does."""
    with contextlib.ExitStack() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(
    stack: contextlib.ExitStack, tmp_path_factory: pytest.TempPathFactory
) -> SparkServer:
    for name in ("pandas", "pyarrow", "zstandard"):
        pytest.importorskip(name, reason=f"{name}, for Spark's client, is not there")
    folder: Path = tmp_path_factory.mktemp("spark")
    try:
        return stack.enter_context(server(folder))
    except SparkUnavailableError as reason:
        pytest.skip(f"there is no Spark here: {reason}")


@pytest.fixture(scope="module")
def local(clones: Callable[..., Network]) -> Iterator[Network]:
    """The same network, where everybody counts in the local store."""
    with clones(unsafe=True).start(THREE) as running:
        yield running


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network], cluster: SparkServer) -> Iterator[Network]:
    with clones(unsafe=True) as made:
        move_to_database(made, cluster.url, cluster.token)
        with made.start(THREE) as running:
            yield running


def test_the_commands_of_an_agency_know_its_cluster(network: Network) -> None:
    checked = network.agent_command(ALPHA, "pushdown", "check")
    current, *editions = checked["tables"]
    assert current == "accord_cases"
    assert editions
    found = network.agent_command(ALPHA, "databases", "check", "own")
    assert found["beyond"] is None
    assert {f"default.{each}" for each in editions} < {
        one["table"] for one in found["readable"]
    }


@pytest.mark.parametrize("name", ["persons", "quantile", "values"])
def test_a_release_is_the_same_as_from_local_stores(
    network: Network, local: Network, name: str
) -> None:
    found = figures(network, name)
    assert found == figures(local, name)
    assert any(any(each) for each in found.values())


def test_what_was_counted_in_the_cluster_can_be_audited(network: Network) -> None:
    with network.connect() as hub:
        question = hub.agreement("three").persons().by("gender")
        asked = str(uuid.uuid4())
        question.release(epsilon=HUGE, purpose=PURPOSE, submission_id=asked)
    done = network.agent_command(ALPHA, "audit", asked)
    assert done["result"] == "agrees"


@pytest.mark.last
def test_without_its_cluster_an_agency_refuses_before_it_counts(
    network: Network, stack: contextlib.ExitStack
) -> None:
    """The cluster is gone for good."""
    before = network.charged()
    stack.close()
    with network.connect() as hub:
        question = hub.agreement("three").cases().by("gender")
        with pytest.raises(accord.AccordError) as caught:
            question.release(epsilon=HUGE, purpose=PURPOSE)
    assert f"{ALPHA} (STORE_UNAVAILABLE)" in caught.value.sentence
    assert network.charged() == before
    assert not network.reserved()
