# SPDX-License-Identifier: Apache-2.0
"""What agencies and the hub tell each other about their ledgers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from accord.hub.db.growing import growing_only

revision = "0003_contact"
down_revision = "0002_log"


def upgrade() -> None:
    """Add the hub's standing, what agencies said, and the charges that they proved."""
    op.create_table(
        "hub_standing",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("doubt", sa.Text),
        sa.Column("behind_since", sa.BigInteger),
        sa.Column("cause", sa.Text),
        sa.Column("agency", sa.Text),
        sa.Column("restored_at", sa.BigInteger),
        sa.Column("copied_at", sa.BigInteger),
        sa.Column("reconciled_at", sa.BigInteger),
        sa.CheckConstraint("one = 1", name="hub_standing_one"),
        sa.CheckConstraint(
            "(doubt IS NULL) = (behind_since IS NULL)"
            " AND (doubt IS NULL) = (cause IS NULL)",
            name="hub_standing_doubt",
        ),
        sa.CheckConstraint(
            "cause IS NULL OR cause IN ('restored', 'agency')",
            name="hub_standing_cause",
        ),
    )
    op.create_table(
        "agency_contacts",
        sa.Column("agency", sa.Text, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("nano_rho", sa.BigInteger, nullable=False),
        sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("reported", sa.Text),
        sa.Column("aside_rho", sa.BigInteger, nullable=False),
        sa.Column("aside_epsilon", sa.BigInteger, nullable=False),
        sa.Column("aside_epoch", sa.BigInteger, nullable=False),
        sa.Column("aside_height", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "charge_records",
        sa.Column("agency", sa.Text, primary_key=True),
        sa.Column("query_id", sa.Text, primary_key=True),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("cohort", sa.Text, nullable=False),
        sa.Column("transcript", sa.LargeBinary, nullable=False),
        sa.Column("charged_at", sa.BigInteger, nullable=False),
        sa.Column("countersignature", sa.LargeBinary, nullable=False),
        sa.Column("agency_key", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
    )
    for statement in growing_only(op.get_bind().dialect.name, "charge_records"):
        op.execute(statement)
