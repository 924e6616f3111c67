# SPDX-License-Identifier: Apache-2.0
"""The agency's own tables: exact, private, and beside what was published."""

from __future__ import annotations

import csv
import io
import json
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accord.agent.own_table.files import as_csv, as_workbook, cells, write_privately
from accord.agent.own_table.table import OwnTable, beside, count
from accord.agent.rounds.vectors import open_current
from accord.agent.state import AgentState
from accord.core.errors import AccordError
from accord.core.query import canonical_query
from tests.unit.agent.agencies import MODEL, NOW, ingest_rows, new_state, row
from tests.unit.agent.agency_world import PERSONS, REGIONS, World
from tests.unit.agent.agreements import AGENCY
from tests.unit.agent.command import Command

TYPES = ("labour", "sexual", "begging")

RECORDS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(("north", "south", "west")),
        st.sets(st.sampled_from(TYPES), min_size=1).map(tuple),
    ),
    min_size=1,
    max_size=25,
)


def table(state: AgentState, measure: str, by: list[str], **where: Any) -> OwnTable:  # noqa: ANN401
    query = canonical_query(
        agreement="small-trends",
        edition="2025-12",
        measure=measure,
        group_by=[(each, None) for each in by],
        where=where,
        model=MODEL,
    )
    with open_current(state, MODEL, NOW.date()) as cases:
        return count(cases, query, MODEL, "records")


@given(RECORDS, st.sampled_from(["persons", "cases"]))
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_it_counts_everybody_in_every_row_they_belong_to(
    records: list[tuple[int, str, tuple[str, ...]]], measure: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = new_state(Path(folder) / "state")
        ingest_rows(
            state,
            [
                row(
                    first=f"p{person}",
                    number=f"case-{number}",
                    region=region,
                    type=";".join(types),
                )
                for number, (person, region, types) in enumerate(records)
            ],
        )
        found = table(state, measure, ["region", "exploitation_type"])
    wanted: dict[tuple[str, str], list[int]] = {}
    for person, region, types in records:
        for each in types:
            wanted.setdefault((region, each), []).append(person)
    for cell in found.rows:
        named = dict(zip(found.names, cell.values, strict=True))
        here = wanted.get((named["region"], named["exploitation_type"]), [])
        assert cell.count == len(here if measure == "cases" else set(here))
    everybody = [person for person, _, _ in records]
    whole = len(everybody if measure == "cases" else set(everybody))
    assert found.total == whole


@pytest.fixture
def own(world: World) -> OwnTable:
    return table(world.states[AGENCY], "persons", ["region"])


def released(own: OwnTable, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    figures = dict.fromkeys(("estimate", "lower", "upper"), 20.5)
    release = {
        "id": "release-1",
        "agreement": "small-trends",
        "measure": "persons",
        "by": ["region"],
        "levels": ["region"],
        "where": {},
        "edition": "2025-12",
        "rows": [
            {"region": each.values[0], **figures}
            if each.values[0] != "west"
            else {"region": "west", "estimate": None, "lower": None, "upper": None}
            for each in own.rows
        ],
    }
    return {"release": {**release, **changes}}


def row_of(figure: object) -> dict[str, object]:
    return {"region": "north", "estimate": figure, "lower": None, "upper": None}


def test_small_rows_and_shares_are_named(own: OwnTable) -> None:
    expected = dict(zip(REGIONS, PERSONS[AGENCY], strict=False))
    assert {each.values[0]: each.count for each in own.rows} == {
        region: expected.get(region, 0) for region in REGIONS
    }
    assert own.total == sum(PERSONS[AGENCY])
    assert own.rows[0].share == PERSONS[AGENCY][0] / own.total
    assert own.small == sum(0 < each < 10 for each in PERSONS[AGENCY])


def test_a_release_of_the_same_question_stands_beside_it(
    own: OwnTable, tmp_path: Path
) -> None:
    file = tmp_path / "release.json"
    file.write_text(json.dumps(released(own)), encoding="utf-8")
    found = beside(own, file)
    by_region = {each.values[0]: each.pooled for each in found.rows}
    assert by_region["north"] is not None
    assert by_region["north"].estimate == 20.5
    assert by_region["west"] is not None
    assert by_region["west"].estimate is None
    assert found.release == "release-1"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"by": ["age_band"]}, "RELEASE_DIFFERS"),
        ({"where": {"region": ["north"]}}, "RELEASE_DIFFERS"),
        ({"edition": "2025-11"}, "RELEASE_DIFFERS"),
        ({"measure": "cases"}, "RELEASE_DIFFERS"),
        ({"agreement": "large-trends"}, "RELEASE_DIFFERS"),
        ({"rows": [{}]}, "RELEASE_UNREADABLE"),
        ({"rows": [row_of("=1+1")]}, "RELEASE_UNREADABLE"),
        ({"rows": [row_of(float("nan"))]}, "RELEASE_UNREADABLE"),
        ({"rows": [row_of(10**400)]}, "RELEASE_UNREADABLE"),
        ({"where": {"region": 5}}, "RELEASE_DIFFERS"),
        ({"id": "\x1b[2J"}, "RELEASE_UNREADABLE"),
        ({"id": None}, "RELEASE_UNREADABLE"),
        (None, "RELEASE_UNREADABLE"),
    ],
)
def test_another_one_does_not(
    own: OwnTable, tmp_path: Path, content: dict[str, Any] | None, reason: str
) -> None:
    file = tmp_path / "release.json"
    made = [] if content is None else released(own, **content)
    file.write_text(json.dumps(made), encoding="utf-8")
    with pytest.raises(AccordError) as caught:
        beside(own, file)
    assert caught.value.reason == reason


