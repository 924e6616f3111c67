# SPDX-License-Identifier: Apache-2.0
"""What one person can change in an agency's vector, and the sensitivity that follows.

A measure declares its component vector: for every slot of a cell a bound on what one
person adds there, and an integer scale by which that is multiplied before it is stored.
All entries get noise of one standard deviation, so a scale says how precious a
component is. For `persons` and `cases` the cells have the scale S and the two extra
entries scale 1, which costs little instead of 29 % of the noise (zCDP, L0 = 3)::

    D1   = A (L0 · C1 + 1 + drop_cap)
    D2²  = A² (L0 · C2² + 1 + drop_cap²)

Under zCDP, S is the least from 4 on at which the extra entries make the cells at most a
twentieth noisier: 5 for L0 = 1, else 4, with a drop_cap of 1. Under pure it is 4 (1 +
drop_cap), so that they take a quarter of what one group takes. Noise goes with D1, and
a larger S has a price there: ``dropped`` gets noisier with it, and the interval of what
the records say without the bound wider (ADR 0003 has the figures).

A is the number of agencies that may know one person, and C1 and C2 are the most that
one person adds to all slots of one cell: S · Linf for counts. Of slots that
exclude one another only the larger counts: a case is either recorded or ``unknown``,
so that ``unknown`` costs nothing. The other measures have a unit U of at least 64 for
what one case or person adds, and the extra entries a quarter of it::

    sum       sum up to U, or unknown U              C1 = Linf U      C2² = Linf² U²
    mean      sum U and count U, or unknown U√2      C1 = 2 Linf U    C2² = 2 Linf² U²
    quantile  one bin U, or unknown U                C1 = Linf U      C2² = Linf² U²
    share     informed U and V values U, or unknown  C1 = (V + 1) U   C2² = (V + 1) U²
    values    one slot U                             C1 = U           C2² = U²

The bounding *weigh* (`persons` under zCDP) leaves no group out: of m > L0 groups each
gets floor(U sqrt(L0 / m)), and m U² L0 / m = L0 U² is what D2² has anyway.

D2 <= A · (D2 at A = 1) is the triangle inequality over agencies; it holds whichever
cells an agency keeps. Neighbouring data sets differ by all records of one person
(added or removed).
"""

from __future__ import annotations

import dataclasses
import enum
import math
from fractions import Fraction
from typing import assert_never

from accord.core.layout import Layout, lay_out, most_shown
from accord.core.model import DataModel
from accord.core.privacy import Accounting
from accord.core.query import Kind, Query

LEAST_CELL_SCALE = 4
"""Least stored integer of one count in the cells of `persons` and `cases`."""

_NOISIER = Fraction(1, 20)
"""By how much the extra entries may make the cells of `persons` noisier under zCDP."""

FINE_SCALE = 64
"""Least stored integer of one count in any other cell."""

EXTRA_PART = 4
"""The extra entries have the cells' unit over this as their scale."""

LARGEST_ENTRY = 2**40
"""Most that one entry of one agency's vector can be, as stored, on both sides of zero:
agencies clamp to it, and the hub releases no sum that honest agencies cannot have."""


