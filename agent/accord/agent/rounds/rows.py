# SPDX-License-Identifier: Apache-2.0
"""What this agency has said in rounds, one row for each query.

::

    (none) -> ready -> masked -> revealed
                 ^--------'         a higher attempt erases the lower one
              ready | masked -> erased

Each change is conditional on the row that it starts from, in a transaction of the
caller, so of two processes that take the same step one comes second and finds what the
other said. ``revealed`` and ``erased`` are for ever. The sequence in ``agent_head``
counts what may have told the hub something: every masked and every revealed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from accord.ledger.transaction import Transaction
from accord.secagg.messages import Ready, Receipt


class Stage(enum.StrEnum):
    """How far a query has come here."""

    READY = "ready"
    MASKED = "masked"
    REVEALED = "revealed"
    ERASED = "erased"


_PATIENCE: Final = 200
"""Milliseconds to wait for readers, of whom there are none but commands of staff."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """What the second round adds to a row."""

    cohort: str
    transcript: bytes
    seed: bytes | None = dataclasses.field(repr=False)
    """Of the self mask; gone once nothing may be answered any more."""
    vector_digest: bytes
    seed_commitment: bytes
    input_commitment: bytes
    signature: bytes
    """Of the receipt."""
    at: datetime.datetime

    def receipt(self, agency: str) -> Receipt:
        """Return the receipt as it was sent."""
        return Receipt(
            agency=agency,
            transcript=self.transcript,
            vector_digest=self.vector_digest,
            seed_commitment=self.seed_commitment,
            input_commitment=self.input_commitment,
            signature=self.signature,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One query as this agency has answered it."""

    query_id: str
    substance: str
    """Digest of what is asked; its times may differ between attempts."""
    stage: Stage
    attempt: int
    spec_digest: bytes
    payload: bytes
    """Empty where it is not kept any more."""
    signature: bytes
    """The hub's, over the payload."""
    expires_at: datetime.datetime
    ephemeral: bytes | None = dataclasses.field(default=None, repr=False)
    """Private key of this attempt; only while the row is ready."""
    ephemeral_key: bytes
    ready_signature: bytes
    masked: Masked | None = None

    def ready(self, agency: str) -> Ready:
        """Return the ready as it was sent."""
        return Ready(
            agency=agency,
            spec_digest=self.spec_digest,
            attempt=self.attempt,
            ephemeral_key=self.ephemeral_key,
            signature=self.ready_signature,
        )


_COLUMNS: Final = (
    "query_id, substance, state, attempt, spec_digest, payload, signature, expires_at,"
    " ephemeral, ephemeral_key, ready_signature, cohort, transcript, seed,"
    " vector_digest, seed_commitment, input_commitment, receipt_signature, masked_at"
)

_FIND: Final = f"SELECT {_COLUMNS} FROM round WHERE query_id = :query_id"  # noqa: S608

_ADD: Final = """
INSERT INTO round (query_id, substance, state, attempt, spec_digest, payload, signature,
    expires_at, ephemeral, ephemeral_key, ready_signature)
VALUES (:query_id, :substance, 'ready', :attempt, :spec_digest, :payload, :signature,
    :expires_at, :ephemeral, :ephemeral_key, :ready_signature)
ON CONFLICT (query_id) DO UPDATE SET state = 'ready', attempt = excluded.attempt,
    spec_digest = excluded.spec_digest, payload = excluded.payload,
    signature = excluded.signature, expires_at = excluded.expires_at,
    ephemeral = excluded.ephemeral, ephemeral_key = excluded.ephemeral_key,
    ready_signature = excluded.ready_signature, cohort = NULL, transcript = NULL,
    seed = NULL, vector_digest = NULL, seed_commitment = NULL, input_commitment = NULL,
    receipt_signature = NULL, masked_at = NULL
WHERE round.state IN ('ready', 'masked') AND round.attempt < excluded.attempt
    AND round.substance = excluded.substance
"""

_MASK: Final = """
UPDATE round SET state = 'masked', ephemeral = NULL, cohort = :cohort,
    transcript = :transcript, seed = :seed, vector_digest = :vector_digest,
    seed_commitment = :seed_commitment, input_commitment = :input_commitment,
    receipt_signature = :receipt_signature, masked_at = :masked_at
WHERE query_id = :query_id AND state = 'ready' AND attempt = :attempt
    AND ephemeral_key = :ephemeral_key
"""

