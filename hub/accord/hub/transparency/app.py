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

import sqlalchemy as sa
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
    key: str
    """The hub's public key, which signs heads of the log."""


def transparency_app(sources: Sources) -> Starlette:
    """Return the application; the database is looked at on its own thread."""
    answers = _Answers(sources)
    routes = [
        Route("/healthz", answers.health),
        Route("/metrics", answers.metrics),
        Route("/log", answers.log),
        Route("/log/head", answers.head),
        Route("/log/inclusion", answers.inclusion),
        Route("/log/consistency", answers.consistency),
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
                return ledger_standing(tx).doubt is not None

        failures = ["JOURNAL_DELAYED"] if self._sources.is_delayed() else []
        doubted = False
        try:
            doubted = await store.run(look)
        except Unreachable as error:
            failures.append(error.reason)
        content = {
            "healthy": not failures,
            "failures": failures,
            "refusing": (
                "LEDGER_BEHIND" if doubted else _refusing(self._sources.standing)
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
        return await self._looked_up(lambda tx: entries.page(tx, wanted))

    async def head(self, _request: Request) -> Response:
        """Give the newest signed head, and who has seen it."""
        key = self._sources.key
        return await self._looked_up(lambda tx: entries.head(tx, key))

    async def inclusion(self, request: Request) -> Response:
        """Prove that an entry is in the log."""
        entry, size = (_number(request, name) for name in ("entry", "size"))
        return await self._looked_up(lambda tx: entries.inclusion(tx, entry, size))

    async def consistency(self, request: Request) -> Response:
        """Prove that the log only grew."""
        old, new = (_number(request, name) for name in ("from", "to"))
        return await self._looked_up(lambda tx: entries.consistency(tx, old, new))

    async def _looked_up(
        self, look: Callable[[sa.Connection], dict[str, Any]]
    ) -> Response:
        store = self._sources.store

        def at_one_moment() -> dict[str, Any]:
            with store.read() as tx:
                return look(tx)

        return _json(await store.run(at_one_moment))


def _refusing(standing: Standing) -> str | None:
    """Return the reason for which no question is taken now, if there is one."""
    try:
        standing.now()
    except PreconditionFailed as error:
        return error.reason
    return None


def _number(request: Request, name: str) -> int:
    return entries.number_of(name, request.query_params.get(name))


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
        {"sentence": "There are /healthz, /metrics, /log and /log/head."},
        error.status_code,
    )
