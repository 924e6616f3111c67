# SPDX-License-Identifier: Apache-2.0
"""The frame of the agent's pages: their looks, their session, and how they are served.

A page is a `Home` (what one run has in its hands) and a list of routes. Its templates
extend ``frame.html``, and its catalogue of sentences, named by its subject, has

- ``SUBJECT.title``, the name of the page, and ``SUBJECT.footer``,
- ``SUBJECT.done.NAME`` for everything that `Visit.go` can report.

The sentences that all pages share are those of the catalogue ``page``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from accord.rpc.loopback.guard import MOST_BODY, Guard, Session
from accord.rpc.loopback.serving import LoopbackServer
from accord.rpc.loopback.visit import (
    STYLE,
    Frame,
    Visit,
    endpoint,
    entry_routes,
    templates_of,
)

SENTENCES = "page"


def agent_frame(
    subject: str,
    package: str,
    *,
    done: Sequence[str] = (),
    most_fields: int = 100,
) -> Frame:
    """Return the frame of one page.

    Args:
        subject: name of its catalogue.
        package: where its templates are.
        done: what it can say about the form before it.
        most_fields: of one form.
    """
    return Frame(
        subject=subject,
        sentences=SENTENCES,
        templates=templates_of(package, "accord.agent.page"),
        done=frozenset(done),
        most_fields=most_fields,
    )


class AgentHome:
    """One run of a page of the agent; pages add what they need."""

    def __init__(self, frame: Frame) -> None:
        """Start a session with the secrets of this run."""
        self.session = Session(cookie_name=f"accord_agent_{frame.subject}")
        self.frame = frame
        self.close: Callable[[], None] = lambda: None
        """Ends the program after the answers that are being given."""


H = TypeVar("H", bound=AgentHome)

BOTH = ("GET", "POST")
POST = ("POST",)


class AgentPage:
    """A page of the agent, bound to a port of loopback; `run` serves it."""

    def __init__(
        self,
        home: AgentHome,
        routes: Sequence[BaseRoute],
        port: int = 0,
        *,
        most_body: int = MOST_BODY,
    ) -> None:
        """Bind the port; browsers may connect from now on.

        Args:
            home: what this run has in its hands.
            routes: below the session's path; entrance, looks and the button that ends
                the program are added.
            port: 0 for any that is free.
            most_body: bytes of one request.

        Raises:
            ConfigurationError: PORT_TAKEN.
        """
        self._server = LoopbackServer(port)
        self.port = self._server.port
        self.home = home
        home.close = self.close
        closing = Route("/close", endpoint(home, _close), methods=list(POST))
        below = [*entry_routes(home), closing, *routes]
        self._app = Guard(
            Starlette(routes=[Mount(home.session.base, routes=below)]),
            home.session,
            self.port,
            open_to_all=STYLE,
            most_body=most_body,
        )

    @property
    def address(self) -> str:
        """What to open; it works once."""
        return self.home.session.address(self.port)

    def run(self) -> None:
        """Serve until `close`, Ctrl-C or the page's own button."""
        self._server.run(self._app)

    def close(self) -> None:
        """End after the answers that are being given."""
        self._server.close()


def at(
    home: H,
    path: str,
    view: Callable[[Visit[H]], Response],
    methods: Sequence[str] = ("GET",),
) -> BaseRoute:
    """Return the route of one view."""
    return Route(path, endpoint(home, view), methods=list(methods))


def _close(visit: Visit[H]) -> Response:
    visit.home.close()
    return visit.page("closed.html")
