# SPDX-License-Identifier: Apache-2.0
"""How much of the machine a unit shuts away, and that the agent lives with the rest."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from accord.agent.monitoring import METRICS_PORT
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


@pytest.mark.parametrize("unit", UNITS[:2])
def test_a_unit_shows_the_port_of_the_figures(unit: str) -> None:
    text = (AGENT / unit).read_text(encoding="utf-8")
    (port,) = re.findall(r"^#SocketBindAllow=ipv4:tcp:(\d+)$", text, re.MULTILINE)
    assert int(port) == METRICS_PORT
