# SPDX-License-Identifier: Apache-2.0
"""How far a question is, while somebody waits for it at a terminal."""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from accord.client.pending import Pending
from accord.client.result import Result
from accord.client.stages import Progress

LONG_SECONDS: Final = 15
"""After so long a wait it is said how to come back; somebody may be away."""


def waiting(
    pending: Pending, screen: Console, *, timeout: float | None, quiet: bool
) -> Result:
    """Wait for *pending* and draw how far it is, unless *quiet*.

    Where the answer is not expected at once, or does not come at once, it is said when
    to expect it and how to come back; what went wrong on the way stays on the screen.
    Whoever interrupts the wait is told that the question goes on.
    """
    try:
        return _waiting(pending, screen, timeout=timeout, quiet=quiet)
    except KeyboardInterrupt:
        screen.print(pending.receipt()[-1], soft_wrap=True)
        raise


def _waiting(
    pending: Pending, screen: Console, *, timeout: float | None, quiet: bool
) -> Result:
    if quiet or pending.done:
        return pending.wait(timeout=timeout)
    columns = TextColumn("{task.description}", markup=False), BarColumn(bar_width=20)
    with Bars(*columns, console=screen, transient=True) as bars:
        task = bars.add_task("asking", total=None)
        notes: list[str] = []
        begun = time.monotonic()
        receipt_is_due = True

        def show(progress: Progress) -> None:
            nonlocal receipt_is_due
            is_long = time.monotonic() - begun > LONG_SECONDS
            if receipt_is_due and (is_long or not pending.expectation.is_soon()):
                receipt_is_due = False
                for line in pending.receipt():
                    screen.print(line, soft_wrap=True)
            note = progress.note()
            if note and note not in notes:
                notes.append(note)
                screen.print(f"· {note}", soft_wrap=True)
            bars.update(
                task,
                description=progress.words(),
                completed=len(progress.answered),
                total=progress.asked,
            )

        return pending.wait(timeout=timeout, on_progress=show)
