# SPDX-License-Identifier: Apache-2.0
"""Amounts, names, ids and moments: what the ledger refuses to take."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord import ledger
from accord.core.errors import ConfigurationError
from accord.ledger import Line, Unit, Window
from accord.ledger.account import microseconds, moment, shown

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
ID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"


@pytest.fixture
def tx() -> Iterator[ledger.Transaction]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        ledger.create_schema(connection)
        yield connection


@pytest.mark.parametrize("amount", [True, 1.0, float("nan"), "1", None])
def test_line_refuses_amounts_that_are_no_integers(amount: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match="integer"):
        Line(account="a", unit=Unit.NANO_RHO, amount=amount)


@pytest.mark.parametrize("amount", [0, -1, ledger.LARGEST_TOTAL, 2**70])
def test_line_refuses_amounts_out_of_range(amount: int) -> None:
    with pytest.raises(ValueError, match="between"):
        Line(account="a", unit=Unit.NANO_RHO, amount=amount)


@pytest.mark.parametrize("cap", [False, 0.5, "9"])
def test_limits_refuse_what_is_no_integer(cap: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match="integer"):
        Line(account="a", unit=Unit.NANO_RHO, amount=1, lifetime_cap=cap)
    with pytest.raises(TypeError, match="integer"):
        Window(seconds=60, cap=cap)
    with pytest.raises(TypeError, match="integer"):
        Window(seconds=cap, cap=1)


def test_limits_refuse_what_is_out_of_range() -> None:
    for cap in (-1, ledger.LARGEST_TOTAL + 1):
        with pytest.raises(ValueError, match="between"):
            Line(account="a", unit=Unit.NANO_RHO, amount=1, lifetime_cap=cap)
        with pytest.raises(ValueError, match="between"):
            Window(seconds=60, cap=cap)
    for seconds in (0, -1, 10**12):
        with pytest.raises(ValueError, match="between"):
            Window(seconds=seconds, cap=1)


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00", "x" * 301])
def test_line_refuses_names_that_nobody_can_read(name: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        Line(account=name, unit=Unit.NANO_RHO, amount=1)


def test_line_refuses_unknown_units() -> None:
    unit: Any = "epsilon"
    with pytest.raises(ValueError, match="epsilon"):
        Line(account="a", unit=unit, amount=1)


@pytest.mark.parametrize(
    "entry",
    ["", "1", ID.upper(), ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", None, 7],
)
def test_ids_have_one_spelling(
    tx: ledger.Transaction,
    entry: Any,  # noqa: ANN401
) -> None:
    line = Line(account="a", unit=Unit.NANO_RHO, amount=1)
    with pytest.raises(ValueError, match="UUID"):
        ledger.reserve(tx, entry, [line], NOON)
    with pytest.raises(ValueError, match="UUID"):
        ledger.charge(tx, entry, NOON)
    assert ledger.height(tx) == 0


def test_reserve_refuses_no_lines_and_one_account_twice(tx: ledger.Transaction) -> None:
    line = Line(account="a", unit=Unit.NANO_RHO, amount=1)
    with pytest.raises(ValueError, match="free"):
        ledger.reserve(tx, ID, [], NOON)
    with pytest.raises(ValueError, match="once"):
        ledger.reserve(tx, ID, [line, line], NOON)
    assert ledger.verify(tx) == 0


@pytest.mark.parametrize(
    "at",
    [
        NOON.replace(tzinfo=None),
        dt.datetime(1969, 12, 31, tzinfo=dt.UTC),
        dt.datetime(9000, 1, 1, tzinfo=dt.UTC),
    ],
)
def test_moments_have_a_time_zone_and_a_sane_year(
    tx: ledger.Transaction, at: dt.datetime
) -> None:
    line = Line(account="a", unit=Unit.NANO_RHO, amount=1)
    with pytest.raises(ValueError, match="time zone"):
        ledger.reserve(tx, ID, [line], at)
    with pytest.raises(ValueError, match="time zone"):
        ledger.balance(tx, "a", Unit.NANO_RHO, at)
    assert ledger.height(tx) == 0


@given(
    at=st.datetimes(
        min_value=dt.datetime(1971, 1, 1),  # noqa: DTZ001  # hypothesis adds the zone
        max_value=dt.datetime(8999, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-7))]),
    )
)
def test_moments_are_kept_exactly(at: dt.datetime) -> None:
    assert moment(microseconds(at)) == at


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 rho"),
        (1, "0.000000001 rho"),
        (12_500_000, "0.0125 rho"),
        (10_000_000_000, "10 rho"),
        (2**62, "4611686018.427387904 rho"),
    ],
)
def test_amounts_are_shown_exactly(amount: int, text: str) -> None:
    assert shown(amount, Unit.NANO_RHO) == text


def test_entries_are_listed_by_unit_within_an_account_only(
    tx: ledger.Transaction,
) -> None:
    with pytest.raises(ValueError, match="listed"):
        ledger.entries(tx, None, Unit.NANO_RHO)
    with pytest.raises(ValueError, match="listed"):
        ledger.entries(tx, most=0)
    assert ledger.entry(tx, str(uuid.UUID(int=0))) is None


def test_balance_of_an_account_that_nobody_used(tx: ledger.Transaction) -> None:
    window = Window(seconds=60, cap=5)
    held = ledger.balance(tx, "a", Unit.NANO_RHO, NOON, [window], lifetime_cap=9)
    assert (held.spent, held.reserved, held.used, held.left) == (0, 0, 0, 5)
    unlimited = ledger.balance(tx, "a", Unit.NANO_RHO, NOON)
    assert unlimited.left == ledger.LARGEST_TOTAL
    with pytest.raises(ValueError, match="printable"):
        ledger.balance(tx, "", Unit.NANO_RHO, NOON)


def test_a_database_without_ledger_says_so(tx: ledger.Transaction) -> None:
    tx.execute("DELETE FROM ledger_head", {})
    with pytest.raises(ConfigurationError, match="no ledger"):
        ledger.check_schema(tx)
