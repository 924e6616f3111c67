# SPDX-License-Identifier: Apache-2.0
"""The note that a rotation is under way; it names no key and nobody.

It only says that there is something to do: what that is, the keys and the data say.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from accord.agent.state import AgentState
from accord.agent.store.durable import write_over


def rotation_note(state: AgentState) -> Path:
    """Return where the note lies of a rotation that is not finished."""
    return state.store / "rotation.json"


def write_rotation_note(state: AgentState, now: datetime.datetime) -> None:
    """Leave the note; on disk when this returns.

    Raises:
        OSError: it cannot be written.
    """
    content = json.dumps({"begun_at": now.isoformat()})
    write_over(rotation_note(state), content.encode())
