# SPDX-License-Identifier: Apache-2.0
"""The help of ``accord-agent`` is ordered by what staff wants to do."""

from __future__ import annotations

from typing import Any

import typer.main

from accord.agent.cli import ANSWER, CARE, JOIN, LEAVES, RECORDS, app


def test_every_command_stands_in_a_panel() -> None:
    command: Any = typer.main.get_command(app)
    panels = {name: made.rich_help_panel for name, made in command.commands.items()}
    assert set(panels.values()) == {JOIN, RECORDS, ANSWER, LEAVES, CARE}, panels
