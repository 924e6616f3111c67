# SPDX-License-Identifier: Apache-2.0
"""A network in which one agency counts in a PostgreSQL of its own.

Caps are lifted, so that there is next to no noise: figures can be compared with those
of the same network where every agency counts in its local store.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import accord.client as accord
from accord.agent.state import AgentState
from tests.contract.postgres import Cluster, postgres
from tests.federation.network import Network
from tests.federation.small_world import PURPOSE, THREE

__all__ = ["postgres"]

pytestmark = [pytest.mark.federation, pytest.mark.slow]

ALPHA = "alpha"
HUGE = 20_000
"""Leaves noise of a twentieth of a count."""

QUESTIONS: Mapping[str, Callable[[accord.Agreement], accord.Question]] = {
    "persons": lambda three: three.persons().by("district"),
    "filtered": lambda three: three.persons().by("harm").where(gender="woman"),
    "cases": lambda three: three.cases().by("registered_month"),
    "quantile": lambda three: three.quantile("days_in_care").by("gender"),
    "share": lambda three: three.share("harm").by("gender"),
    "values": lambda three: three.values("harm").by("district"),
}


@pytest.fixture(scope="module")
def url(postgres: Cluster) -> str:
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    return postgres.database()


@pytest.fixture(scope="module")
def local(clones: Callable[..., Network]) -> Iterator[Network]:
    """The same network, where everybody counts in the local store."""
    with clones(unsafe=True).start(THREE) as running:
        yield running


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network], url: str) -> Iterator[Network]:
    with clones(unsafe=True) as made:
        move_to_postgresql(made, url)
        with made.start(THREE) as running:
            yield running


def move_to_postgresql(network: Network, url: str) -> None:
    user, _, rest = url.partition("://")[2].partition(":")
    password, _, place = rest.partition("@")
    move_to_database(network, f"postgresql://{user}@{place}", password)


def move_to_database(network: Network, url: str, password: str) -> None:
    """Let one agency begin anew with its editions in a database, by its commands."""
    state = AgentState.open(network.agent_state(ALPHA))
    secret = state.root / "keys" / "database.password"
    secret.write_text(password, encoding="ascii")
    secret.chmod(0o600)
    with state.config.open("a", encoding="utf-8") as file:
        file.write(
            f'\n[databases.own]\nurl = "{url}"\n'
            'password_file = "keys/database.password"\n'
            '[store]\nwhere = "database"\ndatabase = "own"\n'
        )
    done = network.agent_command(ALPHA, "pushdown", "export")
    assert done["cases"] > 0
    for folder in [each for each in state.editions.iterdir() if each.is_dir()]:
        remove(folder)
    with state.ledger() as connection:
        connection.execute("DELETE FROM edition")
    shutil.rmtree(state.builds)
    state.current.unlink()
    frozen = network.agent_command(ALPHA, "freeze")["frozen"]
    assert frozen
    assert not list(state.editions.rglob("*.npy"))


def remove(folder: Path) -> None:
    for directory, _, _ in os.walk(folder):
        Path(directory).chmod(0o700)
    shutil.rmtree(folder)


def figures(network: Network, name: str) -> dict[tuple[str, ...], list[int]]:
    """Ask, and return every figure to the nearest whole number."""
    with network.connect() as hub:
        question = QUESTIONS[name](hub.agreement("three"))
        result = question.release(epsilon=HUGE, purpose=PURPOSE)
    found: dict[tuple[str, ...], list[int]] = {}
    for row in result.rows:
        # A figure of several parts is a quotient of them.
        parts = row.parts or (row.estimate,)
        found[row.values] = [round(part.estimate or 0) for part in parts]
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_release_is_the_same_as_from_local_stores(
    network: Network, local: Network, name: str
) -> None:
    found = figures(network, name)
    assert found == figures(local, name)
    assert any(any(each) for each in found.values())


def test_what_was_counted_in_the_database_can_be_audited(network: Network) -> None:
    with network.connect() as hub:
        question = hub.agreement("three").persons().by("gender")
        asked = str(uuid.uuid4())
        question.release(epsilon=HUGE, purpose=PURPOSE, submission_id=asked)
    done = network.agent_command(ALPHA, "audit", asked)
    assert done["result"] == "agrees"


@pytest.mark.last
def test_without_its_database_an_agency_refuses_before_it_counts(
    network: Network, postgres: Cluster, url: str
) -> None:
    """The database is gone for good."""
    before = network.charged()
    postgres.drop(url)
    with network.connect() as hub:
        question = hub.agreement("three").cases().by("gender")
        with pytest.raises(accord.AccordError) as caught:
            question.release(epsilon=HUGE, purpose=PURPOSE)
    assert f"{ALPHA} (STORE_UNAVAILABLE)" in caught.value.sentence
    assert network.charged() == before
    assert not network.reserved()
    sql = "SELECT count(*) FROM round WHERE state = 'masked'"
    assert network.agent_rows(ALPHA, sql) == [(0,)]
