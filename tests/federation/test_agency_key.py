# SPDX-License-Identifier: Apache-2.0
"""An agency changes the key by which the board knows it, while everything runs."""

from __future__ import annotations

import json

import pytest

import accord.client as accord
from accord.core.policy import MEMBERS
from tests import policies
from tests.federation.asked import Asked
from tests.federation.network import Network
from tests.federation.relays import MessageRelay
from tests.federation.small_world import THREE, SmallWorld

pytestmark = [pytest.mark.federation, pytest.mark.slow]

CHANGED = "bravo"
UNLISTED = "MEMBER_KEY_UNLISTED"
OTHERS = tuple(label for label in THREE if label != CHANGED)


def listed_keys(network: Network) -> dict[str, str]:
    """Return what the board has to list for the agency now, as its agent says."""
    found = network.agent_command(CHANGED, "keys", "rotate-agency")
    return {
        "key": found["agency_key"],
        **{name: found[name] for name in ("exchange", "kem") if found.get(name)},
    }


def test_the_board_signs_another_key_and_the_agency_answers_with_it(
    network: Network,
    relay: MessageRelay,
    hub: accord.Hub,
    world: SmallWorld,
    asked: Asked,
) -> None:
    before = network.agent_command(CHANGED, "keys")["agency_key"]
    prepared = listed_keys(network)
    assert prepared["key"] != before
    asked.submit()
    asked.assert_answered_once()  # the key in use is still the one that is listed

    text = network.repository.documents()[MEMBERS]
    members = policies.filled_members(text, agencies={CHANGED: prepared})
    version = network.decide({MEMBERS: members})
    network.agents[CHANGED].wait_line("connection.lost", reason=UNLISTED)
    network.wait_learned(version, OTHERS)

    with Asked(network, hub, world) as waiting:
        waiting.submit()
        waiting.wait_awaited("ready", CHANGED)
        assert network.agents[CHANGED].stop() == 0
        options = network.join_options(CHANGED)
        early = network.try_agent_command(CHANGED, "enrol", *options, "--json")
        assert json.loads(early.err)["error"]["reason"] == UNLISTED
        switched = network.agent_command(CHANGED, "keys", "rotate-agency", "--switch")
        assert switched["agency_key"] == prepared["key"]
        # The token that opened nothing was not used up.
        network.agent_command(CHANGED, "enrol", *options)
        network.route(CHANGED, relay.port)
        network.start_agent(CHANGED)
        waiting.assert_answered_once()
    assert network.agent_version(CHANGED) >= version
    assert network.agent_command(CHANGED, "keys")["agency_key"] == prepared["key"]
