# SPDX-License-Identifier: Apache-2.0
"""One row for every question that the hub has signed, kept for ever.

::

    (none) -> refused <-> asked <-> masked -> opened | presumed | ended

A question that was declined at one call may be answered at the next one, in the round
that it was in: what forbade it may be gone by then.

A row follows the query's own (`accord.agent.rounds.rows`) in the same transaction. What
was ``opened`` or ``presumed`` (an old copy of the state may have opened it) is charged,
and its row keeps all that proves the charge: the requisition with the hub's signature,
the cohort and the transcript. Nothing in a row depends on a record.
"""

from __future__ import annotations

import datetime
import enum
from typing import Final

from accord.agent.rounds.rows import Masked, Row
from accord.ledger.transaction import Transaction

MOST_REFUSED_BYTES: Final = 64 * 1024
"""Of a question that was refused and is kept; of a longer one only that it came."""


class Outcome(enum.StrEnum):
    """How far a question has come, for this agency."""

    REFUSED = "refused"
    ASKED = "asked"
    MASKED = "masked"
    OPENED = "opened"
    PRESUMED = "presumed"
    ENDED = "ended"


_ASKED: Final = """
INSERT INTO receipt (query_id, asked_at, state, payload, signature)
VALUES (:query_id, :now, 'asked', :payload, :signature)
ON CONFLICT (query_id) DO UPDATE SET state = 'asked', reason = NULL,
    payload = excluded.payload, signature = excluded.signature, cohort = NULL,
    transcript = NULL, cells = NULL, scale = NULL, masked_at = NULL
WHERE receipt.charged_at IS NULL
"""

_REFUSED: Final = """
INSERT INTO receipt (query_id, asked_at, state, reason, payload, signature)
VALUES (:query_id, :now, 'refused', :reason, :payload, :signature)
ON CONFLICT (query_id) DO UPDATE SET state = 'refused', reason = excluded.reason
WHERE receipt.state IN ('refused', 'asked') AND receipt.reason IS NOT excluded.reason
"""

_NOT_APPROVED: Final = """
UPDATE receipt SET reason = :reason
WHERE query_id = :query_id AND state = 'refused' AND reason = 'APPROVAL_AWAITED'
"""

_APPROVED: Final = """
UPDATE receipt SET state = 'asked', reason = NULL
WHERE query_id = :query_id AND state = 'refused' AND reason = 'APPROVAL_AWAITED'
"""

_MASKED: Final = """
UPDATE receipt SET state = 'masked', reason = NULL, cohort = :cohort,
    transcript = :transcript, cells = :cells, scale = :scale, masked_at = :now
WHERE query_id = :query_id AND charged_at IS NULL
"""

_CHARGED: Final = """
UPDATE receipt SET state = :state, charged_at = :now, reason = NULL
WHERE query_id = :query_id AND charged_at IS NULL
"""

_ENDED: Final = """
UPDATE receipt SET state = 'ended', ended_at = :now, reason = NULL
WHERE query_id = :query_id AND state IN ('asked', 'masked')
"""

_COUNTS: Final = "SELECT state, reason, COUNT(*) FROM receipt GROUP BY state, reason"


def asked(tx: Transaction, row: Row, now: datetime.datetime) -> None:
    """Note that an attempt begins."""
    tx.execute(
        _ASKED,
        {
            "query_id": row.query_id,
            "now": _seconds(now),
            "payload": row.payload,
            "signature": row.signature,
        },
    )


def refused(
    tx: Transaction,
    query_id: str,
    payload: bytes,
    signature: bytes,
    reason: str,
    now: datetime.datetime,
) -> None:
    """Note that a question was declined before anything was masked for it.

    Args:
        tx: an open transaction.
        query_id: of the question.
        payload: which the hub of the board's list has signed.
        signature: the hub's.
        reason: from the closed list.
        now: this machine's time.
    """
    short = len(payload) <= MOST_REFUSED_BYTES
    tx.execute(
        _REFUSED,
        {
            "query_id": query_id,
            "now": _seconds(now),
            "reason": reason,
            "payload": payload if short else None,
            "signature": signature if short else None,
        },
    )


def not_approved(tx: Transaction, query_id: str, reason: str) -> None:
    """Note that a question that waited for people was declined, and why."""
    tx.execute(_NOT_APPROVED, {"query_id": query_id, "reason": reason})


def approved(tx: Transaction, query_id: str) -> None:
    """Note that people have approved a question, which is asked again soon."""
    tx.execute(_APPROVED, {"query_id": query_id})


def masked(
    tx: Transaction, row: Row, what: Masked, *, cells: int, scale: int | None
) -> None:
    """Note what leaves this agency, and under which cohort.

    Args:
        tx: an open transaction.
        row: the query's own.
        what: leaves.
        cells: how many figures that is.
        scale: stored integer of one count in them, if they are counts.
    """
    tx.execute(
        _MASKED,
        {
            "query_id": row.query_id,
            "cohort": what.cohort,
            "transcript": what.transcript,
            "cells": cells,
            "scale": scale,
            "now": _seconds(what.at),
        },
    )


def charged(
    tx: Transaction, query_id: str, now: datetime.datetime, *, presumed: bool = False
) -> None:
    """Note that the answer may be opened, or may have been before a restore."""
    state = Outcome.PRESUMED if presumed else Outcome.OPENED
    tx.execute(
        _CHARGED, {"query_id": query_id, "state": state.value, "now": _seconds(now)}
    )


def ended(tx: Transaction, query_id: str, now: datetime.datetime) -> None:
    """Note that a question has ended without an answer that can ever be opened."""
    tx.execute(_ENDED, {"query_id": query_id, "now": _seconds(now)})


def counts(tx: Transaction) -> dict[tuple[Outcome, str | None], int]:
    """Return how many questions came how far, those declined by reason."""
    rows = tx.execute(_COUNTS, {}).fetchall()
    return {(Outcome(state), reason): int(number) for state, reason, number in rows}


def _seconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp())
