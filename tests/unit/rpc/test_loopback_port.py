# SPDX-License-Identifier: Apache-2.0
"""Ports of loopback: whose they are, and how many may hold them."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from accord.rpc.loopback import serving
from accord.rpc.loopback.port import LOOPBACK, MOST_CONNECTIONS, bound, claim
from accord.rpc.loopback.serving import LoopbackServer


class Recorded(socket.socket):
    """Notes what options are set in the place of setting them."""

    def __init__(self) -> None:
        super().__init__()
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, level: int, name: int, value: int) -> None:  # type: ignore[override]
        """Note an option."""
        self.options.append((level, name, value))


def test_on_windows_a_port_is_asked_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    exclusive = ~socket.SO_REUSEADDR  # as Windows' own header has it
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", exclusive, raising=False)
    with Recorded() as found:
        claim(found)
        assert found.options == [(socket.SOL_SOCKET, exclusive, 1)]


@pytest.mark.skipif(
    hasattr(socket, "SO_EXCLUSIVEADDRUSE"), reason="means something else on Windows"
)
def test_elsewhere_it_is_free_again_at_once() -> None:
    with Recorded() as found:
        claim(found)
        assert found.options == [(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)]


def test_a_bound_port_is_claimed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Recorded] = []

    def new(*_: object) -> Recorded:
        made.append(Recorded())
        return made[-1]

    monkeypatch.setattr(socket, "socket", new)
    with bound(0) as found:
        assert found.getsockname()[0] == LOOPBACK
    assert len(made[0].options) == 1


def test_two_programs_do_not_get_one_port() -> None:
    with bound(0) as found, pytest.raises(OSError, match="in use"):
        bound(found.getsockname()[1])


@pytest.fixture
def port() -> Iterator[int]:
    async def page(_: object) -> PlainTextResponse:
        return PlainTextResponse("well")

    server = LoopbackServer()
    app = Starlette(routes=[Route("/", page)])
    thread = threading.Thread(target=server.run, args=[app])
    thread.start()
    try:
        yield server.port
    finally:
        server.close()
        thread.join()


def ask(port: int) -> str:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read().decode()


def ended(connection: socket.socket) -> bool:
    """Whether the other end has closed it, now or soon."""
    connection.settimeout(10)
    with contextlib.suppress(ConnectionError):
        return connection.recv(1) == b""
    return True


def test_a_page_has_so_many_connections_and_no_more(port: int) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(MOST_CONNECTIONS):
            held.enter_context(socket.create_connection((LOOPBACK, port)))
        assert ended(held.enter_context(socket.create_connection((LOOPBACK, port))))
    while True:  # the server has not seen yet that they have gone
        with contextlib.suppress(ConnectionError, http.client.BadStatusLine):
            assert ask(port) == "well"
            break


def test_who_asks_nothing_is_not_kept(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "ASKING_SECONDS", 0.05)
    assert ask(port) == "well"
    for begun in (b"", b"GET / HTTP/1.1\r\nHost: loc"):
        with socket.create_connection((LOOPBACK, port)) as idle:
            idle.sendall(begun)
            assert ended(idle)
