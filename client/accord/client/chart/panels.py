# SPDX-License-Identifier: Apache-2.0
"""One picture of many small ones, where a dimension has no place in a single one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from accord.client.chart.look import LABEL, WIDTH, label_expression

if TYPE_CHECKING:
    import altair as alt

    from accord.client.chart.figures import Figures

PANEL: Final = "panel"
"""Field that tells the small pictures apart, where several dimensions do."""

_BESIDE: Final = 70
"""Pixels that the axis on the left takes."""

_GAP: Final = 36

_FEW: Final = 6
"""Panels that stand two by two."""


@dataclasses.dataclass(frozen=True, slots=True)
class Panels:
    """The small pictures: by which dimensions, how many in a row, how wide."""

    figures: Figures
    names: tuple[str, ...]
    margin: int = _BESIDE
    """Pixels that labels on the left take."""

    @property
    def field(self) -> str:
        """Field of the data that tells them apart."""
        return self.names[0] if len(self.names) == 1 else PANEL

    def label(self, point: dict[str, Any]) -> str:
        """Return the name of the panel of a row."""
        return " · ".join(point[name] for name in self.names)

    @property
    def labels(self) -> list[str]:
        """Names of the panels, in layout order."""
        return list(dict.fromkeys(self.label(each) for each in self.figures.points))

    @property
    def columns(self) -> int:
        """How many stand in a row."""
        if not self.names:
            return 1
        return min(len(self.labels), 2 if len(self.labels) <= _FEW else 3)

    @property
    def width(self) -> int:
        """Pixels of one of them."""
        room = WIDTH - self.margin - (self.columns - 1) * _GAP
        return max(room // self.columns, 120)

    def placed(self, points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return rows of data that say in which panel they are."""
        if not self.names or self.field != PANEL:
            return list(points)
        return [point | {PANEL: self.label(point)} for point in points]

    def arranged(
        self, drawn: alt.LayerChart, over: str = ""
    ) -> alt.LayerChart | alt.FacetChart:
        """Return the picture, in panels where there is a dimension for them.

        Args:
            drawn: the picture of one panel.
            over: dimension from left to right in each, where the axis has no title.
        """
        import altair as alt

        if not self.names:
            return drawn
        names = " · ".join(self.figures.title(name) for name in self.names)
        letters = max(self.width // 7, 12)
        by = alt.Facet(
            self.field,
            type="nominal",
            sort=self.labels,
            header=alt.Header(
                title=f"{names}, each over {over}" if over else names,
                titleFontSize=LABEL,
                labelFontSize=LABEL,
                labelFontWeight="bold",
                labelLimit=0,
                labelPadding=3,
                labelExpr=label_expression(self.labels, letters),
            ),
        )
        return drawn.facet(
            by,
            columns=self.columns,
            spacing={"row": 16, "column": _GAP},
            resolve=alt.Resolve(axis=alt.AxisResolveMap(x="independent")),
        )
