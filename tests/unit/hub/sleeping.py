# SPDX-License-Identifier: Apache-2.0
"""A hub without sockets, and agencies that come for one contact a day.

Everything is in one process: the hub's own services are called with contexts that say
what gRPC would say of the caller, and one clock, which the test moves, is everybody's.
Agencies speak the protocol as in `tests.unit.hub.scripted`, and are cut off when a
contact has nothing more to do.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from accord.core.calendar import Period, edition_due
from accord.core.errors import AccordError
from accord.core.model import DataModel
from accord.core.windows import CONTACTS
from accord.hub.db.engine import Store
from accord.hub.identity import registry
from accord.hub.serve import Hub, load_parts
from accord.hub.state import State
from accord.rpc.pki import (
    certificate_pem,
    certificate_request,
    expiry_of,
    new_key,
    serial_of,
)
from accord.trust.keys import raw_public, text_of
from accord.v1 import agent_pb2, analyst_pb2
from tests.unit.hub.agencies import Agency
from tests.unit.hub.scripted import Identity, ScriptedAgent, answering, until
from tests.unit.hub.world import PARTIES, World, key_of_agency

QUIET_TURNS = 20
"""Turns of the loop without anything to do, after which a contact is over."""

EMBARGO_DAYS = 30
CERTIFICATE = dt.timedelta(days=400)
NOWHERE = "127.0.0.1:1"


class Clock:
    """Everybody's time."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now


class AgentContext:
    """What gRPC would tell the hub of an agency's stream."""

    def __init__(
        self, certificate: bytes, take: Callable[[Any], Awaitable[None]]
    ) -> None:
        self._certificate = certificate
        self.write = take

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._certificate]}


