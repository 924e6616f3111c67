# SPDX-License-Identifier: Apache-2.0
"""The hub's database: all or nothing, in words, and some tables for ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.core.errors import ConfigurationError, Unreachable
from accord.hub.audit import Event, newest, note
from accord.hub.db.engine import LedgerTransaction, Store
from accord.hub.db.tables import AUDIT
from accord.hub.serve import utc_now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty database."""
    made = Store(tmp_path / "hub.db", busy_seconds=0.05)
    made.create()
    yield made
    made.close()


def test_a_new_database_is_trusted(store: Store) -> None:
    assert store.check() == 0


def test_what_raises_is_rolled_back(store: Store) -> None:
    def write_and_fail() -> None:
        with store.write() as tx:
            note(tx, Event.TOKEN_CREATED, utc_now(), agency="city-police")
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with store.read() as tx:
        assert newest(tx, 10) == []


def test_a_commit_that_fails_is_rolled_back(store: Store) -> None:
    event = "INSERT INTO ledger_event VALUES (1, 0, 'reserve', 'nobody')"

    def write() -> None:
        with store.write() as tx:
            tx.exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # seen by the commit
            tx.exec_driver_sql(event)

    with pytest.raises(sa.exc.IntegrityError):
        write()
    with store.write() as tx:
        chosen = tx.exec_driver_sql("SELECT COUNT(*) FROM ledger_event")
        assert chosen.scalar_one() == 0


def test_a_writer_that_has_to_wait_too_long_says_so(
    store: Store, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unreachable, match="keeps it locked") as caught:
        store.write().__enter__()
    assert caught.value.reason == "STORE_UNAVAILABLE"
    with store.read() as tx:  # readers never wait
        assert newest(tx, 10) == []
    other.execute("ROLLBACK")
    other.close()
    with store.write():
        pass


def test_a_full_disk_is_told_and_loses_nothing(store: Store) -> None:
    with store.read() as tx:
        tx.exec_driver_sql("PRAGMA max_page_count = 1")

    def fill() -> None:
        with store.write() as tx:
            for number in range(10_000):
                note(tx, Event.TOKEN_CREATED, utc_now(), token=str(number))

    with pytest.raises(Unreachable, match="disk is full"):
        fill()
    with store.read() as tx:
        assert newest(tx, 10) == []
    assert store.check() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET event = 'x'",
        "DELETE FROM audit",
        "DELETE FROM releases",
        "UPDATE releases SET agreement = 'x'",
    ],
)
def test_what_was_noted_and_published_cannot_be_changed(
    store: Store, statement: str
) -> None:
    with store.write() as tx:
        note(tx, Event.TOKEN_CREATED, utc_now(), agency="city-police")
        tx.execute(
            sa.text(
                "INSERT INTO releases VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f', 'g',"
                " 1, 0, 'h', 0, 1, x'00', x'00', x'00')"
            )
        )
    with pytest.raises(sa.exc.IntegrityError, match="only grows"), store.write() as tx:
        tx.execute(sa.text(statement))


def test_facts_of_the_log_are_from_a_closed_list(store: Store) -> None:
    with pytest.raises(ValueError, match="victim"), store.write() as tx:
        note(tx, Event.TOKEN_CREATED, utc_now(), victim="x")


def test_another_format_is_refused(store: Store, tmp_path: Path) -> None:
    with store.write() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '0099_later'"))
    with pytest.raises(ConfigurationError, match="0099_later, which this version"):
        store.check()
    empty = Store(tmp_path / "other.db")
    with pytest.raises(ConfigurationError, match="no database"):
        empty.check()
    sqlite3.connect(tmp_path / "other.db").close()
    (tmp_path / "other.db").touch()
    with pytest.raises(ConfigurationError, match="no database of a hub"):
        empty.check()
    empty.close()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    nowhere = Store(tmp_path / "missing" / "hub.db")
    with pytest.raises(Unreachable, match="No such file"):
        nowhere.create()
    nowhere.close()


def test_the_ledger_s_view_is_inside_the_transaction(store: Store) -> None:
    with store.write() as tx:
        ledger = LedgerTransaction(tx)
        assert ledger.in_transaction
        rows = ledger.execute("SELECT :a, :b", {"a": 1, "b": "x"}).fetchall()
        assert tuple(rows[0]) == (1, "x")


async def test_work_goes_on_when_its_caller_has_gone(store: Store) -> None:
    import asyncio
    import threading

    may_end = threading.Event()

    def work() -> None:
        may_end.wait(10)
        with store.write() as tx:
            note(tx, Event.TOKEN_CREATED, utc_now(), agency="city-police")

    task = asyncio.create_task(store.run(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_end.set()

    def count() -> int:
        with store.read() as tx:
            return tx.execute(
                sa.select(sa.func.count()).select_from(AUDIT)
            ).scalar_one()

    assert await store.run(count) == 1
