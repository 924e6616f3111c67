# SPDX-License-Identifier: Apache-2.0
"""An agent with an answerer double against a hub double, over real mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from accord.agent.network.connection import Timing, run
from accord.agent.network.identity import IdentityFiles
from accord.agent.network.presence import Always, Presence
from accord.agent.network.renewal import Backoff
from accord.agent.network.tasks import Sleep
from accord.core.errors import AccordError
from tests.unit.agent.answering import AnswererDouble
from tests.unit.agent.joining import join
from tests.unit.rpc.hub_double import (
    Conversation,
    HubDouble,
    running_hub,
    until,
    utc_now,
)

QUICK = Timing(
    heartbeat=0.05,
    editions=0.05,
    policies=60,
    welcome=5,
    slot=0,
    backoff=Backoff(least=0.01, most=0.05),
)

ALWAYS = Always()


@dataclasses.dataclass
class World:
    """One hub, one agency that has joined, and its agents."""

    hub: HubDouble
    files: IdentityFiles
    answerer: AnswererDouble
    agents: list[asyncio.Task[None]] = dataclasses.field(default_factory=list)

    def start(
        self,
        timing: Timing = QUICK,
        clock: Callable[[], datetime.datetime] = utc_now,
        *,
        presence: Presence = ALWAYS,
        sleep: Sleep = asyncio.sleep,
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(
            run(
                self.files,
                self.answerer,
                timing=timing,
                presence=presence,
                clock=clock,
                sleep=sleep,
            )
        )
        self.agents.append(task)
        return task

    async def talk(self, number: int = 0) -> Conversation:
        """Return the conversation of that number when its hello has come."""
        await until(lambda: len(self.hub.conversations) > number)
        conversation = self.hub.conversations[number]
        await until(lambda: conversation.received)
        return conversation


@contextlib.asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[World]:
    """Run a hub and let one agency join; agents that a test started end with it."""
    async with running_hub() as hub:
        files = IdentityFiles(folder / "keys")
        files.folder.mkdir()
        await join(hub, files, hub.new_token("shelter-north"))
        hub_key = hub.signing_key.public_key().public_bytes_raw()
        world = World(hub, files, AnswererDouble(hub_key))
        try:
            yield world
        finally:
            for agent in world.agents:
                agent.cancel()
                with contextlib.suppress(asyncio.CancelledError, AccordError):
                    await agent
