# SPDX-License-Identifier: Apache-2.0
"""Whether accounts can pay, decided in memory while other writers are kept out.

What accounts hold is read once for all reservations of a call. Each one is checked
against what was there and what the ones before it have taken.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from accord.core.errors import BudgetExhausted
from accord.ledger.account import (
    LARGEST_TOTAL,
    Line,
    Window,
    moment,
    shown,
)
from accord.ledger.head import Head
from accord.ledger.sets import as_parameter, with_rows
from accord.ledger.transaction import Transaction

_SECOND: Final = 1_000_000

Place: TypeAlias = tuple[str, str]
"""An account and its unit."""

_Before: TypeAlias = Mapping[Place, Sequence[tuple[int, int]]]
"""When and how much was taken, newest first."""

_HELD: Final = """
SELECT r.account, r.unit, r.since, a.used,
    CASE WHEN r.since IS NULL THEN 0 ELSE (
        SELECT COALESCE(SUM(l.amount), 0) FROM ledger_line l
        WHERE l.account = r.account AND l.unit = r.unit AND l.returned = 0
        AND l.at > r.since
    ) END
FROM <places> LEFT JOIN ledger_account a ON a.name = r.account AND a.unit = r.unit
"""

_TAKEN_SINCE: Final = """
SELECT l.account, l.unit, l.at, l.amount
FROM <places> JOIN ledger_line l ON l.account = r.account AND l.unit = r.unit
WHERE l.returned = 0 AND l.at > r.since
ORDER BY l.at DESC
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one release asks for."""

    id: str
    lines: tuple[Line, ...]
    """In order of account and unit."""

    places: tuple[Place, ...]
    """Of the lines; an enumeration's value is not looked up again and again."""


