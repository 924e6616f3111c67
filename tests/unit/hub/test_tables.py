# SPDX-License-Identifier: Apache-2.0
"""Rows of every measure: units, parts, both intervals, and why there is no figure."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from accord.core.measure import Bounding, scales
from accord.core.opened import OpenedNoise
from accord.core.policy import Policy
from accord.core.privacy import DiscreteGaussian
from accord.core.query import canonical_query
from accord.core.terms import terms
from accord.hub.releases.table import Table, denominator, slot_dimension, unit
from accord.v1 import analyst_pb2
from tests.unit.core.small_policies import AGREEMENT, MODEL, changed, policy

ALMOST_NONE = DiscreteGaussian(scale=Fraction(1, 4))
"""Standard deviation below 0.04 of a stored integer."""

QUANTITIES = {
    "days": {
        "title": "Days in care",
        "unit": "days",
        "bounds": [0, 100],
        "bins": [10, 50],
    }
}


def small(**entries: object) -> Policy:
    agreement = changed(
        AGREEMENT,
        may_ask__measures=[
            "persons", "cases", "sum(days)", "mean(days)",
            "quantile(days)", "share(kind)", "values(kind)",
        ],
        may_ask__group_by={"age": "broad", "place": "all", "kind": "all"},
        **entries,
    )  # fmt: skip
    return policy(agreement, model=changed(MODEL, quantities=QUANTITIES))


def table(
    measure: str,
    cells: list[list[float]],
    *,
    persons: float = 500,
    dropped: float = 0,
    noise: OpenedNoise = ALMOST_NONE,
    bounding: Bounding = Bounding.KEEP,
    by: list[tuple[str, str | None]] | None = None,
    suppress_below: int = 0,
) -> Table:
    """Return a table whose entries are these, in counts or the quantity's unit."""
    about = small()
    query = canonical_query(
        agreement="trends", edition="2026-Q1", measure=measure,
        group_by=[("place", None)] if by is None else by,
        where={}, model=about.model,
    )  # fmt: skip
    found = terms(about.agreement, about.model, query, bounding)
    plain = [*(entry for cell in cells for entry in cell), persons, dropped]
    stored = np.array(plain) * np.array(scales(found.vector, found.layout))
    return Table(
        model=about.model,
        terms=found,
        noise=noise,
        noisy=[round(each) for each in stored],
        suppress_below=suppress_below,
    )


def rows(of: Table) -> dict[tuple[str, ...], analyst_pb2.Row]:
    return {tuple(row.values): row for row in of.rows()}


def test_counts_have_both_intervals() -> None:
    found = rows(table("persons", [[200], [300], [7]], dropped=5))
    north = found["north",].estimate
    assert list(found) == [("north",), ("south",), ("unknown",)]
    assert north.estimate == 200
    assert north.whole_lower <= north.lower <= 200 <= north.upper <= north.whole_upper
    # No more cells than a person may count in: nothing can be left out.
    assert north.whole_upper == north.upper


def test_what_the_bound_left_out_widens_the_whole_interval_upwards() -> None:
    cells: list[list[float]] = [[100]] * (7 * 3)
    by: list[tuple[str, str | None]] = [("age", "fine"), ("place", None)]
    lost = table("persons", cells, dropped=60, by=by)
    whole = lost.whole()
    assert whole is not None
    assert whole.above > whole.below
    assert whole.level >= 0.95
    assert lost.dropped_share() == pytest.approx(60 / 2160)
    weighed = table("persons", cells, dropped=60, by=by, bounding=Bounding.WEIGH)
    assert weighed.whole() is not None


def test_too_large_a_share_left_out_withholds_it() -> None:
    cells: list[list[float]] = [[100]] * (7 * 3)
    by: list[tuple[str, str | None]] = [("age", "fine"), ("place", None)]
    found = table("persons", cells, dropped=900, by=by)
    assert found.whole() is None
    assert "30%" in found.whole_withheld()
    estimate = next(found.rows()).estimate
    assert (estimate.whole_lower, estimate.whole_upper) == (0, 0)


