# SPDX-License-Identifier: Apache-2.0
"""Who calls with a token, and how many calls of one are served at once."""

from __future__ import annotations

import collections
from typing import Any, Final

import grpc
import structlog

from accord.core.decide import Analyst
from accord.core.errors import PolicyDenied, Unreachable
from accord.hub.db.engine import Store
from accord.hub.identity import registry
from accord.rpc.peer import bearer_token

MOST_CALLS_OF_ONE: Final = 32
"""Calls of one person that are served at once, long polls included."""

BOARD_ROLE: Final = "board"
"""Whoever has it may see and bring changes of policies; to decide takes signatures."""

Context = grpc.aio.ServicerContext[Any, Any]


class Callers:
    """Everybody who has a token of this hub."""

    def __init__(self, store: Store) -> None:
        """Begin with no calls."""
        self._store = store
        self._calls: collections.Counter[str] = collections.Counter()

    async def analyst(self, context: Context) -> Analyst:
        """Return who calls.

        Raises:
            Unauthenticated: TOKEN_UNKNOWN.
            Unreachable: TOO_MANY_CALLS.
        """
        secret = bearer_token(context).secret_digest()

        def look() -> Analyst:
            with self._store.read() as tx:
                return registry.authenticate(tx, secret)

        analyst = await self._store.run(look)
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
