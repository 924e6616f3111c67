# SPDX-License-Identifier: Apache-2.0
"""Sources of every kind, opened by what the mapping and their names say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import duckdb

from accord.agent.machine.looking import may_be_file
from accord.agent.sources.csv_file import csv_fault, csv_scan, open_csv
from accord.agent.sources.form import SourceForm
from accord.agent.sources.parquet_file import (
    open_parquet,
    parquet_scan,
    with_columns,
)
from accord.agent.sources.table import Source, Table
from accord.agent.sources.workbook import ENDINGS, open_workbook
from accord.core.errors import SourceError


def open_file(
    path: Path, form: SourceForm, folder: Path, number: int
) -> Sequence[Source]:
    """Check a file and return what is to be read of it.

    Args:
        path: the file.
        form: what the mapping says of it.
        folder: private; gets a copy, if one is needed.
        number: tells the copies of several files apart.

    Raises:
        SourceError: SOURCE_ABSENT, SOURCE_EMPTY, SOURCE_ENCODING, SOURCE_FORMAT,
            SOURCE_LOCKED, SOURCE_MALFORMED, SOURCE_SHEET or SOURCE_UNREADABLE.
        PreconditionFailed: STORE_NOT_WRITABLE, a copy has no room.
    """
    if not may_be_file(path):
        raise SourceError("SOURCE_ABSENT", f"There is no file {path}.")
    kind = form.format or _kind_of(path)
    try:
        if kind == "parquet":
            path.open("rb").close()  # DuckDB does not say that it may not
            return [open_parquet(path)]
        if kind == "excel":
            return open_workbook(path, form)
        return [open_csv(path, form, folder / f"source-{number}.csv")]
    except PermissionError:
        raise SourceError(
            "SOURCE_UNREADABLE",
            f"{path} may not be read by this user. Give the user who runs the agent "
            "the right to read it and to enter the folders above it, or put a copy "
            "where that user may.",
        ) from None


def with_header(source: Source, connection: duckdb.DuckDBPyConnection) -> Source:
    """Return *source* with the header that only DuckDB can find."""
    if isinstance(source, Table) and source.kind == "parquet":
        return with_columns(source, connection)
    return source


def scan(table: Table, columns: Sequence[str]) -> tuple[str, list[str]]:
    """Return the FROM clause and the expressions of *columns*, both without values."""
    if table.kind == "parquet":
        return parquet_scan(table, columns)
    return csv_scan(table, columns)


def fault(table: Table, found: SourceError) -> SourceError:
    """Return the best explanation of why a table could not be read to its end."""
    return csv_fault(table) if table.kind == "csv" else found


def _kind_of(path: Path) -> Literal["csv", "excel", "parquet"]:
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        return "parquet"
    if name.endswith(ENDINGS):
        return "excel"
    if name.endswith((".csv", ".csv.gz", ".tsv", ".txt")):
        return "csv"
    raise SourceError(
        "SOURCE_FORMAT",
        f"{path.name} ends neither in .csv nor in .parquet, .xlsx, .xlsb, .xls or .ods;"
        " say in the mapping what it is, such as `source: {format: csv}`.",
    )
