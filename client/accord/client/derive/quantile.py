# SPDX-License-Identifier: Apache-2.0
"""Quantiles from noisy counts of public bins.

The answer is a bin, and a range of bins: finer than the bins nothing is known. A bin
can hold the quantile as long as the noise allows the counts up to its lower edge to be
less than that part of all, and those up to its upper edge to be as many. Both are
tested for every bin by itself, each at half of the error, so the true bin is in the
range with the stated level however many bins there are.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from accord.client.derive.figure import (
    UNKNOWN,
    Figure,
    check_level,
    figure_of,
    reach,
)
from accord.client.derive.table import NOISE_ONLY, Derived
from accord.client.result import Result
from accord.core.errors import InvalidQuery

_MEASURE: Final = re.compile(r"quantile\(.+\)")
_MEDIAN: Final = 0.5
_NUMBER: Final = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_CLOSED: Final = re.compile(rf"({_NUMBER})-({_NUMBER})")
_OPEN: Final = re.compile(rf"({_NUMBER})\+")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """In which bin a quantile is, and in which it can be."""

    cell: Mapping[str, str]
    part: float
    """Of all recorded numbers, up to the quantile: 0.5 is the median."""
    bin: str | None
    """Best guess; ``None`` where withheld."""
    lowest_bin: str | None
    highest_bin: str | None
    lower: float | None
    """Lower edge of the lowest bin."""
    upper: float | None
    """Upper edge of the highest; ``None`` too where that bin is open."""
    why: str
    """Why it is withheld, since any bin is possible: ``denominator`` (counts are not
    clearly above their noise) or ``suppressed`` (too many are)."""
    level: float

    @property
    def withheld(self) -> bool:
        """Whether it has no number."""
        return self.bin is None

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        numbers = dataclasses.asdict(self)
        del numbers["cell"]
        return {**self.cell, **numbers}

    def __str__(self) -> str:
        """Return the bins in words."""
        named = ", ".join(self.cell.values())
        name = f"{named}: " if named else ""
        if self.bin is None:
            return f"{name}– ({self.why})"
        if self.lowest_bin == self.highest_bin:
            return f"{name}in {self.bin}"
        return f"{name}in {self.bin}, at least {self.lowest_bin}, at most " + str(
            self.highest_bin
        )


def median(result: Result, *, level: float = 0.95) -> Derived[Quantile]:
    """Return the bin of the median of every cell. See `quantile`."""
    return quantile(result, _MEDIAN, level=level)


def quantile(result: Result, part: float, *, level: float = 0.95) -> Derived[Quantile]:
    """Return the bin of a quantile of every cell, with the bins that it can be in.

    Args:
        result: a release of the measure ``quantile(...)``.
        part: of the recorded numbers that are up to it, between 0 and 1.
        level: with which the true bin is among those that are named.

    Raises:
        InvalidQuery: NOT_BINS, QUANTILE_INVALID, LEVEL_INVALID
    """
    check_level(level)
    if _MEASURE.fullmatch(result.measure) is None:
        raise InvalidQuery(
            "NOT_BINS",
            f"A quantile needs a release of bins, and this one is of {result.measure}: "
            "ask with .quantile(QUANTITY) or .median(QUANTITY).",
        )
    if not 0 < part < 1:
        raise InvalidQuery(
            "QUANTILE_INVALID", "The part of a quantile is between 0 and 1."
        )
    cells: dict[tuple[str, ...], list[Figure]] = {}
    for row in result:
        if row.values[-1] != UNKNOWN:
            cells.setdefault(row.values[:-1], []).append(figure_of(result, row))
    name = "median" if part == _MEDIAN else f"quantile {part:g}"
    quantity = result.slot_dimension
    return Derived(
        kind="quantile",
        title=f"{name} of {quantity}",
        items=tuple(
            _quantile(
                dict(zip(result.by, values, strict=True)), bins, part, level, result
            )
            for values, bins in cells.items()
        ),
        level=level,
        releases=(result.id,),
        notes=(
            f"Resolution: the bins of {quantity}; nothing is known within a bin.",
            (
                f"Of cases whose {quantity} is recorded; how many are not is the "
                f"release's row {UNKNOWN!r}."
            ),
            NOISE_ONLY,
        ),
    )


def _quantile(
    cell: Mapping[str, str],
    bins: Sequence[Figure],
    part: float,
    level: float,
    result: Result,
) -> Quantile:
    slot = result.slot_dimension
    labels = [each.cell[slot] for each in bins]
    withheld = Quantile(
        cell=cell,
        part=part,
        bin=None,
        lowest_bin=None,
        highest_bin=None,
        lower=None,
        upper=None,
        why="denominator",
        level=level,
    )
    shown = [each for each in bins if each.estimate is not None]
    if not shown:
        return dataclasses.replace(withheld, why="suppressed")
    least, _ = _total(shown, [1.0] * len(shown), level)
    if least <= 0:
        return withheld
    edges = [
        _excess(bins, upto, part, level, float(result.suppress_below))
        for upto in range(1, len(bins))
    ]
    below = [(-math.inf, -math.inf, -math.inf), *edges]
    upto = [*edges, (math.inf, math.inf, math.inf)]
    possible = [
        place
        for place in range(len(bins))
        if below[place][0] < 0 and upto[place][2] >= 0
    ]
    guess = next(place for place in range(len(bins)) if upto[place][1] >= 0)
    first, last = min([*possible, guess]), max([*possible, guess])
    if last - first == len(bins) - 1:
        why = "denominator" if len(shown) == len(bins) else "suppressed"
        return dataclasses.replace(withheld, why=why)
    return dataclasses.replace(
        withheld,
        bin=labels[guess],
        lowest_bin=labels[first],
        highest_bin=labels[last],
        lower=edges_of(labels[first])[0],
        upper=edges_of(labels[last])[1],
        why="",
    )


def _excess(
    bins: Sequence[Figure], upto: int, part: float, level: float, limit: float
) -> tuple[float, float, float]:
    """Return the count up to an edge less that part of all: least, guess, most.

    A suppressed count is between 0 and what noise can hide above the limit; half of
    the error is for the figures that are shown, half for those that are not.
    """
    factors = [1 - part if place < upto else -part for place in range(len(bins))]
    shown = [
        (f, b) for f, b in zip(factors, bins, strict=True) if b.estimate is not None
    ]
    hidden = [f for f, b in zip(factors, bins, strict=True) if b.estimate is None]
    strict = (1 + level) / 2 if hidden else level
    figures = [each for _, each in shown]
    least, most = _total(figures, [factor for factor, _ in shown], strict)
    guess = (least + most) / 2
    if hidden:
        each = 1 - (1 - level) / 2 / len(hidden)
        sd = max(figure.below for figure in figures)
        highest = limit + reach(sd, each, laplace=figures[0].laplace)
        least += sum(min(0.0, factor * highest) for factor in hidden)
        most += sum(max(0.0, factor * highest) for factor in hidden)
        guess += sum(factor * limit / 2 for factor in hidden)
    return least, guess, most


def _total(
    figures: Sequence[Figure], factors: Sequence[float], level: float
) -> tuple[float, float]:
    """Return bounds of a weighted sum of figures of one release."""
    middle = sum(f * (e.estimate or 0.0) for f, e in zip(factors, figures, strict=True))
    if figures[0].laplace:
        each = 1 - (1 - level) / len(figures)
        half = sum(
            abs(f) * reach(e.below, each, laplace=True)
            for f, e in zip(factors, figures, strict=True)
        )
    else:
        sd = math.hypot(*(f * e.below for f, e in zip(factors, figures, strict=True)))
        half = reach(sd, level, laplace=False)
    return middle - half, middle + half


def edges_of(label: str) -> tuple[float | None, float | None]:
    """Return the edges that a bin's name says; ``None`` where it is open or silent."""
    if found := _CLOSED.fullmatch(label):
        return float(found[1]), float(found[2])
    if found := _OPEN.fullmatch(label):
        return float(found[1]), None
    return None, None
