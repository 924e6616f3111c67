# SPDX-License-Identifier: Apache-2.0
"""Reading the ledger: entries, balances, its height, and whether it is consistent.

Nothing here writes; a balance is exact only until the next commit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final

from accord.core.errors import IntegrityError
from accord.ledger.account import (
    Balance,
    Entry,
    Posting,
    State,
    Unit,
    Window,
    WindowBalance,
    microseconds,
    moment,
    require_account,
)
from accord.ledger.schema import check_schema
from accord.ledger.sets import as_parameter, is_postgresql, with_rows
from accord.ledger.transaction import Transaction, require_open

_ENTRY: Final = """
SELECT e.id, e.state, r.height, r.at, s.at, l.account, l.unit, l.amount
FROM ledger_entry e
JOIN ledger_event r ON r.entry = e.id AND r.kind = 'reserve'
LEFT JOIN ledger_event s ON s.entry = e.id AND s.kind <> 'reserve'
JOIN ledger_line l ON l.entry = e.id
WHERE e.id = :entry
"""

_ENTRIES_NAMED: Final = """
SELECT e.id, e.state, v.height, v.at, s.at, l.account, l.unit, l.amount
FROM <ids>
JOIN ledger_entry e ON e.id = r.id
JOIN ledger_event v ON v.entry = e.id AND v.kind = 'reserve'
LEFT JOIN ledger_event s ON s.entry = e.id AND s.kind <> 'reserve'
JOIN ledger_line l ON l.entry = e.id
"""

_ALL_ENTRIES: Final = """
SELECT e.id, e.state, r.height, r.at, s.at, l.account, l.unit, l.amount
FROM ledger_entry e
JOIN ledger_event r ON r.entry = e.id AND r.kind = 'reserve'
LEFT JOIN ledger_event s ON s.entry = e.id AND s.kind <> 'reserve'
JOIN ledger_line l ON l.entry = e.id
WHERE e.id IN (
    SELECT entry FROM ledger_event WHERE kind = 'reserve' AND height < :below
    ORDER BY height DESC LIMIT :most
)
ORDER BY r.height DESC
"""

_ENTRIES_OF_ACCOUNT: Final = """
SELECT e.id, e.state, r.height, r.at, s.at, l.account, l.unit, l.amount
FROM ledger_entry e
JOIN ledger_event r ON r.entry = e.id AND r.kind = 'reserve'
LEFT JOIN ledger_event s ON s.entry = e.id AND s.kind <> 'reserve'
JOIN ledger_line l ON l.entry = e.id
WHERE e.id IN (
    SELECT v.entry FROM ledger_event v
    WHERE v.kind = 'reserve' AND v.height < :below AND EXISTS (
        SELECT 1 FROM ledger_line f
        WHERE f.entry = v.entry AND f.account = :account
        AND f.unit IN (:unit, :or_unit)
    )
    ORDER BY v.height DESC LIMIT :most
)
ORDER BY r.height DESC
"""

_IN_WINDOW: Final = """
SELECT COALESCE(SUM(amount), 0) FROM ledger_line
WHERE account = :account AND unit = :unit AND returned = 0 AND at > :since
"""

_USED: Final = """
SELECT a.name, a.used
FROM <places> JOIN ledger_account a ON a.name = r.account AND a.unit = r.unit
"""

_GAPS: Final = """
SELECT COUNT(*) FROM ledger_head h
WHERE h.height <> (SELECT COUNT(*) FROM ledger_event)
OR h.height <> (SELECT COALESCE(MAX(height), 0) FROM ledger_event)
OR h.clock <> (SELECT COALESCE(MAX(at), 0) FROM ledger_event)
"""

_BACKWARDS: Final = """
SELECT COUNT(*) FROM ledger_event a
JOIN ledger_event b ON b.height = a.height + 1
WHERE b.at < a.at
"""

_WRONG_STATES: Final = """
SELECT COUNT(*) FROM (
    SELECT e.state AS state,
        SUM(CASE WHEN v.kind = 'reserve' THEN 1 ELSE 0 END) AS reserved,
        SUM(CASE WHEN v.kind = 'charge' THEN 1 ELSE 0 END) AS charged,
        SUM(CASE WHEN v.kind = 'give back' THEN 1 ELSE 0 END) AS returned
    FROM ledger_entry e LEFT JOIN ledger_event v ON v.entry = e.id
    GROUP BY e.id, e.state
) AS history
WHERE reserved <> 1
OR charged <> (CASE WHEN state = 'charged' THEN 1 ELSE 0 END)
OR returned <> (CASE WHEN state = 'returned' THEN 1 ELSE 0 END)
"""

_WRONG_LINES: Final = """
SELECT COUNT(*) FROM ledger_entry e
JOIN ledger_event v ON v.entry = e.id AND v.kind = 'reserve'
LEFT JOIN ledger_line l ON l.entry = e.id
WHERE l.entry IS NULL OR l.at <> v.at
OR l.returned <> (CASE WHEN e.state = 'returned' THEN 1 ELSE 0 END)
"""

_SUMS: Final = """
SELECT l.account, l.unit,
    SUM(CASE WHEN e.state <> 'returned' THEN l.amount ELSE 0 END),
    SUM(CASE WHEN e.state = 'reserved' THEN l.amount ELSE 0 END)
