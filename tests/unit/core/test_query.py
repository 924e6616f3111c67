# SPDX-License-Identifier: Apache-2.0
"""One meaning, one canonical form, one key."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import InvalidQuery
from accord.core.query import Query, canonical_query, finest_levels
from tests.unit.core.test_model import small_model


def ask(
    group_by: list[tuple[str, str | None]] | None = None,
    where: dict[str, list[str]] | None = None,
    measure: str = "persons",
) -> Query:
    """Return a canonical query under the small model."""
    return canonical_query(
        agreement="trends",
        edition="2026-09",
        measure=measure,
        group_by=group_by or [],
        where=where or {},
        model=small_model(),
    )


@given(st.data())
def test_rewriting_a_question_never_changes_its_key(data: st.DataObject) -> None:
    """Order, repetition and splitting of nodes do not matter."""
    model = small_model()
    names = data.draw(st.lists(st.sampled_from(sorted(model.dimensions)), unique=True))
    names = names[:3]
    group_by: list[tuple[str, str | None]] = [
        (name, data.draw(st.sampled_from(model.dimension(name).levels)))
        for name in names
    ]
    dimension = model.dimension(
        data.draw(st.sampled_from(["age_band", "registered_month"]))
    )
    codes = data.draw(st.sets(st.integers(0, len(dimension.tree) - 1), min_size=1))
    leaves = [dimension.leaves[code] for code in codes]
    cover = list(dimension.cover(frozenset(codes)))
    # A node named in a filter means everything under it, so inner nodes whose name
    # is also a leaf's cannot arise; leaves and cover select the same.
    shuffled = leaves + cover
    random.Random(1).shuffle(shuffled)
    first = ask(group_by, {dimension.name: cover})
    second = ask(list(reversed(group_by)), {dimension.name: shuffled})
    assert first == second
    assert first.key() == second.key()


def test_a_filter_that_keeps_everything_is_no_filter() -> None:
    """All values of a dimension mean the same as not filtering."""
    whole = ask(where={"gender": ["woman", "man", "unknown"]})
    assert whole == ask()


def test_different_questions_have_different_keys() -> None:
    """Measure, level, filter and edition all count."""
    keys = {
        ask().key(),
        ask(measure="cases").key(),
        ask([("age_band", "fine")]).key(),
        ask([("age_band", "broad")]).key(),
        ask(where={"gender": ["woman"]}).key(),
        ask([("gender", None)], {"gender": ["woman"]}).key(),
    }
    assert len(keys) == 6


def test_the_key_stays_what_it_is() -> None:
    """A changed key would make every stored release unfindable."""
    query = ask([("age_band", "broad")], {"gender": ["woman"]})
    assert query.key() == (
        "c817ac991700842e0a1094d97154c57faa8fcbc50d648ecc3c77d8a3b51628a2"
    )


def test_filters_count_with_the_level_that_they_reveal() -> None:
    """A filter by month is as fine as grouping by month."""
    model = small_model()
    query = ask([("age_band", "broad")], {"registered_month": ["2019-01", "2020"]})
    assert finest_levels(query, model) == {
        "age_band": frozenset({"broad"}),
        "registered_month": frozenset({"month", "year"}),
    }


@pytest.mark.parametrize(
    ("group_by", "where", "measure", "reason"),
    [
        ([("gendr", None)], {}, "persons", "UNKNOWN_DIMENSION"),
        ([("gender", "week")], {}, "persons", "UNKNOWN_LEVEL"),
        (
            [("age_band", "fine"), ("age_band", "broad")],
            {},
            "persons",
            "DUPLICATE_DIMENSION",
        ),
        ([], {"gender": ["womann"]}, "persons", "UNKNOWN_VALUE"),
        ([], {"gender": []}, "persons", "EMPTY_FILTER"),
        ([], {}, "person", "UNKNOWN_MEASURE"),
        (
            [
                (n, None)
                for n in ("gender", "age_band", "exploitation", "registered_month")
            ],
            {},
            "persons",
            "TOO_MANY_DIMENSIONS",
        ),
    ],
)
def test_malformed_questions_are_refused_by_reason(
    group_by: list[tuple[str, str | None]],
    where: dict[str, list[str]],
    measure: str,
    reason: str,
) -> None:
    """A stable reason and a sentence."""
    with pytest.raises(InvalidQuery) as caught:
        ask(group_by, where, measure)
    assert caught.value.reason == reason
