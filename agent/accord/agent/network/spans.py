# SPDX-License-Identifier: Apache-2.0
"""What may be traced of an agent: contacts with its hub, and steps of questions.

A trace says what was done, for which question, and how it ended; the hub knows all of
it. It says no size. Times are those of the protocol: a step lasts a whole slot, or two,
four …, as its answer does, and never as long as records took.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

NANO: Final = 1_000_000_000


class Spans(Protocol):
    """Takes what has happened; must return at once and raise nothing."""

    def contact(self, begin: int, end: int, reason: str) -> None:
        """Take a stream to the hub, in nanoseconds since 1970, and why it ended."""

    def step(
        self, name: str, begin: int, *, query_id: str, attempt: int, reason: str
    ) -> None:
        """Take a step of a question that began then and whose slot is over now."""


class NoSpans:
    """Nobody wants to know."""

    def contact(self, begin: int, end: int, reason: str) -> None:
        """Forget it."""

    def step(
        self, name: str, begin: int, *, query_id: str, attempt: int, reason: str
    ) -> None:
        """Forget it."""


NO_SPANS: Final = NoSpans()


def now() -> int:
    """Return the time in nanoseconds since 1970."""
    return time.time_ns()


def slots_within(slot: float, elapsed: float) -> float:
    """Return the last of slot, 2 slot, 4 slot … that is not above *elapsed*.

    At least one slot: what ends sooner counts as one. Without slots it is 0.
    """
    if slot <= 0:
        return 0.0
    length = slot
    while 2 * length <= elapsed:
        length *= 2
    return length
