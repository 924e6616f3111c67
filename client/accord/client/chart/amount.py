# SPDX-License-Identifier: Apache-2.0
"""How a colour shows an amount: from pale to dark, up to the largest upper bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accord.client.chart.figures import Figures
from accord.client.chart.look import AMOUNT, FAINT, LABEL

if TYPE_CHECKING:
    import altair as alt


def amount(figures: Figures, field: str) -> alt.Color:
    """Return the colours of *field*, with their key where there is any number.

    Figures that can be far from nothing, such as means, begin with the least lower
    bound.
    """
    import altair as alt

    least = min((row["lower"] for row in figures.shown), default=0.0)
    lowest = 0.0 if figures.is_count or figures.is_share else least
    highest = max((row["upper"] for row in figures.shown), default=1.0)
    key = alt.Legend(
        title=figures.axis(),
        orient="bottom",
        format=figures.number_format(),
        gradientLength=240,
        gradientThickness=10,
        gradientStrokeColor=FAINT,
        labelFontSize=LABEL,
    )
    return alt.Color(
        field,
        type="quantitative",
        scale=alt.Scale(
            domain=[lowest, max(highest, lowest + 1e-9)],
            range=list(AMOUNT),
            interpolate="rgb",
            clamp=True,
        ),
        legend=key if figures.shown else None,
    )
