# SPDX-License-Identifier: Apache-2.0
"""Layouts come from public domains alone."""

from __future__ import annotations

import pytest

from accord.core.errors import InvalidQuery
from accord.core.layout import lay_out
from accord.core.model import UNKNOWN, load_model
from accord.core.query import canonical_query
from tests.unit.core.test_model import small_model
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
