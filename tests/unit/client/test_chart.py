# SPDX-License-Identifier: Apache-2.0
"""Pictures: noise is always there, suppressed numbers never, and nothing is fetched."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accord.client as accord
from accord.client.chart import chart, save
from accord.client.chart.figures import Figures
from accord.client.chart.heatmap import STRIPES
from accord.client.chart.kinds import fitting
from accord.client.chart.outlines import outlines_of
from accord.client.chart.periods import axis_of, labelled, runs
from accord.client.decode import result_of
from accord.core.errors import AccordError, ConfigurationError, InvalidQuery
from accord.v1 import analyst_pb2 as pb
from accord.v1 import common_pb2
from tests.unit.client.hub_double import release

SECRET = 987654.25
"""A number that a suppressed figure must never show."""

MONTHS = [f"2025-{month:02}" for month in range(1, 13)]
REGIONS = ["norvale", "eastmere", "southport", "unknown"]


def number(value: float, *, whole: bool = False) -> pb.Estimate:
    """Return an estimate of ±10, with the other interval where it is wanted."""
    made = pb.Estimate(estimate=value, lower=value - 10, upper=value + 10, sd=5)
    if whole:
        made.whole_lower, made.whole_upper = value - 12, value + 20
    return made


def hidden(why: str = "small") -> pb.Estimate:
    """Return a suppressed estimate, as a hub that made a mistake would send it."""
    found = number(SECRET, whole=True)
    found.suppressed, found.why = True, why
    return found


def drawn_from(
    dimensions: Mapping[str, Sequence[str]],
    estimates: Sequence[pb.Estimate],
    **more: Any,  # noqa: ANN401
) -> accord.Result:
    """Return a result with these dimensions and figures, in layout order."""
    message = release(**({"unit": "persons", "level": 0.9501} | more))
    message.ClearField("by")
    message.ClearField("rows")
    for name in dimensions:
        if name != message.slot_dimension:
            message.by.append(common_pb2.Grouping(dimension=name, level=name))
    cells = itertools.product(*dimensions.values())
    for values, estimate in zip(cells, estimates, strict=True):
        message.rows.append(pb.Row(values=values, estimate=estimate))
    return result_of(message, charged=None, from_archive=False)


def regions(*estimates: pb.Estimate, **more: Any) -> accord.Result:  # noqa: ANN401
    return drawn_from({"region": REGIONS[: len(estimates)]}, estimates, **more)


def flows(*estimates: pb.Estimate) -> accord.Result:
    half = len(estimates) // 2
    dimensions = {"citizenship": ["a", "b"], "country": REGIONS[:half]}
    return drawn_from(dimensions, estimates)


def spec(drawing: Any) -> dict[str, Any]:  # noqa: ANN401
    found: dict[str, Any] = drawing.to_dict()
    return found


def layers(found: dict[str, Any]) -> list[dict[str, Any]]:
    inner: list[dict[str, Any]] = found.get("spec", found)["layer"]
    return inner


def shape(found: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """Return the marks in order, each with the fields that it is made of."""
    shapes = []
    for layer in layers(found):
        encoding = layer.get("encoding", {})
        fields = {
            channel: part["field"]
            for channel, part in encoding.items()
            if isinstance(part, dict) and "field" in part
        }
        shapes.append((layer["mark"]["type"], fields))
    return shapes


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = found["datasets"][found["data"]["name"]]
    return points


def subtitle(found: dict[str, Any]) -> str:
    return " ".join(found["title"]["subtitle"])


def square(name: str, x: float, *, anticlockwise: bool = True) -> dict[str, Any]:
    """Return a region of one degree."""
    ring = [[x, 50.0], [x + 1, 50.0], [x + 1, 51.0], [x, 51.0], [x, 50.0]]
    ring = ring if anticlockwise else ring[::-1]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    properties = {"name": name, "inhabitants": SECRET}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def outlines(*names: str) -> dict[str, Any]:
    features = [square(name, 10.0 + 2 * index) for index, name in enumerate(names)]
    return {"type": "FeatureCollection", "features": features}


class TestTrend:
    """Figures over time."""

    def test_marks_bands_and_bars(self) -> None:
        months = MONTHS[:3]
        result = drawn_from({"month": months}, [number(v) for v in (20, 30, 40)])
        at = {"x": "month"}
        band = at | {"y": "lower", "y2": "upper"}
        assert shape(spec(result.plot())) == [
            ("rule", {}),
            ("area", band | {"detail": "run"}),
            ("rule", band),
            ("line", at | {"y": "estimate", "detail": "run"}),
            ("point", at | {"y": "estimate"}),
            ("text", at | {"text": "suppressed"}),
        ]

    def test_a_second_band_where_there_is_a_second_interval(self) -> None:
        estimates = [number(v, whole=True) for v in (20, 30)]
        result = drawn_from({"month": MONTHS[:2]}, estimates, whole_level=0.95)
        found = spec(result.plot())
        band = {"x": "month", "y": "whole_lower", "y2": "whole_upper"}
        assert ("area", band | {"detail": "run"}) in shape(found)
        assert ("rule", band) in shape(found)
        assert "at least 95.0% of the figures" in subtitle(found)

    def test_a_second_interval_that_is_withheld_is_said_to_be(self) -> None:
        result = regions(number(20), whole_withheld="Too much was left out.")
        assert "No interval for the records without a bound: too much" in subtitle(
            spec(result.plot())
        )

    def test_no_line_crosses_what_is_suppressed_or_was_not_asked(self) -> None:
        months = ["2025-01", "2025-02", "2025-03", "2025-04", "2025-07", "unknown"]
        estimates = [number(20), number(21), hidden(), *map(number, (22, 23, 24))]
        result = drawn_from({"month": months}, estimates)
        found = spec(result.plot())
        joined = {row["month"]: row.get("run") for row in rows(found)}
        assert joined["2025-01"] == joined["2025-02"]
        apart = [joined[month] for month in months if month not in months[1:3]]
        assert len(set(apart)) == 4
        assert joined["2025-03"] is None
        line = layers(found)[1]["encoding"]["x"]["scale"]["domain"]
        assert line == [*MONTHS[:7], "unknown"]

    def test_other_dimensions_have_panels(self) -> None:
        count = len(MONTHS) * len(REGIONS)
        result = drawn_from({"month": MONTHS, "region": REGIONS}, [number(20)] * count)
        found = spec(result.plot())
        assert found["facet"]["field"] == "region"
        assert found["facet"]["sort"] == REGIONS
        joined = {row["region"]: row["run"] for row in rows(found)}
        assert len(set(joined.values())) == len(REGIONS)

    def test_many_months_have_few_labels(self) -> None:
        months = [
            f"{year}-{month:02}" for year in range(2020, 2025) for month in range(1, 13)
        ]
        assert labelled(months, 12) == [m for m in months if m[-2:] in {"01", "07"}]
        assert labelled([*months, "unknown"], 6) == [
            *(f"{year}-01" for year in range(2020, 2025)),
            "unknown",
        ]
        assert labelled(MONTHS, 12) == MONTHS
        assert labelled([*MONTHS, "unknown"], 5) == [
            *("2025-01", "2025-04", "2025-07", "2025-10"),
            "unknown",
        ]

    def test_quarters_and_years_are_periods_too(self) -> None:
        assert axis_of(["2024-Q3", "2025-Q1"]) == ["2024-Q3", "2024-Q4", "2025-Q1"]
        assert axis_of(["2023", "2025", "unknown"]) == [
            *("2023", "2024", "2025"),
            "unknown",
        ]
        assert list(runs(["2024-Q4", "2025-Q1", "2025-??", "2025-Q2"])) == [1, 1, 2, 3]


class TestBars:
    """Figures side by side."""

    def test_an_error_bar_on_every_bar(self) -> None:
        found = spec(regions(number(20), number(30)).plot())
        at = {"y": "region"}
        interval = at | {"x": "lower", "x2": "upper"}
        assert shape(found) == [
            ("bar", at | {"x": "estimate"}),
            ("rule", interval),
            ("rule", interval),
            ("tick", at | {"x": "lower"}),
            ("tick", at | {"x": "upper"}),
            ("text", at | {"text": "suppressed"}),
        ]

    def test_shares_are_per_cent_of_what_is_said(self) -> None:
        estimates = [pb.Estimate(estimate=0.5, lower=0.4, upper=0.6, sd=0.05)]
        result = drawn_from(
            {"means": ["threats", "unknown"]},
            [*estimates, hidden("no-information")],
            slot_dimension="means",
            unit="share",
            denominator="persons with any information on means",
        )
        found = spec(result.plot())
        axis = layers(found)[0]["encoding"]["x"]
        assert (axis["title"], axis["axis"]["format"]) == ("per cent", "~%")
        assert "Per cent of persons with any information on means." in subtitle(found)
        assert "Nothing known (1)" in subtitle(found)
        assert "Suppressed" not in subtitle(found)

    def test_quantities_have_their_unit(self) -> None:
        result = regions(number(20), unit="days", measure="mean(days_in_care)")
        encoding = layers(spec(result.plot()))[0]["encoding"]
        assert encoding["x"]["title"] == "mean(days_in_care), days"

    def test_a_release_without_dimensions_is_one_bar(self) -> None:
        result = drawn_from({}, [number(20)])
        assert rows(spec(result.plot()))[0]["all"] == "all"

    def test_a_long_question_and_long_names_are_in_lines(self) -> None:
        name = "a country with a very long name of the kind that treaties have"
        where = [common_pb2.Filter(dimension="dimension", values=["x" * 60, "y" * 60])]
        result = drawn_from({"citizenship": [name]}, [number(20)])
        message = release()
        message.where.extend(where)
        titled = result_of(message, charged=None, from_archive=False)
        assert len(spec(titled.plot())["title"]["text"]) == 3
        axis = layers(spec(result.plot()))[0]["encoding"]["y"]["axis"]
        assert '["a country with a very long", ' in axis["labelExpr"]


class TestHeatmap:
    """Two dimensions."""

    def test_every_cell_has_its_bounds_as_stripes(self) -> None:
        found = spec(flows(*map(number, (20, 30, 40, 50))).plot("heatmap"))
        cell, *_, text = layers(found)
        assert cell["transform"][-1] == {
            "fold": list(STRIPES),
            "as": ["stripe", "amount"],
        }
        assert cell["encoding"]["xOffset"]["field"] == "stripe"
        assert cell["encoding"]["color"]["scale"]["domain"] == [0, 60]
        assert text["encoding"]["text"]["field"] == "label"
        assert rows(found)[0]["label"] == "20 ±10"

    def test_a_cell_without_a_number_is_an_empty_frame(self) -> None:
        found = spec(flows(number(20), hidden(), number(5), hidden()).plot("heatmap"))
        frame = layers(found)[1]
        assert frame["mark"]["fill"] == "white"
        assert frame["mark"]["strokeDash"]
        assert sum("suppressed" in row for row in rows(found)) == 2


class TestCorridor:
    """Flows."""

    def test_ribbons_are_as_thick_as_the_bounds(self) -> None:
        found = spec(flows(*map(number, (20, 30, 40, 50))).plot("corridor"))
        data = found["datasets"].values()
        points = [row for each in data for row in each if "bound" in row]
        thick = {
            (row["flow"], row["bound"]): row["y2"] - row["y"]
            for row in points
            if row["x"] == 0
        }
        flow = "b → eastmere"
        per_unit = thick[flow, "estimate"] / 50
        assert thick[flow, "lower"] == pytest.approx(40 * per_unit)
        assert thick[flow, "upper"] == pytest.approx(60 * per_unit)
        assert len(thick) == 4 * 3
        assert "flows are drawn" not in subtitle(found)

    def test_the_rest_is_said_in_words(self) -> None:
        values = [*range(30, 45), -5]
        dimensions = {"a": list("pqrs"), "b": list("wxyz")}
        estimates = [*map(number, values[:15]), hidden()]
        result = drawn_from(dimensions, estimates)
        said = subtitle(spec(result.plot("corridor")))
        assert "12 of 16 flows are drawn" in said
        assert "The other 3 have estimates up to 32, and upper bounds up to 42." in said
        assert "Suppressed figures (1): not drawn." in said


class TestMap:
    """Regions of the deployment's own."""

    def test_shapes_have_colour_and_a_pair_of_circles(self) -> None:
        result = regions(number(20), number(40), hidden(), number(30))
        drawing = result.plot(outlines=outlines(*REGIONS[:3], "elsewhere"))
        found = spec(drawing)
        marks = [layer["mark"]["type"] for layer in layers(found)]
        assert marks == [*["geoshape"] * 2, *["circle"] * 2, "text", "text"]
        points = [row for each in found["datasets"].values() for row in each]
        rings = {
            row["region"]: (row["ring"], row["disc"]) for row in points if "ring" in row
        }
        assert set(rings) == {"norvale", "eastmere"}
        ring, disc = rings["norvale"]
        assert disc / ring == pytest.approx(10 / 30)
        assert "Without an outline: unknown: 30 ±10." in subtitle(found)
        assert str(SECRET) not in json.dumps(found)

    @pytest.mark.parametrize("anticlockwise", [True, False])
    def test_outlines_go_round_as_they_are_drawn(self, anticlockwise: bool) -> None:
        """Else everything outside would be filled."""
        feature = square("norvale", 10.0, anticlockwise=anticlockwise)
        (outline,) = outlines_of({"features": [feature]}, "name").values()
        (ring,) = outline.geometry()["coordinates"][0]
        around = itertools.pairwise(ring)
        assert sum(a[0] * b[1] - b[0] * a[1] for a, b in around) < 0
        x, y = outline.middle()
        assert y == pytest.approx(50.5)
        assert 6 < x < 7

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({}, "OUTLINES_UNREADABLE"),
            ({"features": [{"properties": {}}]}, "OUTLINES_UNREADABLE"),
            (outlines("norvale") | {"features": []}, "OUTLINES_UNNAMED"),
            ("nowhere.geojson", "OUTLINES_UNREADABLE"),
            (
                {
                    "features": [
                        {
                            "properties": {"name": "norvale"},
                            "geometry": {"type": "Point", "coordinates": [1, 2]},
                        }
                    ]
                },
                "OUTLINES_UNREADABLE",
            ),
        ],
    )
    def test_what_is_no_outline_is_refused(
        self, given: dict[str, Any] | str, reason: str
    ) -> None:
        with pytest.raises(InvalidQuery) as refused:
            regions(number(20)).plot(outlines=given)
        assert refused.value.reason == reason

    def test_a_wrong_property_names_those_that_there_are(self) -> None:
        with pytest.raises(InvalidQuery, match="inhabitants, name") as refused:
            regions(number(20)).plot(outlines=outlines("norvale"), named_by="region")
        assert refused.value.reason == "OUTLINES_UNNAMED"


