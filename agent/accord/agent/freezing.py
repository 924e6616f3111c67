# SPDX-License-Identifier: Apache-2.0
"""What this agency's editions are frozen from: its store, or a table in a database."""

from __future__ import annotations

from accord.agent.pushdown.library import no_library
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.store.editions import Origin, StoreOrigin


def origin_of(state: AgentState, settings: Settings) -> Origin:
    """Return what the settings name.

    Raises:
        ConfigurationError: PUSHDOWN_LIBRARY
    """
    store = settings.store
    if store.database is None:
        return StoreOrigin(state)
    try:
        from accord.agent.pushdown.edition import DatabaseOrigin
    except ImportError:
        raise no_library() from None
    return DatabaseOrigin(
        state=state, database=store.database, schema=store.schema_name
    )
