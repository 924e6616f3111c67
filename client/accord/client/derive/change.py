# SPDX-License-Identifier: Apache-2.0
"""How much a figure has changed, and whether that is more than noise.

An interval is of one change that somebody chose beforehand. Whoever looks at many is
bound to see some outside of it by chance, so ``more_than_noise`` is stricter: it holds
for all changes of one table together (Bonferroni), so that with the stated level none
of them says so wrongly.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Any

from accord.client.coverage import warn_of
from accord.client.derive.figure import (
    UNKNOWN,
    Figure,
    check_level,
    figure_of,
    independent,
    joint_reach,
    values_of,
)
from accord.client.derive.ratio import bounds, check_same_cells
from accord.client.derive.table import NOISE_ONLY, Derived
from accord.client.result import Result
from accord.core.errors import InvalidQuery


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From one figure to another; no numbers where one of them is suppressed."""

    cell: Mapping[str, str]
    before: str
    after: str
    difference: float | None
    lower: float | None
    upper: float | None
    sd: float | None
    relative: float | None
    """Difference as a part of the figure before; withheld where that is not clearly
    above its noise, and for what is no count."""
    relative_lower: float | None
    relative_upper: float | None
    more_than_noise: bool
    """Also when all changes of its table are looked at together."""
    compared: int
    """How many these are."""
    why: str
    level: float

    @property
    def withheld(self) -> bool:
        """Whether it has no number."""
        return self.difference is None

    def as_json(self) -> dict[str, Any]:
        """Return the documented form."""
        numbers = dataclasses.asdict(self)
        del numbers["cell"]
        return {**self.cell, **numbers}

    def __str__(self) -> str:
        """Return the change in words."""
        named = ", ".join(self.cell.values())
        name = f"{named}: " if named else ""
        name += f"{self.before} → {self.after}"
        if self.difference is None:
            return f"{name}: – ({self.why})"
        said = "more than noise" if self.more_than_noise else "not more than noise"
        return (
            f"{name}: {self.difference:+.4g} ({self.lower:+.4g} … {self.upper:+.4g}), "
            f"{said}"
        )


def change(
    before: Figure,
    after: Figure,
    *,
    level: float = 0.95,
    compared: int = 1,
    cell: Mapping[str, str] | None = None,
    names: tuple[str, str] | None = None,
) -> Change:
    """Return the change from one figure to another of the same measure.

    Args:
        before: a figure of any release.
        after: another one.
        level: of the interval, and of all that *compared* changes say together.
        compared: changes that are looked at together.
        cell: what both figures have in common.
        names: how they are called.

    Raises:
        InvalidQuery: RELEASES_DIFFER, SAME_FIGURE, LEVEL_INVALID
    """
    check_level(level)
    if before.measure != after.measure or before.unit != after.unit:
        raise InvalidQuery(
            "RELEASES_DIFFER",
            f"A change from {before.measure} to {after.measure} means nothing.",
        )
    if (before.release, before.cell) == (after.release, after.cell):
        raise InvalidQuery("SAME_FIGURE", "Both figures are one and the same.")
    first, second = names or (before.name, after.name)
    empty = Change(
        cell=dict(cell or {}),
        before=first,
        after=second,
        difference=None,
        lower=None,
        upper=None,
        sd=None,
        relative=None,
        relative_lower=None,
        relative_upper=None,
        more_than_noise=False,
        compared=compared,
        why=before.why or after.why,
        level=level,
    )
    if before.estimate is None or after.estimate is None:
        return empty
    difference = after.estimate - before.estimate
    down, up = _reaches(before, after, level)
    strict_down, strict_up = _reaches(before, after, 1 - (1 - level) / compared)
    found = bounds(after, before, level) if before.is_count else None
    return dataclasses.replace(
        empty,
        difference=difference,
        lower=difference - down,
        upper=difference + up,
        sd=math.hypot(
            (before.below + before.above) / 2, (after.below + after.above) / 2
        ),
        relative=None if found is None else difference / before.estimate,
        relative_lower=None if found is None else found[0] - 1,
        relative_upper=None if found is None else found[1] - 1,
        more_than_noise=difference > strict_down or difference < -strict_up,
    )


