# SPDX-License-Identifier: Apache-2.0
"""What another bound on one person's groups would lead to, as far as releases tell.

A person with m groups loses (m - L0)+ of them. G(L0), the groups that all persons lose
together, falls with L0, and ever more slowly: it is convex. A release under a bound of
L tells G(L), its ``dropped``; and G(1) = dropped + counted - persons, since all counted
groups but one of each person would be lost as well. Between two known bounds G is at
most on the straight line, and at least what it is at the larger one. Nothing is assumed
about the law of m.

Noise grows with L0, as sqrt(L0) or as L0. What a figure is off by is taken as the
half-width of its noise and the groups that it loses, were losses spread evenly over the
figures.

Everything here is public: it is computed from released figures, noise and all.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence

LARGEST_BOUND = 8
"""Bounds that are looked at: from 1 to this."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one release of ``persons`` tells, in groups."""

    groups: int
    """The bound it was made under."""
    persons: float
    dropped: float
    counted: float | None
    """Sum of its figures; the most that it can be where some are hidden; nothing where
    nobody can say."""
    hidden: bool = False
    """Whether some are."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What one bound would lead to."""

    groups: int
    half_width: float
    """Of the noise of one figure, at the level of the release."""
    least_lost: float
    """Groups that all persons lose together, at least and at most."""
    most_lost: float | None
    """Nothing where no release tells."""
    least_error: float
    """Half-width and mean loss of a figure, at least and at most."""
    most_error: float | None


def known_losses(evidence: Iterable[Evidence]) -> dict[int, float]:
    """Return G at the bounds where releases tell it, never rising.

    Of two that tell it for one bound, the larger counts.
    """
    known: dict[int, float] = {}
    for each in evidence:
        dropped = max(0.0, each.dropped)
        known[each.groups] = max(dropped, known.get(each.groups, 0.0))
        if not each.hidden and (first := _lost_at_one(each)) is not None:
            known[1] = max(first, known.get(1, 0.0))
    largest = 0.0
    for groups in sorted(known, reverse=True):
        largest = known[groups] = max(largest, known[groups])
    return known


def ceiling_at_one(evidence: Iterable[Evidence]) -> float | None:
    """Return the most that G(1) can be, where releases that hide figures tell."""
    found = (_lost_at_one(each) for each in evidence if each.hidden)
    return max((most for most in found if most is not None), default=None)


def _lost_at_one(release: Evidence) -> float | None:
    if release.counted is None or release.groups == 1:
        return None  # not known, or told by `dropped` itself
    others = max(0.0, release.counted - release.persons)
    return max(0.0, release.dropped) + others


def lost_at(
    groups: int, known: dict[int, float], ceiling: float | None = None
) -> tuple[float, float | None]:
    """Return the least and the most that persons lose together at a bound.

    Args:
        groups: the bound.
        known: from `known_losses`; not empty.
        ceiling: from `ceiling_at_one`.
    """
    if groups in known:
        return known[groups], known[groups]
    below = max((each for each in known if each < groups), default=None)
    above = min((each for each in known if each > groups), default=None)
    least = 0.0 if above is None else known[above]
    if below is not None:
        at_below = known[below]
    elif ceiling is not None:
        below, at_below = 1, max(ceiling, least)
    else:
        return least, None
    if above is None:
        return least, at_below
    part = (groups - below) / (above - below)
    return least, at_below + part * (known[above] - at_below)


def expected(
    evidence: Sequence[Evidence],
    half_width: Callable[[int], float],
    figures: int,
) -> tuple[Expected, ...]:
    """Return what the bounds from 1 to `LARGEST_BOUND` would lead to.

    Args:
        evidence: of releases of one table; at least one.
        half_width: of the noise of one figure, by the bound.
        figures: of the table; at least 1.
    """
    known, ceiling = known_losses(evidence), ceiling_at_one(evidence)
    found = []
    for groups in range(1, LARGEST_BOUND + 1):
        least, most = lost_at(groups, known, ceiling)
        width = half_width(groups)
        found.append(
            Expected(
                groups=groups,
                half_width=width,
                least_lost=least,
                most_lost=most,
                least_error=width + least / figures,
                most_error=None if most is None else width + most / figures,
            )
        )
    return tuple(found)


def best_of(choices: Sequence[Expected]) -> tuple[Expected, tuple[Expected, ...]]:
    """Return the bound of the least certain error, and those that may be better.

    Where errors are equal the smaller bound is chosen.
    """
    certain = [each for each in choices if each.most_error is not None]
    best = min(certain, key=lambda each: (each.most_error or 0.0, each.groups))
    limit = best.most_error or 0.0
    rivals = itertools.filterfalse(lambda each: each is best, choices)
    return best, tuple(each for each in rivals if each.least_error < limit)
