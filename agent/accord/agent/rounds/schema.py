# SPDX-License-Identifier: Apache-2.0
"""Tables of the agent's database beside its ledger and its rules.

``round`` has one row for every query that this agency was ever ready for, and keeps it
for ever: an id that was answered once is never answered in another way. What is secret
or large stands apart from what is kept, and is overwritten when it is deleted
(``PRAGMA secure_delete``). ``receipt`` has one row for every question that the hub
signed, answered or not, and keeps what it asked, and what proves a charge, for ever.
``forgetting`` has one row for every time that persons or old records were taken out,
which says how many and never who. ``approval`` has one row for every question that
people had to approve, ``suspicion`` one for every reason to doubt the hub. Moments
are whole seconds since 1970, UTC.

Every format but the first is reached from the one before by a step, which carries
everything over; a new state takes all steps at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from accord.core.errors import ConfigurationError
from accord.ledger import create_schema
from accord.ledger.transaction import Transaction

FORMAT: Final = 6
"""Number of the layout of these tables; 1 had no rounds, and no number either."""

_FIRST: Final = 2
"""The oldest that there is a step from."""

_TABLES: Final = (
    """
CREATE TABLE agent_head (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    format INTEGER NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    confirmed_at INTEGER
)
""",
    """
INSERT INTO agent_head (one, format, sequence) VALUES (1, 2, 0)
""",
    """
CREATE TABLE edition (
    calendar TEXT NOT NULL,
    name TEXT NOT NULL,
    frozen_at TEXT NOT NULL,
    PRIMARY KEY (calendar, name)
)
""",
    """
CREATE TABLE round (
    query_id TEXT NOT NULL PRIMARY KEY,
    substance TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'masked', 'revealed', 'erased')),
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    spec_digest BLOB NOT NULL,
    payload BLOB,
    signature BLOB,
    expires_at INTEGER NOT NULL,
    ephemeral BLOB,
    ephemeral_key BLOB NOT NULL,
    ready_signature BLOB NOT NULL,
    cohort TEXT,
    transcript BLOB,
    seed BLOB,
    vector_digest BLOB,
    seed_commitment BLOB,
    input_commitment BLOB,
    receipt_signature BLOB,
    masked_at INTEGER,
    CHECK (state <> 'ready' OR (ephemeral IS NOT NULL AND transcript IS NULL)),
    CHECK (state <> 'masked' OR (ephemeral IS NULL AND seed IS NOT NULL)),
    CHECK (state NOT IN ('masked', 'revealed') OR receipt_signature IS NOT NULL),
    CHECK (state <> 'erased' OR (ephemeral IS NULL AND seed IS NULL))
)
""",
    """
CREATE INDEX round_expiry ON round (state, expires_at)
""",
    """
CREATE TABLE round_vector (
    query_id TEXT NOT NULL PRIMARY KEY REFERENCES round (query_id),
    content BLOB NOT NULL
)
""",
    """
CREATE TABLE audit_record (
    query_id TEXT NOT NULL PRIMARY KEY REFERENCES round (query_id),
    sealed BLOB NOT NULL
)
""",
    """
CREATE TABLE document (
    digest TEXT NOT NULL PRIMARY KEY,
    content BLOB NOT NULL
)
""",
    """
CREATE TABLE audit_document (
    query_id TEXT NOT NULL REFERENCES audit_record (query_id),
    path TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES document (digest),
    PRIMARY KEY (query_id, path)
)
""",
    """
CREATE INDEX audit_document_digest ON audit_document (digest)
""",
    """
CREATE TABLE audit (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    query_id TEXT NOT NULL,
    made_by TEXT NOT NULL,
    result TEXT NOT NULL
)
""",
    """
CREATE TABLE encapsulation (
    sender TEXT NOT NULL,
    receiver TEXT NOT NULL,
    sender_keys BLOB NOT NULL,
    receiver_keys BLOB NOT NULL,
    ciphertext BLOB NOT NULL,
    signature BLOB NOT NULL,
    secret BLOB,
    kept_at INTEGER NOT NULL,
    PRIMARY KEY (sender, receiver)
)
""",
)

_RECEIPTS_AND_LOG: Final = (
    """
CREATE TABLE receipt (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    query_id TEXT NOT NULL UNIQUE,
    asked_at INTEGER NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('refused', 'asked', 'masked', 'opened', 'presumed', 'ended')),
    reason TEXT,
    payload BLOB,
    signature BLOB,
    cohort TEXT,
    transcript BLOB,
    cells INTEGER,
    masked_at INTEGER,
    charged_at INTEGER,
    ended_at INTEGER,
    CHECK ((state = 'refused') = (reason IS NOT NULL)),
    CHECK ((state IN ('opened', 'presumed')) = (charged_at IS NOT NULL))
)
""",
    """
INSERT INTO receipt (query_id, asked_at, state, payload, signature, cohort, transcript,
    cells, masked_at, charged_at)
