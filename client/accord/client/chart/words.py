# SPDX-License-Identifier: Apache-2.0
"""What is written above a picture, and has to be read with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from accord.client.chart.look import (
    FAINT,
    LABEL,
    SUPPRESSED,
    TITLE,
    in_lines,
)

if TYPE_CHECKING:
    import altair as alt

    from accord.client.chart.figures import Figures
    from accord.client.result import Result

_TITLE_LETTERS = 92
_LETTERS = 128
"""That fit into one line of a picture."""


def heading(text: str, lines: Sequence[str]) -> alt.TitleParams:
    """Return title and subtitle, in lines that fit."""
    import altair as alt

    title = in_lines(text, _TITLE_LETTERS)
    return alt.TitleParams(
        title[0] if len(title) == 1 else title,
        subtitle=[part for line in lines for part in in_lines(line, _LETTERS)],
        anchor="start",
        fontSize=TITLE,
        subtitleFontSize=LABEL,
        subtitleColor=FAINT,
        subtitlePadding=4,
        offset=12,
    )


def said(
    figures: Figures,
    noise: str,
    *more: str,
    sign: str = f"{SUPPRESSED}, no number",
    whole: bool = False,
) -> Iterator[str]:
    """Yield what is said of one release: who, what, how exact, what is not there.

    Args:
        figures: of the release.
        noise: how its intervals are drawn, such as ``Bars``.
        more: further sentences of the picture.
        whole: whether the picture has the second interval.
        sign: what stands for a suppressed figure.
    """
    result = figures.result
    yield provenance(result)
    if result.derived_from:
        yield f"Derived from release {result.derived_from}."
    if figures.is_share:
        share = f"Per cent of {result.denominator}." if result.denominator else ""
        yield f"{share} One person can have several values: sums can exceed 100%."
    yield f"{noise}: {result.level:.1%} intervals, each figure by itself."
    if figures.has_whole and whole:
        yield (
            "Lighter: with what the bound on one person left out, for at least "
            f"{result.whole_level:.1%} of the figures."
        )
    elif result.whole_withheld and whole:
        reason = result.whole_withheld.rstrip(".")
        withheld = reason[0].lower() + reason[1:]
        yield f"No interval for the records without a bound: {withheld}."
    yield from truncation(result)
    if differing := sorted({each.dimension for each in result.definitions}):
        named = ", ".join(differing)
        yield f"Agencies record {named} in different ways; the release says how."
    yield from more
    if figures.suppressed:
        yield f"Suppressed figures ({figures.suppressed:,}): {sign}."
    if figures.uninformed:
        yield (
            f"Nothing known ({figures.uninformed}): {SUPPRESSED}, they have no share."
        )


def provenance(result: Result) -> str:
    """Return which agencies stand behind the figures, and of which release."""
    return f"{result.coverage}; edition {result.edition}; release {result.id}"


def truncation(result: Result) -> Iterator[str]:
    """Yield how much the bound on one person left out, where that was anything."""
    if result.dropped_share > 0:
        yield (
            f"The bound on one person left out about {result.dropped_share:.1%} of "
            "what would count."
        )
