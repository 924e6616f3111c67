# SPDX-License-Identifier: Apache-2.0
"""The three operations that change the ledger: reserve, charge, give back.

Each locks ``ledger_head`` first, so between that and the caller's commit nobody else
changes anything: every check precedes every write, and a refusal has written nothing.
The conditional UPDATE that takes the amount would refuse an overdraft all the same.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from accord.core.errors import (
    BudgetExhausted,
    Conflict,
    IntegrityError,
    NotFound,
)
from accord.ledger.account import (
    LARGEST_TOTAL,
    Entry,
    Line,
    Posting,
    State,
    Window,
    microseconds,
    moment,
    require_id,
    shown,
)
from accord.ledger.head import Head, lock_head
from accord.ledger.history import entry, used_in_window
from accord.ledger.transaction import Transaction

_SECOND: Final = 1_000_000

_OPEN_ACCOUNT: Final = """
INSERT INTO ledger_account (name, unit, used, reserved) VALUES (:account, :unit, 0, 0)
ON CONFLICT (name, unit) DO NOTHING
"""

_TAKE: Final = """
UPDATE ledger_account SET used = used + :amount, reserved = reserved + :amount
WHERE name = :account AND unit = :unit AND used + :amount <= :cap
"""

_ADD_LINE: Final = """
INSERT INTO ledger_line (entry, account, unit, amount, at, returned)
VALUES (:entry, :account, :unit, :amount, :at, 0)
"""

_CHARGE: Final = """
UPDATE ledger_account SET reserved = reserved - :amount
WHERE name = :account AND unit = :unit AND reserved >= :amount
"""

_GIVE_BACK: Final = """
UPDATE ledger_account SET reserved = reserved - :amount, used = used - :amount
WHERE name = :account AND unit = :unit AND reserved >= :amount
"""

_ADD_EVENT: Final = """
INSERT INTO ledger_event (height, at, kind, entry)
VALUES (:height, :at, :kind, :entry)
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Shortfall:
    """A line that its account cannot pay."""

    line: Line
    left: int
    free_at: int | None
    """Moment at which waiting alone has helped, or ``None`` where it never does."""


def reserve(
    tx: Transaction, entry_id: str, lines: Sequence[Line], at: dt.datetime
) -> Entry:
    """Take the amounts of all lines from their accounts, or of none.

    Args:
        tx: the caller's open transaction.
        entry_id: UUID of the release; repeating a call with it takes nothing more.
        lines: each account and unit at most once, with the limits in force.
        at: the caller's clock.

    Returns:
        The entry, ``reserved``; or, for a repeated call, ``charged`` if it has become
        that since.

    Raises:
        BudgetExhausted: some account cannot pay; says what is left there, and when a
            sliding window frees enough if that alone is in the way.
        Conflict: the id stands for other amounts, or was given back.
        TypeError: an argument of the wrong type.
        ValueError: an argument out of range.
    """
    require_id(entry_id)
    ordered = _ordered(lines)
    asked_at = microseconds(at)
    head = lock_head(tx)
    known = entry(tx, entry_id)
    if known is not None:
        return _repeated(known, ordered)
    now = max(head.clock, asked_at)
    short = [each for line in ordered if (each := _shortfall(tx, line, now))]
    if short:
        raise _exhausted(short)
    tx.execute(
        "INSERT INTO ledger_entry (id, state) VALUES (:entry, 'reserved')",
        {"entry": entry_id},
    )
    for line in ordered:
        place = {"account": line.account, "unit": line.unit.value}
        amount = {**place, "amount": line.amount}
        tx.execute(_OPEN_ACCOUNT, place)
        _change_one(tx, _TAKE, {**amount, "cap": _cap(line)}, entry_id)
        tx.execute(_ADD_LINE, {**amount, "entry": entry_id, "at": now})
    reserved_at = _record(tx, head, now, "reserve", entry_id)
    return Entry(
        id=entry_id,
        state=State.RESERVED,
        reserved_at=moment(now),
        settled_at=None,
        height=reserved_at,
        postings=tuple(line.posting for line in ordered),
    )


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


def _ordered(lines: Sequence[Line]) -> tuple[Line, ...]:
    ordered = tuple(sorted(lines, key=lambda line: (line.account, line.unit)))
    if not ordered:
        sentence = "a reservation without lines would be free"
        raise ValueError(sentence)
    if len({(line.account, line.unit) for line in ordered}) != len(ordered):
        sentence = "a reservation names each account and unit once"
        raise ValueError(sentence)
    return ordered


def _repeated(known: Entry, ordered: Sequence[Line]) -> Entry:
    """Answer a reservation whose id is known already."""
    if known.postings != tuple(line.posting for line in ordered):
        raise Conflict(
            "LEDGER_CONFLICT",
            f"Entry {known.id} of the ledger stands for other accounts or amounts:"
            " a different release needs an id of its own.",
            entry=known.id,
        )
    if known.state is State.RETURNED:
        raise Conflict(
            "LEDGER_CONFLICT",
            f"Entry {known.id} of the ledger was given back and holds no budget any"
            " more: ask again under a new id.",
            entry=known.id,
        )
    return known


