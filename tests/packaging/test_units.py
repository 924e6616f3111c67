# SPDX-License-Identifier: Apache-2.0
"""How much of the machine a unit shuts away, and that the agent lives with the rest."""

from __future__ import annotations

import ctypes.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.federation.network import Network
from tests.federation.processes import environment
from tests.federation.small_world import PURPOSE, SmallWorld, invent
from tests.packaging.distributions import ROOT

AGENT = ROOT / "deploy/agent"
INGEST = "accord-agent-ingest.service"
UNITS = ("accord-agent.service", "accord-agent-once.service", INGEST)
pytestmark = pytest.mark.timeout(900)

MOST_EXPOSED = 2.0
KEK = "accord-agent.kek"


def analyze(*words: str | Path) -> str:
    """Run systemd-analyze, which needs no running systemd for this."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze on this machine: install systemd")
    done = subprocess.run(
        [tool, "--no-pager", *words], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def calls_of(group: str) -> set[str]:
    """Return the system calls of one of systemd's groups, with those inside it."""
    found: set[str] = set()
    for line in analyze("syscall-filter", group).splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= calls_of(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def allowed(unit: str) -> set[str]:
    """Return the system calls that a unit leaves its program."""
    text = (AGENT / unit).read_text(encoding="utf-8")
    found: set[str] = set()
    for value in re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE):
        groups = set().union(*map(calls_of, value.lstrip("~").split()))
        found = found - groups if value.startswith("~") else found | groups
    # systemd always allows these, whatever is taken away.
    return found | calls_of("@default")


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_hardly_exposed(unit: str) -> None:
    told = analyze("security", "--offline=true", AGENT / unit)
    level = re.search(r"exposure level for \S+: ([\d.]+)", told)
    if level is None:
        pytest.skip("this systemd-analyze cannot look at a unit that is not loaded")
    assert float(level[1]) <= MOST_EXPOSED, told


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_shows_where_a_credential_and_the_hub_are_named(unit: str) -> None:
    """They differ from agency to agency: lines to fill in, not lines in force."""
    text = (AGENT / unit).read_text(encoding="utf-8")
    for line in (f"LoadCredentialEncrypted={KEK}:", "IPAddressDeny=any"):
        assert re.search(rf"^#{re.escape(line)}", text, re.MULTILINE), line
        assert not re.search(rf"^{re.escape(line)}", text, re.MULTILINE), line


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


@pytest.mark.slow
@pytest.mark.federation
def test_an_agent_answers_with_what_its_unit_leaves_it(tmp_path: Path) -> None:
    """Without rights to make memory executable, and with the unit's system calls."""
    if ctypes.util.find_library("seccomp") is None:
        pytest.skip("no libseccomp on this machine")
    calls = allowed(UNITS[0])
    assert {"read", "futex", "connect"} <= calls
    assert not calls & {"mount", "setuid", "ptrace", "chown", "setpriority"}
    (tmp_path / "calls").write_text("\n".join(sorted(calls)), encoding="utf-8")
    (tmp_path / "sources").mkdir()
    world = invent(tmp_path / "sources")
    with Network.build(tmp_path / "network", world.blueprint()) as network:
        for agent in network.agents.values():
            agent.stop()
            launcher = Path(__file__).with_name("confined.py")
            confined = [sys.executable, str(launcher), str(tmp_path / "calls")]
            agent._command = [*confined, *agent._command]
        read_sources(network, world, tmp_path)
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
        assert result.coverage.is_complete
