# SPDX-License-Identifier: Apache-2.0
"""Figures over time: a mark for each, and the band that the truth can be in.

The line joins periods that follow each other and have both a number; elsewhere it is
interrupted, since nothing is known of what lies between. Every other dimension has a
panel of its own: bands that lie over each other cannot be read.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from accord.client.chart.figures import Figures
from accord.client.chart.look import FAINT, INK, LABEL, MAIN
from accord.client.chart.panels import Panels
from accord.client.chart.periods import axis_of, labelled, place_of, runs

if TYPE_CHECKING:
    import altair as alt

RUN: Final = "run"
"""Field: periods with the same number are joined."""

_LABEL_WIDTH: Final = 58
"""Pixels that the label of a period needs."""

_CLOSE: Final = 10
"""Pixels between two marks below which they are small."""

_ALONE: Final = 300
_SMALL: Final = 130
"""Pixels from bottom to top, of one picture and of one of many."""


def trend(figures: Figures, time: str) -> alt.LayerChart | alt.FacetChart:
    """Draw figures over *time*."""
    import altair as alt

    others = tuple(name for name in figures.dimensions if name != time)
    panels = Panels(figures, others)
    height = _SMALL if others else _ALONE
    axis = axis_of(figures.values(time))
    named = labelled(axis, panels.width // _LABEL_WIDTH)
    unplaced = sum(place_of(value) is None for value in named)
    narrow = panels.width / len(axis) < _LABEL_WIDTH
    x = alt.X(
        time,
        type="ordinal",
        scale=alt.Scale(domain=axis),
        title=None if others else figures.title(time),
        axis=alt.Axis(
            values=named,
            labelAngle=-45 if narrow and unplaced > 1 else 0,
            labelFontSize=LABEL,
            labelOverlap=False,
            grid=False,
        ),
    )
    wide = panels.width / len(axis) >= _CLOSE
    base = alt.Chart().encode(x=x)
    shown = base.transform_filter("isValid(datum.estimate)")
    marks = [_zero()] if figures.is_count or figures.is_share else []
    if figures.has_whole:
        marks += _interval(shown, figures, "whole_", band=0.13, rule="#a6cbe3")
    marks += _interval(shown, figures, "", band=0.28, rule="#4d9cc9")
    y = _y(figures, "estimate")
    marks += [
        shown.mark_line(color=MAIN, strokeWidth=1.2).encode(
            y=y, detail=alt.Detail(RUN, type="nominal")
        ),
        shown.mark_point(
            filled=True, size=26 if wide else 8, color=INK, opacity=1
        ).encode(y=y, tooltip=figures.hover()),
        base.transform_filter("isValid(datum.suppressed)")
        .mark_text(color=FAINT, fontSize=LABEL, fontWeight="bold")
        .encode(text="suppressed:N", y=alt.value(height - 7)),
    ]
    points = panels.placed(_joined(figures, time, others))
    drawn = alt.LayerChart(layer=marks, data=alt.InlineData(values=points))
    drawn = drawn.properties(width=panels.width, height=height)
    return panels.arranged(drawn, figures.title(time))


def _joined(
    figures: Figures, time: str, others: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the rows in the order of time, each with the run that it belongs to."""
    place = {value: index for index, value in enumerate(axis_of(figures.values(time)))}

    def series(point: dict[str, Any]) -> tuple[str, ...]:
        return tuple(point[name] for name in others)

    order = {name: index for index, name in enumerate(map(series, figures.points))}
    rows = sorted(
        figures.points, key=lambda row: (order[series(row)], place[row[time]])
    )
    joined = []
    for name, group in itertools.groupby(rows, key=series):
        members = list(group)
        shown = [row for row in members if "estimate" in row]
        numbers = zip(shown, runs([row[time] for row in shown]), strict=True)
        joined += [row | {RUN: f"{order[name]}.{number}"} for row, number in numbers]
        joined += [row for row in members if "estimate" not in row]
    return joined


def _interval(
    shown: alt.Chart, figures: Figures, prefix: str, *, band: float, rule: str
) -> list[alt.Chart]:
    """Return band and bars: a figure that is joined to none has a bar at least."""
    import altair as alt

    y, y2 = _y(figures, f"{prefix}lower"), alt.Y2(f"{prefix}upper")
    return [
        shown.mark_area(color=MAIN, opacity=band).encode(
            y=y, y2=y2, detail=alt.Detail(RUN, type="nominal")
        ),
        shown.mark_rule(color=rule, strokeWidth=1.5).encode(y=y, y2=y2),
    ]


def _y(figures: Figures, field: str) -> alt.Y:
    import altair as alt

    return alt.Y(
        field,
        type="quantitative",
        title=figures.axis(),
        scale=alt.Scale(
            zero=figures.is_count or figures.is_share,
            domain=alt.Undefined if figures.shown else [0, 1],
        ),
        axis=alt.Axis(
            format=figures.number_format(),
            labels=bool(figures.shown),
            labelFontSize=LABEL,
            tickCount=5,
            gridColor="#ececec",
        ),
    )


def _zero() -> alt.Chart:
    """Return the line at nothing, which estimates can be below."""
    import altair as alt

    line = alt.Chart().mark_rule(color=FAINT, strokeWidth=1)
    zero: alt.Chart = line.encode(y=alt.YDatum(0))
    return zero
