# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import socket
import time

import pytest

from accord.core.errors import Unauthenticated, Unreachable
from accord.rpc import pki
from accord.rpc.address import Address
from accord.rpc.first_contact import fetch_authority
from accord.rpc.server import ServerIdentity
from tests.unit.rpc.hub_double import NETWORK, running_hub, utc_now


async def test_the_authority_of_the_token_is_found() -> None:
    async with running_hub() as hub:
        expected = pki.fingerprint(hub.ca)
        pem = await asyncio.to_thread(fetch_authority, hub.public_address, expected)
    assert pem == hub.ca_pem


async def test_another_hubs_token_is_refused() -> None:
    other = pki.new_authority(NETWORK, utc_now())[1]
    async with running_hub() as hub:
        with pytest.raises(Unauthenticated, match="another hub's") as caught:
            await asyncio.to_thread(
                fetch_authority, hub.public_address, pki.fingerprint(other)
            )
    assert caught.value.reason == "WRONG_AUTHORITY"


async def test_showing_somebody_elses_authority_is_not_enough() -> None:
    """An impostor can copy the real authority's certificate into its own chain."""
    async with running_hub() as real, running_hub() as impostor:
        own = impostor.identity.chain.partition(real.ca_pem)[0]
        impostor.identity = ServerIdentity(
            key=impostor.identity.key, chain=own + real.ca_pem
        )
        with pytest.raises(Unauthenticated) as caught:
            await asyncio.to_thread(
                fetch_authority, impostor.public_address, pki.fingerprint(real.ca)
            )
    assert caught.value.reason == "WRONG_AUTHORITY"


def test_a_closed_port_is_said_to_be_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", free.getsockname()[1])
        with pytest.raises(Unreachable, match=f"No hub answers at {address}"):
            fetch_authority(address, bytes(32))


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        with pytest.raises(Unreachable):
            fetch_authority(
                Address("127.0.0.1", silent.getsockname()[1]), bytes(32), timeout=0.3
            )
        assert time.monotonic() - begin < 5


async def test_a_server_without_tls_is_no_hub() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable):
            await asyncio.to_thread(
                fetch_authority, Address("127.0.0.1", port), bytes(32)
            )
