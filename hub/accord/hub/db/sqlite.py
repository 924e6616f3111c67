# SPDX-License-Identifier: Apache-2.0
"""The default: one file, in WAL mode with ``synchronous=FULL`` and one connection.

Writers begin with ``BEGIN IMMEDIATE``, so nobody reads something and then loses the
race to write; readers see the last commit and wait for nobody.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from accord.hub.db.place import Mark

_READ_ONLY: Final = "accord_read_only"

_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CLOSED: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@dataclasses.dataclass(frozen=True, slots=True)
class SqliteFile:
    """A database file."""

    path: Path

    @property
    def dialect(self) -> str:
        return "sqlite"

    @property
    def name(self) -> str:
        return self.path.name

    def has_secret(self) -> bool:
        return False

    def engine(self, busy_seconds: float) -> sa.Engine:
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(self.path)),
            hide_parameters=True,
            pool_size=1,
            max_overflow=0,
            connect_args={
                "isolation_level": None,
                "timeout": busy_seconds,
                "check_same_thread": False,
            },
        )
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", _begin)
        return engine

    def reader(self, engine: sa.Engine) -> sa.Engine:
        return engine.execution_options(**{_READ_ONLY: True})

    def begin_writing(self, connection: sa.Connection, mark: Mark | None) -> None:
        """``BEGIN IMMEDIATE`` did it."""

    def was_committed(self, engine: sa.Engine, mark: Mark) -> bool | None:
        """A commit that fails did not happen."""
        return False

    def dangers(self, connection: sa.Connection) -> list[str]:
        return []

    def prepare(self) -> None:
        """Make a file that only its owner can read."""
        self.path.touch(mode=0o600)

    def is_there(self) -> bool:
        return self.path.is_file()

    def cause(self, error: BaseException | None) -> str | None:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return None
        primary = code & 0xFF
        if primary in _BUSY:
            return "another program keeps it locked"
        if primary in _FULL:
            return "the disk is full or cannot be written"
        if primary in _CLOSED:
            return "this program may not open or write it"
        if primary in _DAMAGED:
            return "it is damaged: the operator has to restore it from a copy"
        return None


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "fullfsync = ON",  # macOS: fsync alone leaves data in the drive's cache
        "foreign_keys = ON",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