_REVEAL: Final = """
UPDATE round SET state = 'revealed'
WHERE query_id = :query_id AND state = 'masked' AND attempt = :attempt
    AND transcript = :transcript
"""

_ERASE: Final = """
UPDATE round SET state = 'erased', ephemeral = NULL, seed = NULL, payload = NULL,
    signature = NULL
WHERE query_id = :query_id AND state IN ('ready', 'masked')
"""


def find(tx: Transaction, query_id: str) -> Row | None:
    """Return the row of a query."""
    rows = tx.execute(_FIND, {"query_id": query_id}).fetchall()
    return _row(rows[0]) if rows else None


def ended_by(tx: Transaction, now: datetime.datetime) -> list[Row]:
    """Return the open rows whose queries have expired."""
    where = "state IN ('ready', 'masked') AND expires_at <= :moment"
    return _where(tx, where, now)


def opened_by(tx: Transaction, now: datetime.datetime) -> list[Row]:
    """Return the revealed rows whose queries have expired and that have a seed yet."""
    where = "state = 'revealed' AND expires_at <= :moment AND seed IS NOT NULL"
    return _where(tx, where, now)


def audited_by(
    tx: Transaction, now: datetime.datetime, since: datetime.datetime
) -> list[Row]:
    """Return the expired rows with a record that were masked before a moment."""
    where = (
        "state = 'revealed' AND expires_at <= :moment"
        " AND query_id IN (SELECT query_id FROM audit_record)"
    )
    found = _where(tx, where, now)
    return [row for row in found if row.masked is not None and row.masked.at < since]


def open_rows(tx: Transaction) -> list[Row]:
    """Return all rows that can still change."""
    return _where(tx, "state IN ('ready', 'masked')")


def _where(
    tx: Transaction, where: str, moment: datetime.datetime | None = None
) -> list[Row]:
    sql = f"SELECT {_COLUMNS} FROM round WHERE {where}"  # noqa: S608 - see the callers
    given = {} if moment is None else {"moment": int(moment.timestamp())}
    return [_row(row) for row in tx.execute(sql, given).fetchall()]


def put_ready(tx: Transaction, row: Row) -> bool:
    """Begin an attempt; what was kept of a lower one is erased with it.

    Returns:
        Whether it could begin: the query is new, or open at a lower attempt.
    """
    done = tx.execute(
        _ADD,
        {
            "query_id": row.query_id,
            "substance": row.substance,
            "attempt": row.attempt,
            "spec_digest": row.spec_digest,
            "payload": row.payload,
            "signature": row.signature,
            "expires_at": int(row.expires_at.timestamp()),
            "ephemeral": row.ephemeral,
            "ephemeral_key": row.ephemeral_key,
            "ready_signature": row.ready_signature,
        },
    )
    if done.rowcount != 1:
        return False
    forget_vector(tx, row.query_id)
    forget_record(tx, row.query_id)
    return True


def put_masked(tx: Transaction, row: Row, masked: Masked, vector: bytes) -> bool:
    """Keep what the second round sends, and erase the attempt's private key.

    Returns:
        Whether the row was still as *row* says.
    """
    done = tx.execute(
        _MASK,
        {
            "query_id": row.query_id,
            "attempt": row.attempt,
            "ephemeral_key": row.ephemeral_key,
            "cohort": masked.cohort,
            "transcript": masked.transcript,
            "seed": masked.seed,
            "vector_digest": masked.vector_digest,
            "seed_commitment": masked.seed_commitment,
            "input_commitment": masked.input_commitment,
            "receipt_signature": masked.signature,
            "masked_at": int(masked.at.timestamp()),
        },
    )
    if done.rowcount != 1:
        return False
    tx.execute(
        "INSERT INTO round_vector (query_id, content) VALUES (:query_id, :content)",
        {"query_id": row.query_id, "content": vector},
    )
    _count(tx)
    return True


def put_revealed(tx: Transaction, row: Row, transcript: bytes) -> bool:
    """Let the seed of an attempt go out; nothing else of the query ever will.

    Returns:
        Whether the row was still masked in this attempt.
    """
    done = tx.execute(
        _REVEAL,
        {
            "query_id": row.query_id,
            "attempt": row.attempt,
            "transcript": transcript,
        },
    )
    if done.rowcount != 1:
        return False
    _count(tx)
    return True


