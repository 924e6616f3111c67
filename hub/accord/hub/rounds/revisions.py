# SPDX-License-Identifier: Apache-2.0
"""Who waits for news of a submission, and when there is some.

Revisions only go up, also over a restart of the hub: they begin at the time of the
start. What has ended has the last revision of all.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from accord.hub.rounds.elsewhere import Elsewhere

FINAL: Final = 2**62
"""Revision of a submission that has ended."""

HELD: Final = FINAL - 1
"""Of one that a reviewer has to decide on: all that is left to hear is the end."""


class Revisions:
    """Numbers of what waits; lives on one event loop.

    Where several processes serve a hub, each hears of all numbers that are given out,
    and goes on above the highest of them.
    """

    def __init__(self, now: dt.datetime, elsewhere: Elsewhere | None = None) -> None:
        """Begin above everything that an earlier process gave out."""
        self._elsewhere = Elsewhere() if elsewhere is None else elsewhere
        self.latest = int(now.timestamp() * 1000)
        """The highest that is known."""
        self._first = self.latest
        self._numbers: dict[str, int] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {}

    def of(self, submission: str) -> int:
        """Return the revision of a submission that waits."""
        return self._numbers.get(submission, self._first)

    def bump(self, submissions: Iterable[str]) -> None:
        """Say that there is news."""
        bumped: dict[str, int] = {}
        for submission in submissions:
            self.latest += 1
            bumped[submission] = self.latest
        self.heard(bumped)
        self._elsewhere.bumped(bumped)

    def end(self, submissions: Iterable[str]) -> None:
        """Say that submissions have ended; nothing more is kept of them."""
        ended = list(submissions)
        self.heard_end(ended)
        self._elsewhere.ended(ended)

    def heard(self, revisions: Mapping[str, int], *, latest: int = 0) -> None:
        """Take over news, and that no lower number than *latest* is given out now."""
        self.latest = max(self.latest, latest, *revisions.values())
        for submission, number in revisions.items():
            self._numbers[submission] = number
            self._wake(submission)

    def heard_end(self, submissions: Iterable[str]) -> None:
        """Take over that submissions have ended."""
        for submission in submissions:
            self._numbers.pop(submission, None)
            self._wake(submission)

    def _wake(self, submission: str) -> None:
        for event in self._listeners.get(submission, ()):
            event.set()

    @contextlib.contextmanager
    def listening(self, submission: str) -> Iterator[asyncio.Event]:
        """Give what will be set at the next news of a submission."""
        event = asyncio.Event()
        listeners = self._listeners.setdefault(submission, set())
        listeners.add(event)
        try:
            yield event
        finally:
            listeners.discard(event)
            if not listeners and self._listeners.get(submission) is listeners:
                del self._listeners[submission]
