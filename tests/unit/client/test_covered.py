# SPDX-License-Identifier: Apache-2.0
"""Which figures enough agencies cover, as analysts read it."""

from __future__ import annotations

import json

import polars as pl
import pytest

from accord.client.covered import Covered, covered_of
from accord.v1 import analyst_pb2 as pb

ALL = ["hotline", "police", "shelter"]


def a_level(name: str, thin: dict[str, bool], roll_up: str = "") -> pb.CoveredLevel:
    return pb.CoveredLevel(
        dimension="region",
        level=name,
        values=[
            pb.CoveredValue(
                value=value, agencies=ALL[:1] if is_thin else ALL, enough=not is_thin
            )
            for value, is_thin in thin.items()
        ],
        roll_up=roll_up,
    )


@pytest.fixture
def covered() -> Covered:
    message = pb.GetCoverageResponse(
        needed=3,
        levels=[
            a_level("district", {"north": False, "south": True}, roll_up="country"),
            a_level("country", {"here": False}, roll_up="country"),
        ],
    )
    return covered_of("trends", message, of_question=False)


def test_it_says_what_to_ask_instead(covered: Covered) -> None:
    assert covered.lines() == [
        "Every figure needs 3 agencies that cover it.",
        "region:district: too few cover south; ask by country instead.",
        "region:country: enough agencies cover every value.",
    ]
    assert repr(covered).splitlines()[0] == "<Covered: trends>"


def test_a_question_that_nobody_may_answer_says_so() -> None:
    message = pb.GetCoverageResponse(needed=3, levels=[a_level("", {"region": True})])
    found = covered_of("trends", message, of_question=True)
    assert found.lines()[1:] == [
        "region: too few cover region; leave them out with a filter.",
        "No cohort covers every figure of the question: it is refused.",
    ]
    message.cohorts.append("all")
    found = covered_of("trends", message, of_question=True)
    assert found.lines()[-1] == "The question may be answered by: all."


def test_long_lists_are_cut() -> None:
    many = {f"v{number}": True for number in range(9)}
    message = pb.GetCoverageResponse(levels=[a_level("district", many)])
    (line,) = covered_of("trends", message, of_question=False).lines()[1:]
    assert "v0, v1, v2, v3, v4, v5 and 3 more" in line


def test_a_frame_has_one_row_for_every_value(covered: Covered) -> None:
    frame = covered.to_polars()
    assert frame.columns == ["dimension", "level", "value", "agencies", "enough"]
    thin = frame.filter(~pl.col("enough"))
    assert thin["value"].to_list() == ["south"]
    assert thin["agencies"].to_list() == [["hotline"]]
    assert frame.height == 3


def test_the_form_for_machines_has_nulls_where_nothing_is(covered: Covered) -> None:
    found = json.loads(json.dumps(covered.as_json()))
    assert found["cohorts"] is None
    assert found["levels"][0]["thin"] == ["south"]
    assert found["levels"][0]["roll_up"] == "country"
