# SPDX-License-Identifier: Apache-2.0
"""Transactions on the hub's database that survive a power cut, or did not happen.

A file by default (`accord.hub.db.sqlite`), or PostgreSQL
(`accord.hub.db.postgresql`); to whoever works in a transaction they are the same: one
writer at a time, readers at one moment. A server calls `Store.run`, which keeps all
its work on one thread; other processes wait for their turn.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import datetime as dt
import functools
import itertools
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import sqlalchemy as sa

from accord.core.errors import ConfigurationError, InternalError, Unreachable
from accord.hub.db.growing import guards
from accord.hub.db.place import BUSY_SECONDS, Mark, Place
from accord.hub.db.postgresql import SCHEMES, PostgresDatabase
from accord.hub.db.revisions import require_newest, revision, stamp
from accord.hub.db.shape import require_shape
from accord.hub.db.sqlite import SqliteFile
from accord.hub.db.tables import METADATA
from accord.hub.db.transaction import LedgerTransaction
from accord.hub.settings import HubSettings
from accord.hub.state import State
from accord.ledger import check_schema, create_schema, verify

__all__ = ["LedgerTransaction", "Store", "microseconds", "moment", "open_store"]

Given = ParamSpec("Given")
Found = TypeVar("Found")

_TURN_SECONDS: Final = 30.0
"""How long a writer waits for another thread of its own program."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def microseconds(moment: dt.datetime) -> int:
    """Return a moment as the database keeps it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(count: int) -> dt.datetime:
    """Return the moment (UTC) for microseconds since 1970."""
    return _EPOCH + count * _MICROSECOND


class Store:
    """The hub's database."""

    def __init__(
        self, place: Path | Place, *, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        """Prepare to open a file, or another place; nothing is touched yet."""
        self.place: Place = SqliteFile(place) if isinstance(place, Path) else place
        self._engine = self.place.engine(busy_seconds)
        self._reader = self.place.reader(self._engine)
        self._writer = secrets.token_hex(16)
        self._numbers = itertools.count(1)
        self._writing = threading.Lock()
        self._thread = concurrent.futures.ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="store"
        )

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.place.dialect

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Begin as the only writer; commit at the end, roll back on any error.

        Raises:
            Unreachable: STORE_UNAVAILABLE, nothing was changed.
            InternalError: STORE_OUTCOME_UNKNOWN, the answer to the commit was lost,
                and so was the database for long after: start again from what it has.
        """
        # One at a time, until it is known what became of it: the next would overwrite
        # the mark by which that is found out.
        if not self._writing.acquire(timeout=_TURN_SECONDS):
            raise _unavailable(self.place, "it is busy")
        try:
            with self._marked(Mark(self._writer, next(self._numbers))) as connection:
                yield connection
        finally:
            self._writing.release()

    @contextlib.contextmanager
    def _marked(self, mark: Mark | None) -> Iterator[sa.Connection]:
        place = self.place
        with (
            _explained(place),
            self._engine.connect() as connection,
            connection.begin() as transaction,
        ):
            place.begin_writing(connection, mark)
            yield connection
            try:
                transaction.commit()
            except sa.exc.DBAPIError as error:
                if not error.connection_invalidated:
                    # SQLite leaves the transaction open where its commit fails.
                    connection.connection.rollback()
                    raise
                if not self._was_committed(mark):
                    raise

    def _was_committed(self, mark: Mark | None) -> bool:
        """Find out what became of a transaction, or do not go on."""
        found = None
        if mark is not None:
            found = self.place.was_committed(self._engine, mark)
        if found is None:
            raise _unknown(self.place)
        return found

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Look at one moment of the database without waiting for writers.

        Raises:
            Unreachable: STORE_UNAVAILABLE.
        """
        with _explained(self.place), self._reader.begin() as connection:
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

    def require_empty(self) -> None:
        """Refuse a database in which somebody made tables.

        Raises:
            ConfigurationError: DATABASE_EXISTS.
        """
        with self.read() as connection:
            _require_empty(connection, self.place)

    def create(self) -> None:
        """Make the tables of the newest layout where there is nothing yet.

        Raises:
            ConfigurationError: DATABASE_EXISTS, somebody made tables there.
        """
        with _explained(self.place):
            self.place.prepare()
        with self._marked(None) as connection:
            _require_empty(connection, self.place)
            METADATA.create_all(connection, checkfirst=False)
            for statement in guards(self.dialect, METADATA):
                connection.execute(sa.text(statement))
            create_schema(LedgerTransaction(connection))
            stamp(connection)

    def check(self, *, guarded: bool = True) -> int:
        """Refuse a database that this program cannot trust; return the ledger's height.

        Args:
            guarded: refuse one without the triggers that keep what only grows, too.

        Raises:
            ConfigurationError: it is missing, or has another layout.
            IntegrityError: the ledger contradicts itself.
        """
        if not self.place.is_there():
            raise ConfigurationError(
                "DATABASE_MISSING",
                f"There is no database {self.place.name} in the hub's state: run"
                " `accord-hub init`, or restore the newest copy.",
            )
        with self.read() as connection:
            require_newest(revision(connection), self.place.name)
            require_shape(connection, self.place.name, guarded=guarded)
            ledger = LedgerTransaction(connection)
            check_schema(ledger)
            return verify(ledger)

    def dangers(self) -> list[str]:
        """Return what an operator should change about the database.

        Raises:
            Unreachable: STORE_UNAVAILABLE.
        """
        with self.read() as connection:
            return self.place.dangers(connection)

    def close(self) -> None:
        """Finish what was begun and let go of the database."""
        self._thread.shutdown(wait=True)
        self._engine.dispose()


