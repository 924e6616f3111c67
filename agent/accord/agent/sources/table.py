# SPDX-License-Identifier: Apache-2.0
"""The two forms of a source that is open: a file for DuckDB, or rows that come by."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

Batch: TypeAlias = list[list[str]]
"""Some rows, as a list of texts for each column."""

BATCH_ROWS = 1 << 14
"""Rows that a stream should put into a batch."""

UNREADABLE = "\0"
"""Stands for a value that cannot be read, such as a formula's error.

No text has a NUL; a row with one in a column of the mapping is left out and counted.
"""

_MOST_SHOWN = 30
"""Names that one sentence lists."""


def _as_counted(row: int) -> int:
    return row


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file that DuckDB scans itself, from the first row to the last."""

    name: str
    """The file's own name, for messages."""
    path: Path
    """What is read: the file itself, or its UTF-8 copy."""
    kind: Literal["csv", "parquet"]
    header: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    """Parquet: DuckDB's name of each column's type."""
    separator: str = ","
    above: int = 0
    """Lines of the file above the header, which are not in what is read."""

    def counted(self, row: int) -> int:
        """Return the number of a row as its owner sees it: from 1 below the header."""
        return row


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A source whose rows are fetched here, a batch at a time."""

    name: str
    """What people call it, for messages."""
    header: tuple[str, ...]
    rows: Callable[[Sequence[str]], Iterator[Batch]]
    """Yields the named columns, in that order; what is empty is the empty text."""
    counted: Callable[[int], int] = _as_counted
    """Turns the number of a row, from 1, into the one that its owner sees."""
    rows_of: (
        Callable[
            [Sequence[str], Sequence[str], Sequence[Sequence[str]]],
            Iterator[Batch] | None,
        ]
        | None
    ) = None
    """Yields named columns of the rows of some cases, told apart by other columns.

    Where it returns nothing all rows have to be read.
    """


Source: TypeAlias = Table | Stream


def shown(name: str) -> str:
    """Return a name from a file as it may be shown: it could steer a terminal."""
    return "".join(each if each.isprintable() else "\ufffd" for each in name)


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Return a header in which columns of one name are numbered: ``name (2)``.

    Line breaks and several blanks in a name are one blank.
    """
    stripped = [" ".join(name.split()) for name in names]
    several = {name for name, times in Counter(stripped).items() if times > 1 and name}
    seen: Counter[str] = Counter()
    found: list[str] = []
    for name in stripped:
        seen[name] += 1
        found.append(f"{name} ({seen[name]})" if name in several else name)
    return tuple(found)


def some_of(names: Sequence[str]) -> str:
    """Return a sentence that lists *names*, or the first of them."""
    listed = ", ".join(map(shown, names[:_MOST_SHOWN]))
    return f" It has: {listed}{', …' if len(names) > _MOST_SHOWN else ''}."
