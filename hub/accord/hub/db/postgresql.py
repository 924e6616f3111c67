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

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from accord.core.errors import ConfigurationError, Unreachable

if TYPE_CHECKING:
    import psycopg

SCHEMES: Final = ("postgresql://", "postgres://")

_WRITER: Final = 0x4143_434F_5244_0001
"""Advisory lock of the one writer."""

_LAYOUT: Final = 0x4143_434F_5244_0002
"""Advisory lock on what the tables look like: shared by users, alone to migrate."""

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

_STALLED_WRITER: Final = "60s"
"""A writer that says nothing for so long loses its transaction to those who wait."""

_WEAKER: Final = ("off", "local", "remote_write")
"""Settings of ``synchronous_commit`` that can lose what was committed."""

_CAUSES: Final = {
    "08": "it cannot be reached",
    "25006": "it can only be read now, as a standby",
    "25P03": "this program was silent for too long in the middle of its work",
    "28": "it does not let this user in",
    "3D": "that server has no such database",
    "3F": "it has no schema that this user may use",
    "40": "another program was in the way",
    "42501": "this user may not do this there",
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

    def begin_writing(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER})")
        if self.migrating:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LAYOUT})")

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
        from psycopg.conninfo import make_conninfo

        return psycopg.connect(make_conninfo(self.url, **self._defaults()))

    def cause(self, error: BaseException | None) -> str | None:
        import psycopg

        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate
        if state is None:
            unreachable = isinstance(error, psycopg.OperationalError)
            return _CAUSES["08"] if unreachable else None
        for length in (5, 2):
            if state[:length] in _CAUSES:
                return _CAUSES[state[:length]]
        return None

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
        milliseconds = int(busy_seconds * 1000)
        for setting, value in (
            ("lock_timeout", f"{milliseconds}ms"),
            ("idle_in_transaction_session_timeout", _STALLED_WRITER),
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
