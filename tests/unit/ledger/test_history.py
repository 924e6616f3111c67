# SPDX-License-Identifier: Apache-2.0
"""Arbitrary histories of the ledger against a model of a few lines."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sqlite3
import uuid
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from accord import ledger
from accord.core.errors import BudgetExhausted, Conflict, NotFound
from accord.ledger import Line, State, Unit, Window

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
ACCOUNTS = ("agency/north", "agency/south", "agreement/trends")
TABLES = ("head", "account", "entry", "line", "event")

Place = tuple[str, Unit]
amounts = st.dictionaries(
    st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(Unit)),
    st.integers(1, 12),
    min_size=1,
    max_size=3,
)
# Wide enough that most histories run into windows before they run into lifetimes.
limits = st.tuples(
    st.none() | st.integers(0, 150),
    st.lists(
        st.builds(Window, seconds=st.integers(5, 60), cap=st.integers(8, 40)),
        max_size=2,
    ).map(tuple),
)


@dataclasses.dataclass
class Known:
    """What the model remembers of an entry."""

    amounts: dict[Place, int]
    at: dt.datetime
    state: State = State.RESERVED


class LedgerHistory(RuleBasedStateMachine):
    """Reserve, charge, give back, repeat, roll back, and turn the clock both ways."""

    ids: Bundle[str] = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.execute("BEGIN IMMEDIATE")
        ledger.create_schema(self.connection)
        self.connection.execute("COMMIT")
        self.model: dict[str, Known] = {}
        self.limits: dict[Place, tuple[int | None, tuple[Window, ...]]] = {}
        self.clock = START
        self.seen = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        self.height = 0

    @initialize(agreed=st.lists(limits, min_size=6, max_size=6))
    def agree(self, agreed: list[tuple[int | None, tuple[Window, ...]]]) -> None:
        places = [(account, unit) for account in ACCOUNTS for unit in Unit]
        self.limits = dict(zip(places, agreed, strict=True))

    @rule(seconds=st.integers(-40, 20) | st.integers(0, 70))
    def turn_clock(self, seconds: int) -> None:
        self.clock += seconds * SECOND

    @rule(target=ids, wanted=amounts, commit=st.sampled_from([True] * 5 + [False]))
    def reserve(self, wanted: dict[Place, int], *, commit: bool) -> Any:  # noqa: ANN401
        entry = str(uuid.UUID(int=len(self.model) + 1))
        before = self.dump()
        self.connection.execute("BEGIN IMMEDIATE")
        affordable = all(
            amount <= self.left(place, max(self.clock, self.seen))
            for place, amount in wanted.items()
        )
        try:
            made = ledger.reserve(
                self.connection, entry, self.lines(wanted), self.clock
            )
        except BudgetExhausted as refusal:
            self.connection.execute("COMMIT")
            assert not affordable
            assert self.dump() == before
            self.check_promise(wanted, refusal)
            return multiple()
        assert affordable
        assert made.state is State.RESERVED
        if not commit:
            self.connection.execute("ROLLBACK")
            assert self.dump() == before
            return multiple()
        self.connection.execute("COMMIT")
        self.tick()
        assert made.reserved_at == self.seen
        assert made.height == self.height
        self.model[entry] = Known(amounts=wanted, at=self.seen)
        return entry

    @rule(entry=ids)
    def repeat(self, entry: str) -> None:
        before = self.dump()
        known = self.model[entry]
        self.connection.execute("BEGIN IMMEDIATE")
        lines = self.lines(known.amounts)[::-1]
        if known.state is State.RETURNED:
            with pytest.raises(Conflict):
                ledger.reserve(self.connection, entry, lines, self.clock)
        else:
            made = ledger.reserve(self.connection, entry, lines, self.clock)
            assert made.state is known.state
            assert made.reserved_at == known.at
        self.connection.execute("COMMIT")
        assert self.dump() == before

    @rule(entry=ids, wanted=amounts)
    def forge(self, entry: str, wanted: dict[Place, int]) -> None:
        hypothesis.assume(wanted != self.model[entry].amounts)
        before = self.dump()
        self.connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(Conflict):
            ledger.reserve(self.connection, entry, self.lines(wanted), self.clock)
        self.connection.execute("COMMIT")
        assert self.dump() == before

    @rule(entry=ids, to=st.sampled_from([State.CHARGED, State.RETURNED]))
    def settle(self, entry: str, to: State) -> None:
        operation = ledger.charge if to is State.CHARGED else ledger.give_back
        before = self.dump()
        known = self.model[entry]
        self.connection.execute("BEGIN IMMEDIATE")
        if known.state in {State.RESERVED, to}:
            settled = operation(self.connection, entry, self.clock)
            assert settled.state is to
            assert settled == ledger.entry(self.connection, entry)
        else:
            with pytest.raises(Conflict):
                operation(self.connection, entry, self.clock)
        self.connection.execute("COMMIT")
        if known.state is State.RESERVED:
            known.state = to
            self.tick()
        else:
            assert self.dump() == before

    @rule(to=st.sampled_from([State.CHARGED, State.RETURNED]))
    def settle_unknown(self, to: State) -> None:
        operation = ledger.charge if to is State.CHARGED else ledger.give_back
        before = self.dump()
        self.connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotFound):
            operation(self.connection, str(uuid.UUID(int=0)), self.clock)
        self.connection.execute("COMMIT")
        assert self.dump() == before

    @invariant()
    def balances_agree(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        assert ledger.verify(self.connection) == self.height
        now = max(self.clock, self.seen)
        for place, (cap, windows) in self.limits.items():
            held = ledger.balance(
                self.connection, *place, self.clock, windows, lifetime_cap=cap
            )
            assert held.used == self.used(place)
            assert held.left == self.left(place, now)
        self.connection.execute("COMMIT")

    @invariant()
    def no_period_exceeds_its_cap(self) -> None:
        """Not only now: over every period of a window's length in the history."""
        for place, (cap, windows) in self.limits.items():
            assert cap is None or self.used(place) <= cap
            moments = {known.at for known in self.model.values()}
            for window in windows:
                for end in moments:
                    assert self.used(place, window, end) <= window.cap

    def teardown(self) -> None:
        self.connection.close()

    def tick(self) -> None:
        self.height += 1
        self.seen = max(self.seen, self.clock)

    def lines(self, wanted: dict[Place, int]) -> list[Line]:
        return [
            Line(
                account=account,
                unit=unit,
                amount=amount,
                lifetime_cap=self.limits[account, unit][0],
                windows=self.limits[account, unit][1],
            )
            for (account, unit), amount in wanted.items()
        ]

    def used(
        self, place: Place, window: Window | None = None, now: dt.datetime = START
    ) -> int:
        return sum(
            known.amounts.get(place, 0)
            for known in self.model.values()
            if known.state is not State.RETURNED
            and (window is None or now - window.seconds * SECOND < known.at <= now)
        )

    def left(self, place: Place, now: dt.datetime) -> int:
        cap, windows = self.limits[place]
        rooms = [window.cap - self.used(place, window, now) for window in windows]
        most = ledger.LARGEST_TOTAL if cap is None else cap
        return max(0, min([most - self.used(place), *rooms]))

    def check_promise(self, wanted: dict[Place, int], refusal: BudgetExhausted) -> None:
        """What a refusal says is true, and its date is the earliest one that helps."""
        facts = refusal.metadata
        place = facts["account"], Unit(facts["unit"])
        assert int(facts["requested"]) == wanted[place]
        assert int(facts["remaining"]) == self.left(place, max(self.clock, self.seen))

        def granted(now: dt.datetime) -> bool:
            return all(
                amount <= self.left(each, now) for each, amount in wanted.items()
            )

        if "free_at" in facts:
            free_at = dt.datetime.fromisoformat(facts["free_at"])
            assert free_at > max(self.clock, self.seen)
            assert granted(free_at)
            assert not granted(free_at - SECOND)
        else:
            assert not granted(max(self.clock, self.seen) + 1000 * SECOND)

    def dump(self) -> list[list[tuple[object, ...]]]:
        return [
            self.connection.execute(f"SELECT * FROM ledger_{table}").fetchall()
            for table in TABLES
        ]


TestLedgerHistory = LedgerHistory.TestCase
TestLedgerHistory.settings = hypothesis.settings(
    max_examples=100, stateful_step_count=50, deadline=None
)
