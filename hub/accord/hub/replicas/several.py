# SPDX-License-Identifier: Apache-2.0
"""Whether a hub that serves can be one of several: where its database is PostgreSQL.

On SQLite nothing else of this package is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accord.hub.db.engine import Store
from accord.hub.identity.authority import Authority

if TYPE_CHECKING:
    from accord.hub.replicas.replica import Replica


def replica_of(store: Store, authority: Authority) -> Replica | None:
    """Return this process as one of several; nothing where it is the only one."""
    if store.dialect == "sqlite":
        return None
    from accord.hub.replicas.replica import Replica

    return Replica(store, authority.requisition_key)
