# SPDX-License-Identifier: Apache-2.0
"""Flows from the values of one dimension to those of another, the largest ones.

A flow is as thick as its figure, three times over: a pale ribbon for the upper bound, a
darker one for the estimate, the darkest for the lower bound. What is not drawn is said
in words.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from accord.client.chart.figures import Figures
from accord.client.chart.look import FAINT, INK, LABEL, WIDTH, in_short_lines

if TYPE_CHECKING:
    import altair as alt

DRAWN: Final = 12
"""Flows that are drawn at most."""

_BOUNDS: Final = {"upper": "#dbe9f6", "estimate": "#a6cbe3", "lower": "#5fa3d1"}
"""Ribbons from the widest to the narrowest, with their colours."""

_TALL: Final = 360
"""Pixels that the ribbons share."""

_LEAST: Final = 17
"""Pixels that a flow has at least, so that its figure can be read."""

_APART: Final = 10
"""Pixels between two values of one side."""

_SIDE: Final = 190
"""Pixels for the names on each side."""

_HEAD: Final = -14
"""Pixels from the top to the names of the dimensions."""

_SIDES: Final[tuple[tuple[int, Literal["right", "left"], int], ...]] = (
    (0, "right", -8),
    (1, "left", 8),
)
"""Where the names of each side stand: side, alignment, pixels from the line."""

_STEPS: Final = 24
"""Points along one ribbon."""


@dataclasses.dataclass(frozen=True, slots=True)
class Flow:
    """One flow with the middle of its ends, in pixels from the top."""

    row: dict[str, Any]
    start: float
    end: float


def corridor(figures: Figures, source: str, target: str) -> alt.LayerChart:
    """Draw the largest flows from *source* to *target*."""
    import altair as alt

    rows = largest(figures)
    per_unit = _TALL / max(sum(row["upper"] for row in rows), 1e-9)
    flows, names, height = _placed(rows, source, target, per_unit)
    domain = alt.Scale(domain=[height, 0], nice=False, zero=False)
    width = WIDTH - 2 * _SIDE
    y = alt.Y("y:Q", scale=domain, axis=None)
    x = alt.X(
        "x:Q", scale=alt.Scale(domain=[0, 1], nice=False, range=[0, width]), axis=None
    )
    ribbon = alt.Chart(alt.InlineData(values=_ribbons(flows, source, target, per_unit)))
    marks = [
        ribbon.transform_filter(f"datum.bound === '{bound}'")
        .mark_area(color=colour, opacity=0.85)
        .encode(x=x, y=y, y2="y2:Q", detail="flow:N")
        for bound, colour in _BOUNDS.items()
    ]
    ends = alt.Chart(alt.InlineData(values=_labels(figures, flows, source, target)))
    figure = ends.mark_text(align="left", dx=6, fontSize=LABEL, color=INK)
    marks.append(figure.encode(x=x, y=y, text="label:N", tooltip=["label:N"]))
    for side, align, dx in _SIDES:
        at = [name for name in names if name["x"] == side]
        text = alt.Chart(alt.InlineData(values=at))
        head = {"x": side, "y": _HEAD, "name": figures.title((source, target)[side])}
        title = alt.Chart(alt.InlineData(values=[head]))
        marks += [
            text.mark_rule(color=FAINT, strokeWidth=3).encode(
                x=x, y=alt.Y("top:Q", scale=domain, axis=None), y2="foot:Q"
            ),
            text.mark_text(
                align=align, dx=dx, fontSize=LABEL, lineHeight=12, baseline="middle"
            ).encode(x=x, y=y, text="name:N"),
            title.mark_text(
                align=align, dx=dx, fontSize=LABEL, fontWeight="bold"
            ).encode(x=x, y=y, text="name:N"),
        ]
    drawn = alt.LayerChart(layer=marks, data=alt.InlineData(values=[]))
    return drawn.properties(
        width=width, height=round(height), view=alt.ViewConfig(stroke=None)
    )


def largest(figures: Figures) -> list[dict[str, Any]]:
    """Return the flows that are drawn: the largest above nothing, largest first."""
    rows = [row for row in figures.shown if row["estimate"] > 0]
    return sorted(rows, key=lambda row: -row["estimate"])[:DRAWN]


def rest_in_words(figures: Figures) -> list[str]:
    """Return what is not drawn, as sentences."""
    drawn = largest(figures)
    rest = [row for row in figures.shown if row not in drawn]
    if not drawn:
        return ["No flow has an estimate above nothing: none is drawn."]
    if len(drawn) == len(figures.points):
        return []
    count = f"{len(drawn)} of {len(figures.points):,}"
    words = [f"{count} flows are drawn, the largest: probably a little too large."]
    if rest:
        most = max(row["estimate"] for row in rest)
        upper = max(row["upper"] for row in rest)
        words.append(
            f"The other {len(rest):,} have estimates up to {figures.number(most)}, and "
            f"upper bounds up to {figures.number(math.ceil(upper))}."
        )
    return words


def _placed(
    rows: Sequence[dict[str, Any]], source: str, target: str, per_unit: float
) -> tuple[list[Flow], list[dict[str, Any]], float]:
    """Return flows and names with their places, and the height of it all."""
    thick = [max(row["upper"] * per_unit, _LEAST) for row in rows]
    middles: list[dict[int, float]] = []
    names: list[dict[str, Any]] = []
    bottoms = []
    order: dict[int, dict[str, int]] = {}
    for side, name in enumerate((source, target)):
        order[side] = _ordered(rows, name, order.get(0), source)
    for side, name in enumerate((source, target)):
        other = target if side == 0 else source
        at, middle = 0.0, {}
        for value in order[side]:
            top = at
            mine = [index for index, row in enumerate(rows) if row[name] == value]
            for index in sorted(mine, key=lambda i: order[1 - side][rows[i][other]]):
                middle[index] = at + thick[index] / 2
                at += thick[index]
            lines = in_short_lines(value, 26)
            centre = (top + at) / 2 - 6 * (len(lines) - 1)
            names.append(
                {"x": side, "y": centre, "top": top, "foot": at, "name": lines}
            )
            at += max(_APART, 12 * len(lines) + 2 - (at - top))
        middles.append(middle)
        bottoms.append(at - _APART)
    flows = [
        Flow(row, middles[0][index], middles[1][index])
        for index, row in enumerate(rows)
    ]
    return flows, names, max([*bottoms, 40.0])


def _ordered(
    rows: Sequence[dict[str, Any]],
    name: str,
    opposite: Mapping[str, int] | None,
    source: str,
) -> dict[str, int]:
    """Return the places of one side's values: near to where most of them comes from."""
    values = list(dict.fromkeys(row[name] for row in rows))
    if opposite is not None:
        values.sort(key=lambda value: _from(rows, name, value, opposite, source))
    return {value: index for index, value in enumerate(values)}


