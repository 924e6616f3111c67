# SPDX-License-Identifier: Apache-2.0
"""Plain HTTP on loopback, for the monitoring of this machine alone.

There is one page, which nobody can change anything with. Requests that name another
host are refused, so that no name that somebody points at this machine (DNS rebinding)
becomes an origin. It runs on threads of its own: a monitoring system that hangs holds
no answer up. There are so many of them and no more, and who has asked nothing for a
while makes room. Figures are read once a second at most, however many ask.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from accord.core.errors import AccordError, ConfigurationError
from accord.rpc.address import Address
from accord.rpc.loopback.port import ASKING_SECONDS, MOST_CONNECTIONS, claim

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PATH: Final = "/metrics"

_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_FRESH_SECONDS: Final = 1.0

_HEADERS: Final = (
    ("Server", "accord-agent"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)


@contextlib.contextmanager
def listening(address: Address, text: Callable[[], bytes]) -> Iterator[int]:
    """Answer with *text* until the block ends; yields the port.

    Args:
        address: of loopback; its port may be 0 for any that is free.
        text: returns the figures; called on a thread of its own.

    Raises:
        ConfigurationError: PORT_UNAVAILABLE.
    """
    server = _bound(address)
    server.set_app(_app(Recent(text)))
    thread = threading.Thread(target=server.serve_forever, name="accord-metrics")
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Recent:
    """Reads figures anew when those at hand are a second old, for one at a time.

    Every user of this machine can ask, and every page in a browser there can let it
    ask; each reading takes the lock of the agency's own ledger.
    """

    def __init__(
        self, text: Callable[[], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read nothing yet.

        Args:
            text: returns the figures.
            clock: seconds that never go back.
        """
        self._text = text
        self._clock = clock
        self._turn = threading.Lock()
        self._held = b""
        self._until: float | None = None

    def __call__(self) -> bytes:
        """Return the figures."""
        with self._turn:
            if self._until is None or self._clock() >= self._until:
                self._held = self._text()
                self._until = self._clock() + _FRESH_SECONDS
            return self._held


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = False  # `claim` says so, where that is right
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int]) -> None:
        self._since: dict[socket.socket, float] = {}
        super().__init__(address, _Look)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401
        """Take a connection if there is room, and end those that are overdue.

        Only the thread that accepts comes here; those that answer take theirs out.
        """
        now = time.monotonic()
        for each, since in list(self._since.items()):
            if now - since > ASKING_SECONDS:
                self._since.pop(each, None)
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        if len(self._since) >= MOST_CONNECTIONS:
            return False
        self._since[request] = now
        return True

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """Close a connection; its place is free."""
        self._since.pop(request, None)
        super().shutdown_request(request)

    def server_bind(self) -> None:
        """Bind, and ask no name server what this machine is called."""
        claim(self.socket)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing: whoever asks has hung up."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Look(WSGIRequestHandler):
    """One request for the figures; nothing of it is written down."""

    timeout = ASKING_SECONDS

    def log_message(self, *_arguments: object) -> None:
        """Log nothing: there would be a line for every look."""

    def get_stderr(self) -> Any:  # noqa: ANN401 - a stream of any kind
        """Let the library's own reports, which have tracebacks, go nowhere."""
        return _Nowhere()


class _Nowhere:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def _bound(address: Address) -> _Server:
    kind = _Server6 if ":" in address.host else _Server
    try:
        return kind((address.host, address.port))
    except OSError:
        raise ConfigurationError(
            "PORT_UNAVAILABLE",
            f"The agent cannot show figures at {address}: is the port taken? Choose "
            "another `address` below [metrics] in config.toml.",
        ) from None


def _app(
    text: Callable[[], bytes],
) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    def app(request: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        status, body = _answer(request, text)
        content = CONTENT_TYPE_PLAIN_0_0_4 if body else "text/plain; charset=utf-8"
        start(status, [("Content-Type", content), *_HEADERS])
        return [body or f"{status}\n".encode()]

    return app


def _answer(request: WSGIEnvironment, text: Callable[[], bytes]) -> tuple[str, bytes]:
    host = str(request.get("HTTP_HOST", "")).lower()
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name not in _NAMES:
        return "421 Misdirected Request", b""
    if request["PATH_INFO"] != PATH:
        return "404 Not Found", b""
    if request["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return "405 Method Not Allowed", b""
    try:
        return "200 OK", text()
    except AccordError as error:
        structlog.get_logger().warning("metrics.failed", reason=error.reason)
    except Exception as error:  # noqa: BLE001  # boundary: of strangers only the type
        name = type(error).__name__
        structlog.get_logger().warning("metrics.failed", error_type=name)
    return "503 Service Unavailable", b""
