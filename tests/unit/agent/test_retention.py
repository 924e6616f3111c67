# SPDX-License-Identifier: Apache-2.0
"""Records and editions grow old only where the settings say so, and to the month."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.forgetting.receipt import Kind, receipts_of
from accord.agent.forgetting.retention import apply, due
from accord.agent.forgetting.upkeep import keep_up
from accord.agent.freezing import origin_of
from accord.agent.settings import Retention, Settings
from accord.agent.state import AgentState
from accord.agent.store.columns import Columns
from accord.agent.store.editions import edition_folder, freeze_due, held_editions
from accord.agent.store.leaving import Leaving, months_before
from accord.core.calendar import Period, period_end
from accord.core.errors import ConfigurationError, PreconditionFailed
from accord.core.model import load_model
from tests.unit.agent.agencies import (
    LIMITS,
    MODEL,
    MODEL_TEXT,
    NOW,
    ingest_rows,
    new_state,
    row,
    store_bytes,
)
from tests.unit.agent.test_editions import MONTHLY

YEAR = Settings(ingest=LIMITS, retention=Retention(months=12))
NEVER = Settings(ingest=LIMITS)
ROWS = [
    row(first="Old", date="2025-02-28"),
    row(first="Young", date="2025-03-01"),
    row(first="Undated", date=""),
]


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


def keep_for(state: AgentState, months: int) -> None:
    state.config.write_text(f"[retention]\nmonths = {months}\n", encoding="utf-8")


def rows_in(folder: Path) -> int:
    with Columns.open(folder) as columns:
        return columns.rows


def test_by_default_nothing_grows_old(state: AgentState) -> None:
    ingest_rows(state, ROWS)
    freeze_due(state, [MONTHLY], NOW)
    later = NOW + datetime.timedelta(days=10_000)
    found = due(state, NEVER, later, lambda _: MODEL)
    assert (found.parts, found.editions) == ({"files": 0}, ())
    before = store_bytes(state)
    apply(state, NEVER, later, lambda _: MODEL)
    keep_up(state, NEVER, later)
    assert store_bytes(state) == before
    assert len(held_editions(state)) == 1


def test_what_would_go_is_shown_and_then_goes(
    state: AgentState, tmp_path: Path
) -> None:
    ingest_rows(state, ROWS)
    found = due(state, YEAR, NOW, lambda _: MODEL)
    assert found.parts == {"files": 1}
    assert rows_in(state.current) == 3
    receipt = apply(state, YEAR, NOW, lambda _: MODEL)
    other = new_state(tmp_path / "other")
    ingest_rows(other, ROWS[1:])
    assert store_bytes(state) == store_bytes(other)
    assert receipts_of(state) == [receipt]
    assert receipt.kind is Kind.RETENTION
    ((before, after),) = receipt.places
    assert (before.cases, after.cases) == (3, 2)


def test_an_ingest_leaves_out_what_is_too_old(
    state: AgentState, tmp_path: Path
) -> None:
    keep_for(state, 12)
    done = ingest_rows(state, ROWS)
    (refusal,) = done.report.as_json()["refused"]
    assert (refusal["reason"], refusal["rows"]) == ("too_old", 1)
    assert refusal["first_rows"] == []
    other = new_state(tmp_path / "other")
    ingest_rows(other, ROWS[1:])
    assert store_bytes(state) == store_bytes(other)


def test_a_freeze_leaves_out_what_has_grown_old_since(state: AgentState) -> None:
    keep_for(state, 12)
    ingest_rows(state, ROWS)
    later = NOW + datetime.timedelta(days=40)
    freeze_due(state, [MONTHLY], later, origin_of(state, state.settings(), later))
    folder = edition_folder(state, Period.MONTH, 30, "2026-02")
    assert folder is not None
    assert rows_in(folder) == 1
    assert rows_in(state.current) == 2


def test_an_old_edition_is_deleted_and_never_frozen_again(state: AgentState) -> None:
    ingest_rows(state, ROWS)
    freeze_due(state, [MONTHLY], NOW)
    keep_up(state, YEAR, NOW + datetime.timedelta(days=360))
    assert len(held_editions(state)) == 1
    later = NOW + datetime.timedelta(days=400)
    assert due(state, YEAR, later, lambda _: MODEL).editions == ("month-30/2026-01",)
    keep_up(state, YEAR, later)
    assert held_editions(state) == []
    assert not list((state.editions / "month-30").iterdir())
    assert freeze_due(state, [MONTHLY], NOW) == ([], [])


def test_a_part_of_another_model_is_not_guessed_at(state: AgentState) -> None:
    ingest_rows(state, ROWS)
    newer = load_model(MODEL_TEXT.replace("west]", "west, east]"), "small.yaml")
    with pytest.raises(PreconditionFailed) as caught:
        apply(state, YEAR, NOW, lambda _: newer)
    assert caught.value.reason == "RETENTION_MODEL"


@pytest.mark.parametrize("name", ["region", "nothing"])
def test_it_goes_by_a_calendar_dimension(state: AgentState, name: str) -> None:
    state.config.write_text(f'[retention]\nmonths = 1\nregistered = "{name}"\n')
    with pytest.raises(ConfigurationError) as caught:
        ingest_rows(state, ROWS)
    assert caught.value.reason == "RETENTION_DIMENSION"
    assert name in caught.value.sentence


@given(
    st.dates(datetime.date(2024, 1, 1), datetime.date(2030, 1, 1)), st.integers(1, 60)
)
def test_nothing_leaves_before_its_months_are_over(
    today: datetime.date, months: int
) -> None:
    codes = Leaving(today=today, months=months).codes(MODEL)
    leaves = MODEL.dimensions["registered_month"].leaves
    before = months_before(today, months)
    for code, leaf in enumerate(leaves):
        young = leaf == "unknown" or period_end(leaf) >= before
        assert (code in codes) != young
    assert before.day == 1
    assert (today.year - before.year) * 12 + today.month - before.month == months
