# SPDX-License-Identifier: Apache-2.0
"""Each night, what is older than its agreement says is erased, a little at a time."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from accord.core.errors import AccordError, PreconditionFailed
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.policies import Policies
from accord.hub.retention import orders
from accord.hub.retention.orders import Order

LOOK_SECONDS: Final = 600.0
"""How often a hub looks whether a new day has begun."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one transaction erased."""

    order: Order
    erased: dict[str, int]


def apply(
    store: Store, policies: Policies | None, clock: Callable[[], dt.datetime]
) -> Iterator[Step]:
    """Erase what is due, one transaction for each step.

    Args:
        store: the hub's database.
        policies: those in force; without any, the last word of each agreement holds.
        clock: returns the time.

    Raises:
        Unreachable: STORE_UNAVAILABLE; what was erased before stays so, and the rest
            is found the next time.
    """
    with store.write() as tx:
        said = orders.terms(tx, policies)
        orders.remember(tx, said)
    with store.read() as tx:
        found = orders.orders(tx, said, clock().date())
    for order in found:
        with store.write() as tx:
            orders.give(tx, order, clock())
        while True:
            with store.write() as tx:
                erased = orders.erase_some(tx, order)
            if not erased:
                break
            yield Step(order=order, erased=erased)


class Nightly:
    """Applies retention once a day, in a hub that serves."""

    def __init__(
        self, store: Store, standing: Standing, clock: Callable[[], dt.datetime]
    ) -> None:
        """Keep where to look; nothing is due before `run`."""
        self._store = store
        self._standing = standing
        self._clock = clock
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Apply at the start and after each midnight (UTC), for ever."""
        done: dt.date | None = None
        while True:
            today = self._clock().date()
            if today != done and await self._applied():
                done = today
            await asyncio.sleep(LOOK_SECONDS)

    async def _applied(self) -> bool:
        """Tell whether it is done; else it is tried again."""
        try:
            policies = self._standing.newest()
        except PreconditionFailed:
            policies = None
        steps = apply(self._store, policies, self._clock)
        try:
            while (step := await self._store.run(next, steps, None)) is not None:
                self._log.info(
                    "retention.applied",
                    agreement=step.order.agreement,
                    outcome=step.order.kind.value,
                )
        except AccordError as error:
            self._log.warning("retention.delayed", reason=error.reason)
            return False
        return True
