# SPDX-License-Identifier: Apache-2.0
"""A process that is killed while it uses the ledger (started by a test).

``python ledger_victim.py KIND DIRECTORY [STEP]``: does rounds of reserve, charge and
give-back on the ledger there, and writes a line to standard output after every step
that it knows to be committed. With a STEP it does one round only, and waits for its
end just before or after that step's commit, once it has written ``here``. A rebuild is
a round of its own. Where the KIND is PostgreSQL, a file ``url`` says where it is.
"""

from __future__ import annotations

import datetime as dt
import sys
import threading
import uuid
from pathlib import Path

import sqlalchemy as sa

from accord import ledger
from accord.ledger import Line, Unit
from tests.contract.ledger_stores import (
    MAKERS,
    CoreStore,
    StandardLibraryStore,
    Store,
    sqlite_engine,
)

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
LINES = (
    Line(account="agency/north", unit=Unit.NANO_RHO, amount=3),
    Line(account="agreement/trends", unit=Unit.NANO_RHO, amount=5),
)
NAMESPACE = uuid.UUID("7d444840-9dc0-11d1-b245-5ffdce74fad2")


def entry_of(number: int) -> str:
    """Return the id of a round; the same in the victim and in the test."""
    return str(uuid.uuid5(NAMESPACE, str(number)))


def settlement_of(number: int) -> str:
    """Every third round is given back."""
    return "give back" if number % 3 == 0 else "charge"


def opened(kind: str, directory: Path) -> Store:
    """Open the ledger as the test left it."""
    path = directory / "ledger.db"
    if kind == "postgresql":
        return CoreStore(sa.create_engine((directory / "url").read_text()))
    if kind == "sqlite3":
        return StandardLibraryStore(path)
    assert kind in MAKERS
    return CoreStore(sqlite_engine(path))


def step(store: Store, number: int, name: str, stop: str = "") -> None:
    """Do one step in one transaction and say so once it is committed."""
    entry = entry_of(number)
    with store.transaction() as tx:
        if name == "reserve":
            ledger.reserve(tx, entry, LINES, NOON)
        elif name == "charge":
            ledger.charge(tx, entry, NOON)
        elif name == "rebuild":
            ledger.rebuild(tx, entry, [line.posting for line in LINES], NOON)
        else:
            ledger.give_back(tx, entry, NOON)
        if stop == f"before {name}":
            wait_for_the_end()
    if stop == f"after {name}":
        wait_for_the_end()
    print(number, name, flush=True)  # noqa: T201  # the test reads it


def wait_for_the_end() -> None:
    print("here", flush=True)  # noqa: T201  # the test reads it
    threading.Event().wait(60)


def main() -> None:
    kind, directory, *stop = sys.argv[1:]
    store = opened(kind, Path(directory))
    if stop:
        (name,) = stop
        if name.endswith("rebuild"):
            step(store, 1, "rebuild", name)
            return
        step(store, 1, "reserve", name)
        settlement = "charge" if name.endswith("charge") else "give back"
        step(store, 1, settlement, name)
        return
    number = 0
    while True:
        step(store, number, "reserve")
        step(store, number, settlement_of(number))
        number += 1


if __name__ == "__main__":
    main()