class TestFocus:
    """Large tables."""

    MANY = [
        f"{year}-{month:02}" for year in range(2000, 2010) for month in range(1, 13)
    ]

    def months(self, *firm: str, values: Sequence[str] = MANY) -> dict[str, Any]:
        """Return a trend whose other periods are within their noise."""
        estimates = [number(40 if month in firm else 12) for month in values]
        return spec(drawn_from({"month": values}, estimates).plot())

    def test_periods_from_the_first_that_stands_out_to_the_last(self) -> None:
        found = self.months("2003-02", "2003-06")
        assert [row["month"] for row in rows(found)] == [
            f"2003-{month:02}" for month in range(2, 7)
        ]
        assert (
            "Not drawn: 115 figures at 115 values of month, suppressed or hardly more "
            "than noise; upper bounds up to 22."
        ) in subtitle(found)

    def test_sixty_values_are_drawn_whatever_they_are(self) -> None:
        found = self.months("2003-02", values=self.MANY[:60])
        assert len(rows(found)) == 60
        assert len(rows(self.months())) == len(self.MANY)

    def test_categories_that_stand_out_and_unknown(self) -> None:
        names = [*(f"c{index}" for index in range(70)), "unknown"]
        estimates = [number(50 if name in {"c3", "c9"} else 11) for name in names]
        found = spec(drawn_from({"citizenship": names}, estimates).plot())
        assert [row["citizenship"] for row in rows(found)] == ["c3", "c9", "unknown"]

    def test_what_cannot_be_read_is_refused(self) -> None:
        names = [f"c{index}" for index in range(50)]
        dimensions = {"a": names, "b": names}
        result = drawn_from(dimensions, [number(50)] * 2500)
        with pytest.raises(InvalidQuery, match="2,500 figures") as refused:
            result.plot("heatmap")
        assert refused.value.reason == "PICTURE_TOO_FULL"
        assert len(rows(spec(result.plot("corridor")))) == 0


