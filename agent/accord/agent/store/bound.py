# SPDX-License-Identifier: Apache-2.0
"""The exact answer of one agency: counts in which every person is bounded.

A *unit* is a person, or one record that names none. The groups of a unit are the cells
that its cases stand in, after filter and roll-up; they rank by the smallest order key
among their cases, then by cell number, so the choice depends on that unit alone. With
m groups, bounds L0 and Linf and a drop cap, a unit adds

* to each of its first L0 groups: 1 (`persons`), or the smaller of its number of cases
  there and Linf (`cases`); what the other measures add is in
  `accord.agent.store.slots`;
* 1 to ``persons`` if m >= 1 (records that name nobody add nothing);
* the smaller of m - L0 and the drop cap to ``dropped`` if m > L0.

Every sum is stored times the scale of its component. The rows of the store are in
order already, so the rule needs no sort: take the first entry of every unit, count it,
remove the entries of that cell from that unit, and do so L0 times ("rounds"); the
rounds after that only count who still has an entry. Vectors are exact: nothing here
draws noise, and nothing of them may be logged.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accord.agent.store.columns import Columns
from accord.agent.store.entries import Cells, EntryReader, Flags, LeafFilter, Rows
from accord.agent.store.slots import SlotTally
from accord.agent.store.units import Walk, begins
from accord.core.errors import IntegrityError, InternalError
from accord.core.layout import MOST_CELLS, Layout
from accord.core.measure import LARGEST_ENTRY, Bounding, ComponentVector
from accord.core.query import Kind, Measure

CHUNK_ENTRIES = 1 << 16
"""Entries worked on at once: the arrays of one round stay in a core's cache."""

_MOST_UNITS = 1 << 32
"""Ordinals that a store can hold; makes every entry's largest value public."""

Vector = npt.NDArray[np.int64]


def bounded_vector(
    columns: Columns,
    layout: Layout,
    where: Sequence[LeafFilter],
    vector: ComponentVector,
    *,
    today: datetime.date | None = None,
    chunk_entries: int = CHUNK_ENTRIES,
) -> Vector:
    """Return the vector over *layout* of the cases that pass *where*.

    With *today*, cases whose consent has ended by then count in nothing.

    The same store, layout, filter and declaration give the same integers, whatever
    the chunks. Memory beyond the mapped store is a few times *chunk_entries* integers
    plus the vector, also where one unit has most of the rows.

    Units: counts times the scale of their component.
    Shape: (layout.size,): cells in layout order, ``persons``, ``dropped``.

    Raises:
        PreconditionFailed: STORE_COLUMN, the store lacks a dimension of the query.
        IntegrityError: STORE_BROKEN, a code lies outside the domain of its dimension.
        InternalError: BOUNDS_INVALID or LAYOUT_INVALID, nothing was counted.
    """
    if layout.n_entries > MOST_CELLS:
        raise InternalError("LAYOUT_INVALID", "The layout has too many cells.")
    try:
        checked = checked_vector(layout, vector)
        reader = EntryReader.prepare(columns, layout, where, today)
        if is_plain(layout, vector):
            return _plain_counts(columns, layout, reader, checked, chunk_entries)
        return SlotTally.prepare(columns, layout, reader, checked, chunk_entries).run()
    except IndexError:
        raise IntegrityError(
            "STORE_BROKEN",
            "The store has a code outside the domain of its dimension. Run "
            "`accord-agent ingest` again.",
        ) from None


def _plain_counts(
    columns: Columns,
    layout: Layout,
    reader: EntryReader,
    vector: ComponentVector,
    chunk_entries: int,
) -> Vector:
    """Return the vector of `persons` or `cases` without a sort, in rounds."""
    tally = _Tally(
        columns=columns,
        reader=reader,
        walk=Walk(columns=columns, sizes=reader.sizes, limit=chunk_entries),
        measure=layout.measure,
        vector=vector,
        linf=vector.cases,
        counts=np.zeros(layout.n_cells, np.int64),
    )
    tally.run()
    return plain_vector(layout, vector, tally.counts, tally.persons, tally.dropped)


def plain_vector(
    layout: Layout, vector: ComponentVector, counts: Vector, persons: int, dropped: int
) -> Vector:
    """Return the vector of `persons` or `cases` as stored, from whole counts."""
    scaled = np.empty(layout.size, np.int64)
    scaled[:-2] = counts * vector.slots[0].scale
    scaled[-2] = persons * vector.persons.scale
    scaled[-1] = dropped * vector.dropped.scale
    most = np.empty(layout.size, np.int64)
    most[:-2] = vector.slots[0].largest * _MOST_UNITS
    most[-2] = vector.persons.largest * _MOST_UNITS
    most[-1] = vector.dropped.largest * _MOST_UNITS
    return np.clip(scaled, 0, most)


def is_plain(layout: Layout, vector: ComponentVector) -> bool:
    """Return whether cells have one count each, which nothing weighs."""
    return (
        layout.measure.kind in (Kind.PERSONS, Kind.CASES)
        and vector.bounding is Bounding.KEEP
    )