class AnalystContext:
    """What gRPC would tell the hub of an analyst's call."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._ended: list[Callable[[object], None]] = []

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._token}"),)

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        self._ended.append(callback)

    def end(self) -> None:
        for callback in self._ended:
            callback(self)


class Contact(ScriptedAgent):
    """One stream of an agency, from hello until nothing is left to do."""

    def __init__(
        self, identity: Identity, model: DataModel, agency: Agency, hub: Hub
    ) -> None:
        super().__init__(identity, NOWHERE, model, agency)
        self._hub = hub
        self.said: list[agent_pb2.ConnectRequest] = []

    async def say(self, message: agent_pb2.ConnectRequest) -> None:
        self.said.append(message)
        await super().say(message)

    async def _run(self, script: Any) -> None:  # noqa: ANN401  # as in the base
        async def take(message: agent_pb2.ConnectResponse) -> None:
            await self._take(message, script)

        async def outgoing() -> AsyncIterator[agent_pb2.ConnectRequest]:
            while True:
                yield await self._out.get()

        context: Any = AgentContext(self.identity.certificate, take)
        try:
            await self._hub._agents.Connect(outgoing(), context)
        except AccordError as error:
            self.ended = error

    @property
    def has_unsaid(self) -> bool:
        return not self._out.empty()

    @property
    def queries(self) -> set[str]:
        """About which questions it was needed."""
        return {
            *(asked.query_id for asked in self.asked),
            *(call.query_id for call in self.cohorts),
            *(call.query_id for call in self.reveals),
        }


@dataclasses.dataclass(slots=True)
class Diary:
    """What an agency did in all its contacts."""

    contacts: int = 0
    said: int = 0
    heard: int = 0
    most_besides: int = 0
    """Messages of one contact beyond one a round for each question."""
    needed: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    """Contacts in which something was to be done for a question."""
    revealed: dict[str, set[int]] = dataclasses.field(default_factory=dict)
    """Attempts of which it was asked for its seed."""

    def write(self, contact: Contact) -> None:
        self.contacts += 1
        self.said += len(contact.said)
        self.heard += len(contact.messages)
        besides = len(contact.said) - CONTACTS * len(contact.queries)
        self.most_besides = max(self.most_besides, besides)
        self.needed.update(contact.queries)
        for call in contact.reveals:
            self.revealed.setdefault(call.query_id, set()).add(call.attempt)


class SleepingWorld(World):
    """A hub whose services are called directly, and what its agencies remember."""

    def __init__(self, state: State, clock: Clock) -> None:
        super().__init__(state)
        self.clock = clock
        self.diaries = {label: Diary() for label in PARTIES}
        self.parts = load_parts(state, clock)
        self._hub = Hub(self.parts, clock)
        self._identities = {label: self._issued(label) for label in PARTIES}

    async def stop(self) -> None:
        hub, self._hub = self.hub, None
        await hub._collection.stop()
        await asyncio.to_thread(hub._store.close)

    def _issued(self, label: str) -> Identity:
        """Return an identity that the hub has issued, for longer than it would."""
        private, own, now = new_key(), self.parts.authority, self.clock()
        certificate = own.issue(
            certificate_request(private),
            agency=label,
            network=self.hub.standing.newest().members.network,
            lifetime=CERTIFICATE,
            now=now,
        )
        store = Store(self.state.database)
        with contextlib.closing(store), store.write() as tx:
            registry.record_certificate(
                tx,
                label,
                serial_of(certificate),
                agency_key=text_of(key_of_agency(label)),
                now=now,
                expires_at=expiry_of(certificate),
                renewed=False,
            )
        return Identity(
            agency=label,
            key=b"",
            certificate=certificate_pem(certificate),
            authority=own.pem,
            hub_key=raw_public(own.hub_form.key),
        )

    # Analysts

    async def submit(
        self, token: str, request: analyst_pb2.SubmitQueryRequest
    ) -> analyst_pb2.Submission:
        context: Any = AnalystContext(token)
        response = await self.hub._analysts.SubmitQuery(request, context)
        context.end()
        return response.submission

    async def look(self, token: str, submission: str) -> analyst_pb2.Submission:
        context: Any = AnalystContext(token)
        request = analyst_pb2.GetSubmissionRequest(id=submission)
        response = await self.hub._analysts.GetSubmission(request, context)
        context.end()
        return response.submission

    # Time

    async def move_to(self, moment: dt.datetime) -> None:
        """Let time pass; the hub does what is due by then."""
        self.clock.now = moment
        self.hub._collection.review()
        await self._quiet([])

    async def window(self, present: Iterable[str]) -> None:
        """Let some agencies come at the same time, and leave when all is done."""
        editions = self._editions()
        contacts = [
            Contact(self._identities[label], self.model, self.agency(label), self.hub)
            for label in present
        ]
        first = [not self.diaries[each.agency.label].contacts for each in contacts]
        await asyncio.gather(
            *(
                each.start(answering, editions=editions, encapsulating=is_first)
                for each, is_first in zip(contacts, first, strict=True)
            )
        )
        await self._quiet(contacts)
        for each in contacts:
            assert each.ended is None, each.ended
            await each.stop()
            self.diaries[each.agency.label].write(each)

    def _editions(self) -> tuple[str, ...]:
        """Return the newest editions, which agencies freeze on the day, here or not."""
        today = self.clock().date()
        days = [today - dt.timedelta(days=ago) for ago in (60, 40, 20, 0)]
        due = {edition_due(Period.MONTH, EMBARGO_DAYS, day) for day in days}
        return tuple(sorted(due))

    async def _quiet(self, contacts: list[Contact]) -> None:
        """Wait until hub and agencies have nothing more to do or to write."""
        collection = self.hub._collection
        turns = 0

        def is_quiet() -> bool:
            return not (
                collection._tasks
                or collection._journal._writer is not None
                or any(each.has_unsaid for each in contacts)
                or any(
                    len(each._outbox) or each._filled.is_set()
                    for each in self.hub._connections._open.values()
                )
            )

        while turns < QUIET_TURNS:
            if is_quiet():
                turns += 1
                await asyncio.sleep(0)
            else:
                turns = 0
                await until(is_quiet)
