# SPDX-License-Identifier: Apache-2.0
"""The command ``setup``: the first day of an agent in a browser."""

from __future__ import annotations

import sys
import webbrowser
from typing import Annotated

import typer

from accord.agent.options import AsJson, StateOption, console
from accord.agent.screens import print_json, print_line
from accord.agent.state import AgentState, state_root
from accord.core.errors import ConfigurationError
from accord.core.messages import sentence

_EXTRA = ("jinja2", "multipart", "python_multipart", "starlette", "uvicorn")


def setup(
    *,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Else one that is free.")
    ] = 0,
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Else its address."),
    ] = True,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Open a page on this machine that sets the agent up, step by step."""
    made = AgentState.create(state_root(state))
    try:
        from accord.agent.setup.pages import setup_page
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise ConfigurationError(
            "LIBRARY_MISSING",
            "The page needs libraries that are not installed: install the agent with "
            "its extra `page`. `accord-agent init` does the same on a terminal.",
        ) from None
    with setup_page(made, port) as page:
        opened = browser and webbrowser.open(page.address)
        if as_json:
            content = {"port": page.port, "address": None if opened else page.address}
            print_json(console, content)
        elif opened:
            print_line(console, sentence("setup.launched.open"))
        else:
            print_line(console, sentence("setup.launched.address"))
            print_line(console, page.address)
        sys.stdout.flush()
        page.run()
