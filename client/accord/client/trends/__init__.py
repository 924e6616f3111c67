# SPDX-License-Identifier: Apache-2.0
"""Trends in what was released: changes of level, seasons, hot spots.

They look at releases only, cost nothing, and say of every verdict how often noise and
chance alone would have led to it (``docs/ref-methods.md``).
"""

from accord.client.trends.changes import (
    ChangePoint,
    ChangePoints,
    Searched,
    change_points,
)
from accord.client.trends.hotspots import HotSpot, HotSpots, hot_spots
from accord.client.trends.seasons import Compared, Seasons, seasonal
from accord.client.trends.series import Break, Panel, Point, Series, series_of

__all__ = [
    "Break",
    "ChangePoint",
    "ChangePoints",
    "Compared",
    "HotSpot",
    "HotSpots",
    "Panel",
    "Point",
    "Searched",
    "Seasons",
    "Series",
    "change_points",
    "hot_spots",
    "seasonal",
    "series_of",
]
