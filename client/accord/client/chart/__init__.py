# SPDX-License-Identifier: Apache-2.0
"""Drawings of estimates with their noise, and with what has to be read with them.

Noise is always drawn, nothing is drawn between two figures that do not belong
together, and a suppressed figure has a sign and no number. What is written in a picture
is what is needed to read it alone: who stands behind it, of which release, and what is
not there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from accord.client.chart.bars import bars
from accord.client.chart.choropleth import choropleth, missing_in_words
from accord.client.chart.corridor import corridor, rest_in_words
from accord.client.chart.figures import Figures
from accord.client.chart.focus import focused
from accord.client.chart.heatmap import heatmap
from accord.client.chart.kinds import Kind, chosen
from accord.client.chart.outlines import outlines_of
from accord.client.chart.saving import checked, save
from accord.client.chart.side_by_side import side_by_side
from accord.client.chart.trend import trend
from accord.client.chart.words import heading, said
from accord.client.frames import missing

if TYPE_CHECKING:
    import altair as alt

    from accord.client.result import Result

__all__ = ["Kind", "chart", "checked", "save"]

Outlines = Mapping[str, Any] | str | os.PathLike[str]
"""A GeoJSON FeatureCollection, or the file that has it."""


def chart(
    results: Sequence[Result],
    kind: str | None = None,
    *,
    outlines: Outlines | None = None,
    named_by: str = "name",
) -> alt.LayerChart | alt.FacetChart:
    """Draw one release, or several side by side.

    Args:
        results: one release, or several that have their columns in common.
        kind: for one release: ``trend``, ``bars``, ``heatmap``, ``corridor`` or
            ``map``; chosen by the dimensions where it is not given.
        outlines: of regions, for a map.
        named_by: property of every outline with the region's name.

    Raises:
        ConfigurationError: LIBRARY_MISSING
        InvalidQuery: PICTURE_DOES_NOT_FIT, PICTURE_TOO_FULL, OUTLINES_NEEDED,
            OUTLINES_UNREADABLE, OUTLINES_UNNAMED.
    """
    try:
        import altair as alt  # noqa: F401 - says early what is missing
    except ImportError:
        raise missing("altair", extra="plots") from None
    if len(results) != 1:
        return side_by_side(results)
    figures = Figures(results[0])
    wanted = chosen(figures, kind, on_map=outlines is not None)
    if wanted is Kind.MAP and outlines is not None:
        return _map(figures, outlines, named_by)
    return _drawn(figures, wanted)


def _drawn(every: Figures, kind: Kind) -> alt.LayerChart | alt.FacetChart:
    drawn: alt.LayerChart | alt.FacetChart
    if kind is Kind.CORRIDOR:
        noise = "Ribbons, dark, middle and pale: lower bound, estimate, upper bound"
        words = said(every, noise, *rest_in_words(every), sign="not drawn")
        drawn = corridor(every, *every.dimensions)
        return drawn.properties(title=_title(every, words))
    figures, left_out = focused(every)
    if kind is Kind.HEATMAP:
        noise = "Stripes of a cell, lower bound, estimate, upper bound"
        words = said(every, noise, *left_out)
        drawn = heatmap(figures, *_across_and_down(figures))
    elif kind is Kind.TREND and figures.time is not None:
        words = said(every, "Band and bars", *left_out, whole=True)
        drawn = trend(figures, figures.time)
    else:
        words = said(every, "Bars", *left_out, whole=True)
        drawn = bars(figures)
    return drawn.properties(title=_title(every, words))


def _map(figures: Figures, given: Outlines, named_by: str) -> alt.LayerChart:
    (name,) = figures.dimensions
    outlines = outlines_of(given, named_by)
    noise = "Colour: estimate. Ring and disc, by area: upper and lower bound"
    more = missing_in_words(figures, name, outlines)
    drawn = choropleth(figures, name, outlines)
    return drawn.properties(title=_title(figures, said(figures, noise, *more)))


def _across_and_down(figures: Figures) -> tuple[str, str]:
    """Return the dimension for the columns, time or that of fewer values, and other."""
    first, second = figures.dimensions
    if figures.time is not None:
        return figures.time, first if figures.time == second else second
    if len(figures.values(first)) < len(figures.values(second)):
        return first, second
    return second, first


def _title(figures: Figures, lines: Iterable[str]) -> alt.TitleParams:
    return heading(figures.result.title(), list(lines))
