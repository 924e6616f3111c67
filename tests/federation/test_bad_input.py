# SPDX-License-Identifier: Apache-2.0
"""What analysts get wrong, at the command line: a sentence, a status, no charge."""

from __future__ import annotations

import contextlib
import json
import resource
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import accord.client as accord
from tests.federation.network import Network, locked
from tests.federation.small_world import PURPOSE, THREE

pytestmark = pytest.mark.federation


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones().start(THREE) as running:
        yield running


@pytest.fixture
def hub(network: Network) -> Iterator[accord.Hub]:
    with network.connect() as connection:
        yield connection


GOOD = {
    "--agreement": "three",
    "--by": "district",
    "--epsilon": "1",
    "--purpose": PURPOSE,
}

WRONG: dict[str, tuple[dict[str, str], int, str]] = {
    "unknown dimension": (
        {"--by": "distrikt"},
        2,
        "has no dimension 'distrikt'. Did you mean 'district'?",
    ),
    "unknown level": ({"--by": "district:county"}, 2, "it has: district, province"),
    "unknown value": ({"--where": "gender=women"}, 2, "Did you mean 'woman'?"),
    "filter without a value": ({"--where": "gender"}, 2, "DIMENSION=VALUE"),
    "unknown measure": ({"--measure": "person"}, 2, "Did you mean 'persons'?"),
    "unknown edition": ({"--edition": "1999-01"}, 4, "alpha, bravo, charlie"),
    "malformed edition": ({"--edition": "newest"}, 2, "2026-03"),
    "epsilon of nothing": ({"--epsilon": "0"}, 2, "epsilon"),
    "epsilon not a number": ({"--epsilon": "nan"}, 2, "epsilon"),
    "epsilon without end": ({"--epsilon": "inf"}, 2, "epsilon"),
    "epsilon below nothing": ({"--epsilon": "-1"}, 2, "epsilon"),
    "epsilon too small": ({"--epsilon": "1e-9"}, 2, "ask for a larger one"),
    "epsilon above the limit": ({"--epsilon": "10.01"}, 4, "10"),
    "too many cells": ({"--by": "parish,workplace"}, 2, "100000"),
    "a purpose of one's own": ({"--purpose": "gossip"}, 4, "prevention planning"),
    "unknown agreement": ({"--agreement": "tree"}, 2, "Did you mean 'three'?"),
    "no agreement": ({"--agreement": ""}, 2, "three"),
}

QUICK = {
    "unknown dimension",
    "epsilon of nothing",
    "epsilon not a number",
    "epsilon above the limit",
    "too many cells",
}
"""What every run tries at the command line; the SDK is asked all of them."""

ONLY_COMMANDS = {"filter without a value", "no agreement"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in WRONG
    ],
)
def test_a_wrong_question_at_the_command_line(network: Network, name: str) -> None:
    changes, code, words = WRONG[name]
    with unchanged(network):
        done = network.analyst_command("query", *options(changes))
    said = " ".join(done.err.split())
    assert done.code == code, said
    assert words in said
    assert "Traceback" not in said
    assert not done.out


def options(changes: dict[str, str]) -> list[str]:
    """Return the command's arguments; several dimensions stand in one entry."""
    found: list[str] = []
    for name, value in (GOOD | changes).items():
        if not value:
            continue
        parts = value.split(",") if name == "--by" else [value]
        for part in parts:
            found += [name, part]
    return found


@contextlib.contextmanager
def unchanged(network: Network) -> Iterator[None]:
    """Fail where anything was charged, reserved, asked of an agency or released."""

    def look() -> list[object]:
        return [
            network.rows("SELECT * FROM ledger_account ORDER BY name"),
            network.rows("SELECT count(*) FROM ledger_event"),
            network.rows("SELECT count(*) FROM submissions"),
            network.rows("SELECT count(*) FROM releases"),
            *(
                network.agent_rows(label, "SELECT count(*) FROM ledger_event")
                for label in THREE
            ),
        ]

    before = look()
    yield
    assert look() == before


