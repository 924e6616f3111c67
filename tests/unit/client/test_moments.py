# SPDX-License-Identifier: Apache-2.0
"""When an answer can be expected, in words that are true when they are read."""

from __future__ import annotations

import datetime

import pytest

from accord.client.moments import SOON, Expectation, expectation_of, spoken

NOW = datetime.datetime(2026, 11, 28, 12, 0, tzinfo=datetime.UTC)
MONDAY = datetime.datetime(2026, 11, 30, 8, 0, tzinfo=datetime.UTC)
LATER = datetime.datetime(2026, 12, 14, 8, 0, tzinfo=datetime.UTC)


def expectation(
    expected_at: datetime.datetime | None,
    deadline_at: datetime.datetime | None = LATER,
) -> Expectation:
    return Expectation(expected_at=expected_at, deadline_at=deadline_at)


def test_days_away_it_says_when_and_what_comes_if_somebody_is_away() -> None:
    """A fallback cohort, or nobody; nobody for sure where all were asked for."""
    found = expectation(MONDAY)
    assert found.phrase(now=NOW) == (
        "expected by Mon 2026-11-30 08:00 UTC; after Mon 2026-12-14 08:00 UTC a "
        "fallback cohort answers, or nobody"
    )
    assert found.phrase(now=NOW, or_nobody=True) == (
        "expected by Mon 2026-11-30 08:00 UTC; after Mon 2026-12-14 08:00 UTC nobody "
        "answers"
    )
    assert not found.is_soon(NOW)


@pytest.mark.parametrize("off", [-SOON, datetime.timedelta(), SOON])
def test_now_is_at_once_although_clocks_differ(off: datetime.timedelta) -> None:
    found = expectation(NOW + off)
    assert found.phrase(now=NOW) == (
        "expected at once if no agency is away; after Mon 2026-12-14 08:00 UTC a "
        "fallback cohort answers, or nobody"
    )
    assert found.is_soon(NOW)


def test_what_is_overdue_says_so() -> None:
    """Nobody is told to wait for a moment that has passed."""
    phrase = expectation(MONDAY, None).phrase(now=LATER)
    assert phrase == "was expected by Mon 2026-11-30 08:00 UTC"


def test_a_hub_that_says_nothing_is_not_put_words_into_its_mouth() -> None:
    found = expectation_of(0, 0)
    assert found == expectation(None, None)
    assert found.phrase() == ""
    assert found.is_soon()
    assert found.as_json() == {"expected_at": None, "deadline_at": None}


def test_messages_have_seconds_and_programs_get_moments_in_utc() -> None:
    found = expectation_of(int(MONDAY.timestamp()), int(LATER.timestamp()))
    assert found == expectation(MONDAY, LATER)
    assert found.as_json() == {
        "expected_at": "2026-11-30T08:00:00+00:00",
        "deadline_at": "2026-12-14T08:00:00+00:00",
    }


def test_moments_of_another_zone_are_spoken_in_utc() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=10))
    assert spoken(MONDAY.astimezone(zone)) == "Mon 2026-11-30 08:00 UTC"
