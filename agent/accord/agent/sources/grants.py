# SPDX-License-Identifier: Apache-2.0
"""SQL for a user of a database who can read what a mapping names, and nothing else.

It is printed for an administrator to look at and to run; the agent never runs it. All
names are quoted as the database asks for; none is taken as SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from accord.agent.settings import SPARK
from accord.agent.sources.access import Access
from accord.agent.sources.database import readings
from accord.agent.sources.drivers import is_loopback

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect

USER = "accord_agent"
"""Where the URL names nobody."""

_PASSWORD = "'CHOOSE-A-PASSWORD'"  # noqa: S105 - it is to be replaced


def grants(access: Access, table: str, columns: Sequence[str]) -> list[str]:
    """Return statements and comments, a line each.

    Args:
        access: to the database; nobody connects.
        table: as the mapping names it.
        columns: that the mapping reads.

    Raises:
        ConfigurationError: DATABASE_COUNTS_ONLY
    """
    if access.kind == SPARK:
        raise access.counts_only()
    import sqlalchemy as sa

    url = sa.make_url(access.database.url)
    user, database = url.username or USER, url.database or ""
    # As the agent reads it first.
    schema, name = next(readings(table))
    remote = access.database.socket is None and not is_loopback(url.host)
    if access.kind == "postgresql":
        return _postgresql(user, database, schema or "public", name, columns)
    if access.kind == "mssql":
        return _mssql(user, database, schema or "dbo", name, columns)
    if access.kind == "sqlite":
        return _sqlite(database)
    return _mysql(user, schema or database, name, columns, remote=remote)


def cluster_grants(access: Access, schema: str | None) -> list[str]:
    """Return the same for the agent's own tables in a Spark cluster.

    Args:
        access: to the cluster; nobody connects.
        schema: of the tables, as the settings have it.
    """
    parts = urlsplit(access.database.url)
    user, catalog = unquote(parts.username or USER), parts.path.strip("/")
    role, space = _backticks(user), _backticks(schema or "default")
    entered = []
    if catalog:
        space = f"{_backticks(catalog)}.{space}"
        entered = [f"GRANT USE CATALOG ON CATALOG {_backticks(catalog)} TO {role};"]
    return [
        "-- For an administrator of the cluster's catalogue, as Unity Catalog reads",
        "-- it. Spark itself knows no rights: whom its token lets in may do all. In",
        "-- Ranger allow the same on its page. Whoever makes a table may rename and",
        "-- drop it; an agent whose editions are made by others needs only to read.",
        f"CREATE SCHEMA IF NOT EXISTS {space};",
        *entered,
        f"GRANT USE SCHEMA, SELECT ON SCHEMA {space} TO {role};",
        f"GRANT CREATE TABLE, MODIFY ON SCHEMA {space} TO {role};",
    ]


def _backticks(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _quoted(dialect: Dialect, names: Sequence[str]) -> list[str]:
    return [dialect.identifier_preparer.quote_identifier(name) for name in names]


def _postgresql(
    user: str, database: str, schema: str, table: str, columns: Sequence[str]
) -> list[str]:
    from sqlalchemy.dialects.postgresql import dialect

    quote = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no type here
    role, base, space, name = _quoted(quote, [user, database, schema, table])
    listed = ", ".join(_quoted(quote, columns))
    return [
        "-- For an administrator, in the database that is named here.",
        f"CREATE ROLE {role} LOGIN;",
        f"ALTER ROLE {role} SET default_transaction_read_only = on;",
        f"GRANT CONNECT ON DATABASE {base} TO {role};",
        f"GRANT USAGE ON SCHEMA {space} TO {role};",
        f"GRANT SELECT ({listed}) ON TABLE {space}.{name} TO {role};",
        "-- Then, in psql, give it a password, and write that into password_file:",
        f"-- \\password {role}",
    ]


def _mysql(
    user: str, database: str, table: str, columns: Sequence[str], *, remote: bool
) -> list[str]:
    from sqlalchemy.dialects.mysql import dialect

    base, name = _quoted(dialect(), [database, table])
    listed = ", ".join(_quoted(dialect(), columns))
    who = "'" + user.replace("\\", "\\\\").replace("'", "''") + "'@'%'"
    tls = " REQUIRE SSL" if remote else ""
    return [
        "-- For an administrator. In the place of % name the agent's machine, if you",
        "-- can; choose a password, and write it into password_file.",
        f"CREATE USER {who} IDENTIFIED BY {_PASSWORD}{tls};",
        f"GRANT SELECT ({listed}) ON {base}.{name} TO {who};",
    ]


def _mssql(
    user: str, database: str, schema: str, table: str, columns: Sequence[str]
) -> list[str]:
    from sqlalchemy.dialects.mssql import dialect

    quote = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no type here
    login, base, space, name = _quoted(quote, [user, database, schema, table])
    listed = ", ".join(_quoted(quote, columns))
    return [
        "-- For an administrator. Choose a password, and write it into password_file.",
        f"CREATE LOGIN {login} WITH PASSWORD = {_PASSWORD};",
        f"USE {base};",
        f"CREATE USER {login} FOR LOGIN {login};",
        f"GRANT SELECT ON OBJECT::{space}.{name} ({listed}) TO {login};",
    ]


def _sqlite(file: str) -> list[str]:
    return [
        "-- SQLite has no users: whoever may read the file may read all of it.",
        "-- Let the agent's user read it, and not write it, for example with:",
        f"--   setfacl --modify user:accord-agent:r {file!r}",
        "-- In WAL mode it reads FILE-wal and FILE-shm too; while no program has the",
        "-- file open, it has to make them in the same folder.",
    ]
