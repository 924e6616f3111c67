# SPDX-License-Identifier: Apache-2.0
"""Serving a page on loopback until somebody closes it."""

from __future__ import annotations

import contextlib
import socket

import uvicorn
from starlette.types import ASGIApp

from accord.core.errors import ConfigurationError

LOOPBACK = "127.0.0.1"
_BACKLOG = 64
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
    """Return how to serve *app*: no line per request, and nothing told of itself."""
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=closing_seconds,
        timeout_keep_alive=closing_seconds,
    )


def bound(port: int) -> socket.socket:
    """Return a listening port of loopback.

    Raises:
        OSError: it cannot be had.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((LOOPBACK, port))
        found.listen(_BACKLOG)
    except OSError:
        found.close()
        raise
    return found


def _bound(port: int) -> socket.socket:
    try:
        return bound(port)
    except OSError:
        raise ConfigurationError(
            "PORT_TAKEN",
            f"Port {port} of this machine cannot be used; leave out --port, or choose "
            "another.",
        ) from None
