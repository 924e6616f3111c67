# SPDX-License-Identifier: Apache-2.0
"""What is computed from released figures has errors that follow from theirs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.client import derive
from accord.client.coverage import PartialCoverageWarning
from accord.client.derive.figure import Figure, reach
from accord.client.derive.quantile import edges_of
from accord.core.errors import InvalidQuery
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.made import estimate, made, other

REGIONS = {("north",): 400.0, ("south",): 90.0, ("west",): None, ("unknown",): 12.0}
MONTHS = {("2026-01",): 100.0, ("2026-02",): 104.0, ("2026-03",): 160.0}


def counted(value: float, sd: float, *, at: str = "a", laplace: bool = False) -> Figure:
    """Return a figure by itself."""
    return Figure(
        cell={"at": at},
        estimate=value,
        below=sd,
        above=sd,
        why="",
        measure="persons",
        unit="persons",
        release=f"release of {at}",
        root=f"release of {at}",
        laplace=laplace,
    )


class TestRatio:
    @given(
        st.floats(-50, 5000),
        st.floats(100, 5000),
        st.floats(0.1, 20),
        st.floats(0.1, 20),
    )
    def test_fieller_holds_the_ratios_that_noise_allows(
        self, top: float, bottom: float, wide: float, deep: float
    ) -> None:
        """At its ends numerator minus ratio times denominator is at the noise's end."""
        found = derive.ratio(counted(top, wide), counted(bottom, deep, at="b"))
        assert found.ratio is not None
        assert found.lower is not None
        assert found.upper is not None
        assert found.lower <= found.ratio <= found.upper
        for end in (found.lower, found.upper):
            far = reach(math.hypot(wide, end * deep), 0.95, laplace=False)
            assert abs(top - end * bottom) == pytest.approx(far, rel=1e-6, abs=1e-6)

    def test_a_denominator_that_may_be_nothing_gives_no_ratio(self) -> None:
        """Any ratio whatever would be possible."""
        found = derive.ratio(counted(100, 5), counted(9, 5, at="b"))
        assert (found.ratio, found.lower, found.why) == (None, None, "denominator")
        assert derive.ratio(counted(100, 5), counted(-90, 5, at="b")).ratio is None

    def test_noise_that_is_shared_or_laplace_gives_a_wider_interval(self) -> None:
        """It holds whatever depends on what."""
        apart = derive.ratio(counted(100, 5), counted(200, 5, at="b"))
        laplace = derive.ratio(
            counted(100, 5, laplace=True), counted(200, 5, at="b", laplace=True)
        )
        assert laplace.upper - laplace.lower > apart.upper - apart.lower  # type: ignore[operator]

    def test_within_a_release_cell_by_cell(self) -> None:
        """Suppressed figures give none, and the table says what it is."""
        rows = {
            ("woman", "north"): 300.0,
            ("man", "north"): 150.0,
            ("woman", "south"): None,
            ("man", "south"): 80.0,
        }
        table = derive.ratios(
            made(rows, ["gender", "region"]), over="gender", of="woman", to="man"
        )
        assert [each.cell for each in table] == [
            {"region": "north"},
            {"region": "south"},
        ]
        assert table[0].ratio == 2
        assert table[1].why == "suppressed"
        assert table.to_polars()["ratio"].to_list() == [2.0, None]
        assert json.loads(json.dumps(table.as_json()))["rows"][0]["region"] == "north"
        assert "north: 2 (" in repr(table)

    def test_of_two_releases(self) -> None:
        """Only with the same cells."""
        first = made(REGIONS, ["region"])
        second = other(first, "another")
        table = derive.ratios_between(first, second)
        assert table[0].ratio == 1
        with pytest.raises(InvalidQuery, match="other dimensions"):
            derive.ratios_between(first, made(MONTHS, ["registered_month"]))

    def test_what_means_nothing_is_refused(self) -> None:
        """In a sentence with the way out."""
        result = made(REGIONS, ["region"])
        one = derive.figure(result, region="north")
        reasons: list[tuple[str, Callable[[], object]]] = [
            ("SAME_FIGURE", lambda: derive.ratio(one, one)),
            ("LEVEL_INVALID", lambda: derive.ratio(one, one, level=1)),
            ("UNKNOWN_VALUE", lambda: derive.figure(result, region="nort")),
            ("UNKNOWN_DIMENSION", lambda: derive.figure(result, regoin="north")),
            ("CELL_INCOMPLETE", lambda: derive.figure(result)),
            (
                "UNKNOWN_VALUE",
                lambda: derive.ratios(result, over="region", of="north", to="east"),
            ),
            (
                "NOT_COUNTS",
                lambda: derive.ratios(
                    made(REGIONS, ["region"], measure="mean(days)"),
                    over="region",
                    of="north",
                    to="south",
                ),
            ),
        ]
        for reason, ask in reasons:
            with pytest.raises(InvalidQuery) as refused:
                ask()
            assert refused.value.reason == reason


