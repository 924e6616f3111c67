# SPDX-License-Identifier: Apache-2.0
"""Many rows in one parameter, for SQLite and PostgreSQL.

A statement says ``<lines>`` where it reads a table that comes with it, as a JSON list
of lists. Each database has its own words for that; all else is the same text for both.
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


def as_parameter(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as the value of the parameter that is named like their kind."""
    return json.dumps(rows)


@functools.cache
def with_rows(sql: str, *, postgresql: bool) -> str:
    """Return a statement that reads each ``<kind>`` from the parameter ``:kind``."""
    for kind, columns in _COLUMNS.items():
        if postgresql:
            given = f"jsonb_array_elements(CAST(:{kind} AS JSONB)) AS t (value)"
            values = (
                f"CAST(value ->> {at} AS {of})"
                for at, of in enumerate(columns.values())
            )
        else:
            given = f"json_each(:{kind})"
            values = (f"json_extract(value, '$[{at}]')" for at in range(len(columns)))
        chosen = ", ".join(
            f"{value} AS {name}" for value, name in zip(values, columns, strict=True)
        )
        source = f"(SELECT {chosen} FROM {given}) AS r"  # noqa: S608  # our own words
        sql = sql.replace(f"<{kind}>", source)
    return sql
