# SPDX-License-Identifier: Apache-2.0
"""Figures that add up: the nearest ones, beside the released ones."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from accord.client.consistent import ConsistencyWarning
from accord.client.derive.figure import reach
from accord.client.least_squares import Measurement, nonnegative_least_squares
from accord.client.result import Result
from accord.core.errors import InvalidQuery
from accord.v1 import analyst_pb2 as pb
from tests.unit.client.made import described, made, other

GENDERS = ("woman", "man", "unknown")
REGIONS = ("north", "south", "unknown")


def matrix_of(n: int, measured: list[Measurement]) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted system as numpy has it."""
    rows = np.zeros((len(measured), n))
    for number, each in enumerate(measured):
        rows[number, list(each.places)] = 1
    root = np.sqrt([each.weight for each in measured])
    return rows * root[:, None], root * np.array([each.value for each in measured])


@st.composite
def systems(draw: st.DrawFn) -> tuple[int, list[Measurement]]:
    """Return cells, most of them measured, and totals of some of them."""
    n = draw(st.integers(1, 12))
    value = st.floats(-60, 300)
    weight = st.floats(0.05, 20)
    measured = [
        Measurement((place,), draw(value), draw(weight))
        for place in range(n)
        if draw(st.booleans()) or place == 0
    ]
    for _ in range(draw(st.integers(0, 4))):
        places = draw(st.sets(st.integers(0, n - 1), min_size=1))
        measured.append(Measurement(tuple(sorted(places)), draw(value), draw(weight)))
    return n, measured


class TestLeastSquares:
    @settings(deadline=None)
    @given(systems())
    def test_nothing_is_nearer(self, system: tuple[int, list[Measurement]]) -> None:
        """As near as scipy's active set gets, and Karush, Kuhn and Tucker hold."""
        n, measured = system
        found = np.array(nonnegative_least_squares(n, measured))
        a, b = matrix_of(n, measured)
        _, least = optimize.nnls(a, b)
        assert np.linalg.norm(a @ found - b) <= least * (1 + 1e-6) + 1e-5
        slope = a.T @ (a @ found - b)
        slack = 1e-5 * max(1.0, np.abs(a.T @ b).max())
        assert (found >= 0).all()
        assert (slope >= -slack).all()
        assert (np.abs(slope[found > 1e-9]) <= slack).all()

    def test_a_thousand_cells_and_their_total(self) -> None:
        """It ends soon, at what can be written down: all moved by the same."""
        noise = np.random.default_rng(1)
        values = noise.normal(500, 5, 1000)
        measured = [Measurement((p,), float(v), 1.0) for p, v in enumerate(values)]
        total = float(values.sum()) + 1001
        measured.append(Measurement(tuple(range(1000)), total, 1.0))
        found = nonnegative_least_squares(1000, measured)
        assert found == pytest.approx(list(values + 1), abs=1e-5)

    def test_what_nothing_measures_is_nothing(self) -> None:
        """And nothing at all is fine."""
        assert nonnegative_least_squares(2, []) == [0, 0]
        assert nonnegative_least_squares(2, [Measurement((1,), 4.0, 1.0)]) == [0, 4]


def table(seed: int = 0, *, measure: str = "cases", bias: float = 0.0) -> list[Result]:
    """Return a release by gender and region, and one by region alone."""
    noise = np.random.default_rng(seed)
    truth = {(g, r): 40.0 if g != "unknown" else 0.0 for g in GENDERS for r in REGIONS}
    fine = {key: value + noise.normal(0, 5) for key, value in truth.items()}
    coarse = {
        (r,): sum(v for k, v in truth.items() if k[1] == r) + noise.normal(0, 5) + bias
        for r in REGIONS
    }
    total = sum(truth.values()) + noise.normal(0, 5)
    return [
        made(fine, ["gender", "region"], measure=measure, persons=total),
        made(coarse, ["region"], measure=measure, id="coarse", persons=total),
    ]


DESCRIBED = described("gender", "region")


