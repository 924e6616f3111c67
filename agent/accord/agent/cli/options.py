# SPDX-License-Identifier: Apache-2.0
"""What all commands of the agent share: options, and where they print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="State directory; else $ACCORD_AGENT_STATE, else the usual place.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

console = Console(markup=False, emoji=False)
"""Where results go."""

screen = Console(stderr=True, markup=False, emoji=False)
"""Where warnings and errors go."""


def typed_yes(question: str) -> bool:
    """Ask on the terminal; nothing but a yes is one."""
    screen.print(f"{question} Type yes or no: ", end="", highlight=False)
    try:
        return input().strip().casefold() == "yes"
    except EOFError:
        return False
