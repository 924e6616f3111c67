# SPDX-License-Identifier: Apache-2.0
"""Releases that are paid for and wait for a reviewer, and what became of them.

A row stays for ever, so that a decision is final; what was released is in it only until
then: let go, it moves to ``releases``, and kept back, nobody needs it any more.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from accord.hub.db.tables import METADATA, NUMBER

HELD: Final = sa.Table(
    "held",
    METADATA,
    sa.Column("number", NUMBER, primary_key=True),
    # As in `releases`, where they go.
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
    # Whom the agreement named then.
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
