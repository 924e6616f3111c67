# SPDX-License-Identifier: Apache-2.0
"""Opens a sum that all agencies of a cohort agreed to open, in memory only.

What is opened has the agencies' shares of the noise in it; where the hub adds all of
the noise, it is an exact sum. It is returned once, and never written or logged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from accord.core.measure import LARGEST_ENTRY
from accord.core.opened import upper_tail
from accord.core.placement import NoisePlan, Placement
from accord.secagg.messages import Receipt
from accord.secagg.opening import check_plausible, check_vector, open_sum

NEVER: Final = 2.0**-80
"""Probability with which one entry's noise may pass its bound."""


def opened_sum(
    receipts: Sequence[Receipt],
    vectors: Mapping[str, bytes],
    seeds: Mapping[str, bytes],
    plan: NoisePlan,
) -> npt.NDArray[np.int64]:
    """Return the sum of a cohort with the agencies' shares of the noise.

    Args:
        receipts: those of the whole cohort.
        vectors: what was masked, by agency.
        seeds: what was revealed.
        plan: who added which noise.

    Raises:
        IntegrityError: VECTOR_WRONG, SEED_WRONG or SUM_IMPLAUSIBLE.
    """
    for receipt in receipts:
        # They were on disk in between.
        check_vector(receipt, vectors.get(receipt.agency, b""))
    found = open_sum(receipts, vectors, seeds)
    check_plausible(found, len(receipts), LARGEST_ENTRY, noise_bound(plan))
    return found


def noise_bound(plan: NoisePlan) -> int:
    """Return what the agencies' shares together exceed practically never."""
    if plan.placement is Placement.HUB:
        return 0
    bound = 1
    while upper_tail(plan.opened, bound) > NEVER:
        bound *= 2
    return bound
