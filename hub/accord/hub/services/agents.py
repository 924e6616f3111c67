# SPDX-License-Identifier: Apache-2.0
"""Agents over mutual TLS: their stream, their certificates, their policies.

Who an agent is comes from its certificate, never from what it says.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

import grpc
import sqlalchemy as sa
from cryptography import x509

from accord.core.calendar import edition_due
from accord.core.errors import (
    DeadlineExceeded,
    InvalidQuery,
    PolicyDenied,
    Unreachable,
)
from accord.hub.contact.contacts import Greeting
from accord.hub.contact.ledger_watch import LedgerWatch
from accord.hub.contact.lost_certificates import take_back
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.identity import registry
from accord.hub.identity.authority import Authority
from accord.hub.identity.listing import fault
from accord.hub.identity.registry import Sighting
from accord.hub.log.witnesses import Shown, Witnesses
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.connections import (
    Connection,
    Connections,
    Held,
    certificate_revoked,
)
from accord.rpc.codec import HeldEdition, edition_from_message, loss_to_message
from accord.rpc.contact import head_to_message
from accord.rpc.peer import PeerAgency, peer_agency
from accord.rpc.pki import certificate_pem, expiry_of, serial_of
from accord.rpc.versions import require_compatible
from accord.v1 import agent_pb2, agent_pb2_grpc

HELLO_SECONDS: Final = 20.0
"""Time for an agent to say hello once its stream is open."""

Context = grpc.aio.ServicerContext[Any, Any]


class AgentService(agent_pb2_grpc.AgentServiceServicer):
    """Serves agencies that have a certificate of this hub."""

    def __init__(  # noqa: PLR0913  # what a stream is made of
        self,
        *,
        store: Store,
        authority: Authority,
        standing: Standing,
        connections: Connections,
        collection: Collection,
        contact: LedgerWatch,
        witnesses: Witnesses,
        lifetime: dt.timedelta,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Keep what streams and certificates are made of."""
        self._store = store
        self._authority = authority
        self._standing = standing
        self._connections = connections
        self._collection = collection
        self._contact = contact
        self._witnesses = witnesses
        self._lifetime = lifetime
        self._clock = clock

    async def Connect(  # type: ignore[override]  # a coroutine, as ErrorBoundary wants
        self,
        request_iterator: AsyncIterator[agent_pb2.ConnectRequest],
        context: Context,
    ) -> None:
        """Keep an agent's stream until it, its certificate or the hub ends."""
        peer = peer_agency(context)
        greeted = await self._greet(peer, await _hello(request_iterator))
        sequence, greeting, shown = greeted
        connection = self._connections.open(peer)
        # Nothing is awaited from here to the first message in line: what is opened
        # later reaches the connection, what was open before is asked for now.
        welcome = self._welcome(sequence, greeting, shown)
        connection.send(agent_pb2.ConnectResponse(welcome=welcome))
        self._witnesses.greeted(connection, shown)
        self._contact.greeted(connection, greeting)
        self._collection.connected(peer.label)
        tasks = [
            asyncio.create_task(self._read(connection, request_iterator)),
            asyncio.create_task(connection.write(context.write)),
            asyncio.create_task(connection.ended()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._connections.close(connection)
            self._witnesses.ended(connection)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def Renew(
        self, request: agent_pb2.RenewRequest, context: Context
    ) -> agent_pb2.RenewResponse:
        """Give an agency that is not revoked a new certificate for a new key."""
        peer = peer_agency(context)

        def renew() -> x509.Certificate:
            now = self._clock()
            members = self._standing.newest().members
            with self._store.write() as tx:
                take_back(tx, peer, members, now)
                key = self._require_member(tx, peer)
                certificate = self._authority.issue(
                    request.certificate_request,
                    agency=peer.label,
                    network=members.network,
                    lifetime=self._lifetime,
                    now=now,
                )
                registry.record_certificate(
                    tx,
                    peer.label,
                    serial_of(certificate),
                    agency_key=key,
                    now=now,
                    expires_at=expiry_of(certificate),
                    renewed=True,
                )
            return certificate

        certificate = await self._store.run(renew)
        return agent_pb2.RenewResponse(
            certificate=certificate_pem(certificate).decode()
        )

    async def FetchPolicy(
        self, request: agent_pb2.FetchPolicyRequest, context: Context
    ) -> agent_pb2.FetchPolicyResponse:
        """Give a signed file that concerns the agency."""
        peer = peer_agency(context)

        def check() -> None:
            with self._store.read() as tx:
                self._require_member(tx, peer)
            self._standing.look_if_shared()

        await self._store.run(check)
        content = self._standing.file_for(peer.label, request.path)
        return agent_pb2.FetchPolicyResponse(content=content)

    def _require_member(self, tx: sa.Connection, peer: PeerAgency) -> str:
        """Return the key of an agency that was not thrown out, and is still listed."""
        held = (peer.label, peer.serial)
        error = self._faults(tx, [held]).get(held)
        if error is not None:
            raise error
        return registry.keys_of(tx, [held])[held]

    def _faults(self, tx: sa.Connection, held: list[Held]) -> dict[Held, PolicyDenied]:
        keys = registry.keys_of(tx, held)
        members = self._standing.newest().members
        found: dict[Held, PolicyDenied] = {}
        for each in held:
            key = keys.get(each)
            error = fault(members, each[0], key) if key else certificate_revoked()
            if error is not None:
                found[each] = error
        return found

    async def faults(self, held: list[Held]) -> dict[Held, PolicyDenied]:
        """Return which certificates no longer count, and why."""

        def look() -> dict[Held, PolicyDenied]:
            with self._store.read() as tx:
                return self._faults(tx, held)

        return await self._store.run(look)

    async def _greet(
        self, peer: PeerAgency, hello: agent_pb2.Hello
    ) -> tuple[int, Greeting, Shown]:
        """Remember what an agent says of itself, unless it may not come in.

        Returns:
            The highest sequence that was ever heard from it, how its ledger compares
            with ours, and what it is shown of the log.
        """
        sighting = Sighting(
            agency=peer.label,
            at=self._clock(),
            agent_version=hello.agent_version,
            ledger_height=hello.ledger_height,
            state_sequence=hello.state_sequence,
        )
        editions = self._due(hello.editions)

        def remember() -> tuple[int, Greeting, Shown]:
            with self._store.write() as tx:
                take_back(tx, peer, self._standing.newest().members, sighting.at)
                self._require_member(tx, peer)
                require_compatible(hello.agent_version)
                highest = registry.record_sighting(tx, sighting)
                registry.record_editions(tx, peer.label, editions)
                greeting = self._contact.greet(tx, peer.label, hello, sighting.at)
                shown = self._witnesses.greet(tx, hello, sighting.at)
            return highest, greeting, shown

        return await self._store.run(remember)

    def _welcome(
        self, sequence: int, greeting: Greeting, shown: Shown
    ) -> agent_pb2.Welcome:
        return agent_pb2.Welcome(
            now=int(self._clock().timestamp()),
            policies_version=self._standing.version,
            state_sequence=sequence,
            held=loss_to_message(greeting.held),
            head=head_to_message(shown.head),
            consistency=shown.consistency,
        )

    async def _read(
        self,
        connection: Connection,
        messages: AsyncIterator[agent_pb2.ConnectRequest],
    ) -> None:
        """Take what the agent says until it hangs up."""
        agency = connection.peer.label
        loop = asyncio.get_running_loop()
        async for message in messages:
            connection.heard_at = loop.time()
            match message.WhichOneof("message"):
                case "editions":
                    await self._announced(agency, message.editions)
                case "cosignature":
                    await self._witnesses.take(connection, message.cosignature)
                case "charges":
                    await self._contact.take(connection, message.charges)
                case "hello":
                    raise InvalidQuery(
                        "HELLO_REPEATED", "An agent says hello once on each stream."
                    )
                case _:
                    await self._collection.take(connection, message)

    def _due(self, messages: Iterable[agent_pb2.Edition]) -> list[HeldEdition]:
        """Return the editions whose day has come.

        An agent whose clock is ahead freezes too early: what it holds is under embargo
        still, whatever it is called.
        """
        today = self._clock().date()
        held = [edition_from_message(message) for message in messages]
        return [
            each
            for each in held
            if each.name <= edition_due(each.every, each.embargo_days, today)
        ]

    async def _announced(self, agency: str, message: agent_pb2.Editions) -> None:
        editions = self._due(message.editions)

        def remember() -> None:
            with self._store.write() as tx:
                registry.record_editions(tx, agency, editions)

        await self._store.run(remember)


async def _hello(messages: AsyncIterator[agent_pb2.ConnectRequest]) -> agent_pb2.Hello:
    """Return the first message, which must be a hello.

    Raises:
        InvalidQuery: HELLO_EXPECTED.
        DeadlineExceeded: HELLO_AWAITED.
        Unreachable: AGENT_GONE.
    """
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            first = await anext(messages)
    except TimeoutError:
        raise DeadlineExceeded(
            "HELLO_AWAITED", "The agent opened a stream and did not say hello."
        ) from None
    except StopAsyncIteration:
        raise Unreachable("AGENT_GONE", "The agent hung up at once.") from None
    if first.WhichOneof("message") != "hello":
        raise InvalidQuery("HELLO_EXPECTED", "An agent says hello first.")
    return first.hello
