# SPDX-License-Identifier: Apache-2.0
"""Released figures in the order of time, and which of them can be compared.

A figure of other agencies, of another definition or under another bound belongs to
another series, however alike they look: its *panel* differs. By default only figures
of one panel are compared, so an agency that joins makes no trend. A suppressed figure
is unknown, not zero; a period that was not over when its edition was frozen is no
figure yet, and is left out.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from accord.client.coverage import warn_of
from accord.client.result import Estimate, Result
from accord.core.calendar import period_end
from accord.core.errors import InvalidQuery

PanelChoice = Literal["constant", "any"]

COUNTED: Final = frozenset({"persons", "cases"})
"""Measures whose figures vary at least by Poisson's law."""

LAPLACE: Final = "discrete-laplace"

_PERIOD: Final = re.compile(r"\d{4}(-(0[1-9]|1[0-2])|-Q[1-4])?")
_NO_PERIOD: Final = re.compile(r"unknown|\d{4}(-Q[1-4])?-\?\?")
"""What a dimension of time has for records that do not say when."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What figures must have in common to be compared."""

    answered: frozenset[str]
    parties: frozenset[str]
    """Signed membership, whoever of them answered."""
    first_parties: frozenset[str]
    """Signed membership of the first given release that could hold the period: who
    joined later may have brought no older records."""
    definitions: frozenset[tuple[str, str, str]]
    """How agencies record what was asked: agency, dimension, text."""
    bounds: tuple[int, int, str]
    """Groups of a person, cases of a group, and how the bound was kept."""
    known: int = 0
    """How many breaks that the analyst knows of lie before it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One figure of a series."""

    period: str
    estimate: Estimate
    release: str
    """Id of the release that it stands in."""
    version: int
    """Of the agreement."""
    panel: Panel


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """From this period on, figures belong to another panel."""

    period: str
    kind: str
    """``agencies``, ``membership``, ``definitions``, ``bounds`` or ``known``."""
    text: str
    """Names: who came and went, which dimensions, or the analyst's own words."""

    def as_json(self) -> dict[str, str]:
        """Return the documented form."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Figures of one cell over time."""

    of: Mapping[str, str]
    """Values of the other dimensions; empty where there is no other."""
    measure: str
    points: tuple[Point, ...]
    breaks: tuple[Break, ...]
    unfinished: tuple[str, ...]
    """Periods left out because they were not over."""
    laplace: bool
    level: float
    """Of the intervals of the figures."""
    suppress_below: int

    @property
    def counts(self) -> bool:
        """Whether the figures are numbers of persons or cases."""
        return self.measure in COUNTED

    @property
    def suppressed(self) -> int:
        """Figures that nobody knows."""
        return sum(point.estimate.estimate is None for point in self.points)

    def parts(self) -> list[list[Point]]:
        """Return the known figures, those of one panel together, in order of time."""
        found: dict[Panel, list[Point]] = {}
        for point in self.points:
            if point.estimate.estimate is not None:
                found.setdefault(point.panel, []).append(point)
        return list(found.values())


def series_of(
    releases: Result | Iterable[Result],
    *,
    panel: PanelChoice = "constant",
    since: str = "",
    until: str = "",
    known_breaks: Mapping[str, str] | None = None,
) -> list[Series]:
    """Return one series for every combination of the dimensions other than time.

    Time is the first dimension of time that is grouped; or else, over several
    releases, the one period that the filter of each is about. A period that several
    releases have is taken from the newest edition.

    Args:
        releases: one release by time, or several of one question.
        panel: ``constant`` compares only figures of the same agencies, membership,
            definitions and bounds; ``any`` compares them all, with a warning.
        since: first period to look at, such as ``2024-01``.
        until: last one.
        known_breaks: periods from which on figures cannot be compared with earlier
            ones, with the reason: an agency that joined brings no older records.

    Raises:
        InvalidQuery: NO_SERIES, RELEASES_DIFFER, TREND_OPTION
    """
    results = [releases] if isinstance(releases, Result) else list(releases)
    if panel not in ("constant", "any"):
        raise InvalidQuery(
            "TREND_OPTION", "`panel` is `constant` (the default) or `any`."
        )
    if not results:
        raise InvalidQuery("NO_SERIES", "There is no release to look at.")
    _must_be_one_question(results)
    known = dict(known_breaks or {})
    cells: dict[tuple[tuple[str, str], ...], dict[str, Point]] = {}
    unfinished: set[str] = set()
    results.sort(key=lambda each: (period_end(each.edition), each.released_at))
    for result in results:
        frozen = period_end(result.edition)
        for period, of, estimate in _figures(result):
            if (since and period < since) or (until and period > until):
                continue
            if period_end(period) > frozen:
                unfinished.add(period)
                continue
            cells.setdefault(of, {})[period] = Point(
                period=period,
                estimate=estimate,
                release=result.id,
                version=result.agreement_version,
                panel=_panel(
                    result,
                    first=_first_with(results, period),
                    known=sum(each <= period for each in known),
                ),
            )
    if panel == "any":
        cells = _as_one_panel(cells, results)
    return [
        Series(
            of=dict(of),
            measure=results[0].measure,
            points=(points := tuple(found[period] for period in sorted(found))),
            breaks=tuple(_breaks(points, known)),
            unfinished=tuple(sorted(unfinished)),
            laplace=any(each.mechanism == LAPLACE for each in results),
            level=min(each.level for each in results),
            suppress_below=max(each.suppress_below for each in results),
        )
        for of, found in cells.items()
    ]


