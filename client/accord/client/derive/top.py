# SPDX-License-Identifier: Apache-2.0
"""Which values of a public dimension have the largest figures, as far as noise tells.

A rank is an interval, never a number: a value's rank is at least one more than the
values that are clearly above it, and at most the number of values less those clearly
below. "Clearly" holds for all pairs of the table together (Bonferroni), so all rank
intervals hold together at the stated level. Besides, the probability to be among the
top *k* if nothing was known of the figures beforehand, from drawing the noise anew.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from accord.client.derive.figure import (
    UNKNOWN,
    Figure,
    check_counts,
    check_level,
    figure_of,
    joint_reach,
    values_of,
)
from accord.client.derive.table import NOISE_ONLY, Derived
from accord.client.result import Result
from accord.core.errors import InvalidQuery

_DRAWS: Final = 2000
"""Of the noise; probabilities are exact to about 0.02."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One value, with the ranks that it can have."""

    cell: Mapping[str, str]
    estimate: float | None
    """``None`` where it is suppressed."""
    best_rank: int
    worst_rank: int
    among_top: float | None
    """Probability that it is one of the largest *k*; ``None`` where suppressed."""
    surely: bool
    """Whether every rank that it can have is among the *k*."""

    @property
    def withheld(self) -> bool:
        """Whether it has no number."""
        return self.estimate is None

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        numbers = dataclasses.asdict(self)
        del numbers["cell"]
        return {**self.cell, **numbers}

    def __str__(self) -> str:
        """Return value, ranks and probability in words."""
        name = ", ".join(self.cell.values())
        if self.estimate is None:
            return f"{name}: – (suppressed), rank {self.best_rank} … {self.worst_rank}"
        return (
            f"{name}: {self.estimate:,.0f}, rank {self.best_rank} … {self.worst_rank}, "
            f"among the top with probability {self.among_top:.0%}"
        )


def top(
    result: Result, k: int, *, over: str | None = None, level: float = 0.95
) -> Derived[Ranked]:
    """Return the values that can be among the largest *k*, largest estimate first.

    Args:
        result: a release of counts.
        k: how many.
        over: the dimension that is ranked, within every cell of the others; without
            it, the only one. Its value ``unknown`` is not ranked.
        level: at which all rank intervals hold together.

    Raises:
        InvalidQuery: UNKNOWN_DIMENSION, NOT_COUNTS, TOP_OUT_OF_RANGE, CELL_INCOMPLETE
    """
    check_level(level)
    check_counts(result.measure)
    if over is None:
        if len(result.dimensions) != 1:
            raise InvalidQuery(
                "CELL_INCOMPLETE",
                "Say which dimension is ranked: over= one of "
                f"{', '.join(result.dimensions)}.",
            )
        over = result.dimensions[0]
    known = [value for value in values_of(result, over) if value != UNKNOWN]
    if not 1 <= k < len(known):
        raise InvalidQuery(
            "TOP_OUT_OF_RANGE",
            f"{over} has {len(known)} values: ask for the top 1 to {len(known) - 1}.",
        )
    groups: dict[tuple[str, ...], list[Figure]] = {}
    for row in result:
        each = figure_of(result, row)
        others = tuple(at for name, at in each.cell.items() if name != over)
        if each.cell[over] != UNKNOWN:
            groups.setdefault(others, []).append(each)
    pairs = sum(math.comb(len(figures), 2) for figures in groups.values())
    strict = 1 - (1 - level) / max(pairs, 1)
    limit = float(result.suppress_below)
    items = [
        each
        for figures in groups.values()
        for each in _ranked(figures, k, strict, limit)
        if each.best_rank <= k
    ]
    notes = [
        NOISE_ONLY,
        (
            "Ranks are what noise leaves possible, all together with probability "
            f"{level:.1%}. Values outside this list are clearly not among the top {k}."
        ),
        "Probabilities take nothing for known beforehand.",
    ]
    if any(row.values[result.dimensions.index(over)] == UNKNOWN for row in result):
        notes.append("What is unknown is not ranked; it could belong to any value.")
    return Derived(
        kind="top",
        title=f"{result.measure}: top {k} of {over}",
        items=tuple(items),
        level=level,
        releases=(result.id,),
        notes=tuple(notes),
    )


def _ranked(
    figures: Sequence[Figure], k: int, level: float, limit: float
) -> list[Ranked]:
    """Return ranks within one group.

    A suppressed figure is known to be below *limit*, so it is treated as being there:
    it may look larger than it is, never smaller.
    """
    at = [limit if each.estimate is None else each.estimate for each in figures]
    most = max((each.below for each in figures), default=0.0)
    sds = [most if each.estimate is None else each.below for each in figures]
    laplace = figures[0].laplace
    among = _among_top(at, sds, k, laplace=laplace)

    def clearly(larger: int, smaller: int) -> bool:
        apart = joint_reach(
            sds[larger], sds[smaller], level, apart=True, laplace=laplace
        )
        return figures[larger].estimate is not None and at[larger] - at[smaller] > apart

    found = []
    for place, each in enumerate(figures):
        others = [number for number in range(len(figures)) if number != place]
        worst = len(figures) - sum(clearly(place, other) for other in others)
        found.append(
            Ranked(
                cell=each.cell,
                estimate=each.estimate,
                best_rank=1 + sum(clearly(other, place) for other in others),
                worst_rank=worst,
                among_top=None if each.estimate is None else among[place],
                surely=worst <= k,
            )
        )
    order = sorted(range(len(found)), key=lambda number: -at[number])
    return [found[number] for number in order]


def _among_top(
    at: Sequence[float], sds: Sequence[float], k: int, *, laplace: bool
) -> list[float]:
    draws = random.Random(0)  # noqa: S311 - the same probabilities every time
    hits = [0] * len(at)
    figures = list(zip(at, sds, strict=True))
    for _ in range(_DRAWS):
        if laplace:
            drawn = [
                one + sd / math.sqrt(2) * (draws.expovariate(1) - draws.expovariate(1))
                for one, sd in figures
            ]
        else:
            drawn = [draws.gauss(one, sd) for one, sd in figures]
        largest = sorted(range(len(at)), key=drawn.__getitem__, reverse=True)
        for place in largest[:k]:
            hits[place] += 1
    return [count / _DRAWS for count in hits]
