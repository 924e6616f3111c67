# SPDX-License-Identifier: Apache-2.0
"""The hub's database in memory: the same tables, gone at the end."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa

from accord.hub.db.sqlite import SqliteFile


class MemoryDatabase(SqliteFile):
    """SQLite on one connection that is never given back."""

    def __init__(self) -> None:
        """Prepare an empty one."""
        super().__init__(Path(":memory:"))

    def engine(self, busy_seconds: float) -> sa.Engine:
        """Return an engine with one connection for all threads, one at a time."""
        engine = sa.create_engine(
            "sqlite://",
            hide_parameters=True,
            poolclass=sa.QueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=60,
            connect_args={"isolation_level": None, "check_same_thread": False},
        )
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", _begin)
        return engine

    def reader(self, engine: sa.Engine) -> sa.Engine:
        """Return the same engine: there is no other connection to read with."""
        return engine

    def prepare(self) -> None:
        """There is no file to make."""

    def is_there(self) -> bool:
        """Tell that there is no file to look for."""
        return True


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("foreign_keys = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
