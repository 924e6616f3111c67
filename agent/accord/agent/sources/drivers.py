# SPDX-License-Identifier: Apache-2.0
"""What the drivers of the four kinds of databases are told, each in its own words."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa

CONNECT_SECONDS = 20

DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "mssql": "mssql+pymssql",
}
EXTRAS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mssql": "sqlserver",
    "sc": "spark",
}


def is_loopback(host: str | None) -> bool:
    """Whether what is sent to *host* stays on this machine."""
    if host is None or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def postgresql_tls(
    tls: str, authorities: Callable[[], str], *, remote: bool
) -> dict[str, Any]:
    if tls == "verify":
        return {"sslmode": "verify-full", "sslrootcert": authorities()}
    if tls == "encrypt":
        return {"sslmode": "require"}
    return {"sslmode": "disable"} if remote else {"sslmode": "prefer"}


def mysql_tls(
    tls: str, authorities: Callable[[], str], *, remote: bool
) -> dict[str, Any]:
    if tls == "verify":
        return {"ssl": ssl.create_default_context(cafile=authorities())}
    if tls == "encrypt":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return {"ssl": context}
    return {"ssl_disabled": True} if remote else {}


def open_sqlite(file: Path, *, writes: bool = False) -> Any:  # noqa: ANN401 - the driver's own type
    import sqlite3
    from urllib.parse import quote

    return sqlite3.connect(
        f"file:{quote(str(file))}?mode={'rw' if writes else 'ro'}",
        uri=True,
        timeout=CONNECT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _prepare_sqlite(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001
    connection.execute("PRAGMA query_only = ON").close()
    connection.execute("PRAGMA trusted_schema = OFF").close()
    connection.execute("PRAGMA cell_size_check = ON").close()
    # Only this reads the file.
    connection.execute("PRAGMA schema_version").close()


def _prepare_postgresql(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001
    """Let dates come as they are: Python has none before year 1 and no infinity."""
    from psycopg.types.string import TextLoader

    for kind in ("date", "timestamp", "timestamptz", "time", "timetz", "interval"):
        connection.adapters.register_loader(kind, TextLoader)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute("SET datestyle = 'ISO, YMD'")
    connection.commit()


def _prepare_mysql(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SET SESSION TRANSACTION READ ONLY")
        cursor.execute("SET time_zone = '+00:00'")
        # What was read is sorted before more is fetched; the server has to wait.
        cursor.execute("SET SESSION net_write_timeout = 3600")


def _prepare_mssql(connection: Any, record: object) -> None:  # noqa: ANN401
    """Nothing: it has no transactions that only read."""


PREPARING = {
    "sqlite+pysqlite": _prepare_sqlite,
    "postgresql+psycopg": _prepare_postgresql,
    "mysql+pymysql": _prepare_mysql,
    "mssql+pymssql": _prepare_mssql,
}


def driver_errors(kind: str) -> tuple[type[Exception], ...]:
    """Return what a driver raises, in SQLAlchemy's wrapping and without it."""
    import sqlalchemy as sa

    found: tuple[type[Exception], ...] = (
        sa.exc.SQLAlchemyError,
        OSError,
        UnicodeError,
    )
    if kind == "postgresql":
        import psycopg

        return (*found, psycopg.Error)
    if kind in ("mysql", "mariadb"):
        import pymysql

        return (*found, pymysql.Error)
    if kind == "mssql":
        import pymssql

        return (*found, pymssql.Error)
    import sqlite3

    return (*found, sqlite3.Error)
