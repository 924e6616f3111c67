# SPDX-License-Identifier: Apache-2.0
"""Bring a database up to date: all steps and all balances in one transaction, or none.

The balances before and after are compared inside it, and the ledger is verified: a
step that changes what anybody has spent does not happen.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

import alembic.command
import alembic.config
import sqlalchemy as sa

from accord.core.errors import IntegrityError
from accord.hub.db.engine import Store
from accord.hub.db.revisions import HEAD, can_be_migrated, require_newest, revision
from accord.hub.db.shape import require_shape
from accord.hub.db.transaction import LedgerTransaction
from accord.ledger import check_schema, verify

SCRIPTS: Final = Path(__file__).parent / "migrations"

_ACCOUNTS: Final = """
SELECT name, unit, used, reserved FROM ledger_account ORDER BY name, unit
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What a migration did."""

    before: str
    """The layout that was found."""
    after: str
    height: int
    """Of the ledger, before and after."""
    accounts: int
    """Whose balances were compared."""


def migrate(store: Store) -> Migrated:
    """Bring a database up to date; one that is stays as it is.

    Raises:
        ConfigurationError: DATABASE_FORMAT, it is of no hub or of a newer program.
        IntegrityError: BALANCE_CHANGED or LEDGER_INCONSISTENT; nothing was changed.
        Unreachable: STORE_UNAVAILABLE, nothing was changed.
    """
    with store.write() as connection:
        before = revision(connection)
        if before is None or not can_be_migrated(before):
            require_newest(before, store.place.name)
        height, accounts = _books(connection)
        if before != HEAD:
            upgrade(connection)
        after = _books(connection)
        if after != (height, accounts):
            raise IntegrityError(
                "BALANCE_CHANGED",
                f"Migrating the hub's database {store.place.name} would have changed"
                " what was spent: nothing was changed. Keep using the version that"
                " wrote it, and report this.",
            )
        require_newest(revision(connection), store.place.name)
        require_shape(connection, store.place.name, guarded=True)
    return Migrated(
        before=before or "", after=HEAD, height=height, accounts=len(accounts)
    )


def upgrade(connection: sa.Connection, target: str = HEAD) -> None:
    """Apply the steps that are missing, in the caller's transaction."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, target)


def _books(
    connection: sa.Connection,
) -> tuple[int, list[tuple[str, str, int, int]]]:
    """Return the ledger's height and every balance, once it is consistent."""
    ledger = LedgerTransaction(connection)
    check_schema(ledger)
    height = verify(ledger)
    rows = connection.execute(sa.text(_ACCOUNTS))
    return height, [(row[0], row[1], row[2], row[3]) for row in rows]
