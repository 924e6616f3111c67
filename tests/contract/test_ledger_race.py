# SPDX-License-Identifier: Apache-2.0
"""Threads that ask at once get together what fits, and no more."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from accord import ledger
from accord.core.errors import BudgetExhausted, Conflict
from accord.ledger import Window
from tests.contract.ledger_steps import (
    AGENCY,
    NOON,
    balance,
    charge,
    everything,
    give_back,
    line,
    new_id,
    reserve,
)
from tests.contract.ledger_stores import Store, core_on_postgres
from tests.contract.postgres import Cluster

THREADS = 200


@pytest.fixture
def store(ledger_store: Store) -> Store:
    return ledger_store


def race(number: int, work: Callable[[int], str | None]) -> list[str]:
    """Run the work in threads that start together; return what was granted."""
    gate = threading.Barrier(number)

    def one(thread: int) -> str | None:
        gate.wait(60)
        return work(thread)

    with ThreadPoolExecutor(number) as pool:
        return [each for each in pool.map(one, range(number)) if each is not None]


def test_threads_that_race_at_a_cap_get_exactly_what_fits(store: Store) -> None:
    cap, window = 73 * 3, Window(seconds=86_400, cap=80 * 3)

    def work(thread: int) -> str | None:
        # Half of them name the accounts in the other order.
        lines = [
            line(3, cap=cap, windows=[window]),
            line(3, AGENCY, cap=None, windows=[window]),
        ]
        try:
            return reserve(store, *(lines if thread % 2 else lines[::-1]))
        except BudgetExhausted:
            return None

    granted = race(THREADS, work)
    assert len(granted) == 73
    assert balance(store).used == balance(store, AGENCY).used == cap
    with store.transaction() as tx:
        assert ledger.verify(tx) == 73
        assert {each.id for each in ledger.entries(tx)} == set(granted)


def test_threads_that_race_at_a_window_get_exactly_what_fits(store: Store) -> None:
    window = Window(seconds=86_400, cap=20)

    def work(thread: int) -> str | None:
        at = NOON + dt.timedelta(seconds=thread % 7)
        try:
            return reserve(store, line(1, cap=None, windows=[window]), at=at)
        except BudgetExhausted:
            return None

    assert len(race(60, work)) == 20
    everything(store)


def test_one_id_sent_many_times_at_once_counts_once(store: Store) -> None:
    entry = new_id()

    def work(_: int) -> str:
        reserve(store, line(10), line(5, AGENCY), entry=entry)
        return charge(store, entry).id

    assert race(40, work) == [entry] * 40
    assert balance(store).spent == 10
    with store.transaction() as tx:
        assert ledger.verify(tx) == 2


def test_settling_both_ways_at_once_has_one_winner(store: Store) -> None:
    entries = [reserve(store, line(1, cap=None)) for _ in range(10)]

    def work(thread: int) -> str | None:
        operation = charge if thread % 2 else give_back
        try:
            return operation(store, entries[thread // 4]).state
        except Conflict:
            return None

    assert len(race(40, work)) == 20  # each entry: two that agree, two refused
    held = balance(store, cap=None)
    assert held.reserved == 0
    with store.transaction() as tx:
        assert ledger.verify(tx) == 20


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_stricter_isolation_costs_repeats_and_never_budget(
    request: pytest.FixtureRequest, level: str
) -> None:
    """PostgreSQL only: the caller repeats what the server could not serialise."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    import sqlalchemy as sa

    server: Cluster = request.getfixturevalue("postgres")
    store = core_on_postgres(server.database(), isolation_level=level)

    def work(_: int) -> str | None:
        entry = new_id()
        while True:
            try:
                return reserve(store, line(1, cap=15), entry=entry)
            except BudgetExhausted:
                return None
            except sa.exc.OperationalError as error:
                if "could not serialize" not in str(error):
                    raise

    assert len(race(30, work)) == 15
    everything(store)
    store.close()
