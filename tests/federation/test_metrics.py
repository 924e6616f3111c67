# SPDX-License-Identifier: Apache-2.0
"""Agents that run show figures of themselves, and no record is in them or in a log.

Agencies with 420, 300 and 260 cases lead the same day; their figures are the same text
but for clocks. Leaving the network checks every line of every log.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable

import pytest

from accord.core.errors import RequisitionRefused
from tests.federation.canaries import words_in
from tests.federation.network import Network
from tests.federation.processes import free_port, wait_until
from tests.federation.small_world import PURPOSE, THREE

pytestmark = [pytest.mark.federation, pytest.mark.slow]

CLOCKS = re.compile(r"^(accord_agent_\w+_timestamp_seconds) .*$", re.MULTILINE)


def figures(port: int) -> str:
    address = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(address, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def test_agencies_with_the_same_history_show_the_same_figures(
    clones: Callable[..., Network],
) -> None:
    ports = {label: free_port() for label in THREE}
    with clones() as network:
        network.start_hub()
        for label, port in ports.items():
            place = f"127.0.0.1:{port}"
            network.agents[label].settings["ACCORD_AGENT_METRICS__ADDRESS"] = place
        network.start_agents(THREE)
        with network.connect() as hub:
            three = hub.agreement("three")
            three.persons().by("district").release(epsilon=1, purpose=PURPOSE)
            three.cases().by("gender").release(epsilon=1, purpose=PURPOSE)
            veto = ("veto", "dimension", "harm")
            for label in THREE:
                network.agent_command(label, "rules", *veto)
            with pytest.raises(RequisitionRefused):
                three.cases().by("harm").release(epsilon=1, purpose=PURPOSE)
        answered = 'accord_agent_questions{outcome="answered"} 2.0'
        refused = 'accord_agent_questions{outcome="refused"} 1.0'
        texts = {}
        for label, port in ports.items():
            wait_until(
                lambda port=port: refused in figures(port),  # type: ignore[misc]  # bound now
                f"{label} has refused",
            )
            texts[label] = figures(port)
            assert "accord_agent_connected 1.0" in texts[label]
            assert answered in texts[label]
            assert not words_in(texts[label].encode())
            assert len(CLOCKS.findall(texts[label])) == 3
        assert len({CLOCKS.sub(r"\1", text) for text in texts.values()}) == 1
        events = {
            line["event"] for label in THREE for line in network.agents[label].lines()
        }
        assert events >= {"connection.opened", "vector.masked", "requisition.refused"}
