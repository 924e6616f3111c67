# SPDX-License-Identifier: Apache-2.0
"""Intervals for what the records say without any bound on one person.

A released count x is b + k: a bounded count and noise of a known law. Without the
bound on groups, the count would be r = b + lost, with lost >= 0. Nobody knows where the
losses lie, but their total over the table is at most D, the ``dropped`` entry, which
is released with noise of the same law. The interval is from x - h to x + h + t, where

* h is the half-width at which the noise of one cell is outside with probability p;
* u is a bound with P(u < D) <= q, from the noisy ``dropped`` alone;
* t is the least whole loss with u / (t + 1) <= a n, over the n figures of the table
  that are shown; or u itself, where that is less.

**Proof.** Losses are whole numbers of quanta. Where u >= D, at most D / (t + 1) <= a n
figures have lost t + 1 or more (Markov's inequality over the figures, whatever the
data; none at all where t = u). Every other figure is missed only where its noise is
outside, as r - x = lost - k lies within -h and t + h otherwise. The noise of
``dropped`` is independent of that of the figures, so even with u given, and whatever p
and a were chosen with u in sight, a figure is outside with probability p. Expected, the
part of figures that is missed is at most p + a + q = 1 - level.

p and a are the pair out of `_SPLITS` that makes the interval narrowest.

This is of the table, not of one figure chosen for its loss: an adversary may put all
losses into one cell, and that one is missed. Limits of it: the ``dropped`` entry counts
at most ``drop_cap`` groups of one person, so D is a bound on the losses only while no
person stands in more than L0 + ``drop_cap`` groups; and of the cases of one person in
one group no more than Linf count, here as elsewhere.

Where weights keep the bound, a person with m > L0 groups loses m - m floor(S
sqrt(L0 / m)) / S, which is at most m - L0 for all m up to S**2 L0.

Units: stored integers of a figure, unless something else is said.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from fractions import Fraction
from typing import Final

from accord.core.interval import HalfWidth, beyond
from accord.core.opened import OpenedNoise, half_width

LARGEST_DROPPED_SHARE: Final = Fraction(1, 10)
"""Above it nothing is said of the whole truth: the interval would mean nothing."""

LEVEL: Final = 0.95
"""Part of the shown figures that the intervals hold at least, expected."""

_OUTSIDE_DROPPED: Final = Fraction(1, 1000)
"""q: probability that the bound on all losses does not hold."""

_SPLITS: Final = tuple(Fraction(part, 1000) for part in (44, 36, 24, 14, 7, 3))
"""p, the part that noise may leave outside; a is what is left of 5 % with q taken."""

_LEFT: Final = Fraction(1, 20) - _OUTSIDE_DROPPED


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WholeError:
    """How far below and above a noisy figure the whole truth may lie."""

    below: int
    above: int
    level: float
    """Part of the shown figures that are covered at least, expected."""


def most_lost(noise: OpenedNoise, noisy_dropped: int, scale: int) -> int:
    """Return how many groups were left out at most, but for one case in 1000.

    Args:
        noise: of the ``dropped`` entry.
        noisy_dropped: that entry as stored.
        scale: its stored integer of one group.
    """
    # One side of an interval that leaves q outside on each of them.
    reach = half_width(noise, float(1 - 2 * _OUTSIDE_DROPPED)).half_width
    return max(0, noisy_dropped + reach) // scale


def whole_error(
    noise: OpenedNoise, *, lost: int, figures: int, quantum: int = 1
) -> WholeError:
    """Return what to go below and above every shown figure of a table.

    Args:
        noise: of every figure.
        lost: most that all figures together have lost, from `most_lost`, times what
            one group counts at most; as stored integers of a figure.
        figures: shown ones, at least 1.
        quantum: losses of one figure are multiples of it: the stored integer of one
            count, or 1 where weights make fractions of a count.

    Raises:
        ValueError: *figures* or *quantum* is below 1, or *lost* negative.
    """
    if figures < 1 or quantum < 1 or lost < 0:
        message = "a table has figures, and losses are whole and not negative"
        raise ValueError(message)
    quanta = lost // quantum
    choices = [(_LEFT, quanta, Fraction(0))]
    for outside in _SPLITS:
        markov = _LEFT - outside
        # The least t with quanta / (t + 1) <= markov * figures.
        choices.append((outside, math.ceil(quanta / (markov * figures)) - 1, markov))
    found = [
        _error(noise, outside, max(0, min(most, quanta)) * quantum, markov)
        for outside, most, markov in choices
    ]
    return min(found, key=lambda each: (each.below + each.above, -each.level))


def dropped_share(counted: float, dropped: float) -> float:
    """Return the noisy share of groups that the bound left out, from 0 to 1.

    Args:
        counted: noisy number of groups that count; 0 or less is none.
        dropped: noisy number of those left out; 0 or less is none.
    """
    left_out = max(dropped, 0)
    total = max(counted, 0) + left_out
    return left_out / total if total else 0.0


def _error(
    noise: OpenedNoise, outside: Fraction, most: int, markov: Fraction
) -> WholeError:
    width = _width(noise, outside)
    missed = beyond(width.level) if width.level < 1 else 0.0
    return WholeError(
        below=width.half_width,
        above=width.half_width + most,
        level=1.0 - missed - float(markov + _OUTSIDE_DROPPED),
    )


@functools.lru_cache(maxsize=1024)
def _width(noise: OpenedNoise, outside: Fraction) -> HalfWidth:
    """Return a half-width; its level is at least what is asked, whatever rounding."""
    return half_width(noise, math.nextafter(float(1 - outside), 1.0))
