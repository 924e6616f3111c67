# SPDX-License-Identifier: Apache-2.0
"""What the code or bitmask of a case says of the values of a dimension, in SQL.

Roll-ups never decrease, so a table over thousands of leaves is written as a few runs:
leaves that share one place, or whose places follow each other as they do.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlglot import exp

from accord.agent.pushdown.dialect import (
    any_of,
    chosen,
    equals,
    moved,
    never,
    number,
    over,
    times,
    whole,
)
from accord.agent.store.columns import LEAVES_PER_WORD

_MOST_RANGES: Final = 8
"""More of them are written as a list, which databases look up at once."""


class _Run(NamedTuple):
    """Leaves next to each other."""

    first: int
    last: int
    place: int
    """Of the first leaf."""
    step: int
    """From one leaf's place to the next: 0 or 1."""


def in_leaves(code: exp.Expr, wanted: Sequence[bool]) -> exp.Expr:
    """Return the test whether *code* is that of a wanted leaf."""
    leaves = [leaf for leaf, want in enumerate(wanted) if want]
    ranges = _ranges(leaves)
    if not ranges:
        return never()
    if len(ranges) > _MOST_RANGES:
        return exp.In(this=code, expressions=[number(leaf) for leaf in leaves])
    return any_of(
        equals(code.copy(), first)
        if first == last
        else exp.Between(this=code.copy(), low=number(first), high=number(last))
        for first, last in ranges
    )


def place_of(code: exp.Expr, places: Sequence[int], stride: int = 1) -> exp.Expr:
    """Return the place of *code*'s leaf times *stride*.

    Args:
        code: of a leaf that has a place; what others give is of no use.
        places: for each leaf, negative where it has none.
        stride: what the place is multiplied by.
    """
    runs = _runs(places)
    if not runs:
        return number(0)
    value = whole(code)
    steps: list[tuple[int, exp.Expr]] = []
    for run in runs:
        if run.step:
            by = (run.place - run.first) * stride
            steps.append((run.last, moved(times(value.copy(), stride), by)))
        else:
            steps.append((run.last, number(run.place * stride)))
    return chosen(code, steps)


def any_bit(words: Sequence[exp.Expr], masks: Sequence[exp.Expr]) -> exp.Expr:
    """Return the test whether a bit of *masks* is set in *words*."""
    return any_of(
        exp.NEQ(
            this=exp.paren(exp.BitwiseAnd(this=word, expression=mask)),
            expression=number(0),
        )
        for word, mask in zip(words, masks, strict=True)
    )


def any_leaf(words: Sequence[exp.Expr], wanted: Sequence[bool]) -> exp.Expr:
    """Return the test whether *words* have a wanted leaf."""
    masks = masks_of([leaf for leaf, want in enumerate(wanted) if want], len(words))
    used = [(word, mask) for word, mask in zip(words, masks, strict=True) if mask]
    if not used:
        return never()
    return any_bit([word for word, _ in used], [number(mask) for _, mask in used])


def masks_by_place(places: Sequence[int], words: int) -> Mapping[int, Sequence[int]]:
    """Return for every place that a leaf has the bits of its leaves, word by word."""
    leaves = sorted((place, leaf) for leaf, place in enumerate(places) if place >= 0)
    return {
        place: masks_of([leaf for _, leaf in group], words)
        for place, group in itertools.groupby(leaves, key=lambda pair: pair[0])
    }


def masks_of(leaves: Sequence[int], words: int) -> list[int]:
    """Return the bits of *leaves*, word by word."""
    masks = [0] * words
    for leaf in leaves:
        masks[leaf // LEAVES_PER_WORD] |= 1 << leaf % LEAVES_PER_WORD
    return masks


def outside(code: exp.Expr, leaves: int) -> exp.Expr:
    """Return the test whether *code* is none of so many leaves, or nothing."""
    return any_of(
        [
            exp.Is(this=code.copy(), expression=exp.null()),
            exp.LT(this=code.copy(), expression=number(0)),
            over(code.copy(), leaves - 1),
        ]
    )


def _ranges(leaves: Sequence[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for leaf in leaves:
        if found and found[-1][1] == leaf - 1:
            found[-1] = (found[-1][0], leaf)
        else:
            found.append((leaf, leaf))
    return found


def _runs(places: Sequence[int]) -> list[_Run]:
    """Return the leaves that have a place, in runs as long as possible."""
    found: list[_Run] = []
    leaf = 0
    while leaf < len(places):
        if places[leaf] < 0:
            leaf += 1
            continue
        ends = [_end(places, leaf, step) for step in (0, 1)]
        step = int(ends[1] > ends[0])
        found.append(_Run(leaf, ends[step], places[leaf], step))
        leaf = ends[step] + 1
    return found


def _end(places: Sequence[int], first: int, step: int) -> int:
    last = first
    while last + 1 < len(places) and places[last + 1] == places[first] + step * (
        last + 1 - first
    ):
        last += 1
    return last