def test_files_are_private_and_say_so(own: OwnTable, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    file = folder / "own.csv"
    file.write_bytes(b"older")
    file.chmod(0o644)
    write_privately(file, as_csv(own))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in folder.iterdir()] == ["own.csv"]
    text = file.read_text(encoding="utf-8-sig")
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0][:2] == ["region", "persons"]
    assert lines[1][:2] == [str(each) for each in cells(own, own.rows[0])[:2]]
    assert "this agency only" in text
    with pytest.raises(AccordError) as caught:
        write_privately(tmp_path / "absent" / "own.csv", b"")
    assert caught.value.reason == "OUTPUT_UNWRITABLE"


def test_a_workbook_has_a_sheet_of_notes(own: OwnTable) -> None:
    calamine = pytest.importorskip("python_calamine")
    book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(as_workbook(own)))
    figures = book.get_sheet_by_name("figures").to_python()
    assert figures[0][:3] == ["region", "persons", "share"]
    assert figures[1][1] == PERSONS[AGENCY][0]
    said = str(book.get_sheet_by_name("notes").to_python())
    assert "Exact counts, for this agency only" in said


def test_the_command_counts_an_edition_and_asks_nobody(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    state = world.states[AGENCY]
    run = Command(monkeypatch, capsys)
    # `World` agencies have joined no hub, so that no label restricts their policies.
    options = ("--by", "region", "--state", state.root)
    found = json.loads(run("report", *options, "--json").stdout)
    assert found["total"] == sum(PERSONS[AGENCY])
    assert found["records"].startswith("edition ")
    shown = run("report", *options)
    assert (shown.status, "this agency only" in shown.stdout) == (0, True)
    file = tmp_path / "own.xlsx"
    assert run("report", *options, "--now", "--xlsx", file).status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    wrong = run("report", *options, "--measure", "mean(days)")
    assert (wrong.status, "count persons or cases" in wrong.stderr) == (2, True)
    wrong = run("report", *options, "--edition", "1999-01")
    assert (wrong.status, "--now" in wrong.stderr) == (4, True)
