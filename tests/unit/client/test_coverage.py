# SPDX-License-Identifier: Apache-2.0
"""Who stands behind the numbers goes where the numbers go."""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import accord.client as accord
from accord.client.decode import result_of
from accord.client.notes import at_most, footnotes
from accord.v1 import analyst_pb2 as pb
from accord.v1 import common_pb2
from tests.unit.client.hub_double import FIVE, THREE, partial, release


def read(message: pb.Release) -> accord.Result:
    return result_of(message, charged=message.cost, from_archive=False)


def whole(**changes: Any) -> accord.Result:  # noqa: ANN401
    return read(release(**changes))


def part(**changes: Any) -> accord.Result:  # noqa: ANN401
    return read(partial(**changes))


def told(work: Callable[[], object]) -> list[str]:
    """Return the warnings of *work*, where nobody has asked for less of them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
    assert all(each.category is accord.PartialCoverageWarning for each in caught)
    assert all(each.filename == __file__ for each in caught)
    return [str(each.message) for each in caught]


def points(drawn: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the data of a drawing, in the form that its library writes."""
    found: list[dict[str, Any]] = drawn["datasets"][drawn["data"]["name"]]
    return found


class TestCoverage:
    """The object itself."""

    def test_all_agencies(self) -> None:
        found = whole().coverage
        assert (found.answered, found.missing, found.cohort) == (FIVE, (), "all")
        assert found.is_complete
        assert found.share == "5 of 5"
        assert str(found) == "5 of 5 agencies"

    def test_a_fallback_cohort(self) -> None:
        found = part().coverage
        assert found.answered == THREE
        assert not found.is_complete
        assert found.share == "3 of 5"
        assert str(found) == (
            "3 of 5 agencies, without city-police, health-service (cohort fallback)"
        )
        assert found.as_json() == {
            "cohort": "fallback",
            "answered": list(THREE),
            "missing": ["city-police", "health-service"],
            "share": "3 of 5",
            "is_complete": False,
        }

    def test_a_prompt_shows_it(self) -> None:
        assert "; 3 of 5 agencies, without city-police" in repr(part())

    def test_tables_say_that_it_is_another_series(self) -> None:
        words = "another series than figures of all"
        assert any(words in note for note in footnotes(part()))
        assert not any(words in note for note in footnotes(whole()))


class TestFrames:
    """What is exported."""

    def test_pandas_carries_it_in_its_attributes(self) -> None:
        """As JSON can hold it, so that a Parquet file has it too."""
        frame = part().to_pandas()
        notes = json.loads(json.dumps(frame.attrs))["accord"]
        assert notes["coverage"]["share"] == "3 of 5"
        assert notes["coverage"]["cohort"] == "fallback"
        assert notes["noise_placement"] == "shared"
        assert frame[frame["suppressed"]].attrs == frame.attrs

    def test_arrow_carries_it_in_its_metadata(self) -> None:
        result = part()
        notes = json.loads(result.to_arrow().schema.metadata[b"accord"])
        assert notes == result.provenance()

    @pytest.mark.parametrize("kind", ["polars", "pandas", "arrow"])
    def test_columns_say_it_of_every_row_on_demand(self, kind: str) -> None:
        result = part()
        frame = getattr(result, f"to_{kind}")(provenance=True)
        names = getattr(frame, "column_names", None) or list(frame.columns)
        assert names[:5] == ["release", "edition", "cohort", "coverage", "region"]
        column = frame["coverage"]
        values = column.to_pylist() if kind == "arrow" else column.to_list()
        assert values == ["3 of 5", "3 of 5"]

    def test_rows_of_several_frames_can_be_told_apart(self) -> None:
        """Where pandas itself forgets the attributes of what differs."""
        results = whole(), part(edition="2026-11")
        frames = [each.to_pandas(provenance=True) for each in results]
        both = pd.concat(frames)
        assert "accord" not in both.attrs
        assert both["coverage"].tolist() == ["5 of 5"] * 2 + ["3 of 5"] * 2

    def test_json_has_it(self) -> None:
        exported = part().as_json()["release"]
        assert exported["coverage"]["share"] == "3 of 5"
        assert exported["noise_placement"] == "shared"


