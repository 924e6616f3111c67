# SPDX-License-Identifier: Apache-2.0
"""The running agent, put together: identity, answerer, connection, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator

from accord.agent.answer import StoreAnswerer
from accord.agent.network.connection import run
from accord.agent.network.identity import IdentityFiles
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.core.errors import Conflict
from accord.rpc.logs import configure


def run_agent(state: AgentState, settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT.

    Raises:
        Conflict: AGENT_RUNNING, another process answers for this state.
        ConfigurationError: not enrolled, or something in the state is broken.
        Unauthenticated: the certificate has ended.
    """
    configure("agent")
    files = IdentityFiles(state.keys)
    with _only_one(state):
        identity = files.load()
        answerer = StoreAnswerer(
            state,
            agency=identity.membership.agency,
            settings=settings,
        )
        asyncio.run(_until_told(files, answerer))


async def _until_told(files: IdentityFiles, answerer: StoreAnswerer) -> None:
    task = asyncio.ensure_future(run(files, answerer))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


@contextlib.contextmanager
def _only_one(state: AgentState) -> Iterator[None]:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(state.root / ".running", flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(
                "AGENT_RUNNING",
                f"Another `accord-agent run` answers from {state.root} already.",
            ) from None
        yield
    finally:
        os.close(descriptor)
