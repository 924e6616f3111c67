# SPDX-License-Identifier: Apache-2.0
"""Declared bounds give the sensitivities."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.layout import lay_out
from accord.core.measure import Bounds, ComponentVector, component_vector, scales
from accord.core.privacy import Accounting
from tests.unit.core.test_model import small_model
from tests.unit.core.test_query import ask


@given(
    groups=st.integers(1, 4),
    linf=st.integers(1, 4),
    cap=st.integers(1, 4),
    agencies=st.integers(1, 3),
    measure=st.sampled_from(["persons", "cases"]),
    accounting=st.sampled_from(Accounting),
    data=st.data(),
)
def test_no_allowed_contribution_exceeds_d1_or_d2(
    groups: int,
    linf: int,
    cap: int,
    agencies: int,
    measure: str,
    accounting: Accounting,
    data: st.DataObject,
) -> None:
    """Brute force: the worst vectors that one person can add in A agencies."""
    model = small_model()
    query = ask([("exploitation", None)], measure=measure)
    bounds = Bounds(groups_per_person=groups, cases_per_group=linf, drop_cap=cap)
    vector = component_vector(query, model, bounds, accounting)
    scale = vector.slots[0].scale
    n_cells = lay_out(query, model).n_cells
    added = [0] * (n_cells + 2)
    for _ in range(agencies):
        cells = data.draw(st.sets(st.integers(0, n_cells - 1), max_size=vector.groups))
        for cell in cells:
            added[cell] += data.draw(st.integers(0, vector.cases)) * scale
        added[-2] += data.draw(st.integers(0, vector.persons.bound))
        added[-1] += data.draw(st.integers(0, vector.dropped.bound))
    assert sum(added) <= vector.d1(agencies)
    assert sum(entry**2 for entry in added) <= vector.d2_squared(agencies)


@pytest.mark.parametrize(("accounting", "scale"), [("zcdp", 4), ("pure", 8)])
def test_the_bound_is_reached(accounting: str, scale: int) -> None:
    """Sensitivities are tight: the worst person has exactly D1 and D2."""
    model = small_model()
    query = ask([("exploitation", None)], measure="cases")
    bounds = Bounds(groups_per_person=3, cases_per_group=2, drop_cap=1)
    vector = component_vector(query, model, bounds, Accounting(accounting))
    worst = [5 * 2 * scale] * 3 + [5, 5]
    assert sum(worst) == vector.d1(5)
    assert sum(entry**2 for entry in worst) == vector.d2_squared(5)


@pytest.mark.parametrize(
    ("names", "groups"),
    [([], 1), (["gender"], 1), (["gender", "age_band"], 3), (["exploitation"], 3)],
)
def test_l0_is_smaller_only_where_every_dimension_is_constant(
    names: list[str], groups: int
) -> None:
    """A gender that never changes puts a person into one cell."""
    bounds = Bounds(groups_per_person=3, cases_per_group=1, drop_cap=1)
    query = ask([(name, None) for name in names])
    assert (
        component_vector(query, small_model(), bounds, Accounting.ZCDP).groups == groups
    )


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 4))
def test_the_extra_entries_make_cells_a_twentieth_noisier_at_most(
    groups: int, cap: int, cases: int
) -> None:
    """Under zCDP, by the ratio of D2; one scale less would not do, or there is none."""
    found = ComponentVector.of_counts(
        Accounting.ZCDP, groups=groups, drop_cap=cap, cases=cases
    )
    scale = found.slots[0].scale
    assert found.d2_squared(1) <= Fraction(21, 20) ** 2 * groups * found.cell_d2_squared
    least = groups * (scale - 1) ** 2
    assert scale == 4 or least + 1 + cap**2 > Fraction(21, 20) ** 2 * least


@given(st.integers(1, 64), st.integers(1, 64))
def test_the_extra_entries_take_a_quarter_of_what_a_group_takes(
    groups: int, cap: int
) -> None:
    """Under pure, by the ratio of D1."""
    found = ComponentVector.of_counts(Accounting.PURE, groups=groups, drop_cap=cap)
    extra = found.d1(1) - groups * found.cell_d1
    assert Fraction(extra, found.cell_d1) == Fraction(1, 4)


def test_a_vector_has_a_scale_for_every_entry() -> None:
    bounds = Bounds(groups_per_person=3, cases_per_group=1, drop_cap=1)
    query = ask([("age_band", None)])
    vector = component_vector(query, small_model(), bounds, Accounting.ZCDP)
    layout = lay_out(ask([("age_band", None)]), small_model())
    runs = [len(list(run)) for _, run in itertools.groupby(scales(vector, layout))]
    assert runs == [layout.n_cells, 2]
