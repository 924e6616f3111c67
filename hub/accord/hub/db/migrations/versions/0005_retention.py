# SPDX-License-Identifier: Apache-2.0
"""What may be erased after the days that an agreement names."""

revision = "0005_retention"
down_revision = "0004_held"


def upgrade() -> None:
    """Nothing changes yet."""
