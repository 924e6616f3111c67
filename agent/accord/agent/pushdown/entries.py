# SPDX-License-Identifier: Apache-2.0
"""Which cells a case stands in, in SQL: the first step of every statement.

Filter and roll-up come first, as in `accord.agent.store.entries`: what the layout has
no cell for must not use up a person's groups.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from accord.agent.pushdown.dialect import Dialect, column, never, numbers
from accord.agent.pushdown.leaves import (
    any_bit,
    any_leaf,
    in_leaves,
    masks_by_place,
    place_of,
)
from accord.agent.pushdown.table import CodedTable
from accord.agent.store.entries import LeafFilter
from accord.core.errors import InternalError
from accord.core.layout import Axis, Layout

CASES: Final = "cases"
"""What the coded table is called in a statement."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Entries:
    """The first step while it is put together."""

    table: CodedTable
    dialect: Dialect
    sources: list[exp.Expr] = dataclasses.field(default_factory=list)
    tests: list[exp.Expr] = dataclasses.field(default_factory=list)
    parts: list[exp.Expr] = dataclasses.field(default_factory=list)
    """Of the cell number."""

    def single(self, dimension: str) -> exp.Column:
        """Return the code column of a dimension."""
        return column(self.table.require(dimension), CASES)

    def words(self, dimension: str, leaves: int) -> list[exp.Expr]:
        """Return the bitmask columns of a dimension."""
        return [column(name, CASES) for name in self.table.words(dimension, leaves)]

    def places(self, axis: Axis, name: str, stride: int, kind: str) -> exp.Expr | None:
        """Join the places of a bitmask; return where one stands, if there are any."""
        words = self.words(axis.dimension, len(axis.cell_of_leaf))
        found = masks_by_place(axis.cell_of_leaf, len(words))
        if not found:
            return None
        rows = [[place * stride, *masks] for place, masks in found.items()]
        table, names = numbers(rows, name, self.dialect)
        used = [
            (word, column(mask, name))
            for place, (word, mask) in enumerate(zip(words, names[1:], strict=True))
            if any(row[place + 1] for row in rows)
        ]
        join = exp.Join(
            this=table,
            side=kind or None,
            on=any_bit([word for word, _ in used], [mask for _, mask in used]),
        )
        self.sources.append(join)
        return column(names[0], name)


def put_cells(entries: Entries, layout: Layout, where: Sequence[LeafFilter]) -> None:
    """Filter cases and give them their cells."""
    wanted = {part.dimension: part.wanted for part in where}
    stride = layout.n_cells
    for place, axis in enumerate(layout.axes):
        stride //= len(axis.values)
        leaves = axis.cell_of_leaf
        if any(b < a for a, b in _neighbours(leaves)):
            raise InternalError("LAYOUT_INVALID", "A roll-up changes the order.")
        if entries.table.is_multi(axis.dimension):
            found = entries.places(axis, f"axis{place}", stride, "")
            if found is None:
                entries.tests.append(never())
            else:
                entries.parts.append(found)
            continue
        chosen = wanted.pop(axis.dimension, (True,) * len(leaves))
        places = [p if want else -1 for p, want in zip(leaves, chosen, strict=True)]
        code = entries.single(axis.dimension)
        entries.tests.append(in_leaves(code, [p >= 0 for p in places]))
        if len(axis.values) > 1:
            entries.parts.append(place_of(code, places, stride))
    for dimension, flags in wanted.items():
        if entries.table.is_multi(dimension):
            words = entries.words(dimension, len(flags))
            entries.tests.append(any_leaf(words, flags))
        else:
            entries.tests.append(in_leaves(entries.single(dimension), flags))


def _neighbours(places: Sequence[int]) -> list[tuple[int, int]]:
    kept = [place for place in places if place >= 0]
    return list(itertools.pairwise(kept))
