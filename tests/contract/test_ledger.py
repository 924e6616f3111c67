# SPDX-License-Identifier: Apache-2.0
"""What the ledger promises, the same on every database that carries it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accord import ledger
from accord.core.errors import AccordError, BudgetExhausted, Conflict, NotFound
from accord.ledger import Line, State, Unit, Window
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


@pytest.fixture
def store(ledger_store: Store) -> Store:
    return ledger_store


def test_reserve_then_charge_moves_the_amount(store: Store) -> None:
    entry = reserve(store, line(30))
    held = balance(store)
    assert (held.spent, held.reserved, held.left) == (0, 30, 70)
    charged = charge(store, entry, NOON + DAY)
    held = balance(store)
    assert (held.spent, held.reserved, held.left) == (30, 0, 70)
    assert charged.state is State.CHARGED
    assert charged.reserved_at == NOON
    assert charged.settled_at == NOON + DAY
    with store.transaction() as tx:
        assert ledger.entry(tx, entry) == charged
        assert ledger.verify(tx) == 2


def test_what_many_accounts_hold_is_read_at_once(store: Store) -> None:
    reserve(store, line(30), line(20, AGENCY))
    charge(store, reserve(store, line(5, AGENCY)))
    with store.transaction() as tx:
        wanted = [AGREEMENT, AGENCY, "agency/new", AGENCY]
        assert ledger.used_ever(tx, wanted, RHO) == {AGREEMENT: 30, AGENCY: 25}
        assert ledger.used_ever(tx, wanted, Unit.NANO_EPSILON) == {}
        assert ledger.used_ever(tx, [], RHO) == {}


def test_give_back_frees_the_whole_amount(store: Store) -> None:
    window = Window(seconds=3600, cap=40)
    entry = reserve(store, line(30, windows=[window]), line(30, AGENCY))
    returned = give_back(store, entry)
    assert returned.state is State.RETURNED
    assert balance(store, windows=[window]).left == 40
    assert balance(store, AGENCY).left == 100
    reserve(store, line(40, windows=[window]), line(100, AGENCY))
    everything(store)


def test_reserve_takes_all_lines_or_none(store: Store) -> None:
    reserve(store, line(90, AGENCY))
    before = everything(store)
    with pytest.raises(BudgetExhausted) as refused:
        reserve(store, line(20), line(20, AGENCY))
    assert refused.value.metadata == {
        "account": AGENCY,
        "unit": "nano-rho",
        "requested": "20",
        "remaining": "10",
    }
    assert everything(store) == before
    reserve(store, line(10), line(10, AGENCY))


def test_refusal_writes_nothing_even_if_its_transaction_commits(store: Store) -> None:
    reserve(store, line(90, AGENCY))
    before = everything(store)
    with store.transaction() as tx, pytest.raises(BudgetExhausted):
        ledger.reserve(tx, new_id(), [line(20), line(20, AGENCY)], NOON)
    assert everything(store) == before


def test_refusal_does_not_brick_the_account(store: Store) -> None:
    for _ in range(5):
        with pytest.raises(BudgetExhausted):
            reserve(store, line(101))
    reserve(store, line(100))
    with pytest.raises(BudgetExhausted) as refused:
        reserve(store, line(1))
    assert refused.value.metadata["remaining"] == "0"


def test_units_are_separate_accounts(store: Store) -> None:
    reserve(store, line(100), line(100, unit=Unit.NANO_EPSILON))
    assert balance(store).used == 100
    with store.transaction() as tx:
        held = ledger.balance(tx, AGREEMENT, Unit.NANO_EPSILON, NOON)
    assert held.used == 100


def test_same_id_and_amounts_is_the_same_entry(store: Store) -> None:
    entry = reserve(store, line(30), line(5, AGENCY))
    before = everything(store)
    # Another order of lines, other limits and another moment: still the same entry.
    reserve(store, line(5, AGENCY, cap=1), line(30, cap=1), entry=entry, at=NOON + DAY)
    assert everything(store) == before
    charge(store, entry)
    before = everything(store)
    charge(store, entry, NOON + DAY)
    reserve(store, line(30), line(5, AGENCY), entry=entry)
    assert everything(store) == before


@pytest.mark.parametrize(
    "other",
    [
        [line(31), line(5, AGENCY)],
        [line(30)],
        [line(30), line(5, AGENCY), line(1, "agency/city-police")],
        [line(30, unit=Unit.NANO_EPSILON), line(5, AGENCY)],
        [line(30, "agreement/other"), line(5, AGENCY)],
    ],
    ids=["amount", "fewer", "more", "unit", "account"],
)
def test_same_id_with_other_content_is_a_conflict(
    store: Store, other: list[Line]
) -> None:
    entry = reserve(store, line(30), line(5, AGENCY))
    before = everything(store)
    with pytest.raises(Conflict) as refused:
        reserve(store, *other, entry=entry)
    assert refused.value.reason == "LEDGER_CONFLICT"
    assert everything(store) == before


def test_a_late_duplicate_of_what_was_given_back_is_a_conflict(store: Store) -> None:
    entry = reserve(store, line(30))
    give_back(store, entry)
    before = everything(store)
    with pytest.raises(Conflict, match="given back"):
        reserve(store, line(30), entry=entry)
    with pytest.raises(Conflict):
        charge(store, entry)
    give_back(store, entry, NOON + DAY)
    assert everything(store) == before


def test_a_charge_is_final(store: Store) -> None:
    entry = reserve(store, line(30))
    charge(store, entry)
    before = everything(store)
    with pytest.raises(Conflict):
        give_back(store, entry)
    assert everything(store) == before


@pytest.mark.parametrize("operation", [charge, give_back])
def test_an_unknown_id_cannot_be_settled(
    store: Store, operation: Callable[[Store, str], ledger.Entry]
) -> None:
    with pytest.raises(NotFound) as refused:
        operation(store, new_id())
    assert refused.value.reason == "LEDGER_ENTRY_UNKNOWN"


def test_height_numbers_every_change_and_nothing_else(store: Store) -> None:
    def height() -> int:
        with store.transaction() as tx:
            return ledger.height(tx)

    assert height() == 0
    entry = reserve(store, line(30))
    other = reserve(store, line(30))
    assert height() == 2
    with pytest.raises(BudgetExhausted):
        reserve(store, line(50))
    assert height() == 2
    charge(store, entry)
    charge(store, entry)
    give_back(store, other)
    assert height() == 4


def test_entries_are_listed_newest_first_by_page_and_account(store: Store) -> None:
    made = [
        reserve(store, line(1, cap=None), line(2, f"agency/a{number % 2}"))
        for number in range(6)
    ]
    charge(store, made[0])
    with store.transaction() as tx:
        assert [each.id for each in ledger.entries(tx)] == made[::-1]
        first = ledger.entries(tx, most=4)
        rest = ledger.entries(tx, most=4, below=first[-1].height)
        assert [each.id for each in (*first, *rest)] == made[::-1]
        of_one = ledger.entries(tx, "agency/a0")
        assert [each.id for each in of_one] == [made[4], made[2], made[0]]
        assert [each.state for each in of_one] == ["reserved", "reserved", "charged"]
        assert [each.amount for each in of_one[0].postings] == [2, 1]
        assert ledger.entries(tx, "agency/a0", RHO) == of_one
        assert ledger.entries(tx, "agency/a0", Unit.NANO_EPSILON) == ()
        assert ledger.entries(tx, "agency/a0", most=1, below=of_one[0].height) == (
            of_one[1],
        )


def test_a_rolled_back_transaction_leaves_no_trace(store: Store) -> None:
    entry = reserve(store, line(10))
    before = everything(store)

    class PowerCutError(Exception):
        """The caller's own steps failed."""

    def cut_short() -> None:
        with store.transaction() as tx:
            ledger.charge(tx, entry, NOON)
            ledger.reserve(tx, new_id(), [line(20), line(3, AGENCY)], NOON)
            raise PowerCutError

    with pytest.raises(PowerCutError):
        cut_short()
    assert everything(store) == before


def test_every_refusal_is_a_sentence_without_code(store: Store) -> None:
    entry = reserve(store, line(10))
    give_back(store, entry)
    refusals: list[AccordError] = []
    attempts: list[Callable[[], object]] = [
        lambda: reserve(store, line(1000)),
        lambda: reserve(store, line(11), entry=entry),
        lambda: reserve(store, line(10), entry=entry),
        lambda: charge(store, entry),
        lambda: charge(store, new_id()),
    ]
    for attempt in attempts:
        with pytest.raises(AccordError) as refused:
            attempt()
        refusals.append(refused.value)
    for refusal in refusals:
        assert refusal.sentence.endswith(".")
        assert "nano" not in refusal.sentence
        assert "<" not in refusal.sentence
    assert "0.0000001 rho left and 0.000001 rho" in refusals[0].sentence
