# SPDX-License-Identifier: Apache-2.0
"""A port of loopback that one program has, and how much of that program others get.

Everybody with an account on the machine can connect. A connection costs the program a
file or a thread, which its answers to the hub or to agencies need.
"""

from __future__ import annotations

import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"

MOST_CONNECTIONS: Final = 64
"""Open at the same time; a browser has six, a monitoring system one."""

ASKING_SECONDS: Final = 10
"""In which somebody who is connected has asked something."""


def bound(port: int) -> socket.socket:
    """Return a listening port of loopback.

    Raises:
        OSError: it cannot be had.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        claim(found)
        found.bind((LOOPBACK, port))
        found.listen(MOST_CONNECTIONS)
    except OSError:
        found.close()
        raise
    return found


def claim(found: socket.socket) -> None:
    """Say before it is bound that a port will be this program's alone.

    SO_REUSEADDR means on Unix that a port is free again at once when its program has
    ended. On Windows it lets any program take a port from the one that listens, also
    where that has not asked for it: there the opposite has to be said.
    """
    alone = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    option = socket.SO_REUSEADDR if alone is None else alone
    found.setsockopt(socket.SOL_SOCKET, option, 1)
