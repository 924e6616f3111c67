# SPDX-License-Identifier: Apache-2.0
"""A small TCP balancer: new connections go to one hub after the other.

A hub that refuses a connection is passed over. One that stands still takes it, as its
kernel does; real balancers find that out with their own checks, here the test says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.federation.network import HOST
from tests.federation.relays import LoopThread


class Balancer:
    """One port in front of the same port of several hubs."""

    def __init__(self, targets: Sequence[int], port: int) -> None:
        """Prepare it; it listens in a ``with``.

        Args:
            targets: ports of loopback.
            port: where it listens.
        """
        self.port = port
        self.targets = list(targets)
        """Where new connections go; a test may change it at any time."""
        self._turns = itertools.count()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread: LoopThread | None = None
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread = LoopThread()
        self._thread.run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._thread is not None
        self._thread.run(self._stop())
        self._thread.close()

    def cut(self) -> None:
        """End all connections: everybody has to come back."""
        assert self._thread is not None
        self._thread.call(self._abort)

    def _abort(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._abort()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        found = await self._connect()
        if found is None:
            writer.transport.abort()
            return
        there, back = found
        ends = {writer, back}
        self._open |= ends
        copying = [
            asyncio.ensure_future(_copy(reader, back)),
            asyncio.ensure_future(_copy(there, writer)),
        ]
        try:
            await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in copying:
                each.cancel()
            await asyncio.gather(*copying, return_exceptions=True)
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _connect(
        self,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        targets = list(self.targets)
        first = next(self._turns)
        for number in range(len(targets)):
            with contextlib.suppress(OSError):
                target = targets[(first + number) % len(targets)]
                return await asyncio.open_connection(HOST, target)
        return None


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await source.read(1 << 16):
            target.write(content)
            await target.drain()