@dataclasses.dataclass(slots=True)
class _Account:
    """What an account holds."""

    held: int
    """In the database."""

    is_new: bool
    """Whether the database has no such account yet."""

    in_window: dict[int, int] = dataclasses.field(default_factory=dict)
    """In the database, by the window's start."""

    taken: int = 0
    """By this call."""

    cap: int = 0
    """That the newest of these reservations named."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Full:
    """A window that has no room until older entries leave it."""

    window: Window
    taken: int
    """What the reservations before it in the same call hold of it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A line that its account cannot pay."""

    line: Line
    left: int
    full: tuple[_Full, ...]
    """What waiting would open; nothing where it does not help."""


class Accounts:
    """The accounts that some reservations ask, at one moment."""

    def __init__(
        self, tx: Transaction, head: Head, requests: Iterable[Request], now: int
    ) -> None:
        """Read what they hold; the head is locked."""
        self._tx = tx
        self._head = head
        self._now = now
        self._accounts: dict[Place, _Account] = {}
        self._read(requests)

    def take(self, request: Request) -> list[Shortfall]:
        """Take all amounts or none; return what cannot be paid, and why."""
        accounts = [self._accounts[place] for place in request.places]
        short = [
            missing
            for line, account in zip(request.lines, accounts, strict=True)
            if (missing := self._shortfall(line, account)) is not None
        ]
        if not short:
            for line, account in zip(request.lines, accounts, strict=True):
                account.taken += line.amount
                account.cap = _cap(line)
        return short

    def changes(self) -> Iterator[tuple[str, str, int, int, int]]:
        """Yield name, unit, amount, cap, and 1 for a new one, sorted."""
        for where, account in sorted(self._accounts.items()):
            if account.taken:
                yield *where, account.taken, account.cap, int(account.is_new)

    def refusals(
        self, shortfalls: Sequence[Sequence[Shortfall]]
    ) -> list[BudgetExhausted]:
        """Return what to say about each reservation that was not granted.

        To be called before what was granted is written.
        """
        before = self._taken_since(itertools.chain.from_iterable(shortfalls))
        return [self._exhausted(short, before) for short in shortfalls]

    def _read(self, requests: Iterable[Request]) -> None:
        wanted = [
            (*place, since)
            for request in requests
            for line, place in zip(request.lines, request.places, strict=True)
            for since in (None, *map(self._since, line.windows))
        ]
        for name, unit, since, held, in_window in self._rows(_HELD, wanted):
            found = _Account(held=held or 0, is_new=held is None)
            account = self._accounts.setdefault((name, unit), found)
            if since is not None:
                account.in_window[since] = int(in_window)

    def _shortfall(self, line: Line, account: _Account) -> Shortfall | None:
        room = _cap(line) - account.held - account.taken
        if line.amount <= room and not line.windows:
            return None
        left = max(0, room)
        never = line.amount > left
        full = []
        for window in line.windows:
            used = account.in_window[self._since(window)] + account.taken
            left = min(left, max(0, window.cap - used))
            never = never or line.amount > window.cap
            if used + line.amount > window.cap:
                full.append(_Full(window=window, taken=account.taken))
        if line.amount <= left:
            return None
        return Shortfall(line=line, left=left, full=() if never else tuple(full))

    def _since(self, window: Window) -> int:
        return self._now - window.seconds * _SECOND

    def _taken_since(self, short: Iterable[Shortfall]) -> _Before:
        """Return what was taken in all windows of the call that are full."""
        since: dict[Place, int] = {}
        for each in short:
            where = place(each.line)
            for full in each.full:
                start = self._since(full.window)
                since[where] = min(start, since.get(where, start))
        found: dict[Place, list[tuple[int, int]]] = {}
        if since:
            wanted = [(*where, start) for where, start in since.items()]
            for name, unit, at, amount in self._rows(_TAKEN_SINCE, wanted):
                found.setdefault((name, unit), []).append((at, amount))
        return found

    def _rows(
        self, sql: str, wanted: Iterable[tuple[str, str, int | None]]
    ) -> Sequence[Sequence[Any]]:
        places = as_parameter(list(dict.fromkeys(wanted)))
        text = with_rows(sql, postgresql=self._head.postgresql)
        return self._tx.execute(text, {"places": places}).fetchall()

    def _free_at(self, short: Shortfall, before: _Before) -> int | None:
        """Return the moment when waiting alone has helped; ``None`` for never."""
        moments = [self._leaves(short.line, full, before) for full in short.full]
        return max(moments, default=None)

    def _leaves(self, line: Line, full: _Full, before: _Before) -> int:
        """Return when enough entries have left a window by themselves."""
        start = self._since(full.window)
        taken = [(self._now, full.taken)]
        taken += [each for each in before.get(place(line), ()) if each[0] > start]
        # From the newest back: the first one that does not fit beside what is asked,
        # and all older ones, have to leave.
        totals = itertools.accumulate(amount for _, amount in taken)
        leaving = next(
            at
            for (at, _), total in zip(taken, totals, strict=True)
            if total + line.amount > full.window.cap
        )
        return leaving + full.window.seconds * _SECOND

    def _exhausted(
        self, short: Sequence[Shortfall], before: _Before
    ) -> BudgetExhausted:
        """Word the refusal around the account that takes longest to recover."""
        dated = [(each, self._free_at(each, before)) for each in short]
        worst, free_at = max(dated, key=lambda each: (each[1] is None, each[1] or 0))
        line = worst.line
        facts = {
            "account": line.account,
            "unit": line.unit.value,
            "requested": str(line.amount),
            "remaining": str(worst.left),
        }
        if free_at is None:
            hint = "Waiting does not help: ask for less."
        else:
            free = moment(-(-free_at // _SECOND) * _SECOND)
            facts["free_at"] = free.isoformat()
            hint = (
                f"Enough is free again on {free:%Y-%m-%d at %H:%M:%S} UTC, unless other"
                " releases take it: wait, or ask for less."
            )
        return BudgetExhausted(
            "BUDGET_EXHAUSTED",
            f"Account {line.account} has {shown(worst.left, line.unit)} left and"
            f" {shown(line.amount, line.unit)} is asked. {hint}",
            **facts,
        )


def place(line: Line) -> Place:
    """Return where a line takes its amount."""
    return line.account, line.unit.value


def _cap(line: Line) -> int:
    return LARGEST_TOTAL if line.lifetime_cap is None else line.lifetime_cap
