# SPDX-License-Identifier: Apache-2.0
"""How a command opens a page, and says so; needs none of the page's libraries."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from accord.agent.cli.options import console
from accord.agent.cli.screens import print_json, print_line
from accord.core.errors import ConfigurationError
from accord.core.messages import sentence

if TYPE_CHECKING:
    from accord.agent.page.frame import AgentPage

_EXTRA = ("jinja2", "multipart", "python_multipart", "starlette", "uvicorn")

Port = Annotated[
    int,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        help="Port of the page; else one that is free.",
        show_default=False,
    ),
]
Browser = Annotated[
    bool,
    typer.Option(
        "--browser/--no-browser", help="Open a browser, or only print the address."
    ),
]


def serve(page: AgentPage, subject: str, *, browser: bool, as_json: bool) -> None:
    """Open a page, say where it is, and serve it until it is closed.

    Args:
        page: bound to its port.
        subject: its catalogue.
        browser: open it there.
        as_json: say it for programs.
    """
    from accord.rpc.loopback.launching import launched

    with launched(page.home.session, page.port, browser=browser) as opened:
        if as_json:
            content = {"port": page.port, "address": None if opened else page.address}
            print_json(console, content)
        elif opened:
            print_line(console, sentence(f"{subject}.launched.open"))
        else:
            print_line(console, sentence(f"{subject}.launched.address"))
            print_line(console, page.address)
        sys.stdout.flush()
        page.run()


def explain_missing(error: ModuleNotFoundError, instead: str) -> NoReturn:
    """Raise what is to be done about a library of the page that is not there.

    Args:
        error: of the import.
        instead: a sentence that names the commands for a terminal.

    Raises:
        ConfigurationError: LIBRARY_MISSING
    """
    if (error.name or "").partition(".")[0] not in _EXTRA:
        raise error
    raise ConfigurationError(
        "LIBRARY_MISSING",
        "The page needs libraries that are not installed: install the agent with its"
        f" extra `page`. {instead}",
    ) from None
