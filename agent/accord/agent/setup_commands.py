# SPDX-License-Identifier: Apache-2.0
"""The command ``setup``: the first day of an agent in a browser."""

from __future__ import annotations

from accord.agent.options import AsJson, StateOption
from accord.agent.page.launching import Browser, Port, explain_missing, serve
from accord.agent.state import AgentState, state_root


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
