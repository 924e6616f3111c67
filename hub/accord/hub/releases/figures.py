# SPDX-License-Identifier: Apache-2.0
"""Stored integers with their noise as figures with intervals, one entry at a time.

Suppression looks at the noisy figure, so it tells nothing new. What an analyst cannot
have says why: it is *small*, its *denominator* may be nothing, or there is
*no-information* to have a figure of.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from accord.core.measure import Component
from accord.core.opened import OpenedNoise, half_width, standard_deviation
from accord.core.ratio import Ratio
from accord.core.whole_error import WholeError
from accord.v1 import analyst_pb2

SMALL: Final = analyst_pb2.Estimate(suppressed=True, why="small")
"""Instead of a figure below what the agreement shows."""

DENOMINATOR: Final = analyst_pb2.Estimate(suppressed=True, why="denominator")
"""Instead of a ratio of what may be nothing."""

NO_INFORMATION: Final = analyst_pb2.Estimate(suppressed=True, why="no-information")
"""Instead of the share of those of whom nothing is known."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Turns stored integers of one component into figures."""

    noise: OpenedNoise
    component: Component
    suppress_below: int = 0
    """In counts; 0 where everything is shown."""

    def is_small(self, noisy: int) -> bool:
        """Tell whether a figure is not shown."""
        least = self.suppress_below * self.component.scale
        return bool(self.suppress_below) and noisy < least

    def estimate(
        self, noisy: int, whole: WholeError | None = None
    ) -> analyst_pb2.Estimate:
        """Return the figure, with the interval for the whole truth if there is one.

        Args:
            noisy: as stored.
            whole: how far the whole truth may lie from it, as stored.
        """
        if self.is_small(noisy):
            return SMALL
        scale = self.component.scale
        width = half_width(self.noise).half_width
        found = analyst_pb2.Estimate(
            estimate=noisy / scale,
            lower=(noisy - width) / scale,
            upper=(noisy + width) / scale,
            sd=standard_deviation(self.noise) / scale,
        )
        if whole is not None:
            found.whole_lower = (noisy - whole.below) / scale
            found.whole_upper = (noisy + whole.above) / scale
        return found


def ratio_estimate(found: Ratio | None, shift: float = 0.0) -> analyst_pb2.Estimate:
    """Return a ratio, moved by *shift*, or that its denominator may be nothing."""
    if found is None:
        return DENOMINATOR
    return analyst_pb2.Estimate(
        estimate=found.estimate + shift,
        lower=found.lower + shift,
        upper=found.upper + shift,
        sd=found.sd,
    )
