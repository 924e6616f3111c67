# SPDX-License-Identifier: Apache-2.0
"""The two forms of a source that is open: a file for DuckDB, or rows that come by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

Batch: TypeAlias = list[list[str]]
"""Some rows, as a list of texts for each column."""

BATCH_ROWS = 1 << 14
"""Rows that a stream should put into a batch."""


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
    separator: str = ","


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


Source: TypeAlias = Table | Stream
