# SPDX-License-Identifier: Apache-2.0
"""The end of a reservation: it is charged, or given back.

PostgreSQL does it in one statement, which changes nothing where the entry is not
reserved; what that means is then looked up step by step, as on SQLite.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Final

from accord.core.errors import Conflict, NotFound
from accord.ledger.account import Entry, State, microseconds, moment, require_id
from accord.ledger.head import Head, lock_head
from accord.ledger.history import disagreement, entry, gathered
from accord.ledger.schema import FORMAT
from accord.ledger.sets import is_postgresql
from accord.ledger.transaction import Transaction, require_open

_PAY: Final = """
UPDATE ledger_account SET <totals>
FROM ledger_line l
WHERE l.entry = :entry AND name = l.account AND ledger_account.unit = l.unit
AND reserved >= l.amount
"""

_TOTALS: Final = {
    State.CHARGED: "reserved = reserved - l.amount",
    State.RETURNED: "reserved = reserved - l.amount, used = used - l.amount",
}

_KIND: Final = {State.CHARGED: "charge", State.RETURNED: "give back"}

_SETTLE: Final = """
UPDATE ledger_entry SET state = :state WHERE id = :entry AND state = 'reserved'
"""

_FREE: Final = """
UPDATE ledger_line SET returned = 1 WHERE entry = :entry
"""

_ADD_EVENT: Final = """
INSERT INTO ledger_event (height, at, kind, entry)
VALUES (:height, :now, :kind, :entry)
"""

_MOVE: Final = "UPDATE ledger_head SET height = :height, clock = :now"

_AT_ONCE: Final = """
WITH head AS MATERIALIZED (
    SELECT height, clock FROM ledger_head WHERE format = :format FOR UPDATE
), settled AS (
    UPDATE ledger_entry e SET state = :state FROM head
    WHERE e.id = :entry AND e.state = 'reserved'
    RETURNING e.id, head.height + 1 AS height, GREATEST(head.clock, :asked_at) AS now
), paid AS (
    UPDATE ledger_account SET <totals>
    FROM settled s JOIN ledger_line l ON l.entry = s.id
    WHERE name = l.account AND ledger_account.unit = l.unit
    AND reserved >= l.amount
    RETURNING 1
), freed AS (
    UPDATE ledger_line SET returned = 1 FROM settled s
    WHERE entry = s.id AND CAST(:kind AS TEXT) = 'give back'
), noted AS (
    INSERT INTO ledger_event (height, at, kind, entry)
    SELECT s.height, s.now, CAST(:kind AS TEXT), s.id FROM settled s
), moved AS (
    UPDATE ledger_head SET height = s.height, clock = s.now FROM settled s
)
SELECT s.id, CAST(:state AS TEXT), r.height, r.at, s.now, l.account, l.unit, l.amount,
    (SELECT COUNT(*) FROM paid)
FROM settled s
JOIN ledger_event r ON r.entry = s.id AND r.kind = 'reserve'
JOIN ledger_line l ON l.entry = s.id
"""
"""Whoever holds the head's lock goes first, so each row is changed as it is then."""


def charge(tx: Transaction, entry_id: str, at: dt.datetime) -> Entry:
    """Turn a reservation into a charge, for ever; a second call changes nothing.

    Raises:
        NotFound: there is no such reservation.
        Conflict: it was given back.
    """
    return _settle(tx, entry_id, at, State.CHARGED)


def give_back(tx: Transaction, entry_id: str, at: dt.datetime) -> Entry:
    """End a reservation whose result nobody saw and nobody can see any more.

    That this is so is the caller's responsibility. A second call changes nothing.

    Raises:
        NotFound: there is no such reservation.
        Conflict: it was charged.
    """
    return _settle(tx, entry_id, at, State.RETURNED)


def _settle(tx: Transaction, entry_id: str, at: dt.datetime, state: State) -> Entry:
    require_id(entry_id)
    asked_at = microseconds(at)
    require_open(tx)
    if is_postgresql(tx):
        settled = _settled_at_once(tx, entry_id, asked_at, state)
        if settled is not None:
            return settled
    head = lock_head(tx)
    known = entry(tx, entry_id)
    if known is None:
        raise NotFound(
            "LEDGER_ENTRY_UNKNOWN",
            f"The ledger has no entry {entry_id}: nothing was reserved under this id.",
            entry=entry_id,
        )
    if known.state is state:
        return known
    if known.state is not State.RESERVED:
        raise Conflict(
            "LEDGER_CONFLICT",
            f"Entry {entry_id} of the ledger is {known.state} and cannot become"
            f" {state}.",
            entry=entry_id,
        )
    now = max(head.clock, asked_at)
    _settle_step_by_step(tx, head, known, state, now)
    return dataclasses.replace(known, state=state, settled_at=moment(now))


def _settled_at_once(
    tx: Transaction, entry_id: str, asked_at: int, state: State
) -> Entry | None:
    rows = tx.execute(
        _AT_ONCE.replace("<totals>", _TOTALS[state]),
        {
            "format": FORMAT,
            "entry": entry_id,
            "state": state.value,
            "kind": _KIND[state],
            "asked_at": asked_at,
        },
    ).fetchall()
    if not rows:
        return None
    if rows[0][-1] != len(rows):
        raise disagreement(entry_id)
    return gathered(rows)[0]


def _settle_step_by_step(
    tx: Transaction, head: Head, known: Entry, state: State, now: int
) -> None:
    facts = {"entry": known.id, "state": state.value}
    paid = tx.execute(_PAY.replace("<totals>", _TOTALS[state]), facts).rowcount
    settled = tx.execute(_SETTLE, facts).rowcount
    if (paid, settled) != (len(known.postings), 1):
        raise disagreement(known.id)
    if state is State.RETURNED:
        tx.execute(_FREE, facts)
    number = {"height": head.height + 1, "now": now}
    tx.execute(_ADD_EVENT, {**number, "kind": _KIND[state], "entry": known.id})
    tx.execute(_MOVE, number)
