# SPDX-License-Identifier: Apache-2.0
"""From the rows of the store to entries: which cells of a layout a case stands in.

An entry is a pair (row, cell). Rows that the filter refuses, and values that the
layout has no cell for, are gone before anybody bounds: they must not use up a
person's groups. So are cases whose consent has ended: they stay in their rows until
the store is written anew, and count in nothing, in the time that any row takes.
Entries come in row order and, within a row, in ascending cell order without
repetition; single-valued dimensions give one entry per row, a multi-valued one as
many as the case has values on the level of the layout.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from accord.agent.store.columns import LEAVES_PER_WORD, Column, Columns
from accord.agent.store.leaving import CONSENT_UNTIL, day_code, has_ends
from accord.core.errors import IntegrityError, InternalError
from accord.core.layout import MOST_CELLS, Axis, Layout, wanted_leaves
from accord.core.model import DataModel
from accord.core.query import Query

Rows = npt.NDArray[np.intp]
Cells = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LeafFilter:
    """One filtered dimension: a case stays if one of its leaves is wanted."""

    dimension: str
    wanted: tuple[bool, ...]
    """For every leaf code of the dimension."""


def leaf_filters(query: Query, model: DataModel) -> tuple[LeafFilter, ...]:
    """Return what counts for *query* as tables over leaf codes."""
    return tuple(
        LeafFilter(
            dimension=name,
            wanted=tuple(
                code in leaves for code in range(len(model.dimension(name).leaves))
            ),
        )
        for name, leaves in sorted(wanted_leaves(query, model).items())
    )


class Entries(NamedTuple):
    """Pairs of row and cell."""

    row: Rows | None
    """Row of each entry, counted from the first row asked for; none: each row once."""
    cell: Cells


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EntryReader:
    """Reads entries of any run of rows; prepared once per query."""

    _singles: tuple[tuple[Column, Cells], ...]
    """Code column and, per leaf, its share of the cell number (negative: no cell)."""
    _partial: bool
    """Whether some leaf of a single-valued axis has no cell."""
    _multis: tuple[tuple[tuple[Column, ...], Cells], ...]
    _single_filters: tuple[tuple[Column, Flags], ...]
    _multi_filters: tuple[
        tuple[tuple[Column, ...], tuple[np.unsignedinteger[Any], ...]], ...
    ]
    _ends: tuple[tuple[Column, int], ...] = ()
    """Last day of each case's consent, and the first day that still counts."""

    @classmethod
    def prepare(
        cls,
        columns: Columns,
        layout: Layout,
        where: Sequence[LeafFilter],
        today: datetime.date | None = None,
    ) -> Self:
        """Look up the columns of *layout* and *where* and build their tables.

        Args:
            columns: the store.
            layout: of the answer.
            where: what counts.
            today: cases whose consent has ended by then do not; none: all do.

        Raises:
            PreconditionFailed: STORE_COLUMN, the store lacks a dimension.
            IntegrityError: STORE_BROKEN, a bitmask has not the words of its dimension.
        """
        if layout.n_cells > MOST_CELLS:
            raise InternalError("LAYOUT_INVALID", "The layout has too many cells.")
        wanted = {part.dimension: np.array(part.wanted, np.bool_) for part in where}
        singles: list[tuple[Column, Cells]] = []
        multis: list[tuple[tuple[Column, ...], Cells]] = []
        grouped: set[str] = set()
        stride = layout.n_cells
        for axis in layout.axes:
            stride //= len(axis.values)
            place = np.array(axis.cell_of_leaf, np.int32)
            if (np.diff(place[place >= 0]) < 0).any():
                raise InternalError("LAYOUT_INVALID", "A roll-up changes the order.")
            if columns.is_multi(axis.dimension):
                table = np.where(place < 0, np.int32(-1), place * np.int32(stride))
                multis.append((_words(columns, axis.dimension, len(place)), table))
                continue
            if axis.dimension in wanted:
                place[~wanted[axis.dimension]] = -1
                grouped.add(axis.dimension)
            # So far below zero that no other axis can lift a sum to a cell number.
            table = np.where(
                place < 0, np.int32(-layout.n_cells), place * np.int32(stride)
            )
            singles.append((columns.array(axis.dimension), table))
        rest = {name: flags for name, flags in wanted.items() if name not in grouped}
        masked = {
            name: _words(columns, name, len(flags))
            for name, flags in rest.items()
            if columns.is_multi(name)
        }
        return cls(
            _singles=tuple(singles),
            _partial=any(bool((table < 0).any()) for _, table in singles),
            _multis=tuple(multis),
            _single_filters=tuple(
                (columns.array(name), flags)
                for name, flags in rest.items()
                if name not in masked
            ),
            _multi_filters=tuple(
                (words, _masks(words, rest[name])) for name, words in masked.items()
            ),
            _ends=()
            if today is None or not has_ends(columns)
            else ((columns.array(CONSENT_UNTIL), day_code(today)),),
        )

    def sizes(self, start: int, stop: int) -> Rows | None:
        """Return for every row an upper bound of its entries; none: all have one."""
        product: Rows | None = None
        for words, _ in self._multis:
            counts = _bit_counts([word[start:stop] for word in words])
            product = counts if product is None else product * counts
        return product

    def read(self, start: int, stop: int, among: Flags | None = None) -> Entries:
        """Return the entries of the rows from *start* to *stop*.

        Args:
            start: first row.
            stop: row behind the last.
            among: where given, rows that are not flagged are left out.
        """
        cell = np.zeros(stop - start, np.int32)
        for number, (codes, table) in enumerate(self._singles):
            part = table.take(codes[start:stop])
            cell = part if number == 0 else np.add(cell, part, out=cell)
        tests = itertools.chain(
            () if among is None else (among,),
            (cell >= 0,) if self._partial else (),
            (flags.take(codes[start:stop]) for codes, flags in self._single_filters),
            (
                _any_bit([word[start:stop] for word in words], masks)
                for words, masks in self._multi_filters
            ),
            (until[start:stop] >= day for until, day in self._ends),
        )
        keep: Flags | None = None
        for test in tests:
            keep = test if keep is None else keep & test
        row: Rows | None = None
        if keep is not None and not keep.all():
            row = np.flatnonzero(keep)
            cell = cell.take(row)
        for words, table in self._multis:
            bits = [word[start:stop] for word in words]
            if row is not None:
                bits = [word.take(row) for word in bits]
            counts, shares = _spread(bits, table)
            row = np.repeat(np.arange(len(cell)) if row is None else row, counts)
            cell = np.repeat(cell, counts) + shares
        return Entries(row, cell)


