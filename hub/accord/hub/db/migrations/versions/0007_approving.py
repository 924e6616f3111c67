# SPDX-License-Identifier: Apache-2.0
"""Whose people look at a question first, for every process that serves the hub."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_approving"
down_revision = "0006_replicas"


def upgrade() -> None:
    """Add who has said so of a round; of those that run, agencies say it again."""
    op.add_column("rounds", sa.Column("approving", sa.JSON))
