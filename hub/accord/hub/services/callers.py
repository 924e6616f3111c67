# SPDX-License-Identifier: Apache-2.0
"""Who calls with a token, and how many calls of one are served at once."""

from __future__ import annotations

import collections
import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import grpc
import structlog

from accord.core.decide import Analyst
from accord.core.errors import PolicyDenied, Unreachable
from accord.hub.db.engine import Store
from accord.hub.identity import registry
from accord.hub.log.logins import is_noted, note_login
from accord.rpc.peer import bearer_token

MOST_CALLS_OF_ONE: Final = 32
"""Calls of one person that are served at once, long polls included."""

BOARD_ROLE: Final = "board"
"""Whoever has it may see and bring changes of policies; to decide takes signatures."""

Context = grpc.aio.ServicerContext[Any, Any]


class Callers:
    """Everybody who has a token of this hub."""

    def __init__(self, store: Store, clock: Callable[[], dt.datetime]) -> None:
        """Begin with no calls."""
        self._store = store
        self._clock = clock
        self._came: set[tuple[str, dt.date]] = set()
        """Tokens that the log has for a day, by the digests of their secrets."""
        self._calls: collections.Counter[str] = collections.Counter()

    async def analyst(self, context: Context) -> Analyst:
        """Return who calls.

        Raises:
            Unauthenticated: TOKEN_UNKNOWN.
            Unreachable: TOO_MANY_CALLS.
        """
        secret = bearer_token(context).secret_digest()

        analyst = await self._store.run(self._authenticated, secret)
        structlog.contextvars.bind_contextvars(analyst=analyst.id)
        self._count(analyst, context)
        return analyst

    async def board_member(self, context: Context) -> Analyst:
        """Return who calls, if the operator added them with the role of the board.

        Raises:
            Unauthenticated: TOKEN_UNKNOWN.
            PolicyDenied: NOT_ON_BOARD.
            Unreachable: TOO_MANY_CALLS.
        """
        caller = await self.analyst(context)
        if BOARD_ROLE not in caller.roles:
            raise PolicyDenied(
                "NOT_ON_BOARD",
                "Only the board may use this: the operator adds its members with"
                f" `accord-hub analyst add --role {BOARD_ROLE}`.",
            )
        return caller

    def _authenticated(self, secret: str) -> Analyst:
        """Return whose token this is; nobody comes in whom the log does not have."""
        now = self._clock()
        came = (secret, now.date())
        with self._store.read() as tx:
            analyst = registry.authenticate(tx, secret)
            noted = came in self._came or is_noted(tx, analyst.id, now)
        if not noted:
            with self._store.write() as tx:
                registry.authenticate(tx, secret)
                note_login(tx, analyst.id, now)
        if came not in self._came:
            self._came = {each for each in self._came if each[1] >= now.date()} | {came}
        return analyst

    def _count(self, analyst: Analyst, context: Context) -> None:
        """Keep one person from holding all the calls that a port can serve.

        Raises:
            Unreachable: TOO_MANY_CALLS.
        """
        if self._calls[analyst.id] >= MOST_CALLS_OF_ONE:
            raise Unreachable(
                "TOO_MANY_CALLS",
                f"You have {MOST_CALLS_OF_ONE} calls open at once: wait for some.",
                limit=str(MOST_CALLS_OF_ONE),
            )
        self._calls[analyst.id] += 1

        def ended(_context: object) -> None:
            self._calls[analyst.id] -= 1
            if not self._calls[analyst.id]:
                del self._calls[analyst.id]

        context.add_done_callback(ended)  # type: ignore[arg-type]  # the stub names no protocol