def changes(result: Result, *, over: str, level: float = 0.95) -> Derived[Change]:
    """Return the change from each value of a dimension to the next, in layout order.

    Args:
        result: a release with that dimension.
        over: a dimension in order, such as ``registered_month``.
        level: of every interval by itself, and of all ``more_than_noise`` together.

    Raises:
        InvalidQuery: UNKNOWN_DIMENSION, LEVEL_INVALID
    """
    # `2026-??` is known to lie in the year and no closer: it comes after no month.
    periods = [
        value
        for value in values_of(result, over)
        if value != UNKNOWN and not value.endswith("?")
    ]
    figures: dict[tuple[tuple[str, str], ...], dict[str, Figure]] = {}
    for row in result:
        each = figure_of(result, row)
        key = tuple((name, at) for name, at in each.cell.items() if name != over)
        figures.setdefault(key, {})[each.cell[over]] = each
    pairs = [
        (key, line[first], line[second], (first, second))
        for key, line in figures.items()
        for first, second in itertools.pairwise(periods)
        if first in line and second in line
    ]
    title = f"{result.measure}: change over {over}"
    return _table(title, pairs, level, [result])


def changes_between(
    earlier: Result, later: Result, *, level: float = 0.95
) -> Derived[Change]:
    """Return the change from one release to another with the same cells.

    A `PartialCoverageWarning` says so where they do not stand on the same agencies.

    Raises:
        InvalidQuery: RELEASES_DIFFER, LEVEL_INVALID
    """
    check_same_cells(earlier, later)
    later_rows = {row.values: row for row in later}
    names = (f"edition {earlier.edition}", f"edition {later.edition}")
    pairs = [
        (
            tuple(zip(earlier.dimensions, row.values, strict=True)),
            figure_of(earlier, row),
            figure_of(later, later_rows[row.values]),
            names,
        )
        for row in earlier
        if row.values in later_rows
    ]
    if set(earlier.coverage.answered) != set(later.coverage.answered):
        warn_of(
            f"Release {earlier.id} stands on {earlier.coverage}, {later.id} on "
            f"{later.coverage}. A change can come from who is missing.",
            [earlier.id, later.id],
            above=1,
        )
    title = f"{later.title()}: change from {names[0]} to {names[1]}"
    return _table(title, pairs, level, [earlier, later])


def _table(
    title: str,
    pairs: list[tuple[tuple[tuple[str, str], ...], Figure, Figure, tuple[str, str]]],
    level: float,
    results: list[Result],
) -> Derived[Change]:
    items = tuple(
        change(
            first,
            second,
            level=level,
            compared=len(pairs),
            cell=dict(key),
            names=names,
        )
        for key, first, second, names in pairs
    )
    notes = [
        NOISE_ONLY,
        (
            f"More than noise, of {len(items)} changes looked at together: with "
            f"probability {level:.1%} noise alone makes none of them look so "
            "(Bonferroni)."
        ),
    ]
    if any(each.coverage != results[0].coverage for each in results):
        notes.append(
            "These releases do not stand on the same agencies: a change can come from "
            "who is missing."
        )
    if len({(each.groups_per_person, each.bounding) for each in results}) > 1:
        notes.append("These releases bound a person differently.")
    return Derived(
        kind="change",
        title=title,
        items=items,
        level=level,
        releases=tuple(each.id for each in results),
        notes=tuple(notes),
    )


def _reaches(before: Figure, after: Figure, level: float) -> tuple[float, float]:
    """Return how far the difference may be from the truth, downwards and upwards.

    Each side takes the sides of the two intervals that it comes from (the method of
    variance estimates recovery; Zou and Donner 2008). For counts it is exact.
    """
    apart = independent(before, after)
    laplace = before.laplace or after.laplace
    sides = ((before.above, after.below), (before.below, after.above))
    down, up = (
        joint_reach(first, second, level, apart=apart, laplace=laplace)
        for first, second in sides
    )
    return down, up
