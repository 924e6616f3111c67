# SPDX-License-Identifier: Apache-2.0
"""This agency's ledger and the hub's, compared at every contact.

The hub commits what an opening costs before it asks for any seed, so it never holds
less of this agency than the agency itself has charged. One that does has forgotten
something, by accident or not: nothing is answered until it holds enough again. It gets
what it needs for that on request (`accord.agent.witness.countersigning`).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

import structlog

from accord.agent.rounds import fence
from accord.agent.state import AgentState
from accord.agent.witness import countersigning
from accord.agent.witness.countersigning import Page
from accord.agent.witness.suspicion import note_suspicion
from accord.core.errors import RequisitionRefused
from accord.core.privacy import Loss
from accord.secagg.keys import SecretKeys


class LedgerContact:
    """What is compared; belongs to one thread at a time."""

    def __init__(
        self,
        state: AgentState,
        keys: SecretKeys,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        """Doubt nothing yet: every contact begins with a comparison."""
        self._state = state
        self._keys = keys
        self._clock = clock
        self._is_behind = False

    def charged(self) -> Loss:
        """Return what this agency can prove that it has charged, ever."""
        with self._state.ledger() as connection:
            return countersigning.charged(connection, self._keys.label)

    def compare(self, charged: Loss, held: Loss | None) -> None:
        """Answer nothing from here on if the hub has forgotten a charge.

        Args:
            charged: what the agency had charged when it said hello.
            held: what the hub says that it holds; nothing where it does not say.
        """
        known = Loss() if held is None else held
        self._is_behind = (
            known.nano_rho < charged.nano_rho
            or known.nano_epsilon < charged.nano_epsilon
        )
        if self._is_behind:
            structlog.get_logger().error("hub.doubted", reason="HUB_BEHIND")
            note_suspicion(self._state, _behind(), self._clock())

    def require_whole(self) -> None:
        """Refuse every step for a hub that has forgotten something.

        Raises:
            RequisitionRefused: HUB_BEHIND.
        """
        if self._is_behind:
            raise _behind()

    def proven(self, *, since: int, beyond: int) -> Page | None:
        """Return charges that this agency proves, or nothing where it cannot say.

        An old copy does not know what it has charged; once its staff has confirmed it,
        it says what it does know.
        """
        with self._state.ledger() as connection:
            if fence.standing(self._state, connection).restored:
                return None
            return countersigning.proven(
                connection, self._keys, since=since, beyond=beyond
            )


def _behind() -> RequisitionRefused:
    return RequisitionRefused(
        "HUB_BEHIND",
        "The hub holds less of this agency's budget than the agency itself has charged:"
        " it runs on an older copy of its ledger.",
    )
