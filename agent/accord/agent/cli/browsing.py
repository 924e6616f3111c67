# SPDX-License-Identifier: Apache-2.0
"""The commands ``page`` and ``setup``: the agent in a browser on its own machine."""

from __future__ import annotations

from accord.agent.cli.launching import Browser, Port, explain_missing, serve
from accord.agent.cli.options import AsJson, StateOption
from accord.agent.state import AgentState, state_root


def page(
    *,
    port: Port = 0,
    browser: Browser = True,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Open a page on this machine: health, questions, approvals, budget, stopping."""
    opened = AgentState.open(state_root(state))
    try:
        from accord.agent.overview.pages import overview_page
    except ModuleNotFoundError as error:
        explain_missing(
            error,
            "`accord-agent status`, `receipts` and `approvals` show the same on a"
            " terminal.",
        )
    made = overview_page(opened, port)
    serve(made, "overview", browser=browser, as_json=as_json)


def setup(
    *,
    port: Port = 0,
    browser: Browser = True,
    state: StateOption = None,
    as_json: AsJson = False,
) -> None:
    """Open a page on this machine that sets the agent up, step by step."""
    made = AgentState.create(state_root(state))
    try:
        from accord.agent.setup.pages import setup_page
    except ModuleNotFoundError as error:
        explain_missing(error, "`accord-agent init` does the same on a terminal.")
    with setup_page(made, port) as page:
        serve(page, "setup", browser=browser, as_json=as_json)