def erase(tx: Transaction, query_id: str) -> bool:
    """End a query that was not revealed: whatever could open it is overwritten.

    Returns:
        Whether it was open.
    """
    done = tx.execute(_ERASE, {"query_id": query_id})
    if done.rowcount != 1:
        return False
    forget_vector(tx, query_id)
    forget_record(tx, query_id)
    return True


def disown(tx: Transaction, query_id: str) -> None:
    """Forget that an erased query was masked, where nobody may be told that it was."""
    tx.execute(
        "UPDATE round SET transcript = NULL WHERE query_id = :query_id"
        " AND state = 'erased'",
        {"query_id": query_id},
    )


def forget_seed(tx: Transaction, query_id: str) -> None:
    """Overwrite the seed of a query that was revealed and has expired."""
    tx.execute(
        "UPDATE round SET seed = NULL WHERE query_id = :query_id"
        " AND state = 'revealed' AND seed IS NOT NULL",
        {"query_id": query_id},
    )


def forget_payload(tx: Transaction, query_id: str) -> None:
    """Delete the question of a query of which there is no record any more."""
    tx.execute(
        "UPDATE round SET payload = NULL, signature = NULL"
        " WHERE query_id = :query_id AND state = 'revealed'",
        {"query_id": query_id},
    )


def vector_of(tx: Transaction, query_id: str) -> bytes | None:
    """Return the masked vector as it was sent, while it is kept."""
    rows = tx.execute(
        "SELECT content FROM round_vector WHERE query_id = :query_id",
        {"query_id": query_id},
    ).fetchall()
    return bytes(rows[0][0]) if rows else None


def forget_vector(tx: Transaction, query_id: str) -> bool:
    """Delete the masked vector; tell whether there was one."""
    done = tx.execute(
        "DELETE FROM round_vector WHERE query_id = :query_id", {"query_id": query_id}
    )
    return done.rowcount > 0


def forget_record(tx: Transaction, query_id: str) -> None:
    """Delete what an audit would need of a query."""
    named = {"query_id": query_id}
    tx.execute("DELETE FROM audit_document WHERE query_id = :query_id", named)
    done = tx.execute("DELETE FROM audit_record WHERE query_id = :query_id", named)
    if done.rowcount:  # every step calls this, and mostly there is nothing
        unnamed = "digest NOT IN (SELECT digest FROM audit_document)"
        tx.execute(f"DELETE FROM document WHERE {unnamed}", {})  # noqa: S608


def checkpoint(connection: sqlite3.Connection) -> None:
    """Bring the log of the database to an end, with what was overwritten in it.

    Another process that reads keeps this from happening; the next call does it then.
    """
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_PATIENCE}").fetchall()
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute(f"PRAGMA busy_timeout = {patience}").fetchall()


def _count(tx: Transaction) -> None:
    tx.execute("UPDATE agent_head SET sequence = sequence + 1", {})


def _row(row: Sequence[Any]) -> Row:
    query_id, substance, stage, attempt, spec, payload, signature, expires, *rest = row
    ephemeral, ephemeral_key, ready_signature, *sent = rest
    return Row(
        query_id=query_id,
        substance=substance,
        stage=Stage(stage),
        attempt=attempt,
        spec_digest=spec,
        payload=payload or b"",
        signature=signature or b"",
        expires_at=_moment(expires),
        ephemeral=ephemeral,
        ephemeral_key=ephemeral_key,
        ready_signature=ready_signature,
        masked=_masked(*sent),
    )


def _masked(
    cohort: str | None,
    transcript: bytes | None,
    seed: bytes | None,
    vector_digest: bytes,
    seed_commitment: bytes,
    input_commitment: bytes,
    signature: bytes,
    at: int,
) -> Masked | None:
    if cohort is None or transcript is None:
        return None
    return Masked(
        cohort=cohort,
        transcript=transcript,
        seed=seed,
        vector_digest=vector_digest,
        seed_commitment=seed_commitment,
        input_commitment=input_commitment,
        signature=signature,
        at=_moment(at),
    )


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
