# SPDX-License-Identifier: Apache-2.0
"""A forgetting that is killed leaves whole editions, and the next run finishes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.agent.forgetting.listed import note_file
from accord.agent.forgetting.receipt import receipts_of
from accord.agent.forgetting.survey import pseudonyms_left
from accord.agent.forgetting.upkeep import keep_up
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.store.editions import edition_folder, freeze_due, held_editions
from accord.core.calendar import Period
from tests.unit.agent.agencies import LIMITS, NOW, ingest_rows, new_state
from tests.unit.agent.dying import killed
from tests.unit.agent.test_editions import MONTHLY, QUARTERLY
from tests.unit.agent.test_forgetting import pseudonym, rows_of

pytestmark = pytest.mark.slow

TAKING = "accord.agent.forgetting.taking_out"
ERASING = "accord.agent.store.erasing"
POINTS = [
    (f"{TAKING}.replace_secret", 1, "after"),
    (f"{TAKING}.put_on_list", 1, "after"),
    (f"{ERASING}.write_without", 1, "after"),
    (f"{ERASING}.succeed", 1, "before"),
    ("accord.agent.store.generations.remove_folder", 1, "before"),
    (f"{ERASING}.succeed", 2, "before"),
    (f"{ERASING}.succeed", 2, "after"),
    (f"{TAKING}.rewrite_part", 1, "after"),
    ("accord.agent.intake.build.point", 1, "before"),
    ("accord.agent.intake.build.sweep_builds", 1, "before"),
    (f"{TAKING}.keep_receipt", 1, "before"),
    (f"{TAKING}.keep_receipt", 1, "after"),
]


def cases_in(state: AgentState) -> list[int]:
    """Return how many cases each edition has; all of them must be whole."""
    found = []
    for period, days, name in (
        (Period.MONTH, 30, "2026-01"),
        (Period.QUARTER, 0, "2025-Q4"),
    ):
        folder = edition_folder(state, period, days, name)
        assert folder is not None
        with Columns.open(folder) as columns:
            found.append(columns.rows)
    return found


@pytest.mark.parametrize(("point", "calls", "when"), POINTS)
def test_whatever_kills_it_the_next_run_finishes_it(
    tmp_path: Path, point: str, calls: int, when: str
) -> None:
    state = new_state(tmp_path / "state")
    ingest_rows(state, rows_of())
    freeze_due(state, [MONTHLY, QUARTERLY], NOW)
    gone = pseudonym(state)
    killed(state, (point, calls, when), "forget", gone.hex())
    assert set(cases_in(state)) <= {5, 7}
    assert len(held_editions(state)) == 2
    with Columns.open(state.current) as columns:
        assert columns.rows in {5, 7}
    begun = note_file(state).exists()
    keep_up(state, Settings(ingest=LIMITS), NOW)
    assert not note_file(state).exists()
    if point.endswith("replace_secret"):
        # Nobody was on the list yet: it is as if it had not begun.
        assert cases_in(state) == [7, 7]
        return
    assert begun
    assert cases_in(state) == [5, 5]
    with Columns.open(state.current) as columns:
        assert columns.rows == 5
    assert pseudonyms_left(state, [gone])[1] == 0
    assert not list(state.editions.rglob(".partial-*"))
    assert len(list(state.builds.iterdir())) == 1
    last = receipts_of(state)[-1]
    assert {(b.cases, a.cases) for b, a in last.places} == {(7, 5)}
    done = ingest_rows(state, rows_of())
    assert done.report.refused == 2
