# SPDX-License-Identifier: Apache-2.0
"""The log as a tree of hashes, with signed heads."""

revision = "0002_log"
down_revision = "0001_baseline"


def upgrade() -> None:
    """Nothing changes yet."""
