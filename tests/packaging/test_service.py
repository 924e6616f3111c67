# SPDX-License-Identifier: Apache-2.0
"""The agent as a service: how little it takes, and how little it is left."""

from __future__ import annotations

import ctypes.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.federation.network import Network
from tests.federation.processes import environment, wait_until
from tests.federation.small_world import (
    AGREEMENTS,
    MAPPING,
    PURPOSE,
    THREE,
    SmallWorld,
    invent,
)
from tests.packaging.distributions import MEBIBYTE, tell
from tests.packaging.test_units import INGEST, UNITS, allowed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.federation,
    pytest.mark.packaging,
    pytest.mark.timeout(900),
]

MOST_IN_MEMORY = 120 * MEBIBYTE
IDLE_SECONDS = 5
"""After the welcome: what a start needed for the moment is given back by then."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    return invent(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def network(
    world: SmallWorld, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """A hub and three agencies, of which the hub alone runs."""
    whole = world.blueprint()
    few = replace(
        whole,
        agreements={"shared": AGREEMENTS["shared"]},
        mappings=dict.fromkeys(THREE, MAPPING),
        analysts={"ana": whole.analysts["ana"]},
    )
    with Network.build(tmp_path_factory.mktemp("network") / "it", few) as made:
        for agent in made.agents.values():
            agent.stop()
        yield made


def test_an_idle_agent_is_small_in_memory(
    installed: Path, network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    label, agent = next(iter(network.agents.items()))
    state = network.agent_state(label)
    log = network.folder / "installed.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [installed / "bin/accord-agent", "run", "--state", state],
            env=environment(agent.settings),
            stdin=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    try:
        wait_until(lambda: "connection.opened" in log.read_text(), f"{label} is there")
        time.sleep(IDLE_SECONDS)
        memory = resident(process.pid)
    finally:
        process.terminate()
        process.wait(20)
    tell(capsys, "an idle agent in memory", memory)
    assert memory < MOST_IN_MEMORY


def test_an_agent_answers_with_what_its_unit_leaves_it(
    network: Network, world: SmallWorld, tmp_path: Path
) -> None:
    """Without rights to make memory executable, and with the unit's system calls."""
    if ctypes.util.find_library("seccomp") is None:
        pytest.skip("no libseccomp on this machine")
    calls = allowed(UNITS[0])
    assert {"read", "futex", "connect"} <= calls
    assert not calls & {"mount", "setuid", "ptrace", "chown", "setpriority"}
    place = tmp_path / "calls"
    place.write_text("\n".join(sorted(calls)), encoding="utf-8")
    read_sources(network, world, tmp_path)
    launcher = Path(__file__).with_name("confined.py")
    for agent in network.agents.values():
        agent._command = [sys.executable, str(launcher), str(place), *agent._command]
    network.start_agents(network.blueprint.labels)
    for agent in network.agents.values():
        status = Path(f"/proc/{agent.pid}/status").read_text(encoding="utf-8")
        assert re.search(r"^Seccomp:\s*2$", status, re.MULTILINE)
    with network.connect() as hub:
        result = (
            hub.agreement("shared")
            .persons()
            .by("district")
            .release(epsilon=0.5, purpose=PURPOSE)
        )
    for agent in network.agents.values():
        assert agent.stop() == 0
    assert result.coverage.is_complete


def read_sources(network: Network, world: SmallWorld, folder: Path) -> None:
    """Ingest once more, with what the unit leaves that a timer starts."""
    label = network.blueprint.labels[0]
    calls = folder / "calls-of-ingest"
    calls.write_text("\n".join(sorted(allowed(INGEST))), encoding="utf-8")
    launcher = Path(__file__).with_name("confined.py")
    done = subprocess.run(
        [
            *(sys.executable, launcher, calls),
            *(sys.executable, "-m", "accord.agent.cli", "ingest", "--json"),
            *("--state", network.agent_state(label)),
            *("--mapping", network.folder / "agents" / f"{label}.mapping.yaml"),
            *("--model", network.model("small-v1")),
            *world.blueprint().sources[label],
        ],
        env=environment(network.agents[label].settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parts"]


def resident(process: int) -> int:
    """Return the pages that a process has in memory, those of its libraries too."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