def place_of(state: State, settings: HubSettings, *, migrating: bool = False) -> Place:
    """Return where the database of a hub is, perhaps to migrate it.

    Raises:
        ConfigurationError: DATABASE_URL, or DATABASE_DRIVER.
    """
    if settings.database is None:
        return SqliteFile(state.database)
    return named_place(settings.database.get_secret_value(), migrating=migrating)


def named_place(url: str, *, migrating: bool = False) -> Place:
    """Return the database that a URL names, perhaps to migrate it.

    Raises:
        ConfigurationError: DATABASE_URL, or DATABASE_DRIVER.
    """
    if not url.startswith(SCHEMES):
        raise ConfigurationError(
            "DATABASE_URL",
            "The setting `database` is no URL of PostgreSQL: write"
            " postgresql://USER@HOST/NAME?sslmode=verify-full, or leave it out for a"
            " file in the hub's state.",
        )
    return PostgresDatabase(url, migrating=migrating)


def open_store(state: State, settings: HubSettings) -> Store:
    """Return the store of a hub: THE way to get one.

    Raises:
        ConfigurationError: DATABASE_URL, or DATABASE_DRIVER.
    """
    return Store(place_of(state, settings))


def _require_empty(connection: sa.Connection, place: Place) -> None:
    if sa.inspect(connection).get_table_names():
        raise ConfigurationError(
            "DATABASE_EXISTS",
            f"The database {place.name} has tables already: name an empty one. Nothing"
            " was changed.",
        )


@contextlib.contextmanager
def _explained(place: Place) -> Iterator[None]:
    """Say what an error of the database means for the people who wait for it."""
    try:
        yield
    except sa.exc.TimeoutError as error:
        raise _unavailable(place, "it is busy") from error
    except sa.exc.DBAPIError as error:
        cause = place.cause(error.orig)
        if cause is None:
            raise
        raise _unavailable(place, cause) from error
    except sqlite3.Error as error:
        cause = place.cause(error)
        if cause is None:
            raise
        raise _unavailable(place, cause) from error
    except OSError as error:
        raise _unavailable(place, f"{error.strerror or 'it cannot be read'}") from error


def _unknown(place: Place) -> InternalError:
    return InternalError(
        "STORE_OUTCOME_UNKNOWN",
        f"The hub's database {place.name} went away in the middle of a commit, and"
        " whether it was kept is not known: start the hub again, which goes on from"
        " what the database has. Repeating a question with its id costs nothing more.",
    )


def _unavailable(place: Place, cause: str) -> Unreachable:
    return Unreachable(
        "STORE_UNAVAILABLE",
        f"The hub cannot use its database {place.name} now: {cause}. Nothing was"
        " changed and nothing is lost; try again later with the same id.",
    )
