# SPDX-License-Identifier: Apache-2.0
"""A rotation that is killed leaves whole editions, and whatever comes next ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from accord.agent.forgetting.survey import pseudonyms_left
from accord.agent.forgetting.taking_out import forget, lift
from accord.agent.forgetting.upkeep import keep_up
from accord.agent.intake.chain import all_pseudonyms, generation_of_keys
from accord.agent.rotation.note import rotation_note
from accord.agent.rotation.rotating import rotate
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.store.editions import freeze_due, held_editions
from accord.agent.store.erasing import open_editions
from tests.unit.agent.agencies import LIMITS, NOW, ingest_rows, new_state, row
from tests.unit.agent.dying import killed
from tests.unit.agent.test_editions import MONTHLY, QUARTERLY
from tests.unit.agent.test_forgetting import OTHERS_TEXT, pseudonym, rows_of
from tests.unit.agent.test_rotation import answers, held, with_keys_of

pytestmark = pytest.mark.slow

REWRITING = "accord.agent.rotation.rewriting"
ERASING = "accord.agent.store.erasing"
NOT_BEGUN = [
    (f"{REWRITING}.make_store_key", 1, "after"),
    (f"{REWRITING}.write_rotation_note", 1, "after"),
    (f"{REWRITING}.make_pseudonym_key", 1, "before"),
]
BEGUN = [
    (f"{REWRITING}.make_pseudonym_key", 1, "after"),
    ("accord.agent.rotation.part.join_pieces", 1, "after"),
    (f"{REWRITING}.rotate_part", 2, "after"),
    ("accord.agent.intake.build.point", 1, "before"),
    ("accord.agent.intake.build.point", 1, "after"),
    ("accord.agent.intake.build.sweep_builds", 1, "before"),
    (f"{REWRITING}.write_rotated", 1, "after"),
    (f"{ERASING}.succeed", 1, "before"),
    ("accord.agent.store.generations.remove_folder", 1, "before"),
    (f"{ERASING}.succeed", 1, "after"),
    (f"{ERASING}.succeed", 2, "before"),
    (f"{REWRITING}._rewrite_editions", 1, "after"),
]
OTHER_ROWS = [row(first="Zoe"), row(number="9")]


def started(folder: Path) -> AgentState:
    """Return an agency with two parts and two editions."""
    state = new_state(folder)
    ingest_rows(state, rows_of())
    ingest_rows(state, OTHER_ROWS, OTHERS_TEXT)
    freeze_due(state, [MONTHLY, QUARTERLY], NOW)
    return state


def start_agent(state: AgentState) -> None:
    keep_up(state, Settings(ingest=LIMITS), NOW)


def ingest_again(state: AgentState) -> None:
    ingest_rows(state, rows_of())


def rotate_again(state: AgentState) -> None:
    rotate(state, LIMITS, NOW)


def forget_nobody(state: AgentState) -> None:
    nobody = pseudonym(state, ["No", "Body", ""])
    forget(state, [nobody], LIMITS, NOW)
    lift(state, [nobody], LIMITS, NOW)


AFTERWARDS = [start_agent, ingest_again, rotate_again, forget_nobody]


def require_whole(state: AgentState, before: list[list[int]]) -> None:
    assert answers(state) == before
    assert len(held_editions(state)) == 2
    with Columns.open(state.current) as columns:
        assert columns.rows == 9


@pytest.mark.parametrize(
    ("number", "point", "calls", "when"),
    [(number, *point) for number, point in enumerate(BEGUN)],
)
def test_whatever_kills_it_the_next_command_ends_it(
    tmp_path: Path, number: int, point: str, calls: int, when: str
) -> None:
    state = started(tmp_path / "state")
    before = answers(state)
    killed(state, (point, calls, when), "rotate")
    require_whole(state, before)
    assert rotation_note(state).exists()
    AFTERWARDS[number % len(AFTERWARDS)](state)
    require_rotated(state, tmp_path / "other", before)


@pytest.mark.parametrize("afterwards", AFTERWARDS)
def test_whatever_comes_next_ends_it(
    tmp_path: Path, afterwards: Callable[[AgentState], None]
) -> None:
    """Half of the editions are of one generation, half of the other."""
    state = started(tmp_path / "state")
    before = answers(state)
    killed(state, (f"{ERASING}.succeed", 2, "before"), "rotate")
    generations = set()
    for folder in open_editions(state):
        with Columns.open(folder) as columns:
            generations.add(columns.form.generation)
    assert generations == {0, 1}
    afterwards(state)
    require_rotated(state, tmp_path / "other", before)


def require_rotated(state: AgentState, folder: Path, before: list[list[int]]) -> None:
    """All of it is of generation 1, and nothing but that is another."""
    assert generation_of_keys(state) == 1
    assert not rotation_note(state).exists()
    require_whole(state, before)
    (every,) = all_pseudonyms(state, [pseudonym(state)])
    assert pseudonyms_left(state, every[:1])[1] == 0
    assert pseudonyms_left(state, every[1:])[1] > 0
    assert not list(state.editions.rglob(".partial-*"))
    assert len(list(state.builds.iterdir())) == 1
    for each in open_editions(state):
        with Columns.open(each) as columns:
            assert columns.form.generation == 1
    other = with_keys_of(state, folder)
    (other.keys / "forgotten.key").unlink(missing_ok=True)
    ingest_rows(other, rows_of())
    ingest_rows(other, OTHER_ROWS, OTHERS_TEXT)
    assert held(state) == held(other)


@pytest.mark.parametrize(("point", "calls", "when"), NOT_BEGUN)
@pytest.mark.parametrize("afterwards", [start_agent, ingest_again])
def test_before_its_keys_are_there_it_has_not_begun(
    tmp_path: Path,
    point: str,
    calls: int,
    when: str,
    afterwards: Callable[[AgentState], None],
) -> None:
    state = started(tmp_path / "state")
    before, lying = answers(state), held(state)
    killed(state, (point, calls, when), "rotate")
    afterwards(state)
    assert not rotation_note(state).exists()
    assert generation_of_keys(state) == 0
    assert held(state) == lying
    assert answers(state) == before
    rotate(state, LIMITS, NOW)
    require_rotated(state, tmp_path / "other", before)
