# SPDX-License-Identifier: Apache-2.0
"""The columns that a mapping asks for, sought in the header of a source."""

from __future__ import annotations

from collections.abc import Sequence

from accord.agent.intake.mapping import Mapping
from accord.agent.sources.table import some_of
from accord.core.document import DocumentError, Problem, problem_at
from accord.core.errors import suggestion


def check_header(mapping: Mapping, header: Sequence[str], table: str) -> None:
    """Refuse a source that lacks a column of the mapping.

    Args:
        mapping: what the columns are for.
        header: names of the source's columns.
        table: name of the source, for messages.

    Raises:
        DocumentError: one problem for each column that is missing or stands twice.
    """
    uses = list(mapping.uses())
    known = {name.casefold() for name in header}
    if uses and not any(name.casefold() in known for name, _ in uses):
        # The first line may be a record: nothing of it is told.
        name, path = uses[0]
        sentence = (
            f"{table} has none of the mapping's columns, such as {name!r}. A source "
            "begins with the names of its columns; if they stand further down, say "
            "where: `source: {header_row: 3}`."
        )
        raise DocumentError(mapping.source, [problem_at(mapping.text, path, sentence)])
    problems: list[Problem] = []
    for name, path in uses:
        if header.count(name) == 1:
            continue
        apart = [each for each in header if _numbered(each, name)]
        if apart:
            sentence = (
                f"{table} has {len(apart)} columns {name!r}; a mapping needs one. In "
                f"their order they are called {', '.join(map(repr, apart))} here."
            )
        else:
            hint = suggestion(name, header) or some_of(header)
            sentence = f"{table} has no column {name!r}.{hint}"
        problems.append(problem_at(mapping.text, path, sentence))
    if problems:
        raise DocumentError(mapping.source, problems)


def _numbered(column: str, name: str) -> bool:
    """Return whether *column* is one of several called *name*."""
    number = column.removeprefix(f"{name} (").removesuffix(")")
    return number.isdecimal() and column == f"{name} ({number})"
