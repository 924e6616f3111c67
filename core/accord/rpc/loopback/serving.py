# SPDX-License-Identifier: Apache-2.0
"""Serving a page on loopback until somebody closes it."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from accord.core.errors import ConfigurationError
from accord.rpc.loopback.port import ASKING_SECONDS, MOST_CONNECTIONS, bound

_CLOSING_SECONDS = 3


class LoopbackServer:
    """A port of loopback, bound; `run` serves an application on it."""

    def __init__(self, port: int = 0) -> None:
        """Bind the port; browsers may connect from now on.

        Args:
            port: 0 for any that is free.

        Raises:
            ConfigurationError: PORT_TAKEN.
        """
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._closed = False

    def run(self, app: ASGIApp) -> None:
        """Serve until `close` or Ctrl-C."""
        self._server = uvicorn.Server(quiet(app, _CLOSING_SECONDS))
        self._server.should_exit = self._closed
        with contextlib.suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def close(self) -> None:
        """End after the answers that are being given."""
        self._closed = True
        if self._server is not None:
            self._server.should_exit = True


def quiet(app: ASGIApp, closing_seconds: int) -> uvicorn.Config:
    """Return how to serve *app*: no line per request, and nothing told of itself.

    Connections are bounded in number, and in the time until something is asked.
    """
    return uvicorn.Config(
        app,
        http=_Bounded,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=closing_seconds,
        timeout_keep_alive=closing_seconds,
    )


class _Bounded(H11Protocol):
    """A connection that ends if there are too many, or if nothing is asked on it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(ASKING_SECONDS, self._end_unasked)

    def _end_unasked(self) -> None:
        first: object = self.cycle
        if first is None:
            self.transport.abort()


def _bound(port: int) -> socket.socket:
    try:
        return bound(port)
    except OSError:
        raise ConfigurationError(
            "PORT_TAKEN",
            f"Port {port} of this machine cannot be used; leave out --port, or choose "
            "another.",
        ) from None
