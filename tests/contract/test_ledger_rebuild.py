# SPDX-License-Identifier: Apache-2.0
"""What was charged and forgotten is written down again, once, whatever the caps say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest

from accord import ledger
from accord.core.errors import BudgetExhausted, Conflict
from accord.ledger import Posting, State, Unit, Window
from tests.contract.ledger_steps import (
    AGENCY,
    AGREEMENT,
    DAY,
    NOON,
    RHO,
    balance,
    charge,
    everything,
    give_back,
    line,
    new_id,
    reserve,
)
from tests.contract.ledger_stores import Store

SPENT = (
    Posting(account=AGREEMENT, unit=RHO, amount=30),
    Posting(account=AGENCY, unit=RHO, amount=30),
)


@pytest.fixture
def store(ledger_store: Store) -> Store:
    return ledger_store


def rebuild(
    store: Store,
    entry: str,
    postings: Sequence[Posting] = SPENT,
    at: dt.datetime = NOON,
) -> ledger.Entry:
    with store.transaction() as tx:
        return ledger.rebuild(tx, entry, postings, at)


def test_a_forgotten_charge_is_charged_once(store: Store) -> None:
    entry = new_id()
    made = rebuild(store, entry)
    assert made.state is State.CHARGED
    assert (made.id, made.reserved_at, made.settled_at) == (entry, NOON, NOON)
    assert made.postings == (SPENT[1], SPENT[0])
    before = everything(store)
    assert rebuild(store, entry, SPENT[::-1], NOON + DAY) == made
    assert everything(store) == before
    held = balance(store, AGENCY)
    assert (held.spent, held.reserved) == (30, 0)


def test_no_limit_refuses_it_and_nothing_new_is_granted_above(store: Store) -> None:
    window = Window(seconds=60, cap=40)
    charge(store, reserve(store, line(40, windows=[window])))
    for _ in range(3):
        rebuild(store, new_id())
    held = balance(store, windows=[window])
    assert (held.spent, held.left) == (130, 0)
    assert held.windows[0].used == 130
    with pytest.raises(BudgetExhausted):
        reserve(store, line(1))


def test_in_a_window_it_counts_from_now_on(store: Store) -> None:
    window = Window(seconds=86_400, cap=40)
    reserve(store, line(1), at=NOON)
    rebuild(store, new_id(), at=NOON - 30 * DAY)
    assert balance(store, at=NOON, windows=[window]).windows[0].used == 31
    assert balance(store, at=NOON + DAY, windows=[window]).windows[0].used == 0


def test_what_was_only_reserved_becomes_charged(store: Store) -> None:
    entry = reserve(store, line(30), line(30, AGENCY))
    assert rebuild(store, entry).state is State.CHARGED
    held = balance(store)
    assert (held.spent, held.reserved) == (30, 0)
    everything(store)


def test_what_was_given_back_is_charged_beside_it(store: Store) -> None:
    entry = reserve(store, line(30), line(30, AGENCY))
    give_back(store, entry)
    made = rebuild(store, entry)
    assert made.id != entry
    assert made.state is State.CHARGED
    before = everything(store)
    assert rebuild(store, entry) == made
    assert everything(store) == before
    assert balance(store).spent == 30
    with store.transaction() as tx:
        returned = ledger.entry(tx, entry)
    assert returned is not None
    assert returned.state is State.RETURNED


@pytest.mark.parametrize("state", State)
def test_an_id_that_stands_for_other_amounts_is_a_conflict(
    store: Store, state: State
) -> None:
    entry = reserve(store, line(31), line(30, AGENCY))
    if state is State.CHARGED:
        charge(store, entry)
    elif state is State.RETURNED:
        give_back(store, entry)
    before = everything(store)
    with pytest.raises(Conflict, match="other accounts or amounts"):
        rebuild(store, entry)
    assert everything(store) == before


def test_only_what_could_not_be_counted_is_refused(store: Store) -> None:
    largest = Posting(
        account=AGENCY, unit=Unit.NANO_RHO, amount=ledger.LARGEST_TOTAL - 1
    )
    rebuild(store, new_id(), [largest])
    before = everything(store)
    with pytest.raises(BudgetExhausted):
        rebuild(store, new_id())
    assert everything(store) == before
    for amount in (0, -1, ledger.LARGEST_TOTAL):
        posting = Posting(account=AGENCY, unit=RHO, amount=amount)
        with pytest.raises(ValueError, match="between"):
            rebuild(store, new_id(), [posting])
