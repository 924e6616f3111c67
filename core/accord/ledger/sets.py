# SPDX-License-Identifier: Apache-2.0
"""Many rows in one parameter, for SQLite and PostgreSQL.

A statement says ``<lines>`` where it reads a table that comes with it as JSON; each
database has its own words for that, and everything else is the same text for both.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from accord.ledger.transaction import Transaction

_COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "ids": {"id": "TEXT"},
    "events": {"height": "BIGINT", "id": "TEXT"},
    "places": {"account": "TEXT", "unit": "TEXT", "since": "BIGINT"},
    "accounts": {
        "account": "TEXT",
        "unit": "TEXT",
        "amount": "BIGINT",
        "cap": "BIGINT",
        "opened": "INTEGER",
    },
    "lines": {"entry": "TEXT", "account": "TEXT", "unit": "TEXT", "amount": "BIGINT"},
}
"""What rows of each kind consist of."""


def is_postgresql(tx: Transaction) -> bool:
    """Tell which of both databases this is.

    An adapter may say so with an attribute ``dialect``, which spares the question.
    """
    told = getattr(tx, "dialect", None)
    if told is not None:
        return bool(told == "postgresql")
    # Only SQLite keeps a text and a number apart here.
    return bool(tx.execute("SELECT '1' = 1", {}).fetchall()[0][0])


def as_parameter(kind: str, rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as the value of the parameter that is named like their kind."""
    names = tuple(_COLUMNS[kind])
    return json.dumps(
        [dict(zip(names, row, strict=True)) for row in rows], ensure_ascii=False
    )


@functools.cache
def with_rows(sql: str, *, postgresql: bool) -> str:
    """Return a statement that reads each ``<kind>`` from the parameter ``:kind``."""
    for kind, columns in _COLUMNS.items():
        if postgresql:
            names = ", ".join(f"{name} {of}" for name, of in columns.items())
            source = f"jsonb_to_recordset(CAST(:{kind} AS JSONB)) AS r ({names})"
        else:
            names = ", ".join(
                f"json_extract(value, '$.{name}') AS {name}" for name in columns
            )
            source = f"(SELECT {names} FROM json_each(:{kind})) AS r"  # noqa: S608  # names are ours
        sql = sql.replace(f"<{kind}>", source)
    return sql