class Leaves(NamedTuple):
    """What cases say on one dimension."""

    counts: Rows
    """How many values every case has."""
    place: Rows
    """Those of all cases, one after another; ascending within a case."""
    informed: Flags
    """Whether a case says something, if only that there is none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LeafReader:
    """Reads the values of one dimension; prepared once per query."""

    _words: tuple[Column, ...]
    """Bitmask, or nothing where the dimension is single-valued."""
    _codes: Column | None
    _table: Cells
    """Leaf -> place of its value; -1 says nothing, -2 that there is none."""

    @classmethod
    def prepare(cls, columns: Columns, shown: Axis) -> Self:
        """Look up the columns of *shown*.

        Raises:
            PreconditionFailed: STORE_COLUMN, the store lacks the dimension.
            IntegrityError: STORE_BROKEN, a bitmask has not the words of its dimension.
        """
        table = np.array(shown.cell_of_leaf, np.int32)
        if columns.is_multi(shown.dimension):
            words = _words(columns, shown.dimension, len(table))
            return cls(_words=words, _codes=None, _table=table)
        return cls(_words=(), _codes=columns.array(shown.dimension), _table=table)

    def sizes(self, start: int, stop: int) -> Rows | None:
        """Return for every row an upper bound of its values; none: at most one."""
        if not self._words:
            return None
        counts = _bit_counts([word[start:stop] for word in self._words])
        return np.maximum(counts, 1)

    def read(self, start: int, stop: int, row: Rows) -> Leaves:
        """Return what the cases in *row*, counted from *start*, say."""
        if self._codes is not None:
            place = self._table.take(self._codes[start:stop].take(row))
            has = place >= 0
            return Leaves(
                has.astype(np.intp), place.compress(has).astype(np.intp), place != -1
            )
        bits = [word[start:stop].take(row) for word in self._words]
        counts, place = _spread(bits, self._table)
        informed = _any_bit(bits, _masks(self._words, self._table != -1))
        return Leaves(counts, place.astype(np.intp), informed)


def _words(columns: Columns, dimension: str, n_leaves: int) -> tuple[Column, ...]:
    words = columns.words(dimension)
    if len(words) != -(-n_leaves // LEAVES_PER_WORD):
        raise IntegrityError(
            "STORE_BROKEN",
            f"The store's bitmask of {dimension!r} is not that of its data model. Run "
            "`accord-agent ingest` again.",
            column=dimension,
        )
    return words


def _masks(
    words: Sequence[Column], wanted: Flags
) -> tuple[np.unsignedinteger[Any], ...]:
    """Return for every word the bits of its wanted leaves."""
    masks = []
    for index, word in enumerate(words):
        first = index * LEAVES_PER_WORD
        flags = wanted[first : first + LEAVES_PER_WORD]
        mask = sum(1 << int(bit) for bit in np.flatnonzero(flags))
        masks.append(word.dtype.type(mask & int(np.iinfo(word.dtype).max)))
    return tuple(masks)


def _any_bit(
    words: Sequence[Column], masks: Sequence[np.unsignedinteger[Any]]
) -> Flags:
    hit: Flags = (words[0] & masks[0]) != 0
    for word, mask in zip(words[1:], masks[1:], strict=True):
        hit |= (word & mask) != 0
    return hit


def _bit_counts(words: Sequence[Column]) -> Rows:
    counts = np.bitwise_count(words[0]).astype(np.intp)
    for word in words[1:]:
        counts += np.bitwise_count(word)
    return counts


def _spread(words: Sequence[Column], table: Cells) -> tuple[Rows, Cells]:
    """Return how many cells each mask has on this axis, and all of them in order.

    Takes the lowest set bit of all masks at once until none is left; the place of a
    leaf in the result follows from the bit counts, so nothing is sorted.
    """
    counts = _bit_counts(words)
    place = np.cumsum(counts) - counts
    leaves = np.empty(int(counts.sum()), np.intp)
    for index, word in enumerate(words):
        live = np.flatnonzero(word)
        bits, at = word.take(live), place.take(live)
        while bits.size:
            rest = bits & (bits - bits.dtype.type(1))
            lowest = (bits ^ rest) - bits.dtype.type(1)
            leaves[at] = np.bitwise_count(lowest) + np.intp(index * LEAVES_PER_WORD)
            live = np.flatnonzero(rest)
            bits, at = rest.take(live), at.take(live) + 1
        place += np.bitwise_count(word)
    shares = table.take(leaves)
    owner = np.repeat(np.arange(len(counts)), counts)
    inside = shares >= 0
    if not inside.all():
        shares, owner = shares.compress(inside), owner.compress(inside)
    # The roll-up never decreases, so leaves of one cell are neighbours.
    first = np.ones(len(shares), np.bool_)
    first[1:] = (shares[1:] != shares[:-1]) | (owner[1:] != owner[:-1])
    if not first.all():
        shares, owner = shares.compress(first), owner.compress(first)
    if len(owner) != len(leaves):
        counts = np.bincount(owner, minlength=len(counts))
    return counts, shares
