# SPDX-License-Identifier: Apache-2.0
"""The figures of one release: numbers with their intervals, and a drawing of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from accord.hub.transparency.markup import Content, Markup, element
from accord.hub.transparency.words import Speech, figure
from accord.v1 import analyst_pb2, common_pb2

_WIDTH: Final = 200
_HEIGHT: Final = 14
_MARGIN: Final = 6


@dataclasses.dataclass(frozen=True, slots=True)
class Axis:
    """From figures to places in the drawing; 0 is always on it."""

    least: float
    most: float

    @classmethod
    def of(cls, release: analyst_pb2.Release) -> Axis:
        """Return the axis on which all intervals of a release lie."""
        shown = [row.estimate for row in release.rows if not row.estimate.suppressed]
        return cls(
            least=min([0.0, *(each.lower for each in shown)]),
            most=max([0.0, *(each.upper for each in shown)]) or 1.0,
        )

    def place(self, value: float) -> float:
        """Return where a figure stands."""
        share = (value - self.least) / (self.most - self.least)
        return _MARGIN + share * (_WIDTH - 2 * _MARGIN)


def release_table(speech: Speech, release: analyst_pb2.Release) -> Markup:
    """Return the figures of a release as a table."""
    axis = Axis.of(release)
    level = f"{100 * release.level:.4g}"
    names = [_name(each) for each in release.by]
    if release.slot_dimension:  # one cell has several figures
        names.append(release.slot_dimension)
    head = [
        *(element("th", element("bdi", name), scope="col") for name in names),
        element("th", speech.say("column.estimate"), scope="col", class_="number"),
        element(
            "th",
            speech.say("column.interval", level=level),
            scope="col",
            class_="number",
        ),
        element("td"),
    ]
    rows = [
        element(
            "tr",
            *(
                element("th", element("bdi", value), scope="row")
                for value in row.values
            ),
            *_cells(speech, row.estimate, axis, release.unit),
        )
        for row in release.rows
    ]
    span = str(max(1, len(names)))
    for name, estimate in (
        ("row.persons", release.persons),
        ("row.dropped", release.dropped),
    ):
        label = element("th", speech.say(name), scope="row", colspan=span)
        rows.append(
            element("tr", label, *_cells(speech, estimate, None), class_="extra")
        )
    if not names:
        head.insert(0, element("td"))
        rows[0] = Markup(rows[0].replace("<tr>", "<tr><td></td>", 1))
    caption = speech.say("figures", rows=len(release.rows))
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", element("tr", *head)),
            element("tbody", *rows),
        ),
        class_="wide",
        role="region",
        tabindex="0",
        aria_label=caption,
    )


def _name(by: common_pb2.Grouping) -> str:
    if by.level in ("", by.dimension):
        return by.dimension
    return f"{by.dimension} ({by.level})"


def _cells(
    speech: Speech,
    estimate: analyst_pb2.Estimate,
    axis: Axis | None,
    unit: str = "",
) -> Iterator[Markup]:
    if estimate.suppressed:
        why = speech.known(f"suppressed.{estimate.why}") or speech.say("suppressed")
        yield element("td", why, colspan="3", class_="soft")
        return
    bounds = (figure(each, unit) for each in (estimate.lower, estimate.upper))
    yield _number(figure(estimate.estimate, unit))
    yield _number(" … ".join(bounds))
    yield element("td", _drawn(estimate, axis) if axis else "")


def _number(text: Content) -> Markup:
    return element("td", element("bdi", text, dir="ltr"), class_="number")


def _drawn(estimate: analyst_pb2.Estimate, axis: Axis) -> Markup:
    """Return the interval as a line and the estimate as a dot on it."""
    middle = str(_HEIGHT // 2)
    places = {
        name: f"{axis.place(value):.1f}"
        for name, value in (
            ("zero", 0.0),
            ("lower", estimate.lower),
            ("upper", estimate.upper),
            ("estimate", estimate.estimate),
        )
    }
    return element(
        "svg",
        element(
            "line",
            x1=places["zero"],
            x2=places["zero"],
            y1="0",
            y2=str(_HEIGHT),
            class_="zero",
        ),
        element(
            "line",
            x1=places["lower"],
            x2=places["upper"],
            y1=middle,
            y2=middle,
            class_="interval",
        ),
        element("circle", cx=places["estimate"], cy=middle, r="3.5", class_="dot"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=str(_WIDTH),
        height=str(_HEIGHT),
        aria_hidden="true",
    )
