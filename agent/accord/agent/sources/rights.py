# SPDX-License-Identifier: Apache-2.0
"""What the user of a database may do there: read what, and more than read?"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from accord.agent.settings import SPARK
from accord.agent.sources.access import Access
from accord.agent.sources.database import columns_in, tables_in
from accord.agent.sources.spark import spark_in

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A table or view, with how many of its columns may be read."""

    name: str
    columns: int | None = None
    """None where to ask for each table would take long."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a user may do."""

    readable: tuple[Readable, ...]
    beyond: tuple[str, ...]
    """What goes beyond reading, in the database's own words."""
    told: bool = True
    """Whether the database says that at all."""


def rights(access: Access) -> Rights:
    """Connect and ask.

    Raises:
        ConfigurationError: the settings of the database are wrong.
        Unreachable: DATABASE_UNREACHABLE.
        SourceError: DATABASE_FAILED; DATABASE_RIGHTS of a cluster.
    """
    if access.kind == SPARK:
        return _spark(access)
    with access.connected() as connection, access.explained():
        if access.kind == "sqlite":
            return _sqlite(connection)
        dialect = connection.dialect.name
        return Rights(
            readable=_readable(connection), beyond=_asked(connection, _BEYOND[dialect])
        )


def _readable(connection: sa.Connection) -> tuple[Readable, ...]:
    """Ask the catalogue that shows a user only what it may use."""
    import sqlalchemy as sa

    catalogue = sa.table(
        "columns",
        sa.column("table_schema"),
        sa.column("table_name"),
        schema="information_schema",
    )
    schema, table = catalogue.c.table_schema, catalogue.c.table_name
    statement = (
        sa.select(schema, table, sa.func.count())
        .where(sa.func.lower(schema).not_in(_SYSTEM))
        .group_by(schema, table)
        .order_by(schema, table)
    )
    return tuple(
        Readable(name=f"{space}.{name}", columns=int(count))
        for space, name, count in connection.execute(statement)
    )


def _asked(connection: sa.Connection, questions: tuple[str, ...]) -> tuple[str, ...]:
    import sqlalchemy as sa

    found = {
        str(row[0])
        for question in questions
        for row in connection.execute(sa.text(question))
    }
    return tuple(sorted(found))


def _sqlite(connection: sa.Connection) -> Rights:
    readable = tuple(
        Readable(name=name, columns=len(columns_in(connection, None, name)))
        for name in tables_in(connection)
    )
    file = str(connection.exec_driver_sql("PRAGMA database_list").all()[0][2])
    beyond = ("write to the file",) if os.access(file, os.W_OK) else ()
    return Rights(readable=readable, beyond=beyond)


def _spark(access: Access) -> Rights:
    """List what a session shows; a cluster tells nobody what may be done with it."""
    readable = []
    with spark_in(access) as connection:
        for (schema,) in connection.rows("SHOW SCHEMAS"):
            quoted = "`" + str(schema).replace("`", "``") + "`"
            for _, name, temporary in connection.rows(f"SHOW TABLES IN {quoted}"):
                if not temporary:
                    readable.append(Readable(name=f"{schema}.{name}"))
    return Rights(readable=tuple(readable), beyond=(), told=False)


_SYSTEM = (
    "information_schema",
    "mysql",
    "performance_schema",
    "pg_catalog",
    "sys",
)

_POSTGRESQL = (
    """
    SELECT DISTINCT p.name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p(name)
    WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname <> 'information_schema'
    AND n.nspname NOT LIKE 'pg\\_%' AND has_table_privilege(c.oid, p.name)
    """,
    """
    SELECT DISTINCT 'CREATE' FROM pg_namespace AS n
    WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    AND has_schema_privilege(n.oid, 'CREATE')
    """,
    """
    SELECT p.name FROM pg_roles AS r CROSS JOIN LATERAL (VALUES
    ('SUPERUSER', r.rolsuper), ('CREATEDB', r.rolcreatedb),
    ('CREATEROLE', r.rolcreaterole)) AS p(name, has)
    WHERE r.rolname = current_user AND p.has
    """,
)

_MYSQL = tuple(
    f"""
    SELECT DISTINCT privilege_type FROM information_schema.{table}
    WHERE grantee = concat('''', substring_index(current_user(), '@', 1), '''@''',
    substring_index(current_user(), '@', -1), '''')
    AND privilege_type NOT IN ('USAGE', 'SELECT', 'SHOW VIEW', 'SHOW DATABASES')
    """  # noqa: S608 - the names stand below
    for table in (
        "user_privileges",
        "schema_privileges",
        "table_privileges",
        "column_privileges",
    )
)

_MSSQL = (
    """
    SELECT DISTINCT permission_name FROM fn_my_permissions(NULL, 'DATABASE')
    WHERE permission_name IN
    ('ALTER', 'CONTROL', 'DELETE', 'EXECUTE', 'INSERT', 'UPDATE')
    """,
    """
    SELECT DISTINCT p.name FROM sys.objects AS o CROSS JOIN
    (VALUES ('INSERT'), ('UPDATE'), ('DELETE'), ('ALTER')) AS p(name)
    WHERE o.type IN ('U', 'V') AND HAS_PERMS_BY_NAME(
    QUOTENAME(SCHEMA_NAME(o.schema_id)) + '.' + QUOTENAME(o.name), 'OBJECT', p.name) = 1
    """,
)

_BEYOND = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "mssql": _MSSQL}
"""Questions that are answered with the names of rights beyond reading."""
