# SPDX-License-Identifier: Apache-2.0
"""A program that kills itself with SIGKILL at a named place of what it does."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from accord.agent.forgetting.taking_out import forget
from accord.agent.rotation.rotating import rotate
from accord.agent.state import AgentState
from tests.unit.agent.agencies import LIMITS, NOW


def killed(state: AgentState, at: tuple[str, int, str], *action: str) -> None:
    """Do what *action* says in a process of its own, which dies on the way.

    Args:
        state: of whom.
        at: dotted name of a function, at which call of it, and before or after.
        action: ``rotate``, or ``forget`` and a pseudonym in hex.
    """
    function, call, when = at
    arguments = [str(state.root), function, str(call), when, *action]
    process = subprocess.run(
        [sys.executable, "-m", __name__, *arguments], check=False, capture_output=True
    )
    assert process.returncode == -signal.SIGKILL, process.stderr


def _die_at(point: str, call: int, when: str) -> None:
    place, _, name = point.rpartition(".")
    module = importlib.import_module(place)
    whole, left = getattr(module, name), call

    def dying(*arguments: object, **named: object) -> object:
        nonlocal left
        left -= 1
        if left:
            return whole(*arguments, **named)
        if when == "after":
            whole(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    setattr(module, name, dying)


if __name__ == "__main__":
    root, function, call, when, *action = sys.argv[1:]
    _die_at(function, int(call), when)
    opened = AgentState.open(Path(root))
    match action:
        case ["rotate"]:
            rotate(opened, LIMITS, NOW)
        case ["forget", gone]:
            forget(opened, [bytes.fromhex(gone)], LIMITS, NOW)
        case _:
            sys.exit(f"nothing is known of {action}")
