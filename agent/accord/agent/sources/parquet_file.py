# SPDX-License-Identifier: Apache-2.0
"""Parquet files, which carry their header and their types themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import duckdb

from accord.agent.intake.sandbox import literal, reading
from accord.agent.sources.table import Table, shown
from accord.core.errors import SourceError

_NESTED = ("STRUCT", "MAP", "UNION", "BLOB", "BIT", "VARIANT", "GEOMETRY")


_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_EXACT = 10**15
"""Whole numbers below have all their digits in a float."""


def open_parquet(path: Path) -> Table:
    """Return a Parquet file; `with_columns` finds its header, in the sandbox."""
    return Table(name=shown(path.name), path=path.resolve(), kind="parquet", header=())


def with_columns(table: Table, connection: duckdb.DuckDBPyConnection) -> Table:
    """Return *table* with the names and types of its columns.

    Raises:
        SourceError: SOURCE_UNREADABLE.
    """
    with reading(table.name):
        rows = connection.execute(
            "DESCRIBE SELECT * FROM read_parquet(?)", [literal(table.path)]
        ).fetchall()
    return dataclasses.replace(
        table,
        header=tuple(str(row[0]) for row in rows),
        kinds=tuple(str(row[1]) for row in rows),
    )


def parquet_scan(table: Table, columns: Sequence[str]) -> tuple[str, list[str]]:
    """Return the FROM clause and the expressions of *columns*, quoted as names.

    Raises:
        SourceError: SOURCE_MALFORMED, a column holds no simple values.
    """
    kinds = dict(zip(table.header, table.kinds, strict=True))
    expressions = [_text(table, name, kinds[name]) for name in columns]
    return "read_parquet($path)", expressions


def _text(table: Table, name: str, kind: str) -> str:
    """Return the expression of a column as text."""
    if kind.endswith("]") or kind.startswith(_NESTED):
        raise SourceError(
            "SOURCE_MALFORMED",
            f"{table.name}: the column {name!r} holds lists, structures or bytes, and "
            "a mapping reads single texts, numbers and dates. Write it as text, with a "
            "separator between several values.",
            column=name,
        )
    column = '"' + name.replace('"', '""') + '"'
    text = f"CAST({column} AS VARCHAR)"
    if kind not in _FLOATS:
        return text
    # Programs that know no absent whole numbers write floats instead.
    return (
        f"CASE WHEN isnan({column}) THEN '' WHEN abs({column}) < {_EXACT} AND "
        f"trunc({column}) = {column} THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) "
        f"ELSE {text} END"
    )
