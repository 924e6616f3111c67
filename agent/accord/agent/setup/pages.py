# SPDX-License-Identifier: Apache-2.0
"""The page as one application, served until somebody closes it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator

from accord.agent.intake.workspace import workspace
from accord.agent.page.frame import BOTH, POST, AgentPage, at
from accord.agent.setup import joining_pages, source_pages
from accord.agent.setup.home import MOST_UPLOADED, SetupHome
from accord.agent.state import AgentState

_BESIDE_THE_FILE = 64 << 10
"""Bytes of a form around the file that it sends."""


@contextlib.contextmanager
def setup_page(state: AgentState, port: int = 0) -> Iterator[AgentPage]:
    """Bind the page to a port; what was sent to it is gone after the block.

    Raises:
        ConfigurationError: PORT_TAKEN.
    """
    with workspace(state) as private:
        before = tempfile.tempdir
        # A file that is sent is spilled to disk before anybody sees it.
        tempfile.tempdir = str(private)
        try:
            home = SetupHome(state, private)
            routes = [
                at(home, "/", source_pages.source, BOTH),
                at(home, "/columns", source_pages.columns, BOTH),
                at(home, "/codes", source_pages.codes, BOTH),
                at(home, "/check", source_pages.check),
                at(home, "/store", source_pages.store, POST),
                at(home, "/keys", joining_pages.keys),
                at(home, f"/{joining_pages.KEYS_FILE}", joining_pages.keys_file),
                at(home, "/enrol", joining_pages.enrol, BOTH),
                at(home, "/finished", joining_pages.finished),
            ]
            most = MOST_UPLOADED + _BESIDE_THE_FILE
            yield AgentPage(home, routes, port, most_body=most)
        finally:
            tempfile.tempdir = before
