# SPDX-License-Identifier: Apache-2.0
"""Changes of level that neither noise nor chance explains.

Every series is looked at by itself, and in it every panel (`trends.series`). The
false-alarm rate is that of one series: if nothing changes, so many series raise an
alarm. Panels share it (Bonferroni); where an alarm was raised, what lies before and
after it is searched again at the same rate (binary segmentation: Vostrikova, 1981).
A season or a slow drift is a change of level too: the null hypothesis has neither.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from accord.client.result import Result
from accord.client.trends.scan import NEEDED, Figures, likeliest_step, variances_of
from accord.client.trends.series import PanelChoice, Point, Series, series_of
from accord.core.errors import InvalidQuery

_RAREST: Final = 0.01
_MOST: Final = 0.5
"""False-alarm rates between which the simulated null can tell."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """From this period on, figures vary around another level."""

    period: str
    """The likeliest first one of the new level; neighbours are nearly as likely."""
    before: float
    after: float
    """Mean level of the figures on either side, up to the next changes."""
    sd: float
    """Of their difference, by noise and chance, were the place known beforehand."""
    p_value: float
    """Share of unchanging series that look at least as changed; at most so small as
    the simulation can tell."""

    @property
    def rises(self) -> bool:
        """Whether the new level is the higher one."""
        return self.after > self.before

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """One series and the changes of its level."""

    series: Series
    changes: tuple[ChangePoint, ...]
    compared: int
    """Figures that took part; the others are suppressed, or in panels too short."""
    dispersion: float | None
    """Variance over that of noise and Poisson's law, in the largest panel; as given, or
    as estimated, which is not below 1. ``None`` where nothing could be compared."""

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "of": dict(self.series.of),
            "changes": [each.as_json() for each in self.changes],
            "breaks": [each.as_json() for each in self.series.breaks],
            "points": len(self.series.points),
            "compared": self.compared,
            "suppressed": self.series.suppressed,
            "unfinished": list(self.series.unfinished),
            "dispersion": self.dispersion,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoints:
    """What was found in all series, and how often it would be found in nothing."""

    searched: tuple[Searched, ...]
    false_alarms: float
    """Of one series without any change."""
    panel: PanelChoice

    def __iter__(self) -> Iterator[Searched]:
        """Iterate over the series, in the order of the release's cells."""
        return iter(self.searched)

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.searched)

    @property
    def expected_by_chance(self) -> float:
        """Series with an alarm to expect, were there no change anywhere."""
        return self.false_alarms * sum(each.compared > 0 for each in self.searched)

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {
            "false_alarms": self.false_alarms,
            "expected_by_chance": self.expected_by_chance,
            "panel": self.panel,
            "series": [each.as_json() for each in self.searched],
        }


def change_points(
    releases: Result | Iterable[Result],
    *,
    false_alarms: float = 0.05,
    dispersion: float | None = None,
    panel: PanelChoice = "constant",
    since: str = "",
    until: str = "",
    known_breaks: Mapping[str, str] | None = None,
) -> ChangePoints:
    """Look for changes of level in every series of one or several releases.

    Null hypothesis, which the false-alarm rate is for: the figures of a panel have one
    expected value, and differ by the published noise and by chance. Measured rates
    and power are in ``docs/ref-methods.md``.

    Args:
        releases: one release by time, or several of one question.
        false_alarms: share of unchanging series with an alarm, from 0.01 to 0.5.
        dispersion: variance of the true counts over their mean, if it is known (1 for
            Poisson's law); finds more than an estimated one. Counts only.
        panel: ``constant`` or ``any``; see `series_of`.
        since: first period to look at.
        until: last one.
        known_breaks: periods from which on figures cannot be compared with earlier
            ones, with the reason.

    Raises:
        InvalidQuery: NO_SERIES, RELEASES_DIFFER, TREND_OPTION
    """
    if not _RAREST <= false_alarms <= _MOST:
        raise InvalidQuery("TREND_OPTION", "`false_alarms` lies between 0.01 and 0.5.")
    found = series_of(
        releases, panel=panel, since=since, until=until, known_breaks=known_breaks
    )
    if dispersion is not None and not (
        1.0 <= dispersion < math.inf and all(each.counts for each in found)
    ):
        raise InvalidQuery(
            "TREND_OPTION",
            "`dispersion` is a number of at least 1, and for counts of persons or "
            "cases only.",
        )
    return ChangePoints(
        searched=tuple(_searched(each, false_alarms, dispersion) for each in found),
        false_alarms=false_alarms,
        panel=panel,
    )


def _searched(
    series: Series, false_alarms: float, dispersion: float | None
) -> Searched:
    needed = NEEDED[dispersion is None]
    parts = [part for part in series.parts() if len(part) >= needed]
    changes: list[ChangePoint] = []
    inflation: float | None = None
    for part in sorted(parts, key=len):
        figures = Figures(
            values=tuple(_number(point.estimate.estimate) for point in part),
            sds=tuple(_number(point.estimate.sd) for point in part),
            counts=series.counts,
            dispersion=dispersion,
            laplace=series.laplace,
        )
        first = likeliest_step(figures)
        inflation = first.inflation if first else None
        steps = list(_steps(figures, 0, len(part), false_alarms / len(parts)))
        changes += _change_points(part, figures, steps)
    return Searched(
        series=series,
        changes=tuple(sorted(changes, key=lambda change: change.period)),
        compared=sum(map(len, parts)),
        dispersion=dispersion if dispersion is not None and parts else inflation,
    )


def _steps(
    figures: Figures, begin: int, end: int, false_alarms: float
) -> Iterator[tuple[int, float]]:
    """Yield index and p-value of every change, in order."""
    step = likeliest_step(figures.part(begin, end))
    if step is None or step.p_value > false_alarms:
        return
    at = begin + step.at
    yield from _steps(figures, begin, at, false_alarms)
    yield at, step.p_value
    yield from _steps(figures, at, end, false_alarms)


def _change_points(
    part: Sequence[Point], figures: Figures, steps: Sequence[tuple[int, float]]
) -> Iterator[ChangePoint]:
    edges = [0, *(at for at, _ in steps), len(part)]
    levels = [
        _level(figures.part(begin, end)) for begin, end in itertools.pairwise(edges)
    ]
    for index, (at, p_value) in enumerate(steps):
        (before, left), (after, right) = levels[index], levels[index + 1]
        yield ChangePoint(
            period=part[at].period,
            before=before,
            after=after,
            sd=math.sqrt(left + right),
            p_value=p_value,
        )


def _level(figures: Figures) -> tuple[float, float]:
    """Return the mean level of some figures, and its variance."""
    weights = [1.0 / each for each in variances_of(figures)]
    total = sum(weights)
    pairs = zip(weights, figures.values, strict=True)
    mean = math.fsum(weight * value for weight, value in pairs) / total
    step = likeliest_step(figures)
    return mean, (step.inflation if step else 1.0) / total


def _number(value: float | None) -> float:
    """Return a number that is known to be there."""
    return math.nan if value is None else value
