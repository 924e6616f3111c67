# SPDX-License-Identifier: Apache-2.0
"""Who has answered, while a round runs."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

from accord.client.pending import Pending, Progress
from accord.client.result import Result


def waiting(
    pending: Pending, screen: Console, *, timeout: float | None, quiet: bool
) -> Result:
    """Wait for *pending* and draw who is awaited, unless *quiet*."""
    if quiet or pending.done:
        return pending.wait(timeout=timeout)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, console=screen, transient=True) as bars:
        task = bars.add_task("asking", total=None)

        def show(progress: Progress) -> None:
            total = len(progress.answered) + len(progress.awaited)
            names = ", ".join(progress.awaited)
            bars.update(
                task,
                description=f"awaiting {names}" if names else "adding up",
                completed=len(progress.answered),
                total=total + len(progress.refused),
            )

        return pending.wait(timeout=timeout, on_progress=show)
