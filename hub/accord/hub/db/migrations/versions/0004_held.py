# SPDX-License-Identifier: Apache-2.0
"""Releases that wait for a reviewer, and submissions that wait for such a release."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0004_held"
down_revision = "0003_contact"

STATES: Final = "state IN ('collecting', 'held', 'released', 'failed')"

NUMBER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES: Final = sa.MetaData()

SUBMISSIONS: Final = sa.Table(
    "submissions",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("analyst", sa.Text, nullable=False),
    sa.Column("request_digest", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("agreement", sa.Text, nullable=False),
    sa.Column("agreement_digest", sa.Text, nullable=False),
    sa.Column("policy_digest", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("query_key", sa.Text, nullable=False),
    sa.Column("archive_digest", sa.Text, nullable=False),
    sa.Column("nano_rho", sa.BigInteger, nullable=False),
    sa.Column("nano_epsilon", sa.BigInteger, nullable=False),
    sa.Column("cohort", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("unsafe", sa.Boolean, nullable=False),
    sa.Column("complete_only", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("follows", sa.Text),
    sa.Column("settled_at", sa.BigInteger),
    sa.Column("release", sa.Text),
    sa.Column("from_archive", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("sentence", sa.Text),
    sa.Column("facts", sa.JSON),
    sa.CheckConstraint(STATES, name="submissions_state"),
    sa.CheckConstraint(
        "(state = 'released') = (release IS NOT NULL)", name="submissions_release"
    ),
    sa.Index("submissions_by_question", "query_key", "archive_digest", "state"),
    sa.Index("submissions_by_state", "state"),
)

HELD: Final = sa.Table(
    "held",
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
    sa.Column("summary", sa.LargeBinary, nullable=False),
    sa.Column("message", sa.LargeBinary),
    sa.Column("noisy", sa.LargeBinary),
    sa.Column("reviewers", sa.JSON, nullable=False),
    sa.Column("held_at", sa.BigInteger, nullable=False),
    sa.Column("decided_at", sa.BigInteger),
    sa.Column("reviewer", sa.Text),
    sa.Column("let_go", sa.Boolean),
    sa.Column("reason", sa.Text),
    sa.CheckConstraint(
        "(decided_at IS NULL) = (message IS NOT NULL)"
        " AND (decided_at IS NULL) = (noisy IS NOT NULL)",
        name="held_content",
    ),
    sa.CheckConstraint(
        "(decided_at IS NULL) = (reviewer IS NULL)"
        " AND (decided_at IS NULL) = (let_go IS NULL)"
        " AND (decided_at IS NULL) = (reason IS NULL)",
        name="held_decision",
    ),
    sa.Index("held_by_question", "query_key", "archive_digest"),
    sa.Index("held_by_agreement", "agreement", "number"),
)


def upgrade() -> None:
    """Add the table, and allow submissions the state ``held``."""
    connection = op.get_bind()
    HELD.create(connection, checkfirst=False)
    if connection.dialect.name == "sqlite":
        # A check of SQLite changes only with its table: it is made anew and filled.
        with op.batch_alter_table(
            SUBMISSIONS.name, copy_from=SUBMISSIONS, recreate="always"
        ):
            pass
    else:
        op.drop_constraint("submissions_state", SUBMISSIONS.name)
        op.create_check_constraint("submissions_state", SUBMISSIONS.name, STATES)
