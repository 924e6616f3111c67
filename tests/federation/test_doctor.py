# SPDX-License-Identifier: Apache-2.0
"""An agent that works is well, and one that cannot is told why: the real programs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.federation.network import Network

pytestmark = [pytest.mark.federation, pytest.mark.slow]


def examined(network: Network, label: str) -> tuple[int, dict[str, list[Any]]]:
    """Return exit status and findings of an agency's doctor, by thing."""
    done = network.try_agent_command(
        label, "doctor", "--hub", network.address, "--json"
    )
    found: dict[str, list[Any]] = {}
    for finding in json.loads(done.out)["findings"]:
        found.setdefault(finding["thing"], []).append(finding)
    return done.code, found


def test_a_working_agent_is_well(network: Network) -> None:
    network.start(["alpha"])
    status, found = examined(network, "alpha")
    wrong = [each for all_of in found.values() for each in all_of]
    wrong = [each for each in wrong if each["verdict"] == "wrong"]
    assert (status, wrong) == (0, [])
    for thing in (
        *("ledger", "keys", "settings", "certificate", "proxy", "agents' port"),
        *("time", "hub", "public port", "policies", "agreements", "store", "editions"),
    ):
        assert [each["verdict"] for each in found[thing]] == ["ok"], found[thing]
    assert "three" in found["agreements"][0]["text"]


def test_a_hub_that_is_away_is_told(network: Network) -> None:
    network.hub.stop()
    status, found = examined(network, "alpha")
    assert status == 3
    (port,) = found["agents' port"]
    assert (port["verdict"], port["reason"]) == ("wrong", "HUB_UNREACHABLE")
    assert "hub" not in found
    assert found["policies"][0]["verdict"] == "ok"
