# SPDX-License-Identifier: Apache-2.0
"""Several releases of one question, each under its edition and its agencies.

Every estimate is a mark with its interval: no line goes from one release to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from accord.client.chart.figures import Figures
from accord.client.chart.look import SERIES, WIDTH, fits, series_colours
from accord.client.chart.periods import axis_of, labelled
from accord.client.chart.words import heading, provenance

if TYPE_CHECKING:
    import altair as alt

    from accord.client.result import Result

_BESIDE: Final = 60
"""Pixels that the axis on the left takes."""

_TALL: Final = 260
_NARROWEST: Final = 120
_LABEL_WIDTH: Final = 58
_LETTER: Final = 7
"""Pixels of a picture, of the label of a period, and of a letter."""

_RELEASE: Final = "release"
"""Dimension that tells several releases apart."""


def side_by_side(results: Sequence[Result]) -> alt.LayerChart | alt.FacetChart:
    """Draw results that have their dimensions in common.

    Time, or else the first dimension, goes from left to right; the others are colours,
    columns and rows.
    """
    import altair as alt

    every = [Figures(result) for result in results]
    across, *others = _ordered(every)
    order = {name: _values(every, name) for name in (across, *others)}
    columns = len(order[others[1]]) if len(others) > 1 else 1
    width = max((WIDTH - _BESIDE) // columns, _NARROWEST)
    base = alt.Chart(width=width, height=_TALL).encode(
        x=_across(every, across, order[across], width)
    )
    if others:
        colour = others[0]
        base = base.encode(
            color=_colours(colour, order[colour]),
            xOffset=alt.XOffset(colour, type="nominal", sort=order[colour]),
        )
    y = alt.Y("lower", type="quantitative", title=every[0].axis())
    bars = base.mark_rule(strokeWidth=1.5).encode(y=y, y2="upper")
    marks = base.mark_point(filled=True, size=36, opacity=1).encode(
        y=alt.Y("estimate", type="quantitative")
    )
    drawn = alt.layer(bars, marks, data=alt.InlineData(values=_points(every)))
    title = heading(results[0].title(), _subtitle(every))
    if len(others) <= 1:
        return drawn.properties(title=title)
    beside: dict[str, Any] = {}
    for name, place in zip(others[1:], (alt.Column, alt.Row), strict=False):
        beside[place.__name__.lower()] = place(name, type="nominal", sort=order[name])
    return drawn.facet(**beside).properties(title=title)


def _across(
    every: Sequence[Figures], name: str, values: list[str], width: int
) -> alt.X:
    import altair as alt

    time = name in {each.time for each in every}
    axis = axis_of(values) if time else values
    named = labelled(axis, width // _LABEL_WIDTH) if time else axis
    return alt.X(
        name,
        type="ordinal",
        sort=axis,
        scale=alt.Scale(domain=axis),
        title=_title(name),
        axis=alt.Axis(
            values=named,
            labelAngle=0 if time or fits(axis, width // len(axis) // _LETTER) else -40,
            labelLimit=0,
            labelOverlap=False,
        ),
    )


def _colours(name: str, values: list[str]) -> alt.Color:
    import altair as alt

    few = len(values) <= len(SERIES)
    return alt.Color(
        name,
        type="nominal",
        sort=values,
        scale=alt.Scale(
            domain=values,
            range=series_colours(len(values)) if few else alt.Undefined,
        ),
        legend=alt.Legend(labelLimit=0, orient="top", columns=2),
    )


def _ordered(every: Sequence[Figures]) -> list[str]:
    """Return the dimensions to draw, time first."""
    names = [*every[0].dimensions, _RELEASE]
    times = {each.time for each in every}
    return sorted(names, key=lambda name: name not in times)


def _values(every: Sequence[Figures], name: str) -> list[str]:
    """Return the values of a dimension in layout order."""
    if name == _RELEASE:
        return [_label(each.result) for each in every]
    return list(dict.fromkeys(value for each in every for value in each.values(name)))


def _points(every: Sequence[Figures]) -> list[dict[str, Any]]:
    return [
        {_RELEASE: _label(each.result)} | row for each in every for row in each.shown
    ]


def _label(result: Result) -> str:
    return f"{result.edition}, {result.coverage.share} agencies ({result.id[:8]})"


def _title(name: str) -> str | None:
    return None if name == _RELEASE else name


def _subtitle(every: Sequence[Figures]) -> list[str]:
    """Return which agencies stand behind the figures, and what the bars are."""
    lines = [provenance(each.result) for each in every]
    level = every[0].result.level
    lines.append(f"Bars: {level:.1%} intervals, each figure by itself.")
    hidden = sum(len(each.points) - len(each.shown) for each in every)
    if hidden:
        lines.append(f"Suppressed figures ({hidden}) are not drawn.")
    return lines
