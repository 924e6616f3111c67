# SPDX-License-Identifier: Apache-2.0
"""At the door dates become months, births bands and places regions; texts nothing."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.cli.screens import FREE_TEXT
from accord.agent.intake.ingest import check
from accord.agent.store.columns import Columns
from accord.core.document import DocumentError
from tests.unit.agent.agencies import (
    LIMITS,
    MAPPING_TEXT,
    MODEL,
    MODEL_TEXT,
    ingest_rows,
    mapping,
    new_state,
    row,
    write_csv,
)
from tests.unit.agent.command import Command

people = st.lists(
    st.tuples(
        st.sampled_from(["Ana", "ANA ", "Bo", "", "\uff22\uff4f"]),
        st.sampled_from(["1", "2", ""]),
        st.sampled_from(["north", "west"]),
    ),
    min_size=1,
    max_size=12,
)


def stored(folder: Path, rows: list[dict[str, str]], text: str) -> tuple[int, int, int]:
    """Return cases, ordinals, and how many cases name a person."""
    state = new_state(folder / "state")
    ingest_rows(state, rows, text)
    with Columns.open(state.current) as columns:
        known = int(np.count_nonzero(columns.person_known))
        return columns.rows, len(np.unique(columns.person)), known


@given(people)
@settings(max_examples=8, deadline=None)
def test_whom_a_row_is_about_is_what_the_mapping_says(
    tmp_path_factory: pytest.TempPathFactory, cases: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("kinds")
    rows = [
        row(first=first, last="", born="", number=number, region=region)
        for first, number, region in cases
    ]
    text = MAPPING_TEXT.replace("  age_band: {birth_date: born, at: date}\n", "")
    for number, kind in enumerate(("row_number", "cases only")):
        place = folder / str(number)
        place.mkdir()
        lone = text.replace("[first, last, born]\ncase: [number]", kind)
        count = len(rows)
        known = count if kind == "row_number" else 0
        assert stored(place, rows, lone) == (count, count, known)
    place = folder / "named"
    place.mkdir()
    own = text.replace(
        "[first, last, born]\ncase: [number]", "[first]\nwithout_person: own_person"
    )
    named = {first.strip().casefold() for first, _, _ in cases} - {""}
    named = {"bo" if name == "\uff42\uff4f" else name for name in named}
    nameless = sum(not first for first, _, _ in cases)
    assert stored(place, rows, own) == (
        len(rows),
        len(named) + nameless,
        len(rows),
    )


@given(
    st.dates(datetime.date(2024, 1, 1), datetime.date(2025, 12, 31)),
    st.dates(datetime.date(1930, 1, 1), datetime.date(2020, 1, 1)),
)
@settings(max_examples=10, deadline=None)
def test_days_leave_only_months_and_bands(
    tmp_path_factory: pytest.TempPathFactory,
    day: datetime.date,
    born: datetime.date,
) -> None:
    folder = tmp_path_factory.mktemp("days")
    state = new_state(folder / "state")
    ingest_rows(state, [row(date=day.isoformat(), born=born.isoformat())])
    months = MODEL.dimensions["registered_month"]
    bands = MODEL.dimensions["age_band"]
    with Columns.open(state.current) as columns:
        month = months.leaves[int(columns.array("registered_month")[0])]
        band = bands.leaves[int(columns.array("age_band")[0])]
    assert month == f"{day:%Y-%m}"
    age = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    low, _, high = band.replace("+", "-200").partition("-")
    assert int(low) <= age <= int(high)
    held = b"".join(
        path.read_bytes() for path in state.store.rglob("*") if path.is_file()
    )
    for text in (day.isoformat(), born.isoformat()):
        assert text.encode() not in held


POSTCODES = MAPPING_TEXT.replace(
    "{column: region}",
    '{column: region, prefix: 2, codes: {"10": north, "sw": south, "9": west}}',
)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("1010", "north"),
        (" 10 ", "north"),
        ("SW1A 1AA", "south"),
        ("9", "west"),
        ("91", None),
        ("1", None),
    ],
)
def test_a_prefix_makes_regions_of_places(
    tmp_path: Path, text: str, region: str | None
) -> None:
    state = new_state(tmp_path / "state")
    done = ingest_rows(
        state, [row(region=text), row(first="B", region="1099")], POSTCODES
    )
    assert done.report.refused == (region is None)
    found = MODEL.dimensions["region"].leaves
    with Columns.open(state.current) as columns:
        regions = {found[code] for code in columns.array("region").tolist()}
    assert regions == ({"north", region} if region else {"north"})


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("{column: region, prefix: 2}", "only with `codes`"),
        ('{column: region, prefix: 2, codes: {"101": north}}', "longer than 2"),
        ("{value: north, prefix: 2}", "only with column"),
    ],
)
def test_a_prefix_that_fits_nothing_is_refused(entry: str, sentence: str) -> None:
    with pytest.raises(DocumentError, match=sentence):
        mapping(MAPPING_TEXT.replace("{column: region}", entry))


NOTES = MAPPING_TEXT.replace(
    "region: {column: region}",
    "region: {column: notes, codes: {x: north}, otherwise: unknown}",
)


def test_free_text_taken_for_codes_is_warned_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = new_state(tmp_path / "state")
    rows = [
        row(number=str(n), notes=f"She told us of door {n} and of a yellow house")
        for n in range(40)
    ]
    source = write_csv(tmp_path / "cases.csv", rows)
    report = check(state, mapping(NOTES), [source], LIMITS)
    assert report.free_texts == ["notes"]
    assert "yellow" not in str(report.as_json())
    (tmp_path / "mapping.yaml").write_text(NOTES)
    (tmp_path / "small.yaml").write_text(MODEL_TEXT)
    said = Command(monkeypatch, capsys)(
        *("check", source, "--mapping", tmp_path / "mapping.yaml"),
        *("--model", tmp_path / "small.yaml", "--state", state.root),
    )
    assert FREE_TEXT.format(column="notes") in said.stdout
    assert "yellow" not in said.stdout + said.stderr


@pytest.mark.parametrize(
    "texts",
    [
        ["north"] * 40,
        [f"code-{number}" for number in range(40)],
        ["a long description of the one and only region"] * 40,
        [f"word {number}" for number in range(40)],
    ],
)
def test_codes_are_no_free_text(tmp_path: Path, texts: list[str]) -> None:
    state = new_state(tmp_path / "state")
    rows = [row(number=str(n), notes=text) for n, text in enumerate(texts)]
    source = write_csv(tmp_path / "cases.csv", rows)
    assert check(state, mapping(NOTES), [source], LIMITS).free_texts == []
