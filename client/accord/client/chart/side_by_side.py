# SPDX-License-Identifier: Apache-2.0
"""Several releases of one question, each under its edition and its agencies.

Every estimate is a mark with its interval: no line goes from one release to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from accord.client.chart.figures import Figures
from accord.client.chart.words import heading, provenance

if TYPE_CHECKING:
    import altair as alt

    from accord.client.result import Result

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
    colour = others[0] if others else across
    base = alt.Chart().encode(
        x=alt.X(across, type="ordinal", sort=order[across], title=_title(across)),
        color=alt.Color(
            colour,
            type="nominal",
            sort=order[colour],
            legend=alt.Legend(labelLimit=0, orient="top", columns=2)
            if others
            else None,
        ),
    )
    if others:
        base = base.encode(
            xOffset=alt.XOffset(colour, type="nominal", sort=order[colour])
        )
    y = alt.Y("lower", type="quantitative", title=every[0].axis())
    bars = base.mark_rule().encode(y=y, y2="upper")
    marks = base.mark_point(filled=True, size=40).encode(
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