class TestChange:
    def test_a_small_change_is_not_more_than_noise(self) -> None:
        """And a large one is, also when both are looked at."""
        table = derive.changes(
            made(MONTHS, ["registered_month"]), over="registered_month"
        )
        small, large = table
        assert (small.difference, small.more_than_noise) == (4, False)
        assert (large.difference, large.more_than_noise) == (56, True)
        assert small.compared == 2
        assert small.relative == pytest.approx(0.04)
        assert "not more than noise" in repr(table)
        assert small.sd == pytest.approx(math.sqrt(50))

    def test_what_is_known_no_closer_than_a_year_comes_after_no_month(self) -> None:
        """It stands between two months in the layout, and is none."""
        rows = {
            ("2025-12",): 100.0,
            ("2025-??",): 30.0,
            ("2026-01",): 104.0,
            ("unknown",): 20.0,
        }
        table = derive.changes(
            made(rows, ["registered_month"]), over="registered_month"
        )
        assert [(each.before, each.after) for each in table] == [("2025-12", "2026-01")]

    def test_whoever_looks_at_many_needs_more(self) -> None:
        """A change of 2.2 deviations is one in forty by chance."""
        one, two = counted(100, 5), counted(100 + 2.2 * math.sqrt(50), 5, at="b")
        assert derive.change(one, two).more_than_noise
        assert not derive.change(one, two, compared=20).more_than_noise

    def test_relative_is_withheld_where_nothing_was_before(self) -> None:
        """The difference stays."""
        found = derive.change(counted(3, 5), counted(80, 5, at="b"))
        assert (found.difference, found.relative) == (77, None)

    def test_other_agencies_are_told(self) -> None:
        """A change can come from who is missing."""
        earlier = made(REGIONS, ["region"])
        later = made(
            REGIONS,
            ["region"],
            id="of-two",
            edition="2026-10",
            coverage=pb.Coverage(answered=["a", "b"], missing=["c"]),
        )
        with pytest.warns(PartialCoverageWarning, match="who is missing"):
            table = derive.changes_between(earlier, later)
        assert any("who is missing" in note for note in table.notes)
        assert table[2].why == "suppressed"

    def test_means_change_with_the_sides_of_their_intervals(self) -> None:
        """An interval that is not symmetric stays so."""
        message = pb.Estimate(estimate=10, lower=9, upper=14, sd=1)
        first = made({("a",): 1.0}, ["at"], measure="mean(days)", unit="days")
        release = first.rows[0].estimate
        assert release.sd == 5
        row = type(first.rows[0])(
            values=("a",),
            estimate=type(release)(
                estimate=message.estimate,
                lower=message.lower,
                upper=message.upper,
                sd=message.sd,
                suppressed=False,
            ),
        )
        before = other(first, "one", rows=(row,))
        after = other(first, "two", rows=(row,))
        found = derive.changes_between(before, after)[0]
        assert found.lower == pytest.approx(-math.hypot(4, 1))
        assert found.relative is None


class TestTop:
    def test_ranks_are_what_noise_leaves_possible(self) -> None:
        """Suppressed values are below the limit, and unknown is not ranked."""
        table = derive.top(made(REGIONS, ["region"]), 1)
        assert [each.cell["region"] for each in table] == ["north"]
        assert table[0].surely
        assert table[0].among_top == 1
        assert any("unknown" in note for note in table.notes)

    def test_equal_figures_share_their_ranks(self) -> None:
        """And their chances."""
        rows = {("a",): 100.0, ("b",): 100.0, ("c",): 100.0, ("d",): -900.0}
        table = derive.top(made(rows, ["at"]), 1)
        assert {(each.best_rank, each.worst_rank) for each in table} == {(1, 3)}
        assert not any(each.surely for each in table)
        assert sum(each.among_top or 0 for each in table) == pytest.approx(1)
        assert all(abs((each.among_top or 0) - 1 / 3) < 0.05 for each in table)

    def test_figures_of_different_noise_are_told_apart_each_by_its_own(self) -> None:
        """As those of a derived release, which are sums of more cells or fewer."""
        exact = made({("a",): 100.0, ("b",): 70.0, ("c",): 70.0}, ["at"], sd=1.0)
        vague = made({("a",): 100.0, ("b",): 70.0, ("c",): 70.0}, ["at"], sd=30.0)
        mixed = other(exact, exact.id, rows=(*exact.rows[:2], vague.rows[2]))
        a, c = derive.top(mixed, 1)
        assert (a.cell["at"], a.best_rank, a.worst_rank) == ("a", 1, 2)
        assert (c.cell["at"], c.best_rank) == ("c", 1)

    def test_how_many_must_be_fewer_than_there_are(self) -> None:
        """Everything is among the top of everything."""
        with pytest.raises(InvalidQuery) as refused:
            derive.top(made(REGIONS, ["region"]), 3)
        assert refused.value.reason == "TOP_OUT_OF_RANGE"


