# SPDX-License-Identifier: Apache-2.0
"""Releases that wait for somebody to read them."""

revision = "0004_held"
down_revision = "0003_contact"


def upgrade() -> None:
    """Nothing changes yet."""
