# SPDX-License-Identifier: Apache-2.0
"""Messages to one agent are merged, and of one query only the newest counts."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from accord.hub.rounds.outbox import Outbox
from accord.rpc.interceptors import check_message
from accord.rpc.rounds import MOST_TOGETHER, PART_BYTES
from accord.v1 import agent_pb2

QUERIES = [str(uuid.UUID(int=n)) for n in range(6)]


def a_requisition(size: int = 10) -> agent_pb2.Requisition:
    return agent_pb2.Requisition(payload=bytes(size), signature=bytes(64), attempt=1)


def a_cohort(query: str, attempt: int = 1) -> agent_pb2.CohortCall:
    ready = agent_pb2.MemberReady(
        agency="a", ephemeral_key=bytes(32), signature=bytes(64)
    )
    return agent_pb2.CohortCall(
        query_id=query, attempt=attempt, cohort="all", readies=[ready, ready]
    )


def drained(outbox: Outbox) -> list[agent_pb2.ConnectResponse]:
    found = []
    while (message := outbox.next()) is not None:
        check_message(message)
        found.append(message)
    assert len(outbox) == 0
    return found


def test_many_queries_are_one_message() -> None:
    outbox = Outbox()
    outbox.put(agent_pb2.ConnectResponse(heartbeat=agent_pb2.Heartbeat()))
    for query in QUERIES:
        outbox.call(query, a_requisition())
    outbox.settle("00000000-0000-0000-0000-00000000ffff")
    kinds = [m.WhichOneof("message") for m in drained(outbox)]
    assert kinds == ["heartbeat", "settled", "requisitions"]


def test_no_message_is_larger_than_what_one_holds() -> None:
    outbox = Outbox()
    for number in range(600):
        outbox.call(str(uuid.UUID(int=number)), a_requisition(8000))
    messages = drained(outbox)
    sizes = [len(m.requisitions.requisitions) for m in messages]
    assert sum(sizes) == 600
    assert max(sizes) <= MOST_TOGETHER
    assert max(m.ByteSize() for m in messages) < PART_BYTES + 10_000
    assert len(messages) <= 6


def test_one_that_is_too_large_goes_alone() -> None:
    outbox = Outbox()
    for query in QUERIES[:3]:
        outbox.call(query, a_requisition(PART_BYTES))
    assert len(drained(outbox)) == 3


@given(
    st.lists(
        st.tuples(
            st.sampled_from(QUERIES), st.sampled_from(["ready", "cohort", "settled"])
        )
    )
)
def test_the_newest_word_about_a_query_is_the_only_one(
    said: list[tuple[str, str]],
) -> None:
    outbox = Outbox()
    newest: dict[str, str] = {}
    for place, (query, what) in enumerate(said):
        newest[query] = what
        if what == "settled":
            outbox.settle(query)
        elif what == "cohort":
            outbox.call(query, a_cohort(query, place + 1))
        else:
            payload = query.encode()
            outbox.call(
                query,
                agent_pb2.Requisition(payload=payload, signature=bytes(64), attempt=1),
            )
    heard: dict[str, str] = {}
    for message in drained(outbox):
        for each in message.requisitions.requisitions:
            heard[each.payload.decode()] = "ready"
        for call in message.cohorts.calls:
            assert call.query_id not in heard
            heard[call.query_id] = "cohort"
        for query in message.settled.query_ids:
            assert query not in heard
            heard[query] = "settled"
    assert heard == newest
