# SPDX-License-Identifier: Apache-2.0
"""Figures as people read them: only here they are rounded, intervals outwards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from accord.client.result import Estimate, Result, Row

NO_INFORMATION: Final = "no-information"
"""Why a share's row of what is unknown has no share."""

_LARGE_SD: Final = 100

_MOST_DIGITS: Final = 6
_NOTHING: Final = "–"


def display_head(result: Result) -> list[str]:
    """Return the headings of `display_cells`.

    Two intervals say more than the noise's deviation, and 80 columns have no room for
    all three.
    """
    heads = [*result.dimensions, "estimate", f"noise interval\n{result.level:.1%}"]
    if result.whole_level:
        return [*heads, f"whole interval\n{result.whole_level:.1%}"]
    return [*heads, "sd"]


def display_cells(result: Result, row: Row) -> list[str]:
    """Return one row as people read it, a dash where there is no number.

    Where a share cannot have a number, since nothing is said, how many that are stands
    there as a count.
    """
    shown = row.estimate
    if shown.why == NO_INFORMATION and row.parts:
        return _uninformed(result, row)
    percent = result.unit == "share"
    digits = _digits(shown.sd, percent=percent)
    cells = [
        *row.values,
        _number(shown.estimate, digits, percent=percent),
        _interval(shown.lower, shown.upper, digits, percent=percent),
    ]
    if result.whole_level:
        whole = (shown.whole_lower, shown.whole_upper)
        return [*cells, _interval(*whole, digits, percent=percent)]
    finer = not percent and (shown.sd or 0.0) < _LARGE_SD
    return [*cells, _number(shown.sd, digits + finer, percent=percent)]


def _uninformed(result: Result, row: Row) -> list[str]:
    count = row.parts[0]
    number = _number(count.estimate, 0, percent=False)
    cells = [
        *row.values,
        _NOTHING if count.estimate is None else f"n = {number}",
        _interval(count.lower, count.upper, 0, percent=False),
    ]
    if result.whole_level:
        return [*cells, _NOTHING]
    return [*cells, _number(count.sd, 1, percent=False)]


def display_estimate(result: Result, shown: Estimate) -> str:
    """Return an estimate by itself."""
    percent = result.unit == "share"
    return _number(shown.estimate, _digits(shown.sd, percent=percent), percent=percent)


def _digits(sd: float | None, *, percent: bool) -> int:
    """Return how many decimals say something: one place below the noise at most."""
    if percent:
        return 1
    if not sd or sd >= 1:
        return 0
    return min(_MOST_DIGITS, math.ceil(-math.log10(sd)))


def _number(value: float | None, digits: int, *, percent: bool) -> str:
    if value is None:
        return _NOTHING
    return f"{value:,.{digits}%}" if percent else f"{value:,.{digits}f}"


def _interval(
    lower: float | None, upper: float | None, digits: int, *, percent: bool
) -> str:
    if lower is None or upper is None:
        return _NOTHING
    scale = 10 ** (digits + (2 if percent else 0))
    bounds = (math.floor(lower * scale) / scale, math.ceil(upper * scale) / scale)
    return " … ".join(_number(each, digits, percent=percent) for each in bounds)
