# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: a server that several hubs can share.

One advisory lock makes whoever writes the only writer of all processes, so every
transaction reads what the one before it committed (READ COMMITTED is enough) and
nothing deadlocks. Readers see one moment (REPEATABLE READ, READ ONLY). A commit waits
for the disk whatever the server's default is.

Every connection of a hub also holds a lock that it shares with all others, as long as
it lives: a migration needs it alone, so no program goes on with tables that it does
not know. That takes connections of the database's own, not of a pool that lends them
for a transaction.

The password, if there is one, is never shown: a place is named without it, and what
the driver says, which may repeat what was typed, is put into words of ours.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from accord.core.errors import ConfigurationError, Unreachable
from accord.hub.db.place import Mark
from accord.hub.db.revisions import VERSION, require_newest

if TYPE_CHECKING:
    import psycopg

SCHEMES: Final = ("postgresql://", "postgres://")

_WRITER: Final = 0x4143_434F_5244_0001
"""Advisory lock of the one writer."""

_LAYOUT: Final = 0x4143_434F_5244_0002
"""Advisory lock on what the tables look like: shared by users, alone to migrate."""

_BEGIN: Final = sa.text(
    """
SELECT set_config('idle_in_transaction_session_timeout', :stalled, true),
    pg_advisory_xact_lock(:lock)
"""
).bindparams(lock=_WRITER)

_BEGIN_MARKED: Final = sa.text(
    """
WITH alone AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(:lock),
        set_config('idle_in_transaction_session_timeout', :stalled, true) AS stalled,
        CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint) AS at
)
INSERT INTO writers (writer, number, at)
SELECT :writer, :number, at FROM alone WHERE stalled IS NOT NULL
ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at
"""
).bindparams(lock=_WRITER)

_FORGET_WRITERS: Final = sa.text(
    """
DELETE FROM writers
WHERE at < EXTRACT(EPOCH FROM clock_timestamp() - INTERVAL '7 days') * 1000000
"""
)

_ALONE: Final = sa.text(f"SELECT pg_try_advisory_xact_lock({_LAYOUT})")

_NEWEST: Final = sa.text("SELECT number FROM writers WHERE writer = :writer")

_SETTINGS: Final = sa.text(
    """
SELECT current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    d.datcollate AS collation, pg_encoding_to_char(d.encoding) AS encoding,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser
FROM pg_database d WHERE d.datname = current_database()
"""
)

_STABLE_ORDERS: Final = ("C", "C.UTF-8", "C.utf8", "POSIX")

_SECRETS: Final = ("password", "sslpassword")

_VERIFIED: Final = ("verify-full", "verify-ca")

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

_RESTART_SECONDS: Final = 60.0
"""How long an outcome is asked for."""

_PAUSE_SECONDS: Final = 0.25

_OLDEST_SERVER: Final = 14_00_00

_CONNECTIONS: Final = 4
"""Of one process at a time."""

