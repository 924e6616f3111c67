# SPDX-License-Identifier: Apache-2.0
"""The page as one application, served until somebody closes it."""

from __future__ import annotations

from accord.agent.overview import deciding, looking
from accord.agent.overview.home import OverviewHome
from accord.agent.page.frame import BOTH, AgentPage, at
from accord.agent.state import AgentState


def overview_page(state: AgentState, port: int = 0) -> AgentPage:
    """Bind the page to a port.

    Raises:
        ConfigurationError: PORT_TAKEN.
    """
    home = OverviewHome(state)
    routes = [
        at(home, "/", looking.overview),
        at(home, "/questions", looking.asked),
        at(home, "/approvals/{query}", deciding.approval, BOTH),
        at(home, "/stop", deciding.stop, BOTH),
        at(home, "/resume", deciding.resume, BOTH),
    ]
    return AgentPage(home, routes, port)