class TestConsistent:
    @given(st.integers(0, 200))
    def test_totals_add_up_and_nothing_is_negative(self, seed: int) -> None:
        """While the released figures stay as they are."""
        fine, coarse = table(seed)
        before = copy.deepcopy(fine)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConsistencyWarning)
            found = fine.consistent(DESCRIBED, coarse)
        assert fine == before
        for total in found.totals["coarse"]:
            parts = [
                c.estimate or 0 for c in found.cells if c.values[1:] == total.values
            ]
            assert sum(parts) == pytest.approx(total.estimate)
        for each, row in zip(found.cells, fine, strict=True):
            assert each.raw == row.estimate.estimate
            assert each.estimate is not None
            assert each.estimate >= 0
            assert (each.lower, each.upper) == (
                max(0.0, row.estimate.lower or 0),
                max(0.0, row.estimate.upper or 0),
            )

    def test_it_is_nearer_to_the_truth(self) -> None:
        """That is what adding up is for."""
        raw = moved = 0.0
        for seed in range(40):
            fine, coarse = table(seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConsistencyWarning)
                found = fine.consistent(DESCRIBED, coarse)
            for each in found.cells:
                truth = 0.0 if each.values[0] == "unknown" else 40.0
                raw += ((each.raw or 0) - truth) ** 2
                moved += ((each.estimate or 0) - truth) ** 2
        assert moved < 0.85 * raw

    def test_it_says_what_moved_and_warns_of_what_noise_does_not_explain(self) -> None:
        """A bound that drops much shows here."""
        fine, coarse = table(bias=200)
        with pytest.warns(ConsistencyWarning, match="More than noise"):
            found = fine.consistent(DESCRIBED, coarse)
        text = repr(found)
        assert "moved, " in text
        assert "more than noise" in text
        assert found.as_json()["totals"]["coarse"][0]["correction"] < -15
        assert found.columns()["raw"] == [row.estimate.estimate for row in fine]

    def test_persons_add_up_to_the_persons_of_the_release(self) -> None:
        """Over what is constant, each is in one cell."""
        fine, _ = table(measure="persons")
        found = fine.consistent(DESCRIBED)
        (total,) = found.totals["persons"]
        assert sum(each.estimate or 0 for each in found.cells) == pytest.approx(
            total.estimate
        )

    def test_suppressed_figures_stay_empty(self) -> None:
        """Their totals hold them all the same."""
        rows = {("woman",): 50.0, ("man",): None}
        found = made(rows, ["gender"], measure="cases").consistent(described("gender"))
        assert found.cells[1].estimate is None
        assert "stay empty" in repr(found)

    @pytest.mark.parametrize(
        ("measure", "agreement", "words"),
        [
            ("mean(days)", DESCRIBED, "do not add up"),
            ("persons", described("gender", "region", constant=False), "over time"),
            ("cases", described("gender", "region", multi=True), "several values"),
            ("cases", described("gender"), "several values of region"),
        ],
    )
    def test_what_does_not_add_up_is_refused(
        self, measure: str, agreement: object, words: str
    ) -> None:
        """In a sentence that says why."""
        fine, _ = table(measure=measure)
        with pytest.raises(InvalidQuery, match=words) as refused:
            fine.consistent(agreement)  # type: ignore[arg-type]
        assert refused.value.reason == "NOT_ADDITIVE"

    def test_only_totals_of_the_same_question_count(self) -> None:
        """Same edition, agencies, levels, and its own noise."""
        fine, coarse = table()
        fewer = pb.Coverage(answered=["a", "b"], missing=["c"])
        for wrong in (
            other(coarse, "x", edition="2026-10"),
            other(coarse, "x", levels=("country",)),
            other(coarse, "x", derived_from=fine.id),
            other(coarse, "x", agreement="another"),
            fine,
            made({("a",): 1.0}, ["region"], measure="cases", coverage=fewer),
        ):
            with pytest.raises(InvalidQuery) as refused:
                fine.consistent(DESCRIBED, wrong)
            assert refused.value.reason == "RELEASES_DIFFER"


@pytest.mark.stat
def test_the_cut_interval_covers_as_well_as_the_released_one() -> None:
    """False alarms below 1e-9."""
    hits = cells = 0
    for seed in range(300):
        fine, coarse = table(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConsistencyWarning)
            found = fine.consistent(DESCRIBED, coarse)
        for each in found.cells:
            truth = 0.0 if each.values[0] == "unknown" else 40.0
            assert each.lower is not None
            assert each.upper is not None
            hits += each.lower <= truth <= each.upper
            cells += 1
            assert each.upper - each.lower <= 2 * reach(5, 0.95, laplace=False) + 1e-9
    assert hits / cells > 0.95 - 6 * (0.95 * 0.05 / cells) ** 0.5
