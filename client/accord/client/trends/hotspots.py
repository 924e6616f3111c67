# SPDX-License-Identifier: Apache-2.0
"""How probable it is that a cell's rate is above its baseline.

Posterior probability under a flat prior, with a normal likelihood: the figure is the
rate plus noise (its published standard deviation) plus chance (*dispersion* times the
mean of figure and baseline). With that prior the probability is one minus the
one-sided p-value of "the rate is at its baseline", so of cells that are at their
baseline 5 % get a probability of 0.95 or more. That is the false-alarm rate of
`HotSpots.above`, and `expected_by_chance` counts it over all cells that were looked at.

A baseline that is itself estimated brings its own noise and chance. A suppressed
figure is unknown: such a cell has no probability and is never ranked below others.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from accord.client.result import Result
from accord.client.trends.seasons import year_before
from accord.client.trends.series import PanelChoice, Point, Series, series_of
from accord.core.errors import InvalidQuery

Baseline = Literal["earlier", "season"] | float | Mapping[tuple[str, ...], float]

_ENOUGH: Final = 2
"""Earlier figures that a baseline is made of, at least; more than half of all."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HotSpot:
    """One cell; numbers are ``None`` where it is unknown."""

    of: Mapping[str, str]
    period: str
    estimate: float | None
    sd: float | None
    """Of the figure around the cell's rate, by noise and chance."""
    baseline: float | None
    baseline_sd: float | None
    probability: float | None
    """That the rate is above its baseline."""
    why: str
    """Why there is none: ``suppressed``, ``no-baseline``; empty else."""

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return dataclasses.asdict(self) | {"of": dict(self.of)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HotSpots:
    """All cells of the newest period, in the order of the release."""

    cells: tuple[HotSpot, ...]
    prior: str = "flat"

    def __iter__(self) -> Iterator[HotSpot]:
        """Iterate over the cells, unknown ones among them."""
        return iter(self.cells)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.cells)

    @property
    def unknown(self) -> tuple[HotSpot, ...]:
        """Cells of which nothing can be said; they may be the hottest."""
        return tuple(cell for cell in self.cells if cell.probability is None)

    def above(self, probability: float = 0.95) -> tuple[HotSpot, ...]:
        """Return the cells that are above their baseline at least so probably."""
        return tuple(
            cell
            for cell in self.cells
            if cell.probability is not None and cell.probability >= probability
        )

    def expected_by_chance(self, probability: float = 0.95) -> float:
        """Return how many `above` would return if all cells were at their baseline."""
        return (1.0 - probability) * (len(self.cells) - len(self.unknown))

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        return {"prior": self.prior, "cells": [each.as_json() for each in self.cells]}


def hot_spots(
    releases: Result | Iterable[Result],
    *,
    baseline: Baseline = "earlier",
    dispersion: float = 1.0,
    period: str = "",
    panel: PanelChoice = "constant",
    since: str = "",
    known_breaks: Mapping[str, str] | None = None,
) -> HotSpots:
    """Return for every cell how probable it is that its rate is above its baseline.

    Args:
        releases: one release by time, or several of one question.
        baseline: ``earlier`` (the mean of the cell's earlier periods), ``season`` (of
            the same month or quarter of earlier years), one number, or a number for
            every cell by its values other than time. Numbers are taken as exact.
        dispersion: variance of true counts over their mean; ignored for other measures.
        period: the one to look at; the newest without it.
        panel: ``constant`` or ``any``; see `series_of`.
        since: first period that a baseline may use.
        known_breaks: as in `series_of`.

    Raises:
        InvalidQuery: NO_SERIES, RELEASES_DIFFER, TREND_OPTION
    """
    if isinstance(baseline, str) and baseline not in ("earlier", "season"):
        raise InvalidQuery(
            "TREND_OPTION",
            "`baseline` is `earlier`, `season`, a number, or a number for each cell.",
        )
    if not 0.0 <= dispersion < math.inf:
        raise InvalidQuery("TREND_OPTION", "`dispersion` is at least 0.")
    found = series_of(releases, panel=panel, since=since, known_breaks=known_breaks)
    newest = period or max(
        (point.period for series in found for point in series.points), default=""
    )
    cells = []
    for series in found:
        now = next((each for each in series.points if each.period == newest), None)
        if now is not None:
            cells.append(_hot_spot(series, now, baseline, dispersion))
    return HotSpots(cells=tuple(cells))


def _hot_spot(
    series: Series, now: Point, baseline: Baseline, dispersion: float
) -> HotSpot:
    known, noise = _baseline(series, now, baseline)
    shown = now.estimate
    cell = HotSpot(
        of=series.of,
        period=now.period,
        estimate=shown.estimate,
        sd=None,
        baseline=known,
        baseline_sd=None,
        probability=None,
        why="no-baseline" if known is None else "",
    )
    if shown.estimate is None or shown.sd is None:
        return dataclasses.replace(cell, why="suppressed")
    if known is None:
        return cell
    exact, count = noise is None, 1 if noise is None else noise[1]
    rate = known
    if not exact:
        rate = (shown.estimate + count * known) / (1 + count)
    chance = dispersion * max(rate, 0.0) if series.counts else 0.0
    variance = shown.sd**2 + chance
    of_baseline = 0.0 if noise is None else noise[0] + chance / count
    spread = math.sqrt(variance + of_baseline)
    score = (shown.estimate - known) / spread if spread else math.inf
    return dataclasses.replace(
        cell,
        sd=math.sqrt(variance),
        baseline_sd=math.sqrt(of_baseline),
        probability=statistics.NormalDist().cdf(score),
    )


def _baseline(
    series: Series, now: Point, baseline: Baseline
) -> tuple[float | None, tuple[float, int] | None]:
    """Return the baseline; with the variance by noise and the number of its figures."""
    if isinstance(baseline, Mapping):
        return baseline.get(tuple(series.of.values())), None
    if not isinstance(baseline, str):
        return float(baseline), None
    earlier = [
        point
        for point in series.points
        if point.period < now.period and point.panel == now.panel
    ]
    if baseline == "season":
        years = range(1, int(now.period[:4]) + 1)
        wanted = {year_before(now.period, back) for back in years}
        earlier = [point for point in earlier if point.period in wanted]
    values = _known(earlier)
    enough = 1 if baseline == "season" else _ENOUGH
    if len(values) < enough or 2 * len(values) <= len(earlier):
        return None, None
    mean = math.fsum(value for value, _ in values) / len(values)
    noise = math.fsum(sd * sd for _, sd in values) / len(values) ** 2
    return mean, (noise, len(values))


def _known(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [
        (point.estimate.estimate, point.estimate.sd)
        for point in points
        if point.estimate.estimate is not None and point.estimate.sd is not None
    ]
