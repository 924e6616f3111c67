# SPDX-License-Identifier: Apache-2.0
"""Dates as sources write them, read as the period that they name.

A reader turns a text into the name of a month, quarter or year of a calendar
dimension, or into a day. It never guesses between day and month: a form is ISO 8601
or is spelt out in the mapping.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
import zoneinfo
from collections.abc import Callable, Sequence

Reader = Callable[[str], str | None]
"""Returns the name of a period, or nothing where the text has another form."""

_YEAR = re.compile(r"(?P<year>\d{4})")
_QUARTER = re.compile(r"(?P<year>\d{4})[- ]?[Qq](?P<quarter>[1-4])")
_MONTH = re.compile(r"(?P<year>\d{4})-?(?P<month>0[1-9]|1[0-2])")
_DAY = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    r"(?:[T ][0-9:.,]+ ?(?P<offset>Z|UTC|[+-][0-9:]+)?)?"
)
_TIME = re.compile(r"[T ](?P<hour>\d{1,2})(?P<rest>:\d{2}(?::\d{2})?)")
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})?")

Zone = zoneinfo.ZoneInfo | None
"""Where a moment's day is sought; none: as it is written."""

_ALLOWED = frozenset("YmdbBHMSfpzZ%")


def zone_called(name: str) -> Zone:
    """Return a time zone, or nothing where none is called so."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return None


def period_reader(form: str, zone: Zone = None) -> Reader:
    """Return the reader for a word (day, month, quarter, year) or a format.

    Args:
        form: the word or format.
        zone: a time with an offset is counted to the day that it was there.
    """
    readers: dict[str, Reader] = {
        "month": _month,
        "quarter": _quarter,
        "year": _year,
    }
    chosen = _by_day(zone) if form == "day" else readers.get(form)
    read = chosen or _formatted(form, zone)
    return lambda text: read(_in_ours(text))


def first_that_reads(readers: Sequence[Reader]) -> Reader:
    """Return a reader that tries others in turn."""

    def read(text: str) -> str | None:
        for reader in readers:
            if (found := reader(text)) is not None:
                return found
        return None

    return read


def day_number(text: str, formats: Sequence[str], zone: Zone = None) -> int | None:
    """Return a day as the number 20260131, or nothing where no format fits.

    The difference of two such numbers, divided by 10000 and rounded down, is an age in
    full years.
    """
    text = _in_ours(text)
    for form in formats:
        day = _parsed(text, form, zone)
        if day is not None:
            return day.year * 10_000 + day.month * 100 + day.day
    return None


def wrong_format(form: str, *, day: bool) -> str | None:
    """Return what is wrong with a format, if anything.

    Args:
        form: as for `datetime.datetime.strptime`.
        day: whether it must name a whole day; else a year is enough.
    """
    directives = re.findall(r"%(.)", form)
    months = sum(directives.count(letter) for letter in "mbB")
    foreign = [letter for letter in directives if letter not in _ALLOWED]
    words = "" if day else "day, month, quarter, year, or "
    rules = (
        (not directives, f"expected {words}a format such as `%d/%m/%Y`."),
        ("y" in foreign, "years of two digits are ambiguous; use %Y."),
        (
            bool(foreign),
            f"it has %{''.join(foreign)[:1]}, which is not supported here.",
        ),
        (directives.count("Y") != 1, "the format needs %Y once."),
        (
            months > 1 or directives.count("d") > months,
            "the format needs its month once, and a day only with a month.",
        ),
        (
            day and not ("d" in directives and months),
            "the format needs a whole day: %Y, %m (or %b, %B) and %d.",
        ),
    )
    return next((sentence for broken, sentence in rules if broken), None)


def _in_ours(text: str) -> str:
    """Return *text* with the digits of other scripts, such as Arabic, as 0 to 9."""
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text
    )


def _year(text: str) -> str | None:
    match = _YEAR.fullmatch(text)
    return match["year"] if match else None


def _quarter(text: str) -> str | None:
    match = _QUARTER.fullmatch(text)
    return f"{match['year']}-Q{match['quarter']}" if match else None


def _month(text: str) -> str | None:
    match = _MONTH.fullmatch(text)
    return f"{match['year']}-{match['month']}" if match else None


def _by_day(zone: Zone) -> Reader:
    def read(text: str) -> str | None:
        day = _iso_day(text, zone)
        return f"{day.year:04d}-{day.month:02d}" if day else None

    return read


def _iso_day(text: str, zone: Zone) -> datetime.date | None:
    match = _DAY.fullmatch(text)
    if match is None:
        return None
    try:
        day = datetime.date(int(match["year"]), int(match["month"]), int(match["day"]))
        if zone is None or match["offset"] is None:
            return day
        return _day_in(zone, day, text, match["offset"])
    except (ValueError, OverflowError):
        return None


def _day_in(
    zone: zoneinfo.ZoneInfo, day: datetime.date, text: str, offset: str
) -> datetime.date | None:
    """Return the day that a moment fell on in *zone*."""
    time = _TIME.search(text)
    if time is None:
        return None
    found = _OFFSET.fullmatch(offset)
    if found is None and offset not in {"Z", "UTC"}:
        return None
    away = datetime.timedelta()
    if found is not None:
        away = datetime.timedelta(
            hours=int(found["hours"]), minutes=int(found["minutes"] or 0)
        )
        away = -away if found["sign"] == "-" else away
    clock = datetime.time.fromisoformat(f"{time['hour']:0>2}{time['rest']}")
    moment = datetime.datetime.combine(day, clock, datetime.timezone(away))
    return moment.astimezone(zone).date()


def _formatted(form: str, zone: Zone) -> Reader:
    whole = any(f"%{letter}" in form for letter in "mbB")

    def read(text: str) -> str | None:
        day = _parsed(text, form, zone)
        if day is None:
            return None
        return f"{day.year:04d}-{day.month:02d}" if whole else f"{day.year:04d}"

    return read


def _parsed(text: str, form: str, zone: Zone) -> datetime.date | None:
    if form == ISO_DAY:
        return _iso_day(text, zone)
    try:
        moment = datetime.datetime.strptime(text, form)  # noqa: DTZ007  # see below
        # Without an offset it is a day where it was written, and needs no zone.
        if zone is not None and moment.tzinfo is not None:
            moment = moment.astimezone(zone)
    except (ValueError, OverflowError):
        return None
    return moment.date()


ISO_DAY = "%Y-%m-%d"
"""Default format of days; a time of day behind it is ignored."""
