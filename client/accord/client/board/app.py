# SPDX-License-Identifier: Apache-2.0
"""The page as one application: addresses, and who answers them."""

from __future__ import annotations

import importlib.resources
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from accord.client.board import changing, founding, overview, setting_up, signing
from accord.client.board.guard import COOKIE, Guard
from accord.client.board.home import Home
from accord.client.board.visit import View, Visit, endpoint

BOTH = ["GET", "POST"]
POST = ["POST"]


def board_app(home: Home, port: int) -> Guard:
    """Return the application that answers on *port* of loopback."""

    def at(path: str, view: View, methods: list[str] | None = None) -> BaseRoute:
        return Route(path, endpoint(home, view), methods=methods)

    routes = [
        Route("/enter", _enter(home)),
        Route("/board.css", _shipped("board.css", "text/css")),
        Route("/board.svg", _shipped("board.svg", "image/svg+xml")),
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
    return Guard(app, home.session, port)


def _enter(home: Home) -> Callable[[Request], Awaitable[Response]]:
    async def enter(request: Request) -> Response:
        answer = RedirectResponse(f"{home.session.base}/", HTTPStatus.SEE_OTHER)
        if request.scope.get("accord_known"):
            return answer
        cookie = home.session.enter(request.query_params.get("invitation", ""))
        if cookie is None:
            return Visit(home=home, language="en", where={}, query={}).page(
                "uninvited.html", status=HTTPStatus.FORBIDDEN
            )
        answer.set_cookie(
            COOKIE,
            cookie,
            path=home.session.base,
            httponly=True,
            samesite="strict",
        )
        return answer

    return enter


def _shipped(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    content = importlib.resources.files(__package__).joinpath(name).read_bytes()

    async def shipped(_: Request) -> Response:
        return Response(content, media_type=kind)

    return shipped


def _close(visit: Visit) -> Response:
    """End the program, after this answer."""
    visit.home.close()
    return visit.page("closed.html")
