# SPDX-License-Identifier: Apache-2.0
"""What waits to be said to one agent, merged: one message is about many queries.

Of one query only the newest call waits: a later one makes the earlier one pointless.
"""

from __future__ import annotations

import collections
from typing import Final, TypeAlias

from accord.rpc.rounds import MOST_TOGETHER, PART_BYTES
from accord.v1 import agent_pb2

Call: TypeAlias = agent_pb2.Requisition | agent_pb2.CohortCall | agent_pb2.RevealCall
"""What is asked of an agency about one query."""

MOST_SETTLED: Final = 1000
"""Queries that one message says have ended."""


class Outbox:
    """Messages in line for one stream."""

    def __init__(self) -> None:
        """Begin with nothing to say."""
        self._first: collections.deque[agent_pb2.ConnectResponse] = collections.deque()
        self._calls: dict[str, Call] = {}
        self._settled: dict[str, None] = {}

    def __len__(self) -> int:
        """Return how many things wait to be said."""
        return len(self._first) + len(self._calls) + len(self._settled)

    def put(self, message: agent_pb2.ConnectResponse) -> None:
        """Put a message of its own in line, before everything about queries."""
        self._first.append(message)

    def call(self, query: str, call: Call) -> None:
        """Ask something about a query, in place of what still waits about it."""
        self._settled.pop(query, None)
        self._calls.pop(query, None)
        self._calls[query] = call

    def settle(self, query: str) -> None:
        """Say that a query has ended, in place of what still waits about it."""
        self._calls.pop(query, None)
        self._settled[query] = None

    def next(self) -> agent_pb2.ConnectResponse | None:
        """Take the next message out of the line; nothing where none waits."""
        if self._first:
            return self._first.popleft()
        if self._settled:
            queries = list(self._settled)[:MOST_SETTLED]
            for query in queries:
                del self._settled[query]
            return agent_pb2.ConnectResponse(
                settled=agent_pb2.Settled(query_ids=queries)
            )
        if not self._calls:
            return None
        kind = type(next(iter(self._calls.values())))
        return _message(self._together(kind))

    def _together(self, kind: type[Call]) -> list[Call]:
        """Take out calls of one kind, oldest first, as many as one message holds."""
        taken: list[Call] = []
        size = 0
        for query, call in list(self._calls.items()):
            if not isinstance(call, kind):
                continue
            size += call.ByteSize()
            if taken and (size > PART_BYTES or len(taken) == MOST_TOGETHER):
                break
            taken.append(call)
            del self._calls[query]
        return taken


def _message(calls: list[Call]) -> agent_pb2.ConnectResponse:
    requisitions = [c for c in calls if isinstance(c, agent_pb2.Requisition)]
    if requisitions:
        return agent_pb2.ConnectResponse(
            requisitions=agent_pb2.Requisitions(requisitions=requisitions)
        )
    cohorts = [c for c in calls if isinstance(c, agent_pb2.CohortCall)]
    if cohorts:
        return agent_pb2.ConnectResponse(cohorts=agent_pb2.CohortCalls(calls=cohorts))
    reveals = [c for c in calls if isinstance(c, agent_pb2.RevealCall)]
    return agent_pb2.ConnectResponse(reveals=agent_pb2.RevealCalls(calls=reveals))
