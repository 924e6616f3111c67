# SPDX-License-Identifier: Apache-2.0
"""What units add to the slots of their cells, for all but plain counts.

The groups of a unit rank as `accord.agent.store.bound` says. Into each kept one goes

* `sum`, `mean`, `quantile`: its first Linf cases there by order key, each with its
  number within the public bounds, or as ``unknown``;
* `share`: 1 to ``informed`` if one of its cases there says something on the dimension,
  and 1 to each of at most V of its values, by order key and then by place; else 1 to
  ``unknown``;
* `values`: 1 to the number of its distinct values, at most V; else 1 to ``unknown``;
* weighed `persons`: floor(U sqrt(L0 / m)) to every one of its m groups.

Everything is summed as whole numbers and clamped before it is scaled, so that the
clamp is public and moves no unit by more than what it adds.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from accord.agent.store.columns import Columns
from accord.agent.store.entries import (
    Cells,
    EntryReader,
    Flags,
    LeafReader,
    Rows,
)
from accord.agent.store.units import Keys, Numbers, Ranked, Walk, places, ranked
from accord.core.layout import Layout
from accord.core.measure import LARGEST_ENTRY, Bounding, ComponentVector
from accord.core.model import NOT_RECORDED
from accord.core.query import Kind


@dataclasses.dataclass(slots=True, kw_only=True)
class SlotTally:
    """Whole numbers that grow chunk by chunk."""

    columns: Columns
    layout: Layout
    vector: ComponentVector
    reader: EntryReader
    leaves: LeafReader | None
    """Reads the dimension of `share` and `values`."""
    walk: Walk
    added: Numbers
    """One number for every entry of the cells."""
    persons: int = 0
    dropped: int = 0

    @classmethod
    def prepare(
        cls,
        columns: Columns,
        layout: Layout,
        reader: EntryReader,
        vector: ComponentVector,
        limit: int,
    ) -> SlotTally:
        """Look up all columns.

        Raises:
            PreconditionFailed: STORE_COLUMN, the store lacks one.
            IntegrityError: STORE_BROKEN, a bitmask has not the words of its dimension.
        """
        leaves = None
        if layout.shown is not None:
            leaves = LeafReader.prepare(columns, layout.shown)
        if layout.numbers is not None:
            columns.array(layout.numbers.quantity)

        def sizes(start: int, stop: int) -> Rows | None:
            found = reader.sizes(start, stop)
            more = None if leaves is None else leaves.sizes(start, stop)
            if found is None:
                return more
            return found if more is None else found * more

        return cls(
            columns=columns,
            layout=layout,
            vector=vector,
            reader=reader,
            leaves=leaves,
            walk=Walk(columns=columns, sizes=sizes, limit=limit),
            added=np.zeros(layout.n_entries, np.int64),
        )

    def run(self) -> Numbers:
        """Add up all rows and return the vector."""
        for chunk in self.walk.chunks():
            if chunk.many:
                self._add_units(chunk.start, chunk.stop)
            else:
                self._add_one_unit(chunk.start, chunk.stop)
        return slot_vector(
            self.layout, self.vector, self.added, self.persons, self.dropped
        )

    def _read(self, start: int, stop: int) -> tuple[Rows, Cells, Keys]:
        known = None
        if self.layout.measure.kind is Kind.PERSONS:
            known = self.walk.known(start, stop)
        row, cell = self.reader.read(start, stop, known)
        if row is None:
            row = np.arange(stop - start)
        return row, cell, self.columns.order_key[start:stop].take(row)

    def _add_units(self, start: int, stop: int) -> None:
        """Add the whole units of a chunk."""
        row, cell, key = self._read(start, stop)
        if not len(row):
            return
        person = self.columns.person[start:stop].take(row).astype(np.int64)
        groups = ranked(
            person - person[0], cell.astype(np.int64), key, self.layout.n_cells
        )
        first = groups.rank == 0
        count = np.bincount(groups.owner)
        self._add_extras(count[groups.owner[first]])
        known = self.walk.known(start, stop)
        self.persons += (
            int(np.count_nonzero(first))
            if known is None
            else len(np.unique(person[known.take(row)]))
        )
        if self.vector.bounding is Bounding.WEIGH:
            weights = self._weights(count.take(groups.owner))
            np.add.at(self.added, groups.item, weights)
            return
        entries = np.flatnonzero(groups.rank.take(groups.of) < self.vector.groups)
        group, row = groups.of.take(entries), row.take(entries)
        if self.leaves is None:
            taken = self._first_cases(group, np.zeros(len(groups.rank), np.int64))
            row, group = row.take(taken), group.take(taken)
            self._add_cases(groups.item.take(group), start + row)
            return
        found, informed = self._leaves(start, stop, row, group, key.take(entries))
        kept = np.flatnonzero(groups.rank < self.vector.groups)
        told = np.zeros(len(groups.rank), np.bool_)
        told[informed] = True
        self._add_values(groups.item, kept, told, found)

    def _add_one_unit(self, start: int, stop: int) -> None:
        """Add a unit with more entries than fit into a chunk, piece by piece.

        It has several rows, so it is a person: nobody else's records share an ordinal.
        """
        n_cells = self.layout.n_cells
        stands = np.zeros(n_cells, np.bool_)
        least = np.full(n_cells, np.iinfo(np.uint64).max)
        for piece in self.walk.pieces(start, stop):
            _, cell, key = self._read(*piece)
            np.minimum.at(least, cell, key)
            stands[cell] = True
        groups = np.flatnonzero(stands)
        if not len(groups):
            return
        self.persons += 1
        self._add_extras(np.array([len(groups)]))
        if self.vector.bounding is Bounding.WEIGH:
            self.added[groups] += self._weights(np.array([len(groups)]))
            return
        order = np.argsort(least.take(groups), kind="stable")
        kept = groups.take(order)[: self.vector.groups]
        number = np.full(n_cells, -1)
        number[kept] = np.arange(len(kept))
        seen = np.zeros(len(kept), np.int64)
        told = np.zeros(len(kept), np.bool_)
        found: Ranked | None = None
        for first, last in self.walk.pieces(start, stop):
            row, cell, key = self._read(first, last)
            group = number.take(cell)
            inside = np.flatnonzero(group >= 0)
            row, group = row.take(inside), group.take(inside)
            if self.leaves is None:
                taken = self._first_cases(group, seen)
                seen += np.bincount(group, minlength=len(kept))
                self._add_cases(kept.take(group.take(taken)), first + row.take(taken))
                continue
            more, informed = self._leaves(first, last, row, group, key.take(inside))
            told[informed] = True
            found = more if found is None else _merged(found, more, self._items)
        if found is not None:
            self._add_values(kept, np.arange(len(kept)), told, found)

    def _add_extras(self, groups_of_units: Numbers) -> None:
        """Count the groups beyond L0 of units with so many groups."""
        beyond = np.maximum(groups_of_units - self.vector.groups, 0)
        self.dropped += int(np.minimum(beyond, self.vector.dropped.bound).sum())

    def _weights(self, count: Numbers) -> Numbers:
        """Return what a unit with *count* groups adds to each of them, as stored."""
        distinct, of = np.unique(count, return_inverse=True)
        unit = self.vector.slots[0].scale
        groups = self.vector.groups
        weights = [
            unit if m <= groups else math.isqrt(unit**2 * groups // int(m))
            for m in distinct
        ]
        return np.array(weights, np.int64).take(of)

    def _first_cases(self, group: Numbers, seen: Numbers) -> Rows:
        """Return which entries are among the first Linf cases of their group.

        Entries are in order of their keys, as the rows of the store are.
        """
        order = np.argsort(group, kind="stable")
        by_group = group.take(order)
        place = places(by_group) + seen.take(by_group)
        return order.compress(place < self.vector.cases)

    def _add_cases(self, cell: Numbers, row: Numbers) -> None:
        """Add cases with what they record of the quantity."""
        numbers = self.layout.numbers
        if numbers is None:
            return
        slots = len(self.layout.slots)
        held = self.columns.array(numbers.quantity).take(row).astype(np.int64)
        recorded = held != NOT_RECORDED
        base = cell * slots
        np.add.at(self.added, base.compress(~recorded) + (slots - 1), 1)
        base = base.compress(recorded)
        value = np.clip(held.compress(recorded), numbers.lower, numbers.upper)
        match self.layout.measure.kind:
            case Kind.SUM:
                np.add.at(self.added, base, value)
            case Kind.MEAN:
                twice = 2 * value - (numbers.lower + numbers.upper)
                np.add.at(self.added, base, twice)
                np.add.at(self.added, base + 1, 1)
            case _:
                edges = np.array(numbers.edges, np.int64)
                place = np.searchsorted(edges, value, side="right")
                np.add.at(self.added, base + place, 1)

    @property
    def _items(self) -> int:
        shown = self.layout.shown
        return 1 if shown is None else max(1, len(shown.values))

    def _leaves(
        self, start: int, stop: int, row: Rows, group: Numbers, key: Keys
    ) -> tuple[Ranked, Numbers]:
        """Return the values of every group, and the groups that say something."""
        if self.leaves is None:  # nobody asks then
            return ranked(group[:0], group[:0], key[:0], 1), group[:0]
        counts, place, informed = self.leaves.read(start, stop, row)
        found = ranked(
            np.repeat(group, counts), place, np.repeat(key, counts), self._items
        )
        return found, group.compress(informed)

    def _add_values(
        self, cell: Numbers, kept: Numbers, told: Flags, found: Ranked
    ) -> None:
        """Add units by what they say on the dimension.

        Args:
            cell: of every group.
            kept: groups that count.
            told: whether a group says something.
            found: the values of groups, ranked.
        """
        slots = len(self.layout.slots)
        base = cell.astype(np.int64) * slots
        silent = kept.compress(~told.take(kept))
        np.add.at(self.added, base.take(silent) + (slots - 1), 1)
        spoken = kept.compress(told.take(kept))
        counted = found.rank < self.vector.values
        if self.layout.measure.kind is Kind.SHARE:
            np.add.at(self.added, base.take(spoken), 1)
            owner = found.owner.compress(counted)
            np.add.at(
                self.added, base.take(owner) + 1 + found.item.compress(counted), 1
            )
            return
        number = np.bincount(found.owner.compress(counted), minlength=len(cell))
        np.add.at(self.added, base.take(spoken) + number.take(spoken), 1)


def slot_vector(
    layout: Layout, vector: ComponentVector, added: Numbers, persons: int, dropped: int
) -> Numbers:
    """Return the vector as stored: clamped, so that nothing can overflow.

    Args:
        layout: slots and cells.
        vector: their scales.
        added: one whole number for every entry of the cells.
        persons: persons with a cell.
        dropped: groups that the bound left out.
    """
    per_slot = [_multiplier(layout, vector, slot) for slot in range(len(layout.slots))]
    factors = np.array(
        [*(per_slot * layout.n_cells), vector.persons.scale, vector.dropped.scale],
        np.int64,
    )
    whole = np.append(added, [persons, dropped])
    most = LARGEST_ENTRY // factors
    scaled: Numbers = np.clip(whole, -most, most) * factors
    return scaled


def _multiplier(layout: Layout, vector: ComponentVector, slot: int) -> int:
    """Return the stored integer of one in what is added."""
    numbers = layout.numbers
    if vector.bounding is Bounding.WEIGH:
        return 1
    if numbers is None or layout.slots[slot] != "sum" or slot != 0:
        return vector.slots[slot].scale
    if layout.measure.kind is Kind.SUM:
        largest = max(abs(numbers.lower), abs(numbers.upper))
    else:
        largest = numbers.upper - numbers.lower
    return vector.slots[0].largest // (largest * vector.cases)


def _merged(one: Ranked, other: Ranked, items: int) -> Ranked:
    """Return the ranking of both together."""
    return ranked(
        np.concatenate([one.owner, other.owner]),
        np.concatenate([one.item, other.item]),
        np.concatenate([one.least, other.least]),
        items,
    )
