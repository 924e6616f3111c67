# SPDX-License-Identifier: Apache-2.0
"""Texts in narrow columns: lines end where words do, and where parts of names do."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Final

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_PIECE: Final = re.compile(r"[^\s_,/(]+[\s_,/(]*|[\s_,/(]+")
"""What stays together: a word, or a part of a name such as ``exploitation_``."""

_UNBOUND: Final = 10_000
"""Columns of a terminal that has room for everything."""


@dataclasses.dataclass(frozen=True, slots=True)
class Folded:
    """A cell of a table whose lines end between pieces, wherever they fit."""

    text: str

    def __rich_measure__(
        self, console: Console, options: ConsoleOptions
    ) -> Measurement:
        """Return how narrow it can be without cutting a piece, and how wide it is."""
        lines = self.text.splitlines() or [""]
        pieces = [cell_len(piece.rstrip()) for line in lines for piece in _pieces(line)]
        widest = max(cell_len(line) for line in lines)
        return Measurement(max(pieces, default=0), widest).with_maximum(
            options.max_width
        )

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Yield it in as many lines as it takes."""
        lines = [
            folded
            for line in self.text.splitlines() or [""]
            for folded in fold(line, options.max_width)
        ]
        yield Text("\n".join(lines), justify=options.justify, no_wrap=True)


class Fitted:
    """A table whose folding columns stay as wide as their longest piece, if that fits.

    A table by itself makes its widest columns narrow, whatever is in them. Where room
    is short, the blanks beside the edges of columns go first.
    """

    def __init__(self, table: Table) -> None:
        """Take over a table whose folding columns have `Folded` headings."""
        self._table = table
        self._folding = [
            column for column in table.columns if isinstance(column.header, Folded)
        ]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Yield the table in the width that there is."""
        unbound = options.update_width(_UNBOUND)
        for column in self._folding:
            column.width = None
        ranges = [
            Measurement(
                max(each.minimum for each in measured),
                max(each.maximum for each in measured),
            )
            for measured in (
                [
                    Measurement.get(console, unbound, cell)
                    for cell in (column.header, *column.cells)
                ]
                for column in self._folding
            )
        ]
        widths = [each.maximum for each in ranges]
        others = Measurement.get(console, unbound, self._table).maximum - sum(widths)
        if sum(each.minimum for each in ranges) + others > options.max_width:
            self._table.padding = (0, 0, 0, 0)
            whole = Measurement.get(console, unbound, self._table).maximum
            others = whole - sum(widths)
        room = max(options.max_width - others, len(widths))
        for _ in range(sum(widths) - room):
            slack = [
                (width - each.minimum, width)
                for width, each in zip(widths, ranges, strict=True)
            ]
            place = slack.index(max(slack))
            if slack[place][0] <= 0:  # pieces are cut, of the widest first
                place = widths.index(max(widths))
            widths[place] -= 1
        for column, width in zip(self._folding, widths, strict=True):
            column.width = width
        yield self._table


def fold(line: str, width: int) -> Iterator[str]:
    """Yield a line in parts that fit; a piece is cut where it alone is too wide."""
    begun = ""
    for piece in _pieces(line):
        if begun and cell_len(begun) + cell_len(piece.rstrip()) > width:
            yield begun.rstrip()
            begun = ""
        if cell_len(piece.rstrip()) > width:
            *cut, piece = chop_cells(piece.rstrip(), width)  # noqa: PLW2901
            yield from cut
        begun += piece
    yield begun.rstrip()


def _pieces(line: str) -> list[str]:
    return _PIECE.findall(line)
