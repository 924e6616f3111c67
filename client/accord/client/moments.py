# SPDX-License-Identifier: Apache-2.0
"""When an answer can be expected, as the hub says it and as people read it.

Moments are in UTC, like everything that an agreement says about time. Days have their
names, because a weekly window is remembered by its day.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Final

SOON: Final = datetime.timedelta(minutes=1)
"""What is expected within it is expected at once; clocks differ by some seconds."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """By when agencies have answered if all of them take part, and what comes then."""

    expected_at: datetime.datetime | None
    """None where nobody has to be waited for, or the hub does not say."""
    deadline_at: datetime.datetime | None
    """From then on a fallback cohort answers, or nobody."""

    def is_soon(self, now: datetime.datetime | None = None) -> bool:
        """Tell whether the answer comes while one waits for it."""
        moment = self.expected_at
        return moment is None or moment <= (now or utc_now()) + SOON

    def phrase(
        self, *, or_nobody: bool = False, now: datetime.datetime | None = None
    ) -> str:
        """Return a phrase such as ``expected by Mon 2026-11-30 08:00 UTC; …``.

        Args:
            or_nobody: no fallback cohort can stand in.
            now: the moment at which it is read.
        """
        moment, now = self.expected_at, now or utc_now()
        if moment is None:
            return ""
        words = f"expected by {spoken(moment)}"
        if abs(moment - now) <= SOON:
            words = "expected at once if no agency is away"
        elif moment < now:
            words = f"was {words}"
        if self.deadline_at is None:
            return words
        then = "nobody answers" if or_nobody else "a fallback cohort answers, or nobody"
        return f"{words}; after {spoken(self.deadline_at)} {then}"

    def as_json(self) -> dict[str, str | None]:
        """Return the documented form."""
        return {
            "expected_at": _iso(self.expected_at),
            "deadline_at": _iso(self.deadline_at),
        }


def expectation_of(expected_at: int, deadline_at: int) -> Expectation:
    """Return what a message says in seconds since 1970; 0 says nothing."""
    return Expectation(
        expected_at=moment_of(expected_at), deadline_at=moment_of(deadline_at)
    )


def utc_now() -> datetime.datetime:
    """Return the time by this machine's clock."""
    return datetime.datetime.now(datetime.UTC)


def spoken(moment: datetime.datetime) -> str:
    """Return a moment such as ``Mon 2026-11-30 08:00 UTC``, in any locale."""
    utc = moment.astimezone(datetime.UTC)
    return f"{_DAYS[utc.weekday()]} {utc:%Y-%m-%d %H:%M} UTC"


def moment_of(seconds: int) -> datetime.datetime | None:
    """Return a moment as messages have it; 0 is none."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC) if seconds else None


def _iso(moment: datetime.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
