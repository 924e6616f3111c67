# SPDX-License-Identifier: Apache-2.0
"""Walking a store by whole units, and ranking what a unit has.

A unit is a person, or one record that names none; its rows are neighbours. All that
depends on a unit is computed from its own rows, so that removing it changes nothing of
another, wherever chunks begin.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from accord.agent.store.columns import Columns
from accord.agent.store.entries import Flags, Rows

Sizes = Callable[[int, int], Rows | None]
"""Start and stop -> an upper bound of the entries of every row; none: one each."""

Keys = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]


class Chunk(NamedTuple):
    """A run of rows."""

    start: int
    stop: int
    many: bool
    """Whether it holds whole units that fit; else it is one unit that does not."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The rows of a store in runs of whole units."""

    columns: Columns
    sizes: Sizes
    limit: int
    """Entries that fit into a run."""

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows, each once."""
        start = 0
        while start < self.columns.rows:
            reach = self.reach(start, self.columns.rows)
            stop = self._last_whole(start, reach)
            many = stop > start
            if not many:
                rest = self.columns.person[start:]
                stop = start + int(np.searchsorted(rest, rest[0], side="right"))
            yield Chunk(start, stop, many)
            start = stop

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the rows of one large unit in runs that fit."""
        while start < stop:
            reach = self.reach(start, stop)
            yield start, reach
            start = reach

    def reach(self, start: int, stop: int) -> int:
        """Return how far from *start* the rows have no more entries than the limit."""
        stop = min(stop, start + max(self.limit, 1))
        sizes = self.sizes(start, stop)
        if sizes is None:
            return stop
        fitting = int(np.searchsorted(np.cumsum(sizes), self.limit, side="right"))
        return start + max(fitting, 1)

    def known(self, start: int, stop: int) -> Flags | None:
        """Return which rows name a person; none where all do."""
        known = self.columns.person_known[start:stop].view(np.bool_)
        return None if known.all() else known

    def _last_whole(self, start: int, reach: int) -> int:
        """Return the last end of a unit up to *reach*, or *start* if there is none."""
        person = self.columns.person
        if reach == len(person):
            return reach
        return start + int(np.searchsorted(person[start:reach], person[reach]))


class Ranked(NamedTuple):
    """Distinct pairs of owner and item, by owner and then by item."""

    owner: Numbers
    item: Numbers
    least: Keys
    """Smallest key of the pair."""
    rank: Numbers
    """Place of the item among those of its owner: by smallest key, then by number."""
    of: Numbers
    """For every pair that was given, the index of its distinct one."""


def ranked(owner: Numbers, item: Numbers, key: Keys, items: int) -> Ranked:
    """Rank the items of every owner; the order of what is given does not matter.

    Args:
        owner: a number for each pair.
        item: from zero to *items* for each pair.
        key: for each pair.
        items: how many items there are.
    """
    codes, of = np.unique(owner * items + item, return_inverse=True)
    least = np.full(len(codes), np.iinfo(np.uint64).max)
    np.minimum.at(least, of, key)
    owners, distinct = np.divmod(codes, items)
    order = np.lexsort((least, owners))  # stable: equal keys stay in the items' order
    rank = np.empty(len(codes), np.int64)
    rank[order] = places(owners)
    return Ranked(owners, distinct, least, rank, of)


def places(owner: Numbers) -> Numbers:
    """Return for every element how many of its owner stand before it.

    *owner* holds each owner's elements next to one another.
    """
    starts = begins(owner)
    sizes = np.diff(starts, append=len(owner))
    return np.arange(len(owner)) - np.repeat(starts, sizes)


def begins(owner: npt.NDArray[np.integer]) -> Rows:
    """Return where a new owner begins."""
    new = np.empty(len(owner), np.bool_)
    new[:1] = True
    np.not_equal(owner[1:], owner[:-1], out=new[1:])
    return np.flatnonzero(new)
