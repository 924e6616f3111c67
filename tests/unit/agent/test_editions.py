# SPDX-License-Identifier: Apache-2.0
"""Editions are frozen by the calendar, once, and do not change."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from accord.agent.state import AgentState
from accord.agent.store.editions import (
    Calendar,
    edition_folder,
    freeze_due,
    held_editions,
    number_of,
)
from accord.core.calendar import Period
from accord.core.errors import IntegrityError
from accord.core.model import load_model
from tests.unit.agent.agencies import (
    MODEL,
    MODEL_TEXT,
    NOW,
    ingest_rows,
    new_state,
    row,
)

MONTHLY = Calendar(every=Period.MONTH, embargo_days=30, model=MODEL)
QUARTERLY = Calendar(every=Period.QUARTER, embargo_days=0, model=MODEL)


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return new_state(tmp_path / "state")


def content(state: AgentState, calendar: Calendar, name: str) -> dict[str, bytes]:
    folder = edition_folder(state, calendar.every, calendar.embargo_days, name)
    assert folder is not None
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_edition_waits_for_a_store(state: AgentState) -> None:
    frozen, waiting = freeze_due(state, [MONTHLY], NOW)
    assert frozen == []
    assert [(wait.name, wait.reason) for wait in waiting] == [
        ("2026-01", "STORE_ABSENT")
    ]


def test_an_edition_waits_for_its_data_model(state: AgentState) -> None:
    ingest_rows(state, [row()])
    newer = load_model(MODEL_TEXT.replace("west]", "west, east]"), "small.yaml")
    calendar = Calendar(every=Period.MONTH, embargo_days=30, model=newer)
    frozen, waiting = freeze_due(state, [calendar], NOW)
    assert (frozen, waiting[0].reason) == ([], "STORE_MODEL")
    # Another agreement on the same calendar has the right one.
    frozen, waiting = freeze_due(state, [calendar, MONTHLY], NOW)
    assert (len(frozen), waiting) == (1, [])


def test_what_is_due_is_frozen_once(state: AgentState) -> None:
    ingest_rows(state, [row()])
    frozen, _ = freeze_due(state, [MONTHLY, QUARTERLY], NOW)
    assert [(each.name, each.number) for each in frozen] == [
        ("2026-01", 2026 * 12),
        ("2025-Q4", 2025 * 4 + 3),
    ]
    before = content(state, MONTHLY, "2026-01")
    ingest_rows(state, [row(), row(first="Bela")])
    assert freeze_due(state, [MONTHLY, QUARTERLY], NOW) == ([], [])
    assert content(state, MONTHLY, "2026-01") == before
    later = NOW + datetime.timedelta(days=31)
    frozen, _ = freeze_due(state, [MONTHLY, QUARTERLY], later)
    assert [each.name for each in frozen] == ["2026-02", "2026-Q1"]
    assert content(state, MONTHLY, "2026-02") != before
    assert [each.name for each in held_editions(state)] == [
        "2026-01",
        "2026-02",
        "2025-Q4",
        "2026-Q1",
    ]


def test_an_edition_shares_the_disk_with_its_store(state: AgentState) -> None:
    ingest_rows(state, [row()])
    freeze_due(state, [MONTHLY], NOW)
    folder = edition_folder(state, Period.MONTH, 30, "2026-01")
    assert folder is not None
    for path in folder.glob("*.npy"):
        assert path.samefile(state.current / path.name)
        assert path.stat().st_mode & 0o777 == 0o400
    assert folder.stat().st_mode & 0o777 == 0o500
    assert not (folder / "parts").exists()


def test_a_lost_edition_is_not_frozen_again(state: AgentState) -> None:
    import shutil

    ingest_rows(state, [row()])
    freeze_due(state, [MONTHLY], NOW)
    shutil.rmtree(state.editions / "month-30" / "2026-01")
    assert freeze_due(state, [MONTHLY], NOW) == ([], [])
    assert edition_folder(state, Period.MONTH, 30, "2026-01") is None


def test_a_crash_before_the_edition_is_remembered_is_healed(state: AgentState) -> None:
    ingest_rows(state, [row()])
    freeze_due(state, [MONTHLY], NOW)
    before = content(state, MONTHLY, "2026-01")
    with state.ledger() as connection:
        connection.execute("DELETE FROM edition")
    ingest_rows(state, [row(first="Bela")])
    assert freeze_due(state, [MONTHLY], NOW) == ([], [])
    assert content(state, MONTHLY, "2026-01") == before


def test_what_a_crash_left_half_done_is_no_edition(state: AgentState) -> None:
    ingest_rows(state, [row()])
    left = state.editions / "month-30" / ".partial-1234"
    left.mkdir(parents=True)
    (left / "region.npy").write_bytes(b"")
    assert held_editions(state) == []
    frozen, _ = freeze_due(state, [MONTHLY], NOW)
    assert len(frozen) == 1
    assert not left.exists()


def test_a_damaged_edition_is_named(state: AgentState) -> None:
    ingest_rows(state, [row()])
    freeze_due(state, [MONTHLY], NOW)
    folder = state.editions / "month-30" / "2026-01"
    (folder / "edition.json").chmod(0o600)
    (folder / "edition.json").write_text("{}")
    with pytest.raises(IntegrityError, match="month-30/2026-01"):
        held_editions(state)


@pytest.mark.parametrize(
    ("every", "name", "following"),
    [
        (Period.MONTH, "2025-12", "2026-01"),
        (Period.QUARTER, "2025-Q4", "2026-Q1"),
        (Period.YEAR, "2025", "2026"),
    ],
)
def test_numbers_have_no_gaps(every: Period, name: str, following: str) -> None:
    assert number_of(every, following) == number_of(every, name) + 1


@pytest.mark.parametrize("name", ["..", "../..", "2026-01/..", "", "2026-13"])
def test_a_strange_name_is_no_edition(state: AgentState, name: str) -> None:
    assert edition_folder(state, Period.MONTH, 30, name) is None
