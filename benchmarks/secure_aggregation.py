# SPDX-License-Identifier: Apache-2.0
"""What masks cost on the wire and in a whole round, over real processes and mutual TLS.

*Wire*: bytes of one masked vector against 8 bytes for each entry. *Fan-out*: eight
waiting queries in one message against eight messages, over a loopback stream with TLS,
vectors back in the same way. *Round*: ten agents as processes of their own, all
connected, and one question after another over about 2,000 cells: from asking to the
release, with all that agents do on the same cores (three durable steps each).

What the masks themselves cost is in ``benchmarks.masking``, what shares of noise cost
in ``benchmarks.noise_shares``.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import numpy as np
import trustme

from accord.rpc.limits import CHANNEL_OPTIONS, SERVER_OPTIONS
from accord.rpc.rounds import masked_requests, masked_to_messages
from accord.secagg.messages import Receipt
from accord.v1 import agent_pb2, agent_pb2_grpc
from benchmarks.whole_query import cpu_ms
from tests.federation import small_world
from tests.federation.network import Network

CELLS = 1_800
AGENTS = 10
QUESTIONS = 15
QUERIES = 8
BATCHES = 40
WIRE_GOAL = 1.02
FAN_OUT_GOAL = 0.4
ROUND_GOAL_MS = 150.0
QUERY = "6f2c1e0a-7d55-4f7e-9a3b-0d8a4f1b2c3d"
HOST = "127.0.0.1"


def masked(entries: int) -> list[agent_pb2.Masked | agent_pb2.VectorPart]:
    """Return what an agency sends for one query of so many entries."""
    digest = bytes(range(32))
    receipt = Receipt(
        agency="alpha",
        transcript=digest,
        vector_digest=digest,
        seed_commitment=digest,
        input_commitment=digest,
        signature=bytes(64),
    )
    vector = np.random.default_rng(7).integers(0, 2**64, entries, dtype=np.uint64)
    return list(masked_to_messages(QUERY, 1, receipt, vector))


def wire() -> dict[str, float]:
    """Return the bytes of a masked vector over those of its entries."""
    entries = CELLS + 2
    sent = sum(each.ByteSize() for each in masked_requests(masked(entries)))
    return {"wire_ratio": sent / (8 * entries)}


class _Asking:
    """Asks for vectors, and for the next ones once it has a whole batch."""

    def __init__(self, together: int) -> None:
        self._together = together
        self.seconds: list[float] = []

    async def connect(
        self,
        request_iterator: AsyncIterator[agent_pb2.ConnectRequest],
        context: object,
    ) -> AsyncIterator[agent_pb2.ConnectResponse]:
        """Be the hub's side of one stream."""
        for _ in range(BATCHES):
            start = time.perf_counter()
            for _ in range(QUERIES // self._together):
                yield _calls(self._together)
            vectors = 0
            while vectors < QUERIES:
                message = await anext(request_iterator)
                for each in message.masked.masked:
                    vectors += 1
                    np.frombuffer(each.vector, "<u8").sum()
            self.seconds.append(time.perf_counter() - start)


def _calls(number: int) -> agent_pb2.ConnectResponse:
    ready = agent_pb2.MemberReady(
        agency="alpha", ephemeral_key=bytes(32), signature=bytes(64)
    )
    call = agent_pb2.CohortCall(
        query_id=QUERY, attempt=1, cohort="all", readies=[ready] * AGENTS
    )
    calls = agent_pb2.CohortCalls(calls=[call] * number)
    return agent_pb2.ConnectResponse(cohorts=calls)


async def _exchange(together: int) -> float:
    """Return the median milliseconds of one query, eight of which wait."""
    authority = trustme.CA()
    server_identity = authority.issue_cert(HOST)
    key = server_identity.private_key_pem.bytes()
    chain = b"".join(each.bytes() for each in server_identity.cert_chain_pems)
    asking = _Asking(together)
    server = grpc.aio.server(options=SERVER_OPTIONS)
    handler = grpc.stream_stream_rpc_method_handler(
        asking.connect,
        request_deserializer=agent_pb2.ConnectRequest.FromString,
        response_serializer=agent_pb2.ConnectResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                "accord.v1.AgentService", {"Connect": handler}
            )
        ]
    )
    credentials = grpc.ssl_server_credentials([(key, chain)])
    port = server.add_secure_port(f"{HOST}:0", credentials)
    await server.start()
    answer = masked(CELLS + 2)
    trusted = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    async with grpc.aio.secure_channel(
        f"{HOST}:{port}", trusted, options=CHANNEL_OPTIONS
    ) as channel:
        queue: asyncio.Queue[agent_pb2.ConnectRequest] = asyncio.Queue()

        async def outgoing() -> AsyncIterator[agent_pb2.ConnectRequest]:
            while True:
                yield await queue.get()

        call = agent_pb2_grpc.AgentServiceStub(channel).Connect(outgoing())
        async for message in call:
            asked = len(message.cohorts.calls)
            for request in masked_requests(answer * asked):
                queue.put_nowait(request)
    await server.stop(0)
    return statistics.median(asking.seconds) * 1000 / QUERIES


