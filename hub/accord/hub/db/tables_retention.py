# SPDX-License-Identifier: Apache-2.0
"""How long content is kept, by agreement, and what was ordered to be erased."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from accord.hub.db.growing import GROWING
from accord.hub.db.tables import METADATA

RETENTION_TERMS: Final = sa.Table(
    "retention_terms",
    METADATA,
    # One that is no longer in force keeps its last word.
    sa.Column("agreement", sa.Text, primary_key=True),
    # Days; nothing for ever.
    sa.Column("releases", sa.Integer),
    sa.Column("questions", sa.Integer),
)

RETENTION_ORDERS: Final = sa.Table(
    "retention_orders",
    METADATA,
    # Without one, triggers let nothing go (`accord.hub.db.erasing`).
    sa.Column("agreement", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    # What is older may go.
    sa.Column("before", sa.BigInteger, primary_key=True, autoincrement=False),
    # Of the entry of the log that says so.
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.CheckConstraint(
        "kind IN ('releases', 'questions')", name="retention_orders_kind"
    ),
    info=GROWING,
)
