# SPDX-License-Identifier: Apache-2.0
"""Kinds of pictures, and which of them fit the dimensions of a release."""

from __future__ import annotations

import enum

from accord.client.chart.figures import Figures
from accord.client.chart.focus import FULL
from accord.core.errors import InvalidQuery

_PAIR = 2

_READABLE = 5
"""Values of a second dimension that bars are still read with."""


class Kind(enum.StrEnum):
    """A way to draw the figures of one release."""

    TREND = "trend"
    BARS = "bars"
    HEATMAP = "heatmap"
    CORRIDOR = "corridor"
    MAP = "map"


def fitting(figures: Figures) -> list[Kind]:
    """Return the kinds that fit; the first is the one that is taken unless told."""
    count = len(figures.dimensions)
    found = []
    if figures.time is not None:
        found.append(Kind.TREND)
    found.append(Kind.BARS)
    if count == _PAIR:
        found.append(Kind.HEATMAP)
        if figures.time is None:
            _, second = figures.dimensions
            if len(figures.values(second)) > _READABLE:
                found.remove(Kind.HEATMAP)
                found.insert(0, Kind.HEATMAP)
            if figures.is_count:
                large = all(len(figures.values(d)) > FULL for d in figures.dimensions)
                found.insert(0 if large else len(found), Kind.CORRIDOR)
    if count == 1 and figures.time is None:
        found.append(Kind.MAP)
    return found


def chosen(figures: Figures, kind: str | None, *, on_map: bool) -> Kind:
    """Return the kind to draw.

    Args:
        figures: of the release.
        kind: what was asked for, or ``None`` for what fits best.
        on_map: whether outlines were given.

    Raises:
        InvalidQuery: PICTURE_DOES_NOT_FIT, OUTLINES_NEEDED.
    """
    fit = fitting(figures)
    if kind is None and not on_map:
        return fit[0]
    wanted = kind or Kind.MAP
    if wanted not in fit or (on_map and wanted != Kind.MAP):
        raise InvalidQuery(
            "PICTURE_DOES_NOT_FIT",
            f"Release {figures.result.id} has {_dimensions(figures)} and cannot be "
            f"drawn as {wanted!r}{' with outlines' if on_map else ''}; what fits: "
            f"{', '.join(fit)}.",
        )
    if wanted == Kind.MAP and not on_map:
        raise InvalidQuery(
            "OUTLINES_NEEDED",
            f"A map of {figures.dimensions[0]} needs the outlines of its values: give "
            "a GeoJSON file, and the property that holds their names.",
        )
    return Kind(wanted)


def _dimensions(figures: Figures) -> str:
    names = figures.dimensions
    if not names:
        return "no dimensions"
    word = "dimension" if len(names) == 1 else "dimensions"
    return f"the {word} {', '.join(names)} ({figures.axis()})"
