# SPDX-License-Identifier: Apache-2.0
"""The rows of a release, by its measure.

========  =====================  =======================  ====================
measure   rows of one cell       estimate                 parts
========  =====================  =======================  ====================
persons   one                    the count
cases     one                    the count
sum       one                    the sum                  unknown
mean      one                    midpoint + sum / count   sum, count, unknown
quantile  each bin, ``unknown``  cases in the bin
share     each value,            numerator / denominator  numerator,
          ``unknown``                                     denominator
values    each number,           persons with so many
          ``unknown``
========  =====================  =======================  ====================

The sum in a mean is of the distances from the midpoint of the quantity's bounds, which
halves what one case can add. Intervals of means and shares are those of
`accord.core.ratio`. A mean whose count is small and a share whose denominator or
numerator is small are not shown. Sums are: their noise covers the largest value of
every case that counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final

from accord.core.layout import Layout
from accord.core.measure import Bounding
from accord.core.model import DataModel
from accord.core.opened import OpenedNoise, half_width
from accord.core.query import Kind, Measure
from accord.core.ratio import LEVEL, ratio
from accord.core.terms import Terms
from accord.core.whole_error import (
    LARGEST_DROPPED_SHARE,
    WholeError,
    dropped_share,
    most_lost,
    whole_error,
)
from accord.hub.releases.figures import (
    DENOMINATOR,
    NO_INFORMATION,
    SMALL,
    Entries,
    ratio_estimate,
)
from accord.v1 import analyst_pb2

PARTS: Final = {
    Kind.SUM: ("unknown",),
    Kind.MEAN: ("sum", "count", "unknown"),
    Kind.SHARE: ("numerator", "denominator"),
}
"""Names of what estimates are computed from, or come with."""

_COUNTS: Final = frozenset({Kind.PERSONS, Kind.CASES})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A noisy vector that is read as a table."""

    model: DataModel
    terms: Terms
    noise: OpenedNoise
    noisy: Sequence[int]
    suppress_below: int

    @property
    def layout(self) -> Layout:
        """What its integers mean."""
        return self.terms.layout

    @property
    def measure(self) -> Measure:
        """What was asked for."""
        return self.layout.measure

    @property
    def level(self) -> float:
        """Level of the intervals, at least."""
        attained = half_width(self.noise).level
        return LEVEL if self.measure.kind in (Kind.MEAN, Kind.SHARE) else attained

    def persons(self) -> analyst_pb2.Estimate:
        """Return the persons with at least one cell."""
        persons = Entries(
            noise=self.noise,
            component=self.terms.vector.persons,
            suppress_below=self.suppress_below,
        )
        return persons.estimate(self.noisy[-2])

    def dropped(self) -> analyst_pb2.Estimate:
        """Return the groups that the bound left out."""
        dropped = Entries(noise=self.noise, component=self.terms.vector.dropped)
        return dropped.estimate(self.noisy[-1])

    def dropped_share(self) -> float:
        """Return the noisy part of groups that the bound left out, from 0 to 1.

        Of measures without a count of groups it is at most that: persons stand in
        for the groups that count.
        """
        vector = self.terms.vector
        counted = self.noisy[-2] / vector.persons.scale
        if self.measure.kind in _COUNTS:
            total = sum(self.noisy[: self.layout.n_entries]) / vector.slots[0].scale
            counted = max(counted, total)
        return dropped_share(counted, self.noisy[-1] / vector.dropped.scale)

    def whole(self) -> WholeError | None:
        """Return what to go below and above counts for the whole truth, if it is said.

        See `accord.core.whole_error`. Where there are no more cells than a person may
        count in, nothing can have been left out.
        """
        vector = self.terms.vector
        shown = sum(
            not self._entries(0).is_small(each)
            for each in self.noisy[: self.layout.n_entries]
        )
        if self._withheld() or not shown:
            return None
        counts = vector.slots[0].largest
        lost = 0
        if self.layout.n_cells > vector.groups:
            groups = most_lost(self.noise, self.noisy[-1], vector.dropped.scale)
            lost = groups * counts
        is_weighed = vector.bounding is Bounding.WEIGH
        return whole_error(
            self.noise,
            lost=lost,
            figures=shown,
            quantum=1 if is_weighed else vector.slots[0].scale,
        )

    def whole_withheld(self) -> str:
        """Return why nothing is said of the whole truth, in words; empty if it is."""
        if self._withheld():
            return self._withheld()
        if self.whole() is None:
            return "No figure is large enough to be shown."
        return ""

    def rows(self) -> Iterator[analyst_pb2.Row]:
        """Yield the rows, in order of the cells and slots."""
        width = len(self.layout.slots)
        whole = self.whole()
        for place, values in enumerate(self.layout.cells()):
            cell = self.noisy[place * width : (place + 1) * width]
            match self.measure.kind:
                case Kind.PERSONS | Kind.CASES:
                    figure = self._entries(0).estimate(cell[0], whole)
                    yield analyst_pb2.Row(values=values, estimate=figure)
                case Kind.SUM:
                    yield self._sum(values, cell)
                case Kind.MEAN:
                    yield self._mean(values, cell)
                case Kind.SHARE:
                    yield from self._shares(values, cell)
                case Kind.QUANTILE | Kind.VALUES:
                    for slot, name in enumerate(self.layout.slots):
                        yield analyst_pb2.Row(
                            values=(*values, name),
                            estimate=self._entries(slot).estimate(cell[slot]),
                        )

    def _sum(self, values: Sequence[str], cell: Sequence[int]) -> analyst_pb2.Row:
        shown = dataclasses.replace(self._entries(0), suppress_below=0)
        return analyst_pb2.Row(
            values=values,
            estimate=shown.estimate(cell[0]),
            parts=[self._entries(1).estimate(cell[1])],
        )

    def _mean(self, values: Sequence[str], cell: Sequence[int]) -> analyst_pb2.Row:
        summed, count, unknown = (self._entries(slot) for slot in range(3))
        parts = [
            dataclasses.replace(summed, suppress_below=0).estimate(cell[0]),
            count.estimate(cell[1]),
            unknown.estimate(cell[2]),
        ]
        if count.is_small(cell[1]):
            parts[0] = SMALL
            return analyst_pb2.Row(values=values, estimate=SMALL, parts=parts)
        found = ratio(
            self.noise, cell[0], summed.component.scale, cell[1], count.component.scale
        )
        return analyst_pb2.Row(
            values=values,
            estimate=ratio_estimate(found, float(self._midpoint())),
            parts=parts,
        )

    def _shares(
        self, values: Sequence[str], cell: Sequence[int]
    ) -> Iterator[analyst_pb2.Row]:
        whole = self._entries(0)
        denominator = whole.estimate(cell[0])
        last = len(self.layout.slots) - 1
        for slot, name in enumerate(self.layout.slots):
            part = self._entries(slot)
            figure = part.estimate(cell[slot])
            if slot == 0:
                continue
            if slot == last:
                estimate = NO_INFORMATION
            elif whole.is_small(cell[0]):
                estimate = DENOMINATOR
            elif part.is_small(cell[slot]):
                estimate = SMALL
            else:
                scale = part.component.scale
                estimate = ratio_estimate(
                    ratio(self.noise, cell[slot], scale, cell[0], whole.component.scale)
                )
            yield analyst_pb2.Row(
                values=(*values, name),
                estimate=estimate,
                parts=[figure, denominator],
            )

    def _midpoint(self) -> Fraction:
        quantity = self.model.quantity(self.measure.of)
        lower, upper = quantity.range
        return Fraction(lower + upper, 2 * quantity.scale)

    def _entries(self, slot: int) -> Entries:
        return Entries(
            noise=self.noise,
            component=self.terms.vector.slots[slot],
            suppress_below=self.suppress_below,
        )

    def _withheld(self) -> str:
        if self.measure.kind not in _COUNTS:
            return (
                "Only counts of persons and of cases have an interval for what the"
                " records say without the bound."
            )
        share = self.dropped_share()
        if share > LARGEST_DROPPED_SHARE:
            return (
                f"The bound left out about {share:.0%} of what was counted, more than"
                f" {float(LARGEST_DROPPED_SHARE):.0%}: too much to say what the"
                " records hold without it."
            )
        return ""


def slot_dimension(measure: Measure) -> str:
    """Return the name of the column that says which figure of a cell a row is."""
    several = measure.kind is Kind.QUANTILE or measure.kind.of_dimension
    return measure.of if several else ""


def unit(measure: Measure, model: DataModel) -> str:
    """Return the unit of the estimates."""
    match measure.kind:
        case Kind.PERSONS | Kind.VALUES:
            return "persons"
        case Kind.CASES | Kind.QUANTILE:
            return "cases"
        case Kind.SHARE:
            return "share"
        case Kind.SUM | Kind.MEAN:
            return model.quantity(measure.of).unit


def denominator(measure: Measure) -> str:
    """Return what shares and means are of, in words."""
    match measure.kind:
        case Kind.SHARE:
            return f"persons with any information on {measure.of}"
        case Kind.MEAN:
            return f"cases that record {measure.of}"
        case _:
            return ""
