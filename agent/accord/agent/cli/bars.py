# SPDX-License-Identifier: Apache-2.0
"""Bars that show how far an ingest has come: on a terminal, and nowhere else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from accord.agent.intake.progress import QUIET, Phase
from accord.agent.intake.progress import Progress as Onlooker


class Bars:
    """A bar for each phase; what is done stays until the end."""

    def __init__(self, bars: Progress) -> None:
        """Draw with *bars*, which is running."""
        self._bars = bars
        self._task: TaskID | None = None
        self._rows = 0

    def begin(self, phase: Phase, total: int | None = None) -> None:
        """Complete the last bar and add one; it moves to and fro without a total."""
        self.end()
        self._task = self._bars.add_task(phase.value, total=total)

    def advance(self, rows: int) -> None:
        """Move the bar on."""
        self._rows += rows
        if self._task is not None:
            self._bars.advance(self._task, rows)

    def end(self) -> None:
        """Complete the last bar."""
        if self._task is not None:
            # Of a phase without rows only the time is shown.
            self._bars.update(
                self._task, total=self._rows or 1, completed=self._rows or 1
            )
        self._task, self._rows = None, 0


@contextlib.contextmanager
def bars_on(console: Console) -> Iterator[Onlooker]:
    """Yield an onlooker that draws on *console*, if somebody can see it.

    The bars are gone at the end.
    """
    if not console.is_terminal:
        yield QUIET
        return
    columns = (
        TextColumn("{task.description:<6}"),
        BarColumn(),
        TextColumn("{task.completed:>14,.0f} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as drawn:
        bars = Bars(drawn)
        yield bars
        bars.end()
