# SPDX-License-Identifier: Apache-2.0
"""The page as one application: addresses, and who answers them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from accord.client.board import changing, founding, overview, setting_up, signing
from accord.client.board.home import Home
from accord.client.board.visit import View, Visit, endpoint
from accord.rpc.loopback.guard import Guard
from accord.rpc.loopback.visit import STYLE, entry_routes

BOTH = ["GET", "POST"]
POST = ["POST"]


def board_app(home: Home, port: int) -> Guard:
    """Return the application that answers on *port* of loopback."""

    def at(path: str, view: View, methods: list[str] | None = None) -> BaseRoute:
        return Route(path, endpoint(home, view), methods=methods)

    routes = [
        *entry_routes(home),
        at("/", overview.home),
        at("/hub", setting_up.hub, BOTH),
        at("/board", setting_up.board, BOTH),
        at("/keys", setting_up.keys, BOTH),
        at("/keys/{name}.key", setting_up.key_file),
        at("/agreements/{name}", overview.policy),
        at("/documents/{path:path}", overview.document),
        at("/propose", changing.choose),
        at("/propose/edit", changing.edit, BOTH),
        at("/propose/end", changing.end, POST),
        at("/propose/keys", changing.enter, POST),
        at("/propose/renew", changing.renew, POST),
        at("/found", founding.found, BOTH),
        at("/proposals", signing.bring, POST),
        at("/proposals/{id}", signing.proposal),
        at("/proposals/{id}/file", signing.download),
        at("/proposals/{id}/sign", signing.sign, POST),
        at("/proposals/{id}/offer", signing.offer, POST),
        at("/proposals/{id}/publish", signing.publish, POST),
        at("/proposals/{id}/drop", signing.drop, POST),
        at("/close", _close, POST),
    ]
    app = Starlette(routes=[Mount(home.session.base, routes=routes)])
    return Guard(app, home.session, port, open_to_all=STYLE)


def _close(visit: Visit) -> Response:
    """End the program, after this answer."""
    visit.home.close()
    return visit.page("closed.html")
