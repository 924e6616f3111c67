# SPDX-License-Identifier: Apache-2.0
"""Persons who are forgotten are in no part, build, edition or file any more."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.forgetting import listed, taking_out
from accord.agent.forgetting.identity import identities_in, pseudonym_of
from accord.agent.forgetting.listed import (
    Forgotten,
    list_file,
    note_file,
    put_on_list,
    take_off_list,
)
from accord.agent.forgetting.receipt import receipts_of
from accord.agent.forgetting.survey import pseudonyms_left
from accord.agent.forgetting.taking_out import forget, lift
from accord.agent.intake.ingest import remove
from accord.agent.intake.pseudonym import KeyedHash, case_keys
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.store.editions import edition_folder, freeze_due
from accord.agent.store.erasing import close_edition
from accord.core.calendar import Period
from accord.core.errors import (
    ConfigurationError,
    IntegrityError,
    InvalidQuery,
    PreconditionFailed,
)
from tests.unit.agent.agencies import (
    LIMITS,
    MAPPING_TEXT,
    MODEL_TEXT,
    NOW,
    ingest_rows,
    mapping,
    new_state,
    row,
    store_bytes,
)
from tests.unit.agent.case_database import (
    CaseDatabase,
    office_state,
    read_table,
    stored,
)
from tests.unit.agent.command import Command
from tests.unit.agent.test_editions import MONTHLY, QUARTERLY

ANA = ["Ana", "Novak", "2000-05-01"]
OTHERS_TEXT = MAPPING_TEXT.replace("mapping: files", "mapping: others")
COLUMNS = ("first", "last", "born")


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return Command(monkeypatch, capsys)


def pseudonym(state: AgentState, texts: list[str] = ANA) -> bytes:
    return pseudonym_of(state, mapping(), texts)


def rows_of(count: int = 5) -> list[dict[str, str]]:
    """Return two cases of Ana, and one each of others."""
    others = [row(first=f"P{number}", number=f"p{number}") for number in range(count)]
    return [row(), *others, row(number="2", region="west", days="3")]


def edition(state: AgentState, name: str = "2026-01") -> dict[str, bytes]:
    folder = edition_folder(state, Period.MONTH, 30, name)
    assert folder is not None
    return {path.name: path.read_bytes() for path in folder.glob("*.npy")}


def test_nothing_of_the_person_is_left(state: AgentState, tmp_path: Path) -> None:
    ingest_rows(state, rows_of())
    ingest_rows(state, [row(number="9"), row(first="Zoe")], OTHERS_TEXT)
    freeze_due(state, [MONTHLY, QUARTERLY], NOW)
    gone = pseudonym(state)
    assert pseudonyms_left(state, [gone])[1] > 0
    receipt = forget(state, [gone], LIMITS, NOW)
    assert pseudonyms_left(state, [gone])[1] == 0
    other = new_state(tmp_path / "other")
    ingest_rows(other, rows_of()[1:-1])
    ingest_rows(other, [row(first="Zoe")], OTHERS_TEXT)
    freeze_due(other, [MONTHLY, QUARTERLY], NOW)
    assert store_bytes(state) == store_bytes(other)
    assert edition(state) == edition(other)
    changes = {
        before.name: (before.cases, after.cases) for before, after in receipt.places
    }
    assert changes == {
        "files": (7, 5),
        "others": (2, 1),
        "month-30/2026-01": (9, 6),
        "quarter-0/2025-Q4": (9, 6),
    }
    assert receipt.searched.files > 0
    assert not note_file(state).exists()


def test_a_receipt_is_kept_and_names_nobody(state: AgentState) -> None:
    ingest_rows(state, rows_of())
    gone = pseudonym(state)
    made = forget(state, [gone], LIMITS, NOW)
    assert receipts_of(state) == [made]
    text = json.dumps(made.as_json())
    assert not any(word in text for word in (*ANA, gone.hex()))
    before, after = made.places[0]
    assert before.digest is not None
    assert after.digest not in {None, before.digest}


def test_an_edition_stays_as_it_is_where_nobody_leaves(state: AgentState) -> None:
    ingest_rows(state, rows_of())
    freeze_due(state, [MONTHLY], NOW)
    before = edition_folder(state, Period.MONTH, 30, "2026-01")
    forget(state, [pseudonym(state, ["No", "Body", ""])], LIMITS, NOW)
    assert edition_folder(state, Period.MONTH, 30, "2026-01") == before


def test_who_is_forgotten_stays_out_until_it_is_lifted(state: AgentState) -> None:
    ingest_rows(state, rows_of())
    whole = store_bytes(state)
    gone = pseudonym(state)
    forget(state, [gone], LIMITS, NOW)
    without = store_bytes(state)
    done = ingest_rows(state, rows_of())
    assert store_bytes(state) == without
    (refusal,) = done.report.as_json()["refused"]
    assert (refusal["reason"], refusal["rows"], refusal["first_rows"]) == (
        "forgotten",
        2,
        [],
    )
    assert pseudonyms_left(state, [gone])[1] == 0
    assert lift(state, [gone], LIMITS, NOW).persons == 1
    assert lift(state, [gone], LIMITS, NOW).persons == 0
    ingest_rows(state, rows_of())
    assert store_bytes(state) == whole


def test_the_last_person_takes_the_store_along(state: AgentState) -> None:
    ingest_rows(state, [row()])
    freeze_due(state, [MONTHLY], NOW)
    forget(state, [pseudonym(state)], LIMITS, NOW)
    assert not state.current.exists()
    assert not list(state.builds.iterdir())
    folder = edition_folder(state, Period.MONTH, 30, "2026-01")
    assert folder is not None
    with Columns.open(folder) as columns:
        assert columns.rows == 0


def test_a_person_is_found_in_editions_alone(state: AgentState) -> None:
    ingest_rows(state, rows_of())
    freeze_due(state, [MONTHLY], NOW)
    remove(state, "files", LIMITS, NOW)
    receipt = forget(state, [pseudonym(state)], LIMITS, NOW)
    ((before, after),) = receipt.places
    assert (before.cases, after.cases) == (7, 5)


def test_changes_are_followed_without_the_forgotten(tmp_path: Path) -> None:
    cases = CaseDatabase(tmp_path / "office.db")
    cases.put(rows_of())
    state = office_state(tmp_path / "state", cases.file)
    read_table(state)
    gone = pseudonym(state)
    forget(state, [gone], LIMITS, NOW)
    cases.put([row(first="New", number="n")])
    cases.run("UPDATE cases SET days = '4', updated_at = 'x' WHERE number = 'p1'")
    read_table(state)
    other = office_state(tmp_path / "other", cases.file)
    put_on_list(other, [gone])
    read_table(other)
    assert stored(state) == stored(other)
    lift(state, [gone], LIMITS, NOW)
    read_table(state)
    lift(other, [gone], LIMITS, NOW)
    read_table(other, everything=True)
    assert stored(state) == stored(other)


def test_lifting_one_finishes_what_was_killed_for_all(
    state: AgentState, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_rows(state, rows_of())
    freeze_due(state, [MONTHLY], NOW)
    named = [pseudonym(state), pseudonym(state, ["P1", "Novak", "2000-05-01"])]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(taking_out, "_take_out", killed)
        with pytest.raises(KeyboardInterrupt):
            forget(state, named, LIMITS, NOW)
    assert pseudonyms_left(state, named)[1] > 0
    assert lift(state, named[:1], LIMITS, NOW).persons == 1
    assert pseudonyms_left(state, named)[1] == 0
    assert not note_file(state).exists()


def test_a_damaged_note_names_the_way_out(state: AgentState) -> None:
    ingest_rows(state, rows_of())
    note_file(state).write_text('{"begun_at": "2026')
    note_file(state).chmod(0o600)
    before = store_bytes(state)
    with pytest.raises(IntegrityError, match="forget the same persons again") as caught:
        ingest_rows(state, rows_of())
    assert caught.value.reason == "FORGET_NOTE_BROKEN"
    assert store_bytes(state) == before
    note_file(state).unlink()
    forget(state, [pseudonym(state)], LIMITS, NOW)
    assert pseudonyms_left(state, [pseudonym(state)])[1] == 0


def test_an_edition_that_cannot_be_searched_is_closed(state: AgentState) -> None:
    ingest_rows(state, rows_of())
    freeze_due(state, [MONTHLY], NOW)
    folder = state.editions / "month-30" / "2026-01"
    folder.chmod(0o700)
    (folder / "persons.npy").unlink()
    receipt = forget(state, [pseudonym(state)], LIMITS, NOW)
    assert receipt.closed == ("month-30/2026-01",)
    assert edition_folder(state, Period.MONTH, 30, "2026-01") is None
    assert freeze_due(state, [MONTHLY], NOW) == ([], [])
    assert not list(state.editions.rglob("*.npy"))


def test_a_closed_edition_is_left_alone(state: AgentState) -> None:
    ingest_rows(state, rows_of())
    freeze_due(state, [MONTHLY], NOW)
    close_edition(state.editions / "month-30" / "2026-01", "for a test")
    assert forget(state, [pseudonym(state)], LIMITS, NOW).closed == ()


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()),
        min_size=1,
        max_size=25,
    ),
    st.sets(st.integers(0, 5), max_size=4),
)
@settings(max_examples=8, deadline=None)
def test_what_is_left_is_what_the_others_would_have_made(
    tmp_path_factory: pytest.TempPathFactory,
    cases: list[tuple[int, int, bool]],
    gone: set[int],
) -> None:
    folder = tmp_path_factory.mktemp("forgetting")
    rows = [
        row(first=f"P{who}", number=str(number), region="west" if west else "north")
        for who, number, west in cases
    ]
    rows += [row(first="Last", number="last")]
    state, other = new_state(folder / "state"), new_state(folder / "other")
    ingest_rows(state, rows)
    freeze_due(state, [MONTHLY], NOW)
    named = [pseudonym(state, [f"P{who}", "Novak", "2000-05-01"]) for who in gone]
    forget(state, named, LIMITS, NOW)
    ingest_rows(other, [each for each in rows if int_of(each) not in gone])
    freeze_due(other, [MONTHLY], NOW)
    assert store_bytes(state) == store_bytes(other)
    assert edition(state) == edition(other)


def int_of(one: dict[str, str]) -> int:
    name = one["first"].removeprefix("P")
    return int(name) if name.isdigit() else -1


@pytest.mark.parametrize("others", [0, 30])
@pytest.mark.parametrize("offset", [0, 1, 7, 8, (1 << 24) - 5])
def test_a_pseudonym_is_found_wherever_it_stands(
    state: AgentState, others: int, offset: int
) -> None:
    gone = pseudonym(state)
    sought = [gone, *(pseudonym(state, [f"P{n}", "", ""]) for n in range(others))]
    assert pseudonyms_left(state, sought)[1] == 0
    for text in (gone, gone.hex().encode()):
        (state.root / "strange").write_bytes(bytes(offset) + text + b"x")
        assert pseudonyms_left(state, sought)[1] == 1
        (state.root / "strange").write_bytes(bytes(offset) + text[:-1] + b"x")
        assert pseudonyms_left(state, sought)[1] == 0


CORRECTED = {"first": "Anna"}


class TestCorrectedNames:
    """A person who was forgotten does not come back under another spelling."""

    def test_their_cases_stay_out_whoever_they_are_said_to_be_of(
        self, state: AgentState, tmp_path: Path
    ) -> None:
        ingest_rows(state, rows_of())
        forget(state, [pseudonym(state)], LIMITS, NOW)
        corrected = [each | CORRECTED for each in rows_of() if each["first"] == "Ana"]
        again = [*corrected, *rows_of()[1:-1]]
        report = ingest_rows(state, again).report
        (refusal,) = report.as_json()["refused"]
        assert (refusal["reason"], refusal["rows"]) == ("forgotten", 2)
        other = new_state(tmp_path / "other")
        ingest_rows(other, rows_of()[1:-1])
        assert store_bytes(state) == store_bytes(other)
        lift(state, [pseudonym(state)], LIMITS, NOW)
        ingest_rows(other, again)
        ingest_rows(state, again)
        assert store_bytes(state) == store_bytes(other)

    @settings(max_examples=12, deadline=None)
    @given(
        with_others=st.sets(st.sampled_from(["1", "2", "p0", ""])),
        corrected=st.sets(st.sampled_from(["1", "2", "p0", ""])),
    )
    def test_others_in_these_cases_stay(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        with_others: set[str],
        corrected: set[str],
    ) -> None:
        folder = tmp_path_factory.mktemp("agency")
        state, other = new_state(folder / "state"), new_state(folder / "other")
        others = [row(first="Bo", number=each) for each in sorted(with_others)]
        others += [row(first="P0", number="p0")]
        ingest_rows(state, [row(), row(number="2"), row(number=""), *others])
        forget(state, [pseudonym(state)], LIMITS, NOW)
        renamed = [row(number=each, **CORRECTED) for each in sorted(corrected)]
        ingest_rows(state, [*renamed, *others])
        # Rows without a case id have nothing to be known by, and another's case is not
        # one of hers.
        back = [each for each in renamed if each["number"] in {"", "p0"}]
        ingest_rows(other, [*back, *others])
        assert store_bytes(state) == store_bytes(other)

    def test_cases_of_another_mapping_are_others(
        self, state: AgentState, tmp_path: Path
    ) -> None:
        ingest_rows(state, [row(), row(first="P0", number="2")])
        forget(state, [pseudonym(state)], LIMITS, NOW)
        ingest_rows(state, [row(first="Zoe", number="1")], OTHERS_TEXT)
        assert Columns.open(state.current).form.rows == 2

    def test_the_list_has_neither_a_case_nor_its_key(self, state: AgentState) -> None:
        ingest_rows(state, rows_of())
        gone = pseudonym(state)
        key = KeyedHash(state.store_key())
        keys = case_keys(key, "files", [["1", "2"]]).tolist()
        forget(state, [gone], LIMITS, NOW)
        content = list_file(state).read_text()
        assert len(content.split("\n")[1].split(" ")) == 3
        assert not any(f"{each:016x}" in content for each in keys)


class TestList:
    def test_it_is_private_and_holds_no_pseudonym(self, state: AgentState) -> None:
        gone = pseudonym(state)
        assert Forgotten.of(state) is None
        assert put_on_list(state, [gone, gone]) == 1
        for path in (list_file(state), state.keys / "forgotten.key"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert pseudonyms_left(state, [gone])[1] == 0
        assert take_off_list(state, [gone]) == 1

    def test_two_agencies_with_one_pseudonym_have_other_lists(
        self, state: AgentState, tmp_path: Path
    ) -> None:
        other = new_state(tmp_path / "other")
        for each in (state, other):
            put_on_list(each, [pseudonym(each)])
        assert pseudonym(state) == pseudonym(other)
        assert list_file(state).read_bytes() != list_file(other).read_bytes()

    @pytest.mark.parametrize(
        "content",
        [b"", b"forgotten 1\nzz\n", b"other\n", b"forgotten 1\n%s \n" % (b"0" * 64)],
    )
    def test_a_damaged_list_stops_the_ingest(
        self, state: AgentState, content: bytes
    ) -> None:
        put_on_list(state, [pseudonym(state)])
        list_file(state).write_bytes(content)
        with pytest.raises(ConfigurationError) as caught:
            ingest_rows(state, rows_of())
        assert caught.value.reason == "FORGOTTEN_BROKEN"

    def test_a_list_that_is_lost_is_not_an_empty_one(self, state: AgentState) -> None:
        gone = pseudonym(state)
        put_on_list(state, [gone])
        list_file(state).unlink()
        for act in (
            lambda: Forgotten.of(state),
            lambda: ingest_rows(state, rows_of()),
            lambda: put_on_list(state, [gone]),
            lambda: forget(state, [gone], LIMITS, NOW),
            lambda: lift(state, [gone], LIMITS, NOW),
        ):
            with pytest.raises(ConfigurationError) as caught:
                act()
            assert caught.value.reason == "FORGOTTEN_BROKEN"
            assert not list_file(state).exists()

    def test_the_first_forgetting_can_be_killed_between_list_and_key(
        self, state: AgentState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = pseudonym(state)

        def killed(path: Path) -> None:
            raise KeyboardInterrupt(path)

        with monkeypatch.context() as patch:
            patch.setattr(listed, "make_key", killed)
            with pytest.raises(KeyboardInterrupt):
                put_on_list(state, [gone])
        assert list_file(state).exists()
        assert Forgotten.of(state) is None
        assert take_off_list(state, [gone]) == 0
        assert put_on_list(state, [gone]) == 1
        assert take_off_list(state, [gone]) == 1

    def test_a_list_with_persons_needs_its_key(self, state: AgentState) -> None:
        put_on_list(state, [pseudonym(state)])
        (state.keys / "forgotten.key").unlink()
        with pytest.raises(ConfigurationError) as caught:
            Forgotten.of(state)
        assert caught.value.reason == "SECRET_ABSENT"


class TestIdentities:
    def test_several_persons_stand_in_one_file(self) -> None:
        text = "last: Novak\nfirst: Ana\nborn:\n\n\nfirst: B:C\nlast: D\nborn: 1\n"
        assert identities_in(text, COLUMNS, "list") == [
            ["Ana", "Novak", ""],
            ["B:C", "D", "1"],
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "first: Ana",
            "first: Ana\nfirst: Bo\nlast: X\nborn: Y",
            "Quentin",
            "first:\nlast:\nborn:\n",
            "first: Ana\nlast: N\nborn: 1\nnote: Quentin",
        ],
    )
    def test_what_names_nobody_is_refused_and_not_repeated(self, text: str) -> None:
        with pytest.raises(InvalidQuery) as caught:
            identities_in(text, COLUMNS, "list")
        assert caught.value.reason == "FORGET_INPUT"
        assert "Quentin" not in caught.value.sentence

    def test_a_column_may_be_called_like_the_beginning_of_another(self) -> None:
        found = identities_in("id: 7\nid:old: 8\n", ("id", "id:old"), "list")
        assert found == [["7", "8"]]

    def test_rows_without_identity_have_nobody_to_forget(
        self, state: AgentState
    ) -> None:
        text = MAPPING_TEXT.replace("[first, last, born]", "row_number")
        with pytest.raises(PreconditionFailed) as caught:
            pseudonym_of(state, mapping(text), [])
        assert caught.value.reason == "FORGET_NOBODY"

    def test_a_case_without_a_person_is_forgotten_by_its_id(
        self, state: AgentState
    ) -> None:
        text = MAPPING_TEXT.replace("[first, last, born]", "cases only")
        ingest_rows(state, rows_of(), text)
        gone = pseudonym_of(state, mapping(text), ["2"])
        forget(state, [gone], LIMITS, NOW)
        done = ingest_rows(state, rows_of(), text)
        assert (done.report.kept, done.report.refused) == (6, 1)


class TestCommand:
    @pytest.fixture
    def files(self, state: AgentState, tmp_path: Path) -> list[str]:
        ingest_rows(state, rows_of())
        freeze_due(state, [MONTHLY], NOW)
        (tmp_path / "mapping.yaml").write_text(MAPPING_TEXT)
        (tmp_path / "small.yaml").write_text(MODEL_TEXT)
        named = tmp_path / "person.txt"
        named.write_text("first: ANA\nlast: Novak\nborn: 2000-05-01\n")
        named.chmod(0o600)
        return [
            *("--mapping", str(tmp_path / "mapping.yaml")),
            *("--model", str(tmp_path / "small.yaml"), "--state", str(state.root)),
        ]

    def test_a_private_file_names_the_person(
        self, command: Command, files: list[str], tmp_path: Path
    ) -> None:
        said = command("forget", "--from", tmp_path / "person.txt", "--yes", *files)
        assert said.status == 0, said.stderr
        assert "part files: 7 -> 5 cases, 6 -> 5 persons" in said.stdout
        assert "What was released before stays released" in said.stdout
        assert "ANA" not in said.stdout + said.stderr
        listed = command("forgotten", "--state", files[-1], "--json")
        assert json.loads(listed.stdout)["receipts"][0]["persons"] == 1

    def test_nothing_happens_without_a_yes(
        self, command: Command, files: list[str], tmp_path: Path, state: AgentState
    ) -> None:
        before = store_bytes(state)
        said = command("forget", "--from", tmp_path / "person.txt", *files)
        assert said.status == 4
        assert "Nothing was changed" in said.stderr
        assert "part files: 1 of 1" in said.stderr
        assert store_bytes(state) == before
        assert not list_file(state).exists()

    def test_a_file_that_others_can_read_is_refused(
        self, command: Command, files: list[str], tmp_path: Path
    ) -> None:
        (tmp_path / "person.txt").chmod(0o644)
        said = command("forget", "--from", tmp_path / "person.txt", "--yes", *files)
        assert said.status != 0
        assert "0600" in said.stderr

    @pytest.mark.parametrize("by", ["file", "input"])
    def test_names_in_another_encoding_are_not_taken_for_other_names(
        self,
        command: Command,
        files: list[str],
        tmp_path: Path,
        state: AgentState,
        monkeypatch: pytest.MonkeyPatch,
        by: str,
    ) -> None:
        content = "first: Ana\nlast: Núñez\nborn: 1\n".encode("windows-1252")
        (tmp_path / "person.txt").write_bytes(content)
        source = tmp_path / "person.txt" if by == "file" else "-"
        given = io.TextIOWrapper(io.BytesIO(content), errors="surrogateescape")
        monkeypatch.setattr(sys, "stdin", given)
        said = command("forget", "--from", source, "--yes", *files)
        assert said.status == 2
        place = "person.txt" if by == "file" else "standard input"
        assert f"Line 2 of {place} is not UTF-8" in said.stderr
        assert not list_file(state).exists()

    def test_input_with_a_mark_names_the_person(
        self,
        command: Command,
        files: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        content = b"\xef\xbb\xbf" + (tmp_path / "person.txt").read_bytes()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        said = command("forget", "--from", "-", "--yes", *files)
        assert "part files: 7 -> 5 cases" in said.stdout

    def test_it_can_be_lifted(
        self, command: Command, files: list[str], tmp_path: Path
    ) -> None:
        named = ["--from", tmp_path / "person.txt"]
        command("forget", *named, "--yes", *files)
        said = command("forget", *named, "--lift", *files, "--json")
        assert json.loads(said.stdout)["persons"] == 1
        said = command("forget", *named, "--lift", *files)
        assert "Nobody so named was on the list" in said.stdout
