# SPDX-License-Identifier: Apache-2.0
"""A hub that serves: everything put together, started, and stopped cleanly."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable, Coroutine, Sequence
from fractions import Fraction
from typing import Any, Final

from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.hub.bulletins import Bulletins
from accord.hub.contact.ledger_watch import LedgerWatch
from accord.hub.db.engine import open_store
from accord.hub.governance.standing import Standing
from accord.hub.governance.watch import Watch
from accord.hub.identity.authority import Authority, load_authority
from accord.hub.identity.server_certificate import ServerCertificate
from accord.hub.log.witnesses import Witnesses
from accord.hub.policies import Policies
from accord.hub.questions.accounts import convert_caps
from accord.hub.questions.asking import Desk, Terms
from accord.hub.releases.noise import add_noise
from accord.hub.releases.reading import Reader
from accord.hub.replicas.several import replica_of
from accord.hub.retention.nightly import Nightly
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.connections import Connections
from accord.hub.rounds.elsewhere import Elsewhere
from accord.hub.rounds.revisions import Revisions
from accord.hub.services.agents import AgentService
from accord.hub.services.analysts import AnalystService
from accord.hub.services.callers import Callers
from accord.hub.services.enrolment import EnrolmentService
from accord.hub.services.policies import PolicyService
from accord.hub.services.reviews import ReviewService
from accord.hub.settings import HubSettings, load_settings
from accord.hub.state import State
from accord.hub.transparency.app import Sources, transparency_app
from accord.hub.transparency.figures import Figures
from accord.hub.transparency.listener import Listener as Loopback
from accord.rpc.interceptors import ErrorBoundary
from accord.rpc.server import Listener, agent_server, public_server
from accord.v1 import (
    agent_pb2_grpc,
    analyst_pb2_grpc,
    enrolment_pb2_grpc,
    policy_pb2_grpc,
    review_pb2_grpc,
)

GRACE_SECONDS: Final = 3.0
"""Time for calls to end when the hub stops."""

Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """Return the time of the machine."""
    return dt.datetime.now(dt.UTC)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a hub listens."""

    public: str
    agents: str
    transparency: str | None = None
    """Where this machine alone can look; nothing where the operator wants none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a hub is made of, loaded and checked."""

    state: State
    settings: HubSettings
    authority: Authority


def load_parts(state: State, clock: Clock = utc_now) -> Parts:
    """Read everything that a hub needs, and trust none of it unchecked.

    Raises:
        ConfigurationError: something is missing or wrong.
    """
    state.require()
    return Parts(
        state=state,
        settings=load_settings(state.config),
        authority=load_authority(state.keys, clock()),
    )


