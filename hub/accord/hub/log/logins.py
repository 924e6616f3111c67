# SPDX-License-Identifier: Apache-2.0
"""Who came with a token: noted once for each token and day, not for each call."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from accord.hub.audit import Event, note
from accord.hub.db.tables import ANALYSTS
from accord.hub.db.tables_log import LOG_LOGINS


def is_noted(tx: sa.Connection, analyst: str, at: dt.datetime) -> bool:
    """Tell whether the log has an analyst's token for the day (UTC)."""
    made_at = _made_at(tx, analyst)
    chosen = sa.select(LOG_LOGINS.c.day).where(
        LOG_LOGINS.c.analyst == analyst,
        LOG_LOGINS.c.made_at == made_at,
        LOG_LOGINS.c.day == at.date().isoformat(),
    )
    return tx.execute(chosen).one_or_none() is not None


def note_login(tx: sa.Connection, analyst: str, at: dt.datetime) -> None:
    """Note an analyst's token for the day, unless it is there."""
    if is_noted(tx, analyst, at):
        return
    row = {
        "analyst": analyst,
        "made_at": _made_at(tx, analyst),
        "day": at.date().isoformat(),
    }
    tx.execute(LOG_LOGINS.insert(), row)
    note(tx, Event.TOKEN_SHOWN, at, analyst=analyst)


def _made_at(tx: sa.Connection, analyst: str) -> int:
    """Return when the token was made, which tells it from an earlier one."""
    chosen = sa.select(ANALYSTS.c.created_at).where(ANALYSTS.c.id == analyst)
    return int(tx.execute(chosen).scalar_one())
