# SPDX-License-Identifier: Apache-2.0
"""Several processes that serve one database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_replicas"
down_revision = "0005_retention"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add replicas with what they pass on, owners of rounds, and signed freshness."""
    op.add_column("rounds", sa.Column("owner", sa.BigInteger))
    op.create_table(
        "replicas",
        sa.Column("number", NUMBER, primary_key=True),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("joined_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "agent_streams",
        sa.Column("agency", sa.Text, primary_key=True),
        sa.Column("replica", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
    )
    op.create_index("agent_streams_of_replica", "agent_streams", ["replica"])
    op.create_table(
        "relayed",
        sa.Column("number", NUMBER, primary_key=True),
        sa.Column("receiver", sa.BigInteger, nullable=False),
        sa.Column("sender", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
    )
    op.create_index("relayed_to", "relayed", ["receiver", "number"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE relayed SET UNLOGGED")
    op.create_table(
        "freshness",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("policies_version", sa.Integer, nullable=False),
        sa.Column("snapshot_name", sa.Text, nullable=False),
        sa.Column("snapshot", sa.LargeBinary, nullable=False),
        sa.Column("timestamp", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("one = 1", name="freshness_one"),
    )
