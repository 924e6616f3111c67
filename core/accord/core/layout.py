# SPDX-License-Identifier: Apache-2.0
"""The layout of an answer: which integer of a vector means what.

Computed from data model, agreement and query alone, so every agency, the hub and
the analyst derive the same one. Cells come in row-major order of the axes, zeros
and ``unknown`` included, and every cell has the measure's *slots* one after another:
entry number = cell * slots + slot. After them stand two more entries, ``persons``
(persons with at least one cell) and ``dropped`` (cells that the bound left out)::

    persons, cases   count
    sum              sum, unknown
    mean             sum (of value minus midpoint), count, unknown
    quantile         one for each bin, unknown
    share            informed, one for each value, unknown
    values           0, 1, ... up to the most values that count, unknown

``unknown`` has what says nothing on the quantity or dimension.
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
from accord.core.query import Kind, Measure, Query

MOST_CELLS = 100_000
"""Entries of cells that one answer may have."""

INFORMED = "informed"
"""Slot of `share`: what it is a share of."""

NO_VALUE = "none"
"""Leaf that says that there is none: it informs, and `values` counts it as 0."""

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
class Numbers:
    """How the slots read a quantity, in stored integers."""

    quantity: str
    lower: int
    upper: int
    edges: tuple[int, ...]
    """Inner edges of the bins, ascending; what is at least an edge is above it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Axes in canonical order; the first is the most significant."""

    measure: Measure
    axes: tuple[Axis, ...]
    slots: tuple[str, ...] = ("count",)
    """Names of the entries of every cell."""
    shown: Axis | None = None
    """The dimension of `share` or `values`: its values without ``unknown``, and the
    place of each leaf among them. -1: says nothing; -2: says that there is none."""
    numbers: Numbers | None = None
    """The quantity of `sum`, `mean` or `quantile`."""

    @property
    def n_cells(self) -> int:
        """Number of cells without the extra ones; 1 for a query without groups."""
        return math.prod(len(axis.values) for axis in self.axes)

    @property
    def n_entries(self) -> int:
        """Number of entries of all cells."""
        return self.n_cells * len(self.slots)

    @property
    def size(self) -> int:
        """Length of the vectors over this layout."""
        return self.n_entries + len(EXTRA_CELLS)

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
                "measure": self.measure.name,
                "axes": [
                    [axis.dimension, axis.level, list(axis.values)]
                    for axis in self.axes
                ],
                "slots": list(self.slots),
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
    layout = _with_slots(
        Layout(measure=query.measure, axes=axes), model, wanted.get(query.measure.of)
    )
    if layout.n_entries > MOST_CELLS:
        raise InvalidQuery(
            "TOO_MANY_CELLS",
            f"The answer would have {layout.n_entries} cells; at most {MOST_CELLS} are "
            "possible. Use a coarser level, a filter or fewer dimensions.",
            cells=str(layout.n_entries),
            limit=str(MOST_CELLS),
        )
    return layout


def _with_slots(
    layout: Layout, model: DataModel, kept: frozenset[int] | None
) -> Layout:
    """Return *layout* with the slots of its measure.

    Args:
        layout: axes and measure.
        model: has the quantity or dimension that the measure is about.
        kept: leaves of that dimension that the filter keeps, if there is one.
    """
    measure = layout.measure
    if measure.kind.of_quantity:
        quantity = model.quantity(measure.of)
        lower, upper = quantity.range
        slots = {
            Kind.SUM: ("sum",),
            Kind.MEAN: ("sum", "count"),
            Kind.QUANTILE: quantity.bin_labels,
        }[measure.kind]
        numbers = Numbers(
            quantity=measure.of,
            lower=lower,
            upper=upper,
            edges=tuple(math.ceil(edge * quantity.scale) for edge in quantity.bins),
        )
        return dataclasses.replace(layout, slots=(*slots, UNKNOWN), numbers=numbers)
    if measure.kind.of_dimension:
        dimension = model.dimension(measure.of)
        shown = _informed(_axis(dimension, measure.level, kept), measure.kind)
        slots = (
            (INFORMED, *shown.values)
            if measure.kind is Kind.SHARE
            else tuple(str(n) for n in range(most_shown(shown, dimension) + 1))
        )
        return dataclasses.replace(layout, slots=(*slots, UNKNOWN), shown=shown)
    return layout


def _informed(axis: Axis, kind: Kind) -> Axis:
    """Return *axis* with only those values that a case is counted at."""
    none = {NO_VALUE} if kind is Kind.VALUES else set()
    values = [value for value in axis.values if value not in {UNKNOWN, *none}]
    places = {value: place for place, value in enumerate(values)}
    apart = dict.fromkeys(none, -2)
    return dataclasses.replace(
        axis,
        values=tuple(values),
        cell_of_leaf=tuple(
            -1 if place < 0 else (places | apart).get(axis.values[place], -1)
            for place in axis.cell_of_leaf
        ),
    )


def most_shown(shown: Axis, dimension: Dimension) -> int:
    """Return V: how many values of one unit in one cell `share` and `values` count."""
    return max(1, min(dimension.max_values, len(shown.values)))


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