def checked_vector(layout: Layout, vector: ComponentVector) -> ComponentVector:
    """Return *vector* if what it declares can be kept, without overflow.

    Raises:
        InternalError: BOUNDS_INVALID
    """
    # What a unit may add to an entry, as stored.
    most = 2**62 // _MOST_UNITS - 1 if is_plain(layout, vector) else LARGEST_ENTRY
    parts = (*vector.slots, vector.persons, vector.dropped)
    if (
        vector.groups < 1
        or vector.cases < 1
        or vector.values < 1
        or min(slot.largest for slot in vector.slots) < 1
        or vector.persons.bound != 1
        or vector.dropped.bound < 0
        or any(part.scale < 1 or part.largest > most for part in parts)
    ):
        raise InternalError(
            "BOUNDS_INVALID", "The declared bounds of the measure cannot be kept."
        )
    return vector


@dataclasses.dataclass(slots=True, kw_only=True)
class _Tally:
    """Counts that grow chunk by chunk; a chunk holds whole units."""

    columns: Columns
    reader: EntryReader
    measure: Measure
    vector: ComponentVector
    linf: int
    walk: Walk
    counts: Vector
    persons: int = 0
    dropped: int = 0

    def run(self) -> None:
        """Count all rows of the store."""
        for chunk in self.walk.chunks():
            if chunk.many:
                self._add_units(chunk.start, chunk.stop)
            else:
                self._add_one_unit(chunk.start, chunk.stop)

    def _add_units(self, start: int, stop: int) -> None:
        """Add whole units by rounds."""
        known = self.walk.known(start, stop)
        named_only = self.measure.kind is Kind.PERSONS
        row, cell = self.reader.read(start, stop, known if named_only else None)
        person = self.columns.person[start:stop]
        if row is not None:
            person = person.take(row)
        if self.columns.form.order_key_ties:
            cell = self._untied(start, stop, row, cell)
        kept: list[Cells] = []
        rounds = self.vector.groups + self.vector.dropped.bound
        for number in range(rounds):
            if not cell.size:
                break
            starts = begins(person)
            if number == 0:
                self.persons += _named(starts, row, known)
            if number >= self.vector.groups:
                self.dropped += len(starts)
                if number == rounds - 1:
                    break
            first = cell.take(starts)
            same = np.repeat(first, np.diff(starts, append=len(cell))) == cell
            if number < self.vector.groups:
                kept.append(self._valued(first, same, starts))
            rest = np.flatnonzero(~same)
            person, cell = person.take(rest), cell.take(rest)
        if kept:
            self.counts += np.bincount(np.concatenate(kept), minlength=len(self.counts))

    def _valued(self, first: Cells, same: Flags, starts: Rows) -> Cells:
        """Return the cells of one round, each as often as it counts."""
        if self.measure.kind is Kind.PERSONS:
            return first
        cases = np.add.reduceat(same, starts, dtype=np.intp)
        return np.repeat(first, np.minimum(cases, self.linf))

    def _untied(self, start: int, stop: int, row: Rows | None, cell: Cells) -> Cells:
        """Put entries of equal order key into cell order; there are few of them."""
        person = self.columns.person[start:stop]
        key = self.columns.order_key[start:stop]
        new = np.ones(stop - start, np.bool_)
        new[1:] = (person[1:] != person[:-1]) | (key[1:] != key[:-1])
        run = np.cumsum(new)
        tied = ~new
        tied[:-1] |= ~new[1:]
        if row is not None:
            run, tied = run.take(row), tied.take(row)
        places = np.flatnonzero(tied)
        among = cell.take(places)
        cell = cell.copy()
        cell[places] = among.take(np.lexsort((among, run.take(places))))
        return cell

    def _add_one_unit(self, start: int, stop: int) -> None:
        """Add a unit with more entries than fit into a chunk, piece by piece.

        It has several rows, so it is a person: nobody else's records share an ordinal.
        """
        cases = np.zeros_like(self.counts)
        rank = np.full(len(cases), np.iinfo(np.uint64).max)
        for first, last in self.walk.pieces(start, stop):
            row, cell = self.reader.read(first, last)
            key = self.columns.order_key[first:last]
            np.minimum.at(rank, cell, key if row is None else key.take(row))
            cases += np.bincount(cell, minlength=len(cases))
        groups = np.flatnonzero(cases)
        ranked = groups.take(np.argsort(rank.take(groups), kind="stable"))
        kept = ranked[: self.vector.groups]
        self.counts[kept] += np.minimum(cases.take(kept), self.linf)
        self.persons += int(len(groups) > 0)
        left_out = max(len(groups) - self.vector.groups, 0)
        self.dropped += min(left_out, self.vector.dropped.bound)


def _named(starts: Rows, row: Rows | None, known: Flags | None) -> int:
    """Return how many of the units that begin at *starts* are persons."""
    if known is None:
        return len(starts)
    return int(
        np.count_nonzero(known.take(starts if row is None else row.take(starts)))
    )
