# SPDX-License-Identifier: Apache-2.0
"""What agencies and the hub tell each other about their ledgers."""

revision = "0003_contact"
down_revision = "0002_log"


def upgrade() -> None:
    """Nothing changes yet."""
