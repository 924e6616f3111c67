# SPDX-License-Identifier: Apache-2.0
"""What replicas call out to each other with NOTIFY: short words, and no secret.

Whoever may listen to the database hears them: ids of submissions, labels of agencies.
A notice is only a reason to look; what is true stands in the tables.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

CHANNEL: Final = "accord_hub"
"""All replicas listen on it, and each on one of its own (`channel_of`)."""

MOST_BYTES: Final = 7000
"""Of one notice; PostgreSQL refuses 8000."""


class Topic(enum.StrEnum):
    """What it is about."""

    STREAM = "stream"
    """Agencies whose stream was opened or ended."""
    THROWN_OUT = "thrown-out"
    """Agencies whose certificate counts no more."""
    PAIRS = "pairs"
    """Agencies that have made other encapsulations."""
    POLICIES = "policies"
    """Nothing more: other policies are in force, or they were signed anew."""
    GONE = "gone"
    """Replicas whose rounds wait for somebody."""
    BEGAN = "began"
    """A revision below which none is given out any more."""
    NEWS = "news"
    """Submissions, each with its revision: ``id=number``."""
    ENDED = "ended"
    """Submissions that have ended."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """One of them."""

    sender: int
    topic: Topic
    words: tuple[str, ...]

    def text(self) -> str:
        """Return it as NOTIFY carries it."""
        return " ".join((str(self.sender), self.topic.value, *self.words))

    def revisions(self) -> dict[str, int]:
        """Return the submissions of news with their revisions."""
        pairs = (word.partition("=") for word in self.words)
        return {submission: int(number) for submission, _, number in pairs}


def channel_of(replica: int) -> str:
    """Return the channel on which one replica hears that there is mail."""
    return f"{CHANNEL}_{replica}"


def read(text: str) -> Notice | None:
    """Return a notice; nothing where it is none that this version knows."""
    sender, *rest = text.split()
    try:
        return Notice(int(sender), Topic(rest[0]), tuple(rest[1:]))
    except (ValueError, IndexError):
        return None


def notices(sender: int, topic: Topic, words: Iterable[str]) -> Iterator[Notice]:
    """Yield notices that hold all words, each short enough."""
    held: list[str] = []
    size = 0
    for word in words:
        if held and size + len(word) > MOST_BYTES:
            yield Notice(sender, topic, tuple(held))
            held, size = [], 0
        held.append(word)
        size += len(word) + 1
    yield Notice(sender, topic, tuple(held))


def news_words(revisions: Mapping[str, int]) -> Sequence[str]:
    """Return the words of news."""
    return [f"{submission}={number}" for submission, number in revisions.items()]
