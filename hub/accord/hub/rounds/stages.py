# SPDX-License-Identifier: Apache-2.0
"""The words of a round: its stages, what it does next, what agencies are asked."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Mapping
from typing import Final

ERASING: Final = dt.timedelta(seconds=60)
"""Time in which agencies can still say that they erased, once it has expired."""

DECIDING: Final = dt.timedelta(seconds=60)
"""Time that is kept for the rest of a question, however long people take to approve."""

MOST_ATTEMPTS: Final = 1000
"""Attempts of one question; the protocol knows no higher number."""

FORGETFUL: Final = frozenset({"COHORT_CHANGED", "EQUIVOCATION", "OUT_OF_ORDER"})
"""Reasons that another attempt can cure: hub and agency remember different things."""


APPROVAL_AWAITED: Final = "APPROVAL_AWAITED"
"""Why an agency is not ready that declines nothing: its people have to look first."""


class Stage(enum.StrEnum):
    """Where an attempt stands."""

    READY = "ready"
    MASKED = "masked"
    REVEAL = "reveal"


class Turn(enum.Enum):
    """What `Round.advance` did; the caller keeps and notes it."""

    CHOSEN = enum.auto()
    AGAIN = enum.auto()
    OPENING = enum.auto()
    CLOSING = enum.auto()
    """It can no longer be opened; agencies are asked to erase."""
    OPENED = enum.auto()
    LOST = enum.auto()


class Wanted(enum.Enum):
    """What an agency is to be sent."""

    REQUISITION = enum.auto()
    COHORT = enum.auto()
    RECEIPTS = enum.auto()
    SETTLED = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the agencies are asked, as a round needs it."""

    submission: str
    payload_digest: str
    spec_digest: bytes
    size: int
    """Entries of the vectors."""
    members: tuple[str, ...]
    cohorts: Mapping[str, tuple[str, ...]]
    """Cohorts of these members that may be published, the largest first."""
    noise: Mapping[str, str]
    """Digest of the noise plan of each of them."""
    expires_at: dt.datetime


def half_of_what_is_left(now: dt.datetime, expires_at: dt.datetime) -> dt.datetime:
    """Return when a wait that begins now is over."""
    return now + max(expires_at - now, dt.timedelta(0)) / 2


def people_decide(
    call: Call,
    possible: Iterable[str],
    awaited: Iterable[str],
    approving: Iterable[str],
    now: dt.datetime,
) -> bool:
    """Tell whether only those can still make an answer who approve it first.

    Args:
        call: what is asked.
        possible: cohorts of which nobody was set aside.
        awaited: who has not said ready.
        approving: whose people have to approve it, of those.
        now: the time.
    """
    left = [set(call.cohorts[cohort]) for cohort in possible]
    silent = set(awaited).difference(approving)
    return (
        call.expires_at - now > DECIDING
        and all(members.intersection(awaited) for members in left)
        and any(members.isdisjoint(silent) for members in left)
    )


def publishable(
    cohorts: Mapping[str, tuple[str, ...]], asked: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Return the cohorts all of whose members were asked, in the given order."""
    return {
        name: members for name, members in cohorts.items() if set(members) <= set(asked)
    }
