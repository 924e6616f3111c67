# SPDX-License-Identifier: Apache-2.0
"""Which replica is to hear what an agency says: that which owns the query.

One message of an agency is about many queries, of which each may belong to another
replica. It is taken apart by query; what has no query is for whoever got it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from accord.v1 import agent_pb2

_PARTS: Final = {
    "readies": "readies",
    "masked": "masked",
    "reveals": "reveals",
    "erasures": "erasures",
    "refusals": "refusals",
}
"""Messages about several queries, and where these are in them."""


def queries(message: agent_pb2.ConnectRequest) -> list[str]:
    """Return the queries that a message is about, each once; none for others."""
    return list(dict.fromkeys(each.query_id for each in _parts(message)))


def split(
    message: agent_pb2.ConnectRequest, owner_of: Callable[[str], int]
) -> dict[int, agent_pb2.ConnectRequest]:
    """Return what each owner is to hear, in the order of the message.

    Args:
        message: about one query at least.
        owner_of: the owner of a query.
    """
    by_owner: dict[int, list[Any]] = {}
    for part in _parts(message):
        by_owner.setdefault(owner_of(part.query_id), []).append(part)
    if len(by_owner) == 1:
        return dict.fromkeys(by_owner, message)
    return {owner: _of(message, parts) for owner, parts in by_owner.items()}


def _parts(message: agent_pb2.ConnectRequest) -> Sequence[Any]:
    kind = message.WhichOneof("message") or ""
    if kind == "part":
        return [message.part]
    if kind not in _PARTS:
        return []
    found: Sequence[Any] = getattr(getattr(message, kind), _PARTS[kind])
    return found


def _of(
    message: agent_pb2.ConnectRequest, parts: Iterable[Any]
) -> agent_pb2.ConnectRequest:
    kind = message.WhichOneof("message") or ""
    made = agent_pb2.ConnectRequest()
    getattr(getattr(made, kind), _PARTS[kind]).extend(parts)
    return made