@pytest.mark.parametrize("name", sorted(WRONG.keys() - ONLY_COMMANDS))
def test_a_wrong_question_through_the_sdk(
    network: Network, hub: accord.Hub, name: str
) -> None:
    """The same errors as typed ones, with the status that commands end with."""
    changes, code, words = WRONG[name]
    asked = GOOD | changes
    question = hub.agreement(asked["--agreement"]).measure(
        asked.get("--measure", "persons")
    )
    question = question.by(*asked["--by"].split(","))
    if "--where" in asked:
        dimension, _, value = asked["--where"].partition("=")
        question = question.where(**{dimension: value})
    question = question.edition(asked.get("--edition", ""))
    epsilon, purpose = float(asked["--epsilon"]), asked["--purpose"]
    with unchanged(network):
        for ask in (question.price, question.release):
            with pytest.raises(accord.AccordError) as wrong:
                ask(epsilon=epsilon, purpose=purpose)
            assert wrong.value.exit_code == code
            assert words in wrong.value.sentence


def test_the_command_answers_like_the_sdk(network: Network, hub: accord.Hub) -> None:
    """One documented form for machines; a repeat at the command line is free."""
    paid = (
        hub.agreement("three")
        .persons()
        .by("district")
        .release(epsilon=1, purpose=PURPOSE)
    )
    found = network.analyst_command("query", *options({}), "--json").json()
    assert found["release"] == _as_json(paid)["release"]
    assert found["from_archive"] is True
    assert found["charged"] == {"epsilon": 0.0, "rho": 0.0}


def _as_json(result: accord.Result) -> dict[str, object]:
    """Return what the documented form looks like after it was written and read."""
    found: dict[str, object] = json.loads(json.dumps(result.as_json()))
    return found


@pytest.mark.slow
def test_a_database_that_somebody_holds_on_to(
    network: Network, hub: accord.Hub
) -> None:
    """The question is not taken, and nothing is charged; later it is."""
    name = str(uuid.uuid4())
    question = hub.agreement("three").persons().by("gender")
    with unchanged(network), locked(network.hub_state / "hub.db"):
        with pytest.raises(accord.Unreachable) as busy:
            question.release(epsilon=1, purpose=PURPOSE, submission_id=name)
        assert busy.value.reason == "STORE_UNAVAILABLE"
        assert str(network.folder) not in busy.value.sentence
    question.release(epsilon=1, purpose=PURPOSE, submission_id=name)


def test_a_disk_that_takes_no_more(network: Network, hub: accord.Hub) -> None:
    """No file of the hub can grow: its commits fail and it goes on."""
    name = str(uuid.uuid4())
    question = hub.agreement("three").cases().by("district")
    full = min(path.stat().st_size for path in _growing(network))
    limits = resource.prlimit(network.hub.pid, resource.RLIMIT_FSIZE)
    with unchanged(network):
        resource.prlimit(network.hub.pid, resource.RLIMIT_FSIZE, (full, limits[1]))
        try:
            with pytest.raises(accord.Unreachable) as full_disk:
                question.release(epsilon=1, purpose=PURPOSE, submission_id=name)
        finally:
            resource.prlimit(network.hub.pid, resource.RLIMIT_FSIZE, limits)
        assert full_disk.value.reason == "STORE_UNAVAILABLE"
    result = question.release(epsilon=1, purpose=PURPOSE, submission_id=name)
    events = "SELECT kind FROM ledger_event WHERE entry = ? ORDER BY height"
    assert network.rows(events, name) == [("reserve",), ("charge",)]
    assert len(network.rows("SELECT 1 FROM releases WHERE id = ?", result.id)) == 1


def _growing(network: Network) -> list[Path]:
    """Return the files that a commit writes."""
    return [path for path in network.hub_state.glob("hub.db-wal") if path.exists()]
