# SPDX-License-Identifier: Apache-2.0
"""Layouts come from public domains alone."""

from __future__ import annotations

import pytest

from accord.core.dimension import UNKNOWN
from accord.core.errors import InvalidQuery
from accord.core.layout import lay_out, wanted_leaves
from accord.core.model import DataModel, load_model
from accord.core.query import canonical_query
from tests.unit.core.test_model import TEXT, small_model
from tests.unit.core.test_query import ask


def test_cells_are_the_product_in_canonical_order_with_unknown() -> None:
    """The first axis is the most significant, and both end with unknown."""
    layout = lay_out(ask([("gender", None), ("age_band", "broad")]), small_model())
    assert list(layout.cells()) == [
        (age, gender)
        for age in ("0-17", "18+", UNKNOWN)
        for gender in ("woman", "man", UNKNOWN)
    ]
    assert layout.size == layout.n_cells + 2


def test_no_groups_give_one_cell() -> None:
    """A total is a layout too."""
    layout = lay_out(ask(), small_model())
    assert list(layout.cells()) == [()]
    assert layout.size == 3


def test_a_filter_narrows_single_valued_axes_only() -> None:
    """A case with exploitation ``a`` may well have ``b`` too."""
    model = small_model()
    single = lay_out(ask([("age_band", "broad")], {"age_band": ["18-20"]}), model)
    assert single.axes[0].values == ("18+",)
    assert single.axes[0].cell_of_leaf == (-1, -1, -1, 0, -1, -1, -1)
    multi = lay_out(ask([("exploitation", None)], {"exploitation": ["a"]}), model)
    assert multi.axes[0].values == ("a", "b", "c", UNKNOWN)


def test_the_digest_tells_layouts_apart() -> None:
    """Hub and agent compare nothing else."""
    model = small_model()
    asked = [ask([("gender", None)]), ask([("age_band", "broad")]), ask()]
    asked.append(ask([("gender", None)], measure="cases"))
    assert len({lay_out(query, model).digest() for query in asked}) == 4


def test_too_many_cells_are_refused_with_the_limit() -> None:
    """Before anything is allocated."""
    values = ", ".join(f"v{number}" for number in range(400))
    entry = f"{{title: T, levels: [l], values: [{values}]}}"
    text = "data_model: big-1\ndimensions:\n" + "".join(
        f"  {name}: {entry}\n" for name in ("a", "b", "c")
    )
    model = load_model(text, "big.yaml")
    query = canonical_query(
        agreement="t",
        edition="2026",
        measure="persons",
        group_by=[("a", None), ("b", None), ("c", None)],
        where={},
        model=model,
    )
    with pytest.raises(InvalidQuery, match="at most 100000"):
        lay_out(query, model)


def edition_model() -> DataModel:
    """Return the small model, with editions that end by month of registration."""
    ending = "data_model: small-1\nedition_dimension: registered_month\n"
    return load_model(TEXT.replace("data_model: small-1\n", ending), "small.yaml")


def asked_of(
    edition: str, where: dict[str, list[str]], level: str = "month"
) -> tuple[str, ...]:
    """Return the months that a query of an edition has cells for."""
    model = edition_model()
    query = canonical_query(
        agreement="t",
        edition=edition,
        measure="persons",
        group_by=[("registered_month", level)],
        where=where,
        model=model,
    )
    return lay_out(query, model).axes[0].values


def test_an_edition_ends_with_its_period() -> None:
    """Later months, and what may be later, are under embargo and have no cell."""
    values = asked_of("2019-05", {})
    assert values == (
        *("2019-01", "2019-02", "2019-03", "2019-Q1-??", "2019-04", "2019-05"),
        UNKNOWN,
    )
    assert asked_of("2019-Q2", {}, "quarter") == ("2019-Q1", "2019-Q2", UNKNOWN)
    assert asked_of("2019", {}, "year") == ("2019", UNKNOWN)
    assert asked_of("2019-05", {"registered_month": ["2019"]}) == values[:-1]


def test_asking_for_later_records_only_is_refused() -> None:
    """With the day on which the edition ends."""
    with pytest.raises(InvalidQuery, match="2019-05-31") as caught:
        asked_of("2019-05", {"registered_month": ["2019-06", "2020"]})
    assert caught.value.reason == "OUTSIDE_EDITION"


def test_the_end_of_an_edition_counts_without_grouping_too() -> None:
    """Otherwise totals would tell what the embargo hides."""
    model = edition_model()
    query = canonical_query(
        agreement="t",
        edition="2019-05",
        measure="persons",
        group_by=[],
        where={},
        model=model,
    )
    months = model.dimension("registered_month")
    wanted = wanted_leaves(query, model)["registered_month"]
    assert months.code("2019-05") in wanted
    assert months.code("2019-06") not in wanted
    assert months.code("2019") not in wanted