class Bounding(enum.StrEnum):
    """How the bound on one person's groups is kept."""

    KEEP = "keep"
    """The first L0 groups count in full, the rest not at all."""
    WEIGH = "weigh"
    """All groups count, the less the more there are."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """Entries that share a bound and a scale."""

    bound: int
    """Most that one person adds to one entry, in counts, or in the quantity's unit
    rounded up."""
    scale: int
    """Stored integer per count, or per one of the quantity's unit."""
    stored: int = 0
    """The bound as stored, where it is not *bound* times *scale*."""

    @property
    def largest(self) -> int:
        """Most that one person adds to one entry, as stored."""
        return self.stored or self.bound * self.scale


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the agreement allows one person to contribute in one agency."""

    groups_per_person: int
    """L0 before the dimensions are looked at."""
    cases_per_group: int
    """Linf: cases that measures other than `persons` count, or look at."""
    drop_cap: int
    """Most left-out groups of one person that are counted in ``dropped``."""


def cell_scale(accounting: Accounting, *, groups: int, drop_cap: int) -> int:
    """Return the stored integer of one count in the cells of `persons` and `cases`.

    Args:
        accounting: of the agreement.
        groups: L0.
        drop_cap: most left-out groups of one person that are counted.
    """
    match accounting:
        case Accounting.ZCDP:
            # D2² / (L0 S²), the square of how much noisier, is at most (1 + part)².
            allowed = groups * ((1 + _NOISIER) ** 2 - 1)
            least = math.isqrt(math.ceil((1 + drop_cap**2) / allowed) - 1) + 1
        case Accounting.PURE:
            least = LEAST_CELL_SCALE * (1 + drop_cap)
        case _:
            assert_never(accounting)
    return max(least, LEAST_CELL_SCALE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ComponentVector:
    """Declaration of a whole vector: slots of the cells, ``persons``, ``dropped``."""

    groups: int
    """L0: cells in which one person counts in full, in one agency."""
    bounding: Bounding = Bounding.KEEP
    slots: tuple[Component, ...]
    """One for each slot of a cell."""
    cell_d1: int
    """C1: most that one person adds to the slots of one cell together."""
    cell_d2_squared: int
    """C2²: the most of the sum of the squares."""
    persons: Component
    dropped: Component
    cases: int = 1
    """Linf: cases of one person that are looked at in one cell, if cases are."""
    values: int = 1
    """V: values of one person that count in one cell, for `share` and `values`."""
    reach: int = 0
    """Cells that there are, where groups are weighed."""

    @classmethod
    def of_counts(
        cls,
        accounting: Accounting,
        *,
        groups: int,
        drop_cap: int,
        cases: int = 1,
        bounding: Bounding = Bounding.KEEP,
        reach: int = 0,
    ) -> ComponentVector:
        """Return the declaration of `persons`, or of `cases` with *cases* as Linf."""
        if bounding is Bounding.KEEP:
            scale = cell_scale(accounting, groups=groups, drop_cap=drop_cap)
            extra = 1
        else:
            scale, extra = FINE_SCALE, FINE_SCALE // EXTRA_PART
        return cls(
            groups=groups,
            bounding=bounding,
            slots=(Component(bound=cases, scale=scale),),
            cell_d1=cases * scale,
            cell_d2_squared=(cases * scale) ** 2,
            persons=Component(bound=1, scale=extra),
            dropped=Component(bound=drop_cap, scale=extra),
            cases=cases,
            reach=reach,
        )

    @property
    def _groups_d1(self) -> int:
        """L1 norm of the cells of one person in one agency.

        A person with m weighed groups adds at most m C1 sqrt(L0 / m).
        """
        if self.bounding is Bounding.KEEP or self.reach <= self.groups:
            return self.groups * self.cell_d1
        return math.isqrt(self.groups * self.reach * self.cell_d1**2 - 1) + 1

    def d1(self, agencies: int) -> int:
        """Return the L1 sensitivity for a person known to at most *agencies*."""
        extras = self.persons.largest + self.dropped.largest
        return agencies * (self._groups_d1 + extras)

    def d2_squared(self, agencies: int) -> int:
        """Return the square of the L2 sensitivity for *agencies*."""
        extras = self.persons.largest**2 + self.dropped.largest**2
        return agencies**2 * (self.groups * self.cell_d2_squared + extras)


def component_vector(
    query: Query,
    model: DataModel,
    bounds: Bounds,
    accounting: Accounting,
    bounding: Bounding = Bounding.KEEP,
) -> ComponentVector:
    """Declare the vector that answers *query* under *bounds*.

    L0 is ``groups_per_person``, or less where every grouped dimension is constant per
    person: then a person has at most the product of the declared maxima.

    Raises:
        InvalidQuery: as `lay_out`.
    """
    kind = query.measure.kind
    layout = lay_out(query, model)
    groups = _groups(query, model, bounds)
    if kind in (Kind.PERSONS, Kind.CASES):
        return ComponentVector.of_counts(
            accounting,
            groups=groups,
            drop_cap=bounds.drop_cap,
            cases=bounds.cases_per_group if kind is Kind.CASES else 1,
            bounding=bounding,
            reach=0 if bounding is Bounding.KEEP else layout.n_cells,
        )
    cases = 1 if kind.of_dimension else bounds.cases_per_group
    values = 1
    if layout.shown is not None:
        values = most_shown(layout.shown, model.dimension(layout.shown.dimension))
    unit, slots = _slots(layout, model, cases, values)
    norm1, norm2_squared = {
        Kind.MEAN: (2, 2),
        Kind.SHARE: (1 + values, 1 + values),
    }.get(kind, (1, 1))
    extra = unit // EXTRA_PART
    return ComponentVector(
        groups=groups,
        bounding=bounding,
        slots=slots,
        cell_d1=norm1 * cases * unit,
        cell_d2_squared=norm2_squared * (cases * unit) ** 2,
        persons=Component(bound=1, scale=extra),
        dropped=Component(bound=bounds.drop_cap, scale=extra),
        cases=cases,
        values=values,
    )


def _groups(query: Query, model: DataModel, bounds: Bounds) -> int:
    dimensions = [model.dimension(group.dimension) for group in query.group_by]
    groups = bounds.groups_per_person
    if all(dimension.constant for dimension in dimensions):
        product = math.prod(dimension.max_values for dimension in dimensions)
        groups = min(groups, product)
    return groups


def _slots(
    layout: Layout, model: DataModel, cases: int, values: int
) -> tuple[int, tuple[Component, ...]]:
    """Return the unit U and the components of the slots.

    ``unknown`` excludes the other slots: it has the largest scale that costs nothing.
    """
    kind = layout.measure.kind
    unit = FINE_SCALE
    if layout.numbers is None or kind is Kind.QUANTILE:
        each = Component(bound=cases, scale=unit)
        together = 1 + values if kind is Kind.SHARE else 1
        free = math.isqrt(together * unit**2)
        known = len(layout.slots) - 1
        return unit, (*[each] * known, Component(bound=cases, scale=free))
    numbers, quantity = layout.numbers, model.quantity(layout.numbers.quantity)
    if kind is Kind.SUM:
        largest, halves = max(abs(numbers.lower), abs(numbers.upper)), 1
    else:
        # Halves, so that the midpoint is a whole number of them.
        largest, halves = numbers.upper - numbers.lower, 2
    finer = -(-FINE_SCALE // largest)
    unit = largest * finer
    scale = quantity.scale * halves * finer
    summed = Component(
        bound=-(-cases * unit // scale), scale=scale, stored=cases * unit
    )
    if kind is Kind.SUM:
        return unit, (summed, Component(bound=cases, scale=unit))
    return unit, (
        summed,
        Component(bound=cases, scale=unit),
        Component(bound=cases, scale=math.isqrt(2 * unit**2)),
    )


def scales(vector: ComponentVector, layout: Layout) -> list[int]:
    """Return the scale of every entry of a vector over *layout*."""
    return [
        *([slot.scale for slot in vector.slots] * layout.n_cells),
        vector.persons.scale,
        vector.dropped.scale,
    ]
