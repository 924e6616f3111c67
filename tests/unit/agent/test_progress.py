# SPDX-License-Identifier: Apache-2.0
"""What an ingest tells whoever looks on, and where it is drawn."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from accord.agent.cli.bars import bars_on
from accord.agent.intake.ingest import check, ingest
from accord.agent.intake.progress import QUIET, Phase
from tests.unit.agent.agencies import (
    LIMITS,
    MAPPING_TEXT,
    MODEL_TEXT,
    NOW,
    mapping,
    new_state,
    row,
    write_csv,
)
from tests.unit.agent.command import SCRIPT
from tests.unit.agent.workbooks import write_xlsx


class Notes:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.phases: list[tuple[Phase, int | None]] = []
        self.rows: list[int] = []

    def begin(self, phase: Phase, total: int | None = None) -> None:
        self.phases.append((phase, total))
        self.rows.append(0)

    def advance(self, rows: int) -> None:
        self.rows[-1] += rows


def test_every_phase_is_told_with_its_rows(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    rows = [row(number=str(at), first=str(at % 4)) for at in range(10)]
    csv_file = write_csv(tmp_path / "a.csv", rows)
    sheet = [list(rows[0]), *(list(each.values()) for each in rows)]
    book = write_xlsx(tmp_path / "b.xlsx", {"s": sheet})
    seen = Notes()
    ingest(state, mapping(), [csv_file, book], LIMITS, NOW, progress=seen)
    assert [phase for phase, _ in seen.phases] == list(Phase)
    assert dict(seen.phases)[Phase.CODE] == 20
    # Rows read, persons hashed, nothing while they are ordered, rows coded, cases kept.
    assert seen.rows == [20, 4, 0, 20, 10]
    looking = Notes()
    check(state, mapping(), [csv_file], LIMITS, progress=looking)
    assert looking.rows == [10, 4, 0, 10]


def test_bars_are_drawn_on_a_terminal_only() -> None:
    with bars_on(Console(file=io.StringIO(), force_terminal=False)) as nobody:
        assert nobody is QUIET
    drawn = io.StringIO()
    with bars_on(Console(file=drawn, force_terminal=True, width=80)) as bars:
        bars.begin(Phase.READ)
        bars.advance(1234)
        bars.begin(Phase.CODE, 10)
        bars.advance(10)
    assert "1,234 rows" in drawn.getvalue()
    assert "code" in drawn.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_command_keeps_pipes_clean(tmp_path: Path, terminal: bool) -> None:
    state = new_state(tmp_path / "state")
    source = write_csv(tmp_path / "a.csv", [row()])
    (tmp_path / "m.yaml").write_text(MAPPING_TEXT, encoding="utf-8")
    (tmp_path / "model.yaml").write_text(MODEL_TEXT, encoding="utf-8")
    command = [sys.executable, "-c", SCRIPT, "check", str(source)]
    command += ["--state", str(state.root), "--mapping", str(tmp_path / "m.yaml")]
    command += ["--model", str(tmp_path / "model.yaml")]
    mine, theirs = pty.openpty()
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=theirs if terminal else subprocess.PIPE,
        env=os.environ | {"TERM": "xterm"},
        check=True,
    )
    os.close(theirs)
    assert b"Nothing was stored." in done.stdout
    assert b"\x1b" not in done.stdout
    if terminal:
        assert b"read" in os.read(mine, 1 << 16)
    else:
        assert done.stderr == b""
    os.close(mine)
