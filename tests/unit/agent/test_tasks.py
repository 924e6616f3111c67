# SPDX-License-Identifier: Apache-2.0
"""A cancellation ends what goes on together, at whatever moment it comes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from pathlib import Path

import pytest

from accord.agent.network.renewal import Backoff
from accord.agent.network.tasks import first_of
from tests.unit.agent.streams import QUICK, joined

AT_ONCE = Backoff(least=0.0001, most=0.0001)


async def _slow_to_end(go: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await go.wait()


async def _failing() -> None:
    raise ValueError("first")


async def test_it_ends_as_the_first_one_did() -> None:
    go = asyncio.Event()
    go.set()
    with pytest.raises(ValueError, match="first"):
        await first_of(_slow_to_end(go), _failing())


async def test_cancelled_while_the_others_end_it_ends_as_cancelled() -> None:
    go = asyncio.Event()
    task = asyncio.ensure_future(first_of(_slow_to_end(go), _failing()))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()  # nothing is left running behind its back
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_agent_ends_even_if_a_call_fails_at_that_instant(
    tmp_path: Path,
) -> None:
    async with joined(tmp_path) as world:
        await world.hub.stop()
        timing = dataclasses.replace(QUICK, backoff=AT_ONCE)
        for _ in range(300):
            agent = world.start(timing)
            await asyncio.sleep(random.uniform(0, 0.01))  # any moment
            agent.cancel()
            async with asyncio.timeout(20):
                with contextlib.suppress(asyncio.CancelledError):
                    await agent
            assert agent.done()
