# SPDX-License-Identifier: Apache-2.0
"""A frozen peer is noticed within 30 s, although its kernel still acknowledges TCP."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from accord.rpc import limits, pki
from accord.rpc.address import Address
from accord.rpc.channel import agent_channel
from accord.v1 import agent_pb2, agent_pb2_grpc
from tests.unit.rpc.hub_double import DAY, NETWORK, running_hub, utc_now

ROOT = Path(__file__).parents[3]
ROOTS = ("", "core", "proto", "hub", "agent", "client", "testing")
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ROOTS),
}

HUB = """
import asyncio, sys
from accord.rpc import pki
from tests.unit.rpc.hub_double import DAY, NETWORK, running_hub, utc_now

async def main():
    async with running_hub() as hub:
        key = pki.new_key()
        certificate = pki.issue(
            hub.ca_key, hub.ca, pki.certificate_request(key), label="a",
            network=NETWORK, lifetime=DAY, now=utc_now())
        print(hub.agent_address.port, flush=True)
        for pem in (hub.ca_pem, pki.key_pem(key), pki.certificate_pem(certificate)):
            print(pem.hex(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""

AGENT = """
import asyncio, sys
from accord.rpc.address import Address
from accord.rpc.channel import agent_channel
from accord.v1 import agent_pb2, agent_pb2_grpc

async def hello():
    yield agent_pb2.ConnectRequest(hello=agent_pb2.Hello(agent_version="1"))
    await asyncio.Event().wait()

async def main():
    port, *pems = sys.argv[1:]
    pems = [bytes.fromhex(pem) for pem in pems]
    async with agent_channel(Address("127.0.0.1", int(port)), *pems) as channel:
        async for _ in agent_pb2_grpc.AgentServiceStub(channel).Connect(hello()):
            print("welcome", flush=True)

asyncio.run(main())
"""


async def started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
    )


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode().strip()


async def killed(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()


async def hello() -> AsyncIterator[agent_pb2.ConnectRequest]:
    yield agent_pb2.ConnectRequest(hello=agent_pb2.Hello(agent_version="1"))
    await asyncio.Event().wait()


def test_the_options_find_a_frozen_peer_in_time() -> None:
    assert limits.KEEPALIVE_SECONDS + limits.PING_SECONDS < 30
    for options in (dict(limits.CHANNEL_OPTIONS), dict(limits.SERVER_OPTIONS)):
        assert options["grpc.http2.ping_timeout_ms"] == limits.PING_SECONDS * 1000
        assert options["grpc.keepalive_permit_without_calls"] == 1
    allowed = dict(limits.SERVER_OPTIONS)[
        "grpc.http2.min_recv_ping_interval_without_data_ms"
    ]
    assert int(allowed) < limits.KEEPALIVE_SECONDS * 1000


@pytest.mark.slow
async def test_an_agent_notices_a_frozen_hub() -> None:
    hub = await started(HUB)
    try:
        port = int(await line(hub))
        ca, key, certificate = [bytes.fromhex(await line(hub)) for _ in range(3)]
        address = Address("127.0.0.1", port)
        async with agent_channel(address, ca, key, certificate) as channel:
            call = agent_pb2_grpc.AgentServiceStub(channel).Connect(hello())
            await call.read()
            os.kill(hub.pid, signal.SIGSTOP)
            begin = time.monotonic()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - begin < 30
    finally:
        await killed(hub)


@pytest.mark.slow
async def test_a_hub_notices_a_frozen_agent() -> None:
    async with running_hub() as hub:
        key = pki.new_key()
        certificate = pki.issue(
            hub.ca_key,
            hub.ca,
            pki.certificate_request(key),
            label="a",
            network=NETWORK,
            lifetime=DAY,
            now=utc_now(),
        )
        pems = (hub.ca_pem, pki.key_pem(key), pki.certificate_pem(certificate))
        agent = await started(
            AGENT, str(hub.agent_address.port), *(pem.hex() for pem in pems)
        )
        try:
            assert await line(agent) == "welcome"
            os.kill(agent.pid, signal.SIGSTOP)
            begin = time.monotonic()
            while not hub.conversations[0].ended:
                assert time.monotonic() - begin < 30
                await asyncio.sleep(0.1)
        finally:
            await killed(agent)
