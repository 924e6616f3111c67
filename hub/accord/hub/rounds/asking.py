# SPDX-License-Identifier: Apache-2.0
"""Sends agencies what rounds want of them, now or when they come back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from accord.hub.rounds.calls import Pairs
from accord.hub.rounds.connections import Connections
from accord.hub.rounds.outbox import Call
from accord.hub.rounds.stages import Wanted
from accord.hub.rounds.waiting import Waiting


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """For all rounds of a hub."""

    waiting: Mapping[str, Waiting]
    """Rounds by query."""
    connections: Connections
    pairs: Pairs
    stands_still: Callable[[], bool]
    """Whether nobody is asked anything now."""

    def connected(self, agency: str) -> None:
        """Ask an agency that has just connected for everything that is wanted of it."""
        for found in self.waiting.values():
            self._ask(found, agency)

    def send(self, found: Waiting) -> None:
        """Ask every agency for what is wanted of it now."""
        for agency in found.round.taking_part:
            self._ask(found, agency)

    def show_held_back(self) -> None:
        """Show cohorts to agencies for which encapsulations were missing."""
        for found in self.waiting.values():
            for agency in list(found.round.current.held_back):
                self._ask(found, agency)

    def _ask(self, found: Waiting, agency: str) -> None:
        submission = found.submission.id
        idle = found.settling or self.stands_still()
        wanted = None if idle else found.round.wanted(agency)
        if wanted is None:
            return
        if wanted is Wanted.SETTLED:
            self.connections.settle(agency, submission)
            return
        call: Call | None = found.calls.of(
            agency, wanted, found.round, found.directory, self.pairs
        )
        if call is not None:
            self.connections.call(agency, submission, call)
