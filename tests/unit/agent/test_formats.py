# SPDX-License-Identifier: Apache-2.0
"""Databases that earlier versions of the agent have written are taken over whole.

``tests/golden/agent-format-N.sql`` is the database of an agency as the version with
that format left it: one question opened, one masked, one erased and one ready. They
were made by those versions and never change.
"""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accord.agent.rounds import schema
from accord.agent.rounds.history import Outcome, counts
from accord.agent.rounds.schema import FORMAT
from accord.agent.spending import account_of
from accord.agent.state import AgentState
from accord.agent.witness.suspicion import suspicions
from accord.core.errors import ConfigurationError
from accord.ledger import Unit, balance, verify
from accord.ledger.sqlite import transaction
from tests.unit.agent.agencies import NOW, new_state
from tests.unit.agent.agreements import AGENCY

GOLDEN = Path(__file__).parents[2] / "golden"
FORMATS = range(2, FORMAT + 1)


def old_state(folder: Path, number: int) -> AgentState:
    """Return a state whose database is of a format."""
    state = new_state(folder)
    for name in ("agent.db", "agent.db-wal", "agent.db-shm"):
        (state.root / name).unlink(missing_ok=True)
    text = (GOLDEN / f"agent-format-{number}.sql").read_text(encoding="utf-8")
    with contextlib.closing(sqlite3.connect(state.database)) as connection:
        connection.executescript(text)
    return AgentState.open(state.root)


def look(state: AgentState, sql: str) -> list[Any]:
    """Read without anything that brings tables up to date."""
    with contextlib.closing(sqlite3.connect(state.database)) as connection:
        return connection.execute(sql).fetchall()


def format_of(state: AgentState) -> int:
    return int(look(state, "SELECT format FROM agent_head")[0][0])


def tables(state: AgentState) -> list[Any]:
    """Return the schema."""
    sql = (
        "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' "
        "ORDER BY name"
    )
    return [(name, re.sub(r"\s+", " ", text or "")) for name, text in look(state, sql)]


def dump(state: AgentState) -> list[str]:
    """Return all that is in the database."""
    with contextlib.closing(sqlite3.connect(state.database)) as connection:
        return list(connection.iterdump())


def test_every_format_has_a_database() -> None:
    """Whoever makes a new one puts the database of the one before beside the others."""
    kept = {path.stem for path in GOLDEN.glob("agent-format-*.sql")}
    assert kept == {f"agent-format-{number}" for number in FORMATS}


@pytest.mark.parametrize("number", FORMATS)
def test_it_is_taken_over(tmp_path: Path, number: int) -> None:
    state = old_state(tmp_path / "old", number)
    assert format_of(state) == number
    rounds = look(state, "SELECT query_id, state FROM round ORDER BY query_id")
    events = look(state, "SELECT * FROM ledger_event ORDER BY height")
    with state.ledger() as connection, transaction(connection) as tx:
        verify(tx)
        held = balance(tx, account_of(AGENCY), Unit.NANO_RHO, NOW)
        found = counts(tx)
    assert format_of(state) == FORMAT
    assert held.spent > 0
    assert held.reserved > 0
    assert {outcome: number for (outcome, _), number in found.items()} == {
        Outcome.OPENED: 1,
        Outcome.MASKED: 1,
        Outcome.ENDED: 1,
        Outcome.ASKED: 1,
    }
    assert look(state, "SELECT query_id, state FROM round ORDER BY query_id") == rounds
    assert look(state, "SELECT * FROM ledger_event ORDER BY height") == events
    assert tables(state) == tables(AgentState.create(tmp_path / "new"))


MADE_WHEN_NEEDED = """
CREATE TABLE suspicion (
    reason TEXT NOT NULL PRIMARY KEY,
    at TEXT NOT NULL,
    evidence TEXT
);
INSERT INTO suspicion VALUES ('EQUIVOCATION', '2026-01-31T12:00:00+00:00', NULL);
"""
"""What versions before format 6 added to a database that had to doubt its hub."""


@pytest.mark.parametrize("number", range(3, 6))
def test_what_earlier_versions_made_when_needed_is_kept(
    tmp_path: Path, number: int
) -> None:
    state = old_state(tmp_path / "old", number)
    with contextlib.closing(sqlite3.connect(state.database)) as connection:
        connection.executescript(MADE_WHEN_NEEDED)
    assert [each.reason for each in suspicions(state)] == ["EQUIVOCATION"]
    assert tables(state) == tables(AgentState.create(tmp_path / "new"))


VICTIM = """
import os, signal, sys
from pathlib import Path
from accord.agent.rounds import schema
from accord.agent.state import AgentState

class Cut(tuple):
    def __iter__(self):
        for place, statement in enumerate(super().__iter__()):
            if place == int(sys.argv[3]):
                os.kill(os.getpid(), signal.SIGKILL)
            yield statement

last = int(sys.argv[2])
schema._STEPS[last] = Cut(schema._STEPS[last])
with AgentState.open(Path(sys.argv[1])).ledger():
    sys.exit("it was not killed")
"""
"""Brings a database up to date, and is killed before one statement of one step."""


@pytest.mark.parametrize(("step", "place"), [(2, 2), (4, 1), (FORMAT - 1, 0)])
def test_a_power_cut_in_the_middle_leaves_the_old_one(
    tmp_path: Path, step: int, place: int
) -> None:
    state = old_state(tmp_path / "old", 2)
    before = tables(state)
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, str(state.root), str(step), str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert format_of(state) == 2
    assert tables(state) == before
    with state.ledger() as connection, transaction(connection) as tx:
        verify(tx)
    assert format_of(state) == FORMAT


@pytest.mark.parametrize(
    "use",
    [
        lambda state: state.ledger().__enter__(),
        lambda state: AgentState.create(state.root),
    ],
)
def test_a_newer_one_is_refused_and_not_touched(
    tmp_path: Path, use: Callable[[AgentState], object]
) -> None:
    state = old_state(tmp_path / "new", FORMAT)
    with contextlib.closing(sqlite3.connect(state.database)) as connection:
        connection.execute(f"UPDATE agent_head SET format = {FORMAT + 1}")
        connection.commit()
    before = dump(state)
    with pytest.raises(ConfigurationError, match="newer version") as caught:
        use(state)
    assert caught.value.reason == "STATE_FORMAT"
    assert str(state.database) in caught.value.sentence
    assert dump(state) == before


def test_every_step_leads_to_the_next_format() -> None:
    assert sorted(schema._STEPS) == list(FORMATS)[:-1]
    for number, statements in schema._STEPS.items():
        assert f"format = {number + 1}" in statements[-1]
