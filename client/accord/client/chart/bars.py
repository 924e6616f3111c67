# SPDX-License-Identifier: Apache-2.0
"""Figures side by side: bars from nothing to the estimate, each with its error bar.

Bars lie, since names of categories are long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from accord.client.chart.figures import Figures
from accord.client.chart.look import (
    FAINT,
    INK,
    LABEL,
    LIGHT,
    PALE,
    SERIES,
    in_short_lines,
    label_expression,
    series_colours,
)
from accord.client.chart.panels import Panels

if TYPE_CHECKING:
    import altair as alt

ALL: Final = "all"
"""Category of a release without dimensions, and name of its field."""

_STEP: Final = 24
_SERIES_STEP: Final = 13
"""Pixels of one bar: alone, and of several that belong to one category."""

_LINE: Final = 15
"""Pixels of a line of a label."""

_LETTER: Final = 6.2
"""Pixels of a letter of a label, about."""


def bars(figures: Figures) -> alt.LayerChart | alt.FacetChart:
    """Draw figures as bars with their intervals."""
    import altair as alt

    across, series, rest = _arranged(figures)
    values = figures.values(across) if across != ALL else [ALL]
    panels = Panels(figures, rest, margin=_margin(values))
    y = alt.Y(
        across,
        type="nominal",
        sort=values,
        title=None if across == ALL else figures.title(across),
        axis=alt.Axis(
            labelFontSize=LABEL,
            labelLimit=0,
            labelExpr=label_expression(values),
            labelOverlap=False,
        ),
        scale=alt.Scale(paddingInner=0.22),
    )
    base = alt.Chart().encode(y=y)
    step, count = _STEP, 1
    fill: dict[str, Any] = {"color": alt.value(LIGHT)}
    if series is not None:
        order = figures.values(series)
        step, count = _SERIES_STEP, len(order)
        base = base.encode(yOffset=alt.YOffset(series, type="nominal", sort=order))
        fill = {"color": _colours(figures, series)}
    lines = max((len(in_short_lines(value)) for value in values), default=1)
    step = max(step, _LINE * lines // count)
    shown = base.transform_filter("isValid(datum.estimate)")
    marks = [
        shown.mark_bar(stroke=FAINT, strokeWidth=0.5).encode(
            x=_x(figures, "estimate"),
            tooltip=figures.hover(),
            **fill,
        )
    ]
    if figures.has_whole:
        marks += _error_bar(shown, figures, "whole_", colour="#8a8a8a", width=1)
    marks += _error_bar(shown, figures, "", colour=INK, width=2.2)
    marks.append(
        base.transform_filter("isValid(datum.suppressed)")
        .mark_text(align="left", dx=4, color=FAINT, fontSize=LABEL, fontWeight="bold")
        .encode(text="suppressed:N", x=alt.XDatum(0))
    )
    points = panels.placed(figures.points)
    if across == ALL:
        points = [point | {ALL: ALL} for point in points]
    height = max(len(values) * count * step, 40)
    drawn = alt.LayerChart(layer=marks, data=alt.InlineData(values=points))
    drawn = drawn.properties(width=panels.width, height=height)
    return panels.arranged(drawn)


def _arranged(figures: Figures) -> tuple[str, str | None, tuple[str, ...]]:
    """Return what the bars are, what their colours are, and what has panels."""
    if not figures.dimensions:
        return ALL, None, ()
    across, *others = figures.dimensions
    series = next(
        (name for name in others if len(figures.values(name)) <= len(SERIES)), None
    )
    return across, series, tuple(name for name in others if name != series)


def _margin(values: list[str]) -> int:
    longest = max(
        (len(line) for value in values for line in in_short_lines(value)), default=0
    )
    return round(longest * _LETTER) + 40


def _colours(figures: Figures, series: str) -> alt.Color:
    import altair as alt

    order = figures.values(series)
    return alt.Color(
        series,
        type="nominal",
        sort=order,
        scale=alt.Scale(domain=order, range=series_colours(len(order))),
        legend=alt.Legend(
            title=figures.title(series),
            orient="top",
            labelLimit=0,
            labelFontSize=LABEL,
            columns=3,
            symbolType="square",
        ),
    )


def _error_bar(
    shown: alt.Chart, figures: Figures, prefix: str, *, colour: str, width: float
) -> list[alt.Chart]:
    """Return the interval as a line on a white one, so that it shows on any bar."""
    import altair as alt

    x, x2 = _x(figures, f"{prefix}lower"), alt.X2(f"{prefix}upper")
    halo = shown.mark_rule(color="white", strokeWidth=width + 2.5, opacity=0.85)
    line = shown.mark_rule(color=colour, strokeWidth=width)
    ends = shown.mark_tick(color=colour, thickness=1.5, size=8, opacity=1)
    drawn = [halo.encode(x=x, x2=x2), line.encode(x=x, x2=x2)]
    return [*drawn, *(ends.encode(x=_x(figures, f"{prefix}{end}")) for end in _ENDS)]


_ENDS: Final = ("lower", "upper")


def _x(figures: Figures, field: str) -> alt.X:
    import altair as alt

    return alt.X(
        field,
        type="quantitative",
        title=figures.axis(),
        scale=alt.Scale(domain=alt.Undefined if figures.shown else [0, 1]),
        axis=alt.Axis(
            format=figures.number_format(),
            labels=bool(figures.shown),
            labelFontSize=LABEL,
            tickCount=6,
            gridColor=PALE,
        ),
    )
