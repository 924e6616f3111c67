# SPDX-License-Identifier: Apache-2.0
"""Ingests of changes that are killed: the next one loses and repeats nothing."""

from __future__ import annotations

import datetime
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from accord.agent.intake.parts import parts_of
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from tests.unit.agent.agencies import MODEL_TEXT, NOW, row
from tests.unit.agent.case_database import (
    FOLLOWING_TEXT,
    CaseDatabase,
    office_state,
    read_table,
    stored,
)
from tests.unit.agent.command import SCRIPT

pytestmark = pytest.mark.slow

ROWS = 20_000
GONE = 500
STAGES = [
    "spill",
    "part/persons.npy.raw",
    "part/stamps.parquet",
    "part/cases.parquet",
    "build/.*partial",
    "build/store.json",
]


def begin(state: AgentState) -> subprocess.Popen[str]:
    folder = state.root.parent
    arguments = ["ingest", "--mapping", folder / "mapping.yaml"]
    arguments += ["--model", folder / "small.yaml", "--state", state.root]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed_at(state: AgentState, stage: str) -> None:
    process = begin(state)
    deadline = time.monotonic() + 120
    while not any(state.scratch.glob(f"ingest-*/{stage}")) and process.poll() is None:
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.communicate()


def finish(state: AgentState) -> None:
    done = begin(state)
    _, said = done.communicate()
    assert done.returncode == 0, said


@pytest.fixture
def cases(tmp_path: Path) -> CaseDatabase:
    made = CaseDatabase(tmp_path / "office.db")
    made.put(
        [
            row(first=f"P{n % 9000}", number=str(n), days=str(n % 700))
            for n in range(ROWS)
        ],
        NOW - datetime.timedelta(days=400),
    )
    (tmp_path / "mapping.yaml").write_text(FOLLOWING_TEXT)
    (tmp_path / "small.yaml").write_text(MODEL_TEXT)
    return made


def change(cases: CaseDatabase) -> None:
    """Change a quarter of the rows, and take some away."""
    cases.run(
        "UPDATE cases SET days = '3', first = first || 'x', updated_at = '2025-01-01' "
        "WHERE CAST(number AS INTEGER) % 4 = 0"
    )
    cases.run("DELETE FROM cases WHERE CAST(number AS INTEGER) < ?", GONE)


@pytest.mark.parametrize("stage", STAGES)
def test_a_first_reading_that_is_killed_is_begun_again(
    cases: CaseDatabase, tmp_path: Path, stage: str
) -> None:
    state = office_state(tmp_path / "state", cases.file)
    killed_at(state, stage)
    finish(state)
    with Columns.open(state.current) as columns:
        assert columns.rows == ROWS


@pytest.mark.parametrize("stage", STAGES)
def test_changes_that_were_being_read_are_read_again(
    cases: CaseDatabase, tmp_path: Path, stage: str
) -> None:
    state = office_state(tmp_path / "state", cases.file)
    read_table(state)
    before = stored(state)
    change(cases)
    killed_at(state, stage)
    if parts_of(state.current)["files"].rows == ROWS:
        assert stored(state) == before
    finish(state)
    other = office_state(tmp_path / "other", cases.file)
    read_table(other)
    ours, theirs = stored(state), stored(other)
    assert [name for name in theirs if ours[name] != theirs[name]] == []
    assert not list(state.scratch.iterdir())
    assert len(list(state.builds.iterdir())) == 1
