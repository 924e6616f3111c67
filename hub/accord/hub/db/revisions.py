# SPDX-License-Identifier: Apache-2.0
"""Which layout a database has, and whether this program knows it.

A database names the newest migration that it went through (table ``alembic_version``,
Alembic's own). Nothing here loads Alembic, which a hub that serves has no use for.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from accord.core.errors import ConfigurationError

REVISIONS: Final = (
    "0001_baseline",
    "0002_log",
    "0003_contact",
    "0004_held",
    "0005_retention",
    "0006_replicas",
    "0007_approving",
)
"""Every layout that there ever was, oldest first: as in ``migrations/versions``."""

HEAD: Final = REVISIONS[-1]
"""The layout that this program reads and writes."""

_FORMAT_BEFORE: Final = 3
"""The number that the baseline takes over."""

VERSION: Final = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def stamp(connection: sa.Connection) -> None:
    """Say of tables that were just made that they are of the newest layout."""
    VERSION.create(connection, checkfirst=False)
    connection.execute(VERSION.insert(), {"version_num": HEAD})


def revision(connection: sa.Connection) -> str | None:
    """Return the layout of a database, or nothing where no hub ever was.

    One of format 3 or before, which had no migrations, is ``format N``.

    Raises:
        ConfigurationError: DATABASE_FORMAT, it names several layouts, or none.
    """
    tables = sa.inspect(connection).get_table_names()
    if VERSION.name in tables:
        found = connection.execute(sa.select(VERSION.c.version_num)).scalars().all()
        if len(found) != 1:
            raise ConfigurationError(
                "DATABASE_FORMAT",
                "The hub's database does not say which layout it has, as after a change"
                " by hand: restore the newest copy. Nothing was changed.",
                found=str(len(found)),
                expected=HEAD,
            )
        return str(found[0])
    if "hub_meta" in tables:
        number = connection.execute(sa.text("SELECT format FROM hub_meta")).scalar()
        return f"format {number}"
    return None


def can_be_migrated(found: str) -> bool:
    """Tell whether this program can bring a database up to date."""
    return found in REVISIONS or found == f"format {_FORMAT_BEFORE}"


def require_newest(found: str | None, name: str) -> None:
    """Refuse a database that this program does not understand.

    Args:
        found: its `revision`.
        name: what people call the database.

    Raises:
        ConfigurationError: DATABASE_FORMAT, with what to do about it.
    """
    if found == HEAD:
        return
    if found is None:
        sentence = f"There is no hub in {name}: it is no database of a hub."
    elif can_be_migrated(found):
        sentence = (
            f"The hub's database {name} has the layout {found}, which is older than"
            f" this version of Accord ({HEAD}): stop the hub, make a copy, and run"
            " `accord-hub migrate`, which carries all spent budget over."
        )
    else:
        sentence = (
            f"The hub's database {name} has the layout {found}, which this version of"
            f" Accord ({HEAD}) does not know: install the version that wrote it."
        )
    raise ConfigurationError(
        "DATABASE_FORMAT",
        f"{sentence} Nothing was changed.",
        found=found or "",
        expected=HEAD,
    )
