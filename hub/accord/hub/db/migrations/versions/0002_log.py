# SPDX-License-Identifier: Apache-2.0
"""The log as a tree of hashes, with signed heads: what was noted before becomes leaves.

Entries keep their numbers, which must run from 1 without a gap; a log from which
somebody has taken entries is not taken over.
"""

from __future__ import annotations

import json
from typing import Final

import sqlalchemy as sa
from alembic import op

from accord.core.canonical import canonical_bytes
from accord.core.errors import IntegrityError
from accord.hub.db.growing import growing_only
from accord.merkle.tree import Place, completed, leaf_hash, neighbours

revision = "0002_log"
down_revision = "0001_baseline"

TABLES: Final = sa.MetaData()

NODES: Final = sa.Table(
    "log_nodes",
    TABLES,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)

RELEASES: Final = sa.Table(
    "log_releases",
    TABLES,
    sa.Column("release", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
)

sa.Table(
    "log_logins",
    TABLES,
    sa.Column("analyst", sa.Text, primary_key=True),
    sa.Column("made_at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Text, primary_key=True),
)

sa.Table(
    "log_heads",
    TABLES,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("ledger_height", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)

sa.Table(
    "log_cosignatures",
    TABLES,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("agency_key", sa.Text, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

AUDIT: Final = sa.table(
    "audit",
    sa.column("number", sa.BigInteger),
    sa.column("at", sa.BigInteger),
    sa.column("event", sa.Text),
    sa.column("facts", sa.JSON),
)

MOST_AT_ONCE: Final = 1000


def upgrade() -> None:
    """Make the tables, and the tree over what is in the log.

    Raises:
        IntegrityError: LOG_BROKEN, entries are missing.
    """
    connection = op.get_bind()
    TABLES.create_all(connection, checkfirst=False)
    for table in TABLES.sorted_tables:
        for statement in growing_only(connection.dialect.name, table.name):
            op.execute(statement)
    edge: dict[Place, bytes] = {}
    index = 0
    while rows := _rows_after(connection, index):
        made: list[dict[str, object]] = []
        for row in rows:
            if row.number != index + 1:
                raise IntegrityError(
                    "LOG_BROKEN",
                    f"The log lacks entry {index + 1}, so that it cannot be taken over:"
                    " restore the newest copy that has it. Nothing was changed.",
                )
            leaf = leaf_hash(canonical_bytes(_entry(row)))
            known = {place: edge.pop(place) for place in neighbours(index)}
            nodes = completed(index, leaf, known)
            edge.update(nodes[-1:])
            made += [
                {"level": level, "position": position, "hash": value}
                for (level, position), value in nodes
            ]
            index += 1
        connection.execute(NODES.insert(), made)
        released = [
            {"release": _facts(row)["release"], "number": row.number}
            for row in rows
            if row.event == "release.published"
        ]
        if released:
            connection.execute(RELEASES.insert(), released)


def _rows_after(
    connection: sa.Connection, number: int
) -> list[sa.Row[tuple[int, int, str, object]]]:
    chosen = sa.select(AUDIT.c.number, AUDIT.c.at, AUDIT.c.event, AUDIT.c.facts)
    chosen = chosen.where(AUDIT.c.number > number)
    return list(connection.execute(chosen.order_by(AUDIT.c.number).limit(MOST_AT_ONCE)))


def _entry(row: sa.Row[tuple[int, int, str, object]]) -> dict[str, object]:
    facts = _facts(row)
    return {"number": row.number, "at": row.at, "event": row.event, "facts": facts}


def _facts(row: sa.Row[tuple[int, int, str, object]]) -> dict[str, object]:
    facts = json.loads(row.facts) if isinstance(row.facts, str) else row.facts
    if not isinstance(facts, dict):
        raise IntegrityError(
            "LOG_BROKEN",
            f"Entry {row.number} of the log has no facts: restore the newest copy that"
            " has them. Nothing was changed.",
        )
    return facts
