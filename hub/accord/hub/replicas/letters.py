# SPDX-License-Identifier: Apache-2.0
"""What one replica passes on to another for an agency's stream, as bytes and back.

Several letters make one parcel. Their contents are the messages that the stream itself
carries, as they were; only who said them, or to whom they go, is added.
"""

from __future__ import annotations

import dataclasses
import enum
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from accord.core.errors import IntegrityError
from accord.hub.rounds.outbox import Call
from accord.v1 import agent_pb2

_HEAD: Final = struct.Struct(">BHHI")


class Kind(enum.IntEnum):
    """What the content of a letter is."""

    SAID = 1
    """A `ConnectRequest` of an agency; `Letter.about` is its certificate."""
    REQUISITION = 2
    COHORT = 3
    RECEIPTS = 4
    """One call to an agency; `Letter.about` is the query."""
    SETTLED = 5
    """Nothing; the query has ended."""


_CALLS: Final[dict[Kind, type[Call]]] = {
    Kind.REQUISITION: agent_pb2.Requisition,
    Kind.COHORT: agent_pb2.CohortCall,
    Kind.RECEIPTS: agent_pb2.RevealCall,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Letter:
    """One message on its way."""

    kind: Kind
    agency: str
    """Who said it, or who is to hear it."""
    about: str
    content: bytes = dataclasses.field(repr=False)

    def __len__(self) -> int:
        """Return the bytes of its content."""
        return len(self.content)

    def call(self) -> Call:
        """Return the call that it holds."""
        return _CALLS[self.kind].FromString(self.content)


def calling(agency: str, query: str, call: Call) -> Letter:
    """Return the letter that has an agency asked something."""
    kind = next(kind for kind, each in _CALLS.items() if isinstance(call, each))
    return Letter(kind, agency, query, call.SerializeToString())


def packed(letters: Iterable[Letter]) -> bytes:
    """Return letters as one parcel."""
    content = bytearray()
    for each in letters:
        agency, about = each.agency.encode(), each.about.encode()
        content += _HEAD.pack(each.kind, len(agency), len(about), len(each.content))
        content += agency + about + each.content
    return bytes(content)


def unpacked(parcel: bytes) -> list[Letter]:
    """Return the letters of a parcel, in order.

    Raises:
        IntegrityError: PARCEL_DAMAGED.
    """
    try:
        return list(_letters(parcel))
    except (struct.error, ValueError):
        raise IntegrityError(
            "PARCEL_DAMAGED",
            "What another process of the hub passed on cannot be read.",
        ) from None


def _letters(parcel: bytes) -> Iterator[Letter]:
    place = 0
    while place < len(parcel):
        kind, *lengths = _HEAD.unpack_from(parcel, place)
        place += _HEAD.size
        parts: list[bytes] = []
        for length in lengths:
            part = parcel[place : place + length]
            if len(part) != length:
                message = "cut short"
                raise ValueError(message)
            parts.append(part)
            place += length
        agency, about, content = parts
        yield Letter(Kind(kind), agency.decode(), about.decode(), content)
