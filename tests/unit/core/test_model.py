# SPDX-License-Identifier: Apache-2.0
"""The data model's trees: domains, roll-ups, covers."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.dimension import UNKNOWN
from accord.core.document import DocumentError
from accord.core.errors import InvalidQuery
from accord.core.model import DataModel, load_model

TEXT = """
data_model: small-1
dimensions:
  registered_month: {title: Month, calendar: {from: 2019-01, until: 2020-05}}
  age_band:
    title: Age
    levels: [fine, broad]
    values: {0-17: [0-8, 9-17], 18+: [18-20, 48+]}
  gender: {title: Gender, levels: [gender], values: [woman, man], constant: true}
  exploitation: {title: Type, levels: [type], values: [a, b, c], multi: 2}
quantities:
  days_in_care: {title: Days, unit: days, bounds: [0, 730.5], scale: 2}
"""


@functools.cache
def small_model() -> DataModel:
    """Return a model with every kind of dimension."""
    return load_model(TEXT, "small.yaml")


def test_every_inner_node_has_a_leaf_for_records_that_know_no_more() -> None:
    """And ``unknown`` is the last leaf of all."""
    model = small_model()
    assert model.dimension("age_band").leaves == (
        *("0-8", "9-17", "0-17 ?", "18-20", "48+", "18+ ?", UNKNOWN),
    )
    months = model.dimension("registered_month")
    assert months.leaves[2:4] == ("2019-03", "2019-Q1-??")
    assert months.leaves[-3:] == ("2020-Q2-??", "2020-??", UNKNOWN)
    assert "2019-??" in months.domain("quarter")
    assert months.domain("year") == ("2019", "2020", UNKNOWN)


@given(st.data())
def test_roll_ups_are_exact_and_keep_the_order(data: st.DataObject) -> None:
    """Every leaf rolls up to its ancestor; never decreasing, onto the whole domain."""
    model = small_model()
    dimension = model.dimension(data.draw(st.sampled_from(sorted(model.dimensions))))
    level = data.draw(st.sampled_from(dimension.levels))
    places, domain = dimension.roll_up(level), dimension.domain(level)
    assert list(places) == sorted(places)
    assert set(places) == set(range(len(domain)))
    for code, leaf in enumerate(dimension.tree):
        assert domain[places[code]] in leaf.path


@given(st.data())
def test_a_cover_selects_exactly_its_leaves_with_nodes_that_nothing_shortens(
    data: st.DataObject,
) -> None:
    """Two filters with the same leaves have one canonical form."""
    model = small_model()
    dimension = model.dimension(data.draw(st.sampled_from(sorted(model.dimensions))))
    codes = data.draw(st.frozensets(st.integers(0, len(dimension.tree) - 1)))
    nodes = dimension.cover(codes)
    spans = [dimension.leaves_under(node) for node in nodes]
    assert sorted(code for span in spans for code in span) == sorted(codes)
    assert nodes == dimension.cover(frozenset(c for span in spans for c in span))


def test_an_inner_node_stands_for_its_unrefined_leaf_in_records() -> None:
    """A source that says 2019 means "2019, month not known"."""
    months = small_model().dimension("registered_month")
    assert months.leaves[months.code("2019")] == "2019-??"
    assert months.leaves[months.code("2019-Q1")] == "2019-Q1-??"
    assert months.level_of("2019-??") == "quarter"
    assert months.level_of(UNKNOWN) == "year"
    assert months.level_of("2019-02") == "month"


def test_names_that_do_not_exist_get_the_nearest_one() -> None:
    """The sentence helps; it never invents."""
    model = small_model()
    with pytest.raises(InvalidQuery, match="Did you mean 'gender'") as caught:
        model.dimension("gendr")
    assert caught.value.reason == "UNKNOWN_DIMENSION"
    with pytest.raises(InvalidQuery, match="month, quarter, year"):
        model.dimension("registered_month").domain("week")
    with pytest.raises(InvalidQuery, match="Did you mean 'woman'"):
        model.dimension("gender").code("womann")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[woman, man]", "[woman, woman]", "two places"),
        ("[woman, man]", "[woman, unknown]", "by itself"),
        ("[woman, man]", "[woman, '']", "printable"),
        ("levels: [gender]", "levels: [a, b]", "1 level"),
        ("until: 2020-05", "until: 2018-05", "before `from`"),
        ("calendar: {from: 2019-01, until: 2020-05}", "levels: [x]", "either"),
        ("bounds: [0, 730.5]", "bounds: [9, 3]", "below"),
        ("bounds: [0, 730.5]", "bounds: [0, 3000000000]", "2147483647"),
        ("days_in_care:", "gender:", "already"),
        ("gender: {title: G", "Gender: {title: G", "lower-case"),
        ("gender: {title: G", "person: {title: G", "are taken"),
        ("small-1\n", "small-1\nedition_dimension: gender\n", "calendar"),
        ("gender: {title: G", "part: {title: G", "are taken"),
        ("gender: {title: G", "persons: {title: G", "are taken"),
        ("gender: {title: G", "a__0: {title: G", "single underscores"),
        ("until: 2020-05", "until: 2020-13", "month is expected"),
    ],
)
def test_a_contradictory_model_is_refused_at_its_place(
    old: str, new: str, words: str
) -> None:
    """One sentence with line and column."""
    with pytest.raises(DocumentError, match=words) as caught:
        load_model(TEXT.replace(old, new), "small.yaml")
    assert all(problem.line > 1 for problem in caught.value.problems)
