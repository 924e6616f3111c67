# SPDX-License-Identifier: Apache-2.0
"""What of a large table is drawn: where anything stands out from nothing.

A dimension can have hundreds of values of which most are suppressed or hardly more
than noise. Those are said in words. Of a time all is drawn between the first
period that stands out and the last, so that no gap is hidden.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from accord.client.chart.figures import Figures
from accord.client.chart.periods import UNKNOWN, place_of
from accord.core.errors import InvalidQuery

FULL: Final = 60
"""Values of one dimension that are drawn whatever they are."""

MOST: Final = 2_000
"""Figures in one picture."""


def focused(figures: Figures) -> tuple[Figures, list[str]]:
    """Return what is drawn, and what is not in words.

    Raises:
        InvalidQuery: PICTURE_TOO_FULL.
    """
    left_out = {
        name: frozenset(without)
        for name in figures.dimensions
        if (without := _left_out(figures, name))
    }
    drawn = dataclasses.replace(figures, left_out=left_out)
    if len(drawn.points) > MOST:
        raise InvalidQuery(
            "PICTURE_TOO_FULL",
            f"Release {figures.result.id} has {len(drawn.points):,} figures to draw, "
            f"and a picture can be read up to {MOST:,}; ask for coarser levels, or "
            "for a part of the values.",
        )
    return drawn, _in_words(figures, drawn)


def _left_out(figures: Figures, name: str) -> list[str]:
    values = figures.values(name)
    firm = {row[name] for row in figures.shown if _stands_out(row)}
    if len(values) <= FULL or not firm:
        return []
    kept = {*firm, UNKNOWN}
    if figures.is_time(name):
        kept |= _between(values, firm)
    return [value for value in values if value not in kept]


def _stands_out(row: Mapping[str, Any]) -> bool:
    """Whether a figure is twice its half-width above nothing.

    Of hundreds of figures that are nothing some are once as far above by noise alone.
    """
    return bool(row["lower"] > row["estimate"] - row["lower"])


def _between(values: Sequence[str], firm: Collection[str]) -> set[str]:
    """Return the periods from the first that stands out to the last."""
    placed = {value: place for value in values if (place := place_of(value))}
    ends = [placed[value] for value in firm if value in placed]
    if not ends:
        return set()
    first, last = min(ends), max(ends)
    return {value for value, place in placed.items() if first <= place <= last}


def _in_words(figures: Figures, drawn: Figures) -> list[str]:
    count = len(figures.points) - len(drawn.points)
    if not count:
        return []
    there = {tuple(row[name] for name in figures.dimensions) for row in drawn.shown}
    uppers = [
        row["upper"]
        for row in figures.shown
        if tuple(row[name] for name in figures.dimensions) not in there
    ]
    where = " and ".join(
        f"{len(values)} values of {name}" for name, values in drawn.left_out.items()
    )
    words = f"Not drawn: {count:,} figures at {where}, suppressed or hardly"
    if not uppers:
        return [f"{words} more than noise."]
    return [
        f"{words} more than noise; upper bounds up to {figures.number(max(uppers))}."
    ]
