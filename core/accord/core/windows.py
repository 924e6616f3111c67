# SPDX-License-Identifier: Apache-2.0
"""When agencies' machines are awake, by the agreement's clause ``rounds``.

Windows open at the same time of day, every day or every week, and close after the same
number of hours. A window holds its beginning and not its end. All moments are in UTC,
which has no summer time, so that all agencies and the hub mean the same ones.
"""

from __future__ import annotations

import datetime
from typing import Final, get_args

from accord.core.agreement_form import Rounds, Weekday

CONTACTS: Final = 3
"""Times that an agency may be needed for one answer: ready, masked, reveal."""

_WEEKDAYS: Final = get_args(Weekday)
"""Monday first, as `datetime.date.weekday` counts."""


def step(rounds: Rounds) -> datetime.timedelta:
    """Return the time from the beginning of a window to that of the next."""
    return datetime.timedelta(days=7 if rounds.every == "week" else 1)


def next_window(
    rounds: Rounds, moment: datetime.datetime
) -> tuple[datetime.datetime, datetime.datetime]:
    """Return beginning and end of the window that is open at *moment*, or the next.

    Raises:
        ValueError: the moment has no time zone.
    """
    begin = _last_beginning(rounds, moment)
    length = datetime.timedelta(hours=rounds.open)
    if moment >= begin + length:
        begin += step(rounds)
    return begin, begin + length


def is_open(rounds: Rounds | None, moment: datetime.datetime) -> bool:
    """Tell whether agencies' machines are awake; always, without such a clause."""
    return rounds is None or next_window(rounds, moment)[0] <= moment


def expected(rounds: Rounds | None, moment: datetime.datetime) -> datetime.datetime:
    """Return by when an agency that was asked something at *moment* has answered.

    That is the end of the window that is open or comes next; without such a clause the
    moment itself.
    """
    return moment if rounds is None else next_window(rounds, moment)[1]


def deadline(rounds: Rounds | None) -> datetime.timedelta | None:
    """Return how long one answer may take, where the clause says it."""
    return None if rounds is None else datetime.timedelta(days=rounds.deadline)


def _last_beginning(rounds: Rounds, moment: datetime.datetime) -> datetime.datetime:
    """Return the last beginning of a window that is not after *moment*."""
    if moment.tzinfo is None:
        message = "a moment without a time zone"
        raise ValueError(message)
    utc = moment.astimezone(datetime.UTC)
    begin = datetime.datetime.combine(
        utc.date(), datetime.time.fromisoformat(rounds.at), datetime.UTC
    )
    if rounds.on is not None:
        ago = (utc.weekday() - _WEEKDAYS.index(rounds.on)) % len(_WEEKDAYS)
        begin -= datetime.timedelta(days=ago)
    return begin if begin <= utc else begin - step(rounds)
