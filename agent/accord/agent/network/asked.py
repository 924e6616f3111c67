# SPDX-License-Identifier: Apache-2.0
"""What a hub asks in one message, as pieces of work that can be told apart."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import structlog

from accord.core.errors import IntegrityError
from accord.rpc.codec import query_id_of
from accord.v1 import agent_pb2

Asked: TypeAlias = (
    agent_pb2.Requisitions
    | agent_pb2.CohortCalls
    | agent_pb2.RevealCalls
    | agent_pb2.Settled
)
"""What a hub sends of a round."""

One: TypeAlias = agent_pb2.Requisition | agent_pb2.CohortCall | agent_pb2.RevealCall


class Kind(enum.Enum):
    """Which step of a round is asked for."""

    READY = enum.auto()
    MASKED = enum.auto()
    REVEAL = enum.auto()
    SETTLED = enum.auto()


@dataclasses.dataclass(slots=True, eq=False)
class Work:
    """One query of a batch."""

    key: tuple[Kind, bytes]
    """The same where the same is asked again."""
    query_id: str
    message: One | None = None
    """Nothing where the query has ended."""
    wanted: bool = True
    """Not once the hub has said that the query is settled."""


def works_of(asked: Asked) -> tuple[Kind, list[Work]]:
    """Return the queries of one message; what names none is logged and dropped."""
    match asked:
        case agent_pb2.Requisitions():
            return Kind.READY, list(_requisitions(asked.requisitions))
        case agent_pb2.CohortCalls():
            return Kind.MASKED, [
                Work(_key(Kind.MASKED, each), each.query_id, each)
                for each in asked.calls
            ]
        case agent_pb2.RevealCalls():
            return Kind.REVEAL, [
                Work(_key(Kind.REVEAL, each), each.query_id, each)
                for each in asked.calls
            ]
        case agent_pb2.Settled():
            return Kind.SETTLED, [
                Work((Kind.SETTLED, each.encode()), each) for each in asked.query_ids
            ]


def _requisitions(messages: Iterable[agent_pb2.Requisition]) -> Iterator[Work]:
    for each in messages:
        try:
            query_id = query_id_of(each.payload)
        except IntegrityError as error:
            structlog.get_logger().warning("requisition.dropped", reason=error.reason)
        else:
            yield Work(_key(Kind.READY, each), query_id, each)


def _key(kind: Kind, message: One) -> tuple[Kind, bytes]:
    """Return what the same message has again."""
    content = message.SerializeToString(deterministic=True)
    return kind, hashlib.sha256(content).digest()