def test_a_sum_has_what_is_unknown_beside_it() -> None:
    found = table("sum(days)", [[5000, 3], [100, 40], [0, 0]], suppress_below=10)
    north = rows(found)["north",]
    assert north.estimate.estimate == pytest.approx(5000)
    assert [part.why for part in north.parts] == ["small"]
    assert rows(found)["south",].parts[0].estimate == pytest.approx(40)
    assert found.whole() is None
    assert found.whole_withheld().startswith("Only counts")


def test_a_mean_is_of_what_is_recorded() -> None:
    # The sums are of the distances from 50 days.
    found = table("mean(days)", [[-2000, 100, 9], [30, 3, 0], [0, 0, 0]])
    north, south = rows(found)["north",], rows(found)["south",]
    assert north.estimate.estimate == pytest.approx(30)
    assert north.estimate.lower < 30 < north.estimate.upper
    assert [round(part.estimate) for part in north.parts] == [-2000, 100, 9]
    assert south.estimate.estimate == pytest.approx(60)
    assert rows(found)["unknown",].estimate.why == "denominator"
    assert found.level == 0.95
    hidden = table(
        "mean(days)", [[-2000, 100, 9], [30, 3, 0], [0, 0, 0]], suppress_below=10
    )
    assert rows(hidden)["south",].estimate.why == "small"
    assert all(part.suppressed for part in rows(hidden)["south",].parts)


def test_shares_are_of_those_of_whom_anything_is_known() -> None:
    cells: list[list[float]] = [[200, 150, 120, 30], [4, 2, 3, 1], [0, 0, 0, 0]]
    found = rows(table("share(kind)", cells, suppress_below=10))
    assert list(found)[:3] == [("north", "a"), ("north", "b"), ("north", "unknown")]
    assert found["north", "a"].estimate.estimate == pytest.approx(0.75)
    # A person can have both, so that shares may exceed 100 % together.
    assert found["north", "b"].estimate.estimate == pytest.approx(0.6)
    numerator, whole = found["north", "a"].parts
    assert (numerator.estimate, whole.estimate) == (150, 200)
    unknown = found["north", "unknown"]
    assert unknown.estimate.why == "no-information"
    assert round(unknown.parts[0].estimate) == 30
    assert found["south", "a"].estimate.why == "denominator"
    assert found["south", "a"].parts[0].why == "small"


@pytest.mark.parametrize(
    ("measure", "slots"),
    [("quantile(days)", ["0-10", "10-50", "50+"]), ("values(kind)", ["0", "1", "2"])],
)
def test_bins_and_numbers_of_values_have_a_row_each(
    measure: str, slots: list[str]
) -> None:
    cells: list[list[float]] = [[20, 30, 40, 50]] * 3
    found = rows(table(measure, cells, suppress_below=25))
    assert [values for values in found if values[0] == "north"] == [
        ("north", name) for name in [*slots, "unknown"]
    ]
    assert found["north", slots[0]].estimate.why == "small"
    assert found["north", slots[1]].estimate.estimate == 30
    assert round(found["north", "unknown"].estimate.estimate) == 50


@pytest.mark.parametrize(
    ("measure", "column", "of", "words"),
    [
        ("persons", "", "persons", ""),
        ("cases", "", "cases", ""),
        ("sum(days)", "", "days", ""),
        ("mean(days)", "", "days", "cases that record days"),
        ("quantile(days)", "days", "cases", ""),
        ("share(kind)", "kind", "share", "persons with any information on kind"),
        ("values(kind)", "kind", "persons", ""),
    ],
)
def test_every_measure_says_its_unit(
    measure: str, column: str, of: str, words: str
) -> None:
    found = table(measure, _wide(measure))
    assert slot_dimension(found.measure) == column
    assert unit(found.measure, found.model) == of
    assert denominator(found.measure) == words


def _wide(measure: str) -> list[list[float]]:
    slots = {"persons": 1, "cases": 1, "sum": 2, "mean": 3}
    return [[1.0] * slots.get(measure.partition("(")[0], 4)] * 3


def test_suppressed_counts_say_why() -> None:
    found = rows(table("cases", [[200], [9], [7]], suppress_below=10))
    assert found["south",].estimate.why == "small"
    assert found["south",].estimate.suppressed
    assert found["south",].estimate.estimate == 0
