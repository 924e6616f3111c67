# SPDX-License-Identifier: Apache-2.0
"""A case-management database in one SQLite file, and an agency that reads it."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from accord.agent.intake.build import CASES, PERSONS
from accord.agent.intake.ingest import Ingested, ingest
from accord.agent.intake.parts import PARTS
from accord.agent.state import AgentState
from tests.unit.agent.agencies import (
    HEADER,
    LIMITS,
    MAPPING_TEXT,
    NOW,
    Row,
    mapping,
    new_state,
    store_bytes,
)

COLUMNS = (*HEADER, "updated_at")

TABLE_TEXT = MAPPING_TEXT.replace(
    "person:", "source: {database: office, table: cases}\nperson:"
)

FOLLOWING_TEXT = MAPPING_TEXT.replace(
    "person:",
    "source: {database: office, table: cases, changed: updated_at}\nperson:",
)


class CaseDatabase:
    """The table `cases` of an office."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._run(f"CREATE TABLE cases ({', '.join(f'{n} TEXT' for n in COLUMNS)})")

    def put(self, rows: Sequence[Row], moment: datetime.datetime | str = NOW) -> None:
        """Add rows that were written at a moment."""
        told = moment if isinstance(moment, str) else moment.isoformat(" ")
        marks = ", ".join("?" for _ in COLUMNS)
        with contextlib.closing(sqlite3.connect(self.file)) as connection, connection:
            connection.executemany(
                f"INSERT INTO cases VALUES ({marks})",
                [[one.get(name) for name in HEADER] + [told] for one in rows],
            )

    def run(self, statement: str, *values: object) -> None:
        """Change something, with values in the place of question marks."""
        self._run(statement, *values)

    def _run(self, statement: str, *values: object) -> None:
        with contextlib.closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(statement, values)


def office_state(folder: Path, file: Path) -> AgentState:
    """Make a state directory whose settings name the database."""
    state = new_state(folder)
    text = f'[databases.office]\nurl = "sqlite:///{file}"\n'
    state.config.write_text(text, encoding="utf-8")
    return state


def read_table(
    state: AgentState,
    text: str = FOLLOWING_TEXT,
    now: datetime.datetime = NOW,
    *,
    everything: bool = False,
) -> Ingested:
    """Ingest the table."""
    return ingest(state, mapping(text), [], LIMITS, now, everything=everything)


def stored(state: AgentState) -> dict[str, bytes]:
    """Return all that a store says of records, byte for byte, and its parts too."""
    found = store_bytes(state)
    for part in (state.current / PARTS).iterdir():
        for name in (CASES, PERSONS, "stamps.parquet"):
            if (part / name).exists():
                found[f"{part.name}/{name}"] = (part / name).read_bytes()
    return found
