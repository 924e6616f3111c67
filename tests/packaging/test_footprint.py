# SPDX-License-Identifier: Apache-2.0
"""What the agent costs an agency's machine: disk, memory, what a start imports."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.federation.network import Network
from tests.federation.processes import environment, wait_until
from tests.federation.small_world import invent
from tests.packaging.distributions import ROOT, Wheel, run

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(600)]

MEBIBYTE = 1 << 20
MOST_ON_DISK = 280 * MEBIBYTE
MOST_IN_MEMORY = 120 * MEBIBYTE
IDLE_SECONDS = 5
"""After the welcome: what a start needed for the moment is given back by then."""

LATER = (
    *("duckdb", "jinja2", "opentelemetry", "prometheus_client", "pymssql", "pymysql"),
    *("pyspark", "python_calamine", "sqlalchemy", "sqlglot", "starlette", "uvicorn"),
    "xlsxwriter",
)
"""What only some commands, or only some agencies, ever need."""

LOADED = (
    "import sys, accord.agent.cli; "
    "print(*sorted({n.partition('.')[0] for n in sys.modules} & set(sys.argv[1:])))"
)


@pytest.fixture(scope="module")
def installed(slim: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh environment with the agent alone, as its lock has it."""
    folder = tmp_path_factory.mktemp("footprint") / "agent"
    run(sys.executable, "-m", "venv", folder)
    pip = (folder / "bin/python", "-m", "pip", "--quiet", "install")
    run(*pip, "--require-hashes", "-r", ROOT / "deploy/agent/requirements.lock")
    run(*pip, "--no-deps", slim.path)
    return folder


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A hub and agencies, of which the hub alone still runs."""
    (tmp_path / "sources").mkdir()
    world = invent(tmp_path / "sources")
    with Network.build(tmp_path / "network", world.blueprint()) as network:
        for agent in network.agents.values():
            agent.stop()
        yield network


def test_a_start_loads_nothing_that_only_some_need() -> None:
    """Drivers, pages and the reader of sources are imported where they are used."""
    done = run(sys.executable, "-c", LOADED, *LATER)
    assert done.split() == []


@pytest.mark.slow
def test_the_agent_is_small_on_disk(
    installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = disk(installed)
    tell(capsys, f"the agent on disk, without database drivers: {figure(used)}")
    assert used < MOST_ON_DISK


@pytest.mark.slow
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
    tell(capsys, f"an idle agent in memory: {figure(memory)}")
    assert memory < MOST_IN_MEMORY


def tell(capsys: pytest.CaptureFixture[str], sentence: str) -> None:
    """Show a figure whether or not the test passes."""
    with capsys.disabled():
        sys.stdout.write(f"\n{sentence}\n")


def figure(size: int) -> str:
    return f"{size / MEBIBYTE:.0f} MiB"


def disk(folder: Path) -> int:
    """Return what files take from a disk, in blocks as `du` counts them."""
    places = {
        (found.st_dev, found.st_ino): found.st_blocks * 512
        for found in (path.lstat() for path in folder.rglob("*"))
    }
    return sum(places.values())


def resident(process: int) -> int:
    """Return the pages that a process has in memory, those of its libraries too."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
