# SPDX-License-Identifier: Apache-2.0
"""When an answer can be expected: agencies' machines may be awake in windows only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

from accord.core.agreement import Agreement
from accord.core.windows import deadline, expected


def expected_at(
    agreement: Agreement,
    members: Iterable[str],
    connected: Collection[str],
    now: dt.datetime,
) -> dt.datetime:
    """Return by when the members have said what is asked of them.

    Args:
        agreement: says when machines are awake.
        members: who is asked.
        connected: agencies with an open stream.
        now: the time.
    """
    if all(member in connected for member in members):
        return now
    return expected(agreement.form.rounds, now)


def patience(agreement: Agreement, otherwise: dt.timedelta) -> dt.timedelta:
    """Return how long a whole cohort is waited for before a fallback may answer.

    Args:
        agreement: may say it.
        otherwise: what the hub's operator says.
    """
    return deadline(agreement.form.rounds) or otherwise
