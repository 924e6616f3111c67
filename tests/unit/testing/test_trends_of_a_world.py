# SPDX-License-Identifier: Apache-2.0
"""Trends and a brief on answers of a whole federation, with its real noise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accord.client import Result
from accord.client.brief import as_markdown, brief_of
from accord.client.trends import change_points, hot_spots, seasonal
from accord.testing import world


@pytest.fixture(scope="module")
def months() -> Iterator[Result]:
    with world(agencies=5) as made:
        question = made.hub.agreement("world").persons().by("registered_month")
        yield question.release(epsilon=2, purpose="learning")


def test_released_months_are_searched_compared_and_briefed(months: Result) -> None:
    (series,) = change_points(months)
    assert series.compared + series.series.suppressed == len(series.series.points)
    assert series.series.points[-1].period <= months.edition
    assert series.series.breaks == ()
    assert all(each.level >= 0.95 for each in (series.series, seasonal(months)))
    (cell,) = hot_spots(months)
    assert cell.period == series.series.points[-1].period
    page = as_markdown(brief_of([months], drawings=False))
    assert months.id in page
    assert "noise" in page
