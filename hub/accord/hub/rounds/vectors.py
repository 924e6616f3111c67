# SPDX-License-Identifier: Apache-2.0
"""A masked vector that comes in parts, put together in memory of a known size.

Parts may come in any order and again; together they have to be exactly as long as the
layout says, so that nobody can make the hub hold more.
"""

from __future__ import annotations

import bisect
from typing import Final

from accord.core.errors import IntegrityError

WORD: Final = 8
"""Bytes of one entry."""


class Assembly:
    """One vector of *size* entries, growing."""

    __slots__ = ("_content", "_ends", "_missing", "_starts", "size")

    def __init__(self, size: int) -> None:
        """Begin with nothing."""
        self.size = size
        self._content = bytearray(size * WORD)
        self._missing = size
        # Spans that are here, in entries; none touches or overlaps another's inside.
        self._starts: list[int] = []
        self._ends: list[int] = []

    @property
    def is_whole(self) -> bool:
        """Whether every entry is here."""
        return not self._missing

    def put(self, offset: int, content: bytes) -> None:
        """Take a part; one that came before changes nothing.

        Args:
            offset: entries before it.
            content: little-endian words.

        Raises:
            IntegrityError: VECTOR_WRONG, it does not fit among the others.
        """
        count, odd = divmod(len(content), WORD)
        end = offset + count
        if odd or not count or offset < 0 or end > self.size:
            raise _misplaced()
        place = bisect.bisect_left(self._starts, offset)
        if place < len(self._starts) and self._starts[place] == offset:
            if self._ends[place] != end:
                raise _misplaced()
            return
        before = self._ends[place - 1] if place else 0
        after = self._starts[place] if place < len(self._starts) else self.size
        if before > offset or after < end:
            raise _misplaced()
        self._starts.insert(place, offset)
        self._ends.insert(place, end)
        self._content[offset * WORD : end * WORD] = content
        self._missing -= count

    def content(self) -> bytes:
        """Return the whole vector, as it was hashed."""
        return bytes(self._content)


def _misplaced() -> IntegrityError:
    return IntegrityError(
        "VECTOR_WRONG",
        "A part of a masked vector has no place in it: it was not used.",
    )