class TestRates:
    def test_both_intervals_are_divided(self) -> None:
        """What has no population has no rate."""
        result = made(REGIONS, ["region"])
        people = {"north": 200_000.0, "south": 100_000.0, "west": 1.0}
        table = derive.rates(result, people, over="region")
        assert table[0].rate == 200
        assert table[0].upper == pytest.approx(200 + reach(2.5, 0.95, laplace=False))
        assert [each.why for each in table] == ["", "", "suppressed", "no-population"]

    def test_a_population_is_needed_for_every_value(self) -> None:
        """And above nothing."""
        result = made(REGIONS, ["region"])
        for people, reason in (
            ({"north": 1.0}, "POPULATION_MISSING"),
            ({"north": 1.0, "south": 0.0, "west": 1.0}, "POPULATION_OUT_OF_RANGE"),
        ):
            with pytest.raises(InvalidQuery) as refused:
                derive.rates(result, people, over="region")
            assert refused.value.reason == reason


BINS = ("0-30", "30-90", "90-180", "180+")


def binned(
    *counts: float | None, sd: float = 5.0, unknown: float = 3.0
) -> derive.Derived[derive.Quantile]:
    """Return the median of counts in bins."""
    rows = dict(
        zip(((name,) for name in (*BINS, "unknown")), (*counts, unknown), strict=True)
    )
    result = made(
        rows, [], sd=sd, measure="quantile(days)", slot_dimension="days", unit="cases"
    )
    return derive.median(result)


class TestQuantile:
    def test_a_clear_median_is_in_one_bin(self) -> None:
        """Its edges are the interval."""
        (found,) = binned(10, 500, 40, 30)
        assert (found.bin, found.lower, found.upper) == ("30-90", 30, 90)
        assert (found.lowest_bin, found.highest_bin) == ("30-90", "30-90")

    def test_an_open_bin_has_no_upper_edge(self) -> None:
        """Nothing is made up."""
        (found,) = binned(1, 2, 3, 900)
        assert (found.bin, found.lower, found.upper) == ("180+", 180, None)

    def test_a_median_near_an_edge_can_be_on_either_side(self) -> None:
        """Noise decides which."""
        (found,) = binned(0, 101, 99, 0)
        assert (found.lowest_bin, found.highest_bin) == ("30-90", "90-180")

    def test_too_few_for_the_noise_is_withheld(self) -> None:
        """And what is suppressed altogether, too."""
        assert binned(5, 3, 4, 2)[0].why == "denominator"
        assert binned(9, 2, 3, 9)[0].why == "denominator"
        assert binned(20, None, None, None)[0].why == "suppressed"
        assert binned(None, None, None, None)[0].why == "suppressed"

    def test_suppressed_bins_make_the_interval_wider_never_narrower(self) -> None:
        """They hold anything up to the limit and its noise."""
        (clear,) = binned(0, 60, 30, 0)
        (hidden,) = binned(None, 60, 30, None)
        assert clear.bin == hidden.bin == "30-90"
        assert BINS.index(hidden.highest_bin or "") >= BINS.index(
            clear.highest_bin or ""
        )

    @given(st.lists(st.floats(-20, 900), min_size=4, max_size=4))
    def test_the_best_guess_is_among_those_that_are_possible(
        self, counts: list[float]
    ) -> None:
        """Whatever the noise did."""
        (found,) = binned(*counts)
        if found.bin is not None:
            places = [
                BINS.index(name or "")
                for name in (found.lowest_bin, found.bin, found.highest_bin)
            ]
            assert places == sorted(places)

    def test_a_prompt_shows_what_is_not_withheld(self) -> None:
        """And says how much is."""
        rows = {(str(place),): None for place in range(20)} | MONTHS
        table = derive.changes(made(rows, ["month"]), over="month")
        text = repr(table)
        assert "2026-02 → 2026-03: +56" in text
        assert "20 withheld" in text

    def test_names_of_bins_are_read_where_they_say_edges(self) -> None:
        """Negative numbers and decimals too."""
        assert edges_of("-5-0.5") == (-5, 0.5)
        assert edges_of("1e+06+") == (1e6, None)
        assert edges_of("few") == (None, None)

    def test_other_releases_have_no_bins(self) -> None:
        """And how to ask is said."""
        with pytest.raises(InvalidQuery, match=r"\.median\("):
            derive.median(made(REGIONS, ["region"]))


