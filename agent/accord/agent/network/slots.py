# SPDX-License-Identifier: Apache-2.0
"""When answers leave that took a computation over records.

How long it takes depends on how many records there are and how they lie. What leaves at
one of a few moments, each twice as late as the one before, tells how often the time had
to be doubled and nothing else; waiting at most doubles what a computation takes.
"""

from __future__ import annotations


def slot_end(slot: float, elapsed: float) -> float:
    """Return the first of slot, 2 slot, 4 slot … that is not below *elapsed*.

    Args:
        slot: seconds; 0 switches slots off, and *elapsed* itself is returned.
        elapsed: seconds that the computation took.
    """
    if slot <= 0:
        return elapsed
    end = slot
    while end < elapsed:
        end *= 2
    return end
