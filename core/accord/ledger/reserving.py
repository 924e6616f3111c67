# SPDX-License-Identifier: Apache-2.0
"""Taking budget aside: one reservation, or many in one transaction.

Every check precedes every write, since ``ledger_head`` is locked from the first
statement to the caller's commit: a refusal has written nothing. The conditional UPDATE
that takes the amounts would refuse an overdraft all the same, and so would the CHECKs.

However many reservations there are, they take the same few statements: lock, look up
ids, look at accounts, write. PostgreSQL writes in one statement.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from accord.core.errors import AccordError, Conflict
from accord.ledger.account import Entry, Line, State, microseconds, moment, require_id
from accord.ledger.head import Head, lock_head
from accord.ledger.history import disagreement, entries_named
from accord.ledger.limits import Accounts, Place, Request, Shortfall, place
from accord.ledger.sets import as_parameter, with_rows
from accord.ledger.transaction import Transaction

_TAKE: Final = """
UPDATE ledger_account SET used = used + r.amount, reserved = reserved + r.amount
FROM <accounts>
WHERE ledger_account.name = r.account AND ledger_account.unit = r.unit
AND r.opened = 0 AND used + r.amount <= r.cap
"""

_OPEN: Final = """
INSERT INTO ledger_account (name, unit, used, reserved)
SELECT r.account, r.unit, r.amount, r.amount FROM <accounts>
WHERE r.opened = 1 AND r.amount <= r.cap
"""

_ADD_ENTRIES: Final = """
INSERT INTO ledger_entry (id, state) SELECT r.id, 'reserved' FROM <events>
"""

_ADD_LINES: Final = """
INSERT INTO ledger_line (entry, account, unit, amount, at, returned)
SELECT r.entry, r.account, r.unit, r.amount, :now, 0 FROM <lines>
"""

_ADD_EVENTS: Final = """
INSERT INTO ledger_event (height, at, kind, entry)
SELECT r.height, :now, 'reserve', r.id FROM <events>
"""

_MOVE: Final = "UPDATE ledger_head SET height = :height, clock = :now"

_STEPS: Final = (_TAKE, _OPEN, _ADD_ENTRIES, _ADD_LINES, _ADD_EVENTS, _MOVE)

_AT_ONCE: Final = "WITH {} SELECT {}".format(
    ", ".join(f"s{number} AS ({sql} RETURNING 1)" for number, sql in enumerate(_STEPS)),
    "(SELECT COUNT(*) FROM s0) + (SELECT COUNT(*) FROM s1)",
)
"""All steps as one statement, which gives the number of accounts that paid."""


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
    (answer,) = reserve_all(tx, [(entry_id, lines)], at)
    if isinstance(answer, AccordError):
        raise answer
    return answer


def reserve_all(
    tx: Transaction, asked: Sequence[tuple[str, Sequence[Line]]], at: dt.datetime
) -> list[Entry | AccordError]:
    """Reserve for many releases, as if `reserve` was called for one after the other.

    Each is granted or refused by itself; what is refused takes nothing away from those
    behind it.

    Args:
        tx: the caller's open transaction.
        asked: ids and lines, in the order in which they are served.
        at: the caller's clock, the same for all.

    Returns:
        For each what `reserve` would return, or the error that it would raise.

    Raises:
        TypeError: an argument of the wrong type; nothing was reserved.
        ValueError: an argument out of range; nothing was reserved.
    """
    requests = [_request(entry_id, lines) for entry_id, lines in asked]
    asked_at = microseconds(at)
    head = lock_head(tx)
    now = max(head.clock, asked_at)
    known = entries_named(
        tx, [request.id for request in requests], postgresql=head.postgresql
    )
    new = [request for request in requests if request.id not in known]
    accounts = Accounts(tx, head, new, now)
    granted: list[Request] = []
    answers: list[Entry | AccordError | list[Shortfall]] = []
    for request in requests:
        if request.id in known:
            answers.append(_repeated(known[request.id], request))
        elif missing := accounts.take(request):
            answers.append(missing)
        else:
            granted.append(request)
            entry = _reserved(request, head.height + len(granted), now)
            known[request.id] = entry
            answers.append(entry)
    short = [each for each in answers if isinstance(each, list)]
    refusals = iter(accounts.refusals(short))
    if granted:
        _write(tx, head, now, accounts, granted)
    return [next(refusals) if isinstance(each, list) else each for each in answers]


def _request(entry_id: str, lines: Sequence[Line]) -> Request:
    require_id(entry_id)
    if not lines:
        sentence = "a reservation without lines would be free"
        raise ValueError(sentence)
    placed = sorted(((place(line), line) for line in lines), key=_by_place)
    places = tuple(where for where, _ in placed)
    if len(set(places)) != len(places):
        sentence = "a reservation names each account and unit once"
        raise ValueError(sentence)
    return Request(id=entry_id, lines=tuple(line for _, line in placed), places=places)


def _by_place(placed: tuple[Place, Line]) -> Place:
    return placed[0]


def _repeated(known: Entry, request: Request) -> Entry | Conflict:
    """Answer a reservation whose id is known already."""
    if known.postings != tuple(line.posting for line in request.lines):
        return Conflict(
            "LEDGER_CONFLICT",
            f"Entry {known.id} of the ledger stands for other accounts or amounts:"
            " a different release needs an id of its own.",
            entry=known.id,
        )
    if known.state is State.RETURNED:
        return Conflict(
            "LEDGER_CONFLICT",
            f"Entry {known.id} of the ledger was given back and holds no budget any"
            " more: ask again under a new id.",
            entry=known.id,
        )
    return known


def _reserved(request: Request, number: int, now: int) -> Entry:
    return Entry(
        id=request.id,
        state=State.RESERVED,
        reserved_at=moment(now),
        settled_at=None,
        height=number,
        postings=tuple(line.posting for line in request.lines),
    )


def _write(
    tx: Transaction,
    head: Head,
    now: int,
    accounts: Accounts,
    granted: Sequence[Request],
) -> None:
    """Write what was granted, the totals in one conditional step."""
    changes = list(accounts.changes())
    numbered = list(enumerate((request.id for request in granted), head.height + 1))
    lines = [
        (request.id, *where, line.amount)
        for request in granted
        for where, line in zip(request.places, request.lines, strict=True)
    ]
    parameters = {
        "accounts": as_parameter(changes),
        "events": as_parameter(numbered),
        "lines": as_parameter(lines),
        "height": head.height + len(granted),
        "now": now,
    }
    if head.postgresql:
        sql = with_rows(_AT_ONCE, postgresql=True)
        paid = tx.execute(sql, parameters).fetchall()[0][0]
    else:
        steps = [with_rows(step, postgresql=False) for step in _STEPS]
        paid = sum([tx.execute(step, parameters).rowcount for step in steps][:2])
    if paid != len(changes):
        raise disagreement(granted[0].id)
