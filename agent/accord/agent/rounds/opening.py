# SPDX-License-Identifier: Apache-2.0
"""Third round: the seed of this agency's own mask, given away once for each query.

It goes out only after receipts of the whole cohort, all for what this agency saw too.
In one transaction the reservation becomes a charge and the row says ``revealed``, for
ever; whoever asks again gets the same seed. The agency's rules over a period are
looked at once more there, since a reservation may be older than the period.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence

from accord.agent.rounds import approval, fence, history, rows
from accord.agent.rounds.checks import Checks, Clock, Examined, refuse
from accord.agent.rounds.rows import Masked, Row, Stage
from accord.agent.spending import Bill, require_period
from accord.agent.state import AgentState
from accord.agent.witness.suspicion import evidence_of, note_suspicion
from accord.core.errors import AccordError, RequisitionRefused
from accord.ledger import charge
from accord.ledger.sqlite import transaction
from accord.secagg.keys import SecretKeys
from accord.secagg.member import check_receipts
from accord.secagg.messages import Receipt


class Opening:
    """Takes the third step; belongs to one thread at a time."""

    def __init__(
        self, state: AgentState, *, keys: SecretKeys, checks: Checks, clock: Clock
    ) -> None:
        self._state = state
        self._keys = keys
        self._checks = checks
        self._clock = clock

    def reveal(
        self, connection: sqlite3.Connection, row: Row, receipts: Sequence[Receipt]
    ) -> bytes:
        """Return the seed, the same whenever it is asked for.

        Args:
            connection: to the agent's database.
            row: the query, at the attempt that the call is for.
            receipts: as the hub shows them.

        Raises:
            RequisitionRefused: with a reason from the closed list.
        """
        masked = row.masked
        if masked is None:
            refuse("OUT_OF_ORDER", "This agency has not masked anything for it.")
        if row.stage is not Stage.REVEALED:
            examined = self._check(connection, row, masked, receipts)
            self._open(connection, row, masked, self._checks.bill(examined))
        fence.publish(self._state, connection)
        return _seed(masked)

    def _check(
        self,
        connection: sqlite3.Connection,
        row: Row,
        masked: Masked,
        receipts: Sequence[Receipt],
    ) -> Examined:
        examined = self._checks.examine(connection, row.payload)
        if examined.spec.digest != row.spec_digest:
            refuse("POLICY_DIFFERS", "Another list of keys is in force by now.")
        chosen = self._checks.cohort(examined, masked.cohort)
        own = masked.receipt(self._keys.label)
        try:
            check_receipts(
                receipts, chosen.members, masked.transcript, examined.directory
            )
        except RequisitionRefused as refused:
            if refused.reason != "EQUIVOCATION":
                raise
            # Nothing of it is in the refusal, which goes to the hub.
            others = [e for e in receipts if e.agency == refused.metadata["agency"]]
            evidence = evidence_of(row.query_id, row.attempt, [own, *others])
            with contextlib.suppress(AccordError):
                note_suspicion(self._state, refused, self._clock(), evidence)
            raise
        if own not in receipts:
            raise RequisitionRefused(
                "RECEIPTS_INVALID", "This agency's receipt was exchanged on the way."
            )
        return examined

    def _open(
        self, connection: sqlite3.Connection, row: Row, masked: Masked, bill: Bill
    ) -> None:
        """Charge, and let the seed go; another process may have done so already."""
        now = self._clock()
        with transaction(connection) as tx:
            if rows.put_revealed(tx, row, masked.transcript):
                # Whoever refuses is told that it is not too late.
                approval.require_not_declined(tx, row.query_id)
                require_period(tx, bill, now)
                charge(tx, row.query_id, now)
                history.charged(tx, row.query_id, now)
                return
            found = rows.find(tx, row.query_id)
        if found is None or (found.stage, found.masked) != (Stage.REVEALED, masked):
            refuse("OUT_OF_ORDER", "The attempt has ended here.")


def _seed(masked: Masked) -> bytes:
    if masked.seed is None:
        refuse("EXPIRED", "The query has expired.")
    return masked.seed
