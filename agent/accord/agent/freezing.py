# SPDX-License-Identifier: Apache-2.0
"""What this agency's editions are frozen from: its store, or a table in a database."""

from __future__ import annotations

import datetime

from accord.agent.pushdown.library import no_library
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.store.editions import Origin, StoreOrigin
from accord.agent.store.leaving import Leaving


def leaving_on(settings: Settings, today: datetime.date) -> Leaving:
    """Return which cases leave the store and new editions on a day."""
    kept = settings.retention
    return Leaving(today=today, months=kept.months, registered=kept.registered)


def origin_of(
    state: AgentState, settings: Settings, now: datetime.datetime | None = None
) -> Origin:
    """Return what the settings name.

    Raises:
        ConfigurationError: PUSHDOWN_LIBRARY
    """
    day = now or datetime.datetime.now(datetime.UTC)
    store = settings.store
    if store.database is None:
        return StoreOrigin(state, leaving_on(settings, day.date()))
    try:
        from accord.agent.pushdown.edition import DatabaseOrigin
    except ImportError:
        raise no_library() from None
    return DatabaseOrigin(
        state=state,
        database=store.database,
        schema=store.schema_name,
        leaving=leaving_on(settings, day.date()),
    )
