# SPDX-License-Identifier: Apache-2.0
"""The layout of an answer: which integer of a vector means what.

Computed from data model, agreement and query alone, so every agency, the hub and
the analyst derive the same one. Cells come in row-major order of the axes, zeros
and ``unknown`` included; after them stand two more entries, ``persons`` (persons
with at least one cell) and ``dropped`` (cells that the bound left out).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from accord.core.calendar import period_end
from accord.core.canonical import digest
from accord.core.dimension import UNKNOWN, Dimension
from accord.core.errors import InvalidQuery
from accord.core.model import DataModel
from accord.core.query import Measure, Query

MOST_CELLS = 100_000
"""Cells that one answer may have."""

EXTRA_CELLS = ("persons", "dropped")
"""Names of the entries behind the cells, in order."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One grouped dimension with the values that get cells."""

    dimension: str
    level: str
    values: tuple[str, ...]
    cell_of_leaf: tuple[int, ...]
    """Leaf code -> index into ``values``, or -1 where the filter excludes the leaf.

    Never decreasing over the leaves that have a cell."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Axes in canonical order; the first is the most significant."""

    measure: Measure
    axes: tuple[Axis, ...]

    @property
    def n_cells(self) -> int:
        """Number of cells without the extra ones; 1 for a query without groups."""
        return math.prod(len(axis.values) for axis in self.axes)

    @property
    def size(self) -> int:
        """Length of the vectors over this layout."""
        return self.n_cells + len(EXTRA_CELLS)

    def cells(self) -> Iterator[tuple[str, ...]]:
        """Yield the values of every cell, in order."""
        places = [0] * len(self.axes)
        for _ in range(self.n_cells):
            yield tuple(
                axis.values[place]
                for axis, place in zip(self.axes, places, strict=True)
            )
            for index in reversed(range(len(places))):
                places[index] += 1
                if places[index] < len(self.axes[index].values):
                    break
                places[index] = 0

    def digest(self) -> str:
        """Return the SHA-256 in hex that hub and agents compare."""
        return digest(
            {
                "measure": self.measure.value,
                "axes": [
                    [axis.dimension, axis.level, list(axis.values)]
                    for axis in self.axes
                ],
                "extra": list(EXTRA_CELLS),
            }
        )


def lay_out(query: Query, model: DataModel) -> Layout:
    """Return the layout of the answers to *query*.

    Grouping by a filtered single-valued dimension keeps only the values that the
    filter can reach; a multi-valued one keeps its whole domain, since a case that
    matches can hold other values too.

    Raises:
        InvalidQuery: TOO_MANY_CELLS or OUTSIDE_EDITION.
    """
    wanted = wanted_leaves(query, model)
    axes = tuple(
        _axis(
            model.dimension(group.dimension), group.level, wanted.get(group.dimension)
        )
        for group in query.group_by
    )
    layout = Layout(measure=query.measure, axes=axes)
    if layout.n_cells > MOST_CELLS:
        raise InvalidQuery(
            "TOO_MANY_CELLS",
            f"The answer would have {layout.n_cells} cells; at most {MOST_CELLS} are "
            "possible. Use a coarser level, a filter or fewer dimensions.",
            cells=str(layout.n_cells),
            limit=str(MOST_CELLS),
        )
    return layout


def _axis(dimension: Dimension, level: str, kept: frozenset[int] | None) -> Axis:
    places = dimension.roll_up(level)
    domain = dimension.domain(level)
    if kept is None or not dimension.single:
        return Axis(
            dimension=dimension.name, level=level, values=domain, cell_of_leaf=places
        )
    reached = sorted({places[code] for code in kept})
    renumbered = {place: index for index, place in enumerate(reached)}
    return Axis(
        dimension=dimension.name,
        level=level,
        values=tuple(domain[place] for place in reached),
        cell_of_leaf=tuple(
            renumbered[place] if code in kept else -1
            for code, place in enumerate(places)
        ),
    )


def wanted_leaves(query: Query, model: DataModel) -> dict[str, frozenset[int]]:
    """Return for every filtered dimension the codes of the leaves that count.

    These are the filters of *query* and, where the data model names an edition
    dimension, the end of the edition: what was registered later is under embargo and
    does not count, nor do records that may be later because only their year is known.

    Raises:
        InvalidQuery: OUTSIDE_EDITION, the filter asks for later records alone.
    """
    wanted = {
        part.dimension: frozenset(
            code
            for node in part.nodes
            for code in model.dimension(part.dimension).leaves_under(node)
        )
        for part in query.where
    }
    name = model.edition_dimension
    if name is None:
        return wanted
    last_day = period_end(query.edition)
    leaves = model.dimension(name).leaves
    ended = frozenset(
        code
        for code, leaf in enumerate(leaves)
        if leaf == UNKNOWN or period_end(leaf) <= last_day
    )
    wanted[name] = wanted.get(name, ended) & ended
    if not wanted[name]:
        raise InvalidQuery(
            "OUTSIDE_EDITION",
            f"The edition {query.edition} ends with {last_day}; the filter on "
            f"{name!r} asks for later records only. Ask for earlier ones, or wait for "
            "a later edition.",
            edition=query.edition,
        )
    return wanted
