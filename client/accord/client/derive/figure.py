# SPDX-License-Identifier: Apache-2.0
"""One released figure with its noise, and how far noise reaches when figures combine.

Noise of different figures of one release is drawn apart, and so is noise of different
releases. Only a release that was derived from another one shares its noise: then, and
under Laplace noise, whose sums have no simple law, each figure gets its part of the
error and the reaches are added, which holds whatever depends on what.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Final

from accord.client.result import Result, Row
from accord.core.errors import InvalidQuery, suggestion

UNKNOWN: Final = "unknown"
COUNTS: Final = frozenset({"persons", "cases"})
"""Measures whose figures are counts with noise of one known standard deviation."""

_LAPLACE: Final = "discrete-laplace"

_LEAST_LEVEL: Final = 0.5

_COMPUTED: Final = ("mean(", "share(")
"""Measures whose figures are computed from several; their errors are not symmetric."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a release.

    ``below`` and ``above`` are what one standard deviation is on either side. For
    counts both are the ``sd`` of the noise; for means and shares they come from the
    released interval, which need not be symmetric.
    """

    cell: Mapping[str, str]
    """Dimension to value."""
    estimate: float | None
    below: float
    above: float
    why: str
    """Why there is no estimate."""
    measure: str
    unit: str
    release: str
    root: str
    """Id of the release whose noise is in it."""
    laplace: bool

    @property
    def name(self) -> str:
        """Return a phrase such as ``region = norvale``."""
        named = (f"{name} = {value}" for name, value in self.cell.items())
        return ", ".join(named) or "all"

    @property
    def is_count(self) -> bool:
        """Whether it counts persons or cases."""
        return self.measure in COUNTS


def figure(result: Result, **cell: str) -> Figure:
    """Return one figure of a release, by a value for each of its dimensions.

    Raises:
        InvalidQuery: UNKNOWN_DIMENSION, UNKNOWN_VALUE, or CELL_INCOMPLETE.
    """
    for name, value in cell.items():
        known = values_of(result, name)
        if value not in known:
            raise InvalidQuery(
                "UNKNOWN_VALUE",
                f"The release has no value {value!r} of {name!r}."
                + suggestion(value, known),
            )
    for name in result.dimensions:
        if name not in cell:
            raise InvalidQuery(
                "CELL_INCOMPLETE",
                f"Say which value of {name!r} is meant; the release has several.",
            )
    wanted = tuple(cell[name] for name in result.dimensions)
    found = next((row for row in result if row.values == wanted), None)
    if found is None:
        raise InvalidQuery(
            "UNKNOWN_VALUE", "The release has no figure with these values together."
        )
    return figure_of(result, found)


def figure_of(result: Result, row: Row) -> Figure:
    """Return a row of *result* as a figure."""
    shown = row.estimate
    below = above = shown.sd or 0.0
    if result.measure.startswith(_COMPUTED) and shown.estimate is not None:
        unit = reach(1.0, result.level, laplace=False)
        if shown.lower is not None and shown.upper is not None:
            below = (shown.estimate - shown.lower) / unit
            above = (shown.upper - shown.estimate) / unit
    return Figure(
        cell=dict(zip(result.dimensions, row.values, strict=True)),
        estimate=shown.estimate,
        below=below,
        above=above,
        why=("suppressed" if shown.why == "small" else shown.why),
        measure=result.measure,
        unit=result.unit,
        release=result.id,
        root=result.derived_from or result.id,
        laplace=result.mechanism == _LAPLACE,
    )


def values_of(result: Result, dimension: str) -> list[str]:
    """Return the values of a dimension of *result*, in layout order.

    Raises:
        InvalidQuery: UNKNOWN_DIMENSION, with the nearest name.
    """
    if dimension not in result.dimensions:
        raise InvalidQuery(
            "UNKNOWN_DIMENSION",
            f"The release has no dimension {dimension!r}."
            + suggestion(dimension, result.dimensions),
        )
    place = result.dimensions.index(dimension)
    return list(dict.fromkeys(row.values[place] for row in result))


def check_counts(*measures: str) -> None:
    """Refuse what does not count.

    Raises:
        InvalidQuery: NOT_COUNTS
    """
    for measure in measures:
        if measure not in COUNTS:
            raise InvalidQuery(
                "NOT_COUNTS",
                f"This needs counts of persons or cases, and the release has {measure}:"
                " ask for the counts by themselves.",
            )


def check_level(level: float) -> None:
    """Refuse a level that is none.

    Raises:
        InvalidQuery: LEVEL_INVALID
    """
    if not _LEAST_LEVEL <= level < 1:
        raise InvalidQuery(
            "LEVEL_INVALID",
            "A level is at least 0.5 and below 1, such as 0.95.",
        )


def independent(first: Figure, second: Figure) -> bool:
    """Return whether the noise of two different figures was drawn apart."""
    return first.release == second.release or first.root != second.root


def reach(sd: float, level: float, *, laplace: bool) -> float:
    """Return how far noise of that deviation gets on either side with *level*."""
    if laplace:
        return sd / math.sqrt(2) * -math.log1p(-level)
    return sd * NormalDist().inv_cdf((1 + level) / 2)


def joint_reach(
    first: float, second: float, level: float, *, apart: bool, laplace: bool
) -> float:
    """Return how far the sum or difference of two noises gets with *level*.

    Args:
        first: deviation of one noise, times its factor.
        second: that of the other.
        level: of the result.
        apart: whether they were drawn independently.
        laplace: whether either is Laplace noise.
    """
    if apart and not laplace:
        return reach(math.hypot(first, second), level, laplace=False)
    each = (1 + level) / 2
    return sum(reach(sd, each, laplace=laplace) for sd in (first, second))