class TestConcat:
    """Several releases under each other."""

    def test_rows_keep_their_release_and_numbers(self) -> None:
        first, second = whole(edition="2026-09"), whole(edition="2026-10")
        together = accord.concat(first, second)
        frame = together.to_polars()
        assert frame["release"].to_list() == [first.id] * 2 + [second.id] * 2
        assert frame["edition"].to_list() == ["2026-09"] * 2 + ["2026-10"] * 2
        assert frame["estimate"].to_list() == [123.75, None, 123.75, None]
        assert together.to_pandas().attrs["accord"] == together.provenance()
        notes = json.loads(together.to_arrow().schema.metadata[b"accord"])
        assert [each["release"] for each in notes["releases"]] == [first.id, second.id]
        assert list(together) == [first, second]

    def test_the_same_agencies_are_no_reason_to_warn(self) -> None:
        """Also where the same ones are missing in both."""
        assert told(lambda: accord.concat(whole(), whole())) == []
        together = accord.concat(part(), part())
        assert told(lambda: accord.concat(*together)) == []
        assert together.same_agencies

    def test_other_agencies_are_named_once_for_each_release(self) -> None:
        first, second = whole(edition="2026-09"), part(edition="2026-10")
        (words,) = told(lambda: accord.concat(first, second))
        assert "do not stand on the same agencies" in words
        assert f"edition 2026-09, 5 of 5 agencies (release {first.id})" in words
        assert "3 of 5 agencies, without city-police, health-service" in words
        assert "do not read it as a trend" in words
        assert told(lambda: accord.concat(first, second)) == []
        third = part()
        assert len(told(lambda: accord.concat(first, second, third))) == 1

    def test_other_parties_are_other_agencies_although_nobody_is_missing(self) -> None:
        others = pb.Coverage(answered=FIVE[1:], cohort="all")
        assert len(told(lambda: accord.concat(whole(), whole(coverage=others)))) == 1

    @pytest.mark.parametrize(
        ("measure", "dimension", "level"),
        [
            ("cases", "region", "region"),
            ("persons", "gender", "region"),
            ("persons", "region", "country"),
        ],
    )
    def test_other_columns_are_refused(
        self, measure: str, dimension: str, level: str
    ) -> None:
        message = release(measure=measure)
        message.ClearField("by")
        message.by.append(common_pb2.Grouping(dimension=dimension, level=level))
        with pytest.raises(accord.InvalidQuery) as refused:
            accord.concat(whole(), read(message))
        assert refused.value.reason == "RELEASES_DIFFER"

    def test_a_prompt_shows_each_release(self) -> None:
        first, second = whole(), whole()
        lines = repr(accord.concat(first, second)).splitlines()
        assert lines[0] == "<2 releases: persons by region>"
        assert lines[1] == f"edition 2026-10, 5 of 5 agencies (release {first.id})"
        assert len(lines) == 3


