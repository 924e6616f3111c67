# SPDX-License-Identifier: Apache-2.0
"""Colours and sizes: told apart by every eye, on a grey print, at 800 pixels.

Series differ in lightness as well as in hue, so that they stay apart without colour.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Final

WIDTH: Final = 800
"""Pixels of a picture, about."""

INK: Final = "#1b1b1b"
FAINT: Final = "#6b6b6b"
PALE: Final = "#d9d9d9"
MAIN: Final = "#0072b2"
LIGHT: Final = "#9ecae1"

SERIES: Final = ("#330a4a", "#3b4a86", "#1f7f86", "#56a566", "#e0a100")
"""Series of one picture, from dark to light."""

AMOUNT: Final = ("#ffffff", "#d6e6f4", "#9ecae1", "#4292c6")
"""From nothing to much; black letters can be read on all of them."""

SUPPRESSED: Final = "×"
"""Stands where a figure has no number."""

LABEL: Final = 11
TITLE: Final = 15

_LINE: Final = 30
_LINES: Final = 3


def series_colours(count: int) -> list[str]:
    """Return colours for so many series, as far apart as they can be."""
    last = len(SERIES) - 1
    steps = [round(index * last / max(count - 1, 1)) for index in range(count)]
    return [SERIES[step] for step in steps]


def in_lines(text: str, width: int) -> list[str]:
    """Return *text* in lines of at most *width* letters, at least one."""
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def in_short_lines(value: str, width: int = _LINE) -> list[str]:
    """Return a name in at most three short lines."""
    return textwrap.wrap(
        value.replace("_", " ") if len(value) > width else value,
        width,
        max_lines=_LINES,
        placeholder=" …",
    ) or [""]


def fits(values: Sequence[str], letters: int) -> bool:
    """Whether names fit beside each other in short lines of *letters*."""
    return all(
        len(line) <= letters and not line.endswith("…")
        for value in values
        for line in in_short_lines(value, max(letters, 1))
    )


def label_expression(values: Sequence[str], width: int = _LINE) -> str:
    """Return the expression that writes long names in several lines."""
    long = {
        value: in_short_lines(value, width) for value in values if len(value) > width
    }
    return f"{json.dumps(long)}[datum.value] || datum.label" if long else "datum.label"
