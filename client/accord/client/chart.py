# SPDX-License-Identifier: Apache-2.0
"""A drawing of estimates with their intervals, and with what has to be read with them.

Every estimate is a mark with its interval: no line suggests what lies between two
figures, and nothing suggests a figure where one is suppressed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from accord.client.frames import missing

if TYPE_CHECKING:
    import altair as alt

    from accord.client.result import Result

_PERIOD: Final = re.compile(r"\d{4}(-|$)")
"""Begins every value of a dimension of time."""

_RELEASE: Final = "release"
"""Dimension that tells several releases apart."""


def chart(results: Sequence[Result]) -> alt.LayerChart | alt.FacetChart:
    """Draw results that have their dimensions in common.

    Time, or else the first dimension, goes from left to right; the others are colours,
    columns and rows.

    Raises:
        ConfigurationError: LIBRARY_MISSING
    """
    try:
        import altair as alt
    except ImportError:
        raise missing("altair", extra="plots") from None
    across, *others = _ordered(results)
    order = {name: _values(results, name) for name in (across, *others)}
    base = alt.Chart().encode(
        x=alt.X(across, type="ordinal", sort=order[across], title=_title(across))
    )
    if others:
        colour = others[0]
        base = base.encode(
            color=alt.Color(
                colour,
                type="nominal",
                sort=order[colour],
                legend=alt.Legend(labelLimit=0),
            ),
            xOffset=alt.XOffset(colour, type="nominal", sort=order[colour]),
        )
    bars = base.mark_rule().encode(
        y=alt.Y("lower", type="quantitative", title=results[0].measure), y2="upper"
    )
    marks = base.mark_point(filled=True, size=40).encode(
        y=alt.Y("estimate", type="quantitative")
    )
    drawn = alt.layer(
        bars, marks, data=alt.InlineData(values=_points(results, [across, *others]))
    )
    title = alt.TitleParams(
        results[0].title(), subtitle=_subtitle(results), anchor="start"
    )
    if len(others) <= 1:
        return drawn.properties(title=title)
    beside: dict[str, Any] = {}
    for name, place in zip(others[1:], (alt.Column, alt.Row), strict=False):
        beside[place.__name__.lower()] = place(name, type="nominal", sort=order[name])
    return drawn.facet(**beside).properties(title=title)


def _ordered(results: Sequence[Result]) -> list[str]:
    """Return the dimensions to draw, time first."""
    by = list(results[0].by)
    if len(results) > 1:
        by.append(_RELEASE)
    by.sort(key=lambda name: not _is_time(results, name))
    return by or [_RELEASE]


def _is_time(results: Sequence[Result], name: str) -> bool:
    return name != _RELEASE and all(
        _PERIOD.match(value) for value in _values(results, name) if value != "unknown"
    )


def _values(results: Sequence[Result], name: str) -> list[str]:
    """Return the values of a dimension in layout order."""
    if name == _RELEASE:
        return [_label(each) for each in results]
    index = results[0].by.index(name)
    return list(dict.fromkeys(row.values[index] for each in results for row in each))


def _points(results: Sequence[Result], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            **dict(zip(each.by, row.values, strict=True)),
            **({_RELEASE: _label(each)} if _RELEASE in names else {}),
            "estimate": row.estimate.estimate,
            "lower": row.estimate.lower,
            "upper": row.estimate.upper,
        }
        for each in results
        for row in each
        if not row.estimate.suppressed
    ]


def _label(result: Result) -> str:
    return f"{result.edition}, {result.coverage.share} agencies ({result.id[:8]})"


def _title(name: str) -> str | None:
    return None if name == _RELEASE else name


def _subtitle(results: Sequence[Result]) -> list[str]:
    """Return which agencies stand behind the figures, and what the bars are."""
    lines = [
        f"{each.coverage}; edition {each.edition}; release {each.id}"
        for each in results
    ]
    lines.append(f"Bars: {results[0].level:.1%} intervals, each figure by itself.")
    hidden = sum(row.estimate.suppressed for each in results for row in each)
    if hidden:
        lines.append(f"Suppressed figures ({hidden}) are not drawn.")
    return lines