_DEFAULTS: Final = {
    "application_name": "accord-hub",
    "connect_timeout": "10",
    # A server that is gone without a word is found out in half a minute.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}

_STALLED: Final = "10min"
"""A program that says nothing for so long in the middle of its work loses it: one that
verifies a long log has much to do between two statements."""

_STALLED_WRITER: Final = "15s"
"""The same for one that others wait for."""

_WEAKER: Final = ("off", "local", "remote_write")
"""Settings of ``synchronous_commit`` that can lose what was committed."""

_LOST: Final = "it cannot be reached, or does not let this program in"

_REFUSED: Final = "it does not take this user, password or name of a database"

_CAUSES: Final = {
    "08": "it cannot be reached",
    "0A000": "it can only be read now, as a standby",  # to a transaction that writes
    "25006": "it can only be read now, as a standby",
    "25P03": "this program was silent for too long in the middle of its work",
    "28": "it does not let this user in",
    "3D": "that server has no such database",
    "3F": "it has no schema that this user may use",
    "40": "another program was in the way",
    "42501": "this user may not do this there",
    "55000": "it can only be read now, as a standby",
    "53100": "its disk is full",
    "53300": "it has too many connections already",
    "53": "it has no room left",
    "55P03": "another program keeps it locked",
    "57": "it is starting, stopping, or ended the connection",
    "58": "its disk cannot be read or written",
    "XX": "it is damaged: the operator has to restore it from a copy",
}
"""What the beginning of an SQLSTATE means for people who wait."""


@dataclasses.dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """A database on a server, named by a libpq URL."""

    url: str = dataclasses.field(repr=False)
    migrating: bool = False
    """Whether this program is here to change the tables."""

    @property
    def dialect(self) -> str:
        return "postgresql"

    @property
    def name(self) -> str:
        parts = self._parts()
        host = parts.get("host") or parts.get("hostaddr") or ""
        where = f" on {host}" if host and not host.startswith("/") else ""
        return f"{parts.get('dbname') or parts.get('service') or 'of its user'}{where}"

    def has_secret(self) -> bool:
        return any(self._parts().get(secret) for secret in _SECRETS)

    def engine(self, busy_seconds: float) -> sa.Engine:
        self._parts()
        return sa.create_engine(
            "postgresql+psycopg://",
            creator=lambda: self._connected(busy_seconds),
            hide_parameters=True,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
        )

    def reader(self, engine: sa.Engine) -> sa.Engine:
        return engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    def begin_writing(self, connection: sa.Connection, mark: Mark | None) -> None:
        if self.migrating or mark is None:
            connection.execute(_BEGIN, {"stalled": _STALLED})
        else:
            named = dataclasses.asdict(mark)
            connection.execute(_BEGIN_MARKED, {"stalled": _STALLED_WRITER} | named)
            if mark.number == 1:
                connection.execute(_FORGET_WRITERS)
        if self.migrating and not connection.execute(_ALONE).scalar_one():
            raise ConfigurationError(
                "DATABASE_IN_USE",
                f"Some program of a hub uses the database {self.name}: stop every hub"
                " before it is migrated. Nothing was changed.",
            )

    def was_committed(self, engine: sa.Engine, mark: Mark) -> bool | None:
        """Look for the mark, for as long as a restart takes.

        The server may still be at the commit: whoever has the writers' lock knows that
        it is not. A number of PostgreSQL's own (``pg_xact_status``) would not do, since
        a server that crashed gives it to another transaction.
        """
        if self.migrating:
            return None
        until = time.monotonic() + _RESTART_SECONDS
        while time.monotonic() < until:
            with (
                contextlib.suppress(sa.exc.DBAPIError, Unreachable),
                engine.connect() as connection,
            ):
                connection.execute(_BEGIN, {"stalled": _STALLED_WRITER})
                found = connection.execute(_NEWEST, {"writer": mark.writer}).scalar()
                return found == mark.number
            time.sleep(_PAUSE_SECONDS)
        return None

    def dangers(self, connection: sa.Connection) -> list[str]:
        row = connection.execute(_SETTINGS).one()
        found = []
        if row.fsync != "on" or row.full_page_writes != "on":
            found.append(
                "the database's server does not wait for its disk (fsync or"
                " full_page_writes is off): a power cut can forget spent budget."
            )
        if row.collation not in _STABLE_ORDERS:
            found.append(
                f"the database sorts by {row.collation}, which an upgrade of the"
                " server's system can change under its indexes: make it with LOCALE"
                " 'C' and ENCODING 'UTF8'."
            )
        if row.encoding != "UTF8":
            found.append("the database's encoding is not UTF8: some names do not fit.")
        if row.superuser:
            found.append(
                "the hub is a superuser of the database's server: give it a user of its"
                " own."
            )
        if not _is_verified(connection):
            found.append(
                "the connection to the database does not verify the server: add"
                " sslmode=verify-full to its URL."
            )
        return found

    def prepare(self) -> None:
        """An administrator made the database."""

    def is_there(self) -> bool:
        return True

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection for whoever listens or holds a lock of its own.

        Raises:
            psycopg.OperationalError: it cannot be reached.
        """
        import psycopg

        return psycopg.connect(self.conninfo())

    def conninfo(self) -> str:
        """Return what libpq connects with, the password included."""
        from psycopg.conninfo import make_conninfo

        return make_conninfo(self.url, **self._defaults())

    def cause(self, error: BaseException | None) -> str | None:
        import psycopg

        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate
        if state is None:
            return _no_connection(error)
        return _CAUSES.get(state) or _CAUSES.get(state[:2])

    def _parts(self) -> dict[str, Any]:
        """Return the parts of the URL.

        Raises:
            ConfigurationError: DATABASE_URL, or DATABASE_DRIVER.
        """
        try:
            import psycopg
            import psycopg.conninfo
        except ImportError:
            raise ConfigurationError(
                "DATABASE_DRIVER",
                "The driver for PostgreSQL is not installed: install"
                " `accord[hub,postgresql]`.",
            ) from None
        try:
            return psycopg.conninfo.conninfo_to_dict(self.url)
        except psycopg.ProgrammingError:
            raise ConfigurationError(
                "DATABASE_URL",
                "The setting `database` is no URL of PostgreSQL: write"
                " postgresql://USER@HOST/NAME?sslmode=verify-full.",
            ) from None

    def _defaults(self) -> dict[str, str]:
        parts = self._parts()
        return {key: value for key, value in _DEFAULTS.items() if key not in parts}

    def _connected(self, busy_seconds: float) -> psycopg.Connection[Any]:
        connection = self.connect()
        try:
            self._set_up(connection, busy_seconds)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: psycopg.Connection[Any], busy_seconds: float) -> None:
        if connection.info.server_version < _OLDEST_SERVER:
            raise ConfigurationError(
                "DATABASE_SERVER",
                f"The server of the hub's database {self.name} is older than PostgreSQL"
                f" {_OLDEST_SERVER // 10_000}: upgrade it.",
            )
        milliseconds = int(busy_seconds * 1000)
        for setting, value in (
            ("lock_timeout", f"{milliseconds}ms"),
            ("idle_in_transaction_session_timeout", _STALLED),
        ):
            connection.execute("SELECT set_config(%s, %s, false)", (setting, value))
        durable = connection.execute("SHOW synchronous_commit").fetchone()
        if durable is not None and durable[0] in _WEAKER:
            connection.execute("SET synchronous_commit = on")
        if self.migrating:
            return
        held = connection.execute(
            "SELECT pg_try_advisory_lock_shared(%s)", (_LAYOUT,)
        ).fetchone()
        if held is None or not held[0]:
            raise Unreachable(
                "STORE_UNAVAILABLE",
                f"The hub's database {self.name} is being migrated now. Nothing was"
                " changed and nothing is lost; try again later with the same id.",
            )
        table = connection.execute("SELECT to_regclass(%s)", (VERSION.name,)).fetchone()
        if table is not None and table[0] is not None:
            found = connection.execute("SELECT version_num FROM alembic_version")
            require_newest(", ".join(row[0] for row in found), self.name)


def _is_verified(connection: sa.Connection) -> bool:
    """Tell whether nobody can stand between, wherever libpq has its settings from."""
    driver = connection.connection.driver_connection
    used = driver.info.get_parameters() if driver is not None else {}
    host = used.get("host", "")
    local = host.startswith(("/", "@")) or host in ("", *_LOOPBACK)
    return local or used.get("sslmode") in _VERIFIED


def _no_connection(error: psycopg.Error) -> str | None:
    """Word an error that the server gave no number."""
    import psycopg

    if not isinstance(error, psycopg.OperationalError):
        return None
    # Known of attempts to connect only; it holds the password, and is not looked at
    # any further.
    asked = error.pgconn is not None and error.pgconn.used_password
    return _REFUSED if asked else _LOST
