# SPDX-License-Identifier: Apache-2.0
"""Which versions of the agent a hub talks to: its own minor one, and its neighbours.

Agencies upgrade when their staff has the time. An agent may be one minor version older
than its hub, or newer; what is further away would be guesswork on both sides, and is
refused with a sentence before anything is asked or said. Patch versions do not matter.
"""

from __future__ import annotations

import re
from typing import Final

from accord.core._version import __version__
from accord.core.errors import PreconditionFailed

DISTANCE: Final = 1
"""Minor versions by which hub and agent may differ."""

_VERSION: Final = re.compile(r"([0-9]{1,6})\.([0-9]{1,6})(?:$|[.+-]|(?:a|b|rc)[0-9])")


def require_compatible(agent: str, hub: str = __version__) -> None:
    """Refuse an agent that is too old, too new, or says no version at all.

    Args:
        agent: version that it names in its hello.
        hub: version of this program.

    Raises:
        PreconditionFailed: AGENT_VERSION
    """
    found, own = _parts(agent), _parts(hub)
    if found is None or own is None:
        raise PreconditionFailed(
            "AGENT_VERSION",
            f"The agent names no version that the hub, which is version {hub}, can "
            "read: install a released version of it.",
        )
    if found[0] == own[0] and abs(found[1] - own[1]) <= DISTANCE:
        return
    behind = "agent" if found < own else "hub"
    whom = "The agency's staff" if behind == "agent" else "The hub's operator"
    raise PreconditionFailed(
        "AGENT_VERSION",
        f"The agent is version {'.'.join(map(str, found))} and the hub version "
        f"{'.'.join(map(str, own))}; they may be one minor version apart. {whom} has "
        f"to upgrade the {behind}.",
    )


def _parts(version: str) -> tuple[int, int] | None:
    match = _VERSION.match(version)
    return None if match is None else (int(match[1]), int(match[2]))