def coverage_of(hits: int, draws: int) -> tuple[float, float]:
    """Return the part, and six deviations of it at 95 %."""
    return hits / draws, 6 * math.sqrt(0.95 * 0.05 / draws)


DRAWS = 4000


@pytest.mark.stat
class TestCoverage:
    """Intervals hold the truth as often as they say; false alarms below 1e-9."""

    def test_ratios(self) -> None:
        """Neither less often nor much more."""
        noise = np.random.default_rng(1)
        hits = 0
        for top, bottom in noise.normal((90, 120), (9, 14), (DRAWS, 2)):
            found = derive.ratio(counted(top, 9), counted(bottom, 14, at="b"))
            assert found.lower is not None
            assert found.upper is not None
            hits += found.lower <= 90 / 120 <= found.upper
        part, slack = coverage_of(hits, DRAWS)
        assert abs(part - 0.95) < slack

    def test_noise_that_is_larger_than_it_says_is_noticed(self) -> None:
        """The test of ratios can fail."""
        noise = np.random.default_rng(2)
        hits = 0
        for top, bottom in noise.normal((90, 120), (9, 14), (DRAWS, 2)):
            found = derive.ratio(counted(top, 6.3), counted(bottom, 9.8, at="b"))
            assert found.lower is not None
            assert found.upper is not None
            hits += found.lower <= 90 / 120 <= found.upper
        part, slack = coverage_of(hits, DRAWS)
        assert part < 0.95 - slack

    @pytest.mark.parametrize("laplace", [False, True])
    def test_changes(self, laplace: bool) -> None:
        """Gaussian ones exactly, Laplace ones at least."""
        noise = np.random.default_rng(3)
        sd = 8.0
        drawn = (
            noise.laplace(100, sd / math.sqrt(2), (DRAWS, 2))
            if laplace
            else noise.normal(100, sd, (DRAWS, 2))
        )
        hits = relative = 0
        for before, after in drawn:
            found = derive.change(
                counted(before, sd, laplace=laplace),
                counted(after, sd, at="b", laplace=laplace),
            )
            assert found.lower is not None
            assert found.upper is not None
            hits += found.lower <= 0 <= found.upper
            if found.relative_lower is not None and found.relative_upper is not None:
                relative += found.relative_lower <= 0 <= found.relative_upper
        part, slack = coverage_of(hits, DRAWS)
        assert part > 0.95 - slack
        assert coverage_of(relative, DRAWS)[0] > 0.95 - slack
        if not laplace:
            assert part < 0.95 + slack

    def test_no_change_is_said_to_be_more_than_noise_by_chance(self) -> None:
        """In at most five of a hundred tables, however many changes they have."""
        noise = np.random.default_rng(4)
        tables, alarms = 600, 0
        for drawn in noise.normal(100, 5, (tables, 13)):
            rows = {
                (f"2026-{place:02}",): value for place, value in enumerate(drawn, 1)
            }
            table = derive.changes(made(rows, ["month"]), over="month")
            alarms += any(each.more_than_noise for each in table)
        assert alarms / tables < 0.05 + 6 * math.sqrt(0.05 * 0.95 / tables)

    @pytest.mark.parametrize(
        "truth", [(40, 60, 50, 30), (70, 20, 10, 5), (10, 12, 30, 48), (0, 100, 1, 99)]
    )
    def test_quantiles(self, truth: tuple[int, ...]) -> None:
        """The true bin is among those that are named."""
        noise = np.random.default_rng(5)
        cumulated = np.cumsum(truth)
        right = int(np.argmax(cumulated >= 0.5 * cumulated[-1]))
        draws, hits = 800, 0
        for counts in noise.normal(truth, 6, (draws, 4)):
            (found,) = binned(*counts, sd=6.0)
            first, last = found.lowest_bin or "", found.highest_bin or ""
            hits += BINS.index(first) <= right <= BINS.index(last)
        part, slack = coverage_of(hits, draws)
        assert part > 0.95 - slack

    def test_ranks(self) -> None:
        """All true ranks are in their intervals at once."""
        noise = np.random.default_rng(6)
        truth = np.array([100.0, 108.0, 96.0, 130.0, 60.0, 112.0])
        ranks = 1 + np.argsort(np.argsort(-truth))
        tables, hits = 300, 0
        for drawn in noise.normal(truth, 5, (tables, 6)):
            rows = {(str(place),): value for place, value in enumerate(drawn)}
            table = derive.top(made(rows, ["at"]), 5)
            hits += all(
                each.best_rank <= ranks[int(each.cell["at"])] <= each.worst_rank
                for each in table
            )
        part, slack = coverage_of(hits, tables)
        assert part > 0.95 - slack


def test_an_estimate_of_nothing_is_suppressed() -> None:
    """The double of the hub says why."""
    assert estimate(None).why == "small"