class TestKinds:
    """What fits."""

    def test_dimensions_choose(self) -> None:
        many = {"a": ["x", "y"], "b": list("123456")}
        flow = drawn_from(many, [number(20)] * 12)
        time = drawn_from({"a": ["x"], "month": MONTHS[:2]}, [number(20)] * 2)
        assert fitting(Figures(regions(number(20)))) == ["bars", "map"]
        assert fitting(Figures(flow)) == ["heatmap", "bars", "corridor"]
        assert fitting(Figures(time)) == ["trend", "bars", "heatmap"]

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            ("trend", "as 'trend'; what fits: bars, map."),
            ("corridor", "the dimension region (persons)"),
            ("pie", "as 'pie'; what fits: bars, map."),
        ],
    )
    def test_what_does_not_fit_is_refused_with_what_does(
        self, kind: str, words: str
    ) -> None:
        with pytest.raises(InvalidQuery, match=re.escape(words)) as refused:
            regions(number(20)).plot(kind)
        assert refused.value.reason == "PICTURE_DOES_NOT_FIT"

    def test_shares_do_not_flow(self) -> None:
        result = drawn_from({"a": ["x"], "b": ["y"]}, [number(0.2)], unit="share")
        with pytest.raises(InvalidQuery):
            result.plot("corridor")

    def test_a_map_needs_outlines(self) -> None:
        with pytest.raises(InvalidQuery) as refused:
            regions(number(20)).plot("map")
        assert refused.value.reason == "OUTLINES_NEEDED"

    def test_a_missing_library_is_said_to_be(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "altair", None)
        with pytest.raises(ConfigurationError, match=r"accord\[plots\]") as refused:
            chart([regions(number(20))])
        assert refused.value.reason == "LIBRARY_MISSING"