class TestPlot:
    """What is drawn."""

    def test_intervals_are_drawn_and_suppressed_cells_have_no_number(self) -> None:
        result = whole()
        drawn = result.plot().to_dict()
        assert points(drawn) == [
            {"region": "norvale", "estimate": 123.75, "lower": 113.5, "upper": 134.0},
            {"region": "eastmere", "suppressed": "×"},
        ]
        assert drawn["title"]["text"] == "persons by region"
        assert drawn["title"]["subtitle"] == [
            f"5 of 5 agencies; edition 2026-10; release {result.id}",
            "Bars: 95.3% intervals, each figure by itself.",
            "Suppressed figures (1): ×, no number.",
        ]

    def test_a_partial_one_warns_once_and_says_so_in_the_drawing(self) -> None:
        result = part()
        (words,) = told(result.plot)
        assert f"Release {result.id} stands on 3 of 5 agencies, without" in words
        assert told(result.plot) == []
        subtitle = result.plot().to_dict()["title"]["subtitle"]
        assert subtitle[0].startswith("3 of 5 agencies, without city-police")
        assert told(whole().plot) == []

    def test_several_releases_are_told_apart_by_edition_and_coverage(self) -> None:
        first, second = whole(edition="2026-09"), part(edition="2026-10")
        together = accord.concat(first, first)
        assert told(together.plot) == []
        with pytest.warns(accord.PartialCoverageWarning):
            together = accord.concat(first, second)
        assert told(together.plot) == []
        drawn = together.plot().to_dict()
        assert [each["release"] for each in points(drawn)] == [
            f"2026-09, 5 of 5 agencies ({first.id[:8]})",
            f"2026-10, 3 of 5 agencies ({second.id[:8]})",
        ]
        alone = accord.concat(part())
        assert len(told(alone.plot)) == 1

    @pytest.mark.parametrize("dimensions", [0, 1, 2, 3])
    def test_every_number_of_dimensions_can_be_drawn(self, dimensions: int) -> None:
        """Time goes from left to right, wherever it stands; each other has a place."""
        names = ["region", "gender", "registered_month"][:dimensions]
        values = ["norvale", "woman", "2026-09"][:dimensions]
        message = release()
        message.ClearField("by")
        message.ClearField("rows")
        message.by.extend(
            common_pb2.Grouping(dimension=name, level=name) for name in names
        )
        message.rows.append(
            pb.Row(values=values, estimate=pb.Estimate(estimate=1, lower=0, upper=2))
        )
        other = pb.Release()
        other.CopyFrom(message)
        other.id = str(uuid.uuid4())
        first, second = read(message), read(other)
        for drawing in (first.plot(), accord.concat(first, second).plot()):
            drawn = drawing.to_dict()
            (point, *_) = points(drawn)
            assert set(names) <= set(point)
            spec = drawn.get("spec", drawn)
            shown = json.dumps([spec, drawn.get("facet", {})])
            assert all(f'"field": "{name}"' in shown for name in names)
            if dimensions == 3:
                across = spec["layer"][-1]["encoding"]["x"]["field"]
                assert across == "registered_month"


class TestNoise:
    """Who added it, and what the hub could learn."""

    @pytest.mark.parametrize(
        ("placement", "colluding", "who", "together"),
        [
            (
                "shared",
                1,
                "the agencies and the hub",
                "The hub and one agency together",
            ),
            ("shared", 0, "the agencies and the hub", "The hub alone"),
            ("agents", 2, "the agencies", "The hub and 2 agencies together"),
        ],
    )
    def test_a_note_says_both(
        self, placement: str, colluding: int, who: str, together: str
    ) -> None:
        result = whole(noise_placement=placement, colluding_at_most=colluding)
        words = (
            f"Noise by {who}: nobody saw exact pooled sums. {together} could learn at "
            "most ε = 1.04 of a person."
        )
        assert words in result.footnotes()

    def test_a_hub_that_saw_exact_sums_is_said_to_have(self) -> None:
        notes = whole(noise_placement="hub", hub_epsilon=0).footnotes()
        assert "Noise by the hub alone: the hub saw exact pooled sums." in notes

    def test_a_release_that_does_not_say_is_given_no_words(self) -> None:
        notes = whole(noise_placement="").footnotes()
        assert not any("Noise by" in note for note in notes)

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (2.1, "2.1"),
            (1.0321, "1.04"),
            (0.123001, "0.124"),
            (12.0, "12"),
            (9.999, "10"),
        ],
    )
    def test_at_most_is_rounded_up(self, value: float, shown: str) -> None:
        assert float(at_most(value)) == float(shown)
        assert float(at_most(value)) >= value
