# SPDX-License-Identifier: Apache-2.0
"""Whether a database has what its layout promises: each column, each trigger.

A copy that was restored in part, or a change by hand, names the right layout and is not
it. More than is needed does no harm.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from accord.core.errors import ConfigurationError
from accord.hub.db.growing import guards
from accord.hub.db.tables import METADATA

_COLUMNS: Final = {
    "sqlite": """
SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c
WHERE t.type = 'table'
""",
    "postgresql": """
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
AND pg_table_is_visible(c.oid)
""",
}

_TRIGGERS: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": """
SELECT tgname FROM pg_trigger
WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND pg_table_is_visible(tgrelid)
""",
}

_TRIGGER: Final = re.compile(r"CREATE TRIGGER (\w+)")


def require_shape(connection: sa.Connection, name: str, *, guarded: bool) -> None:
    """Refuse a database that lacks a part of the newest layout.

    Args:
        connection: any transaction.
        name: what people call the database.
        guarded: whether triggers count; who only reads can do without.

    Raises:
        ConfigurationError: DATABASE_FORMAT, naming what is missing.
    """
    missing = itertools.chain(
        _missing_columns(connection), _missing_triggers(connection) if guarded else ()
    )
    for lacking in missing:
        raise ConfigurationError(
            "DATABASE_FORMAT",
            f"The hub's database {name} lacks {lacking}: it was restored in part, or"
            " changed by hand. Restore the newest copy. Nothing was changed.",
        )


def _missing_columns(connection: sa.Connection) -> Iterator[str]:
    dialect = connection.dialect.name
    columns = {tuple(row) for row in connection.exec_driver_sql(_COLUMNS[dialect])}
    for table in METADATA.sorted_tables:
        for column in table.columns:
            if (table.name, column.name) not in columns:
                yield f"the column {column.name} of {table.name}"


def _missing_triggers(connection: sa.Connection) -> Iterator[str]:
    dialect = connection.dialect.name
    triggers = set(connection.exec_driver_sql(_TRIGGERS[dialect]).scalars())
    for statement in guards(dialect, METADATA):
        found = _TRIGGER.match(statement)
        if found is not None and found[1] not in triggers:
            yield f"the trigger {found[1]}"
