# SPDX-License-Identifier: Apache-2.0
"""A hub as a process: it serves until it is told to end.

Where others took over, since its session with the database was lost, it begins anew:
everything in memory is thrown away, and what a start does is done once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Final

import structlog

from accord.core.errors import InternalError, Unreachable
from accord.hub.serve import Addresses, Hub, Parts, load_parts
from accord.hub.state import State

AGAIN_SECONDS: Final = 2.0
"""Wait before a hub that was replaced tries again to reach its database."""


async def run(parts: Parts, ready: Callable[[Addresses], None]) -> None:
    """Serve until the process is told to end (SIGTERM or SIGINT).

    Raises:
        InternalError: a part of the hub ended by itself.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    log = structlog.get_logger()
    is_replaced = await _serve(parts, told, ready)
    while is_replaced and not told.is_set():
        log.warning("hub.began-anew")
        try:
            is_replaced = await _serve(parts, told, lambda _: None)
        except Unreachable as error:
            log.warning("hub.delayed", reason=error.reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS):
                    await told.wait()
    if not told.is_set():
        raise InternalError(
            "HUB_BROKEN", "A part of the hub ended by itself; its log says which."
        )
    log.info("hub.stopped")


async def _serve(
    parts: Parts, told: asyncio.Event, ready: Callable[[Addresses], None]
) -> bool:
    """Be one hub until the process is told to end; tell whether others took over."""
    hub = Hub(parts)
    try:
        addresses = await hub.start()
        structlog.get_logger().info("hub.ready")
        ready(addresses)
        waits = [asyncio.create_task(told.wait()), asyncio.create_task(hub.broken())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    finally:
        await hub.stop()
    return hub.is_replaced


def serve(state: State, ready: Callable[[Addresses], None]) -> None:
    """Be the hub of *state* until told to end.

    Raises:
        AccordError: it cannot start, or broke.
    """
    parts = load_parts(state)
    with state.serving(), contextlib.suppress(asyncio.CancelledError):
        asyncio.run(run(parts, ready))
