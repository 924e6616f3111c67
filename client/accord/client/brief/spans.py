# SPDX-License-Identifier: Apache-2.0
"""Figures as a sentence has them: intervals rounded outwards, names of cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from accord.client.result import Estimate
from accord.core.messages import sentence

_SHARE = "share"


def span_of(estimate: Estimate, unit: str) -> tuple[str, str] | None:
    """Return lower and upper end; counts and shares not below zero; none if unknown."""
    if estimate.lower is None or estimate.upper is None:
        return None
    return spoken(estimate.lower, unit, up=False), spoken(estimate.upper, unit, up=True)


def spoken(value: float, unit: str, *, up: bool | None = None) -> str:
    """Return a number as people read it; rounded up or down, or to the nearest."""
    rounded = _rounding(up)
    if unit == _SHARE:
        return f"{rounded(100.0 * max(value, 0.0))} %"
    if unit in {"persons", "cases"}:
        return f"{rounded(max(value, 0.0)):,}"
    scale = 10.0 ** (2 - math.floor(math.log10(abs(value)))) if value else 1.0
    words = f"{rounded(value * scale) / scale:,g}"
    return f"{words} {unit}" if unit else words


def _rounding(up: bool | None) -> Callable[[float], int]:  # noqa: FBT001
    if up is None:
        return round
    return math.ceil if up else math.floor


def subject_of(values: Mapping[str, str], language: str) -> str:
    """Return the name of a cell."""
    return ", ".join(values.values()) or sentence("brief.all", language)
