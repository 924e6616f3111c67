# SPDX-License-Identifier: Apache-2.0
"""One world: the hub's services over a database in memory, and agencies that answer."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from accord.client.demo.casefiles import SyntheticCase
from accord.client.session import Hub
from accord.core.calendar import edition_due, period_end
from accord.core.decide import Analyst
from accord.core.errors import InvalidQuery
from accord.hub.db.engine import Store
from accord.hub.identity import registry
from accord.hub.log.witnesses import Witnesses
from accord.hub.questions.asking import Desk, Terms
from accord.hub.releases.reading import Reader
from accord.hub.rounds.connections import Connections
from accord.hub.rounds.elsewhere import Elsewhere
from accord.hub.rounds.revisions import Revisions
from accord.hub.services.analysts import AnalystService
from accord.hub.services.callers import Callers
from accord.hub.services.reviews import ReviewService
from accord.rpc.codec import HeldEdition
from accord.rpc.tokens import TokenKind, mint
from accord.testing import governance, records
from accord.testing.collecting import Agencies, ImmediateCollection
from accord.testing.memory import MemoryDatabase
from accord.testing.standing import FixedStanding
from accord.testing.wire import InProcessWire, Loop

TODAY = dt.date(2026, 6, 15)
"""The day in a world where no other is named."""

LEAST_AGENCIES = 3
MOST_AGENCIES = 50


class World(contextlib.AbstractContextManager["World"]):
    """Agencies with invented records and a hub to ask; close it, or use a ``with``."""

    def __init__(
        self,
        *,
        agencies: int,
        seed: int,
        persons: int,
        agreement: str | Path | None,
        today: dt.date,
    ) -> None:
        """Make it; use `world` instead."""
        if not LEAST_AGENCIES <= agencies <= MOST_AGENCIES:
            raise InvalidQuery(
                "WORLD_AGENCIES",
                f"A world has {LEAST_AGENCIES} to {MOST_AGENCIES} agencies, not"
                f" {agencies}.",
            )
        _quieten()
        self.seed = seed
        self._begin = time.monotonic()
        self._noon = dt.datetime.combine(today, dt.time(12), dt.UTC)
        text = _text_of(agreement)
        chosen = records.agencies(agencies, persons)
        self.agencies = tuple(agency.label for agency in chosen)
        authority = governance.authority(seed, self._noon)
        proposal, form = governance.founded(chosen, authority, text, seed, self._noon)
        self.agreement = form.agreement
        self.edition = edition_due(form.editions.every, form.editions.embargo, today)
        until = period_end(self.edition)
        store = Store(MemoryDatabase())
        store.create()
        standing = FixedStanding(
            proposal, store=store, authority=authority, clock=self._clock
        )
        model = standing.now().models[form.data_model]
        self._cases = (self.agencies, persons, until, seed)
        held = HeldEdition(
            every=form.editions.every,
            embargo_days=form.editions.embargo,
            name=self.edition,
            data_model=model.name,
            data_model_digest=model.digest,
        )
        token = mint(TokenKind.ANALYST, authority.fingerprint)
        analyst = Analyst(
            id="learner",
            organisation=form.recipients.organisations[0],
            roles=frozenset(form.recipients.roles),
        )
        serials = {label: f"{place:032x}" for place, label in enumerate(self.agencies)}
        with store.write() as tx:
            registry.add_analyst(tx, analyst, token.secret_digest(), now=self._noon)
            for label, serial in serials.items():
                registry.record_editions(tx, label, [held])
                registry.record_certificate(
                    tx,
                    label,
                    serial,
                    agency_key=standing.now().members.members[label].key or "",
                    now=self._noon,
                    expires_at=self._noon + dt.timedelta(days=365),
                    renewed=False,
                )
        answering = Agencies(
            records.stores(*self._cases, model),
            {label: governance.agency_keys(seed, label) for label in self.agencies},
            model,
            seed,
        )
        self._loop = Loop()
        parts: dict[str, Any] = {
            "store": store,
            "standing": standing,
            "clock": self._clock,
        }

        async def services() -> dict[str, Any]:
            revisions = Revisions(self._clock(), Elsewhere())
            collection = ImmediateCollection(
                answering,
                serials,
                **parts,
                connections=Connections(self._clock, Elsewhere()),
                revisions=revisions,
                unsafe=False,
            )
            callers = Callers(store, self._clock)
            desk = Desk(
                **parts,
                authority=authority,
                collection=collection,
                terms=Terms(answer_within=dt.timedelta(minutes=5), unsafe=False),
            )
            return {
                "analysts": AnalystService(
                    **parts,
                    callers=callers,
                    desk=desk,
                    reader=Reader(store, standing, self._clock),
                    collection=collection,
                    revisions=revisions,
                    witnesses=Witnesses(**parts, authority=authority),
                ),
                "reviews": ReviewService(**parts, callers=callers, revisions=revisions),
            }

        self.hub = Hub(InProcessWire(self._loop, token, **self._loop.run(services())))
        """The SDK's hub, as `accord.client.connect` returns it."""
        self._end = weakref.finalize(self, _end, self._loop, store)

    def _clock(self) -> dt.datetime:
        """Return noon of the world's day, and as much later as it has existed."""
        return self._noon + dt.timedelta(seconds=time.monotonic() - self._begin)

    def cases(self) -> tuple[SyntheticCase, ...]:
        """Return all invented cases, which no analyst of a real hub ever sees.

        `accord.client.demo.casefiles.exact_counts` counts them without noise or bound.
        """
        return records.cases(*self._cases)

    def close(self) -> None:
        """Let go of everything."""
        self._end()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __repr__(self) -> str:
        """Say what it is, and that nothing in it is real."""
        return (
            f"<World of {len(self.agencies)} invented agencies, edition {self.edition},"
            f" seed {self.seed}: SYNTHETIC RECORDS, no figure says anything about real"
            " people>"
        )


def world(
    agencies: int = 5,
    seed: int = 0,
    persons: int = 8_000,
    agreement: str | Path | None = None,
    today: dt.date = TODAY,
) -> World:
    """Return a federation in this process, with invented records.

    The same arguments and the same questions in the same order give the same figures.

    Args:
        agencies: how many there are, 3 to 50.
        seed: of the records and of the noise.
        persons: about how many, each counted in every agency that knows them.
        agreement: text or file of another agreement than the one that allows every
            measure; its parties become the agencies of the world.
        today: the day on which everything is asked; records reach back 24 months.

    Raises:
        InvalidQuery: WORLD_AGENCIES.
        DocumentError: the agreement is wrong, with every place.
    """
    return World(
        agencies=agencies,
        seed=seed,
        persons=persons,
        agreement=agreement,
        today=today,
    )


def _text_of(agreement: str | Path | None) -> str:
    if agreement is None:
        return governance.example_agreement()
    return agreement.read_text() if isinstance(agreement, Path) else agreement


def _quieten() -> None:
    """Keep the hub's log lines out of a notebook, unless somebody wants them."""
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
        )


def _end(loop: Loop, store: Store) -> None:
    loop.stop()
    store.close()