def names_of(result: Result) -> tuple[str, ...]:
    """Return the names of every row's values, the slot's among them."""
    return (*result.by, *([result.slot_dimension] if result.slot_dimension else []))


def time_of(result: Result) -> str | None:
    """Return the first grouped dimension of time."""
    for index, name in enumerate(result.by):
        values = {row.values[index] for row in result}
        periods = [value for value in values if not _NO_PERIOD.fullmatch(value)]
        if periods and all(map(_PERIOD.fullmatch, periods)):
            return name
    return None


def period_of(result: Result) -> str | None:
    """Return the one period that the filter is about."""
    for values in result.where.values():
        if len(values) == 1 and _PERIOD.fullmatch(values[0]):
            return values[0]
    return None


def _figures(
    result: Result,
) -> Iterator[tuple[str, tuple[tuple[str, str], ...], Estimate]]:
    """Yield period, other values and figure of every row that has a period."""
    names, time = names_of(result), time_of(result)
    filtered = period_of(result) if time is None else None
    if time is None and filtered is None:
        raise InvalidQuery(
            "NO_SERIES",
            f"Release {result.id} ({result.title()}) has no order in time; ask by a "
            "dimension of time, or give releases that are each about one period.",
        )
    for row in result:
        values = dict(zip(names, row.values, strict=True))
        period = filtered if time is None else values.pop(time)
        if period is not None and _PERIOD.fullmatch(period):
            yield period, tuple(values.items()), row.estimate


def _must_be_one_question(results: Sequence[Result]) -> None:
    first = results[0]
    for other in results[1:]:
        if _question(other) != _question(first):
            raise InvalidQuery(
                "RELEASES_DIFFER",
                f"Release {other.id} ({other.title()}) asks something else than "
                f"{first.id} ({first.title()}); only figures of one question make a "
                "series.",
            )


def _question(result: Result) -> object:
    """Return what must be the same in all releases: all but the time of the filter."""
    where = {
        (name, values)
        for name, values in result.where.items()
        if not all(map(_PERIOD.fullmatch, values))
    }
    return result.agreement, result.measure, result.by, result.levels, where


def _first_with(results: Sequence[Result], period: str) -> Result:
    """Return the first release, in order of editions, after the period was over."""
    over = period_end(period)
    return next(each for each in results if period_end(each.edition) >= over)


def _parties(result: Result) -> frozenset[str]:
    return frozenset((*result.coverage.answered, *result.coverage.missing))


def _panel(result: Result, *, first: Result, known: int) -> Panel:
    return Panel(
        answered=frozenset(result.coverage.answered),
        parties=_parties(result),
        first_parties=_parties(first),
        definitions=frozenset(
            (each.agency, each.dimension, each.text) for each in result.definitions
        ),
        bounds=(result.groups_per_person, result.cases_per_group, result.bounding),
        known=known,
    )


def _breaks(points: Sequence[Point], known: Mapping[str, str]) -> Iterator[Break]:
    for before, after in itertools.pairwise(points):
        old, new, period = before.panel, after.panel, after.period
        for day in sorted(known):
            if before.period < day <= period:
                yield Break(period=period, kind="known", text=known[day])
        if old.parties != new.parties:
            text = f"{_moved(old.parties, new.parties)}; version {after.version}"
            yield Break(period=period, kind="membership", text=text)
        elif old.first_parties != new.first_parties:
            text = _moved(old.first_parties, new.first_parties)
            yield Break(period=period, kind="membership", text=text)
        elif old.answered != new.answered:
            text = _moved(old.answered, new.answered)
            yield Break(period=period, kind="agencies", text=text)
        changed = old.definitions ^ new.definitions
        if changed:
            text = ", ".join(
                sorted({f"{agency} {what}" for agency, what, _ in changed})
            )
            yield Break(period=period, kind="definitions", text=text)
        if old.bounds != new.bounds:
            yield Break(period=period, kind="bounds", text=f"version {after.version}")


def _moved(old: frozenset[str], new: frozenset[str]) -> str:
    """Return who came and went, such as ``+city-police, -hotline``."""
    came = (f"+{name}" for name in sorted(new - old))
    return ", ".join([*came, *(f"-{name}" for name in sorted(old - new))])


def _as_one_panel(
    cells: Mapping[tuple[tuple[str, str], ...], dict[str, Point]],
    results: Sequence[Result],
) -> dict[tuple[tuple[str, str], ...], dict[str, Point]]:
    """Return the figures as if all could be compared, and warn where they cannot."""
    panels = {point.panel for found in cells.values() for point in found.values()}
    if len(panels) > 1:
        warn_of(
            "These figures do not stand on the same agencies, definitions and bounds, "
            "and are compared all the same: a change among them can come from that "
            "alone.",
            [f"{each.id} in any panel" for each in results],
            above=2,
        )
    first = next(iter(panels))
    return {
        of: {
            period: dataclasses.replace(point, panel=first)
            for period, point in found.items()
        }
        for of, found in cells.items()
    }
