# SPDX-License-Identifier: Apache-2.0
"""A small HTTP proxy for tests: CONNECT only, with a name and a password.

Every host is this machine to it, so a hub under test can have a name that is not.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator


class ConnectProxy:
    """Listens on loopback; counts what it let through."""

    def __init__(
        self, credentials: str | None = None, *, status: str = "502 Bad Gateway"
    ) -> None:
        self._status = status
        self.asked: list[str] = []
        self.refused = 0
        self._expected = (
            None
            if credentials is None
            else "Basic " + base64.b64encode(credentials.encode()).decode()
        )
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Hang up on everybody."""
        for each in (self._server, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                found, _ = self._server.accept()
            except OSError:
                return
            self._open.append(found)
            threading.Thread(target=self._serve, args=[found], daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                more = near.recv(1)
                if not more:
                    return
                head += more
            lines = head.decode().split("\r\n")
            method, target, _ = lines[0].split()
            sent = {
                name.casefold(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:])
            }
            if self._expected not in (None, sent.get("proxy-authorization")):
                self.refused += 1
                near.sendall(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
                )
                near.close()
                return
            assert method == "CONNECT"
            self.asked.append(target)
            try:
                far = socket.create_connection(
                    ("127.0.0.1", int(target.rpartition(":")[2])), 10
                )
            except OSError:
                near.sendall(f"HTTP/1.1 {self._status}\r\n\r\n".encode())
                near.close()
                return
            far.settimeout(None)
            self._open.append(far)
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=_pour, args=[far, near], daemon=True).start()
            _pour(near, far)


def _pour(source: socket.socket, into: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            into.sendall(data)
        into.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def connect_proxy(
    credentials: str | None = None, *, status: str = "502 Bad Gateway"
) -> Iterator[ConnectProxy]:
    """Run a proxy for as long as a block lasts.

    Args:
        credentials: ``name:password`` that it wants, if any.
        status: said where it cannot connect.
    """
    proxy = ConnectProxy(credentials, status=status)
    try:
        yield proxy
    finally:
        proxy.close()
