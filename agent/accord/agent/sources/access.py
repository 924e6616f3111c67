# SPDX-License-Identifier: Apache-2.0
"""Connections to an agency's databases: encrypted, silent in errors, and read-only.

Only tables of the agent's own are ever written (`accord.agent.pushdown`).

A connection to another machine is refused unless the server proves who it is; what is
sent there are records of persons. Passwords come from a file or a systemd credential.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accord.agent.keys.files import read_secret
from accord.agent.machine.looking import is_seen, may_be_file
from accord.agent.settings import CREDENTIALS, SPARK, Database
from accord.agent.sources.complaints import sorted_out
from accord.agent.sources.drivers import (
    CONNECT_SECONDS,
    DRIVERS,
    EXTRAS,
    PREPARING,
    begin_sqlite,
    driver_errors,
    is_loopback,
    mysql_tls,
    open_sqlite,
    postgresql_tls,
)
from accord.agent.sources.spark import spark_in
from accord.core.errors import ConfigurationError, suggestion

if TYPE_CHECKING:
    import sqlalchemy as sa

_LARGEST_SECRET = 4096


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A database of the settings, with where its secrets are looked for."""

    name: str
    database: Database
    folder: Path
    """State directory: relative paths in the settings begin there."""
    writes: bool = False
    """Whether the agent's own tables there are made or changed; else it only reads."""

    @property
    def kind(self) -> str:
        """Scheme of the URL."""
        return self.database.url.partition(":")[0]

    def engine(self) -> sa.Engine:
        """Return an engine that connects when it is used.

        Raises:
            ConfigurationError: DATABASE_COUNTS_ONLY, DATABASE_DRIVER, DATABASE_PATH,
                DATABASE_SECRET, DATABASE_TLS, SECRET_EXPOSED or SECRET_UNREADABLE.
        """
        if self.kind == SPARK:
            raise self.counts_only()
        try:
            import sqlalchemy as sa
            from sqlalchemy.pool import NullPool
        except ImportError:
            raise self.no_driver() from None
        url = sa.make_url(self.database.url).set(drivername=DRIVERS[self.kind])
        options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
        try:
            if self.kind == "sqlite":
                file = self._file(url)
                options["creator"] = lambda: open_sqlite(file, writes=self.writes)
            else:
                password = self.password()
                if password is not None:
                    url = url.set(password=password)
                options["connect_args"] = self._arguments(url)
            if self.kind == "postgresql":
                options["isolation_level"] = "REPEATABLE READ"
            engine = sa.create_engine(url, **options)
        except ImportError:
            raise self.no_driver() from None
        if not self.writes:
            sa.event.listen(engine, "connect", PREPARING[DRIVERS[self.kind]])
        if self.kind == "sqlite":
            sa.event.listen(engine, "begin", begin_sqlite)
        return engine

    def reach(self) -> None:
        """Connect, and let go again; raises what `connected` or `spark_in` does."""
        with spark_in(self) if self.kind == SPARK else self.connected():
            pass

    @contextlib.contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Open a connection whose reads all see one moment, where the server can.

        Raises:
            Unreachable: DATABASE_UNREACHABLE.
            ConfigurationError: as `engine`, DATABASE_LOGIN or DATABASE_TLS.
        """
        engine = self.engine()
        with self.explained(connecting=True):
            connection = engine.connect()
        try:
            if self.kind == "postgresql" and not self.writes:
                connection = connection.execution_options(postgresql_readonly=True)
            yield connection
        finally:
            # A connection that broke cannot say goodbye either.
            with contextlib.suppress(Exception):
                connection.close()
            engine.dispose()

    @contextlib.contextmanager
    def explained(self, *, connecting: bool = False) -> Iterator[None]:
        """Turn a driver's complaint into a sentence of ours."""
        try:
            yield
        except driver_errors(self.kind) as error:
            raise sorted_out(error, self.name, connecting=connecting) from None

    def no_driver(self) -> ConfigurationError:
        """Return what is said where the driver is not installed."""
        extra = EXTRAS[self.kind]
        return ConfigurationError(
            "DATABASE_DRIVER",
            f"The database {self.name!r} needs a driver that is not "
            f"installed: install `accord-agent[{extra}]` in the place of "
            "`accord-agent`.",
        )

    def counts_only(self) -> ConfigurationError:
        """Return what is said where records were to be read out of Spark."""
        return ConfigurationError(
            "DATABASE_COUNTS_ONLY",
            f"The database {self.name!r} is a Spark cluster, and no records are read "
            "out of one: it counts in coded tables. Ingest from files or from another "
            "database and run `accord-agent pushdown export`, or make the coded table "
            "in the cluster, as docs/ref-pushdown.md has it.",
        )

    def _file(self, url: sa.URL) -> Path:
        """Return the file of a SQLite database, which must exist."""
        file = Path(url.database or "")
        if not file.is_absolute():
            raise ConfigurationError(
                "DATABASE_PATH",
                f"The url of databases.{self.name} needs the whole path of the file, "
                "with four slashes: sqlite:////srv/cases.db.",
            )
        if not may_be_file(file):
            raise ConfigurationError(
                "DATABASE_PATH", f"There is no file {file} (databases.{self.name})."
            )
        return file

    def password(self) -> str | None:
        """Return the password, or token, of the file or credential, if there is one."""
        named = self.database.password_file
        if named is not None:
            path = self.folder / named
            try:
                return _line(read_secret(path), self.name)
            except ConfigurationError as error:
                if error.reason != "SECRET_ABSENT":
                    raise
            raise ConfigurationError(
                "DATABASE_SECRET",
                f"There is no file {path}, which password_file of "
                f"databases.{self.name} names. Write the password into it, mode 0600.",
            )
        folder = os.environ.get(CREDENTIALS)
        if folder is None:
            return None
        try:
            # systemd guards the folder; the file's own mode shows its ACL as a group.
            with (Path(folder) / self.name).open("rb") as file:
                return _line(file.read(_LARGEST_SECRET), self.name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(
                "DATABASE_SECRET",
                f"The systemd credential {self.name!r} cannot be read: "
                f"{error.strerror}.",
            ) from None

    def _arguments(self, url: sa.URL) -> dict[str, Any]:
        """Return what the driver is told besides the URL."""
        remote = self.database.socket is None and not is_loopback(url.host)
        tls = self.database.tls if remote else "off"
        socket = self.database.socket
        if self.kind == "postgresql":
            return {
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "accord-agent",
                "client_encoding": "utf8",  # also where the server knows no letters
                # An empty one is the socket; unsaid, PGHOST would name a machine.
                "host": socket or url.host or "",
                "hostaddr": "",
                **postgresql_tls(tls, self.authorities, remote=remote),
            }
        if self.kind == "mssql":
            self._check_sqlserver_tls(tls)
            return {
                "login_timeout": CONNECT_SECONDS,
                "appname": "accord-agent",
                "read_only": not self.writes,
                "encryption": "require" if tls == "encrypt" else "off",
            }
        return {
            "connect_timeout": CONNECT_SECONDS,
            "charset": "utf8mb4",
            "local_infile": False,
            **({} if socket is None else {"unix_socket": socket}),
            **mysql_tls(tls, self.authorities, remote=remote),
        }

    def _check_sqlserver_tls(self, tls: str) -> None:
        if tls == "verify":
            raise ConfigurationError(
                "DATABASE_TLS",
                f"The driver for SQL Server cannot check who databases.{self.name} is. "
                "Reach the server through a tunnel that ends on this machine, or write "
                '`tls = "encrypt"` to accept any certificate.',
            )

    def authorities(self) -> str:
        """Return the file of certificates that a server's must lead to."""
        named = self.database.ca_file
        if named is not None:
            path = self.folder / named
            if not is_seen(path):
                raise ConfigurationError(
                    "DATABASE_TLS",
                    f"There is no file {path}, which ca_file of databases.{self.name} "
                    "names.",
                )
            return str(path)
        found = ssl.get_default_verify_paths().cafile
        if found is None:
            raise ConfigurationError(
                "DATABASE_TLS",
                "This machine has no list of certificate authorities; name a file with "
                f"`ca_file` below databases.{self.name}.",
            )
        return found


def access_to(name: str, databases: dict[str, Database], folder: Path) -> Access:
    """Return the access to a database of the settings.

    Raises:
        ConfigurationError: DATABASE_UNKNOWN.
    """
    database = databases.get(name)
    if database is None:
        known = ", ".join(databases) or "none"
        hint = suggestion(name, databases) or f" It names: {known}."
        raise ConfigurationError(
            "DATABASE_UNKNOWN",
            f"config.toml has no table [databases.{name}].{hint}",
        )
    return Access(name=name, database=database, folder=folder)


def _line(content: bytes, name: str) -> str:
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or "\n" in text or "\0" in text:
        raise ConfigurationError(
            "DATABASE_SECRET",
            f"The password of databases.{name} must be one line of text.",
        )
    return text