def _from(
    rows: Sequence[dict[str, Any]],
    name: str,
    value: str,
    opposite: Mapping[str, int],
    source: str,
) -> float:
    mine = [row for row in rows if row[name] == value]
    total = sum(row["estimate"] for row in mine)
    return float(sum(opposite[row[source]] * row["estimate"] for row in mine) / total)


def _ribbons(
    flows: Sequence[Flow], source: str, target: str, per_unit: float
) -> list[dict[str, Any]]:
    """Return the outlines of the ribbons."""
    points = []
    for flow in flows:
        name = f"{flow.row[source]} → {flow.row[target]}"
        for bound in _BOUNDS:
            half = max(flow.row[bound], 0) * per_unit / 2
            for step in range(_STEPS + 1):
                x = step / _STEPS
                middle = flow.start + (flow.end - flow.start) * _eased(x)
                points.append(
                    {"flow": name, "bound": bound, "x": x}
                    | {"y": middle - half, "y2": middle + half}
                )
    return points


def _eased(x: float) -> float:
    return x * x * (3 - 2 * x)


def _labels(
    figures: Figures, flows: Sequence[Flow], source: str, target: str
) -> list[dict[str, Any]]:
    return [
        {source: flow.row[source], target: flow.row[target], "x": 0, "y": flow.start}
        | {"label": figures.label(flow.row)}
        for flow in flows
    ]
