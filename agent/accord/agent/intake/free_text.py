# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""Columns in which people write freely, though a mapping takes them for codes.

Their texts are counted and measured within the sandbox; none of them is fetched.
Statements are put together from numbers of our own.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from accord.agent.intake.filling import places
from accord.agent.intake.mapping import Mapping

LEAST_TEXTS = 20
"""Distinct texts below which nobody can tell."""

LEAST_LENGTH = 20
"""Mean length of free texts, in characters."""

_NEARLY_ALL = 0.8


def free_texts(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> list[str]:
    """Return the columns of codes in ``raw`` that look like free text."""
    return [
        column
        for column in dict.fromkeys(_of_codes(mapping))
        if _is_free(connection, places(mapping, [column])[0])
    ]


def _of_codes(mapping: Mapping) -> Iterator[str]:
    for entry in mapping.form.dimensions.values():
        if entry.date is None and not entry.separator:
            yield from [entry.column] if entry.column is not None else []
            yield from entry.columns or ()


def _is_free(connection: duckdb.DuckDBPyConnection, place: str) -> bool:
    table = f"d{place.removeprefix('s')}"
    texts, length, blanks = connection.execute(
        "SELECT count(*), coalesce(avg(length(text)), 0), "
        f"coalesce(avg(contains(trim(text), ' ')::INTEGER), 0) FROM {table} "
        "WHERE trim(text) <> ''"
    ).fetchall()[0]
    if texts < LEAST_TEXTS or length < LEAST_LENGTH or blanks < _NEARLY_ALL:
        return False
    rows = connection.execute(
        f"SELECT count(*) FROM raw WHERE trim({place}) <> ''"
    ).fetchall()
    return bool(texts >= _NEARLY_ALL * int(rows[0][0]))
