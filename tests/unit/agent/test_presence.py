# SPDX-License-Identifier: Apache-2.0
"""When an agent comes and how long it stays, by the agreements' windows."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from accord.agent.network.presence import (
    HOUR,
    HOURLY_OPEN,
    Window,
    arrival,
    common_window,
    hourly,
    window_now,
)
from accord.core.agreement_form import Rounds

MONDAY = datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC)
MOMENTS = st.integers(0, 10**6).map(
    lambda minutes: MONDAY + datetime.timedelta(minutes=minutes)
)


def at(days: int = 0, hours: float = 0) -> datetime.datetime:
    return MONDAY + datetime.timedelta(days=days, hours=hours)


def weekly(on: str, time: str, hours: int) -> Rounds:
    return Rounds.model_validate(
        {"every": "week", "on": on, "at": time, "open": hours, "deadline": 21}
    )


def daily(time: str, hours: int) -> Rounds:
    return Rounds.model_validate(
        {"every": "day", "at": time, "open": hours, "deadline": 3}
    )


TUESDAYS = weekly("tuesday", "06:00", 2)


def span(window: Window | None) -> tuple[datetime.datetime, datetime.datetime]:
    assert window is not None
    return window.begin, window.end


def test_one_agreement_has_its_own_windows() -> None:
    found = common_window([TUESDAYS], at(0))
    assert span(found) == (at(1, 6), at(1, 8))
    assert found is not None
    assert found.latest_arrival == at(1, 6) + datetime.timedelta(minutes=12)
    assert span(common_window([TUESDAYS], at(1, 7))) == (at(1, 6), at(1, 8))
    assert span(common_window([TUESDAYS], at(1, 8))) == (at(8, 6), at(8, 8))


def test_the_first_window_of_several_counts() -> None:
    thursdays = weekly("thursday", "20:00", 1)
    assert span(common_window([thursdays, TUESDAYS], at(0))) == (at(1, 6), at(1, 8))
    assert span(common_window([thursdays, TUESDAYS], at(2))) == (at(3, 20), at(3, 21))


def test_windows_that_run_into_each_other_are_one() -> None:
    clauses = [
        TUESDAYS,
        weekly("tuesday", "07:00", 3),
        weekly("tuesday", "10:00", 1),
        weekly("tuesday", "12:00", 1),
    ]
    assert span(common_window(clauses, at(0))) == (at(1, 6), at(1, 11))


def test_an_agreement_without_windows_brings_the_agent_every_hour() -> None:
    found = common_window([TUESDAYS, None], at(0, 3.5))
    assert span(found) == (at(0, 4), at(0, 4) + HOURLY_OPEN)
    # and where its time lies within a window, the agent stays until that closes
    assert span(common_window([TUESDAYS, None], at(1, 5.5))) == (at(1, 6), at(1, 8))


def test_without_agreements_there_is_no_window() -> None:
    assert common_window([], at(0)) is None
    assert arrival(window_now(at(0)), at(0)) == at(0)


@given(MOMENTS)
def test_the_hourly_window_is_open_now_or_comes_next(moment: datetime.datetime) -> None:
    window = hourly(moment)
    assert moment < window.end
    assert window.begin - moment <= HOUR
    assert (window.begin.minute, window.end - window.begin) == (0, HOURLY_OPEN)


def test_the_hours_follow_each_other() -> None:
    window = hourly(at(0, 4))
    assert window.begin == at(0, 4)
    assert hourly(window.end).begin == at(0, 5)


@given(MOMENTS, st.floats(0, 1))
def test_agents_arrive_within_the_first_tenth(
    moment: datetime.datetime, part: float
) -> None:
    window = common_window([daily("06:00", 10)], moment)
    assert window is not None
    come_at = arrival(
        window, moment, uniform=lambda low, high: low + part * (high - low)
    )
    assert come_at >= max(moment, window.begin)
    if moment > window.latest_arrival:
        assert come_at == moment
    else:
        assert come_at <= window.begin + HOUR


def test_arrivals_are_spread_over_the_tenth() -> None:
    """All the moments that chance can give: both ends and what lies between."""
    window = common_window([daily("06:00", 10)], at(0))
    assert window is not None
    ends = [
        arrival(window, at(0), uniform=lambda low, _high: low),
        arrival(window, at(0), uniform=lambda _low, high: high),
    ]
    assert ends == [at(0, 6), at(0, 7)]
    found = {arrival(window, at(0)) for _ in range(50)}
    assert len(found) > 1
    assert all(at(0, 6) <= each <= at(0, 7) for each in found)
