# SPDX-License-Identifier: Apache-2.0
"""Work that goes on at the same time and ends together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeAlias

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits for so many seconds; `asyncio.sleep`, but for tests of clocks."""


async def first_of(*work: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends, cancel the others, and end as that one did.

    Cancelled itself, even while the others end, it ends as cancelled.
    """
    tasks = [asyncio.ensure_future(part) for part in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _ended(tasks)
    for task in done:
        task.result()


async def _ended(tasks: Iterable[asyncio.Task[object]]) -> None:
    """Cancel and wait until all have ended, whoever cancels that."""
    for task in tasks:
        task.cancel()
    cancelled = False
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


def end_if_cancelled() -> None:
    """Cancel again a task that was cancelled and was not told.

    For loops that try again: where a call fails at the instant in which its task is
    cancelled, grpc.aio raises the failure alone.

    Raises:
        asyncio.CancelledError: the running task is to end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
