# SPDX-License-Identifier: Apache-2.0
"""Months, quarters and years, and the editions that are frozen by them.

Names of periods: ``2026-03``, ``2026-Q1``, ``2026``. A record that knows less has
the leaf ``2026-Q1-??`` or ``2026-??``.
"""

from __future__ import annotations

import datetime
import enum
import re

MONTH = r"\d{4}-(0[1-9]|1[0-2])"
"""Pattern of a month's name."""


class Period(enum.StrEnum):
    """Lengths of time by which editions are frozen."""

    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


_MONTHS = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}


def calendar_tree(first: str, last: str) -> list[tuple[str, ...]]:
    """Return the leaf paths (year, quarter, month) of all months from first to last.

    Quarters and years at the ends hold only the months of the range.

    Raises:
        ValueError: the last month is before the first.
    """
    begin, end = _month_number(first), _month_number(last)
    if end < begin:
        message = "`until` must not be before `from`."
        raise ValueError(message)
    paths: list[tuple[str, ...]] = []
    for number in range(begin, end + 1):
        year, quarter = _year_name(number), _quarter_name(number)
        paths.append((year, quarter, _month_name(number)))
        final = number == end
        if final or _quarter_name(number + 1) != quarter:
            paths.append((year, quarter, f"{quarter}-??"))
        if final or _year_name(number + 1) != year:
            paths.append((year, f"{year}-??"))
    return paths


def _month_number(name: str) -> int:
    year, month = name.split("-")
    return int(year) * 12 + int(month) - 1


def _month_name(number: int) -> str:
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _quarter_name(number: int) -> str:
    return f"{number // 12:04d}-Q{number % 12 // 3 + 1}"


def _year_name(number: int) -> str:
    return f"{number // 12:04d}"


def period_name(period: Period, day: datetime.date) -> str:
    """Return the name of the period that *day* lies in."""
    number = day.year * 12 + day.month - 1
    names = {
        Period.MONTH: _month_name,
        Period.QUARTER: _quarter_name,
        Period.YEAR: _year_name,
    }
    return names[period](number)


def edition_due(period: Period, embargo_days: int, today: datetime.date) -> str:
    """Return the newest edition that the calendar asks for by *today*.

    The edition of a period is frozen once the period and the embargo after it are
    over: the edition ``2026-10`` with 30 days of embargo on 2026-12-01. It depends
    on the calendar alone, so every agency freezes the same ones.
    """
    latest = today - datetime.timedelta(days=embargo_days)
    number = latest.year * 12 + latest.month - 1
    months = _MONTHS[period]
    last_month_of_ended = number // months * months - 1
    ended = datetime.date(last_month_of_ended // 12, last_month_of_ended % 12 + 1, 1)
    return period_name(period, ended)


def period_end(name: str) -> datetime.date:
    """Return the last day of the period *name*, or of what is left of it unrefined.

    ``2026-Q1-??`` may be any day of the quarter, so it ends with the quarter.
    """
    year, _, rest = name.removesuffix("-??").partition("-")
    month = 12 if not rest else int(rest[1:]) * 3 if rest[0] == "Q" else int(rest)
    following = datetime.date(int(year) + month // 12, month % 12 + 1, 1)
    return following - datetime.timedelta(days=1)


_EDITION = re.compile(r"\d{4}(-(0[1-9]|1[0-2])|-Q[1-4])?")


def is_edition(name: str) -> bool:
    """Tell whether *name* has the form of an edition's name."""
    return _EDITION.fullmatch(name) is not None