def tables() -> st.SearchStrategy[accord.Result]:
    """Return tables of one to three dimensions, any of them suppressed."""
    names = st.sampled_from(
        [
            *[(), ("region",), ("month",), ("month", "region"), ("region", "sex")],
            ("sex", "month", "region"),
        ]
    )
    values = {"region": REGIONS, "month": [*MONTHS[:5], "unknown"], "sex": ["f", "m"]}

    @st.composite
    def make(draw: st.DrawFn) -> accord.Result:
        dimensions = {name: values[name] for name in draw(names)}
        count = len(list(itertools.product(*dimensions.values())))
        level = st.floats(-50, 1e6, allow_nan=False).map(number)
        figures = st.lists(level | st.just(hidden()), min_size=count, max_size=count)
        return drawn_from(dimensions, draw(figures))

    return make()


@settings(max_examples=12, deadline=None)
@given(result=tables())
def test_every_figure_has_an_interval_and_no_suppressed_one_a_number(
    result: accord.Result,
) -> None:
    """Whatever the kind; of flows, what is drawn."""
    given_outlines = outlines(*REGIONS)
    for kind in fitting(Figures(result)):
        on_map = given_outlines if kind == "map" else None
        found = spec(chart([result], kind, outlines=on_map))
        text = json.dumps(found)
        assert str(SECRET) not in text
        assert str(SECRET - 10) not in text
        if kind in {"trend", "bars"}:
            assert_intervals(result, found)
        if kind == "heatmap":
            shown = [row for row in rows(found) if "estimate" in row]
            assert len(shown) == sum(not row.estimate.suppressed for row in result)
            assert all("±" in row["label"] for row in shown)


