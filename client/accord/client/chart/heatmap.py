# SPDX-License-Identifier: Apache-2.0
"""Two dimensions as a field of cells, each of which shows its own noise.

A cell has three stripes: lower bound, estimate, upper bound. Where the figure is firm
the cell is of one colour; where it is not, its left is visibly paler than its right,
and white where the interval reaches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from accord.client.chart.amount import amount
from accord.client.chart.figures import Figures
from accord.client.chart.look import (
    FAINT,
    INK,
    LABEL,
    WIDTH,
    fits,
    in_short_lines,
    label_expression,
)
from accord.client.chart.periods import axis_of, labelled

if TYPE_CHECKING:
    import altair as alt

STRIPES: Final = ("lower", "estimate", "upper")

_WRITTEN: Final = 62
"""Pixels that a cell needs for its figure to be written in it."""

_WIDEST: Final = 96
_LETTER: Final = 6.2
_PERIOD: Final = 58


def heatmap(figures: Figures, across: str, down: str) -> alt.LayerChart:
    """Draw figures as cells, *across* from left to right and *down* downwards."""
    import altair as alt

    columns, rows = figures.values(across), figures.values(down)
    time = figures.is_time(across)
    columns = axis_of(columns) if time else columns
    labels = [line for value in rows for line in in_short_lines(value)]
    margin = round(max(map(len, labels), default=0) * _LETTER) + 40
    width = min(max((WIDTH - margin) / len(columns), 6), _WIDEST)
    written = width >= _WRITTEN
    height = 30 if written or any(len(in_short_lines(v)) > 1 for v in rows) else 22
    base = alt.Chart().encode(
        x=_x(figures, across, columns, width=width, time=time),
        y=alt.Y(
            down,
            type="nominal",
            sort=rows,
            title=figures.title(down),
            scale=alt.Scale(paddingInner=0.08, paddingOuter=0.04),
            axis=alt.Axis(
                labelFontSize=LABEL,
                labelLimit=0,
                labelExpr=label_expression(rows),
                labelOverlap=False,
            ),
        ),
    )
    shown = base.transform_filter("isValid(datum.estimate)")
    hidden = base.transform_filter("isValid(datum.suppressed)")
    marks = [
        shown.transform_fold(list(STRIPES), as_=["stripe", "amount"])
        .mark_rect()
        .encode(
            xOffset=alt.XOffset(
                "stripe:N",
                sort=list(STRIPES),
                scale=alt.Scale(paddingInner=0, paddingOuter=0),
            ),
            color=amount(figures, "amount"),
            tooltip=figures.hover(),
        ),
        hidden.mark_rect(fill="white", stroke="#9a9a9a", strokeDash=[2, 2]),
        hidden.mark_text(color=FAINT, fontSize=LABEL, fontWeight="bold").encode(
            text="suppressed:N"
        ),
    ]
    if written:
        text = shown.mark_text(fontSize=LABEL, color=INK)
        marks.append(text.encode(text="label:N"))
    points = [_labelled(figures, point) for point in figures.points]
    drawn = alt.LayerChart(layer=marks, data=alt.InlineData(values=points))
    return drawn.properties(
        width=round(width * len(columns)), height=height * len(rows)
    )


def _labelled(figures: Figures, point: dict[str, Any]) -> dict[str, Any]:
    return point | {"label": figures.label(point)} if "estimate" in point else point


def _x(
    figures: Figures, across: str, columns: list[str], *, width: float, time: bool
) -> alt.X:
    import altair as alt

    letters = int(width / _LETTER)
    flat = time or fits(columns, letters)
    named = columns
    if time:
        named = labelled(columns, round(width * len(columns)) // _PERIOD)
    return alt.X(
        across,
        type="ordinal",
        sort=columns,
        title=figures.title(across),
        scale=alt.Scale(domain=columns, paddingInner=0.06, paddingOuter=0.03),
        axis=alt.Axis(
            values=named,
            labelAngle=0 if flat else -40,
            labelFontSize=LABEL,
            labelLimit=0,
            labelExpr=label_expression(
                columns, *([letters] if flat and not time else [])
            ),
            labelOverlap=False,
        ),
    )
