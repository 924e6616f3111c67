# SPDX-License-Identifier: Apache-2.0
"""News of submissions for analysts who wait at other replicas.

It goes through the journal, behind what it tells of: whoever hears it and looks finds
it committed. What comes while one transaction runs goes with the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from accord.hub.replicas import membership
from accord.hub.replicas.notices import Notice, Topic, news_words, notices
from accord.hub.rounds.journal import Journal


class News:
    """What is to be called out; lives on one event loop."""

    def __init__(self, journal: Journal, own: int) -> None:
        """Begin with nothing new."""
        self._journal: Final = journal
        self._own: Final = own
        self._revisions: dict[str, int] = {}
        self._ended: dict[str, None] = {}
        self._is_telling = False

    def bumped(self, revisions: Mapping[str, int]) -> None:
        """Tell that there is news of submissions, with their revisions."""
        self._revisions.update(revisions)
        self._tell()

    def ended(self, submissions: Iterable[str]) -> None:
        """Tell that submissions have ended; older news of them is none any more."""
        for submission in submissions:
            self._revisions.pop(submission, None)
            self._ended[submission] = None
        self._tell()

    def _tell(self) -> None:
        if self._is_telling or not (self._revisions or self._ended):
            return
        told = self._notices()
        self._revisions, self._ended = {}, {}
        self._is_telling = True

        def tell(tx: sa.Connection) -> None:
            membership.tell(tx, told)

        self._journal.put(tell).add_done_callback(self._told)

    def _told(self, _done: asyncio.Future[Any]) -> None:
        self._is_telling = False
        if not self._journal.is_stopping:
            self._tell()

    def _notices(self) -> list[Notice]:
        found: list[Notice] = []
        if self._revisions:
            words = news_words(self._revisions)
            found += notices(self._own, Topic.NEWS, words)
        if self._ended:
            found += notices(self._own, Topic.ENDED, self._ended)
        return found
