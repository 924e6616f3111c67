# SPDX-License-Identifier: Apache-2.0
"""Writing behind: in order, in batches, and whatever the disk does."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.core.errors import BudgetExhausted, Unreachable
from accord.hub.db.engine import Store
from accord.hub.rounds import journal as journals
from accord.hub.rounds.journal import Journal
from tests.unit.hub.scripted import until


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path / "hub.db", busy_seconds=0.05)
    with made.write() as tx:
        tx.execute(sa.text("CREATE TABLE said (word TEXT UNIQUE)"))
    yield made
    made.close()


def words(store: Store) -> list[str]:
    with store.read() as tx:
        return list(
            tx.execute(sa.text("SELECT word FROM said ORDER BY rowid")).scalars()
        )


def saying(word: str) -> Callable[[sa.Connection], str]:
    def say(tx: sa.Connection) -> str:
        tx.execute(sa.text("INSERT INTO said VALUES (:word)"), {"word": word})
        return word

    return say


async def test_whoever_does_not_own_the_work_any_more_writes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again until the hub stops, and is refused then: a restart goes on."""
    monkeypatch.setattr(journals, "RETRY_SECONDS", 0.01)
    is_owner = True

    def fence(_tx: sa.Connection) -> None:
        if not is_owner:
            raise Unreachable("REPLICA_REPLACED", "Others took over.")

    journal = Journal(store, fence)
    assert await journal.put(saying("one")) == "one"
    is_owner = False
    late = journal.put(saying("two"))
    await until(lambda: journal.is_delayed)
    await journal.stop()
    with pytest.raises(Unreachable) as refused:
        await late
    assert refused.value.reason == "REPLICA_REPLACED"
    assert words(store) == ["one"]


async def test_changes_are_committed_in_order_and_in_few_transactions(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = 0
    write = Store.write

    @contextlib.contextmanager
    def counted(self: Store) -> Iterator[sa.Connection]:
        nonlocal commits
        with write(self) as tx:
            yield tx
        commits += 1

    monkeypatch.setattr(Store, "write", counted)
    journal = Journal(store)
    done = [journal.put(saying(str(n))) for n in range(100)]
    assert await asyncio.gather(*done) == [str(n) for n in range(100)]
    assert words(store) == [str(n) for n in range(100)]
    assert commits <= 2
    await journal.stop()


async def test_what_is_refused_does_not_touch_the_others(store: Store) -> None:
    def poor(tx: sa.Connection) -> None:
        saying("half")(tx)
        raise BudgetExhausted("BUDGET_EXHAUSTED", "Nothing is left.")

    journal = Journal(store)
    first = journal.put(saying("a"))
    refused = journal.put(poor)
    twice = journal.put(saying("a"))
    last = journal.put(saying("b"))
    await first
    with pytest.raises(BudgetExhausted):
        await refused
    with pytest.raises(sa.exc.IntegrityError):
        await twice
    await last
    assert words(store) == ["a", "b"]
    await journal.stop()


async def test_a_database_that_is_busy_is_tried_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "RETRY_SECONDS", 0.02)
    other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal = Journal(store)
    done = [journal.put(saying(word)) for word in "abc"]
    await until(lambda: journal.is_delayed)
    assert not any(each.done() for each in done)
    other.execute("ROLLBACK")
    other.close()
    assert await asyncio.gather(*done) == ["a", "b", "c"]
    assert not journal.is_delayed
    assert words(store) == ["a", "b", "c"]
    await journal.stop()


async def test_who_stands_and_waits_hears_at_once_that_it_is_busy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "RETRY_SECONDS", 0.02)
    other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal = Journal(store)
    patient = [journal.put(saying("a"))]
    asked = journal.put(saying("b"), once=True)
    patient.append(journal.put(saying("c")))
    with pytest.raises(Unreachable):
        await asked
    other.execute("ROLLBACK")
    other.close()
    assert await asyncio.gather(*patient) == ["a", "c"]
    # Given up is given up: it is not written later behind its caller's back.
    assert words(store) == ["a", "c"]
    assert await journal.put(saying("b"), once=True) == "b"
    await journal.stop()


async def test_a_hub_that_stops_does_not_wait_for_a_broken_disk(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "RETRY_SECONDS", 0.02)
    other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal = Journal(store)
    done = journal.put(saying("a"))
    await until(lambda: journal.is_delayed)
    await journal.stop()
    with pytest.raises(Unreachable):
        await done
    other.close()
    assert words(store) == []
