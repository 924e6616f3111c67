# SPDX-License-Identifier: Apache-2.0
"""The same month, quarter or year, compared with earlier years.

Null hypotheses, each with its own verdict and false-alarm rate of 1 - level:

* ``more_than_noise``: the counted totals are the same, and the figures differ by noise
  alone. It says that something differs, not that it is unusual.
* ``more_than_chance``: the expected values are the same, and the totals differ by
  chance as well, with variance *dispersion* times the mean (1 for Poisson's law).

The half-width of a difference is the root of the sum of the squares of both figures'
half-widths: exact for Gaussian noise but for its lattice, too wide for Laplace's.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from accord.client.result import Result
from accord.client.trends.series import PanelChoice, Point, Series, series_of
from accord.core.errors import InvalidQuery


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One figure and that of an earlier year; all ``None`` where one is unknown."""

    of: Mapping[str, str]
    period: str
    earlier: str
    estimate: float | None
    earlier_estimate: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    """Interval of the difference of the counted totals, for noise alone."""
    sd: float | None
    more_than_noise: bool | None
    more_than_chance: bool | None
    """``None`` also where the measure is no count."""
    why: str
    """Why there is no comparison: ``suppressed``, ``other-panel``; empty else."""

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return dataclasses.asdict(self) | {"of": dict(self.of)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seasons:
    """Comparisons with earlier years."""

    compared: tuple[Compared, ...]
    level: float
    """Of every interval by itself; 1 - level is the false-alarm rate."""

    def __iter__(self) -> Iterator[Compared]:
        """Iterate over the comparisons: by cell, then period, nearest year first."""
        return iter(self.compared)

    def __len__(self) -> int:
        """Return their number."""
        return len(self.compared)

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "level": self.level,
            "compared": [each.as_json() for each in self.compared],
        }


def seasonal(
    releases: Result | Iterable[Result],
    *,
    years: int = 1,
    dispersion: float = 1.0,
    panel: PanelChoice = "constant",
    since: str = "",
    until: str = "",
    known_breaks: Mapping[str, str] | None = None,
) -> Seasons:
    """Compare every figure with the same month or quarter of earlier years.

    Args:
        releases: one release by time, or several of one question.
        years: how many years back.
        dispersion: of the true counts, for ``more_than_chance``.
        panel: ``constant`` or ``any``; see `series_of`.
        since: first period to look at, the earlier ones among them.
        until: last one.
        known_breaks: as in `series_of`.

    Raises:
        InvalidQuery: NO_SERIES, RELEASES_DIFFER, TREND_OPTION
    """
    if years < 1 or not 0.0 <= dispersion < math.inf:
        raise InvalidQuery(
            "TREND_OPTION", "`years` is at least 1, and `dispersion` at least 0."
        )
    found = series_of(
        releases, panel=panel, since=since, until=until, known_breaks=known_breaks
    )
    return Seasons(
        compared=tuple(
            compared
            for series in found
            for compared in _compared(series, years, dispersion)
        ),
        level=found[0].level if found else 0.95,
    )


def year_before(period: str, years: int = 1) -> str:
    """Return the same month or quarter so many years earlier."""
    return f"{int(period[:4]) - years:04d}{period[4:]}"


def _compared(series: Series, years: int, dispersion: float) -> Iterator[Compared]:
    points = {point.period: point for point in series.points}
    for point in series.points:
        for back in range(1, years + 1):
            earlier = points.get(year_before(point.period, back))
            if earlier is not None:
                yield difference_of(series, point, earlier, dispersion)


def difference_of(
    series: Series, point: Point, earlier: Point, dispersion: float = 1.0
) -> Compared:
    """Return how a figure of a series differs from an earlier one."""
    now, then = point.estimate, earlier.estimate
    unknown = now.estimate is None or then.estimate is None
    why = "suppressed" if unknown else ""
    if point.panel != earlier.panel:
        why = "other-panel"
    compared = Compared(
        of=series.of,
        period=point.period,
        earlier=earlier.period,
        estimate=now.estimate,
        earlier_estimate=then.estimate,
        **dict.fromkeys(_NUMBERS),
        why=why,
    )
    if why or now.estimate is None or then.estimate is None:
        return compared
    difference = now.estimate - then.estimate
    half = math.hypot(_half(point), _half(earlier))
    variance = (now.sd or 0.0) ** 2 + (then.sd or 0.0) ** 2
    beyond = None
    if series.counts:
        chance = dispersion * max(now.estimate + then.estimate, 0.0)
        limit = statistics.NormalDist().inv_cdf(0.5 + series.level / 2.0)
        wide = max(limit * math.sqrt(variance + chance), half)
        beyond = abs(difference) > wide
    return dataclasses.replace(
        compared,
        difference=difference,
        lower=difference - half,
        upper=difference + half,
        sd=math.sqrt(variance),
        more_than_noise=abs(difference) > half,
        more_than_chance=beyond,
    )


_NUMBERS = (
    *("difference", "lower", "upper", "sd"),
    *("more_than_noise", "more_than_chance"),
)


def _half(point: Point) -> float:
    """Return the half-width of a known figure's interval."""
    shown = point.estimate
    if shown.lower is None or shown.upper is None:
        return math.inf
    return (shown.upper - shown.lower) / 2.0