def assert_intervals(result: accord.Result, found: dict[str, Any]) -> None:
    """Check that the layer of intervals has every figure with its bounds."""
    expected = {
        row.values: (row.estimate.lower, row.estimate.upper)
        for row in result
        if not row.estimate.suppressed
    }
    drawn = {
        tuple(row[name] for name in result.dimensions): (row["lower"], row["upper"])
        for row in rows(found)
        if "estimate" in row
    }
    assert drawn == expected
    assert len(rows(found)) == len(result)
    across = ({"x", "x2"}, {"y", "y2"})
    intervals = [
        layer
        for layer in layers(found)
        if layer["mark"]["type"] == "rule"
        and any(pair <= layer["encoding"].keys() for pair in across)
    ]
    assert intervals
    assert all(
        layer["transform"] == [{"filter": "isValid(datum.estimate)"}]
        for layer in intervals
    )


OFFLINE = """
import socket, sys

def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a picture asked for a network")

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from tests.unit.client.test_chart import number, regions, save, outlines
result = regions(number(20), number(30))
for ending in ("png", "svg", "html"):
    save(result.plot(), f"{sys.argv[1]}/bars.{ending}")
save(result.plot(outlines=outlines("norvale")), f"{sys.argv[1]}/map.svg")
"""


def test_files_are_made_without_a_network_and_refer_to_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")
    for name in ("bars.svg", "bars.html", "map.svg"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "eastmere" in text or name == "map.svg"
        elsewhere = set(re.findall(r"https?://[^\"' )]+", text))
        assert elsewhere <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }
        assert "<script" not in text


def test_a_page_escapes_the_words_of_boards(tmp_path: Path) -> None:
    result = drawn_from({"region": ["<script>alert(1)</script>"]}, [number(20)])
    file = save(result.plot(), tmp_path / "page.html")
    assert "<script" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("picture.gif", "PICTURE_FORMAT_UNKNOWN"), ("no/such.svg", "PICTURE_UNWRITABLE")],
)
def test_a_file_that_cannot_be_written_is_refused(
    tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(AccordError) as refused:
        save(regions(number(20)).plot(), tmp_path / name)
    assert refused.value.reason == reason
