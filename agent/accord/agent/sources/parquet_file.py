# SPDX-License-Identifier: Apache-2.0
"""Parquet files, which carry their header and their types themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from accord.agent.intake.sandbox import reading
from accord.agent.sources.table import Table


def open_parquet(path: Path) -> Table:
    """Return a Parquet file; `parquet_header` finds its header, in the sandbox."""
    return Table(name=path.name, path=path.resolve(), kind="parquet", header=())


def parquet_header(
    table: Table, connection: duckdb.DuckDBPyConnection
) -> tuple[str, ...]:
    """Return the names of the file's columns.

    Raises:
        SourceError: SOURCE_UNREADABLE.
    """
    with reading(table.name):
        rows = connection.execute(
            "DESCRIBE SELECT * FROM read_parquet(?)", [str(table.path)]
        ).fetchall()
    return tuple(str(row[0]) for row in rows)


def parquet_scan(columns: Sequence[str]) -> tuple[str, list[str]]:
    """Return the FROM clause and the expressions of *columns*, quoted as names."""
    names = ['"' + name.replace('"', '""') + '"' for name in columns]
    return "read_parquet($path)", [f"CAST({name} AS VARCHAR)" for name in names]
