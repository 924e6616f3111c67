# SPDX-License-Identifier: Apache-2.0
"""Notices policies that were published, by this process or another, and says so."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog

from accord.core.errors import AccordError
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.questions.accounts import convert_caps
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.connections import Connections
from accord.hub.rounds.elsewhere import Elsewhere
from accord.v1 import agent_pb2

LOOK_SECONDS: Final = 1.0
"""How often the database is looked at."""


class Watch:
    """Keeps a serving hub with the newest policies."""

    def __init__(
        self,
        *,
        standing: Standing,
        store: Store,
        connections: Connections,
        collection: Collection,
        elsewhere: Elsewhere,
    ) -> None:
        """Begin with what is in force."""
        self._elsewhere = elsewhere
        self._now = asyncio.Event()
        self._standing = standing
        self._store = store
        self._connections = connections
        self._collection = collection
        self._told = standing.version
        self._ended = _ended(standing)
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Look, for ever; what cannot be used now is looked at again."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._now.wait()
            self._now.clear()
            try:
                await self._store.run(self._standing.look)
            except AccordError as error:
                self._log.error("policies.unusable", reason=error.reason)
            except OSError as error:
                # A full disk, or a folder that is not there for a moment.
                self._log.error("policies.unwritable", error=type(error).__name__)
            await self.tell()

    def look_now(self) -> None:
        """Look at once: another process has published something."""
        self._now.set()

    async def tell(self) -> None:
        """Tell everybody, if other policies are in force than at the last time."""
        version, ended = self._standing.version, _ended(self._standing)
        if (version, ended) == (self._told, self._ended):
            return
        self._told, self._ended = version, ended
        self._elsewhere.policies_changed()
        self._log.info("policies.changed", policy_version=version)
        self._connections.send_all(
            agent_pb2.ConnectResponse(
                policies=agent_pb2.PoliciesChanged(policies_version=version)
            )
        )
        self._collection.review()
        policies = self._standing.current()
        if policies is not None:
            try:
                await asyncio.to_thread(convert_caps, policies)
            except AccordError as error:
                self._log.error("policies.unusable", reason=error.reason)


def _ended(standing: Standing) -> frozenset[str]:
    return standing.in_force.ended if standing.in_force else frozenset()
