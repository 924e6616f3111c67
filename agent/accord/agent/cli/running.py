# SPDX-License-Identifier: Apache-2.0
"""The commands ``run`` and ``status``: an agent at work, and what it is."""

from __future__ import annotations

from typing import Annotated

import typer

from accord.agent.answer import utc_now
from accord.agent.cli.options import AsJson, StateOption, console, screen
from accord.agent.cli.screens import (
    print_json,
    print_line,
    show_editions,
    show_parts,
)
from accord.agent.intake.parts import parts_of
from accord.agent.network.presence import OneContact
from accord.agent.running import run_agent
from accord.agent.state import AgentState, state_root
from accord.agent.status import Status, status_of
from accord.agent.store.editions import held_editions
from accord.core.errors import InvalidQuery

UNSAFE = (
    "UNSAFE TEST MODE: this agent's own caps are lifted. Its answers protect nobody. "
    "Use it only on records that nobody is in."
)


def run(
    *,
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Do what waits, and leave when nothing has come for 30 seconds.",
        ),
    ] = False,
    minutes: Annotated[
        int | None,
        typer.Option(
            "--for",
            metavar="MINUTES",
            min=1,
            max=1440,
            help="With --once: leave after so long at the latest.",
            show_default=False,
        ),
    ] = None,
    state: StateOption = None,
) -> None:
    """Answer the hub's questions until told to stop, or once."""
    if minutes is not None and not once:
        raise InvalidQuery("OPTION_ALONE", "--for goes with --once only.")
    opened = AgentState.open(state_root(state))
    settings = opened.settings()
    if settings.unsafe_test_mode:
        print_line(screen, UNSAFE, "bold red")
    limit = None if minutes is None else 60.0 * minutes
    run_agent(opened, settings, OneContact(seconds=limit) if once else None)


def status(*, state: StateOption = None, as_json: AsJson = False) -> None:
    """Show who this agent is, what it holds and what its records have lost."""
    opened = AgentState.open(state_root(state))
    found = status_of(opened, opened.settings(), utc_now())
    if as_json:
        print_json(console, found.as_json())
        return
    _show_status(opened, found)


def _show_status(state: AgentState, found: Status) -> None:
    print_line(console, f"state       {state.root}")
    for name, value in found.lines():
        print_line(console, f"{name:<11} {value}")
    if found.unsafe_test_mode:
        print_line(console, UNSAFE, "bold red")
    show_parts(console, parts_of(state.current).values())
    show_editions(console, "editions", held_editions(state))
