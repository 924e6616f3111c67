# SPDX-License-Identifier: Apache-2.0
"""Many reservations in one transaction: each as if it had come alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from accord import ledger
from accord.core.errors import AccordError, BudgetExhausted, Conflict, IntegrityError
from accord.ledger import Entry, Line, State, Window
from accord.ledger.sets import is_postgresql
from tests.contract.ledger_steps import (
    AGENCY,
    DAY,
    NOON,
    balance,
    charge,
    everything,
    give_back,
    line,
    new_id,
    reserve,
)
from tests.contract.ledger_stores import Store

Asked = Sequence[tuple[str, Sequence[Line]]]


@pytest.fixture
def store(ledger_store: Store) -> Store:
    return ledger_store


class Watched:
    """A transaction that shows each statement to somebody before it runs."""

    def __init__(self, tx: ledger.Transaction, look: Callable[[str], object]) -> None:
        self._tx = tx
        self._look = look

    @property
    def in_transaction(self) -> bool:
        return self._tx.in_transaction

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> ledger.Result:
        self._look(sql)
        return self._tx.execute(sql, parameters)


def reserve_all(
    store: Store, asked: Asked, at: dt.datetime = NOON
) -> list[Entry | AccordError]:
    with store.transaction() as tx:
        return ledger.reserve_all(tx, asked, at)


def reasons(answers: Sequence[Entry | AccordError]) -> list[str]:
    return [
        each.reason if isinstance(each, AccordError) else each.state for each in answers
    ]


def test_limits_are_checked_inside_the_batch(store: Store) -> None:
    asked = [(new_id(), [line(30), line(1, AGENCY)]) for _ in range(5)]
    # What is refused takes nothing away from a smaller one behind it.
    asked.append((new_id(), [line(10)]))
    answers = reserve_all(store, asked)
    assert reasons(answers) == ["reserved"] * 3 + ["BUDGET_EXHAUSTED"] * 2 + [
        "reserved"
    ]
    refused = answers[3]
    assert isinstance(refused, BudgetExhausted)
    assert refused.metadata["remaining"] == "10"
    assert balance(store).used == 100
    assert balance(store, AGENCY).used == 3
    with store.transaction() as tx:
        assert ledger.verify(tx) == 4
        for (entry, _), answer in zip(asked, answers, strict=True):
            found = ledger.entry(tx, entry)
            assert found == (answer if isinstance(answer, Entry) else None)


def test_windows_and_dates_count_what_the_batch_has_taken(store: Store) -> None:
    window = Window(seconds=86_400, cap=50)
    reserve(store, line(20, cap=None, windows=[window]))
    later = NOON + DAY / 2
    asked = [(new_id(), [line(15, cap=None, windows=[window])]) for _ in range(4)]
    asked += [(new_id(), [line(40, cap=None, windows=[window])])]
    answers = reserve_all(store, asked, later)
    assert reasons(answers) == ["reserved"] * 2 + ["BUDGET_EXHAUSTED"] * 3
    free_at = [
        each.metadata["free_at"] for each in answers if isinstance(each, AccordError)
    ]
    # Another 15 fit when the first entry leaves, 40 only when the batch does.
    first, batch = (NOON + DAY).isoformat(), (later + DAY).isoformat()
    assert free_at == [first, first, batch]


def test_an_id_twice_in_a_batch_is_one_entry_or_a_conflict(store: Store) -> None:
    entry = new_id()
    answers = reserve_all(
        store, [(entry, [line(30)]), (entry, [line(30)]), (entry, [line(31)])]
    )
    assert answers[0] == answers[1]
    assert isinstance(answers[2], Conflict)
    assert balance(store).used == 30


def test_known_ids_are_answered_beside_new_ones(store: Store) -> None:
    charged, returned, held = (reserve(store, line(10)) for _ in range(3))
    charge(store, charged)
    give_back(store, returned)
    asked = [(each, [line(10)]) for each in (charged, returned, held, new_id())]
    answers = reserve_all(store, asked)
    assert reasons(answers) == ["charged", "LEDGER_CONFLICT", "reserved", "reserved"]
    assert reasons(reserve_all(store, asked, NOON + DAY)) == reasons(answers)
    with store.transaction() as tx:
        assert ledger.verify(tx) == 6


def test_names_of_accounts_are_kept_as_they_are(store: Store) -> None:
    names = ("agency/łódź", "agency/🦊", 'agency/"quoted" \\ {1,2}')
    made = reserve_all(store, [(new_id(), [line(7, name) for name in names])])[0]
    assert isinstance(made, Entry)
    assert [each.account for each in made.postings] == sorted(names)
    with store.transaction() as tx:
        assert ledger.entry(tx, made.id) == made
    for name in names:
        assert balance(store, name).used == 7
    everything(store)


def test_a_batch_of_nothing_changes_nothing(store: Store) -> None:
    before = everything(store)
    assert reserve_all(store, []) == []
    assert reasons(reserve_all(store, [(new_id(), [line(101)])])) == [
        "BUDGET_EXHAUSTED"
    ]
    assert everything(store) == before


def test_one_bad_argument_refuses_all_before_anything_is_written(store: Store) -> None:
    before = everything(store)
    for bad in [(new_id(), []), ("1", [line(1)])]:
        with pytest.raises(ValueError, match=r"free|UUID"):
            reserve_all(store, [(new_id(), [line(1)]), bad])
    assert everything(store) == before


def test_the_number_of_statements_does_not_grow(store: Store) -> None:
    window = Window(seconds=60, cap=10)

    def statements(number: int) -> int:
        seen: list[str] = []
        asked = [
            (
                new_id(),
                [line(1, f"agency/{name}", windows=[window]) for name in range(number)],
            )
            for _ in range(number)
        ]
        with store.transaction() as tx:
            answers = ledger.reserve_all(Watched(tx, seen.append), asked, NOON)
        assert "BUDGET_EXHAUSTED" in reasons(answers) or number <= 10
        return len(seen)

    alone = statements(1)
    assert statements(7) == alone
    assert statements(30) <= alone + 1  # the history of all windows that are full


@pytest.mark.parametrize("operation", [ledger.charge, ledger.give_back])
def test_settling_takes_few_statements_however_many_accounts_pay(
    store: Store,
    request: pytest.FixtureRequest,
    operation: Callable[[ledger.Transaction, str, dt.datetime], Entry],
) -> None:
    kind = request.node.callspec.params["ledger_store"]
    seen: dict[int, list[str]] = {1: [], 40: []}
    for accounts, statements in seen.items():
        entry = reserve(store, *(line(1, f"agency/{name}") for name in range(accounts)))
        with store.transaction() as tx:
            settled = operation(Watched(tx, statements.append), entry, NOON)
            assert settled == ledger.entry(tx, entry)
            assert len(settled.postings) == accounts
    assert len(seen[40]) == len(seen[1])
    if kind == "postgresql":
        which, settle = seen[1]
        assert which.startswith("SELECT '1'")  # whoever says so is not asked
        assert settle.strip().startswith("WITH")
    everything(store)


def test_a_total_that_changes_under_a_reservation_stops_it(store: Store) -> None:
    reserve(store, line(10))
    with store.transaction() as tx:

        def edit(sql: str) -> None:
            if "UPDATE ledger_account" in sql:
                tx.execute("UPDATE ledger_account SET used = 95", {})

        with pytest.raises(IntegrityError) as refused:
            ledger.reserve(Watched(tx, edit), new_id(), [line(10)], NOON)
        assert refused.value.reason == "LEDGER_INCONSISTENT"
        tx.execute("UPDATE ledger_account SET used = 10", {})


def test_batches_that_race_at_a_cap_get_exactly_what_fits(store: Store) -> None:
    def work(_: int) -> int:
        asked = [(new_id(), [line(1, cap=41), line(1, AGENCY)]) for _ in range(10)]
        return reasons(reserve_all(store, asked)).count(State.RESERVED)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 41
    everything(store)


def test_the_ledger_finds_out_which_database_it_works_on(
    store: Store, request: pytest.FixtureRequest
) -> None:
    kind = request.node.callspec.params["ledger_store"]
    with store.transaction() as tx:
        assert is_postgresql(tx) is (kind == "postgresql")
