# SPDX-License-Identifier: Apache-2.0
"""Run by Alembic: applies migrations in the transaction that its caller began."""

from alembic import context

from accord.hub.db.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
)
context.run_migrations()
