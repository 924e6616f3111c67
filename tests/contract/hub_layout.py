# SPDX-License-Identifier: Apache-2.0
"""What a database looks like, and all that is in it, to compare one with another."""

from __future__ import annotations

import re
from typing import Any, Final

import sqlalchemy as sa

_SQLITE: Final = "SELECT type, name, tbl_name, sql FROM sqlite_master"

_COLUMNS: Final = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public'
"""

_CONSTRAINTS: Final = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
"""

_INDEXES: Final = """
SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
"""

_TRIGGERS: Final = """
SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
FROM pg_trigger WHERE NOT tgisinternal
"""

_FUNCTIONS: Final = """
SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""

_RELATIONS: Final = """
SELECT relname, relkind::text, relpersistence::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace
"""

_POSTGRESQL: Final = (
    _COLUMNS,
    _CONSTRAINTS,
    _INDEXES,
    _TRIGGERS,
    _FUNCTIONS,
    _RELATIONS,
)


def layout(connection: sa.Connection) -> set[tuple[Any, ...]]:
    """Return every table, column, constraint, index and trigger."""
    if connection.dialect.name == "sqlite":
        return _sqlite_layout(connection)
    return {
        (number, *row)
        for number, query in enumerate(_POSTGRESQL)
        for row in connection.exec_driver_sql(query)
    }


def content(connection: sa.Connection) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables, in an order of their own."""
    found = {}
    for name in sorted(sa.inspect(connection).get_table_names()):
        rows = connection.exec_driver_sql(f'SELECT * FROM "{name}"').mappings()
        found[name] = sorted((dict(row) for row in rows), key=repr)
    return found


def _sqlite_layout(connection: sa.Connection) -> set[tuple[Any, ...]]:
    """Compare what tables are, not how the statement was written.

    Names of constraints, and the order of columns, mean nothing there.
    """
    found: set[tuple[Any, ...]] = set()
    for kind, name, table, text in connection.exec_driver_sql(_SQLITE):
        if kind == "table":
            columns = connection.exec_driver_sql(f"PRAGMA table_xinfo({name})")
            found |= {("column", name, *row[1:]) for row in columns}
            checks = re.findall(r"CHECK *\((.*)\)", text)
            found |= {("check", name, re.sub(r"\s+", " ", each)) for each in checks}
            keys = connection.exec_driver_sql(f"PRAGMA foreign_key_list({name})")
            found |= {("key", name, *row[2:]) for row in keys}
            for index in connection.exec_driver_sql(f"PRAGMA index_list({name})"):
                parts = connection.exec_driver_sql(f"PRAGMA index_info({index[1]})")
                columns_of = tuple(row[2] for row in parts)
                found.add(("index", name, index[2], index[3], columns_of))
        elif kind != "index":
            found.add((kind, name, table, re.sub(r"\s+", " ", text)))
        elif not name.startswith("sqlite_"):
            found.add((kind, name, table))
    return found
