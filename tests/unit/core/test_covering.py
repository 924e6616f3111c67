# SPDX-License-Identifier: Apache-2.0
"""What enough agencies cover, as a map to choose a question by."""

from __future__ import annotations

import datetime

from accord.core.covering import (
    askable_levels,
    covering_of_agreement,
    covering_of_query,
)
from accord.core.decide import Analyst, Ask, decide
from tests.unit.core.small_policies import PARTIES
from tests.unit.core.test_coverage import NORTH, base, question, with_remits


def test_every_level_that_may_be_asked_for_stands_by_itself() -> None:
    found = with_remits(base(), NORTH)
    covering = covering_of_agreement(found)
    assert covering.needed == 3
    assert covering.cohorts == ()
    levels = {(each.dimension, each.level): each for each in covering.levels}
    assert set(levels) == {
        (name, level)
        for name in found.agreement.form.may_ask.group_by
        for level in askable_levels(found, name)
    }
    place = levels["place", "place"]
    by_value = {each.value: each for each in place.values}
    assert by_value["south"].agencies == ("health", "hotline")
    assert not by_value["south"].enough
    assert by_value["north"].agencies == tuple(PARTIES)
    assert by_value["north"].enough
    assert place.roll_up == ""
    # what no remit limits is there too, covered by everybody
    fine = levels["age", "fine"]
    assert {each.agencies for each in fine.values} == {tuple(PARTIES)}
    assert fine.roll_up == "fine"


def test_a_coarser_level_that_is_covered_is_proposed() -> None:
    children = {name: {"age": ["0-8"]} for name in ("police", "shelter", "work")}
    found = with_remits(base(), children)
    covering = covering_of_query(found, question(found, [("age", "fine")]))
    (level,) = covering.levels
    assert [each.value for each in level.values if not each.enough] == [
        *("9-17", "18-20", "21+", "grown ?"),
    ]
    assert level.roll_up == ""  # grown are covered by two
    assert covering.cohorts == ()
    young = {name: {"age": ["0-8", "18-20"]} for name in ("police", "shelter", "work")}
    rolled = covering_of_query(
        with_remits(base(), young), question(found, [("age", "fine")])
    )
    assert rolled.levels[0].roll_up == "broad"


def test_a_filter_leaves_only_what_it_keeps() -> None:
    found = with_remits(base(), NORTH)
    by_age = question(found, [("age", "broad")], {"place": ["north"]})
    covering = covering_of_query(found, by_age)
    assert covering.cohorts == ("all", "some")
    place = next(each for each in covering.levels if each.dimension == "place")
    assert place.level == ""
    assert [each.value for each in place.values] == ["place"]


def test_it_says_what_the_agreement_will_decide() -> None:
    """A cohort is named if and only if nothing about coverage stands in the way."""
    found = with_remits(base(), NORTH)
    for name, dimension in found.model.dimensions.items():
        for level in dimension.levels:
            asked = question(found, [(name, level)])
            ask = Ask(
                query=asked,
                analyst=Analyst(id="ana", organisation="u", roles=frozenset()),
                purpose="planning",
                day=datetime.date(2026, 6, 1),
            )
            refused = "deny.coverage" in {
                reason.code for reason in decide(found, ask).reasons
            }
            assert refused == (not covering_of_query(found, asked).cohorts)
