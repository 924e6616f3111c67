# SPDX-License-Identifier: Apache-2.0
"""The ledger's operations, each in a transaction of its own, for its tests."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from accord import ledger
from accord.ledger import Line, Unit, Window
from tests.contract.ledger_stores import Store

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
RHO = Unit.NANO_RHO
AGREEMENT = "agreement/regional-trends"
AGENCY = "agency/shelter-north"


def new_id() -> str:
    return str(uuid.uuid4())


def line(
    amount: int,
    account: str = AGREEMENT,
    cap: int | None = 100,
    windows: Sequence[Window] = (),
    unit: Unit = RHO,
) -> Line:
    return Line(
        account=account,
        unit=unit,
        amount=amount,
        lifetime_cap=cap,
        windows=tuple(windows),
    )


def reserve(
    store: Store, *lines: Line, entry: str | None = None, at: dt.datetime = NOON
) -> str:
    """Reserve in a transaction of its own and return the id."""
    entry = entry or new_id()
    with store.transaction() as tx:
        ledger.reserve(tx, entry, lines, at)
    return entry


def charge(store: Store, entry: str, at: dt.datetime = NOON) -> ledger.Entry:
    with store.transaction() as tx:
        return ledger.charge(tx, entry, at)


def give_back(store: Store, entry: str, at: dt.datetime = NOON) -> ledger.Entry:
    with store.transaction() as tx:
        return ledger.give_back(tx, entry, at)


def balance(
    store: Store,
    account: str = AGREEMENT,
    *,
    at: dt.datetime = NOON,
    cap: int | None = 100,
    windows: Sequence[Window] = (),
) -> ledger.Balance:
    with store.transaction() as tx:
        return ledger.balance(tx, account, RHO, at, windows, lifetime_cap=cap)


def everything(store: Store) -> tuple[object, ...]:
    """Return all that the ledger holds, after checking that it agrees with itself."""
    with store.transaction() as tx:
        ledger.verify(tx)
        return tuple(
            tuple(map(tuple, tx.execute(f"SELECT * FROM {table}", {}).fetchall()))
            for table in (
                "ledger_head",
                "ledger_account",
                "ledger_entry",
                "ledger_line",
                "ledger_event",
            )
        )
