# SPDX-License-Identifier: Apache-2.0
"""Outlines of the deployment's own regions, as GeoJSON that the analyst gives.

Nothing is fetched from anywhere. Of every outline only its shape and one name are
taken; degrees are made narrower towards the poles, plane coordinates stay as they are.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from accord.core.errors import InvalidQuery

Point = tuple[float, float]
Ring = list[Point]

_CORNERS: Final = 3
_EAST: Final = 180
_NORTH: Final = 90
"""Degrees that there are; what has more is in a plane."""

_LARGEST: Final = 50_000_000
"""Bytes of a file at most."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outline:
    """One region: its polygons, each an outer ring and its holes."""

    name: str
    polygons: tuple[tuple[Ring, ...], ...]

    def middle(self) -> Point:
        """Return the centre of gravity of the largest polygon."""
        ring = max((polygon[0] for polygon in self.polygons), key=_size)
        return _centre(ring)

    def geometry(self) -> dict[str, Any]:
        """Return GeoJSON with clockwise outer rings, and holes the other way."""
        return {
            "type": "MultiPolygon",
            "coordinates": [
                [
                    _turned(ring, clockwise=index == 0)
                    for index, ring in enumerate(polygon)
                ]
                for polygon in self.polygons
            ],
        }


def outlines_of(
    given: Mapping[str, Any] | str | os.PathLike[str], named_by: str
) -> dict[str, Outline]:
    """Return outlines by name.

    Args:
        given: a GeoJSON FeatureCollection, or the file that has it.
        named_by: property with the name that the dimension's values have.

    Raises:
        InvalidQuery: OUTLINES_UNREADABLE, OUTLINES_UNNAMED.
    """
    collection = given if isinstance(given, Mapping) else _read(Path(given))
    where = "the outlines" if isinstance(given, Mapping) else str(given)
    try:
        features = list(collection["features"])
        found = {
            str(feature["properties"][named_by]): _polygons(feature["geometry"])
            for feature in features
            if feature["geometry"] and named_by in (feature["properties"] or {})
        }
    except (KeyError, TypeError, ValueError, IndexError):
        raise _unreadable(where) from None
    if not found:
        have = sorted({key for each in features for key in each["properties"] or {}})
        raise InvalidQuery(
            "OUTLINES_UNNAMED",
            f"No outline in {where} has a property {named_by!r}; name the one with the "
            f"names of regions: {', '.join(have) or 'there is none'}.",
        )
    narrow = _narrowing(found)
    return {name: Outline(name, _scaled(each, narrow)) for name, each in found.items()}


def _read(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > _LARGEST:
            raise _unreadable(str(file))
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise _unreadable(str(file)) from None
    if not isinstance(read, dict):
        raise _unreadable(str(file))
    return read


def _unreadable(where: str) -> InvalidQuery:
    return InvalidQuery(
        "OUTLINES_UNREADABLE",
        f"Outlines cannot be read from {where}: give a GeoJSON FeatureCollection of "
        "polygons, of at most 50 MB.",
    )


def _polygons(geometry: Mapping[str, Any]) -> tuple[tuple[Ring, ...], ...]:
    parts = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        parts = [parts]
    elif geometry["type"] != "MultiPolygon":
        raise ValueError
    found = tuple(tuple(_ring(ring) for ring in part) for part in parts if part)
    if not found:
        raise ValueError
    return found


def _ring(points: Sequence[Sequence[float]]) -> Ring:
    ring = [(float(point[0]), float(point[1])) for point in points]
    if len(ring) < _CORNERS or not all(
        map(math.isfinite, (c for p in ring for c in p))
    ):
        raise ValueError
    return ring


def _narrowing(found: Mapping[str, tuple[tuple[Ring, ...], ...]]) -> float:
    """Return the width of a degree beside its height, or 1 where there are none."""
    points = [p for each in found.values() for polygon in each for p in polygon[0]]
    if any(abs(x) > _EAST or abs(y) > _NORTH for x, y in points):
        return 1.0
    low, high = min(y for _, y in points), max(y for _, y in points)
    return max(math.cos(math.radians((low + high) / 2)), 0.1)


def _scaled(
    polygons: tuple[tuple[Ring, ...], ...], narrow: float
) -> tuple[tuple[Ring, ...], ...]:
    return tuple(
        tuple([(x * narrow, y) for x, y in ring] for ring in polygon)
        for polygon in polygons
    )


def _area(ring: Ring) -> float:
    """Return twice the area, positive where the ring goes round anticlockwise."""
    around = zip(ring, [*ring[1:], ring[0]], strict=True)
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in around)


def _size(ring: Ring) -> float:
    return abs(_area(ring))


def _turned(ring: Ring, *, clockwise: bool) -> list[list[float]]:
    turned = ring if (_area(ring) < 0) == clockwise else ring[::-1]
    return [[x, y] for x, y in turned]


def _centre(ring: Ring) -> Point:
    area = _area(ring)
    if area == 0:
        return ring[0]
    x = y = 0.0
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        cross = x0 * y1 - x1 * y0
        x += (x0 + x1) * cross
        y += (y0 + y1) * cross
    return x / (3 * area), y / (3 * area)
