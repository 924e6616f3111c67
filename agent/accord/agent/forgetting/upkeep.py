# SPDX-License-Identifier: Apache-2.0
"""What an agent sees to by itself, day by day, before it freezes and answers."""

from __future__ import annotations

import contextlib
import datetime

from accord.agent.forgetting.listed import note_file
from accord.agent.freezing import leaving_on
from accord.agent.rotation.note import rotation_note
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.store.erasing import delete_old_editions
from accord.core.errors import Conflict


def keep_up(state: AgentState, settings: Settings, now: datetime.datetime) -> None:
    """Finish what was killed, and delete editions that are too old.

    What takes long depends on what staff did and on the calendar, never on a record:
    ended consent counts in no answer, and leaves the files when staff ingests.

    DuckDB is loaded only to finish a forgetting or a rotation that was killed.

    Raises:
        AccordError: something cannot be seen to; the rest comes the next time.
    """
    if note_file(state).exists() or rotation_note(state).exists():
        from accord.agent.forgetting.taking_out import finish_alone

        # Another command that holds the store finishes it first.
        with contextlib.suppress(Conflict):
            finish_alone(state, settings.ingest, now)
    delete_old_editions(state, leaving_on(settings, now.date()))
