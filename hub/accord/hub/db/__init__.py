# SPDX-License-Identifier: Apache-2.0
"""The hub's database: a file by default, or PostgreSQL; one writer at a time.

Whoever adds tables names their module here, so that every program knows all of them.
"""

from accord.hub.db import (
    tables,
    tables_contact,
    tables_held,
    tables_log,
    tables_replicas,
    tables_retention,
)

__all__ = [
    "tables",
    "tables_contact",
    "tables_held",
    "tables_log",
    "tables_replicas",
    "tables_retention",
]