class Hub:
    """A running hub; `start` and `stop` it on one event loop."""

    def __init__(self, parts: Parts, clock: Clock = utc_now) -> None:
        """Open the database and the policies; nothing is served yet.

        Raises:
            ConfigurationError: the database is missing or of another format, or the
                policies are beyond this version.
            IntegrityError: the ledger contradicts itself, or signed policies do.
        """
        settings = parts.settings
        self._parts = parts
        self._store = open_store(parts.state, settings)
        self.standing = Standing(
            folder=parts.state.policies,
            store=self._store,
            authority=parts.authority,
            clock=clock,
        )
        try:
            self._store.check()
            self.standing.begin(sign=True)
        except BaseException:
            self._store.close()
            raise
        self._replica = replica_of(self._store, parts.authority)
        elsewhere = self._replica or Elsewhere()
        self._connections = Connections(clock, elsewhere)
        self._revisions = revisions = Revisions(clock(), elsewhere)
        self._collection = Collection(
            store=self._store,
            standing=self.standing,
            connections=self._connections,
            revisions=revisions,
            clock=clock,
            unsafe=settings.unsafe_test_mode,
            elsewhere=elsewhere,
        )
        lifetime = dt.timedelta(hours=settings.agent_certificate_hours)
        self._witnesses = Witnesses(
            store=self._store,
            authority=parts.authority,
            standing=self.standing,
            clock=clock,
        )
        self._contact = LedgerWatch(
            store=self._store,
            standing=self.standing,
            authority=parts.authority,
            connections=self._connections,
            collection=self._collection,
            clock=clock,
        )
        self._agents = AgentService(
            store=self._store,
            authority=parts.authority,
            standing=self.standing,
            connections=self._connections,
            collection=self._collection,
            contact=self._contact,
            witnesses=self._witnesses,
            lifetime=lifetime,
            clock=clock,
        )
        self._enrolment = EnrolmentService(
            store=self._store,
            authority=parts.authority,
            standing=self.standing,
            lifetime=lifetime,
            clock=clock,
            agent_port=lambda: self._agent_port,
        )
        desk = Desk(
            store=self._store,
            authority=parts.authority,
            standing=self.standing,
            collection=self._collection,
            terms=Terms(
                answer_within=dt.timedelta(seconds=settings.answer_within_seconds),
                unsafe=settings.unsafe_test_mode,
            ),
            clock=clock,
        )
        self._watch = Watch(
            standing=self.standing,
            store=self._store,
            connections=self._connections,
            collection=self._collection,
            elsewhere=elsewhere,
        )
        callers = Callers(self._store, clock)
        self._boards = PolicyService(
            store=self._store,
            callers=callers,
            standing=self.standing,
            watch=self._watch,
        )
        self._reviews = ReviewService(
            store=self._store,
            callers=callers,
            standing=self.standing,
            revisions=revisions,
            clock=clock,
        )
        self._analysts = AnalystService(
            store=self._store,
            callers=callers,
            standing=self.standing,
            desk=desk,
            reader=Reader(self._store, self.standing, clock),
            collection=self._collection,
            revisions=revisions,
            witnesses=self._witnesses,
            clock=clock,
        )
        self._nightly = Nightly(self._store, self.standing, clock)
        self._bulletins = Bulletins(desk, self.standing, parts.authority, clock)
        self._identity = ServerCertificate(parts.authority, settings.hosts, clock)
        self._agent_port = 0
        self._loopback: Loopback | None = None
        self._listeners: list[Listener] = []
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> Addresses:
        """Serve both ports; take up what waited.

        Raises:
            ConfigurationError: PORT_UNAVAILABLE.
        """
        settings, authority = self._parts.settings, self._parts.authority
        host = f"[{settings.listen}]" if ":" in settings.listen else settings.listen
        agents = agent_server(
            f"{host}:{settings.agent_port}",
            self._identity,
            authority.pem,
            [
                lambda server: agent_pb2_grpc.add_AgentServiceServicer_to_server(
                    self._agents, server
                )
            ],
            ErrorBoundary(),
        )
        self._agent_port = agents.port
        public = public_server(
            f"{host}:{settings.public_port}",
            self._identity,
            [
                lambda server: (
                    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(
                        self._enrolment, server
                    )
                ),
                lambda server: analyst_pb2_grpc.add_AnalystServiceServicer_to_server(
                    self._analysts, server
                ),
                lambda server: policy_pb2_grpc.add_PolicyServiceServicer_to_server(
                    self._boards, server
                ),
                lambda server: review_pb2_grpc.add_ReviewServiceServicer_to_server(
                    self._reviews, server
                ),
            ],
            ErrorBoundary(),
        )
        await self._show()
        await asyncio.to_thread(warm_up, self.standing.current())
        await self._store.run(self._contact.begin)
        works = await self._join()
        await self._collection.resume()
        self._background = [
            *(asyncio.create_task(work) for work in works),
            asyncio.create_task(self._collection.run()),
            asyncio.create_task(self._watch.run()),
            asyncio.create_task(self._contact.run()),
            asyncio.create_task(self._witnesses.run()),
            asyncio.create_task(self._nightly.run()),
            asyncio.create_task(self._bulletins.run()),
            asyncio.create_task(
                self._connections.guard(self._agents.faults, self._collection.forget)
            ),
        ]
        self._listeners = [public, agents]
        for listener in self._listeners:
            await listener.start()
        if self._loopback is not None:
            self._loopback.start()
        return Addresses(
            public=f"{host}:{public.port}",
            agents=f"{host}:{agents.port}",
            transparency=self._loopback.address if self._loopback else None,
        )

    async def _join(self) -> Sequence[Coroutine[Any, Any, None]]:
        """Become one of several where others may serve, too; return what has to run."""
        if self._replica is None:
            return ()
        return await self._replica.join(
            connections=self._connections,
            collection=self._collection,
            revisions=self._revisions,
            watch=self._watch,
        )

    async def _show(self) -> None:
        """Bind the loopback port, where the operator wants one."""
        port = self._parts.settings.transparency_port
        if port is None:
            return
        figures = Figures(
            store=self._store,
            standing=self.standing,
            connected=self._connections.connected,
            is_delayed=lambda: self._collection.is_delayed,
        )
        sources = Sources(
            store=self._store,
            figures=figures,
            is_delayed=lambda: self._collection.is_delayed,
            standing=self.standing,
            key=self._parts.authority.hub_form.key,
        )
        self._loopback = Loopback(transparency_app(sources), port)
        await self._store.run(figures.begin)

    @property
    def is_replaced(self) -> bool:
        """Whether other processes take over, since this one's session was lost."""
        return self._replica is not None and self._replica.is_lost

    async def broken(self) -> None:
        """Return when a part that should run for ever has ended."""
        await asyncio.wait(self._background, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """End streams and calls; finish what is being committed."""
        if self._loopback is not None:
            await self._loopback.stop()
        self._connections.end_all()
        await asyncio.gather(*(each.stop(GRACE_SECONDS) for each in self._listeners))
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._collection.stop()
        if self._replica is not None:
            await self._replica.leave()
        await asyncio.to_thread(self._store.close)


def warm_up(policies: Policies | None) -> None:
    """Load what is slow to load, and convert every cap, before anybody waits for it.

    Raises:
        InternalError: the noise sampler or the conversions cannot be trusted.
    """
    if policies is not None:
        convert_caps(policies)
    for mechanism in (
        DiscreteGaussian(scale=Fraction(1)),
        DiscreteLaplace(scale=Fraction(1)),
    ):
        add_noise([0], mechanism, d1=1, d2_squared=1)
