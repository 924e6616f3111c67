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
from accord.client.sending import Sent
from accord.client.stages import Progress
from accord.core.errors import (
    AccordError,
    DeadlineExceeded,
    NotFound,
    Unreachable,
)

LONG_SECONDS: Final = 15
"""After so long a wait it is said how to come back; somebody may be away."""

_HOW_TO_LEAVE: Final = (
    "Ctrl-C ends the question. To let it go on, close this terminal, or ask with"
    " --no-wait."
)


_NOT_TAKEN: Final = (
    "The hub does not have the question so far. Whether that is still so says: accord"
    " submission {id}"
)

_ENDING: Final = (
    "The question is ended as soon as the hub has taken it. Ctrl-C once more leaves it"
    " alone."
)


def waiting(
    pending: Pending,
    screen: Console,
    *,
    timeout: float | None,
    quiet: bool,
    cancels: bool = False,
) -> Result:
    """Wait for *pending* and draw how far it is, unless *quiet*.

    Where the answer is not expected at once, or does not come at once, it is said when
    to expect it and how to come back; what went wrong on the way stays on the screen.
    Whoever interrupts the wait is told that the question goes on, or with *cancels*
    ends it, where that still costs nothing.
    """
    try:
        return _waiting(pending, screen, timeout=timeout, quiet=quiet, cancels=cancels)
    except KeyboardInterrupt:
        for line in _left(pending, cancels=cancels):
            screen.print(line, soft_wrap=True)
        raise


def end_early(sent: Sent, screen: Console) -> None:
    """End a question that was interrupted before the hub had said anything.

    Once the hub has taken it, it is ended by its id; what became of it is said.
    """
    try:
        screen.print(_ENDING, soft_wrap=True)
        lines = _ended(sent)
    except KeyboardInterrupt:
        lines = _goes_on(sent.unsure(), "Interrupted.")
    for line in lines:
        screen.print(line, soft_wrap=True)


def _ended(sent: Sent) -> list[str]:
    """Return what became of a question that was interrupted while it was sent."""
    try:
        pending = sent.pending()
    except (Unreachable, DeadlineExceeded):
        pending = sent.unsure()  # the hub may have it, and then knows the id
    except AccordError as refusal:
        sent.forget()
        return [f"The hub has not taken the question: {refusal.sentence}"]
    return _left(pending, cancels=True)


def _left(pending: Pending, *, cancels: bool) -> list[str]:
    """Return what becomes of a question that nobody waits for any more."""
    if not cancels:
        return pending.receipt()[-1:]
    try:
        if pending.cancel():
            return [str(pending.failure)]
    except NotFound:
        return [_NOT_TAKEN.format(id=pending.id)]
    except (AccordError, KeyboardInterrupt) as error:
        why = error.sentence if isinstance(error, AccordError) else "Interrupted."
        return _goes_on(pending, why)
    if pending.done:
        return pending.receipt()
    return [
        "Too late to give anything back: the answer is being opened and paid for.",
        pending.receipt()[-1],
    ]


def _goes_on(pending: Pending, why: str) -> list[str]:
    """Return that a question could not be ended, and how to come back to it."""
    return [f"It could not be ended: {why}", pending.receipt()[-1]]


def _waiting(
    pending: Pending,
    screen: Console,
    *,
    timeout: float | None,
    quiet: bool,
    cancels: bool,
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
                if cancels:
                    screen.print(_HOW_TO_LEAVE, soft_wrap=True)
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
