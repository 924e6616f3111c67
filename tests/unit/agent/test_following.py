# SPDX-License-Identifier: Apache-2.0
"""Ingests that read only what changed: the store is as if all had been read."""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accord.agent.intake import following
from accord.agent.intake.codes import Reason
from accord.agent.intake.ingest import ingest
from accord.agent.intake.parts import parts_of
from accord.agent.intake.report import Changes
from accord.agent.store.columns import Columns
from accord.core.document import DocumentError
from accord.core.errors import InvalidQuery, SourceError
from tests.unit.agent.agencies import LIMITS, MAPPING_TEXT, NOW, mapping, row, write_csv
from tests.unit.agent.case_database import (
    COLUMNS,
    FOLLOWING_TEXT,
    TABLE_TEXT,
    CaseDatabase,
    office_state,
    read_table,
    stored,
)

DAY = datetime.timedelta(days=1)
LONG_AGO = NOW - 400 * DAY


class Office:
    """A database and the agency that follows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases = CaseDatabase(folder / "office.db")
        self.state = office_state(folder / "state", self.cases.file)
        self._others = 0

    def follow(
        self, now: datetime.datetime = NOW, text: str = FOLLOWING_TEXT
    ) -> Changes:
        """Ingest, and return what was found to have changed."""
        changes = read_table(self.state, text, now).report.changes
        assert changes is not None
        return changes

    def must_equal_all(self, text: str = FOLLOWING_TEXT) -> None:
        """Compare the store with that of an agency that reads everything at once."""
        self._others += 1
        other = office_state(self.folder / f"other-{self._others}", self.cases.file)
        read_table(other, text)
        ours, theirs = stored(self.state), stored(other)
        assert ours.keys() == theirs.keys()
        assert [name for name in ours if ours[name] != theirs[name]] == []


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    rows = [row(number=str(n), first=f"P{n % 7}", days=str(n)) for n in range(20)]
    made.cases.put(rows, LONG_AGO)
    return made


def numbers(changes: Changes) -> tuple[int, int, int]:
    return changes.cases, changes.anew, changes.gone


def test_only_what_changed_is_read(office: Office) -> None:
    assert numbers(office.follow(NOW - 300 * DAY)) == (20, 20, 0)
    office.cases.run(
        "UPDATE cases SET region = 'west', updated_at = ? WHERE number = '3'",
        str(NOW - 9 * DAY),
    )
    office.cases.put([row(number="77", first="New")], NOW - 8 * DAY)
    office.cases.run("DELETE FROM cases WHERE number = '5'")
    done = read_table(office.state)
    assert done.report.changes is not None
    assert numbers(done.report.changes) == (20, 2, 1)
    assert (done.report.read, done.report.kept) == (2, 2)
    assert parts_of(office.state.current)["files"].rows == 20
    office.must_equal_all()


def test_nothing_new_is_nothing_read(office: Office) -> None:
    office.follow(NOW - 300 * DAY)
    before = stored(office.state)
    done = read_table(office.state)
    assert (done.report.read, done.report.kept) == (0, 0)
    assert stored(office.state) == before
    assert parts_of(office.state.current)["files"].ingested_at == NOW


def test_a_case_that_moves_to_another_person_moves(office: Office) -> None:
    office.follow(NOW - 300 * DAY)
    office.cases.run(
        "UPDATE cases SET first = 'Other', updated_at = 'moved' WHERE number = '4'"
    )
    assert numbers(office.follow()) == (20, 1, 0)
    office.must_equal_all()


def test_a_person_without_cases_is_gone(office: Office) -> None:
    office.cases.put([row(number="90", first="Last")], LONG_AGO)
    office.follow(NOW - 300 * DAY)
    persons = parts_of(office.state.current)["files"].persons
    office.cases.run("DELETE FROM cases WHERE number = '90'")
    office.follow()
    assert parts_of(office.state.current)["files"].persons == persons - 1
    office.must_equal_all()


def test_a_row_of_a_case_that_goes_is_noticed(office: Office) -> None:
    office.cases.put([row(number="1", first="Sister")], LONG_AGO)
    office.follow(NOW - 300 * DAY)
    office.cases.run("DELETE FROM cases WHERE number = '1' AND first = 'Sister'")
    assert numbers(office.follow()) == (20, 1, 0)
    office.must_equal_all()


def test_rows_that_contradicted_each_other_are_kept_when_they_agree(
    office: Office,
) -> None:
    office.cases.put([row(number="1", first="P1", days="2")], LONG_AGO)
    office.follow(NOW - 300 * DAY)
    assert parts_of(office.state.current)["files"].rows == 19
    office.cases.run(
        "UPDATE cases SET days = '1', updated_at = 'x' "
        "WHERE number = '1' AND days = '2'"
    )
    office.follow()
    assert parts_of(office.state.current)["files"].rows == 20
    office.must_equal_all()


def test_a_case_that_contradicts_itself_is_read_each_time(office: Office) -> None:
    """What becomes of it can change as rows of it leave by their age."""
    office.cases.put([row(number="1", first="P1", days="2")], LONG_AGO)
    office.cases.put([row(number="1", first="Sister")], LONG_AGO)
    office.follow(NOW - 300 * DAY)
    assert numbers(office.follow()) == (20, 1, 0)
    office.must_equal_all()
    office.cases.run("DELETE FROM cases WHERE number = '1'")
    office.follow()
    office.must_equal_all()


def test_a_row_that_leaves_by_its_age_settles_its_case(office: Office) -> None:
    text = FOLLOWING_TEXT.replace(
        "dimensions:",
        "consent: {column: notes, given: [yes], until: last}\ndimensions:",
    ).replace("person: [first, last, born]", "person: [first, born]")
    office.cases.run("UPDATE cases SET notes = 'yes', last = ''")
    ends = str((NOW - 8 * DAY).date())
    both = row(number="1", first="P1", days="2", notes="yes", last=ends)
    office.cases.put([both], LONG_AGO)
    office.follow(NOW - 10 * DAY, text)
    assert parts_of(office.state.current)["files"].rows == 19
    office.follow(NOW, text)
    assert parts_of(office.state.current)["files"].rows == 20
    office.must_equal_all(text)


def test_a_commit_that_came_late_is_not_missed(office: Office) -> None:
    """Its moment lies before others that were read already."""
    office.cases.put([row(number="50")], NOW - 5 * DAY)
    office.follow(NOW - 5 * DAY)
    office.cases.put([row(number="51")], NOW - 200 * DAY)
    assert numbers(office.follow()) == (22, 2, 0)
    office.must_equal_all()


def test_changes_within_one_tick_are_not_missed(office: Office) -> None:
    """The column says the same before and after; what is recent is read anyway."""
    office.cases.put([row(number="50", days="1")], NOW - DAY)
    office.follow(NOW - DAY)
    office.cases.run("UPDATE cases SET days = '2' WHERE number = '50'")
    assert numbers(office.follow()) == (21, 1, 0)
    office.must_equal_all()


def test_a_clock_that_is_ahead_hides_nothing(office: Office) -> None:
    office.cases.put([row(number="50", days="1")], "9999-12-31 23:59:59")
    office.follow(NOW - DAY)
    office.cases.put([row(number="51", days="1")], NOW - DAY)
    office.follow(NOW - DAY)
    office.cases.run("UPDATE cases SET days = '3' WHERE number IN ('50', '51')")
    assert numbers(office.follow()) == (22, 2, 0)
    office.must_equal_all()


@pytest.mark.parametrize("told", ["", "0001-01-01", "17", "not a moment", "2026-01-01"])
def test_the_column_may_hold_anything(office: Office, told: str) -> None:
    office.cases.run("UPDATE cases SET updated_at = ?", told)
    office.follow(NOW - 300 * DAY)
    office.cases.run(
        "UPDATE cases SET days = '9', updated_at = ? WHERE number = '2'", told + "1"
    )
    office.cases.run("UPDATE cases SET updated_at = NULL WHERE number = '3'")
    office.follow()
    office.must_equal_all()


def test_an_empty_column_is_read_each_time(office: Office) -> None:
    office.cases.put([row(number="50", days="1")], "")
    office.follow(NOW - 300 * DAY)
    office.cases.run("UPDATE cases SET days = '2' WHERE number = '50'")
    assert numbers(office.follow()) == (21, 1, 0)
    office.must_equal_all()


def test_an_old_copy_of_the_database_is_followed_back(office: Office) -> None:
    office.follow(NOW - 300 * DAY)
    office.must_equal_all()
    office.cases.run(
        "UPDATE cases SET region = 'west', updated_at = ? WHERE number = '3'",
        str(NOW - 9 * DAY),
    )
    office.follow(NOW - 8 * DAY)
    office.cases.run(
        "UPDATE cases SET region = 'north', updated_at = ? WHERE number = '3'",
        LONG_AGO.isoformat(" "),
    )
    assert numbers(office.follow()) == (20, 1, 0)
    office.must_equal_all()


def test_cases_whose_ids_differ_in_form_only_are_one(office: Office) -> None:
    """What the database tells apart may be one case to us."""
    office.cases.put([row(number="Ä 1", days="5")], LONG_AGO)
    office.follow(NOW - 300 * DAY)
    office.cases.put([row(number=" a\u0308  1 ", days="6")], NOW - 9 * DAY)
    office.follow()
    assert parts_of(office.state.current)["files"].rows == 20
    office.must_equal_all()


@pytest.mark.parametrize(
    "number", ["' OR 1=1 --", '"; DROP TABLE cases', "%", "\\", "؀"]
)
def test_a_hostile_case_id_is_an_id(office: Office, number: str) -> None:
    office.cases.put([row(number=number, days="5")], LONG_AGO)
    office.follow(NOW - 300 * DAY)
    office.cases.run(
        "UPDATE cases SET days = '6', updated_at = 'x' WHERE number = ?", number
    )
    assert numbers(office.follow()) == (21, 1, 0)
    office.must_equal_all()


def test_rows_without_a_case_are_left_out_and_counted(office: Office) -> None:
    office.cases.put([row(number=""), row(number="  ")], LONG_AGO)
    for now in (NOW - 300 * DAY, NOW):
        report = read_table(office.state, now=now).report
        assert report.refusals["", Reason.NO_CASE].rows == 2
        assert report.refused == 2
    office.must_equal_all()


def test_nothing_that_names_a_case_is_left(office: Office) -> None:
    """Neither its id nor the moment of a change, in any file; only numbers stay."""
    planted = row(number="CASE-77231-ZQ", first="Quokkaria")
    office.cases.put([planted], "2024-03-04 05:06:07.891011")
    for now in (NOW - 300 * DAY, NOW):
        office.follow(now)
    files = [path for path in office.state.root.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        for text in (b"CASE-77231-ZQ", b"case-77231-zq", b"Quokkaria", b"891011"):
            assert text not in content, path
    part = office.state.current / "parts" / "files"
    for name in ("stamps.parquet", "cases.parquet"):
        kinds = duckdb.execute(
            "SELECT DISTINCT column_type FROM (DESCRIBE FROM read_parquet(?))",
            [str(part / name)],
        ).fetchall()
        assert {kind for (kind,) in kinds} <= {
            "UTINYINT",
            "USMALLINT",
            "UINTEGER",
            "UBIGINT",
            "INTEGER",
        }


def test_another_mapping_reads_everything(office: Office) -> None:
    office.follow(NOW - 300 * DAY)
    text = FOLLOWING_TEXT.replace("{column: region}", "{column: region, empty: west}")
    assert numbers(office.follow(text=text)) == (20, 20, 0)
    office.must_equal_all(text)


def test_another_key_reads_everything(office: Office) -> None:
    office.follow(NOW - 300 * DAY)
    (office.state.keys / "pseudonym.key").write_bytes(b"q" * 32)
    assert numbers(office.follow()) == (20, 20, 0)


def test_everything_is_read_when_asked_for(office: Office) -> None:
    office.follow(NOW - 300 * DAY)
    office.cases.run("UPDATE cases SET days = '99' WHERE number = '2'")
    assert numbers(office.follow()) == (20, 0, 0)
    done = read_table(office.state, everything=True)
    assert done.report.read == 20
    office.must_equal_all()


def test_without_the_column_everything_is_read(office: Office) -> None:
    for _ in range(2):
        done = read_table(office.state, TABLE_TEXT)
        assert (done.report.read, done.report.changes) == (20, None)


def test_what_was_followed_can_be_read_whole_and_followed_again(office: Office) -> None:
    office.follow(NOW - 300 * DAY)
    read_table(office.state, TABLE_TEXT)
    assert numbers(office.follow()) == (20, 20, 0)
    office.must_equal_all()


def test_other_parts_stay(office: Office) -> None:
    source = write_csv(office.folder / "more.csv", [row(first="P1", number="1")])
    office.follow(NOW - 300 * DAY)
    more = MAPPING_TEXT.replace("mapping: files", "mapping: more")
    ingest(office.state, mapping(more), [source], LIMITS, NOW)
    office.cases.run("DELETE FROM cases WHERE number = '1'")
    office.follow()
    with Columns.open(office.state.current) as columns:
        assert columns.rows == 20
        names = [path.stem for path in office.state.current.glob("*.npy")]
    assert "case_key" not in names


def test_a_file_can_be_followed(tmp_path: Path) -> None:
    """It is read whole, but only what changed is made anything of."""
    office = Office(tmp_path)
    text = MAPPING_TEXT.replace("person:", "source: {changed: updated_at}\nperson:")
    rows = [
        row(number=str(n), days=str(n)) | {"updated_at": "2024-01-01"} for n in range(9)
    ]
    for found in ((9, 9, 0), (9, 2, 1)):
        source = write_csv(tmp_path / "cases.csv", rows, COLUMNS)
        done = ingest(office.state, mapping(text), [source], LIMITS, NOW)
        assert done.report.changes is not None
        assert numbers(done.report.changes) == found
        rows[3] |= {"days": "300", "updated_at": "2025-05-01"}
        rows[8] = rows[8] | {"number": "1000"}
    other = office_state(tmp_path / "other", office.cases.file)
    ingest(other, mapping(text), [source], LIMITS, NOW)
    assert stored(office.state) == stored(other)


def test_a_source_that_became_empty_leaves_the_store(office: Office) -> None:
    office.follow(NOW - 300 * DAY)
    before = stored(office.state)
    office.cases.run("DELETE FROM cases")
    with pytest.raises(SourceError) as refused:
        office.follow()
    assert refused.value.reason == "SOURCE_NOTHING_KEPT"
    assert stored(office.state) == before


def test_many_changes_are_read_in_one_go(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.follow(NOW - 300 * DAY)
    office.cases.run(
        "UPDATE cases SET days = '7', updated_at = 'y' WHERE number < '15'"
    )
    changes = office.follow()
    assert changes.rows_anew * 4 > changes.rows
    office.must_equal_all()
    office.cases.run("UPDATE cases SET days = '8', updated_at = 'z' WHERE number = '2'")
    monkeypatch.setattr(following, "MOST_SOUGHT", 0)
    assert read_table(office.state).report.read == 20
    office.must_equal_all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{changed: updated_at}", "this needs `case`"),
        ("{database: office}", "name the `table`"),
        ("{table: cases}", "goes only with `database`"),
        ("{database: office, table: cases, encoding: utf-8}", "goes with files"),
    ],
)
def test_entries_that_contradict_each_other_are_named(text: str, words: str) -> None:
    written = MAPPING_TEXT.replace("person:", f"source: {text}\nperson:")
    if "changed" in text:
        written = written.replace("case: [number]\n", "")
    with pytest.raises(DocumentError) as refused:
        mapping(written)
    assert words in refused.value.sentence


def test_numbers_of_rows_cannot_be_followed() -> None:
    text = FOLLOWING_TEXT.replace("[first, last, born]", "row_number")
    with pytest.raises(DocumentError, match="numbers shift"):
        mapping(text)


def test_a_table_takes_no_files_and_files_need_names(office: Office) -> None:
    for text, files in ((FOLLOWING_TEXT, [office.cases.file]), (MAPPING_TEXT, [])):
        with pytest.raises(InvalidQuery) as refused:
            ingest(office.state, mapping(text), files, LIMITS, NOW)
        assert refused.value.reason == "SOURCES_WRONG"


WORDS = st.sampled_from(["Ana", "Bo", "", " ana", "Čira"])
ROWS = st.fixed_dictionaries(
    {
        "first": WORDS,
        "number": st.sampled_from([*"12345", "a1", "A1", ""]),
        "region": st.sampled_from(["north", "south", "nowhere"]),
        "type": st.sampled_from(["labour", "begging;labour", "", "none"]),
        "days": st.sampled_from(["1", "2", "900"]),
        "last": st.just(""),
        "born": st.sampled_from(["", "2000-01-01"]),
        "date": st.just("2024-02-03"),
        "notes": st.just(""),
    }
)
STEPS = st.lists(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), ROWS),
            st.tuples(st.just("drop"), st.integers(0, 30)),
            st.tuples(st.just("change"), st.integers(0, 30), ROWS),
            st.tuples(st.just("move"), st.integers(0, 30), WORDS),
        ),
        max_size=6,
    ),
    min_size=2,
    max_size=4,
)


def play(office: Office, change: tuple[Any, ...], tick: int) -> None:
    """Change the database as one of its programs would."""
    moment = f"2024-01-01 00:00:{tick:02}"
    nth = "rowid = (SELECT rowid FROM cases ORDER BY rowid LIMIT 1 OFFSET ? + 1)"
    match change:
        case ("put", fields):
            office.cases.put([fields], moment)
        case ("drop", place):
            office.cases.run(f"DELETE FROM cases WHERE {nth}", place)
        case ("change", place, fields):
            told = ", ".join(f"{name} = ?" for name in fields)
            office.cases.run(
                f"UPDATE cases SET {told}, updated_at = ? WHERE {nth}",
                *fields.values(),
                moment,
                place,
            )
        case ("move", place, word):
            office.cases.run(
                f"UPDATE cases SET first = ?, updated_at = ? WHERE {nth}",
                word,
                moment,
                place,
            )
        case _:
            pytest.fail("no such change")


def any_history(steps: list[list[tuple[Any, ...]]], text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        office = Office(Path(folder))
        # The first row stays, whatever is dropped: an empty store would be refused.
        office.cases.put([row(number="0", first="Always")], LONG_AGO)
        for number, step in enumerate(steps):
            for change in step:
                play(office, change, number)
            office.follow(text=text)
        office.must_equal_all(text)


SELDOM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(SELDOM, max_examples=3)
@given(steps=STEPS)
def test_any_history_ends_in_the_same_store(steps: list[list[tuple[Any, ...]]]) -> None:
    any_history(steps, FOLLOWING_TEXT)


@pytest.mark.slow
@settings(SELDOM, max_examples=15)
@given(
    steps=STEPS,
    text=st.sampled_from(
        [
            FOLLOWING_TEXT,
            FOLLOWING_TEXT.replace("[number]", "[number, first]"),
            FOLLOWING_TEXT.replace("[first, last, born]", "cases only"),
            FOLLOWING_TEXT.replace("case:", "without_person: own_person\ncase:"),
        ]
    ),
)
def test_many_histories_end_in_the_same_store(
    steps: list[list[tuple[Any, ...]]], text: str
) -> None:
    any_history(steps, text)
