# SPDX-License-Identifier: Apache-2.0
"""Which stored answers hold the answer to a coarser question, and which cells to add.

A finer answer F is turned into a coarser one Q by leaving out cells that Q's filter
excludes and adding up those that fall together. Both have one agreement, data model,
edition and measure. A dimension that changes in this way is *rolled*: it is gone, has a
coarser level, or is filtered by cells. All other dimensions are grouped and filtered
alike. Whatever happens on the way is arithmetic on what was released.

**Cells.** Each cell of F must lie within one cell of Q or outside its filter, and
together they must hold everything that Q asks for: that is checked leaf by leaf. A
rolled dimension must be single-valued, since a case with two values stands in two cells
of F and would count twice in their sum.

**The bound.** One unit (a person, or a record that names none) counts in at most L0
cells of an answer, the first by order key, with at most Linf cases in each.

*Rolled dimensions that are constant per person.* All cases of a person have one value
there, so two of a person's cells of F differ in another dimension and fall into two
cells of Q: the person's cells of F and of Q are in bijection, and those outside Q's
filter are all of the person's or none. Cells that correspond hold the same cases, hence
the same count up to Linf and the same smallest order key; of equal ones the first by
number comes first in both, as the rolled coordinates of one person are equal and the
other axes keep their order. L0 is the same: the maxima that it is the product of are 1
for rolled dimensions. So the same cells are kept (or weighed alike), and the sums are
*exactly* the bounded target of Q. This holds for persons and for cases.

*Other rolled dimensions, time above all.* Persons are refused: who stands in two months
would count twice in their quarter. Each case stands in one cell of F, so that sums of
cases count no case twice. They are lower figures of the same number of cases as Q's own
answer would be, by another bound: at most L0 cells of F count, instead of at most L0
cells of Q. For a unit with at most L0 cells of F the sum leaves out no more than Q's
own answer, as the sum of min(n_i, Linf) is at least min(sum of n_i, Linf). Only units
with more of them can lose more, and how many cells those lose is what ``dropped`` of F
estimates. So a sum of cases is derived only where F's noisy dropped share is at most
`accord.core.whole_error.LARGEST_DROPPED_SHARE`; it carries F's bound and ``dropped``.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import math
from collections.abc import Iterator, Mapping

from accord.core.dimension import Dimension
from accord.core.layout import Axis, Layout, lay_out, wanted_leaves
from accord.core.model import DataModel
from accord.core.query import Kind, Query

_CALENDAR = ("month", "quarter", "year")
"""Levels of a dimension of time."""


class Why(enum.StrEnum):
    """What keeps an answer from being a finer one of a question."""

    MEASURE = "measure"
    """Figures of the measure cannot be added up."""
    ABSENT = "absent"
    """The finer answer is not grouped by the dimension."""
    LEVEL = "level"
    """Its cells are too large in the dimension."""
    FILTER = "filter"
    """It leaves out cases that are asked for, or cannot leave out what is not."""
    SEVERAL_VALUES = "several-values"
    """One case can have several values of the dimension."""
    PERSONS = "persons"
    """One person can have several values of the dimension, or it is of time."""
    DROPPED = "dropped"
    """The bound left out too much of it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why an answer does not hold a coarser one."""

    why: Why
    dimension: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """How a coarser answer follows from a finer one."""

    layout: Layout
    """Of the coarser answer."""
    target: tuple[int, ...]
    """For every cell of the finer answer its cell in the coarser one, or -1."""
    summed: tuple[int, ...]
    """For every cell of the coarser answer how many are added up; at least 1."""
    rolled: tuple[str, ...]
    """Dimensions that change; none where both questions are the same."""
    is_narrower: bool
    """Whether some cells are left out, so that whole-table figures differ."""
    is_exact: bool
    """Whether the sums have the very target that the coarser question has."""

    @property
    def most(self) -> int:
        """Largest number of cells that are added up to one."""
        return max(self.summed)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Rolling:
    """What becomes of one axis of the finer answer."""

    dimension: Dimension
    places: tuple[int, ...]
    """Finer value -> coarser value, or -1; all 0 where the dimension is gone."""
    is_same: bool


def derive(model: DataModel, finer: Query, coarser: Query) -> Derivation | Obstacle:
    """Return how the answer to one question holds that to another, or why it does not.

    Args:
        model: the data model of both.
        finer: what was answered.
        coarser: what is asked; of the same agreement and edition.

    Raises:
        InvalidQuery: as `lay_out`.
    """
    if finer.measure != coarser.measure:
        return Obstacle(why=Why.MEASURE)
    kind = coarser.measure.kind
    source, layout = lay_out(finer, model), lay_out(coarser, model)
    if finer.key() == coarser.key():
        return _same(layout)
    if kind not in (Kind.PERSONS, Kind.CASES):
        return Obstacle(why=Why.MEASURE)
    rollings: list[_Rolling] = []
    for found in _rollings(model, finer, coarser, source, layout):
        if isinstance(found, Obstacle):
            return found
        if kind is Kind.PERSONS and not found.is_same and not _is_fixed(model, found):
            return Obstacle(why=Why.PERSONS, dimension=found.dimension.name)
        rollings.append(found)
    target = tuple(_targets(rollings, layout))
    summed = [0] * layout.n_cells
    for cell in target:
        if cell >= 0:
            summed[cell] += 1
    rolled = [each for each in rollings if not each.is_same]
    return Derivation(
        layout=layout,
        target=target,
        summed=tuple(summed),
        rolled=tuple(each.dimension.name for each in rolled),
        is_narrower=-1 in target,
        is_exact=all(_is_fixed(model, each) for each in rolled),
    )


def _same(layout: Layout) -> Derivation:
    return Derivation(
        layout=layout,
        target=tuple(range(layout.n_cells)),
        summed=(1,) * layout.n_cells,
        rolled=(),
        is_narrower=False,
        is_exact=True,
    )


def _is_fixed(model: DataModel, rolling: _Rolling) -> bool:
    """Tell whether all cases of one person have one value, and it is not of time."""
    dimension = rolling.dimension
    return (
        dimension.constant
        and dimension.single
        and dimension.name != model.edition_dimension
        and dimension.levels != _CALENDAR
    )


def _rollings(
    model: DataModel, finer: Query, coarser: Query, source: Layout, layout: Layout
) -> Iterator[_Rolling | Obstacle]:
    """Yield what becomes of every axis of the finer answer, or what is in the way."""
    had, wanted = wanted_leaves(finer, model), wanted_leaves(coarser, model)
    axes = {axis.dimension: axis for axis in layout.axes}
    present = {axis.dimension for axis in source.axes}
    for name in axes:
        if name not in present:
            yield Obstacle(why=Why.ABSENT, dimension=name)
    for name in sorted({*had, *wanted} - present):
        if _leaves(model, had, name) != _leaves(model, wanted, name):
            yield Obstacle(why=Why.FILTER, dimension=name)
    for axis in source.axes:
        name = axis.dimension
        yield _rolling(
            model.dimension(name),
            axis,
            axes.get(name),
            had=_leaves(model, had, name),
            wanted=_leaves(model, wanted, name),
        )


def _leaves(
    model: DataModel, kept: Mapping[str, frozenset[int]], name: str
) -> frozenset[int]:
    if name in kept:
        return kept[name]
    return frozenset(range(len(model.dimension(name).tree)))


def _rolling(
    dimension: Dimension,
    finer: Axis,
    coarser: Axis | None,
    *,
    had: frozenset[int],
    wanted: frozenset[int],
) -> _Rolling | Obstacle:
    """Return what becomes of one axis, leaf by leaf."""
    name = dimension.name
    same = coarser is not None and had == wanted and finer == coarser
    if same:
        places = tuple(range(len(finer.values)))
        return _Rolling(dimension=dimension, places=places, is_same=True)
    if not dimension.single:
        return Obstacle(why=Why.SEVERAL_VALUES, dimension=name)
    if not wanted <= had:
        return Obstacle(why=Why.FILTER, dimension=name)
    found: list[set[int]] = [set() for _ in finer.values]
    for code, place in enumerate(finer.cell_of_leaf):
        if place >= 0:
            inside = 0 if coarser is None else coarser.cell_of_leaf[code]
            found[place].add(inside if code in wanted else -1)
    if any(len(each) != 1 for each in found):
        outside = any(-1 in each for each in found if len(each) > 1)
        why = Why.FILTER if outside else Why.LEVEL
        return Obstacle(why=why, dimension=name)
    return _Rolling(
        dimension=dimension, places=tuple(each.pop() for each in found), is_same=False
    )


def _targets(rollings: list[_Rolling], layout: Layout) -> Iterator[int]:
    """Yield the coarser cell of every finer one, in order; -1 where it is left out."""
    strides = dict(_strides(layout))
    steps = [
        [
            place * strides.get(each.dimension.name, 0) if place >= 0 else -1
            for place in each.places
        ]
        for each in rollings
    ]
    for parts in itertools.product(*steps):
        yield -1 if -1 in parts else sum(parts)


def _strides(layout: Layout) -> Iterator[tuple[str, int]]:
    """Yield by how much the number of a cell goes up with each value of an axis."""
    for number, axis in enumerate(layout.axes):
        yield (
            axis.dimension,
            math.prod(len(later.values) for later in layout.axes[number + 1 :]),
        )
