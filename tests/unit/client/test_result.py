# SPDX-License-Identifier: Apache-2.0
"""What an analyst holds: frames, notebook tables, the documented JSON form."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
from typing import Any

from rich.console import Console

from accord.client.cli.options import console
from accord.client.decode import result_of
from accord.client.display import display_cells
from accord.client.result import Result
from accord.client.tables import crossed_with_notes, records_table, with_notes
from accord.v1 import analyst_pb2 as pb
from accord.v1 import common_pb2


def estimate(value: float, half: float = 10.25) -> pb.Estimate:
    """Return an estimate with a symmetric interval."""
    return pb.Estimate(estimate=value, lower=value - half, upper=value + half, sd=5.1)


def some_result(*, from_archive: bool = False) -> Result:
    """Return a result with two dimensions, one cell of it suppressed."""
    release = pb.Release(
        id="9f0c8d7e-6c1e-4c5e-9d42-0d8f2a6d5c11",
        agreement="regional-trends",
        agreement_version=2,
        edition="2026-09",
        measure="persons",
        by=[
            common_pb2.Grouping(dimension="gender", level="gender"),
            common_pb2.Grouping(dimension="region", level="region"),
        ],
        where=[common_pb2.Filter(dimension="age_band", values=["0-17"])],
        rows=[
            pb.Row(values=["woman", "<north>"], estimate=estimate(123.75)),
            pb.Row(values=["woman", "south"], estimate=pb.Estimate(suppressed=True)),
            pb.Row(values=["man", "<north>"], estimate=estimate(-3.5)),
            pb.Row(values=["man", "south"], estimate=estimate(1500.25)),
        ],
        persons=estimate(1700, 40),
        dropped=estimate(12, 40),
        cost=pb.Cost(epsilon=0.5, rho=0.0031),
        delta=1e-9,
        coverage=pb.Coverage(answered=["a", "b", "c", "d"], missing=["police"]),
        level=0.9532,
        released_at=1_790_000_000,
        groups_per_person=3,
        suppress_below=10,
        person_losses=[pb.PersonLoss(agencies=1, epsilon=0.1)],
        not_covered=["Linkage errors are not covered."],
    )
    charged = pb.Cost() if from_archive else release.cost
    return result_of(release, charged=charged, from_archive=from_archive)


def printed(drawing: object) -> str:
    """Return what a terminal of 120 columns shows."""
    screen = Console(file=io.StringIO(), width=120)
    screen.print(drawing)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_frames_hold_the_released_numbers_and_nulls_where_suppressed() -> None:
    """Nothing is rounded, and a suppressed cell has no number anywhere."""
    result = some_result()
    polars = result.to_polars()
    pandas = result.to_pandas()
    arrow = result.to_arrow()
    names = [*("gender", "region"), *("estimate", "lower", "upper", "sd")]
    names += ["whole_lower", "whole_upper", "suppressed", "why"]
    assert polars.columns == list(pandas.columns) == arrow.column_names == names
    assert polars["estimate"].to_list() == [123.75, None, -3.5, 1500.25]
    assert pandas["estimate"].isna().tolist() == [False, True, False, False]
    assert arrow["upper"].to_pylist() == [134.0, None, 6.75, 1510.5]
    assert polars["suppressed"].to_list() == [False, True, False, False]


def test_the_json_form_is_the_documented_one() -> None:
    """Rows have dimensions and numbers side by side."""
    reply = json.loads(json.dumps(some_result(from_archive=True).as_json()))
    assert set(reply) == {"release", "charged", "from_archive"}
    assert reply["charged"] == {"epsilon": 0.0, "rho": 0.0}
    release = reply["release"]
    assert release["by"] == ["gender", "region"]
    assert release["rows"][0] == {
        "gender": "woman",
        "region": "<north>",
        "estimate": 123.75,
        "lower": 113.5,
        "upper": 134.0,
        "sd": 5.1,
        "suppressed": False,
        "whole_lower": None,
        "whole_upper": None,
        "why": "",
    }
    assert release["rows"][1]["estimate"] is None
    assert release["coverage"]["answered"] == ["a", "b", "c", "d"]
    assert release["coverage"]["missing"] == ["police"]


def test_a_release_of_an_older_hub_reads_as_what_it_was() -> None:
    """Nothing is made up for what it does not say."""
    result = some_result()
    assert (result.unit, result.bounding, result.dimensions) == (
        "persons",
        "keep",
        ("gender", "region"),
    )
    assert all(row.estimate.whole_upper is None for row in result)
    assert result.rows[1].estimate.why == "small"
    assert result.as_json()["release"]["parts"] == []


def test_a_share_has_a_column_for_its_values_and_parts_for_its_counts() -> None:
    """Whatever the hub says of a release stays with it."""
    parts = [estimate(30), estimate(60)]
    release = pb.Release(
        measure="share(means)",
        slot_dimension="means",
        parts=["numerator", "denominator"],
        unit="share",
        denominator="persons with any information on means",
        by=[common_pb2.Grouping(dimension="gender", level="gender")],
        rows=[
            pb.Row(
                values=["woman", "debt"],
                parts=parts,
                estimate=pb.Estimate(
                    estimate=0.5, whole_lower=0.4, whole_upper=0.75, sd=0.05
                ),
            ),
            pb.Row(
                values=["woman", "unknown"],
                parts=parts,
                estimate=pb.Estimate(suppressed=True, why="no-information"),
            ),
        ],
        definitions=[pb.Definition(agency="a", dimension="means", text="asked twice")],
        whole_level=0.95,
        derived_from="9f0c",
    )
    result = result_of(release, charged=None, from_archive=True)
    table = result.columns()
    assert list(table)[:3] == ["gender", "means", "estimate"]
    assert table["whole_upper"] == [0.75, None]
    assert table["why"] == ["", "no-information"]
    shown = result.as_json()["release"]
    assert shown["rows"][1]["parts"]["numerator"]["estimate"] == 30
    assert shown["definitions"][0]["text"] == "asked twice"


def test_a_terminal_table_says_what_has_to_be_read_with_it() -> None:
    """Interval, coverage, cost, suppression; intervals are rounded outwards."""
    text = printed(with_notes(some_result()))
    assert "persons by gender, region where age_band = 0-17" in text
    assert "113 … 134" in text
    assert "4 of 5 agencies, without police" in text
    assert "suppressed" in text
    assert "12 ± 40 cells" in text
    assert "Linkage errors" in text
    result = some_result()
    assert display_cells(result, result.rows[2])[2:] == ["-4", "-14 … 7", "5.1"]


def both_intervals(**shown: object) -> Result:
    """Return a result of shares with long names, and whole intervals."""
    numbers: dict[str, Any] = {
        "estimate": 0.5123,
        "lower": 0.44,
        "upper": 0.59,
        "sd": 0.04,
    }
    whole: dict[str, Any] = {"whole_lower": 0.4312, "whole_upper": 0.7}
    release = pb.Release(
        measure="share(means_of_control)",
        slot_dimension="means_of_control",
        unit="share",
        denominator="persons with any information on means_of_control",
        parts=["numerator"],
        by=[common_pb2.Grouping(dimension="registered_month", level="quarter")],
        rows=[
            pb.Row(
                values=["2026-Q1", "threats_to_children_or_family_members"],
                estimate=pb.Estimate(**numbers, **whole),
                parts=[estimate(30)],
            ),
            pb.Row(
                values=["2026-Q1", "unknown"],
                estimate=pb.Estimate(suppressed=True, why="no-information"),
                parts=[estimate(30)],
            ),
        ],
        level=0.953,
        whole_level=0.951,
        groups_per_person=3,
        dropped=estimate(12, 40),
        dropped_share=0.013,
        bounding="weigh",
        definitions=[pb.Definition(agency="a", dimension="means", text="asked twice")],
    )
    return dataclasses.replace(
        result_of(release, charged=None, from_archive=True),
        **shown,  # type: ignore[arg-type]
    )


def test_both_intervals_fit_a_terminal_of_80_columns() -> None:
    """Named in plain words; no number is cut, and unknown says how many it is."""
    screen = Console(file=io.StringIO(), width=80)
    screen.print(with_notes(both_intervals()))
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    assert max(len(line) for line in text.splitlines()) <= 80
    plain = " ".join(text.split())
    for said in (
        *("noise interval", "whole interval", "95.3%", "95.1%"),
        *("51.2%", "44.0% … 59.0%", "43.1% … 70.0%", "n = 30", "19 … 41"),
        *(
            "Shares, of persons with any information",
            "counts in each of them with less",
        ),
        *("12 ± 40 cells (1.3%)", "a records means so: asked twice"),
    ):
        assert said in plain


def test_a_whole_interval_that_is_withheld_says_why() -> None:
    """In its place is the deviation of the noise."""
    text = printed(
        with_notes(both_intervals(whole_level=0.0, whole_withheld="Too much dropped."))
    )
    assert "No whole interval: Too much dropped." in text
    assert "4.0%" in text


def test_small_noise_is_shown_with_as_many_decimals_as_it_needs() -> None:
    """And large noise with none."""
    row = some_result().rows[0]
    shown = dataclasses.replace(
        row.estimate, sd=0.02, estimate=1.2345, lower=1.2, upper=1.28
    )
    cells = display_cells(some_result(), dataclasses.replace(row, estimate=shown))
    assert cells[2:] == ["1.23", "1.20 … 1.28", "0.020"]
    shown = dataclasses.replace(shown, sd=2314.9)
    cells = display_cells(some_result(), dataclasses.replace(row, estimate=shown))
    assert cells[-1] == "2,315"


def test_a_cross_table_has_one_line_per_value_of_the_first_dimension() -> None:
    """With estimate and half-width in each cell."""
    text = printed(crossed_with_notes(some_result()))
    assert "each ±10 at 95.3%" in text
    woman, man = (line for line in text.splitlines() if line.startswith("│"))
    assert [cell.strip() for cell in woman.split("│")[1:-1]] == ["woman", "124", "–"]
    assert [cell.strip() for cell in man.split("│")[1:-1]] == ["man", "-4", "1,500"]


def test_names_in_brackets_or_colons_are_shown_as_they_are() -> None:
    """Values, purposes and titles are the boards' words, not instructions."""
    strange = [("[north]", "[/x]"), ("[red]", ":m:")]
    result = some_result()
    rows = tuple(
        dataclasses.replace(row, values=values)
        for row, values in zip(result.rows, strange, strict=False)
    )
    result = dataclasses.replace(result, rows=rows)
    records = records_table("[b]purposes", [{"[i]": "[/x]", "title": ":m:"}])
    with console.capture() as shown:
        console.print(with_notes(result))
        console.print(records)
    text = shown.get()
    for name in ("[north]", "[red]", "[b]purposes", "[i]"):
        assert name in text
    assert text.count("[/x]") == text.count(":m:") == 2


def test_a_repeat_says_that_it_was_free() -> None:
    """And a paid one what it cost."""
    assert any("free" in note for note in some_result(from_archive=True).footnotes())
    assert any("ε = 0.5" in note for note in some_result().footnotes())


def test_a_notebook_table_escapes_values() -> None:
    """Values come from a policy file, and still nothing is trusted."""
    html = some_result()._repr_html_()
    assert "&lt;north&gt;" in html
    assert "<north>" not in html


def test_times_are_utc() -> None:
    """Whatever the machine's time zone."""
    assert some_result().released_at.tzinfo is datetime.UTC


def test_a_prompt_shows_one_line() -> None:
    """Not all rows."""
    assert repr(some_result()).startswith("<Result: persons by gender, region where")
