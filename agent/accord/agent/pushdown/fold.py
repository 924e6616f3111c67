# SPDX-License-Identifier: Apache-2.0
"""From the rows that a database answers with to the vector that the store gives.

Rows are sums over cells and slots, unscaled; scales and clamps are those of the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from accord.agent.pushdown.plan import Plan
from accord.agent.store.bound import Vector, is_plain, plain_vector
from accord.agent.store.slots import slot_vector
from accord.core.errors import IntegrityError
from accord.core.query import Kind

_COUNT_OF_MEAN = 1


def fold(plan: Plan, rows: Iterable[Sequence[Any]]) -> Vector:
    """Return the vector that *rows* make, the answer to *plan*.

    Units: counts times the scale of their component.
    Shape: (layout.size,): entries of the cells, ``persons``, ``dropped``.

    Raises:
        IntegrityError: STORE_BROKEN, the rows are no answer to the plan.
    """
    layout = plan.layout
    slots = len(layout.slots)
    second = _COUNT_OF_MEAN if layout.measure.kind is Kind.MEAN else 0
    cells: list[list[int]] = [[0] * slots for _ in range(layout.n_cells)]
    persons = dropped = 0
    try:
        for row in rows:
            cell, slot, added, other, person, left_out = (int(value) for value in row)
            if cell < 0 or slot < 0:
                raise IndexError
            cells[cell][slot] += added
            cells[cell][second] += other
            persons += person
            dropped += left_out
        counts = np.array(cells, np.int64).reshape(-1)
    except (IndexError, OverflowError, TypeError, ValueError):
        raise IntegrityError(
            "STORE_BROKEN",
            "The database's answer is none to what it was asked: the coded table is "
            "damaged. Check it with `accord-agent pushdown check`.",
        ) from None
    if is_plain(layout, plan.vector):
        return plain_vector(layout, plan.vector, counts, persons, dropped)
    return slot_vector(layout, plan.vector, counts, persons, dropped)
