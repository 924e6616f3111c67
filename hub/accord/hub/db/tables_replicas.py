# SPDX-License-Identifier: Apache-2.0
"""Processes that serve one database, whom they reach, and what they pass on.

On SQLite there is one process, and the first three tables stay empty.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from accord.hub.db.tables import METADATA, NUMBER

REPLICAS: Final = sa.Table(
    "replicas",
    METADATA,
    # Its session holds the advisory lock of this number as long as it is alive.
    sa.Column("number", NUMBER, primary_key=True),
    # What others seal to, signed with the hub's requisition key.
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("joined_at", sa.BigInteger, nullable=False),
)

AGENT_STREAMS: Final = sa.Table(
    "agent_streams",
    METADATA,
    sa.Column("agency", sa.Text, primary_key=True),
    sa.Column("replica", sa.BigInteger, nullable=False),
    # By the database's clock: of two streams of one agency the newer one counts.
    sa.Column("opened_at", sa.BigInteger, nullable=False),
    sa.Index("agent_streams_of_replica", "replica"),
)

RELAYED: Final = sa.Table(
    "relayed",
    METADATA,
    sa.Column("number", NUMBER, primary_key=True),
    sa.Column("receiver", sa.BigInteger, nullable=False),
    sa.Column("sender", sa.BigInteger, nullable=False),
    # Sealed to the receiver's key, and signed (accord.hub.replicas.sealing).
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Index("relayed_to", "receiver", "number"),
)

UNLOGGED: Final = f"ALTER TABLE {RELAYED.name} SET UNLOGGED"
"""What is passed on is in no backup: where it is lost, agencies are asked again."""

_ONLY_THERE: Final = sa.DDL(UNLOGGED)  # type: ignore[no-untyped-call]  # SQLAlchemy's

sa.event.listen(RELAYED, "after_create", _ONLY_THERE.execute_if(dialect="postgresql"))

FRESHNESS: Final = sa.Table(
    "freshness",
    METADATA,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    # Number of the timestamp, which only goes up.
    sa.Column("number", sa.BigInteger, nullable=False),
    # Of the policies that it is about.
    sa.Column("policies_version", sa.Integer, nullable=False),
    # Snapshot and timestamp by name, as agents fetch them.
    sa.Column("snapshot_name", sa.Text, nullable=False),
    sa.Column("snapshot", sa.LargeBinary, nullable=False),
    sa.Column("timestamp", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("one = 1", name="freshness_one"),
)
