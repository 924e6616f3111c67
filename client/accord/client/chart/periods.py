# SPDX-License-Identifier: Apache-2.0
"""Periods on an axis: in order, without a gap that cannot be seen, and readable.

A record that knows less than its period has a value such as ``2026-??``. Such a value
has no place between the others: it stands after them and is never joined to them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_BEGINS: Final = re.compile(r"\d{4}(-|$)")
"""Begins every value of a dimension of time."""

_PERIOD: Final = re.compile(r"(\d{4})(?:-Q([1-4])|-(0[1-9]|1[0-2]))?")

_STEPS: Final = {
    12: (1, 2, 3, 6, 12, 24, 60, 120),
    4: (1, 2, 4, 8, 20, 40),
    1: (1, 2, 5, 10, 20, 50),
}
"""Periods in a year, and after how many of them a label may come."""

_QUARTERS: Final = 4

_APART_AT_MOST: Final = 3
"""Values without a place that have a label each."""

_MOST: Final = 600
"""Periods on one axis that gaps are filled up to."""

UNKNOWN: Final = "unknown"


def is_time(values: Iterable[str]) -> bool:
    """Whether these are the values of a dimension of time."""
    known = [value for value in values if value != UNKNOWN]
    return bool(known) and all(_BEGINS.match(value) for value in known)


def place_of(value: str) -> tuple[int, int] | None:
    """Return periods in a year and which one it is; ``None`` without a place."""
    found = _PERIOD.fullmatch(value)
    if found is None:
        return None
    year, quarter, month = found.groups()
    if quarter is not None:
        return 4, int(year) * 4 + int(quarter) - 1
    if month is not None:
        return 12, int(year) * 12 + int(month) - 1
    return 1, int(year)


def axis_of(values: Sequence[str]) -> list[str]:
    """Return what the axis has: every period from first to last, then the rest.

    A period that nobody asked for has a place, so that a gap looks like one.
    """
    places = {found for value in values if (found := place_of(value)) is not None}
    rest = [value for value in values if place_of(value) is None]
    if len({each for each, _ in places}) != 1:
        return list(values)
    (in_year, first), (_, last) = min(places), max(places)
    if last - first >= _MOST:
        return [*sorted(set(values) - set(rest)), *rest]
    return [*(_name(in_year, each) for each in range(first, last + 1)), *rest]


def runs(values: Sequence[str]) -> Iterator[int]:
    """Yield for every value the number of the run that it belongs to.

    A run has periods that follow each other without one missing between them.
    """
    number, before = 0, None
    for value in values:
        place = place_of(value)
        if place is None or before is None or place != (before[0], before[1] + 1):
            number += 1
        before = place
        yield number


def labelled(axis: Sequence[str], at_most: int) -> list[str]:
    """Return the values of an axis that have a label: no more than fit."""
    apart = max(1, math.ceil(len(axis) / max(at_most, 1)))
    rest = [index for index, value in enumerate(axis) if place_of(value) is None]
    kept = [index for index, value in enumerate(axis) if _on_step(value, apart)]
    if len(rest) > _APART_AT_MOST:
        rest = rest[-1:]
    free = [index for index in kept if not rest or index + apart <= rest[0]]
    return [axis[index] for index in (*free, *rest)]


def _on_step(value: str, apart: int) -> bool:
    place = place_of(value)
    if place is None:
        return False
    steps = _STEPS[place[0]]
    step = next((each for each in steps if each >= apart), steps[-1])
    return place[1] % step == 0


def _name(in_year: int, number: int) -> str:
    year, part = divmod(number, in_year)
    if in_year == 1:
        return f"{year:04}"
    return (
        f"{year:04}-Q{part + 1}" if in_year == _QUARTERS else f"{year:04}-{part + 1:02}"
    )
