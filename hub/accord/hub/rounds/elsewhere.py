# SPDX-License-Identifier: Apache-2.0
"""Other processes that serve the same hub, as rounds see them.

Here there is none: a hub on SQLite is one process, and none of this does anything.
`accord.hub.replicas.replica.Replica` is the one for PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, KeysView, Mapping

import sqlalchemy as sa

from accord.hub.rounds.outbox import Call
from accord.rpc.peer import PeerAgency
from accord.v1 import agent_pb2


class Elsewhere:
    """Nobody else."""

    @property
    def owner(self) -> int | None:
        """What the rounds of this process say who moves them."""
        return None

    def fence(self, tx: sa.Connection) -> None:
        """Refuse to write about rounds once they may be somebody else's.

        Raises:
            Unreachable: they may.
        """

    # Agents that are connected to others

    def reached(self) -> Collection[str]:
        """Return the agencies with a stream to somebody else."""
        return ()

    def call(self, agency: str, query: str, call: Call) -> None:
        """Have an agency asked by whoever has its stream."""

    def settle(self, agency: str, query: str) -> None:
        """Have an agency told that a query has ended."""

    async def sort(
        self,
        peer: PeerAgency,
        message: agent_pb2.ConnectRequest,
        here: KeysView[str],
    ) -> agent_pb2.ConnectRequest | None:
        """Pass on what an agency says of rounds of others.

        Args:
            peer: the agency.
            message: what it said on its stream.
            here: queries whose rounds this process moves.

        Returns:
            What is left of it for this process.
        """
        return message

    # What others have to know

    def stream_opened(self, agency: str) -> None:
        """Say that an agency is here."""

    def stream_ended(self, agency: str) -> None:
        """Say that an agency is not here any more."""

    def thrown_out(self, agency: str) -> None:
        """Say that an agency's certificate counts no more."""

    def encapsulated(self, agency: str) -> None:
        """Say that an agency has made other encapsulations, which are committed."""

    def policies_changed(self) -> None:
        """Say that other policies are in force."""

    def bumped(self, revisions: Mapping[str, int]) -> None:
        """Say that there is news of submissions, once what it is is committed."""

    def ended(self, submissions: Iterable[str]) -> None:
        """Say that submissions have ended."""