SELECT r.query_id, COALESCE(r.masked_at, r.expires_at),
    CASE
        WHEN r.state = 'revealed' THEN 'opened'
        WHEN e.at IS NOT NULL THEN 'presumed'
        WHEN r.state = 'ready' THEN 'asked'
        WHEN r.state = 'masked' THEN 'masked'
        ELSE 'ended'
    END,
    r.payload, r.signature, r.cohort, r.transcript, LENGTH(v.content) / 8, r.masked_at,
    CASE WHEN r.state = 'revealed' OR e.at IS NOT NULL
        THEN COALESCE(e.at / 1000000, r.masked_at) END
FROM round r
LEFT JOIN round_vector v ON v.query_id = r.query_id
LEFT JOIN ledger_event e ON e.entry = r.query_id AND e.kind = 'charge'
ORDER BY COALESCE(r.masked_at, r.expires_at), r.query_id
""",
    """
CREATE INDEX receipt_charge ON receipt (charged_at)
""",
    """
CREATE TABLE log_seen (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL,
    at INTEGER NOT NULL,
    ledger_height INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    signature BLOB NOT NULL,
    accepted_at INTEGER NOT NULL
)
""",
    """
CREATE TABLE log_fork (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    found_at INTEGER NOT NULL,
    seen TEXT NOT NULL,
    shown TEXT NOT NULL,
    accepted_at INTEGER
)
""",
    """
UPDATE agent_head SET format = 3
""",
)

_SCALES: Final = (
    """
ALTER TABLE receipt ADD COLUMN scale INTEGER
""",
    """
UPDATE agent_head SET format = 4
""",
)

_FORGETTING: Final = (
    """
CREATE TABLE forgetting (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('forgotten', 'lifted', 'retention')),
    receipt TEXT NOT NULL
)
""",
    """
UPDATE agent_head SET format = 5
""",
)

_DOUBTS_AND_APPROVALS: Final = (
    # Earlier versions made both when they were first needed.
    """
CREATE TABLE IF NOT EXISTS suspicion (
    reason TEXT NOT NULL PRIMARY KEY,
    at TEXT NOT NULL,
    evidence TEXT
)
""",
    """
CREATE TABLE IF NOT EXISTS approval (
    query_id TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL,
    subject TEXT NOT NULL,
    standing TEXT NOT NULL CHECK
        (standing IN ('waiting', 'approved', 'refused', 'expired', 'ended')),
    payload BLOB NOT NULL,
    signature BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    asked_at INTEGER NOT NULL,
    decide_by INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    told_at INTEGER,
    decided_at INTEGER,
    decided_by TEXT,
    reason TEXT
)
""",
    """
CREATE INDEX approval_standing ON approval (standing, decide_by)
""",
    """
UPDATE agent_head SET format = 6
""",
)

_STEPS: Final = {
    2: _RECEIPTS_AND_LOG,
    3: _SCALES,
    4: _FORGETTING,
    5: _DOUBTS_AND_APPROVALS,
}
"""Statements that lead from a format to the next one."""


def create_tables(tx: Transaction, path: Path) -> None:
    """Make ledger and tables unless there are some; bring older ones up to date.

    Args:
        tx: an open transaction.
        path: where the database lies, to name it.

    Raises:
        ConfigurationError: STATE_FORMAT, or the ledger has another format.
    """
    empty = not tx.execute("SELECT 1 FROM sqlite_master LIMIT 1", {}).fetchall()
    create_schema(tx)
    if empty:
        for table in _TABLES:
            tx.execute(table, {})
    update_tables(tx, path)


def update_tables(tx: Transaction, path: Path) -> None:
    """Take the steps that are missing, in one transaction of the caller.

    Raises:
        ConfigurationError: STATE_FORMAT, nothing leads from there to here.
    """
    found = _format(tx)
    if found not in _STEPS:
        _require_current(found, path)
    for number in range(found, FORMAT):
        for statement in _STEPS[number]:
            tx.execute(statement, {})


def are_current(tx: Transaction, path: Path) -> bool:
    """Tell whether tables have the newest format; false where a step is missing.

    Raises:
        ConfigurationError: STATE_FORMAT, nothing leads from there to here.
    """
    found = _format(tx)
    if found not in _STEPS:
        _require_current(found, path)
    return found == FORMAT


def _require_current(found: int, path: Path) -> None:
    if found == FORMAT:
        return
    if found < _FIRST:
        sentence = (
            f"{path} was made by a version of the agent before rounds with masks, which"
            " this version cannot take over: begin anew with `accord-agent init` in"
            " another directory, after copying the folder `keys` there."
        )
    else:
        sentence = (
            f"{path} was made by a newer version of the agent: install that version"
            " again."
        )
    raise ConfigurationError("STATE_FORMAT", sentence)


def _format(tx: Transaction) -> int:
    table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'agent_head'"
    if not tx.execute(table, {}).fetchall():
        return 1
    return int(tx.execute("SELECT format FROM agent_head", {}).fetchall()[0][0])
