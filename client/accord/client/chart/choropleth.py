# SPDX-License-Identifier: Apache-2.0
"""Figures on a map of the deployment's own outlines.

The colour is the estimate. Beside it a pair of circles shows how firm that is: the ring
has the area of the upper bound, the disc in it that of the lower bound. A thin ring
around a full disc is a firm figure; an empty ring is one that may be nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from accord.client.chart.amount import amount
from accord.client.chart.figures import Figures
from accord.client.chart.look import (
    FAINT,
    INK,
    LABEL,
    SUPPRESSED,
    WIDTH,
    in_short_lines,
)
from accord.client.chart.outlines import Outline

if TYPE_CHECKING:
    import altair as alt

_TALLEST: Final = 520
_LARGEST: Final = 500
"""Square pixels of the largest ring."""

_NAMES: Final = 24
"""Regions whose names are written at most; a map of more is too full for them."""

_LISTED: Final = 12
"""Values without an outline that are listed one by one."""


def choropleth(
    figures: Figures, name: str, outlines: Mapping[str, Outline]
) -> alt.LayerChart:
    """Draw figures by the regions of dimension *name*."""
    import altair as alt

    rows = {point[name]: point for point in figures.points if point[name] in outlines}
    highest = max((row["upper"] for row in figures.shown), default=1.0)
    size = _size(outlines)
    shapes = [
        {"type": "Feature", "geometry": each.geometry()}
        | rows.get(each.name, {"outside": True, name: each.name})
        for each in outlines.values()
    ]
    ground = alt.Chart(alt.InlineData(values=shapes))
    marks = [
        ground.transform_filter("!isValid(datum.estimate)")
        .mark_geoshape(stroke="#8a8a8a", strokeWidth=0.7, strokeDash=[2, 2])
        .encode(
            color=alt.condition(
                "isValid(datum.outside)", alt.value("#efefef"), alt.value("#ffffff")
            )
        ),
        ground.transform_filter("isValid(datum.estimate)")
        .mark_geoshape(stroke="#5a5a5a", strokeWidth=0.7)
        .encode(
            color=amount(figures, "estimate"),
            tooltip=figures.hover(),
        ),
    ]
    symbols = [
        row | _symbol(figures, row, outlines[value], value, highest)
        for value, row in rows.items()
    ]
    spots = alt.Chart(alt.InlineData(values=symbols)).encode(
        longitude="longitude:Q", latitude="latitude:Q"
    )
    for field, colour in (("ring", "white"), ("disc", INK)):
        circle = spots.transform_filter("isValid(datum.estimate)").mark_circle(
            color=colour, opacity=1, stroke=INK, strokeWidth=1.2
        )
        marks.append(circle.encode(size=alt.Size(f"{field}:Q", scale=None)))
    text = spots.mark_text(
        fontSize=LABEL, color=INK, dy=17, lineHeight=13, baseline="top"
    )
    marks.append(text.encode(text="label:N"))
    hidden = spots.transform_filter("isValid(datum.suppressed)")
    marks.append(
        hidden.mark_text(color=FAINT, fontSize=14, fontWeight="bold").encode(
            text="suppressed:N"
        )
    )
    drawn = alt.LayerChart(layer=marks, data=alt.InlineData(values=[]))
    return drawn.properties(
        width=size[0],
        height=size[1],
        projection=alt.Projection(type="identity", reflectY=True),
        view=alt.ViewConfig(stroke=None),
    )


def missing_in_words(
    figures: Figures, name: str, outlines: Mapping[str, Outline]
) -> list[str]:
    """Return which figures have no outline and so are not on the map."""
    rows = {
        point[name]: point for point in figures.points if point[name] not in outlines
    }
    words = [
        f"{value}: {figures.label(row) if 'estimate' in row else SUPPRESSED}"
        for value, row in rows.items()
    ]
    if not words:
        return []
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return [f"Without an outline: {'; '.join(words[:_LISTED])}{more}."]


def _symbol(
    figures: Figures, row: dict[str, Any], outline: Outline, value: str, highest: float
) -> dict[str, Any]:
    x, y = outline.middle()
    figure = [figures.label(row)] if "estimate" in row else []
    named = len(figures.points) <= _NAMES
    label = [*(in_short_lines(value, 20) if named else []), *figure]
    found: dict[str, Any] = {"longitude": x, "latitude": y, "label": label}
    if figure:
        per_unit = _LARGEST / max(highest, 1e-9)
        found["ring"] = max(row["upper"], 0) * per_unit
        found["disc"] = max(row["lower"], 0) * per_unit
    return found


def _size(outlines: Mapping[str, Outline]) -> tuple[int, int]:
    points = [
        point
        for outline in outlines.values()
        for polygon in outline.polygons
        for point in polygon[0]
    ]
    wide = max(x for x, _ in points) - min(x for x, _ in points)
    tall = max(y for _, y in points) - min(y for _, y in points)
    ratio = tall / wide if wide > 0 else 1.0
    width = WIDTH if WIDTH * ratio <= _TALLEST else _TALLEST / max(ratio, 1e-9)
    return max(round(width), 120), max(round(width * ratio), 120)
