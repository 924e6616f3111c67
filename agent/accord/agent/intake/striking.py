# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608
"""Rows that are struck before anything is made of them: broken ones, and totals.

They are counted as rows that were left out, with the numbers of the first ones.
Statements are put together from numbers of our own; values are parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from accord.agent.intake.codes import Reason
from accord.agent.intake.filling import BLANKS, places
from accord.agent.intake.mapping import Mapping
from accord.agent.intake.report import FIRST_ROWS, Report
from accord.agent.sources.table import UNREADABLE, Source, Table

Condition = tuple[Reason, str, list[str]]


def strike(
    connection: duckdb.DuckDBPyConnection,
    mapping: Mapping,
    sources: Sequence[Source],
    report: Report,
) -> None:
    """Take such rows out of ``raw`` and note them."""
    for reason, condition, values in _conditions(mapping, sources):
        count = connection.execute(
            f"SELECT count(*) FROM raw WHERE {condition}", values
        ).fetchall()
        rows = int(count[0][0])
        if not rows:
            continue
        first = connection.execute(
            f"SELECT file, row FROM raw WHERE {condition} ORDER BY file, row "
            f"LIMIT {FIRST_ROWS}",
            values,
        ).fetchall()
        connection.execute(f"DELETE FROM raw WHERE {condition}", values)
        report.note("", reason, rows, [(int(file), int(row)) for file, row in first])
        report.refused += rows


def _conditions(mapping: Mapping, sources: Sequence[Source]) -> Iterator[Condition]:
    for column, texts in mapping.form.source.totals.items():
        (place,) = places(mapping, [column])
        listed = ", ".join("?" for _ in texts)
        yield (
            Reason.TOTAL_LINE,
            f"lower(trim({place}, ?)) IN ({listed})",
            [BLANKS, *(text.strip().lower() for text in texts)],
        )
    # A CSV file with a NUL is refused when it is decoded.
    checked = all(isinstance(each, Table) and each.kind == "csv" for each in sources)
    names = places(mapping, mapping.columns)
    if names and not checked:
        condition = " OR ".join(f"contains({name}, ?)" for name in names)
        yield Reason.UNREADABLE, condition, [UNREADABLE] * len(names)
