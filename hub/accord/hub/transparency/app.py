# SPDX-License-Identifier: Apache-2.0
"""What the loopback listener answers: health, figures and the audit log, read only.

There is no login: whoever has an account on the hub's machine can read it. The log
names analysts by the ids that the operator gave them, as its entries are hashed; what
is meant for the public is the static export.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from accord.core.errors import (
    AccordError,
    InvalidQuery,
    NotFound,
    PreconditionFailed,
    Unreachable,
)
from accord.hub.contact.standing import standing as ledger_standing
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.transparency import entries
from accord.hub.transparency.figures import Figures
from accord.hub.transparency.listener import HOSTS

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where answers come from."""

    store: Store
    figures: Figures
    is_delayed: Callable[[], bool]
    """Tells whether the database could not be written last time."""
    standing: Standing


def transparency_app(sources: Sources) -> Starlette:
    """Return the application; the database is looked at on its own thread."""
    answers = _Answers(sources)
    routes = [
        Route("/healthz", answers.health),
        Route("/metrics", answers.metrics),
        Route("/log", answers.log),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
        exception_handlers={AccordError: _refused, HTTPException: _no_such_page},
    )


class _Answers:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def health(self, _request: Request) -> Response:
        """Tell whether the program works, and whether it takes questions.

        What only the board or the operator can cure is no failure of the program: to
        restart it would not help.
        """
        store = self._sources.store

        def look() -> bool:
            with store.read() as tx:
                entries.size(tx)
                return ledger_standing(tx).doubt is not None

        failures = ["JOURNAL_DELAYED"] if self._sources.is_delayed() else []
        is_doubted = False
        try:
            is_doubted = await store.run(look)
        except Unreachable as error:
            failures.append(error.reason)
        content = {
            "healthy": not failures,
            "failures": failures,
            "refusing": (
                "LEDGER_BEHIND" if is_doubted else _refusing(self._sources.standing)
            ),
        }
        return _json(content, 503 if failures else 200)

    async def metrics(self, _request: Request) -> Response:
        """Give figures to a monitoring system."""
        text = await self._sources.store.run(self._sources.figures.text)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4, headers=HEADERS)

    async def log(self, request: Request) -> Response:
        """Give a page of the log."""
        asked = request.query_params
        wanted = entries.range_of(asked.get("from"), asked.get("most"))
        store = self._sources.store

        def look() -> dict[str, Any]:
            with store.read() as tx:
                return entries.page(tx, wanted)

        return _json(await store.run(look))


def _refusing(standing: Standing) -> str | None:
    """Return the reason for which no question is taken now, if there is one."""
    try:
        standing.now()
    except PreconditionFailed as error:
        return error.reason
    return None


def _json(content: object, status: int = 200) -> Response:
    return JSONResponse(content, status, headers=HEADERS)


def _status(error: AccordError) -> int:
    if isinstance(error, InvalidQuery):
        return 400
    if isinstance(error, NotFound):
        return 404
    return 503 if isinstance(error, Unreachable) else 500


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AccordError)  # noqa: S101  # registered for no other
    content = {"reason": error.reason, "sentence": error.sentence}
    return _json(content, _status(error))


async def _no_such_page(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for no other
    return _json(
        {"sentence": "There are /healthz, /metrics and /log."}, error.status_code
    )
