# SPDX-License-Identifier: Apache-2.0
"""Triggers that make a database refuse to change what was published or noted.

A table that only grows says so (``sa.Table(..., info=GROWING)``). Who owns the
database can drop a trigger: it stops mistakes, and the log's proofs find the rest.
The text that `growing_only` gives is part of migrations and never changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from accord.hub.db.erasing import relaxed

GROWING: Final = {"accord_only_grows": True}
"""What a table says of itself if no row may be changed or deleted."""

_REFUSE: Final = """
CREATE FUNCTION accord_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END
$$
"""


def guards(dialect: str, metadata: sa.MetaData) -> Iterator[str]:
    """Yield the statements for all tables that say that they only grow."""
    yield from refusal(dialect)
    for table in metadata.sorted_tables:
        if table.info.get("accord_only_grows"):
            yield from growing_only(dialect, table.name)
    yield from relaxed(dialect)


def refusal(dialect: str) -> Iterator[str]:
    """Yield what the triggers call: once in a database, before the first of them."""
    if dialect == "postgresql":
        yield _REFUSE


def growing_only(dialect: str, table: str) -> Iterator[str]:
    """Yield the statements for one table.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        table: its name.
    """
    if dialect == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} only grows'); END"
            )
    else:
        for verb in ("UPDATE", "DELETE", "TRUNCATE"):
            each = "STATEMENT" if verb == "TRUNCATE" else "ROW"
            yield (
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                f" FOR EACH {each} EXECUTE FUNCTION accord_only_grows()"
            )
