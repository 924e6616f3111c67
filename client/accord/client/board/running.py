# SPDX-License-Identifier: Apache-2.0
"""Serving the page on loopback until somebody closes it."""

from __future__ import annotations

from accord.client.board.app import board_app
from accord.client.board.home import Home
from accord.rpc.loopback.serving import LoopbackServer


class Board:
    """The page, bound to a port; `run` serves it."""

    def __init__(self, profile: str, port: int = 0) -> None:
        """Bind the port; browsers may connect from now on.

        Args:
            profile: name of the saved address and token.
            port: 0 for any that is free.

        Raises:
            ConfigurationError: PORT_TAKEN.
        """
        self._server = LoopbackServer(port)
        self.port = self._server.port
        self.home = Home(profile, self.close)

    @property
    def address(self) -> str:
        """What to open; it works once."""
        return self.home.session.address(self.port)

    def run(self) -> None:
        """Serve until `close`, Ctrl-C or the page's own button."""
        self._server.run(board_app(self.home, self.port))

    def close(self) -> None:
        """End after the answers that are being given."""
        self._server.close()
