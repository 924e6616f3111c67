# SPDX-License-Identifier: Apache-2.0
"""When agencies' machines are awake: appointments that everybody computes alike."""

from __future__ import annotations

import datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.agreement_form import Rounds, Weekday
from accord.core.windows import (
    CONTACTS,
    deadline,
    expected,
    is_open,
    next_window,
    step,
)

HOUR = datetime.timedelta(hours=1)
TICK = datetime.timedelta(microseconds=1)


def daily(at: str = "06:00", hours: int = 2) -> Rounds:
    """Return windows of every day."""
    return Rounds.model_validate(
        {"every": "day", "at": at, "open": hours, "deadline": "14 days"}
    )


def weekly(on: str = "monday", at: str = "06:00", hours: int = 2) -> Rounds:
    """Return windows of every week."""
    return Rounds.model_validate(
        {"every": "week", "on": on, "at": at, "open": hours, "deadline": 30}
    )


def moment(text: str) -> datetime.datetime:
    """Return a moment from its ISO form."""
    return datetime.datetime.fromisoformat(text)


TIMES = st.times().map(lambda time: f"{time:%H:%M}")
ROUNDS = st.one_of(
    st.builds(daily, TIMES, st.integers(1, 24)),
    st.builds(weekly, st.sampled_from(get_args(Weekday)), TIMES, st.integers(1, 24)),
)
MOMENTS = st.datetimes(
    datetime.datetime(2001, 1, 1),  # noqa: DTZ001 - the zone is drawn
    datetime.datetime(2099, 12, 31),  # noqa: DTZ001 - the zone is drawn
    timezones=st.timezones(),
    allow_imaginary=False,
)


@pytest.mark.parametrize(
    ("rounds", "asked", "begin", "end"),
    [
        (daily(), "2026-03-04T05:59:59Z", "2026-03-04T06:00Z", "2026-03-04T08:00Z"),
        (daily(), "2026-03-04T06:00:00Z", "2026-03-04T06:00Z", "2026-03-04T08:00Z"),
        (daily(), "2026-03-04T08:00:00Z", "2026-03-05T06:00Z", "2026-03-05T08:00Z"),
        (
            daily("23:30", 2),
            "2026-03-05T01:00:00Z",
            "2026-03-04T23:30Z",
            "2026-03-05T01:30Z",
        ),
        (
            daily(),
            "2026-03-04T08:30:00+02:00",
            "2026-03-04T06:00Z",
            "2026-03-04T08:00Z",
        ),
        (weekly(), "2026-03-04T07:00:00Z", "2026-03-09T06:00Z", "2026-03-09T08:00Z"),
        (weekly(), "2026-03-02T07:00:00Z", "2026-03-02T06:00Z", "2026-03-02T08:00Z"),
        (
            weekly("sunday", "22:00", 24),
            "2026-03-02T21:00:00Z",
            "2026-03-01T22:00Z",
            "2026-03-02T22:00Z",
        ),
    ],
)
def test_the_window_that_is_open_or_comes_next(
    rounds: Rounds, asked: str, begin: str, end: str
) -> None:
    """2026-03-02 is a Monday; the end does not belong to the window."""
    assert next_window(rounds, moment(asked)) == (moment(begin), moment(end))


@given(ROUNDS, MOMENTS)
def test_the_window_contains_or_follows_the_moment_and_is_where_the_clause_says(
    rounds: Rounds, asked: datetime.datetime
) -> None:
    """In UTC, never longer away than a step, of the stated length."""
    begin, end = next_window(rounds, asked)
    assert asked < end
    assert begin - asked <= step(rounds) - (end - begin)
    assert end - begin == rounds.open * HOUR
    assert begin.tzinfo is end.tzinfo is datetime.UTC
    assert f"{begin:%H:%M}" == rounds.at
    if rounds.on is not None:
        assert f"{begin:%A}".lower() == rounds.on
    assert is_open(rounds, asked) is (begin <= asked)
    assert expected(rounds, asked) == end


@given(ROUNDS, MOMENTS)
def test_windows_come_one_after_the_other_without_a_gap_in_the_calendar(
    rounds: Rounds, asked: datetime.datetime
) -> None:
    """The next begins one step after; asked anywhere within, it is the same one."""
    begin, end = next_window(rounds, asked)
    following = (begin + step(rounds), end + step(rounds))
    assert next_window(rounds, end) == following
    assert next_window(rounds, asked + step(rounds)) == following
    assert next_window(rounds, begin) == (begin, end)
    assert next_window(rounds, end - TICK) == (begin, end)
    assert next_window(rounds, begin - TICK)[0] == (
        begin - step(rounds) if end - begin == step(rounds) else begin
    )


@given(ROUNDS, MOMENTS)
def test_three_contacts_fit_into_three_steps(
    rounds: Rounds, asked: datetime.datetime
) -> None:
    """So a deadline of three steps lets an agency answer, whenever it is asked."""
    last = asked
    for _ in range(CONTACTS):
        begin, end = next_window(rounds, last)
        assert end - asked <= CONTACTS * step(rounds)
        last = max(end, begin)


def test_without_the_clause_machines_are_always_awake() -> None:
    """An answer is expected at once, and there is no deadline from here."""
    now = moment("2026-03-04T03:00Z")
    assert is_open(None, now)
    assert expected(None, now) == now
    assert deadline(None) is None
    assert deadline(daily()) == datetime.timedelta(days=14)


def test_a_moment_without_a_time_zone_is_refused() -> None:
    """Nobody could tell which one is meant."""
    with pytest.raises(ValueError, match="time zone"):
        next_window(daily(), datetime.datetime(2026, 3, 4))  # noqa: DTZ001 - the point
