# SPDX-License-Identifier: Apache-2.0
"""A batch does what single calls do, and a rebuilt copy holds what the original did."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import hypothesis
from hypothesis import strategies as st

from accord import ledger
from accord.core.errors import AccordError
from accord.ledger import Entry, Line, State, Unit, Window

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
ACCOUNTS = ("agency/north", "agency/south", "agreement/trends")
TABLES = ("head", "account", "entry", "line", "event")

windows = st.lists(
    st.builds(Window, seconds=st.integers(1, 20), cap=st.integers(4, 30)), max_size=2
).map(tuple)
lines = st.dictionaries(
    st.sampled_from(ACCOUNTS),
    st.tuples(st.integers(1, 12), st.none() | st.integers(0, 60), windows),
    min_size=1,
).map(
    lambda wanted: [
        Line(
            account=account,
            unit=Unit.NANO_RHO,
            amount=amount,
            lifetime_cap=cap,
            windows=limits,
        )
        for account, (amount, cap, limits) in wanted.items()
    ]
)
ids = st.integers(0, 12).map(lambda number: str(uuid.UUID(int=number)))
batches = st.lists(st.tuples(ids, lines), max_size=8)
Step: TypeAlias = tuple[int, list[tuple[str, list[Line]]], list[tuple[str, bool]]]
histories = st.lists(
    st.tuples(
        st.integers(-3, 12),
        batches,
        st.lists(st.tuples(ids, st.booleans()), max_size=4),
    ),
    max_size=6,
)


@contextlib.contextmanager
def new_ledger() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(
        sqlite3.connect(":memory:", isolation_level=None)
    ) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        ledger.create_schema(connection)
        yield connection


def dump(tx: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    return [
        tx.execute(f"SELECT * FROM ledger_{table} ORDER BY 1, 2").fetchall()
        for table in TABLES
    ]


def told(answer: Entry | AccordError) -> object:
    if isinstance(answer, AccordError):
        return type(answer), answer.reason, answer.sentence, answer.metadata
    return answer


def settle(
    tx: sqlite3.Connection, wanted: Sequence[tuple[str, bool]], at: dt.datetime
) -> None:
    for entry, charged in wanted:
        with contextlib.suppress(AccordError):
            (ledger.charge if charged else ledger.give_back)(tx, entry, at)


def one_by_one(
    tx: sqlite3.Connection, asked: Sequence[tuple[str, list[Line]]], at: dt.datetime
) -> list[Entry | AccordError]:
    answers: list[Entry | AccordError] = []
    for entry, wanted in asked:
        try:
            answers.append(ledger.reserve(tx, entry, wanted, at))
        except AccordError as refusal:
            answers.append(refusal)
    return answers


@hypothesis.given(histories)
@hypothesis.settings(max_examples=60, deadline=None)
def test_a_batch_is_as_if_each_had_come_alone(history: list[Step]) -> None:
    with new_ledger() as together, new_ledger() as alone:
        now = START
        for seconds, asked, settled in history:
            now += seconds * SECOND
            answers = ledger.reserve_all(together, asked, now)
            assert list(map(told, answers)) == list(
                map(told, one_by_one(alone, asked, now))
            )
            for tx in (together, alone):
                settle(tx, settled, now)
            ledger.verify(together)
            assert dump(together) == dump(alone)


@hypothesis.given(
    history=histories, copied_after=st.integers(0, 6), gave_up=st.booleans()
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_an_old_copy_that_is_rebuilt_holds_every_charge(
    history: list[Step], copied_after: int, *, gave_up: bool
) -> None:
    with new_ledger() as original, new_ledger() as copy:
        now = START
        for number, (seconds, asked, settled) in enumerate(history):
            if number == copied_after:
                take_over(copy, original)
            now += seconds * SECOND
            ledger.reserve_all(original, asked, now)
            settle(original, settled, now)
        if gave_up:  # the restored hub ended what it found, before it was told
            waiting = [each.id for each in ledger.entries(copy, most=1000)]
            settle(copy, [(entry, False) for entry in waiting], now)
        charged = [
            each
            for each in ledger.entries(original, most=1000)
            if each.state is State.CHARGED
        ]
        for _ in range(2):  # what is told twice counts once
            for each in charged:
                ledger.rebuild(copy, each.id, each.postings, now)
        ledger.verify(copy)
        for account in ACCOUNTS:
            spent, rebuilt = (
                ledger.balance(tx, account, Unit.NANO_RHO, now).spent
                for tx in (original, copy)
            )
            assert rebuilt == spent


def take_over(copy: sqlite3.Connection, original: sqlite3.Connection) -> None:
    """Make the copy what the original is now."""
    copy.execute("DELETE FROM ledger_head")
    for table in TABLES:
        rows = original.execute(f"SELECT * FROM ledger_{table}").fetchall()
        marks = ", ".join("?" for _ in rows[0]) if rows else ""
        if rows:
            copy.executemany(f"INSERT INTO ledger_{table} VALUES ({marks})", rows)
