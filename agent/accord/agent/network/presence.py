# SPDX-License-Identifier: Apache-2.0
"""When an agent is connected: always, in the windows of its agreements, or once.

A machine that sleeps takes part where all of an agreement's members are awake at the
same time (`accord.core.windows`). Agents come at random moments in the first tenth of a
window, so that a hub with many of them does not see all at once, and stay until it
closes: whoever came first still answers what came last.
"""

from __future__ import annotations

import dataclasses
import datetime
import random
from collections.abc import Callable, Iterable
from typing import TypeAlias

from accord.core.agreement_form import Rounds
from accord.core.windows import next_window

HOUR = datetime.timedelta(hours=1)

HOURLY_OPEN = datetime.timedelta(minutes=10)
"""Length of the window at every full hour for agreements without windows."""

_RANDOM = random.SystemRandom()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From a beginning to an end, the end not included."""

    begin: datetime.datetime
    end: datetime.datetime
    arrival: datetime.timedelta
    """From the beginning on, in which agents arrive."""

    @property
    def latest_arrival(self) -> datetime.datetime:
        """When who keeps to the rule has arrived."""
        return self.begin + self.arrival


FindWindow: TypeAlias = Callable[[datetime.datetime], Window | None]
"""Returns the window that is open at a moment, or the next; none without agreements."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    """Connected as long as the program runs."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AtWindows:
    """Connected while a window is open; called again before each."""

    find: FindWindow


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OneContact:
    """Connected until nothing has come for a while."""

    seconds: float | None = None
    """At most so long."""


Presence: TypeAlias = Always | AtWindows | OneContact


def hourly(moment: datetime.datetime) -> Window:
    """Return the short window of the hour that is open at *moment*, or the next."""
    begin = moment.replace(minute=0, second=0, microsecond=0)
    if moment >= begin + HOURLY_OPEN:
        begin += HOUR
    return _window(begin, begin + HOURLY_OPEN)


def window_now(moment: datetime.datetime) -> Window:
    """Return a short window in which to get the first agreements."""
    return Window(begin=moment, end=moment + HOURLY_OPEN, arrival=datetime.timedelta())


def common_window(
    clauses: Iterable[Rounds | None], moment: datetime.datetime
) -> Window | None:
    """Return the first window of all agreements, with those that it runs into.

    Args:
        clauses: `rounds` of each agreement; where there is none, every hour counts.
        moment: with a time zone.
    """
    found = sorted(
        (_window_of(clause, moment) for clause in clauses),
        key=lambda window: window.begin,
    )
    if not found:
        return None
    first, end = found[0], found[0].end
    for other in found[1:]:
        if other.begin <= end:
            end = max(end, other.end)
    return dataclasses.replace(first, end=end)


def arrival(
    window: Window,
    moment: datetime.datetime,
    *,
    uniform: Callable[[float, float], float] = _RANDOM.uniform,
) -> datetime.datetime:
    """Return when to connect: at once where the time of arrival is over."""
    earliest = max(window.begin, moment)
    left = (window.latest_arrival - earliest).total_seconds()
    return earliest + datetime.timedelta(seconds=uniform(0, max(0.0, left)))


def _window_of(clause: Rounds | None, moment: datetime.datetime) -> Window:
    return hourly(moment) if clause is None else _window(*next_window(clause, moment))


def _window(begin: datetime.datetime, end: datetime.datetime) -> Window:
    return Window(begin=begin, end=end, arrival=(end - begin) / 10)
