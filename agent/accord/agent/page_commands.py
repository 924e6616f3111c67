# SPDX-License-Identifier: Apache-2.0
"""The command ``page``: the agent at one glance, in a browser on its own machine."""

from __future__ import annotations

from accord.agent.options import AsJson, StateOption
from accord.agent.page.launching import Browser, Port, explain_missing, serve
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
