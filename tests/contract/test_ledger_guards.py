# SPDX-License-Identifier: Apache-2.0
"""What protects the ledger from other programs, other versions and edits by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accord import ledger
from accord.core.errors import ConfigurationError, IntegrityError, InternalError
from tests.contract.ledger_steps import (
    AGENCY,
    NOON,
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


def test_the_ledger_writes_inside_a_transaction_only(store: Store) -> None:
    entry = reserve(store, line(10))
    with store.outside() as connection:
        with pytest.raises(InternalError) as refused:
            ledger.reserve(connection, new_id(), [line(1)], NOON)
        assert refused.value.reason == "LEDGER_WITHOUT_TRANSACTION"
        with pytest.raises(InternalError):
            ledger.charge(connection, entry, NOON)
        with pytest.raises(InternalError):
            ledger.give_back(connection, entry, NOON)
        with pytest.raises(InternalError):
            ledger.create_schema(connection)
        with pytest.raises(InternalError):
            ledger.verify(connection)


def test_creating_the_schema_again_keeps_everything(store: Store) -> None:
    reserve(store, line(10))
    before = everything(store)
    with store.transaction() as tx:
        ledger.create_schema(tx)
        assert (
            tx.execute("SELECT format FROM ledger_head", {}).fetchall()[0][0]
            == ledger.FORMAT
        )
    assert everything(store) == before


@pytest.mark.parametrize(
    ("found", "way_out"), [(ledger.FORMAT + 1, "install"), (0, "migrate")]
)
def test_a_ledger_of_another_format_is_refused(
    store: Store, found: int, way_out: str
) -> None:
    entry = reserve(store, line(10))
    with store.transaction() as tx:
        tx.execute("UPDATE ledger_head SET format = :found", {"found": found})

    def attempts() -> Iterator[Callable[[ledger.Transaction], object]]:
        yield ledger.check_schema
        yield ledger.create_schema
        yield ledger.verify
        yield lambda tx: ledger.reserve(tx, new_id(), [line(1)], NOON)
        yield lambda tx: ledger.charge(tx, entry, NOON)
        yield lambda tx: ledger.give_back(tx, entry, NOON)

    for attempt in attempts():
        with (
            store.transaction() as tx,
            pytest.raises(ConfigurationError, match=way_out) as refused,
        ):
            attempt(tx)
        assert refused.value.reason == "LEDGER_FORMAT"


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE ledger_account SET used = used - 1",
        "UPDATE ledger_account SET reserved = reserved - 1",
        "UPDATE ledger_line SET amount = amount - 1",
        "UPDATE ledger_line SET returned = 1",
        "UPDATE ledger_line SET at = at - 1",
        "UPDATE ledger_entry SET state = 'charged' WHERE state = 'reserved'",
        "UPDATE ledger_entry SET state = 'reserved' WHERE state = 'charged'",
        "UPDATE ledger_head SET height = height - 1",
        "UPDATE ledger_head SET clock = clock - 1",
        "DELETE FROM ledger_event WHERE height = 3",
        "DELETE FROM ledger_event WHERE height = 1",
        "DELETE FROM ledger_line WHERE account = 'agency/shelter-north'",
        "UPDATE ledger_event SET at = at + 1 WHERE kind = 'reserve' AND height = 1",
        "UPDATE ledger_event SET kind = 'give back' WHERE kind = 'charge'",
    ],
)
def test_verify_finds_what_was_edited_by_hand(store: Store, edit: str) -> None:
    charge(store, reserve(store, line(10), line(2, AGENCY)))
    reserve(store, line(10), line(2, AGENCY))
    everything(store)
    with store.transaction() as tx:
        tx.execute(edit, {})
        with pytest.raises(IntegrityError) as refused:
            ledger.verify(tx)
    assert refused.value.reason == "LEDGER_INCONSISTENT"


def test_a_total_that_was_edited_stops_the_settlement(store: Store) -> None:
    entry = reserve(store, line(10))
    with store.transaction() as tx:
        tx.execute("UPDATE ledger_account SET used = 5, reserved = 5", {})
    for operation in (charge, give_back):
        with pytest.raises(IntegrityError):
            operation(store, entry)


def test_the_ledger_itself_loads_no_driver() -> None:
    """It needs the standard library alone, and no database of it."""
    program = (
        "import sys, accord.ledger;"
        "sys.exit(any(name in sys.modules for name in ('sqlite3', 'sqlalchemy')))"
    )
    root = Path(__file__).resolve().parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root / "core")}
    subprocess.run([sys.executable, "-S", "-c", program], check=True, env=environment)
