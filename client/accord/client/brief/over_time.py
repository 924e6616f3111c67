# SPDX-License-Identifier: Apache-2.0
"""Sentences on series: the newest figure, its year-old sister, changes, breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from accord.client.brief.spans import span_of, spoken, subject_of
from accord.client.result import Result
from accord.client.trends.changes import ChangePoints, Searched, change_points
from accord.client.trends.hotspots import HotSpots, hot_spots
from accord.client.trends.scan import NEEDED
from accord.client.trends.seasons import Compared, difference_of, year_before
from accord.client.trends.series import Point, Series
from accord.core.messages import sentence

MOST_SERIES: Final = 5
"""Series with sentences of their own; those with a change of level come first."""

_MOST_HOT: Final = 6
_HOT: Final = 0.95


def trend_sentences(topic: Sequence[Result], language: str) -> list[str]:
    """Return what is to be said on the releases of one question over time."""
    found = change_points(topic)
    unit = topic[0].unit or topic[0].measure
    ordered = sorted(found, key=lambda each: not each.changes)
    said: list[str] = []
    for searched in ordered[:MOST_SERIES]:
        said += _of_series(searched, unit, language)
    if (left := len(found) - MOST_SERIES) > 0:
        said.append(sentence("brief.more", language, count=left))
    if len(found) > 1:
        said += _hot(hot_spots(topic), language)
    return [*said, *_common(found, language)]


def _of_series(searched: Searched, unit: str, language: str) -> Iterator[str]:
    series = searched.series
    if not series.points:
        return
    subject = subject_of(series.of, language)
    newest, *_ = reversed(series.points)
    earlier = series.points[-2] if len(series.points) > 1 else None
    yield _newest(series, newest, earlier, unit, language)
    last_year = year_before(newest.period)
    sister = next((p for p in series.points if p.period == last_year), None)
    if sister is not None and sister is not earlier:
        compared = difference_of(series, newest, sister)
        span = span_of(sister.estimate, unit)
        if span is not None and not compared.why:
            yield sentence(
                "brief.season",
                language,
                subject=subject,
                earlier=sister.period,
                earlier_lower=span[0],
                earlier_upper=span[1],
                verdict=_verdict(compared, language),
            )
    for change in searched.changes:
        yield sentence(
            f"brief.change.{'rise' if change.rises else 'fall'}",
            language,
            subject=subject,
            period=change.period,
            before=spoken(change.before, unit),
            after=spoken(change.after, unit),
        )
    if not searched.compared:
        needed = NEEDED[True]
        yield sentence("brief.change.too-few", language, subject=subject, needed=needed)
    elif not searched.changes:
        known = [p.period for p in series.points if p.estimate.estimate is not None]
        first, last = known[0], known[-1]
        yield sentence(
            "brief.change.none", language, subject=subject, first=first, last=last
        )


def _newest(
    series: Series, newest: Point, earlier: Point | None, unit: str, language: str
) -> str:
    subject, period = subject_of(series.of, language), newest.period
    span = span_of(newest.estimate, unit)
    if span is None:
        return sentence("brief.unknown-in", language, subject=subject, period=period)
    figure = sentence(
        "brief.figure-in",
        language,
        subject=subject,
        period=period,
        lower=span[0],
        upper=span[1],
    )
    if earlier is None:
        return figure
    compared = difference_of(series, newest, earlier)
    before = span_of(earlier.estimate, unit)
    if compared.why == "other-panel":
        other = sentence(
            "brief.other-panel", language, subject=subject, earlier=earlier.period
        )
        return f"{figure} {other}"
    if before is None:
        return figure
    return sentence(
        "brief.latest",
        language,
        subject=subject,
        lower=span[0],
        upper=span[1],
        period=period,
        earlier=earlier.period,
        earlier_lower=before[0],
        earlier_upper=before[1],
        verdict=_verdict(compared, language),
    )


def _verdict(compared: Compared, language: str) -> str:
    way = "rise" if (compared.difference or 0.0) >= 0.0 else "fall"
    if not compared.more_than_noise:
        said = "noise"
    elif compared.more_than_chance is None:
        said = "beyond"
    else:
        said = "more" if compared.more_than_chance else "chance"
    return sentence(f"brief.{way}.{said}", language)


def _hot(found: HotSpots, language: str) -> Iterator[str]:
    known = len(found) - len(found.unknown)
    hot = sorted(found.above(_HOT), key=lambda cell: -(cell.probability or 0.0))
    percent = f"{_HOT:.0%}"
    if hot:
        cells = [
            f"{subject_of(cell.of, language)} ({_percent(cell.probability)})"
            for cell in hot[:_MOST_HOT]
        ]
        if len(hot) > _MOST_HOT:
            cells.append(f"+{len(hot) - _MOST_HOT}")
        yield sentence(
            "brief.hot",
            language,
            percent=percent,
            period=hot[0].period,
            cells="; ".join(cells),
            known=known,
            chance=f"{found.expected_by_chance(_HOT):.1f}",
        )
    elif known:
        period = next(iter(found)).period
        yield sentence(
            "brief.hot.none", language, percent=percent, period=period, known=known
        )
    if found.unknown:
        amount = {"count": len(found.unknown), "all": len(found)}
        yield sentence("brief.hot.unknown", language, **amount)


def _percent(probability: float | None) -> str:
    """Return a probability that is never said to be certain."""
    return f"{min(probability or 0.0, 0.999):.1%}"


def _common(found: ChangePoints, language: str) -> Iterator[str]:
    """Yield what holds for all series of a question, each once."""
    series = [each.series for each in found]
    breaks = {(b.period, b.kind, b.text) for each in series for b in each.breaks}
    for period, kind, text in sorted(breaks):
        yield sentence(f"brief.break.{kind}", language, period=period, text=text)
    points = sum(len(each.points) for each in series)
    if hidden := sum(each.suppressed for each in series):
        amount = {"count": hidden, "all": points}
        yield sentence("brief.suppressed", language, **amount)
    unfinished = sorted({period for each in series for period in each.unfinished})
    if unfinished:
        names = [unfinished[0], *(["…", unfinished[-1]] if unfinished[1:] else [])]
        yield sentence("brief.unfinished", language, periods=" ".join(names))
    if any(each.compared for each in found):
        percent = f"{found.false_alarms:.0%}"
        yield sentence("brief.change.law", language, percent=percent)
