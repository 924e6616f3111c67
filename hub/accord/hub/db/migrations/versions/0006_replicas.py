# SPDX-License-Identifier: Apache-2.0
"""Several processes that serve one database."""

revision = "0006_replicas"
down_revision = "0005_retention"


def upgrade() -> None:
    """Nothing changes yet."""
