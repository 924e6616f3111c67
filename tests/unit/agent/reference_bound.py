# SPDX-License-Identifier: Apache-2.0
"""The bounding rule, written once more with dictionaries and sorting.

Slow and plain on purpose: it shares nothing with the kernel but the meaning of its
input, so that a mistake has to be made twice to stay unseen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of an agency's store."""

    person: int
    known: bool
    key: int
    leaves: Mapping[str, frozenset[int]]
    """Leaf codes by dimension; exactly one for a single-valued dimension."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """All that the vector depends on besides the cases."""

    persons: bool
    """Whether persons are counted; else cases."""
    axes: Sequence[tuple[str, int, Sequence[int]]]
    """Dimension, number of values, cell of each leaf (-1: none)."""
    where: Mapping[str, frozenset[int]]
    l0: int
    linf: int
    drop_cap: int

    @property
    def cell_scale(self) -> int:
        """Stored integer of one count under zCDP: two more entries add a twentieth."""
        scale, extra = 4, 1 + self.drop_cap**2
        while 400 * (self.l0 * scale**2 + extra) > 441 * self.l0 * scale**2:
            scale += 1
        return scale


def cells_of(case: Case, rule: Rule) -> set[int]:
    """Return the numbers of all cells that the case stands in."""
    if any(not case.leaves[name] & wanted for name, wanted in rule.where.items()):
        return set()
    numbers = {0}
    for dimension, size, cell_of_leaf in rule.axes:
        places = {cell_of_leaf[leaf] for leaf in case.leaves[dimension]} - {-1}
        numbers = {number * size + place for number in numbers for place in places}
    return numbers


def reference_vector(cases: Sequence[Case], rule: Rule) -> list[int]:
    """Return [cells..., persons, dropped] by the rule."""
    n_cells = 1
    for _, size, _ in rule.axes:
        n_cells *= size
    keys: dict[int, dict[int, list[int]]] = {}
    named: dict[int, bool] = {}
    for case in cases:
        if rule.persons and not case.known:
            continue
        for cell in cells_of(case, rule):
            keys.setdefault(case.person, {}).setdefault(cell, []).append(case.key)
            named[case.person] = case.known
    vector = [0] * (n_cells + 2)
    for person, groups in keys.items():
        ranked = sorted(groups, key=lambda cell: (min(groups[cell]), cell))
        for cell in ranked[: rule.l0]:
            count = 1 if rule.persons else min(len(groups[cell]), rule.linf)
            vector[cell] += rule.cell_scale * count
        vector[-2] += named[person]
        vector[-1] += min(len(ranked[rule.l0 :]), rule.drop_cap)
    return vector
