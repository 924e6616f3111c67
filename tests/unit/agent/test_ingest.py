# SPDX-License-Identifier: Apache-2.0
"""The whole way from sources to a store, on small files."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from accord.agent.intake.codes import Reason
from accord.agent.intake.ingest import check, ingest, remove
from accord.agent.intake.parts import parts_of
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.store.form import DESCRIPTION, FORMAT
from accord.core.document import DocumentError
from accord.core.errors import (
    Conflict,
    NotFound,
    PreconditionFailed,
    SourceError,
)
from accord.core.model import load_model
from tests.unit.agent.agencies import (
    LIMITS,
    MAPPING_TEXT,
    MODEL,
    MODEL_TEXT,
    NOW,
    ask,
    ingest_rows,
    mapping,
    new_state,
    row,
    store_bytes,
    vector,
    write_csv,
)


def test_a_case_is_coded_as_the_mapping_says(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    done = ingest_rows(state, [row(type="labour; begging", days="10.5")])
    with Columns.open(state.current, model_digest=MODEL.digest) as columns:
        month = MODEL.dimension("registered_month").code("2024-02")
        assert columns.array("registered_month").tolist() == [month]
        age = MODEL.dimension("age_band").code("18-47")
        assert columns.array("age_band").tolist() == [age]
        assert [word.tolist() for word in columns.words("exploitation_type")] == [[5]]
        assert columns.array("days").tolist() == [21]
        assert columns.person_known.tolist() == [1]
    assert (done.report.read, done.report.kept, done.report.persons) == (1, 1, 1)


def test_persons_are_the_same_whatever_case_blanks_and_form(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    names = [
        ("Ana", "Núñez"),
        (" ANA  ", "nu\u0301n\u0303ez"),
        ("ａｎａ", "NÚÑEZ"),  # noqa: RUF001 - full-width letters are the point
    ]
    rows = [
        row(first=first, last=last, number=str(number))
        for number, (first, last) in enumerate(names)
    ]
    done = ingest_rows(state, [*rows, row(first="An", last="aNúñez", number="9")])
    assert (done.report.kept, done.report.persons) == (4, 2)


def test_equal_rows_of_a_case_are_one_case(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    done = ingest_rows(state, [row(), row(), row(number="2")])
    assert (done.report.kept, done.report.collapsed, done.report.refused) == (2, 1, 0)


def test_rows_of_a_case_that_differ_are_all_refused(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    rows = [row(), row(region="south"), row(), row(number="2")]
    done = ingest_rows(state, rows)
    assert done.report.kept == 1
    refusal = done.report.refusals["", Reason.CASE_CONFLICT]
    assert (refusal.rows, refusal.first) == (3, [(0, 1), (0, 2), (0, 3)])
    assert done.report.refused == 3


def test_equal_rows_without_a_case_id_are_cases_each(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    text = MAPPING_TEXT.replace("case: [number]\n", "")
    done = ingest_rows(state, [row(), row(), row(region="south")], text)
    assert (done.report.kept, done.report.collapsed) == (3, 0)


def test_a_row_without_case_id_counts_only_rows_like_itself(tmp_path: Path) -> None:
    rows = [row(number=""), row(number="7"), row(number="")]
    first, second = new_state(tmp_path / "a"), new_state(tmp_path / "b")
    assert ingest_rows(first, rows).report.kept == 3
    ingest_rows(second, [rows[1], rows[2], rows[0]])
    assert store_bytes(first) == store_bytes(second)


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    draw = random.Random(5)
    rows = [
        row(
            first=draw.choice("abcdefgh"),
            number=draw.choice(["", str(number // 2)]),
            region=draw.choice(["north", "south", "west", ""]),
            type=draw.choice(["labour", "labour;begging", "none", ""]),
        )
        for number in range(120)
    ]
    first, second = new_state(tmp_path / "a"), new_state(tmp_path / "b")
    before = ingest_rows(first, rows).report
    draw.shuffle(rows)
    after = ingest_rows(second, rows).report
    assert store_bytes(first) == store_bytes(second)
    assert (before.kept, before.refused) == (after.kept, after.refused)
    assert before.refused > 0


def test_batches_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        row(first=str(number % 7), number=str(number), days=str(number))
        for number in range(60)
    ]
    first, second = new_state(tmp_path / "a"), new_state(tmp_path / "b")
    ingest_rows(first, rows)
    from accord.agent.intake import pieces, staging

    for module in (staging, pieces):
        monkeypatch.setattr(module, "BATCH_ROWS", 4)
    ingest_rows(second, rows)
    assert store_bytes(first) == store_bytes(second)


def test_threads_do_not_matter(tmp_path: Path) -> None:
    rows = [
        row(first=f"P{number % 4000}", number=str(number), days=str(number % 700))
        for number in range(12_000)
    ]
    source = write_csv(tmp_path / "a.csv", rows)
    first, second = new_state(tmp_path / "a"), new_state(tmp_path / "b")
    ingest(first, mapping(), [source], LIMITS, NOW)
    many = LIMITS.model_copy(update={"threads": 4})
    ingest(second, mapping(), [source], many, NOW)
    assert store_bytes(first) == store_bytes(second)


def test_a_row_without_person_is_refused_by_default(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    nobody = row(first="", last=" \t\u3000", born="")
    done = ingest_rows(state, [row(), nobody, nobody])
    refusal = done.report.refusals["", Reason.NO_PERSON]
    assert (refusal.rows, refusal.first) == (2, [(0, 2), (0, 3)])
    assert (done.report.kept, done.report.refused) == (1, 2)


def test_a_row_without_person_can_stand_for_a_person_of_its_own(
    tmp_path: Path,
) -> None:
    state = new_state(tmp_path / "state")
    text = MAPPING_TEXT.replace("case:", "without_person: own_person\ncase:")
    nobody = {"first": "", "last": "", "born": ""}
    rows = [row(), row(**nobody), row(**nobody, number="5"), row(**nobody, number="")]
    done = ingest_rows(state, [*rows, row(**nobody, number="")], text)
    assert (done.report.kept, done.report.persons) == (5, 5)
    with Columns.open(state.current) as columns:
        assert columns.person_known.all()


def test_cases_only_names_no_person(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    text = MAPPING_TEXT.replace("person: [first, last, born]", "person: cases only")
    done = ingest_rows(state, [row(), row(), row(number="2"), row(number="")], text)
    assert (done.report.kept, done.report.collapsed) == (3, 1)
    found = vector(state, ask("region"))
    assert not found.any()
    assert vector(state, ask("region", measure="cases"))[0] == 3 * 5


def test_row_numbers_make_a_person_of_every_row(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    text = MAPPING_TEXT.replace("[first, last, born]\ncase: [number]", "row_number")
    done = ingest_rows(state, [row(), row(), row()], text)
    assert (done.report.kept, done.report.persons) == (3, 3)


@pytest.mark.parametrize(
    ("field", "value", "place", "reason"),
    [
        ("region", "Atlantis", "region", Reason.OUT_OF_DOMAIN),
        ("date", "03/02/2024", "registered_month", Reason.NOT_A_DATE),
        ("date", "1924-02-03", "registered_month", Reason.OUT_OF_DOMAIN),
        ("born", "yesterday", "age_band", Reason.NOT_A_DATE),
        ("born", "2030-01-01", "age_band", Reason.OUT_OF_DOMAIN),
        ("born", "1000-01-01", "age_band", Reason.OUT_OF_DOMAIN),
        ("type", "labour;magic", "exploitation_type", Reason.OUT_OF_DOMAIN),
        (
            "type",
            "labour;sexual;begging;military",
            "exploitation_type",
            Reason.TOO_MANY_VALUES,
        ),
        ("days", "ten", "days", Reason.NOT_A_NUMBER),
        ("days", "nan", "days", Reason.NOT_A_NUMBER),
    ],
)
def test_what_has_no_place_is_refused_and_counted(
    tmp_path: Path, field: str, value: str, place: str, reason: Reason
) -> None:
    state = new_state(tmp_path / "state")
    bad = row(number="2") | {field: value}
    done = ingest_rows(state, [row(), bad, row(number="3")])
    assert done.report.refusals[place, reason].first == [(0, 2)]
    assert (done.report.kept, done.report.refused) == (2, 1)
    assert value not in str(done.report.as_json())


def test_a_number_out_of_bounds_is_counted_and_not_recorded(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    done = ingest_rows(state, [row(days="731"), row(number="2", days="")])
    assert done.report.outside == {"days": 1}
    assert done.report.recorded["days"] == 0
    with Columns.open(state.current) as columns:
        assert columns.array("days").tolist() == [-(2**31)] * 2


def test_a_refused_row_leaves_no_pseudonym(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    ingest_rows(state, [row(), row(first="Bela", region="Atlantis")])
    assert np.load(state.current / "persons.npy").shape == (1, 32)


def test_check_stores_nothing(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    source = write_csv(tmp_path / "a.csv", [row(), row(region="Atlantis")])
    report = check(state, mapping(), [source], LIMITS)
    assert (report.read, report.kept, report.refused) == (2, 1, 1)
    assert not state.current.exists()
    assert not list(state.scratch.iterdir())
    assert not list(state.builds.iterdir())


def test_an_unknown_column_names_the_line_and_the_nearest(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    text = MAPPING_TEXT.replace("column: region", "column: regoin")
    source = write_csv(tmp_path / "a.csv", [row()])
    with pytest.raises(DocumentError, match=r"mapping.yaml:7:.*a.csv.*'region'\?"):
        check(state, mapping(text), [source], LIMITS)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    source = tmp_path / "a.csv"
    source.write_text("first,last,born,number,date,region,region,type,days\n")
    with pytest.raises(DocumentError, match="2 columns 'region'"):
        check(state, mapping(), [source], LIMITS)


def test_nothing_kept_leaves_the_store_alone(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    ingest_rows(state, [row()])
    before = store_bytes(state)
    with pytest.raises(SourceError, match="None of the 1 rows"):
        ingest_rows(state, [row(region="Atlantis")])
    assert store_bytes(state) == before


def test_a_source_replaces_its_own_part_only(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    other = MAPPING_TEXT.replace("mapping: files", "mapping: hotline")
    ingest_rows(state, [row(), row(number="2"), row(first="Bela")])
    done = ingest_rows(state, [row(), row(first="Cyril")], other)
    assert [part.name for part in done.parts] == ["files", "hotline"]
    with Columns.open(state.current) as columns:
        # Ana is one person in both, with three cases; cases of two parts differ.
        assert columns.form.rows == 5
        assert columns.form.persons == 3
        assert np.bincount(columns.person).max() == 3
        assert not columns.form.order_key_ties
    assert np.load(state.current / "persons.npy").shape == (3, 32)
    ingest_rows(state, [row(first="Dora")], other)
    with Columns.open(state.current) as columns:
        assert (columns.form.rows, columns.form.persons) == (4, 3)
    assert len(list(state.builds.iterdir())) == 1


def test_joined_parts_count_a_person_once(tmp_path: Path) -> None:
    state, whole = new_state(tmp_path / "a"), new_state(tmp_path / "b")
    rows = [row(number=str(n), region=r) for n, r in enumerate(["north", "south"])]
    other = MAPPING_TEXT.replace("mapping: files", "mapping: hotline")
    ingest_rows(state, rows[:1])
    ingest_rows(state, rows[1:], other)
    ingest_rows(whole, rows)
    query = ask("region")
    assert (vector(state, query) == vector(whole, query)).all()


def test_a_part_can_be_taken_out(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    other = MAPPING_TEXT.replace("mapping: files", "mapping: hotline")
    ingest_rows(state, [row()])
    before = store_bytes(state)
    ingest_rows(state, [row(first="Bela")], other)
    remove(state, "hotline", LIMITS, NOW)
    assert store_bytes(state) == before
    with pytest.raises(NotFound, match="it has: files"):
        remove(state, "hotline", LIMITS, NOW)
    remove(state, "files", LIMITS, NOW)
    assert not state.current.exists()
    assert not list(state.builds.iterdir())


def test_parts_of_two_model_versions_do_not_mix(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    ingest_rows(state, [row()])
    newer = load_model(MODEL_TEXT.replace("west]", "west, east]"), "small.yaml")
    text = MAPPING_TEXT.replace("mapping: files", "mapping: hotline")
    source = write_csv(tmp_path / "a.csv", [row()])
    with pytest.raises(PreconditionFailed, match="remove files"):
        ingest(state, mapping(text, newer), [source], LIMITS, NOW)
    # The only part of a store can change its model.
    ingest(state, mapping(MAPPING_TEXT, newer), [source], LIMITS, NOW)
    assert parts_of(state.current)["files"].model_digest == newer.digest


def test_several_files_are_one_source(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    first = write_csv(tmp_path / "one.csv", [row(), row(number="2")])
    second = write_csv(
        tmp_path / "two.csv", [row(number="3"), row(region="x")], separator=";"
    )
    done = ingest(state, mapping(), [first, second], LIMITS, NOW)
    assert (done.report.kept, done.report.persons) == (3, 1)
    refusal = done.report.refusals["region", Reason.OUT_OF_DOMAIN]
    assert done.report.rows_named(refusal) == "two.csv:2"


def test_parquet_gives_the_same_store_as_csv(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    rows = [row(number=str(n), first=str(n % 3), days=str(n)) for n in range(9)]
    first, second = new_state(tmp_path / "a"), new_state(tmp_path / "b")
    ingest_rows(first, rows)
    columns = {
        name: [None if each[name] == "" else each[name] for each in rows]
        for name in rows[0]
    }
    table = pa.table(columns | {"days": [int(each["days"]) for each in rows]})
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(table, path)
    ingest(second, mapping(), [path], LIMITS, NOW)
    assert store_bytes(first) == store_bytes(second)


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 this is not Parquet PAR1")
    with pytest.raises(SourceError, match=r"a\.parquet cannot be read"):
        check(state, mapping(), [path], LIMITS)


def test_only_one_command_changes_the_store_at_a_time(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    with state.exclusive(), pytest.raises(Conflict, match="Another command"):
        ingest_rows(state, [row()])


@pytest.mark.parametrize("other", [FORMAT - 1, FORMAT + 1])
def test_parts_of_another_format_are_not_carried_over(
    tmp_path: Path, other: int
) -> None:
    """Not even those that stay when one is taken out; one that is all there is goes."""
    state = new_state(tmp_path / "state")
    ingest_rows(state, [row()])
    put_format(state, other)
    ingest_rows(state, [row(first="Bela")])
    Columns.open(state.current).close()
    ingest_rows(state, [row()], MAPPING_TEXT.replace("files", "hotline"))
    put_format(state, other)
    before = store_bytes(state)
    for work in (
        lambda: ingest_rows(state, [row(first="Cyril")]),
        lambda: remove(state, "hotline", LIMITS, NOW),
    ):
        with pytest.raises(PreconditionFailed, match="delete the link") as caught:
            work()
        assert caught.value.reason == "STORE_FORMAT"
        assert store_bytes(state) == before
    state.current.unlink()
    for name in ("files", "hotline"):
        ingest_rows(state, [row()], MAPPING_TEXT.replace("files", name))
    assert set(parts_of(state.current)) == {"files", "hotline"}


def put_format(state: AgentState, number: int) -> None:
    """Let the store be one that another version of the program wrote."""
    path = state.current / DESCRIPTION
    content = json.loads(path.read_bytes())
    path.chmod(0o600)
    path.write_text(json.dumps({**content, "format": number}))


def test_what_a_killed_run_left_behind_is_removed(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    left = state.scratch / "ingest-000000000000"
    left.mkdir()
    (left / "source-0.csv").write_text("Ana,Novak")
    (state.builds / "left-by-a-crash").mkdir()
    ingest_rows(state, [row()])
    assert not list(state.scratch.iterdir())
    assert len(list(state.builds.iterdir())) == 1


def test_memory_that_does_not_suffice_is_said_so(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    rows = [row(first=f"{n:060d}", number=str(n)) for n in range(40_000)]
    source = write_csv(tmp_path / "a.csv", rows)
    tight = LIMITS.model_copy(update={"memory": "12MiB", "spill": "1MiB"})
    with pytest.raises(PreconditionFailed, match="memory = 12MiB"):
        ingest(state, mapping(), [source], tight, NOW)
    assert not list(state.scratch.iterdir())
    assert not state.current.exists()


def test_a_dimension_may_be_called_like_a_word_of_sql(tmp_path: Path) -> None:
    """Names come from the boards' model, not from us."""
    state = new_state(tmp_path / "state")
    model = load_model(MODEL_TEXT.replace("  region:", "  order:"), "small.yaml")
    text = MAPPING_TEXT.replace("  region: {", "  order: {")
    source = write_csv(tmp_path / "cases.csv", [row(), row(number="2")])
    done = ingest(state, mapping(text, model), [source], LIMITS, NOW)
    assert [part.rows for part in done.parts] == [2]
