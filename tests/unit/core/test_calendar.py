# SPDX-License-Identifier: Apache-2.0
"""Editions follow the calendar alone."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.calendar import Period, edition_due, is_edition, period_name

DAYS = st.dates(datetime.date(2001, 1, 1), datetime.date(2099, 12, 31))


@pytest.mark.parametrize(
    ("period", "embargo", "today", "edition"),
    [
        (Period.MONTH, 30, "2026-12-01", "2026-10"),
        (Period.MONTH, 30, "2026-11-30", "2026-09"),
        (Period.MONTH, 0, "2026-03-01", "2026-02"),
        (Period.QUARTER, 30, "2026-11-21", "2026-Q3"),
        (Period.QUARTER, 0, "2026-01-01", "2025-Q4"),
        (Period.YEAR, 0, "2025-12-31", "2024"),
    ],
)
def test_the_edition_that_is_due(
    period: Period, embargo: int, today: str, edition: str
) -> None:
    """The period and the embargo after it are both over."""
    assert edition_due(period, embargo, datetime.date.fromisoformat(today)) == edition


@given(period=st.sampled_from(Period), embargo=st.integers(0, 400), today=DAYS)
def test_a_due_edition_ended_at_least_the_embargo_ago_and_is_the_newest(
    period: Period, embargo: int, today: datetime.date
) -> None:
    """Brute force over days agrees."""
    due = edition_due(period, embargo, today)
    assert is_edition(due)
    latest = today - datetime.timedelta(days=embargo)
    day = latest
    while period_name(period, day) == period_name(period, latest):
        day -= datetime.timedelta(days=1)
    assert period_name(period, day) == due
