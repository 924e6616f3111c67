# SPDX-License-Identifier: Apache-2.0
"""What rounds do by themselves, part of no call, and finished before the hub stops."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import TypeVar

import structlog

from accord.core.errors import AccordError

Made = TypeVar("Made")


class Tasks:
    """Those that go on; lives on one event loop."""

    def __init__(self) -> None:
        """Begin with none."""
        self._going: set[asyncio.Task[object]] = set()
        self._log = structlog.get_logger()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._going)

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Begin something about one submission."""
        self.keep(self._guarded(work))

    def keep(self, work: Coroutine[None, None, Made]) -> asyncio.Task[Made]:
        """Begin something that somebody waits for, and that goes on if nobody does."""
        task = asyncio.create_task(work, context=contextvars.Context())
        self._going.add(task)
        task.add_done_callback(self._going.discard)
        return task

    async def finish(self) -> None:
        """Wait for all of them, and for those that they begin."""
        while self._going:
            await asyncio.wait(self._going)

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        """Let nothing that goes wrong with one submission reach the others."""
        try:
            await work
        except AccordError as error:
            self._log.error("round.broken", reason=error.reason)
        except Exception as error:  # noqa: BLE001  # the boundary of a round
            self._log.error("round.broken", error_type=type(error).__name__)
