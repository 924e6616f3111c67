# SPDX-License-Identifier: Apache-2.0
"""Trends: what is compared, what is unknown, and what counts as a change."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import Any

import pytest

from accord.client import InvalidQuery, PartialCoverageWarning, Result
from accord.client.trends import change_points, hot_spots, seasonal, series_of
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.released_series import (
    FIVE,
    FOUR,
    by_month,
    months,
    released,
)

OTHER: Any = "all"


def noisy(levels: Sequence[float], sd: float = 10.0) -> list[float]:
    """Return counts around *levels* with noise, always the same."""
    chance = random.Random(6)
    return [level + chance.gauss(0.0, (level + sd * sd) ** 0.5) for level in levels]


def month_by_month(levels: Sequence[float], joins: int) -> list[Result]:
    """Return one release a month; from month *joins* on a fifth agency takes part."""
    values, names = noisy(levels), months(1, len(levels))
    return [
        released(
            {("norvale",): values[index]},
            by=("region",),
            where={"registered_month": (name,)},
            edition=name,
            answered=FIVE if index >= joins else FOUR,
            agreement_version=3 if index >= joins else 2,
            released_at=1_700_000_000 + index,
        )
        for index, name in enumerate(names)
    ]


def test_a_step_is_found_and_nothing_else() -> None:
    found = change_points(by_month(noisy([100.0] * 12 + [180.0] * 12)))
    (series,) = found
    (change,) = series.changes
    assert change.period in {"2024-12", "2025-01", "2025-02"}
    assert change.rises
    assert abs(change.before - 100) < 15
    assert abs(change.after - 180) < 15
    assert change.p_value <= 0.05
    assert change_points(by_month(noisy([100.0] * 24))).searched[0].changes == ()


def test_two_steps_are_found() -> None:
    levels = [100.0] * 12 + [220.0] * 12 + [100.0] * 12
    (series,) = change_points(by_month(noisy(levels)), dispersion=1.0)
    assert [change.rises for change in series.changes] == [True, False]


def test_the_same_figures_get_the_same_verdict() -> None:
    result = by_month(noisy([100.0] * 12 + [150.0] * 12))
    assert change_points(result) == change_points(result)


def test_an_agency_that_joins_makes_no_change_point() -> None:
    """The fifth agency brings half as many cases again; nothing else happens."""
    joined = month_by_month([100.0] * 12 + [150.0] * 12, joins=12)
    (series,) = change_points(joined, dispersion=1.0)
    assert series.changes == ()
    (found,) = series.series.breaks
    assert (found.period, found.kind) == ("2025-01", "membership")
    assert "+labour" in found.text
    with pytest.warns(PartialCoverageWarning, match="same agencies"):
        (forced,) = change_points(joined, dispersion=1.0, panel="any")
    assert len(forced.changes) == 1


def test_a_change_beside_a_join_is_still_found() -> None:
    levels = [100.0] * 12 + [150.0] * 12 + [260.0] * 12
    (series,) = change_points(month_by_month(levels, joins=12))
    assert [change.period for change in series.changes] == ["2026-01"]


def test_a_newer_release_of_all_does_not_hide_who_joined() -> None:
    """It covers old months too, but the fifth agency has no older records."""
    values = noisy([100.0] * 12 + [150.0] * 12)
    newest = by_month(values, edition="2025-12", agreement_version=3)
    older = by_month(values[:12], edition="2024-12", answered=FOUR)
    (series,) = change_points([newest, older])
    assert series.changes == ()
    assert [(b.period, b.kind) for b in series.series.breaks] == [
        ("2025-01", "membership")
    ]
    (alone,) = change_points(newest, known_breaks={"2025-01": "labour joined"})
    assert alone.changes == ()
    assert [b.text for b in alone.series.breaks] == ["labour joined"]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"answered": FOUR, "missing": ("labour",)}, "agencies"),
        ({"groups_per_person": 5}, "bounds"),
        (
            {
                "definitions": [
                    pb.Definition(agency="labour", dimension="region", text="by place")
                ]
            },
            "definitions",
        ),
    ],
)
def test_breaks_are_marked_and_nothing_is_compared_across(
    changes: dict[str, object], kind: str
) -> None:
    before = by_month([100.0] * 12, edition="2024-12")
    rows = {(name,): 300.0 for name in months(1, 12, 2025)}
    after = released(rows, edition="2025-12", **changes)  # type: ignore[arg-type]
    (series,) = series_of([before, after])
    assert [(b.period, b.kind) for b in series.breaks] == [("2025-01", kind)]
    assert [len(part) for part in series.parts()] == [12, 12]
    assert all(each.changes == () for each in change_points([before, after]))
    assert all(each.why == "other-panel" for each in seasonal([before, after]))
    assert [each.why for each in hot_spots([before, after], baseline="season")] == [
        "no-baseline"
    ]


def test_suppressed_figures_are_unknown_and_not_zero() -> None:
    values: list[float | None] = [*noisy([100.0] * 12), *[None] * 6]
    (series,) = change_points(by_month(values))
    assert series.changes == ()
    assert series.compared == 12
    assert series.series.suppressed == 6
    (cell,) = hot_spots(by_month(values))
    assert (cell.probability, cell.why) == (None, "suppressed")


def test_periods_that_were_not_over_are_left_out() -> None:
    values = [*noisy([100.0] * 12), *[0.0] * 12]
    (series,) = change_points(by_month(values, edition="2024-12"))
    assert series.changes == ()
    assert series.series.unfinished == tuple(months(1, 12, 2025))


def test_too_few_figures_are_not_searched() -> None:
    (series,) = change_points(by_month([10.0, 500.0, 10.0, 500.0, 10.0]))
    assert (series.compared, series.dispersion) == (0, None)


def test_records_without_a_period_are_no_point() -> None:
    rows = {(name,): 100.0 for name in (*months(1, 9), "2024-??", "unknown")}
    (series,) = series_of(released(rows))
    assert [point.period for point in series.points] == months(1, 9)


def test_the_newest_edition_speaks_for_a_period() -> None:
    older = by_month([100.0] * 6, edition="2024-06")
    newer = by_month([110.0] * 12, edition="2024-12")
    (series,) = series_of([newer, older])
    assert {point.estimate.estimate for point in series.points} == {110.0}


def test_a_season_is_compared_with_its_own_month() -> None:
    values: list[float | None] = [100.0] * 24
    values[13], values[14], values[15], values[16] = 120.0, 135.0, 200.0, None
    found = seasonal(by_month(values))
    assert len(found) == 12
    said = {
        each.period[5:]: (each.more_than_noise, each.more_than_chance) for each in found
    }
    assert said["01"] == (False, False)
    assert said["02"] == (False, False)
    assert said["03"] == (True, False)
    assert said["04"] == (True, True)
    assert said["05"] == (None, None)
    (first, *_) = found
    assert first.upper is not None
    assert round(first.upper, 2) == round(19.6 * 2**0.5, 2)


def test_two_years_back_are_two_comparisons() -> None:
    found = seasonal(by_month([100.0] * 36), years=2)
    assert [each.earlier for each in found if each.period == "2026-01"] == [
        "2025-01",
        "2024-01",
    ]


def regional(last: dict[str, float | None]) -> Result:
    rows = {
        (month, region): (last[region] if month == "2024-12" else 100.0)
        for month in months(1, 12)
        for region in last
    }
    return released(rows, by=("registered_month", "region"), edition="2024-12")


def test_hot_spots_are_probabilities_and_unknown_cells_stay_unknown() -> None:
    found = hot_spots(regional({"a": 100.0, "b": 160.0, "c": None, "d": 70.0}))
    by_region = {cell.of["region"]: cell for cell in found}
    assert by_region["a"].probability == pytest.approx(0.5)
    assert by_region["b"].probability == pytest.approx(0.99995, abs=2e-3)
    assert by_region["d"].probability == pytest.approx(0.02, abs=0.02)
    assert by_region["c"].probability is None
    assert [cell.of["region"] for cell in found.above(0.95)] == ["b"]
    assert [cell.of["region"] for cell in found.unknown] == ["c"]
    assert found.expected_by_chance(0.95) == pytest.approx(0.15)


def test_a_given_baseline_is_exact() -> None:
    result = regional({"a": 120.0, "b": 120.0})
    found = hot_spots(result, baseline={("a",): 120.0}, dispersion=0.0)
    cells = {cell.of["region"]: cell for cell in found}
    assert cells["a"].probability == pytest.approx(0.5)
    assert (cells["b"].probability, cells["b"].why) == (None, "no-baseline")
    (one, _) = hot_spots(result, baseline=100.0, dispersion=0.0)
    assert one.probability == pytest.approx(0.97725, abs=1e-4)


def test_shares_are_series_of_their_own() -> None:
    rows: dict[tuple[str, ...], float | None] = {
        (month, means): 0.4 for month in months(1, 12) for means in ("threats", "debt")
    }
    result = released(
        rows,
        sd=0.05,
        measure="share(means_of_control)",
        unit="share",
        slot_dimension="means_of_control",
    )
    found = series_of(result)
    assert [each.of for each in found] == [
        {"means_of_control": "threats"},
        {"means_of_control": "debt"},
    ]
    assert not any(each.counts for each in found)
    with pytest.raises(InvalidQuery, match="counts"):
        change_points(result, dispersion=1.0)


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (lambda _: change_points([]), "NO_SERIES"),
        (lambda _: change_points(released({("a",): 1.0}, by=("region",))), "NO_SERIES"),
        (lambda r: change_points(r, false_alarms=0.0), "TREND_OPTION"),
        (lambda r: change_points(r, dispersion=0.5), "TREND_OPTION"),
        (lambda r: change_points(r, panel=OTHER), "TREND_OPTION"),
        (lambda r: seasonal(r, years=0), "TREND_OPTION"),
        (lambda r: hot_spots(r, baseline=OTHER), "TREND_OPTION"),
        (
            lambda r: change_points([r, by_month([1.0] * 9, measure="cases")]),
            "RELEASES_DIFFER",
        ),
    ],
)
def test_wrong_use_is_said(ask: object, reason: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        ask(by_month([100.0] * 9))  # type: ignore[operator]
    assert caught.value.reason == reason


def test_one_panel_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        change_points(by_month([100.0] * 12), panel="any")
