# SPDX-License-Identifier: Apache-2.0
"""What may be erased after the days that an agreement names.

Facts of the log and figures of releases may be nothing from now on; triggers see to it
that retention alone makes them so.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from accord.hub.db.erasing import relaxed
from accord.hub.db.growing import growing_only

revision = "0005_retention"
down_revision = "0004_held"

NUMBER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES: Final = sa.MetaData()

AUDIT: Final = sa.Table(
    "audit",
    TABLES,
    sa.Column("number", NUMBER, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("facts", sa.JSON),
)

RELEASES: Final = sa.Table(
    "releases",
    TABLES,
    sa.Column("number", NUMBER, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("submission", sa.Text, nullable=False, unique=True),
    sa.Column("ledger_entry", sa.Text, nullable=False, unique=True),
    sa.Column("agreement", sa.Text, nullable=False),
    sa.Column("agreement_digest", sa.Text, nullable=False),
    sa.Column("query_key", sa.Text, nullable=False),
    sa.Column("archive_digest", sa.Text, nullable=False),
    sa.Column("nano_rho", sa.BigInteger, nullable=False),
    sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("unsafe", sa.Boolean, nullable=False),
    sa.Column("released_at", sa.BigInteger, nullable=False),
    sa.Column("message", sa.LargeBinary),
    sa.Column("summary", sa.LargeBinary, nullable=False),
    sa.Column("noisy", sa.LargeBinary),
    sa.CheckConstraint("(message IS NULL) = (noisy IS NULL)", name="releases_content"),
    sa.Index("releases_by_question", "query_key", "archive_digest"),
    sa.Index("releases_by_agreement", "agreement", "number"),
)

TERMS: Final = sa.Table(
    "retention_terms",
    TABLES,
    sa.Column("agreement", sa.Text, primary_key=True),
    sa.Column("releases", sa.Integer),
    sa.Column("questions", sa.Integer),
)

ORDERS: Final = sa.Table(
    "retention_orders",
    TABLES,
    sa.Column("agreement", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("before", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.CheckConstraint(
        "kind IN ('releases', 'questions')", name="retention_orders_kind"
    ),
)


def upgrade() -> None:
    """Let content go where the log says so, and nowhere else."""
    connection = op.get_bind()
    dialect = connection.dialect.name
    TERMS.create(connection, checkfirst=False)
    ORDERS.create(connection, checkfirst=False)
    for statement in growing_only(dialect, ORDERS.name):
        op.execute(statement)
    if dialect == "sqlite":
        # There a column's "not null" changes only with its table, which loses its
        # triggers: both are made anew.
        for table in (AUDIT, RELEASES):
            with op.batch_alter_table(table.name, copy_from=table, recreate="always"):
                pass
            for statement in growing_only(dialect, table.name):
                op.execute(statement)
    else:
        op.alter_column("audit", "facts", nullable=True)
        op.alter_column("releases", "message", nullable=True)
        op.alter_column("releases", "noisy", nullable=True)
        op.create_check_constraint(
            "releases_content", "releases", "(message IS NULL) = (noisy IS NULL)"
        )
    for statement in relaxed(dialect):
        op.execute(statement)
