# SPDX-License-Identifier: Apache-2.0
"""Plain HTTP on loopback: for this machine's monitoring and for auditors on it.

Other machines reach it through what the operator puts in front, never by themselves.
The port is bound to 127.0.0.1 only, and requests that name another host are refused, so
that no name that somebody points at this machine (DNS rebinding) becomes an origin.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from accord.core.errors import ConfigurationError
from accord.rpc.loopback.port import LOOPBACK, bound
from accord.rpc.loopback.serving import quiet

HOSTS: Final = [LOOPBACK, "localhost"]
"""Names by which the listener can be called, whatever the port."""

_CLOSING_SECONDS: Final = 2


class Listener:
    """A port that is bound at once and served until `stop`."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        """Bind the port.

        Args:
            app: what answers.
            port: 0 for any that is free.

        Raises:
            ConfigurationError: PORT_UNAVAILABLE.
        """
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(quiet(app, _CLOSING_SECONDS))
        self._serving: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it can be reached, on this machine."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Serve on the running event loop."""
        self._serving = asyncio.create_task(self._server.serve([self._socket]))

    async def stop(self) -> None:
        """End after the answers that are being given, and let go of the port."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._socket.close()


class _Server(uvicorn.Server):
    """Leaves the signals to the hub, which stops everything in its order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bound(port: int) -> socket.socket:
    try:
        return bound(port)
    except OSError:
        raise ConfigurationError(
            "PORT_UNAVAILABLE",
            f"The hub cannot listen on {LOOPBACK}:{port}: is the port taken? Choose"
            " another `transparency_port` in config.toml.",
        ) from None
