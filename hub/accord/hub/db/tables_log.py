# SPDX-License-Identifier: Apache-2.0
"""The log as a tree: its complete nodes, its signed heads, and who has seen them.

Every row of ``audit`` is a leaf of the tree (`accord.hub.log.tree`). All of it only
grows. What retention takes from a row of ``audit`` leaves its hash here.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from accord.hub.db.growing import GROWING
from accord.hub.db.tables import METADATA

LOG_NODES: Final = sa.Table(
    "log_nodes",
    METADATA,
    # Of a complete subtree: level 0 are the hashes of entries (accord.merkle.tree).
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    info=GROWING,
)

LOG_RELEASES: Final = sa.Table(
    "log_releases",
    METADATA,
    # Where the log says that a release was published.
    sa.Column("release", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
    info=GROWING,
)

LOG_LOGINS: Final = sa.Table(
    "log_logins",
    METADATA,
    # The log has that this analyst's token, made at that moment, was used on this day.
    sa.Column("analyst", sa.Text, primary_key=True),
    sa.Column("made_at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Text, primary_key=True),
    info=GROWING,
)

LOG_HEADS: Final = sa.Table(
    "log_heads",
    METADATA,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    # Whole seconds, as it is signed.
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("ledger_height", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    info=GROWING,
)

LOG_COSIGNATURES: Final = sa.Table(
    "log_cosignatures",
    METADATA,
    # An agency's word that the log only grew to the head of this size.
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("agency", sa.Text, primary_key=True),
    # The agency's public key at that time, hex: another may be listed later.
    sa.Column("agency_key", sa.Text, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    info=GROWING,
)
