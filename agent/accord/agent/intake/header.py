# SPDX-License-Identifier: Apache-2.0
"""The columns that a mapping asks for, sought in the header of a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accord.core.document import DocumentError, Problem, problem_at
from accord.core.errors import suggestion

if TYPE_CHECKING:
    from accord.agent.intake.mapping import Mapping

_MOST_SHOWN = 30
"""Names that one sentence lists."""


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
    if uses and not any(name in header for name, _ in uses):
        # The first line may be a record: nothing of it is told.
        name, path = uses[0]
        sentence = (
            f"{table} has none of the mapping's columns, such as {name!r}. A CSV file "
            "must begin with the names of its columns."
        )
        raise DocumentError(mapping.source, [problem_at(mapping.text, path, sentence)])
    problems: list[Problem] = []
    for name, path in uses:
        times = header.count(name)
        if times == 1:
            continue
        if times:
            sentence = f"{table} has {times} columns {name!r}; a mapping needs one."
        else:
            hint = suggestion(name, header) or some_of(header)
            sentence = f"{table} has no column {name!r}.{hint}"
        problems.append(problem_at(mapping.text, path, sentence))
    if problems:
        raise DocumentError(mapping.source, problems)


def some_of(names: Sequence[str]) -> str:
    """Return a sentence that lists *names*, or the first of them."""
    shown = ", ".join(names[:_MOST_SHOWN])
    return f" It has: {shown}{', …' if len(names) > _MOST_SHOWN else ''}."
