# SPDX-License-Identifier: Apache-2.0
"""A SQLite file that the ledger may trust, through the standard library.

For programs that use SQLite without SQLAlchemy (agents). WAL with
``synchronous=FULL``: the usual ``NORMAL`` may lose the newest commits when the power
fails, and budget would be spent twice.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from accord.core.errors import AccordError, PreconditionFailed, Unreachable
from accord.ledger.transaction import Transaction

BUSY_SECONDS: Final = 30.0
"""How long a writer waits for the one before it."""

_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CAUSES: Final = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_IOERR: "the disk reports an error: see the system's log",
    sqlite3.SQLITE_READONLY: "this program may not write it: check owner and mode",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check its folder, owner and mode",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore it from a copy",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: restore it from a copy",
}
"""By primary result code."""


def open_database(
    path: Path, *, busy_seconds: float = BUSY_SECONDS
) -> sqlite3.Connection:
    """Open the file, or make it readable for its owner only.

    One connection per thread. Nothing is begun implicitly: use `transaction`.

    Raises:
        PreconditionFailed: it cannot be opened, or is no database.
        Unreachable: another program keeps it locked.
    """
    try:
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
    except (OSError, sqlite3.OperationalError) as error:
        raise _explained(sqlite3.SQLITE_CANTOPEN, path.name) from error
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "fullfsync = ON",  # macOS: fsync alone leaves data in the drive's cache
            "foreign_keys = ON",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.Error as error:
        connection.close()
        raise _explained(_primary(error), path.name) from error
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[Transaction]:
    """Begin at once as the only writer; commit at the end, roll back on any error.

    An error of SQLite leaves as one of ours with the way out; all others pass as they
    are. Once the block is left without an error, what it wrote survives a power cut.

    Raises:
        PreconditionFailed: the disk is full, or the file cannot be written.
        Unreachable: another program keeps the database locked.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite may have rolled back by itself
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        _explain(error, connection)
        raise


def _explain(error: sqlite3.Error, connection: sqlite3.Connection) -> None:
    """Raise one of our errors for what the person who runs the program can mend."""
    code = _primary(error)
    if code in _BUSY or code in _CAUSES:
        files = connection.execute("PRAGMA database_list").fetchall()
        raise _explained(code, Path(files[0][2]).name or "in memory") from error


def _explained(code: int, name: str) -> AccordError:
    if code in _BUSY:
        return Unreachable(
            "DATABASE_LOCKED",
            f"Database {name} is locked by another program that has not let go of it"
            " in time: see which one has it open, then try again. Nothing was changed.",
        )
    cause = _CAUSES.get(code, f"SQLite reports result {code}: restore it from a copy")
    return PreconditionFailed(
        "DATABASE_UNUSABLE",
        f"Database {name} cannot be used, {cause}. What was not committed is undone.",
    )


def _primary(error: sqlite3.Error) -> int:
    """Return the result code without its extension; 0 for an error of the module."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
