# SPDX-License-Identifier: Apache-2.0
"""What made this agent doubt its hub, remembered until staff has looked.

One row for each reason, with the time when it was seen last. Where another agency has
signed that it was shown something else, its receipt is kept beside this agency's own:
together they are evidence against the hub. Names are those of ``accord-hub audit``.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Sequence
from typing import Any

from accord.agent.state import AgentState
from accord.core.errors import RequisitionRefused
from accord.ledger.sqlite import transaction
from accord.secagg.messages import Receipt

SUSPICIOUS = frozenset(
    {
        "ALREADY_OPENED",
        "COHORT_CHANGED",
        "EQUIVOCATION",
        "HUB_BEHIND",
        "INCOMPLETE_COHORT",
        "LOG_FORKED",
        "POLICY_DIFFERS",
        "POLICY_UNTRUSTED",
        "READY_INVALID",
        "RECEIPTS_INVALID",
        "SIGNATURE_INVALID",
    }
)
"""Refusals that an honest hub and agent give no cause for."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A reason, and when a question was last refused for it."""

    reason: str
    at: datetime.datetime
    evidence: dict[str, Any] | None = None
    """What was signed against the hub, the newest (`evidence_of`)."""

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "reason": self.reason,
            "at": self.at.isoformat(),
            "evidence": self.evidence,
        }


def evidence_of(
    query_id: str, attempt: int, receipts: Sequence[Receipt]
) -> dict[str, Any]:
    """Return receipts that contradict each other; their signatures were checked."""
    return {
        "query_id": query_id,
        "attempt": attempt,
        "receipts": [
            {
                "agency": each.agency,
                "transcript": each.transcript.hex(),
                "vector_digest": each.vector_digest.hex(),
                "seed_commitment": each.seed_commitment.hex(),
                "input_commitment": each.input_commitment.hex(),
                "signature": each.signature.hex(),
            }
            for each in receipts
        ],
    }


def note_suspicion(
    state: AgentState,
    refused: RequisitionRefused,
    now: datetime.datetime,
    evidence: dict[str, Any] | None = None,
) -> None:
    """Remember why a question was refused; old evidence stays without new."""
    reason = refused.metadata.get("codes") or refused.reason
    with state.ledger() as connection, transaction(connection) as tx:
        tx.execute(
            "INSERT INTO suspicion (reason, at, evidence) "
            "VALUES (:reason, :at, :evidence) ON CONFLICT (reason) DO UPDATE "
            "SET at = :at, evidence = coalesce(:evidence, evidence)",
            {
                "reason": reason,
                "at": now.isoformat(),
                "evidence": None if evidence is None else json.dumps(evidence),
            },
        )


def suspicions(state: AgentState) -> tuple[Suspicion, ...]:
    """Return what was noted, newest first."""
    with state.ledger() as connection:
        rows = connection.execute(
            "SELECT reason, at, evidence FROM suspicion ORDER BY at DESC, reason"
        ).fetchall()
    return tuple(
        Suspicion(
            reason=reason,
            at=datetime.datetime.fromisoformat(at),
            evidence=None if evidence is None else json.loads(evidence),
        )
        for reason, at, evidence in rows
    )
