# SPDX-License-Identifier: Apache-2.0
"""Least squares with no negative number in it, in plain Python.

Coordinate descent: every number in turn takes its best value while the others stay. The
objective is convex and the bounds are apart from each other, so the only points at
which it stands still are minima (Tseng 2001). It ends when the conditions of Karush,
Kuhn and Tucker hold: no slope at numbers above zero, none downhill at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from accord.core.errors import InternalError

_EXACT: Final = 1e-10
"""Largest step that is left, as a part of the largest measured value."""

_MOST_SWEEPS: Final = 20_000


class Measurement(NamedTuple):
    """A measured sum of some of the numbers."""

    places: tuple[int, ...]
    value: float
    weight: float
    """One over its variance."""


def nonnegative_least_squares(n: int, measured: Sequence[Measurement]) -> list[float]:
    """Return *n* numbers, none below 0, whose sums are nearest to what was measured.

    Numbers that nothing measures are 0.

    Raises:
        InternalError: NOT_CONVERGED
    """
    if not measured:
        return [0.0] * n
    descent = _Descent(n, measured)
    enough = _EXACT * max(1.0, *(abs(each.value) for each in measured))
    for _ in range(_MOST_SWEEPS):
        if descent.sweep() <= enough:
            return descent.found
    raise InternalError(
        "NOT_CONVERGED", "The figures could not be made consistent; use the raw ones."
    )


class _Descent:
    """Numbers, and how far every measured sum is from what was measured."""

    def __init__(self, n: int, measured: Sequence[Measurement]) -> None:
        heaviest = max(each.weight for each in measured)
        self._weights = [each.weight / heaviest for each in measured]
        self._seen: list[list[int]] = [[] for _ in range(n)]
        self.found = [0.0] * n
        for number, each in enumerate(measured):
            for place in each.places:
                self._seen[place].append(number)
            if len(each.places) == 1:
                self.found[each.places[0]] = max(0.0, each.value)
        self._curvature = [sum(self._weights[k] for k in seen) for seen in self._seen]
        self._residual = [
            sum(self.found[place] for place in each.places) - each.value
            for each in measured
        ]

    def sweep(self) -> float:
        """Give every number its best value; return the largest step."""
        largest = 0.0
        for place, seen in enumerate(self._seen):
            if not seen:
                continue
            slope = sum(self._weights[k] * self._residual[k] for k in seen)
            here = self.found[place]
            step = max(0.0, here - slope / self._curvature[place]) - here
            self.found[place] = here + step
            for k in seen:
                self._residual[k] += step
            largest = max(largest, abs(step))
        return largest