def fan_out() -> dict[str, float]:
    """Return milliseconds for each of eight waiting queries, in turn and together."""
    alone, together = [], []
    for _ in range(3):  # in turns, so that a busy machine is busy for both
        alone.append(asyncio.run(_exchange(1)))
        together.append(asyncio.run(_exchange(QUERIES)))
    return {
        "alone_ms": statistics.median(alone),
        "together_ms": statistics.median(together),
    }


def ten_agencies(folder: Path) -> Network:
    """Return a network of ten agencies that runs, under one agreement."""
    world = small_world.invent(folder / "sources")
    labels = tuple(f"agency-{number:02d}" for number in range(AGENTS))
    originals = [small_world.AGENCIES[number % 5] for number in range(AGENTS)]
    members = "network: test-network\nmembers:\n" + "".join(
        f"  {label}:\n"
        f"    name: {label}\n"
        f"    remit: {{description: Cases that {label} works on}}\n"
        "    lifetime: {zcdp: {epsilon: 1000, delta: 1e-9}, pure: {epsilon: 1000}}\n"
        for label in labels
    )
    agreement = small_world.agreement("ten", labels).replace(
        "  noise: hub\n  hub_sees_exact_pooled_sums: accepted\n", "  noise: shared\n"
    )
    blueprint = dataclasses.replace(
        world.blueprint(),
        agreements={"ten": agreement},
        members=members,
        mappings=dict.fromkeys(labels, small_world.MAPPING),
        sources={
            label: world.sources[original]
            for label, original in zip(labels, originals, strict=True)
        },
    )
    return Network.build(folder / "network", blueprint)


def whole_round(folder: Path) -> dict[str, float]:
    """Return the milliseconds from asking to the release, over ten agents."""
    spent: list[float] = []
    with ten_agencies(folder) as network, network.connect("ana") as hub:
        agreement = hub.agreement("ten")
        agents = [each.pid for each in network.agents.values()]
        cells = 0
        used = cpu_ms(network.hub.pid), sum(map(cpu_ms, agents))
        for number in range(QUESTIONS + 1):
            month = f"2025-{1 + number % 12:02d}"
            question = agreement.persons() if number < 12 else agreement.cases()  # noqa: PLR2004
            question = question.by("parish", "harm").where(registered_month=month)
            start = time.perf_counter()
            released = question.release(epsilon=1, purpose=small_world.PURPOSE)
            spent.append((time.perf_counter() - start) * 1000)
            cells = len(released)
        hub_cpu = cpu_ms(network.hub.pid) - used[0]
        agent_cpu = (sum(map(cpu_ms, agents)) - used[1]) / AGENTS
    return {
        "cells": cells,
        "round_ms": statistics.median(spent[1:]),
        "hub_cpu_ms": hub_cpu / (QUESTIONS + 1),
        "agent_cpu_ms": agent_cpu / (QUESTIONS + 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = wire() | fan_out()
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        found |= whole_round(Path(folder))
    if options.json:
        print(json.dumps(found))
        return
    print(
        f"wire: {found['wire_ratio']:.4f} of 8 bytes an entry (goal {WIRE_GOAL})\n"
        f"fan-out of {QUERIES} queries: {found['alone_ms']:.3f} ms each in messages of"
        f" their own, {found['together_ms']:.3f} ms together:"
        f" {found['together_ms'] / found['alone_ms']:.2f}x (goal {FAN_OUT_GOAL})\n"
        f"round of {AGENTS} agents, {found['cells']:.0f} cells:"
        f" {found['round_ms']:.0f} ms, {found['round_ms'] / ROUND_GOAL_MS:.2f}x of the"
        f" goal of {ROUND_GOAL_MS:.0f} ms; CPU {found['hub_cpu_ms']:.0f} ms at the hub"
        f" and {found['agent_cpu_ms']:.0f} ms at each agent, on {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
