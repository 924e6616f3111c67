# SPDX-License-Identifier: Apache-2.0
"""Transactions on the hub's database that survive a power cut, or did not happen.

SQLite in WAL mode with ``synchronous=FULL`` and one connection: writers begin with
``BEGIN IMMEDIATE``, so nobody reads something and then loses the race to write. A
server calls `Store.run`, which keeps all its work on one thread; other processes (the
command line) wait for their turn at the file.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import datetime as dt
import functools
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import sqlalchemy as sa

from accord.core.errors import ConfigurationError, Unreachable
from accord.hub.db.tables import FORMAT, GROWING_ONLY, META, METADATA
from accord.ledger import check_schema, create_schema, verify

BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another process to let go of the file."""

Given = ParamSpec("Given")
Found = TypeVar("Found")

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_READ_ONLY: Final = "accord_read_only"


def microseconds(moment: dt.datetime) -> int:
    """Return a moment as the database keeps it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(count: int) -> dt.datetime:
    """Return the moment (UTC) for microseconds since 1970."""
    return _EPOCH + count * _MICROSECOND


@functools.lru_cache(maxsize=256)
def _statement(sql: str) -> sa.TextClause:
    return sa.text(sql)


class LedgerTransaction:
    """The ledger's view of an open transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        """Wrap a connection whose transaction somebody else will end."""
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is really open."""
        return self._connection.in_transaction()

    def execute(self, sql: str, parameters: Mapping[str, Any], /) -> _Rows:
        """Run one statement with named parameters."""
        return _Rows(self._connection.execute(_statement(sql), dict(parameters)))


class _Rows:
    def __init__(self, result: sa.CursorResult[Any]) -> None:
        self._result = result

    @property
    def rowcount(self) -> int:
        return int(self._result.rowcount)

    def fetchall(self) -> Sequence[Sequence[Any]]:
        return self._result.fetchall()


class Store:
    """The hub's database file."""

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        """Prepare to open *path*; nothing is touched before the first transaction."""
        self._path = path
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            pool_size=1,
            max_overflow=0,
            connect_args={
                "isolation_level": None,
                "timeout": busy_seconds,
                "check_same_thread": False,
            },
        )
        sa.event.listen(self._engine, "connect", _prepare)
        sa.event.listen(self._engine, "begin", _begin)
        self._thread = concurrent.futures.ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="store"
        )

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Begin as the only writer; commit at the end, roll back on any error.

        Raises:
            Unreachable: STORE_UNAVAILABLE, nothing was changed.
        """
        with _explained(self._path), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Look at one moment of the database without waiting for writers.

        Raises:
            Unreachable: STORE_UNAVAILABLE.
        """
        reader = self._engine.execution_options(**{_READ_ONLY: True})
        with _explained(self._path), reader.begin() as connection:
            yield connection

    async def run(
        self,
        work: Callable[Given, Found],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> Found:
        """Call *work* on the database's thread; it ends even if the caller does not."""
        call = functools.partial(work, *args, **kwargs)
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, call))

    def create(self) -> None:
        """Make the tables in a file that only its owner can read."""
        with _explained(self._path):
            self._path.touch(mode=0o600)
        with self.write() as connection:
            METADATA.create_all(connection, checkfirst=False)
            for statement in GROWING_ONLY:
                connection.execute(sa.text(statement))
            connection.execute(META.insert(), {"one": 1, "format": FORMAT})
            create_schema(LedgerTransaction(connection))

    def check(self) -> int:
        """Refuse a database that this program cannot trust; return the ledger's height.

        Raises:
            ConfigurationError: it is missing, or has another format.
            IntegrityError: the ledger contradicts itself.
        """
        if not self._path.is_file():
            raise ConfigurationError(
                "DATABASE_MISSING",
                f"There is no database {self._path.name} in the hub's state: run"
                " `accord-hub init`, or restore the newest copy.",
            )
        with self.read() as connection:
            if not sa.inspect(connection).has_table(META.name):
                raise ConfigurationError(
                    "DATABASE_FORMAT",
                    f"The file {self._path.name} is no database of a hub.",
                )
            found = connection.execute(sa.select(META.c.format)).scalar_one()
            if found != FORMAT:
                raise ConfigurationError(
                    "DATABASE_FORMAT",
                    f"The hub's database has format {found}, and this version of Accord"
                    f" knows format {FORMAT} only: install the version that wrote it.",
                    found=str(found),
                    expected=str(FORMAT),
                )
            ledger = LedgerTransaction(connection)
            check_schema(ledger)
            return verify(ledger)

    def close(self) -> None:
        """Finish what was begun and let go of the file."""
        self._thread.shutdown(wait=True)
        self._engine.dispose()


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


_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CLOSED: Final = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what an error of the database means for the people who wait for it."""
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise _unavailable(path, "it is busy") from error
    except sa.exc.DBAPIError as error:
        cause = _cause(error.orig)
        if cause is None:
            raise
        raise _unavailable(path, cause) from error
    except sqlite3.Error as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise _unavailable(path, cause) from error
    except OSError as error:
        raise _unavailable(path, f"{error.strerror or 'it cannot be read'}") from error


def _cause(error: BaseException | None) -> str | None:
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


def _unavailable(path: Path, cause: str) -> Unreachable:
    return Unreachable(
        "STORE_UNAVAILABLE",
        f"The hub cannot use its database {path.name} now: {cause}. Nothing was"
        " changed and nothing is lost; try again later with the same id.",
    )