def _cap(line: Line) -> int:
    return LARGEST_TOTAL if line.lifetime_cap is None else line.lifetime_cap


def _shortfall(tx: Transaction, line: Line, now: int) -> _Shortfall | None:
    """Return what keeps the account from paying this line at this moment."""
    rows = tx.execute(
        "SELECT used FROM ledger_account WHERE name = :account AND unit = :unit",
        {"account": line.account, "unit": line.unit.value},
    ).fetchall()
    left = max(0, _cap(line) - (rows[0][0] if rows else 0))
    never = line.amount > left
    free_at = now
    for window in line.windows:
        used = used_in_window(tx, line.account, line.unit, window, now) if rows else 0
        room = max(0, window.cap - used)
        left = min(left, room)
        if line.amount > window.cap:
            never = True
        elif line.amount > room:
            free_at = max(free_at, _free_at(tx, line, window, now))
    if line.amount <= left:
        return None
    return _Shortfall(line=line, left=left, free_at=None if never else free_at)


def _free_at(tx: Transaction, line: Line, window: Window, now: int) -> int:
    """Return the moment when enough entries have left a window by themselves."""
    length = window.seconds * _SECOND
    rows = tx.execute(
        "SELECT at, amount FROM ledger_line WHERE account = :account AND unit = :unit"
        " AND returned = 0 AND at > :since ORDER BY at DESC",
        {
            "account": line.account,
            "unit": line.unit.value,
            "since": now - length,
        },
    ).fetchall()
    # From the newest back: the first one that does not fit beside what is asked,
    # and all older ones, have to leave.
    totals = itertools.accumulate(amount for _, amount in rows)
    leaving = next(
        at
        for (at, _), total in zip(rows, totals, strict=True)
        if total + line.amount > window.cap
    )
    return int(leaving) + length


def _exhausted(short: Sequence[_Shortfall]) -> BudgetExhausted:
    """Word the refusal around the account that takes longest to recover."""
    worst = max(short, key=lambda each: (each.free_at is None, each.free_at or 0))
    line = worst.line
    facts = {
        "account": line.account,
        "unit": line.unit.value,
        "requested": str(line.amount),
        "remaining": str(worst.left),
    }
    if worst.free_at is None:
        hint = "Waiting does not help: ask for less."
    else:
        free_at = moment(-(-worst.free_at // _SECOND) * _SECOND)
        facts["free_at"] = free_at.isoformat()
        hint = (
            f"Enough is free again on {free_at:%Y-%m-%d at %H:%M:%S} UTC, unless other"
            " releases take it: wait, or ask for less."
        )
    return BudgetExhausted(
        "BUDGET_EXHAUSTED",
        f"Account {line.account} has {shown(worst.left, line.unit)} left and"
        f" {shown(line.amount, line.unit)} is asked. {hint}",
        **facts,
    )


def _settle(tx: Transaction, entry_id: str, at: dt.datetime, state: State) -> Entry:
    require_id(entry_id)
    asked_at = microseconds(at)
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
    returned = state is State.RETURNED
    for posting in known.postings:
        _change_one(
            tx, _GIVE_BACK if returned else _CHARGE, _parameters(posting), entry_id
        )
    _change_one(
        tx,
        "UPDATE ledger_entry SET state = :state"
        " WHERE id = :entry AND state = 'reserved'",
        {"entry": entry_id, "state": state.value},
        entry_id,
    )
    if returned:
        tx.execute(
            "UPDATE ledger_line SET returned = 1 WHERE entry = :entry",
            {"entry": entry_id},
        )
    _record(tx, head, now, "give back" if returned else "charge", entry_id)
    return dataclasses.replace(known, state=state, settled_at=moment(now))


def _parameters(posting: Posting) -> dict[str, Any]:
    return {
        "account": posting.account,
        "unit": posting.unit.value,
        "amount": posting.amount,
    }


def _change_one(
    tx: Transaction, sql: str, parameters: Mapping[str, Any], entry_id: str
) -> None:
    """Run an UPDATE that must find its row, as the checks before it said it would."""
    if tx.execute(sql, parameters).rowcount != 1:
        raise IntegrityError(
            "LEDGER_INCONSISTENT",
            f"The ledger's totals do not agree with entry {entry_id}: somebody changed"
            " the database by other means. Roll back and verify the ledger.",
            entry=entry_id,
        )


def _record(tx: Transaction, head: Head, now: int, kind: str, entry_id: str) -> int:
    """Append the event and return its number."""
    number = head.height + 1
    tx.execute(
        _ADD_EVENT, {"height": number, "at": now, "kind": kind, "entry": entry_id}
    )
    tx.execute(
        "UPDATE ledger_head SET height = :height, clock = :clock",
        {"height": number, "clock": now},
    )
    return number
