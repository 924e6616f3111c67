# SPDX-License-Identifier: Apache-2.0
"""Lifetime caps and sliding windows, and the dates that refusals promise."""

from __future__ import annotations

import datetime as dt

import pytest

from accord import ledger
from accord.core.errors import BudgetExhausted
from accord.ledger import Window
from tests.contract.ledger_steps import (
    AGENCY,
    DAY,
    NOON,
    balance,
    charge,
    everything,
    give_back,
    line,
    reserve,
)
from tests.contract.ledger_stores import Store


@pytest.fixture
def store(ledger_store: Store) -> Store:
    return ledger_store


def test_a_window_counts_from_the_reservation_for_its_length(store: Store) -> None:
    window = Window(seconds=86_400, cap=50)
    entry = reserve(store, line(30, cap=None, windows=[window]))
    charge(store, entry, NOON + DAY / 2)  # later, and it makes no difference
    with pytest.raises(BudgetExhausted) as refused:
        reserve(store, line(30, cap=None, windows=[window]), at=NOON + DAY / 2)
    assert refused.value.metadata["remaining"] == "20"
    assert refused.value.metadata["free_at"] == (NOON + DAY).isoformat()
    just_before = NOON + DAY - dt.timedelta(microseconds=1)
    with pytest.raises(BudgetExhausted):
        reserve(store, line(21, cap=None, windows=[window]), at=just_before)
    reserve(store, line(30, cap=None, windows=[window]), at=NOON + DAY)
    assert balance(store, at=NOON + DAY, windows=[window], cap=None).left == 20


def test_several_windows_hold_at_once(store: Store) -> None:
    windows = [Window(seconds=86_400, cap=10), Window(seconds=7 * 86_400, cap=25)]
    for day in range(2):
        reserve(store, line(10, windows=windows), at=NOON + day * DAY)
    with pytest.raises(BudgetExhausted) as refused:
        reserve(store, line(10, windows=windows), at=NOON + 2 * DAY)
    assert refused.value.metadata["remaining"] == "5"
    assert refused.value.metadata["free_at"] == (NOON + 7 * DAY).isoformat()
    held = balance(store, at=NOON + 2 * DAY, windows=windows)
    assert [each.used for each in held.windows] == [0, 20]
    assert [each.left for each in held.windows] == [10, 5]
    assert held.left == 5


def test_the_promised_date_ignores_what_was_given_back(store: Store) -> None:
    window = Window(seconds=86_400, cap=50)
    reserve(store, line(40, windows=[window]))
    late = reserve(store, line(10, windows=[window]), at=NOON + DAY / 2)
    give_back(store, late, NOON + DAY / 2)
    with pytest.raises(BudgetExhausted) as refused:
        reserve(store, line(45, windows=[window]), at=NOON + DAY / 2)
    assert refused.value.metadata["remaining"] == "10"
    assert refused.value.metadata["free_at"] == (NOON + DAY).isoformat()


def test_the_promised_date_is_the_earliest_that_fits_exactly(store: Store) -> None:
    window = Window(seconds=86_400, cap=50)
    for hours, amount in ((0, 10), (1, 10), (2, 20)):
        at = NOON + dt.timedelta(hours=hours)
        reserve(store, line(amount, windows=[window]), at=at)
    with pytest.raises(BudgetExhausted) as refused:
        reserve(store, line(20, windows=[window]), at=NOON + DAY / 2)
    assert refused.value.metadata["free_at"] == (NOON + DAY).isoformat()


def test_the_promised_date_is_rounded_up_to_the_second(store: Store) -> None:
    window = Window(seconds=60, cap=50)
    reserve(store, line(50, windows=[window]), at=NOON + dt.timedelta(microseconds=1))
    at = NOON + dt.timedelta(seconds=1)
    with pytest.raises(BudgetExhausted) as refused:
        reserve(store, line(1, windows=[window]), at=at)
    free_at = refused.value.metadata["free_at"]
    assert free_at == (NOON + dt.timedelta(seconds=61)).isoformat()
    reserve(store, line(1, windows=[window]), at=dt.datetime.fromisoformat(free_at))


def test_no_date_is_promised_where_waiting_does_not_help(store: Store) -> None:
    window = Window(seconds=86_400, cap=50)
    reserve(store, line(45, windows=[window]))
    with pytest.raises(BudgetExhausted, match="Waiting does not help") as refused:
        reserve(store, line(51, windows=[window]))
    assert "free_at" not in refused.value.metadata
    with pytest.raises(BudgetExhausted, match="Waiting does not help") as refused:
        reserve(store, line(20, windows=[window]), line(101, AGENCY))
    assert refused.value.metadata["account"] == AGENCY
    with pytest.raises(BudgetExhausted, match="2026-03-02 at 12:00:00 UTC"):
        reserve(store, line(20, windows=[window]), line(100, AGENCY))


def test_a_clock_that_goes_back_frees_nothing(store: Store) -> None:
    window = Window(seconds=86_400, cap=50)
    reserve(store, line(50, windows=[window]), at=NOON)
    for at in (NOON - 10 * DAY, NOON - 400 * DAY):
        with pytest.raises(BudgetExhausted):
            reserve(store, line(1, windows=[window]), at=at)
        assert balance(store, at=at, windows=[window]).left == 0
    # What is reserved under the wrong clock counts as of the latest moment seen.
    wide = Window(seconds=86_400, cap=60)
    late = reserve(store, line(10, windows=[wide]), at=NOON - 10 * DAY)
    with store.transaction() as tx:
        found = ledger.entry(tx, late)
    assert found is not None
    assert found.reserved_at == NOON


def test_limits_may_change_without_losing_what_was_spent(store: Store) -> None:
    charge(store, reserve(store, line(80)))
    with pytest.raises(BudgetExhausted) as refused:
        reserve(store, line(1, cap=50))
    assert refused.value.metadata["remaining"] == "0"
    assert balance(store, cap=50).left == 0
    reserve(store, line(120, cap=200))
    assert balance(store, cap=200).left == 0


def test_amounts_beyond_floats_are_exact(store: Store) -> None:
    cap = 2**60 + 1
    charge(store, reserve(store, line(2**60, cap=cap)))
    with pytest.raises(BudgetExhausted):
        reserve(store, line(2, cap=cap))
    reserve(store, line(1, cap=cap))
    assert balance(store, cap=cap).used == cap


def test_an_account_without_cap_still_cannot_overflow(store: Store) -> None:
    largest = ledger.LARGEST_TOTAL - 1
    reserve(store, line(largest, cap=None))
    with pytest.raises(BudgetExhausted):
        reserve(store, line(largest, cap=None))
    reserve(store, line(1, cap=None))
    everything(store)
