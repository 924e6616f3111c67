# SPDX-License-Identifier: Apache-2.0
"""What is drawn of one release: its figures, dimension by dimension.

A suppressed figure is there with its place and without any number.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from accord.client.chart.look import SUPPRESSED
from accord.client.chart.periods import is_time

if TYPE_CHECKING:
    import altair as alt

    from accord.client.result import Result, Row

SHARE: Final = "share"
"""Unit of figures between 0 and 1."""

NO_INFORMATION: Final = "no-information"
"""Why the row of those of whom nothing is known has no share."""

_COUNTS: Final = ("persons", "cases")

_TINY: Final = 1e-9
"""Less than this over a whole number is an error of floating point."""

_SMALL: Final = 100
"""From here on a figure is written without a fraction."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """A release as a picture needs it."""

    result: Result
    left_out: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """Values of dimensions that are not drawn."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the columns that say which figure it is."""
        return self.result.dimensions

    @property
    def time(self) -> str | None:
        """The dimension of time, or ``None``."""
        return next((each for each in self.dimensions if self.is_time(each)), None)

    @property
    def is_share(self) -> bool:
        """Whether the figures are shares, written in per cent."""
        return self.result.unit == SHARE

    @property
    def is_count(self) -> bool:
        """Whether figures are counts, which can be compared by their size."""
        unit = self.result.unit or self.result.measure
        return unit in _COUNTS

    @property
    def has_whole(self) -> bool:
        """Whether there are intervals for the records without any bound."""
        return any(row.estimate.whole_upper is not None for row in self.result)

    @property
    def _counts_values(self) -> bool:
        return self.result.measure.startswith("values(")

    @functools.cached_property
    def points(self) -> list[dict[str, Any]]:
        """Rows of data: places, and numbers where they are not suppressed."""
        return [self._point(row) for row in self.result if self._is_drawn(row)]

    @property
    def shown(self) -> list[dict[str, Any]]:
        """Rows that have numbers."""
        return [point for point in self.points if "estimate" in point]

    @property
    def suppressed(self) -> int:
        """How many figures are suppressed because they are small."""
        return sum(row.estimate.suppressed for row in self.result) - self.uninformed

    @property
    def uninformed(self) -> int:
        """How many rows are of those of whom nothing is known, and have no share."""
        return sum(row.estimate.why == NO_INFORMATION for row in self.result)

    def is_time(self, name: str) -> bool:
        """Whether a dimension is one of time."""
        return is_time(self.values(name))

    def values(self, name: str) -> list[str]:
        """Return the values of a dimension, in layout order."""
        index = self.dimensions.index(name)
        without = self.left_out.get(name, frozenset())
        values = dict.fromkeys(row.values[index] for row in self.result)
        return [value for value in values if value not in without]

    def title(self, name: str) -> str:
        """Return a dimension with its level, where that has another name."""
        if name == self.result.slot_dimension and self._counts_values:
            return f"values of {name}"
        levels = dict(zip(self.result.by, self.result.levels, strict=False))
        level = levels.get(name, name)
        return name if level == name else f"{name} ({level})"

    def axis(self) -> str:
        """Return the title of the axis of numbers."""
        result = self.result
        if self.is_share:
            return "per cent"
        if self.is_count or not result.unit:
            return result.unit or result.measure
        return f"{result.measure}, {result.unit}"

    def number_format(self) -> str:
        """Return how an axis writes its numbers (d3-format)."""
        return "~%" if self.is_share else ",~f"

    def number(self, value: float) -> str:
        """Return a number as a label has it."""
        if self.is_share:
            return f"{value:.0%}"
        if self.is_count or abs(value) >= _SMALL:
            return f"{value:,.0f}"
        return f"{value:,.1f}"

    def label(self, row: Mapping[str, Any]) -> str:
        """Return an estimate with its half-width, rounded up, such as ``124 ±11``."""
        half = max(row["upper"] - row["estimate"], row["estimate"] - row["lower"])
        return f"{self.number(row['estimate'])} ±{self.number(self._upwards(half))}"

    def _upwards(self, half: float) -> float:
        steps = 100 if self.is_share else 1 if self.is_count or half >= _SMALL else 10
        return math.ceil(half * steps - _TINY) / steps

    def hover(self) -> list[alt.Tooltip]:
        """Return what is shown of a figure that is pointed at."""
        import altair as alt

        places = [alt.Tooltip(name, type="nominal") for name in self.dimensions]
        numbers = ("estimate", "lower", "upper")
        form = ".1%" if self.is_share else ",.1f"
        return [
            *places,
            *(alt.Tooltip(each, type="quantitative", format=form) for each in numbers),
        ]

    def _is_drawn(self, row: Row) -> bool:
        named = zip(self.dimensions, row.values, strict=True)
        return not any(value in self.left_out.get(name, ()) for name, value in named)

    def _point(self, row: Row) -> dict[str, Any]:
        point: dict[str, Any] = dict(zip(self.dimensions, row.values, strict=True))
        shown = row.estimate
        if shown.estimate is None:
            return point | {"suppressed": SUPPRESSED}
        point |= {"estimate": shown.estimate}
        point |= {"lower": shown.lower, "upper": shown.upper}
        if shown.whole_lower is not None and shown.whole_upper is not None:
            point |= {"whole_lower": shown.whole_lower}
            point |= {"whole_upper": shown.whole_upper}
        return point
