# SPDX-License-Identifier: Apache-2.0
"""Where agencies have their streams, and who owns which round, as far as is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from accord.hub.replicas.membership import Stream


@dataclasses.dataclass(slots=True, kw_only=True)
class Places:
    """What one replica remembers of others; the tables have the last word."""

    opened_at: Callable[[str], int | None]
    """When the own stream of an agency was opened, by the database's clock."""
    say_again: Callable[[str], None]
    """Says once more that an agency's stream is here."""
    rounds: dict[str, int] = dataclasses.field(default_factory=dict)
    """Owners of rounds that others move."""
    streams: dict[str, int] = dataclasses.field(default_factory=dict)
    """Replicas with streams, by agency; the own ones are not among them."""

    def learn(
        self, looked_at: Iterable[str] | None, found: Mapping[str, Stream], own: int
    ) -> list[str]:
        """Take over where agencies are.

        Args:
            looked_at: who was looked for; everybody for None.
            found: who was found.
            own: number of this replica.

        Returns:
            Whose streams elsewhere may not have been asked for anything yet.
        """
        for agency in list(self.streams) if looked_at is None else looked_at:
            self.streams.pop(agency, None)
        others = {
            agency: stream.replica
            for agency, stream in found.items()
            if stream.replica != own
        }
        self.streams.update(others)
        return sorted(others)

    def forget(self, gone: Iterable[int]) -> None:
        """Drop everything that belonged to replicas that are dead."""
        dead = set(gone)
        self.rounds = {
            q: owner for q, owner in self.rounds.items() if owner not in dead
        }
        self.streams = {a: at for a, at in self.streams.items() if at not in dead}
