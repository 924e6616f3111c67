# SPDX-License-Identifier: Apache-2.0
"""First round: this agency would answer, and signs a fresh key for the attempt.

Everything is checked that can be checked without a cohort; nothing is spent and no
record is touched. Where people have to approve the question, that is the last check:
until they have, it waits in the agency's database. What a lower attempt kept is erased
in the same transaction, so that nothing can open it once the new key is signed.
"""

from __future__ import annotations

import sqlite3

from accord.agent.rounds import approval, history, rows
from accord.agent.rounds.checks import Checks, Clock, Examined, refuse, substance_of
from accord.agent.rounds.pairs import Pairs
from accord.agent.rounds.rows import Row, Stage
from accord.agent.rounds.sealing import read_public
from accord.agent.rounds.steps import ReadyStep
from accord.agent.rounds.vectors import require
from accord.agent.settings import Approval
from accord.agent.spending import require_affordable
from accord.agent.state import AgentState
from accord.core.errors import AccordError
from accord.ledger.sqlite import transaction
from accord.secagg.keys import SecretKeys
from accord.secagg.member import make_ready
from accord.secagg.messages import Ready


class Readying:
    """Takes the first step; belongs to one thread at a time."""

    def __init__(
        self,
        state: AgentState,
        *,
        keys: SecretKeys,
        checks: Checks,
        pairs: Pairs,
        rule: Approval,
        clock: Clock,
    ) -> None:
        self._state = state
        self._keys = keys
        self._checks = checks
        self._pairs = pairs
        self._rule = rule
        self._clock = clock

    def ready(
        self,
        connection: sqlite3.Connection,
        payload: bytes,
        signature: bytes,
        attempt: int,
    ) -> ReadyStep:
        """Return the ready of this attempt, the same whenever it is asked for.

        Args:
            connection: to the agent's database.
            payload: exactly the bytes that the hub signed.
            signature: the hub's.
            attempt: number of the attempt.

        Raises:
            RequisitionRefused: with a reason from the closed list.
            ConfigurationError: nothing that is masked could be audited.
        """
        self._checks.verify(payload, signature)
        examined = self._checks.examine(connection, payload)
        requisition = examined.requisition
        self._checks.cohort(examined, requisition.cohort)
        with self._checks.edition(examined, self._clock().date()) as cases:
            try:
                require(cases, examined.terms, requisition.query, examined.policy.model)
            except AccordError as error:
                refuse("STORE_UNAVAILABLE", error.sentence)
        read_public(self._state)
        ready = self._kept(connection, examined, signature, attempt)
        with transaction(connection) as tx:
            lacking = self._pairs.lacking(tx, examined.directory, requisition.members)
        return ReadyStep(ready=ready, lacking=lacking)

    def _kept(
        self,
        connection: sqlite3.Connection,
        examined: Examined,
        signature: bytes,
        attempt: int,
    ) -> Ready:
        """Return the ready that is kept, or make one and keep it."""
        requisition, spec = examined.requisition, examined.spec
        substance = substance_of(requisition)
        with transaction(connection) as tx:
            row = rows.find(tx, requisition.query_id)
            if row is not None and _same(row, substance, spec.digest, attempt):
                return row.ready(self._keys.label)
            bill = self._checks.bill(examined)
            now = self._clock()
            require_affordable(tx, bill, now)
            asked = spec.payload, signature, attempt
            standing = approval.standing_of(tx, self._rule, requisition, asked, now)
            # What waits is to be kept, so that this refusal comes after the block.
            refusal = approval.refusal(standing)
            if refusal is None:
                begun = self._begun(examined, substance, signature, attempt)
                if not rows.put_ready(tx, begun):
                    refuse("OUT_OF_ORDER", "The attempt cannot begin any more.")
                history.asked(tx, begun, now)
        if refusal is not None:
            raise refusal
        if row is not None:
            rows.checkpoint(connection)
        return begun.ready(self._keys.label)

    def _begun(
        self, examined: Examined, substance: str, signature: bytes, attempt: int
    ) -> Row:
        """Return the row of an attempt that begins, with a fresh key."""
        requisition, spec = examined.requisition, examined.spec
        ready, ephemeral = make_ready(self._keys, spec, attempt)
        return Row(
            query_id=requisition.query_id,
            substance=substance,
            stage=Stage.READY,
            attempt=attempt,
            spec_digest=spec.digest,
            payload=spec.payload,
            signature=signature,
            expires_at=requisition.expires_at,
            ephemeral=ephemeral,
            ephemeral_key=ready.ephemeral_key,
            ready_signature=ready.signature,
        )


def _same(row: Row, substance: str, spec_digest: bytes, attempt: int) -> bool:
    """Tell whether a row has the answer already, or a new attempt may begin.

    Raises:
        RequisitionRefused: ID_REUSED, ALREADY_OPENED or OUT_OF_ORDER.
    """
    if row.substance != substance:
        refuse("ID_REUSED", "The id was used before for another question.")
    if row.stage is Stage.REVEALED:
        refuse("ALREADY_OPENED", "The answer to this query was opened before.")
    if row.stage is Stage.ERASED:
        refuse("OUT_OF_ORDER", "The query has ended here.")
    if (row.attempt, row.spec_digest) == (attempt, spec_digest):
        return True
    if attempt <= row.attempt:
        refuse("OUT_OF_ORDER", "A later attempt has begun here.")
    return False