FROM ledger_line l JOIN ledger_entry e ON e.id = l.entry
GROUP BY l.account, l.unit
"""

_CONTRADICTIONS: Final = (
    (_GAPS, "events are missing or were added outside the numbering"),
    (_BACKWARDS, "events go back in time"),
    (_WRONG_STATES, "an entry's state does not follow from its events"),
    (_WRONG_LINES, "an entry's lines do not follow from its events"),
)

_BEYOND_ALL: Final = 2**63 - 1


def height(tx: Transaction) -> int:
    """Return the number of the newest event; 0 for an empty ledger.

    It grows with every change and never shrinks, so a ledger with a smaller one than
    somebody has seen is an old copy.
    """
    return int(tx.execute("SELECT height FROM ledger_head", {}).fetchall()[0][0])


def entry(tx: Transaction, entry_id: str) -> Entry | None:
    """Return one entry, or ``None`` where the id was never reserved."""
    found = gathered(tx.execute(_ENTRY, {"entry": entry_id}).fetchall())
    return found[0] if found else None


def entries_named(
    tx: Transaction, ids: Sequence[str], *, postgresql: bool
) -> dict[str, Entry]:
    """Return those entries of the ledger that have one of these ids, by id."""
    sql = with_rows(_ENTRIES_NAMED, postgresql=postgresql)
    wanted = as_parameter([(each,) for each in sorted(set(ids))])
    found = gathered(tx.execute(sql, {"ids": wanted}).fetchall())
    return {each.id: each for each in found}


def entries(
    tx: Transaction,
    account: str | None = None,
    unit: Unit | None = None,
    *,
    below: int | None = None,
    most: int = 100,
) -> tuple[Entry, ...]:
    """Return entries with all their postings, newest first.

    Args:
        tx: any connection to the ledger.
        account: only entries that touch this account.
        unit: and there only this unit.
        below: only entries of a smaller height: the last one's, to page on.
        most: how many.

    Raises:
        ValueError: a unit without an account, or ``most`` below 1.
    """
    if most < 1 or (unit is not None and account is None):
        sentence = "entries are listed by at least one, and by unit within an account"
        raise ValueError(sentence)
    page = {"below": _BEYOND_ALL if below is None else below, "most": most}
    if account is None:
        return gathered(tx.execute(_ALL_ENTRIES, page).fetchall())
    units = (Unit.NANO_RHO, Unit.NANO_EPSILON) if unit is None else (unit, unit)
    place = {"account": account, "unit": units[0].value, "or_unit": units[1].value}
    return gathered(tx.execute(_ENTRIES_OF_ACCOUNT, {**page, **place}).fetchall())


def balance(
    tx: Transaction,
    account: str,
    unit: Unit,
    at: dt.datetime,
    windows: Sequence[Window] = (),
    *,
    lifetime_cap: int | None = None,
) -> Balance:
    """Return what an account holds under the given limits; a new one holds nothing."""
    require_account(account)
    clock = tx.execute("SELECT clock FROM ledger_head", {}).fetchall()[0][0]
    now = max(clock, microseconds(at))
    rows = tx.execute(
        "SELECT used, reserved FROM ledger_account"
        " WHERE name = :account AND unit = :unit",
        {"account": account, "unit": unit.value},
    ).fetchall()
    used, reserved = rows[0] if rows else (0, 0)
    return Balance(
        spent=used - reserved,
        reserved=reserved,
        lifetime_cap=lifetime_cap,
        windows=tuple(
            WindowBalance(
                window=window, used=used_in_window(tx, account, unit, window, now)
            )
            for window in windows
        ),
    )


def used_in_window(
    tx: Transaction, account: str, unit: Unit, window: Window, now: int
) -> int:
    """Return what was reserved in the window that ends now and not given back.

    Units: nano units; ``now`` in microseconds since 1970.
    """
    since = now - window.seconds * 1_000_000
    rows = tx.execute(
        _IN_WINDOW, {"account": account, "unit": unit.value, "since": since}
    ).fetchall()
    return int(rows[0][0])


def used_ever(tx: Transaction, accounts: Iterable[str], unit: Unit) -> dict[str, int]:
    """Return what accounts hold, charged or reserved; a new one is left out.

    As many of them as there are take one statement.
    """
    sql = with_rows(_USED, postgresql=is_postgresql(tx))
    wanted = as_parameter([(name, unit.value, None) for name in sorted(set(accounts))])
    rows = tx.execute(sql, {"places": wanted}).fetchall()
    return {row[0]: int(row[1]) for row in rows}


def verify(tx: Transaction) -> int:
    """Check that totals, states and history agree; return the height.

    It finds a database that was edited by hand or half restored. An old but complete
    copy is consistent: compare the height with what others have seen. The transaction
    has to show one moment: any does on SQLite, REPEATABLE READ on PostgreSQL.

    Raises:
        ConfigurationError: the ledger has another format.
        IntegrityError: they do not agree.
        InternalError: no transaction is open.
    """
    require_open(tx)
    check_schema(tx)
    for sql, sentence in _CONTRADICTIONS:
        if tx.execute(sql, {}).fetchall()[0][0]:
            raise _inconsistent(sentence)
    sums = {
        (row[0], row[1]): (int(row[2]), int(row[3]))
        for row in tx.execute(_SUMS, {}).fetchall()
    }
    accounts = tx.execute("SELECT name, unit, used, reserved FROM ledger_account", {})
    totals = {(row[0], row[1]): (row[2], row[3]) for row in accounts.fetchall()}
    for place in sorted(sums.keys() | totals.keys()):
        if sums.get(place) != totals.get(place):
            sentence = f"the total of account {place[0]} is not the sum of its entries"
            raise _inconsistent(sentence)
    return height(tx)


def _inconsistent(finding: str) -> IntegrityError:
    return IntegrityError(
        "LEDGER_INCONSISTENT",
        f"The ledger contradicts itself: {finding}. Release nothing, and restore the"
        " database from a copy that is not older than the last release.",
    )


def disagreement(entry_id: str) -> IntegrityError:
    """Return the error for totals that cannot be changed as an entry says."""
    return IntegrityError(
        "LEDGER_INCONSISTENT",
        f"The ledger's totals do not agree with entry {entry_id}: somebody changed"
        " the database by other means. Roll back and verify the ledger.",
        entry=entry_id,
    )


def gathered(rows: Sequence[Sequence[Any]]) -> tuple[Entry, ...]:
    """Gather the rows of a join, one per posting, into entries in order of the rows."""
    heads: dict[str, Sequence[Any]] = {}
    postings: dict[str, list[Posting]] = {}
    for row in rows:
        heads.setdefault(row[0], row)
        posting = Posting(account=row[5], unit=Unit(row[6]), amount=row[7])
        postings.setdefault(row[0], []).append(posting)
    return tuple(
        Entry(
            id=key,
            state=State(head[1]),
            reserved_at=moment(head[3]),
            settled_at=None if head[4] is None else moment(head[4]),
            height=head[2],
            postings=tuple(
                sorted(postings[key], key=lambda each: (each.account, each.unit))
            ),
        )
        for key, head in heads.items()
    )
