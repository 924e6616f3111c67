# SPDX-License-Identifier: Apache-2.0
"""The ledger's tables, the same text for SQLite and PostgreSQL.

``ledger_event`` is the history: rows are added and never changed. ``ledger_line``
keeps its amounts for ever too; its column ``returned``, the states in ``ledger_entry``
and the totals in ``ledger_account`` follow from the history and are kept in the same
transaction. Moments are microseconds since 1970, UTC.

The shape of ``ledger_head`` is a promise to all later versions, since every program
reads the number of the format there before anything else.
"""

from __future__ import annotations

from typing import Final

from accord.core.errors import ConfigurationError
from accord.ledger.transaction import Transaction, require_open

FORMAT: Final = 1
"""Number of the table layout that this program reads and writes."""

_HEAD: Final = """
CREATE TABLE IF NOT EXISTS ledger_head (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    format INTEGER NOT NULL,
    height BIGINT NOT NULL CHECK (height >= 0),
    clock BIGINT NOT NULL
)
"""

SCHEMA: Final[tuple[str, ...]] = (
    _HEAD,
    """
CREATE TABLE ledger_account (
    name TEXT NOT NULL,
    unit TEXT NOT NULL CHECK (unit IN ('nano-rho', 'nano-epsilon')),
    used BIGINT NOT NULL CHECK (0 <= used AND used <= 4611686018427387904),
    reserved BIGINT NOT NULL CHECK (0 <= reserved AND reserved <= used),
    PRIMARY KEY (name, unit)
)
""",
    """
CREATE TABLE ledger_entry (
    id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'charged', 'returned'))
)
""",
    """
CREATE TABLE ledger_line (
    entry TEXT NOT NULL REFERENCES ledger_entry (id),
    account TEXT NOT NULL,
    unit TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    at BIGINT NOT NULL,
    returned INTEGER NOT NULL CHECK (returned IN (0, 1)),
    PRIMARY KEY (entry, account, unit),
    FOREIGN KEY (account, unit) REFERENCES ledger_account (name, unit)
)
""",
    """
CREATE TABLE ledger_event (
    height BIGINT NOT NULL PRIMARY KEY CHECK (height > 0),
    at BIGINT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('reserve', 'charge', 'give back')),
    entry TEXT NOT NULL REFERENCES ledger_entry (id),
    UNIQUE (entry, kind)
)
""",
    """
CREATE INDEX ledger_line_window
    ON ledger_line (account, unit, returned, at, amount)
""",
    """
INSERT INTO ledger_head (one, format, height, clock) VALUES (1, 1, 0, 0)
""",
)
"""Statements that make an empty ledger, in order, for a migration tool to run."""


def create_schema(tx: Transaction) -> None:
    """Make an empty ledger unless there is one.

    Two programs that do this at the same moment on an empty PostgreSQL database can
    collide, and one of them gets the server's error; then it starts again.

    Raises:
        ConfigurationError: there is one, of another format.
        InternalError: no transaction is open.
    """
    require_open(tx)
    tx.execute(_HEAD, {})
    if _format(tx) is None:
        for statement in SCHEMA[1:]:
            tx.execute(statement, {})
    check_schema(tx)


def check_schema(tx: Transaction) -> None:
    """Refuse to touch a ledger of another format.

    Raises:
        ConfigurationError: reason ``LEDGER_FORMAT``.
    """
    found = _format(tx)
    if found == FORMAT:
        return
    if found is None:
        sentence = "This database holds no ledger yet: run `init` for it first."
    elif found > FORMAT:
        sentence = (
            f"The ledger in this database has format {found}, and this version of"
            f" Accord knows format {FORMAT} only: install the newer version that wrote"
            " it. Nothing was changed."
        )
    else:
        sentence = (
            f"The ledger in this database has format {found}, and this version of"
            f" Accord needs format {FORMAT}: migrate the database first, which carries"
            " all spent budget over. Nothing was changed."
        )
    raise ConfigurationError(
        "LEDGER_FORMAT", sentence, found=str(found or 0), expected=str(FORMAT)
    )


def _format(tx: Transaction) -> int | None:
    rows = tx.execute("SELECT format FROM ledger_head", {}).fetchall()
    return int(rows[0][0]) if rows else None
