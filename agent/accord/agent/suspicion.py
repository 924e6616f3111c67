# SPDX-License-Identifier: Apache-2.0
"""What made this agent doubt its hub, remembered until staff has looked.

One row for each reason, with the time when it was seen last.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from accord.agent.state import AgentState
from accord.core.errors import RequisitionRefused
from accord.ledger.sqlite import transaction

SUSPICIOUS = frozenset(
    {
        "ALREADY_OPENED",
        "COHORT_CHANGED",
        "EQUIVOCATION",
        "INCOMPLETE_COHORT",
        "POLICY_DIFFERS",
        "POLICY_UNTRUSTED",
        "READY_INVALID",
        "RECEIPTS_INVALID",
        "SIGNATURE_INVALID",
    }
)
"""Refusals that an honest hub and agent give no cause for."""

_TABLE = """
CREATE TABLE IF NOT EXISTS suspicion (
    reason TEXT NOT NULL PRIMARY KEY,
    at TEXT NOT NULL
)
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A reason, and when a question was last refused for it."""

    reason: str
    at: datetime.datetime

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {"reason": self.reason, "at": self.at.isoformat()}


def note_suspicion(
    state: AgentState, refused: RequisitionRefused, now: datetime.datetime
) -> None:
    """Remember why a question was refused."""
    reason = refused.metadata.get("codes") or refused.reason
    with state.ledger() as connection, transaction(connection) as tx:
        tx.execute(_TABLE, {})
        tx.execute(
            "INSERT INTO suspicion (reason, at) VALUES (:reason, :at) "
            "ON CONFLICT (reason) DO UPDATE SET at = :at",
            {"reason": reason, "at": now.isoformat()},
        )


def suspicions(state: AgentState) -> tuple[Suspicion, ...]:
    """Return what was noted, newest first."""
    table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'suspicion'"
    with state.ledger() as connection:
        if not connection.execute(table).fetchall():
            return ()
        rows = connection.execute(
            "SELECT reason, at FROM suspicion ORDER BY at DESC, reason"
        ).fetchall()
    return tuple(
        Suspicion(reason=reason, at=datetime.datetime.fromisoformat(at))
        for reason, at in rows
    )
