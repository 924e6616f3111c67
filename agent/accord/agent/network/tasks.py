# SPDX-License-Identifier: Apache-2.0
"""Work that goes on at the same time and ends together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits for so many seconds; `asyncio.sleep`, but for tests of clocks."""


async def first_of(*work: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends, cancel the others, and end as that one did."""
    tasks = [asyncio.ensure_future(part) for part in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
