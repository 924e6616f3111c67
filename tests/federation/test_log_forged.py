# SPDX-License-Identifier: Apache-2.0
"""A hub's operator who has every key changes the past, and no agency answers again.

Real processes: what agents saw of the log is in their databases, and what the operator
does is done to a hub that is stopped, with triggers dropped and everything signed anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import accord.client as accord
from accord.client.proof import proof_from_json
from accord.core.members import load_members
from accord.core.policy import MEMBERS
from accord.hub.identity.authority import load_authority
from accord.hub.serve import utc_now
from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.small_world import PURPOSE, THREE
from tests.unit.hub.forging import below, grow_anew

pytestmark = [pytest.mark.federation, pytest.mark.slow]


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones() as made:
        made.start(THREE)
        yield made


def ask(network: Network, epsilon: float) -> accord.Result:
    with network.connect() as hub:
        question = hub.agreement("three").persons().by("district")
        return question.release(epsilon=epsilon, purpose=PURPOSE)


def proved(network: Network, release: str, members: Path) -> dict[str, Any]:
    options = ("--proof", "--members", str(members), "--json")
    found: dict[str, Any] = network.analyst_command("release", release, *options).json()
    return found


def forge(network: Network) -> None:
    """Say of the first question that somebody else had asked it; sign all anew."""
    key = load_authority(network.hub_state / "keys", utc_now()).requisition_key
    database = network.hub_state / "hub.db"
    with below(database) as connection:
        done = connection.execute(
            "UPDATE audit SET facts = json_set(facts, '$.analyst', 'nobody')"
            " WHERE event = 'query.accepted'"
        )
        assert done.rowcount
    grow_anew(database, key=key)


def test_a_past_that_was_changed_is_found_by_everybody_who_saw_it(
    network: Network, tmp_path: Path
) -> None:
    members = tmp_path / "members.yaml"
    members.write_bytes(network.repository.documents()[MEMBERS])
    result = ask(network, 3)
    wait_until(
        lambda: (
            proved(network, result.id, members)["proven"]["witnesses"] == list(THREE)
        ),
        "all agencies have cosigned the log with the release",
    )
    proof = proved(network, result.id, members)["proof"]
    receipts = network.agent_command(THREE[0], "receipts")["receipts"]
    assert receipts[-1]["question"].startswith("How many persons by district")
    assert receipts[-1]["outcome"] == "opened"
    head = tmp_path / "head.json"
    seen = network.agent_command(THREE[0], "log", "show")
    assert seen["agency"] == THREE[0]
    head.write_text(json.dumps(seen))
    assert network.hub_command("audit", "verify", "--head", str(head))["findings"] == []

    network.hub.stop()
    forge(network)
    assert network.hub_command("audit", "verify")["findings"] == []
    found = network.try_hub_command("audit", "verify", "--head", str(head), "--json")
    assert found.code == 70
    codes = {each["code"] for each in json.loads(found.out)["findings"]}
    assert codes == {"HEAD_DIFFERS"}
    # The proof that was kept needs no hub.
    form = load_members(members.read_text(), "members.yaml")
    assert proof_from_json(proof).verify(form).witnesses == tuple(THREE)

    network.start_hub()
    for label in THREE:
        network.agents[label].stop()
    network.start_agents(THREE)
    with pytest.raises(accord.AccordError) as refused:
        ask(network, 4)
    assert "LOG_FORKED" in str(refused.value.metadata) + refused.value.sentence
    for label in THREE:
        shown = network.agent_command(label, "log", "show")
        assert shown["forks"][0]["seen"]["size"] >= seen["seen"]["size"]
        assert network.agent_command(label, "status")["log"]["forked"]
        last = network.agent_command(label, "receipts")["receipts"][-1]
        assert (last["outcome"], last["reason"]) == ("refused", "LOG_FORKED")

    for label in THREE:
        network.agent_command(label, "log", "accept", "--yes")
    assert ask(network, 5).coverage.is_complete
