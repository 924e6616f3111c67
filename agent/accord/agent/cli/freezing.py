# SPDX-License-Identifier: Apache-2.0
"""The commands ``freeze`` and ``editions``."""

from __future__ import annotations

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console
from accord.agent.cli.screens import (
    print_json,
    print_line,
    show_editions,
)
from accord.agent.forgetting.upkeep import keep_up
from accord.agent.freezing import origin_of
from accord.agent.policies import policies_of
from accord.agent.state import AgentState, state_root
from accord.agent.store.editions import calendars, freeze_due, held_editions


def freeze(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """Freeze the editions that the calendar asks for; `run` does so by itself."""
    opened = AgentState.open(state_root(state))
    agreements = policies_of(opened).agreements()
    settings, now = opened.settings(), utc_now()
    keep_up(opened, settings, now)
    origin = origin_of(opened, settings, now)
    due = calendars(agreements)
    frozen, waiting = freeze_due(opened, due, now, origin)
    if as_json:
        content = {
            "frozen": [each.as_json() for each in frozen],
            "waiting": [each.as_json() for each in waiting],
        }
        print_json(console, content)
        return
    show_editions(console, "frozen now", frozen)
    for wait in waiting:
        print_line(console, f"{wait.calendar}/{wait.name} waits: {wait.sentence}")


def editions(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """List the frozen editions."""
    held = held_editions(AgentState.open(state_root(state)))
    if as_json:
        print_json(console, {"editions": [each.as_json() for each in held]})
        return
    show_editions(console, "editions", held)
