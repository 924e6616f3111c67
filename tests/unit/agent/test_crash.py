# SPDX-License-Identifier: Apache-2.0
"""Ingests that are killed, or whose disk is full: the store that was there stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from tests.unit.agent.agencies import (
    MAPPING_TEXT,
    MODEL_TEXT,
    ingest_rows,
    new_state,
    row,
    store_bytes,
    write_csv,
)
from tests.unit.agent.command import SCRIPT

ROWS = 20_000


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    rows = [
        row(first=f"P{n % 9000}", number=str(n), days=str(n % 700)) for n in range(ROWS)
    ]
    (folder / "mapping.yaml").write_text(MAPPING_TEXT)
    (folder / "small.yaml").write_text(MODEL_TEXT)
    return write_csv(folder / "cases.csv", rows)


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    made = new_state(tmp_path / "state")
    ingest_rows(made, [row()])
    return made


LIMITED = """\
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
"""
"""Run by the command's process itself: a fork of this one may have gRPC's threads."""


def begin(
    state: AgentState, source: Path, largest: int | None = None
) -> subprocess.Popen[str]:
    """Start the command on a large source, where no file is to exceed *largest*."""
    folder = source.parent
    arguments = ["ingest", source, "--mapping", folder / "mapping.yaml"]
    arguments += ["--model", folder / "small.yaml", "--state", state.root]
    limit = "" if largest is None else LIMITED.format(size=largest)
    return subprocess.Popen(
        [sys.executable, "-c", limit + SCRIPT, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def reached(state: AgentState, stage: str) -> bool:
    return any(state.scratch.glob(f"ingest-*/{stage}"))


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param("spill", marks=pytest.mark.slow),
        pytest.param("part/persons.npy.raw", marks=pytest.mark.slow),
        "part/cases.parquet",
        pytest.param("build/.*partial", marks=pytest.mark.slow),
        "build/store.json",
    ],
)
def test_a_killed_ingest_changes_nothing(
    state: AgentState, source: Path, stage: str
) -> None:
    before = store_bytes(state)
    process = begin(state, source)
    deadline = time.monotonic() + 60
    while not reached(state, stage) and process.poll() is None:
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with Columns.open(state.current) as columns:
        rows = columns.rows
    assert rows in (1, ROWS)
    if rows == 1:
        assert store_bytes(state) == before
    done = begin(state, source)
    _, said = done.communicate()
    assert done.returncode == 0, said
    with Columns.open(state.current) as columns:
        assert columns.rows == ROWS
    assert not list(state.scratch.iterdir())
    assert len(list(state.builds.iterdir())) == 1


@pytest.mark.parametrize("size", [2_000, 20_000, 200_000])
def test_a_full_disk_is_said_so_and_changes_nothing(
    state: AgentState, source: Path, size: int
) -> None:
    """No file may grow beyond *size*, so some write of the ingest fails."""
    before = store_bytes(state)
    process = begin(state, source, largest=size)
    _, said = process.communicate()
    assert process.returncode == 4, said
    assert "is unchanged" in said.replace("\n", " ")
    assert "Traceback" not in said
    assert store_bytes(state) == before
    assert not list(state.scratch.iterdir())
