# SPDX-License-Identifier: Apache-2.0
"""After a rotation the old keys find nobody, and nothing else is another."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.doctor import files as doctor
from accord.agent.doctor.finding import Verdict
from accord.agent.forgetting.survey import pseudonyms_left
from accord.agent.intake.build import CASES, PERSONS
from accord.agent.intake.chain import Chain, Chains, all_pseudonyms
from accord.agent.intake.ingest import remove
from accord.agent.intake.parts import PART, PARTS, Part, parts_of
from accord.agent.intake.pseudonym import DIGEST_BYTES
from accord.agent.rotation.edition import write_rotated
from accord.agent.rotation.note import rotation_note
from accord.agent.rotation.rotating import rotate
from accord.agent.state import AgentState
from accord.agent.store.bound import bounded_vector
from accord.agent.store.columns import Columns
from accord.agent.store.editions import edition_folder, freeze_due, held_editions
from accord.agent.store.entries import leaf_filters
from accord.agent.store.erasing import open_editions
from accord.core.calendar import Period
from accord.core.errors import ConfigurationError, IntegrityError
from accord.core.layout import lay_out
from accord.core.query import Query
from tests.unit.agent.agencies import (
    LIMITS,
    MAPPING_TEXT,
    MODEL,
    NOW,
    ask,
    declared,
    ingest_rows,
    new_state,
    row,
    vector,
)
from tests.unit.agent.case_database import read_table, stored
from tests.unit.agent.command import Command
from tests.unit.agent.small_questions import MODEL as QUESTIONS_MODEL
from tests.unit.agent.small_questions import Asked, questions, write_store
from tests.unit.agent.test_editions import MONTHLY, QUARTERLY
from tests.unit.agent.test_following import LONG_AGO, Office, numbers
from tests.unit.agent.test_forgetting import OTHERS_TEXT, pseudonym, rows_of

CASELESS_TEXT = MAPPING_TEXT.replace("case: [number]\n", "").replace(
    "mapping: files", "mapping: caseless"
)
NAMELESS_TEXT = MAPPING_TEXT.replace(
    "person: [first, last, born]", "person: cases only"
).replace("mapping: files", "mapping: nameless")
TEXTS = [MAPPING_TEXT, OTHERS_TEXT, CASELESS_TEXT]
MEASURES = ["persons", "cases", "sum(days)"]


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    return Command(monkeypatch, capsys)


def with_keys_of(state: AgentState, folder: Path) -> AgentState:
    """Return a new agency that has the keys of another."""
    other = new_state(folder)
    for path in state.keys.glob("*.key"):
        (other.keys / path.name).write_bytes(path.read_bytes())
        (other.keys / path.name).chmod(0o600)
    return other


def held(state: AgentState) -> dict[str, bytes]:
    """Return all that parts and build hold, but for what the next ingest goes on from.

    Also what they say of themselves, but for when they were made.
    """
    found = {k: v for k, v in stored(state).items() if not k.endswith("stamps.parquet")}
    for name, part in parts_of(state.current).items():
        same = part.model_copy(update={"ingested_at": NOW, "followed": None})
        found[f"{name}/{PART}"] = same.model_dump_json().encode()
    with Columns.open(state.current) as columns:
        form = columns.form.model_copy(update={"created_at": NOW})
    found["store.json"] = form.model_dump_json().encode()
    return found


def edition(state: AgentState) -> Path:
    folder = edition_folder(state, Period.MONTH, 30, "2026-01")
    assert folder is not None
    return folder


def content(state: AgentState) -> set[int]:
    """Return every order and case key that lies here."""
    found: set[int] = set()
    for folder in [state.current.resolve(), *open_editions(state)]:
        with Columns.open(folder) as columns:
            found |= set(columns.order_key.tolist())
    return found


class TestParts:
    """Parts and build are what a full ingest under the new keys writes."""

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 2), st.integers(0, 5), st.integers(0, 3), st.booleans()
            ),
            min_size=1,
            max_size=25,
        ),
        st.integers(1, 3),
    )
    @settings(max_examples=6, deadline=None)
    @pytest.mark.slow
    def test_they_are_as_if_ingested(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        cases: list[tuple[int, int, int, bool]],
        times: int,
    ) -> None:
        folder = tmp_path_factory.mktemp("rotation")
        state = new_state(folder / "state")
        sources = [
            [
                row(first=f"P{who}", number=str(number), region="west" if west else "")
                for part, who, number, west in cases
                if part == number_of_part
            ]
            + [row(first="Last", number="", days=str(number_of_part))]
            for number_of_part in range(len(TEXTS))
        ]
        for text, rows in zip(TEXTS, sources, strict=True):
            ingest_rows(state, rows, text)
        before = held(state)
        for _ in range(times):
            rotate(state, LIMITS, NOW)
        other = with_keys_of(state, folder / "other")
        for text, rows in zip(TEXTS, sources, strict=True):
            ingest_rows(other, rows, text)
        assert held(state) == held(other)
        assert held(state)["persons.npy"] != before["persons.npy"]
        for query in (ask("region", measure=each) for each in MEASURES):
            assert (vector(state, query) == vector(other, query)).all()

    def test_records_that_name_nobody_too(
        self, state: AgentState, tmp_path: Path
    ) -> None:
        rows = [row(number=str(number)) for number in range(9)]
        ingest_rows(state, rows, NAMELESS_TEXT)
        rotate(state, LIMITS, NOW)
        other = with_keys_of(state, tmp_path / "other")
        ingest_rows(other, rows, NAMELESS_TEXT)
        assert held(state) == held(other)

    def test_the_next_ingest_reads_everything_and_then_what_changes(
        self, tmp_path: Path
    ) -> None:
        office = Office(tmp_path)
        rows = [row(number=str(n), first=f"P{n % 7}", days=str(n)) for n in range(20)]
        office.cases.put(rows, LONG_AGO)
        assert numbers(office.follow()) == (20, 20, 0)
        assert numbers(office.follow()) == (20, 0, 0)
        rotate(office.state, LIMITS, NOW)
        assert not list(office.state.current.rglob("stamps.parquet"))
        before = held(office.state)
        assert numbers(office.follow()) == (20, 20, 0)
        assert held(office.state) == before
        office.cases.put([row(number="77", first="New")], LONG_AGO)
        office.cases.run("DELETE FROM cases WHERE number = '5'")
        assert numbers(office.follow()) == (20, 1, 1)
        other = with_keys_of(office.state, tmp_path / "other")
        shutil.copy(office.state.config, other.config)
        read_table(other)
        assert stored(office.state) == stored(other)

    def test_a_part_with_other_cases_than_it_says_stops_it(
        self, state: AgentState
    ) -> None:
        ingest_rows(state, rows_of())
        path = state.current.resolve() / PARTS / "files" / PART
        part = Part.model_validate_json(path.read_bytes())
        path.chmod(0o600)
        path.write_text(part.model_copy(update={"rows": 6}).model_dump_json())
        with pytest.raises(IntegrityError) as caught:
            rotate(state, LIMITS, NOW)
        assert caught.value.reason == "STORE_BROKEN"
        assert part.generation == 0


def pairs(asked: Asked, folder: Path) -> tuple[Path, Path]:
    """Write a store as an edition, and the same after a rotation."""
    before, after = folder / "before", folder / "after"
    write_store(before, asked.records)
    persons = len({each.person for each in asked.records})
    made = np.random.default_rng(0).integers(0, 256, (persons, DIGEST_BYTES), np.uint8)
    np.save(before / PERSONS, made)
    write_rotated(before, after, CHAINS)
    return before, after


CHAINS = Chains(
    pseudonyms=Chain.of([b"p" * 32, b"q" * 32]), store=Chain.of([b"s" * 32, b"t" * 32])
)


def answer(folder: Path, asked: Asked, chunk: int) -> list[int]:
    with Columns.open(folder) as columns:
        found = bounded_vector(
            columns,
            lay_out(asked.query, QUESTIONS_MODEL),
            leaf_filters(asked.query, QUESTIONS_MODEL),
            asked.vector,
            chunk_entries=chunk,
        )
    return [int(each) for each in found]


def of_persons(folder: Path) -> dict[bytes, list[tuple[Any, ...]]]:
    """Return the cases of every person, in order, and which of them tie."""
    persons = np.load(folder / PERSONS)
    found: dict[bytes, list[tuple[Any, ...]]] = {}
    with Columns.open(folder) as columns:
        names = [form.name for form in columns.form.columns]
        rest = [each for each in names if each not in {"person", "order_key"}]
        rows = zip(*(columns.array(each).tolist() for each in rest), strict=True)
        before = (-1, -1)
        owners = zip(columns.person.tolist(), columns.order_key.tolist(), strict=True)
        for owner, case in zip(owners, rows, strict=True):
            held = found.setdefault(persons[owner[0]].tobytes(), [])
            held.append((owner == before, *case))
            before = owner
    return found


class TestEditions:
    """What is frozen answers as before, and nobody is found by older keys."""

    @given(
        asked=st.one_of(questions(), questions(ties=True)),
        chunk=st.sampled_from([1, 2, 5, 1 << 16]),
    )
    @settings(max_examples=60, deadline=None)
    @pytest.mark.slow
    def test_every_measure_has_the_same_vector(self, asked: Asked, chunk: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            before, after = pairs(asked, Path(folder))
            assert answer(after, asked, chunk) == answer(before, asked, chunk)

    @given(asked=st.one_of(questions(), questions(ties=True)))
    @settings(max_examples=40, deadline=None)
    @pytest.mark.slow
    def test_each_person_has_the_same_cases_in_the_same_order(
        self, asked: Asked
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            before, after = pairs(asked, Path(folder))
            made = np.load(before / PERSONS)
            turned = CHAINS.pseudonyms.pseudonyms(made)
            wanted = {
                turned[place].tobytes(): of_persons(before)[made[place].tobytes()]
                for place in range(len(made))
            }
            assert of_persons(after) == wanted
            assert sorted(wanted) == [
                each.tobytes() for each in np.load(after / PERSONS)
            ]
            with Columns.open(before) as old, Columns.open(after) as new:
                assert old.form.order_key_ties == new.form.order_key_ties
                assert new.form.generation == 1
                assert keys_by_person(new, turned[np.lexsort(turned.T[::-1])]) == {
                    who: set(CHAINS.store.keys(np.array([*keys], np.uint64)).tolist())
                    for who, keys in keys_by_person(old, turned).items()
                }

    def test_without_pseudonyms_persons_are_shuffled_too(self, tmp_path: Path) -> None:
        state = new_state(tmp_path / "state")
        ingest_rows(state, rows_of(40))
        freeze_due(state, [MONTHLY], NOW)
        folder = edition(state)
        folder.chmod(0o700)
        (folder / PERSONS).unlink()
        before = np.load(folder / "days.npy")
        rotate(state, LIMITS, NOW)
        assert not (edition(state) / PERSONS).exists()
        assert sorted(np.load(edition(state) / "days.npy")) == sorted(before)
        counts = np.bincount(np.load(edition(state) / "person.npy"))
        assert sorted(counts.tolist()) == [1] * 40 + [2]

    def test_what_is_frozen_before_and_after_answers_as_it_did(
        self, state: AgentState
    ) -> None:
        rows = [
            row(first=f"P{n % 9}", number=str(n), region=("north", "west")[n % 2])
            for n in range(60)
        ]
        ingest_rows(state, rows)
        freeze_due(state, [MONTHLY], NOW)
        before = answers(state)
        rotate(state, LIMITS, NOW)
        assert answers(state) == before
        freeze_due(state, [QUARTERLY], NOW)
        rotate(state, LIMITS, NOW)
        assert answers(state) == before
        assert len(held_editions(state)) == 2
        with Columns.open(edition(state)) as old, Columns.open(state.current) as new:
            assert set(old.order_key.tolist()) == set(new.order_key.tolist())

    def test_older_keys_find_nobody(self, state: AgentState) -> None:
        ingest_rows(state, rows_of(30))
        freeze_due(state, [MONTHLY, QUARTERLY], NOW)
        names = [["Ana", "Novak", "2000-05-01"]]
        names += [[f"P{number}", "Novak", "2000-05-01"] for number in range(30)]
        first = [pseudonym(state, each) for each in names]
        assert pseudonyms_left(state, first)[1] > 0
        earlier = content(state)
        for generation in (1, 2):
            rotate(state, LIMITS, NOW)
            every = all_pseudonyms(state, first)
            assert len(every[0]) == generation + 1
            assert pseudonyms_left(state, [p for e in every for p in e[:-1]])[1] == 0
            assert pseudonyms_left(state, [e[-1] for e in every])[1] > 0
            assert not earlier & content(state)
            earlier |= content(state)
            for folder in [state.current, *open_editions(state)]:
                persons = [each.tobytes() for each in np.load(folder / PERSONS)]
                assert persons == sorted(e[-1] for e in every)
        assert len(list(state.builds.iterdir())) == 1

    def test_one_that_is_damaged_stops_it_before_it_begins(
        self, state: AgentState
    ) -> None:
        ingest_rows(state, rows_of())
        freeze_due(state, [MONTHLY], NOW)
        edition(state).chmod(0o700)
        (edition(state) / "region.npy").unlink()
        with pytest.raises(IntegrityError) as caught:
            rotate(state, LIMITS, NOW)
        assert caught.value.reason == "EDITION_BROKEN"
        assert not (state.keys / "pseudonym.1.key").exists()
        assert not rotation_note(state).exists()


def keys_by_person(
    columns: Columns, persons: npt.NDArray[np.uint8]
) -> dict[bytes, set[int]]:
    found: dict[bytes, set[int]] = {}
    rows = zip(columns.person.tolist(), columns.order_key.tolist(), strict=True)
    for who, key in rows:
        found.setdefault(persons[who].tobytes(), set()).add(key)
    return found


def answers(state: AgentState) -> list[list[int]]:
    """Return what the monthly edition answers, with bounds that leave much out."""
    found = []
    for measure in MEASURES:
        query = ask("region", measure=measure)
        with Columns.open(edition(state)) as columns:
            found.append(_counted(columns, query))
    return found


def _counted(columns: Columns, query: Query) -> list[int]:
    return [
        int(each)
        for each in bounded_vector(
            columns,
            lay_out(query, MODEL),
            leaf_filters(query, MODEL),
            declared(query, 1, 2),
        )
    ]


class TestKeys:
    """Keys that are missing are missed, and a copy from before is brought up."""

    def rotated(self, state: AgentState) -> None:
        ingest_rows(state, rows_of())
        freeze_due(state, [MONTHLY], NOW)
        rotate(state, LIMITS, NOW)

    @pytest.mark.parametrize("name", ["pseudonym.1.key", "store.1.key"])
    def test_nothing_is_changed_without_them(
        self, state: AgentState, name: str
    ) -> None:
        self.rotated(state)
        before = held(state)
        (state.keys / name).unlink()
        for act in (
            lambda: ingest_rows(state, rows_of()),
            lambda: rotate(state, LIMITS, NOW),
            lambda: remove(state, "files", LIMITS, NOW),
        ):
            with pytest.raises(ConfigurationError, match=name) as caught:
                act()
            assert caught.value.reason == "KEYS_LOST"
        assert held(state) == before
        findings = list(doctor.keys(state))
        assert [each.reason for each in findings if each.verdict is Verdict.WRONG] == [
            "KEYS_LOST"
        ]

    def test_editions_alone_miss_them_too(self, state: AgentState) -> None:
        self.rotated(state)
        remove(state, "files", LIMITS, NOW)
        for path in state.keys.glob("*.1.key"):
            path.unlink()
        with pytest.raises(ConfigurationError) as caught:
            ingest_rows(state, rows_of())
        assert caught.value.reason == "KEYS_LOST"

    def test_a_store_from_before_is_brought_up(
        self, state: AgentState, tmp_path: Path
    ) -> None:
        ingest_rows(state, rows_of())
        freeze_due(state, [MONTHLY], NOW)
        shutil.copytree(state.store, tmp_path / "copy", symlinks=True)
        rotate(state, LIMITS, NOW)
        wanted = held(state), (edition(state) / "persons.npy").read_bytes()
        for folder in state.store.rglob("*"):
            if folder.is_dir() and not folder.is_symlink():
                folder.chmod(0o700)
        shutil.rmtree(state.store)
        (tmp_path / "copy").rename(state.store)
        with pytest.raises(AssertionError):
            assert held(state) == wanted[0]
        remove_and_add(state)
        assert (held(state), (edition(state) / "persons.npy").read_bytes()) == wanted

    def test_an_agency_without_records_can_rotate(self, state: AgentState) -> None:
        done = rotate(state, LIMITS, NOW)
        assert (done.generation, done.parts, done.editions) == (1, (), ())
        ingest_rows(state, rows_of())
        assert parts_of(state.current)["files"].generation == 1

    def test_what_was_never_rotated_says_nothing_of_it(self, state: AgentState) -> None:
        ingest_rows(state, rows_of())
        for name in ("store.json", f"{PARTS}/files/{PART}"):
            assert "generation" not in json.loads((state.current / name).read_text())


def remove_and_add(state: AgentState) -> None:
    """Change the store in some way, and leave it as it was."""
    ingest_rows(state, [row(first="Other")], OTHERS_TEXT)
    remove(state, "others", LIMITS, NOW)


class TestCommand:
    """What staff types, and what it says."""

    def test_it_says_what_it_did(self, state: AgentState, command: Command) -> None:
        ingest_rows(state, rows_of())
        freeze_due(state, [MONTHLY], NOW)
        said = command("keys", "rotate-pseudonyms", "--yes", "--state", state.root)
        assert said.status == 0, said.stderr
        for text in ("part files", "edition month-30/2026-01", "pseudonym.1.key"):
            assert text in said.stdout
        words = ("keys", "rotate-pseudonyms", "--yes", "--json", "--state", state.root)
        found = json.loads(command(*words).stdout)
        assert found == {
            "generation": 2,
            "keys": [
                str(state.keys / name) for name in ("pseudonym.2.key", "store.2.key")
            ],
            "parts": ["files"],
            "editions": ["month-30/2026-01"],
            "in_database": [],
            "export_again": False,
        }

    def test_without_a_yes_nothing_happens(
        self, state: AgentState, command: Command
    ) -> None:
        ingest_rows(state, rows_of())
        said = command("keys", "rotate-pseudonyms", "--json", "--state", state.root)
        assert json.loads(said.stderr.splitlines()[-1])["error"]["reason"] == (
            "ROTATION_NOT_CONFIRMED"
        )
        assert not (state.keys / "pseudonym.1.key").exists()

    def test_an_edition_in_a_database_is_told_and_left(
        self, state: AgentState, command: Command
    ) -> None:
        ingest_rows(state, rows_of())
        freeze_due(state, [MONTHLY], NOW)
        folder = edition(state)
        folder.chmod(0o700)
        for path in [*folder.glob("*.npy"), folder / "store.json"]:
            path.unlink()
        (folder / "database.json").write_text("{}")
        words = ("keys", "rotate-pseudonyms", "--yes", "--json", "--state", state.root)
        found = json.loads(command(*words).stdout)
        assert (found["editions"], found["in_database"]) == ([], ["month-30/2026-01"])
        assert edition(state) == folder
        said = command("keys", "rotate-pseudonyms", "--yes", "--state", state.root)
        assert "edition month-30/2026-01: lies in a database, NOT touched" in (
            said.stdout.replace("\n", " ")
        )
        assert "pushdown export" not in said.stdout
        state.config.write_text(
            '[databases.own]\nurl = "sqlite:///own.db"\n'
            '[store]\nwhere = "database"\ndatabase = "own"\n'
        )
        said = command("keys", "rotate-pseudonyms", "--yes", "--state", state.root)
        assert "run `accord-agent pushdown export`" in said.stdout.replace("\n", " ")

    def test_new_keys_are_sealed_where_keys_are(
        self, state: AgentState, command: Command, tmp_path: Path
    ) -> None:
        kek = tmp_path / "kek"
        command("keys", "make-kek", kek)
        state.config.write_text(f'[keys]\nkek_file = "{kek}"\n')
        assert command("keys", "seal", "--state", state.root).status == 0
        ingest_rows(state, rows_of())
        rotate(state, LIMITS, NOW)
        for name in ("pseudonym.1.key", "store.1.key"):
            assert (state.keys / name).read_bytes().startswith(b"ACCORD-SEALED")
        assert command("keys", "unseal", "--state", state.root).status == 0
        assert len((state.keys / "store.1.key").read_bytes()) == 32
        before = held(state)
        ingest_rows(state, rows_of())
        assert held(state) == before
        assert CASES in {path.name for path in state.current.rglob("*")}
