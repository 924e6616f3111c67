# SPDX-License-Identifier: Apache-2.0
"""How many times one count another one is.

The interval is Fieller's (1954): all ratios *r* for which ``numerator - r denominator``
is no further from 0 than its noise reaches. It needs a denominator that is clearly
above its noise, and is withheld otherwise, since any ratio would then be possible.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from accord.client.derive.figure import (
    Figure,
    check_counts,
    check_level,
    figure_of,
    independent,
    reach,
    values_of,
)
from accord.client.derive.table import NOISE_ONLY, Derived
from accord.client.result import Result
from accord.core.errors import InvalidQuery


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One count divided by another; no numbers where it is withheld."""

    cell: Mapping[str, str]
    ratio: float | None
    lower: float | None
    upper: float | None
    sd: float | None
    """First-order; the interval does not use it."""
    why: str
    """Why it is withheld: ``suppressed``, or ``denominator`` (not above its noise)."""
    level: float

    @property
    def withheld(self) -> bool:
        """Whether it has no number."""
        return self.ratio is None

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        numbers = dataclasses.asdict(self)
        del numbers["cell"]
        return {**self.cell, **numbers}

    def __str__(self) -> str:
        """Return the ratio in words."""
        name = ", ".join(self.cell.values()) or "ratio"
        if self.ratio is None:
            return f"{name}: – ({self.why})"
        return f"{name}: {self.ratio:.3g} ({self.lower:.3g} … {self.upper:.3g})"


def ratio(
    numerator: Figure,
    denominator: Figure,
    *,
    level: float = 0.95,
    cell: Mapping[str, str] | None = None,
) -> Ratio:
    """Return the ratio of two figures that are counts.

    Args:
        numerator: a figure of any release.
        denominator: another one, of the same release or not.
        level: of the interval.
        cell: how the ratio is named.

    Raises:
        InvalidQuery: NOT_COUNTS, SAME_FIGURE, LEVEL_INVALID
    """
    check_level(level)
    check_counts(numerator.measure, denominator.measure)
    if (numerator.release, numerator.cell) == (denominator.release, denominator.cell):
        raise InvalidQuery(
            "SAME_FIGURE", "Numerator and denominator are one and the same figure."
        )
    named = dict(cell or {})
    above, below = numerator.estimate, denominator.estimate
    if above is None or below is None:
        return _withheld(named, "suppressed", level)
    found = bounds(numerator, denominator, level)
    if found is None:
        return _withheld(named, "denominator", level)
    value = above / below
    return Ratio(
        cell=named,
        ratio=value,
        lower=found[0],
        upper=found[1],
        sd=math.hypot(numerator.below, value * denominator.below) / below,
        why="",
        level=level,
    )


def bounds(
    numerator: Figure, denominator: Figure, level: float
) -> tuple[float, float] | None:
    """Return Fieller's interval; ``None`` where the denominator may be nothing.

    Noise that is not Gaussian, or not drawn apart, gets a box instead of an ellipse.
    """
    top, bottom = numerator.estimate, denominator.estimate
    if top is None or bottom is None:
        return None
    laplace = numerator.laplace or denominator.laplace
    if laplace or not independent(numerator, denominator):
        each = (1 + level) / 2
        wide = reach(numerator.below, each, laplace=laplace)
        least = bottom - reach(denominator.below, each, laplace=laplace)
        most = 2 * bottom - least
        if least <= 0:
            return None
        corners = [(top + way * wide) / by for way in (-1, 1) for by in (least, most)]
        return min(corners), max(corners)
    a = reach(numerator.below, level, laplace=False) ** 2
    b = reach(denominator.below, level, laplace=False) ** 2
    square = bottom**2 - b
    if bottom <= 0 or square <= 0:
        return None
    middle = top * bottom / square
    half = math.sqrt(max(0.0, a * square + b * top**2)) / square
    return middle - half, middle + half


def ratios(
    result: Result, *, over: str, of: str, to: str, level: float = 0.95
) -> Derived[Ratio]:
    """Return, for every other cell, the ratio of two values of a dimension.

    Args:
        result: a release of counts.
        over: the dimension, such as ``gender``.
        of: value in the numerator.
        to: value in the denominator.
        level: of every interval by itself.

    Raises:
        InvalidQuery: UNKNOWN_DIMENSION, UNKNOWN_VALUE, NOT_COUNTS, SAME_FIGURE
    """
    check_counts(result.measure)
    known = values_of(result, over)
    for value in (of, to):
        if value not in known:
            raise InvalidQuery(
                "UNKNOWN_VALUE",
                f"The release has no value {value!r} of {over!r}; it has: "
                f"{', '.join(known)}.",
            )
    figures = _keyed(result, without=over)
    tops = {key: each for (key, value), each in figures.items() if value == of}
    bottoms = {key: each for (key, value), each in figures.items() if value == to}
    return _table(
        f"{result.measure}: {of} to {to}", _pairs(tops, bottoms), level, [result]
    )


def ratios_between(
    numerator: Result, denominator: Result, *, level: float = 0.95
) -> Derived[Ratio]:
    """Return the ratio of two releases with the same cells, cell by cell.

    Raises:
        InvalidQuery: RELEASES_DIFFER, NOT_COUNTS, SAME_FIGURE
    """
    check_counts(numerator.measure, denominator.measure)
    check_same_cells(numerator, denominator)
    tops, bottoms = _keyed(numerator), _keyed(denominator)
    pairs = _pairs(
        {key: each for (key, _), each in tops.items()},
        {key: each for (key, _), each in bottoms.items()},
    )
    title = f"{numerator.title()} to {denominator.title()}"
    return _table(title, pairs, level, [numerator, denominator])


def check_same_cells(first: Result, second: Result) -> None:
    """Refuse releases whose cells do not correspond.

    Raises:
        InvalidQuery: RELEASES_DIFFER
    """
    if (first.dimensions, first.levels) != (second.dimensions, second.levels):
        raise InvalidQuery(
            "RELEASES_DIFFER",
            f"Release {second.id} ({second.title()}) has other dimensions or levels "
            f"than {first.id} ({first.title()}); compare only what has the same cells.",
        )


def _keyed(
    result: Result, without: str = ""
) -> dict[tuple[tuple[tuple[str, str], ...], str], Figure]:
    found = {}
    for row in result:
        each = figure_of(result, row)
        key = tuple((name, at) for name, at in each.cell.items() if name != without)
        found[key, each.cell.get(without, "")] = each
    return found


_Key = tuple[tuple[str, str], ...]


def _pairs(
    tops: Mapping[_Key, Figure], bottoms: Mapping[_Key, Figure]
) -> Iterable[tuple[_Key, Figure, Figure]]:
    return ((key, tops[key], bottoms[key]) for key in tops if key in bottoms)


def _table(
    title: str,
    pairs: Iterable[tuple[_Key, Figure, Figure]],
    level: float,
    results: list[Result],
) -> Derived[Ratio]:
    items = tuple(
        ratio(top, bottom, level=level, cell=dict(key)) for key, top, bottom in pairs
    )
    notes = [NOISE_ONLY]
    if any(each.why == "denominator" for each in items):
        notes.append(
            "A ratio is withheld where its denominator is not clearly above its noise."
        )
    return Derived(
        kind="ratio",
        title=title,
        items=items,
        level=level,
        releases=tuple(each.id for each in results),
        notes=tuple(notes),
    )


def _withheld(cell: Mapping[str, str], why: str, level: float) -> Ratio:
    return Ratio(
        cell=cell, ratio=None, lower=None, upper=None, sd=None, why=why, level=level
    )
