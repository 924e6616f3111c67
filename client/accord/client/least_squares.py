# SPDX-License-Identifier: Apache-2.0
"""Least squares with no negative number in it, in plain Python.

An active set (Lawson and Hanson 1974): numbers are free or at zero; the free ones are
solved for as if there was no bound, and those that get negative go to zero. It ends
when the conditions of Karush, Kuhn and Tucker hold: no slope at the free numbers, and
none downhill at those that are zero. The systems are solved by conjugate gradients:
few totals over many cells have few distinct eigenvalues, so that takes few steps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from accord.core.errors import InternalError

_EXACT: Final = 1e-13
"""Norm of what conjugate gradients leave, as a part of what they began with."""

_FLAT: Final = 1e-9
"""Slope that counts as none, as a part of the largest at the origin."""


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
    system = _System(n, measured)
    origin = [0.0] * n
    flat = _FLAT * max((abs(each) for each in system.slope(origin)), default=0.0)
    seen = {place for each in measured for place in each.places}
    free = set(seen)
    found = system.solved(free, origin)
    while below := {place for place in free if found[place] < 0}:
        free -= below
        found = system.solved(free, origin)
    for _ in range(3 * n + 10):
        slope = system.slope(found)
        downhill = [p for p in seen - free if slope[p] < -flat]
        if not downhill:
            return found
        free.add(min(downhill, key=slope.__getitem__))
        found, free = _without_negative(system, found, free)
    raise InternalError(
        "NOT_CONVERGED", "The figures could not be made consistent; use the raw ones."
    )


def _without_negative(
    system: _System, here: list[float], free: set[int]
) -> tuple[list[float], set[int]]:
    """Solve for *free*, and go from *here* towards that only as far as all allow."""
    while True:
        there = system.solved(free, here)
        below = [place for place in free if there[place] <= 0]
        if not below:
            return there, free
        parts = {p: here[p] / (here[p] - there[p]) if here[p] else 0.0 for p in below}
        first = min(below, key=parts.__getitem__)
        part = parts[first]
        here = [a + part * (b - a) for a, b in zip(here, there, strict=True)]
        free = {place for place in free if place != first and here[place] > 0}
        here = [each if place in free else 0.0 for place, each in enumerate(here)]


class _System:
    """Measured sums with their weights."""

    def __init__(self, n: int, measured: Sequence[Measurement]) -> None:
        self._n = n
        self._measured = measured
        self._heaviest = max((each.weight for each in measured), default=1.0)

    def slope(self, at: Sequence[float]) -> list[float]:
        """Return the gradient of half the weighted sum of squares."""
        found = [0.0] * self._n
        for places, value, weight in self._measured:
            off = sum(at[place] for place in places) - value
            for place in places:
                found[place] += weight / self._heaviest * off
        return found

    def solved(self, free: Collection[int], start: Sequence[float]) -> list[float]:
        """Return the best values of *free*, with all others at zero."""
        at = [each if place in free else 0.0 for place, each in enumerate(start)]
        left = {place: -each for place, each in enumerate(self.slope(at))}
        left = {place: left[place] for place in free}
        way = dict(left)
        norm = sum(each * each for each in left.values())
        enough = norm * _EXACT**2
        for _ in range(2 * len(left) + 10):
            if norm <= enough:
                break
            bent = self._bent(way)
            step = norm / sum(each * bent[place] for place, each in way.items())
            for place, each in way.items():
                at[place] += step * each
                left[place] -= step * bent[place]
            before, norm = norm, sum(each * each for each in left.values())
            way = {p: left[p] + norm / before * way[p] for p in way}
        return at

    def _bent(self, way: dict[int, float]) -> dict[int, float]:
        """Return the second derivative along *way*."""
        found = dict.fromkeys(way, 0.0)
        for places, _, weight in self._measured:
            within = [place for place in places if place in way]
            off = weight / self._heaviest * sum(way[place] for place in within)
            for place in within:
                found[place] += off
        return found
