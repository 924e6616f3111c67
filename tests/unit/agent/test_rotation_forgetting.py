# SPDX-License-Identifier: Apache-2.0
"""Who is forgotten stays so over rotations, under whichever keys they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.agent.forgetting import taking_out
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
from accord.agent.intake.chain import all_pseudonyms
from accord.agent.intake.ingest import remove
from accord.agent.intake.parts import parts_of
from accord.agent.rotation.rotating import rotate
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.store.editions import freeze_due
from accord.agent.store.erasing import open_editions
from accord.core.errors import ConfigurationError
from tests.unit.agent.agencies import LIMITS, NOW, ask, ingest_rows, new_state, row
from tests.unit.agent.agencies import vector as counted
from tests.unit.agent.case_database import CaseDatabase, office_state, read_table
from tests.unit.agent.test_editions import MONTHLY, QUARTERLY
from tests.unit.agent.test_following import LONG_AGO
from tests.unit.agent.test_forgetting import pseudonym, rows_of
from tests.unit.agent.test_rotation import held, with_keys_of

CORRECTED = {"first": "Anna"}


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


def named(state: AgentState, first: str) -> bytes:
    return pseudonym(state, [first, "Novak", "2000-05-01"])


def nobody_left(state: AgentState, first: list[bytes]) -> bool:
    every = [each for person in all_pseudonyms(state, first) for each in person]
    return pseudonyms_left(state, every)[1] == 0


@pytest.mark.parametrize("times", [1, 2])
def test_who_was_forgotten_before_stays_out(
    state: AgentState, tmp_path: Path, times: int
) -> None:
    ingest_rows(state, rows_of())
    gone = pseudonym(state)
    forget(state, [gone], LIMITS, NOW)
    for _ in range(times):
        rotate(state, LIMITS, NOW)
    without = held(state)
    assert ingest_rows(state, rows_of()).report.refused == 2
    assert held(state) == without
    other = with_keys_of(state, tmp_path / "other")
    (other.keys / "forgotten.key").unlink()
    ingest_rows(other, rows_of()[1:-1])
    assert held(state) == held(other)
    assert lift(state, [gone], LIMITS, NOW).persons == 1
    assert lift(state, [gone], LIMITS, NOW).persons == 0
    ingest_rows(state, rows_of())
    ingest_rows(other, rows_of())
    assert held(state) == held(other)


@pytest.mark.parametrize("times", [1, 2])
def test_somebody_is_forgotten_afterwards(
    state: AgentState, tmp_path: Path, times: int
) -> None:
    ingest_rows(state, rows_of())
    freeze_due(state, [MONTHLY], NOW)
    for _ in range(times):
        rotate(state, LIMITS, NOW)
    freeze_due(state, [QUARTERLY], NOW)
    gone = pseudonym(state)
    assert not nobody_left(state, [gone])
    receipt = forget(state, [gone], LIMITS, NOW)
    assert {(b.cases, a.cases) for b, a in receipt.places} == {(7, 5)}
    assert nobody_left(state, [gone])
    for folder in open_editions(state):
        with Columns.open(folder) as columns:
            assert (columns.rows, columns.form.generation) == (5, times)
    rotate(state, LIMITS, NOW)
    assert ingest_rows(state, rows_of()).report.refused == 2
    other = with_keys_of(state, tmp_path / "other")
    (other.keys / "forgotten.key").unlink()
    ingest_rows(other, rows_of()[1:-1])
    assert held(state) == held(other)


def test_cases_stay_out_under_a_corrected_name(state: AgentState) -> None:
    ingest_rows(state, [row(), row(first="Bo"), row(first="Cy", number="3")])
    forget(state, [pseudonym(state)], LIMITS, NOW)
    rotate(state, LIMITS, NOW)
    forget(state, [named(state, "Cy")], LIMITS, NOW)
    rotate(state, LIMITS, NOW)
    again = [
        row(**CORRECTED),
        row(first="Bo"),
        row(first="Cyrus", number="3"),
        row(first="Di", number="4"),
    ]
    assert ingest_rows(state, again).report.refused == 2
    assert parts_of(state.current)["files"].persons == 2
    lift(state, [pseudonym(state), named(state, "Cy")], LIMITS, NOW)
    assert ingest_rows(state, again).report.refused == 0


def test_cases_that_are_new_stay_out_too(state: AgentState) -> None:
    """Only the person can be known by, in whichever generation it was."""
    people = ["Ana", "Bo", "Cy"]
    for number, first in enumerate(people):
        ingest_rows(state, [row(first=first, number=first), row(first="Di")])
        forget(state, [named(state, first)], LIMITS, NOW)
        rotate(state, LIMITS, NOW)
        assert len(list_file(state).read_text().splitlines()) == number + 2
    new = [row(first=first, number=f"{first} new") for first in [*people, "Di"]]
    assert ingest_rows(state, new).report.refused == len(people)
    nameless = [each | {"number": ""} for each in new]
    assert ingest_rows(state, nameless).report.refused == len(people)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("forget"), st.integers(0, 3)),
        st.tuples(st.just("lift"), st.integers(0, 3)),
        st.tuples(st.just("rename"), st.integers(0, 3)),
        st.tuples(st.just("ingest"), st.just(0)),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.slow
@given(steps=STEPS, shared=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2))))
@settings(max_examples=8, deadline=None)
def test_it_is_as_if_nothing_had_been_rotated(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int]],
    shared: list[tuple[int, int]],
) -> None:
    """Two agencies do the same; one rotates between any two steps."""
    folder = tmp_path_factory.mktemp("steps")
    plain, turned = new_state(folder / "plain"), new_state(folder / "turned")
    names = {number: f"P{number}" for number in range(4)}
    query = ask("region", measure="cases")
    cases = [(who, f"own-{who}") for who in range(4)]
    cases += [(who, str(case)) for who, case in shared]

    def both_ingest() -> None:
        rows = [row(first=names[who], number=number) for who, number in cases]
        rows += [row(first="Last", number="last")]
        reports = [ingest_rows(each, rows).report for each in (plain, turned)]
        assert reports[0].refused == reports[1].refused

    both_ingest()
    for kind, who in steps:
        rotate(turned, LIMITS, NOW)
        for each in (plain, turned):
            if kind == "forget":
                forget(each, [named(each, names[who])], LIMITS, NOW)
            elif kind == "lift":
                lift(each, [named(each, names[who])], LIMITS, NOW)
        if kind == "rename":
            names[who] += "x"
        if kind == "ingest":
            both_ingest()
    both_ingest()
    before, after = (parts_of(each.current)["files"] for each in (plain, turned))
    assert (before.rows, before.persons) == (after.rows, after.persons)
    assert (counted(plain, query) == counted(turned, query)).all()
    digests = [Forgotten.of(each) for each in (plain, turned)]
    assert len({0 if each is None else len(each.marks) for each in digests}) == 1


def test_who_is_forgotten_again_comes_under_the_newest_keys(state: AgentState) -> None:
    gone = pseudonym(state)
    assert put_on_list(state, [gone]) == 1
    before = list_file(state).read_text().split("\n")
    rotate(state, LIMITS, NOW)
    assert put_on_list(state, [gone]) == 0
    after = list_file(state).read_text().split("\n")
    assert len(before) == len(after)
    assert before[1] != after[1]
    assert (before[0], after[0]) == ("forgotten 1", "forgotten 1 1")
    assert take_off_list(state, [gone]) == 1


def test_the_list_misses_its_keys_where_nothing_else_is_left(
    state: AgentState,
) -> None:
    ingest_rows(state, rows_of())
    rotate(state, LIMITS, NOW)
    forget(state, [pseudonym(state)], LIMITS, NOW)
    remove(state, "files", LIMITS, NOW)
    for path in state.keys.glob("*.1.key"):
        path.unlink()
    with pytest.raises(ConfigurationError) as caught:
        ingest_rows(state, rows_of())
    assert caught.value.reason == "KEYS_LOST"


def test_a_forgetting_that_was_killed_is_finished_before(
    state: AgentState, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_rows(state, rows_of())
    freeze_due(state, [MONTHLY], NOW)
    gone = pseudonym(state)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(taking_out, "_take_out", killed)
        with pytest.raises(KeyboardInterrupt):
            forget(state, [gone], LIMITS, NOW)
    assert note_file(state).exists()
    done = rotate(state, LIMITS, NOW)
    assert (done.generation, done.parts) == (1, ("files",))
    assert not note_file(state).exists()
    assert nobody_left(state, [gone])
    assert receipts_of(state)[-1].persons == 1
    assert ingest_rows(state, rows_of()).report.refused == 2


def test_changes_are_followed_without_the_forgotten(tmp_path: Path) -> None:
    cases = CaseDatabase(tmp_path / "office.db")
    cases.put(rows_of(), LONG_AGO)
    state = office_state(tmp_path / "state", cases.file)
    read_table(state)
    gone = pseudonym(state)
    forget(state, [gone], LIMITS, NOW)
    rotate(state, LIMITS, NOW)
    for _ in range(2):
        assert read_table(state).report.refused == 2
    cases.put([row(first="New", number="n")], LONG_AGO)
    read_table(state)
    assert parts_of(state.current)["files"].rows == 6
    lift(state, [gone], LIMITS, NOW)
    read_table(state)
    assert parts_of(state.current)["files"].rows == 8
