# SPDX-License-Identifier: Apache-2.0
"""The serving hub's part in contact: it greets, asks for charges, and stands still.

While the ledger is in doubt, rounds stand where they are: nobody is asked anything, and
nothing is given up. The doubt and its end are in the database, where other processes
write too, so it is looked at all the time.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import weakref
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
import structlog

from accord.core.errors import (
    AccordError,
    IntegrityError,
    PreconditionFailed,
    Unreachable,
)
from accord.hub.audit import Event, note
from accord.hub.contact import records
from accord.hub.contact.contacts import Greeting, contacts, greet, note_reported
from accord.hub.contact.heights import Seen
from accord.hub.contact.hub_keys import hub_keys
from accord.hub.contact.standing import Doubt, LedgerStanding, standing
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.identity.authority import Authority
from accord.hub.rounds.collection import Collection
from accord.hub.rounds.connections import Connection, Connections
from accord.rpc.codec import loss_from_message
from accord.rpc.contact import ChargeRecord, record_from_message
from accord.trust.keys import raw_public
from accord.v1 import agent_pb2

LOOK_SECONDS: Final = 1.0
"""How often the database is looked at."""

ASK_SECONDS: Final = 60.0
"""How often an agency is asked that has not reported: its staff may have to act."""


class LedgerWatch:
    """Compares ledgers with agencies, for a hub that serves."""

    def __init__(
        self,
        *,
        store: Store,
        standing: Standing,
        authority: Authority,
        connections: Connections,
        collection: Collection,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Begin with what the database says; `look` does it."""
        self._store = store
        self._policies = standing
        self._authority = authority
        self._connections = connections
        self._collection = collection
        self._clock = clock
        self._doubt: Doubt | None = None
        self._asked_at = 0.0
        self._hub_keys: dict[str, list[bytes]] = {}
        self._noted: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._log = structlog.get_logger()

    def begin(self) -> None:
        """Stand still from the start, if the ledger is in doubt; on any thread."""
        with self._store.read() as tx:
            self._doubt = standing(tx).doubt
        self._collection.stands_still = self._doubt is not None

    async def run(self) -> None:
        """Look, for ever; what cannot be read now is read again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except AccordError as error:
                self._log.error("contact.delayed", reason=error.reason)

    async def look(self) -> None:
        """Take over what the database says of a doubt, and ask who has not reported."""

        def read() -> tuple[LedgerStanding, frozenset[str]]:
            with self._store.read() as tx:
                found = standing(tx)
                known = contacts(tx) if found.doubt else {}
            doubt = found.doubt and found.doubt.id
            return found, frozenset(
                label for label, each in known.items() if each.reported == doubt
            )

        found, reported = await self._store.run(read)
        before, self._doubt = self._doubt, found.doubt
        self._collection.stands_still = found.doubt is not None
        now = asyncio.get_running_loop().time()
        if found.doubt is not None:
            if before != found.doubt or now - self._asked_at >= ASK_SECONDS:
                self._asked_at = now
                self._log.error("ledger.doubted", agency=found.doubt.agency)
                self._ask(self._connections.connected(), reported)
        elif before is not None:
            self._log.warning("ledger.reconciled", epoch=found.epoch)
            await self._collection.start_over()
            # They come back at once, and hear what is held for them.
            self._connections.end_each(_reconciled())

    def greet(
        self, tx: sa.Connection, agency: str, hello: agent_pb2.Hello, at: dt.datetime
    ) -> Greeting:
        """Compare what an agency says with our ledger; in the caller's transaction."""
        charged = loss_from_message(hello.charged)
        if hello.HasField("log_seen"):
            seen = hello.log_seen
            said = Seen(charged=charged, epoch=seen.epoch, height=seen.ledger_height)
        else:
            said = Seen(charged=charged)
        found = greet(tx, agency, said, at)
        if found.begun:
            note(tx, Event.LEDGER_DOUBTED, at, agency=agency)
        return found

    def greeted(self, connection: Connection, greeting: Greeting) -> None:
        """Stand still if the greeting began a doubt, and ask the agency what it knows.

        Called before anything else is said to the agency but the welcome.
        """
        if greeting.doubt is None:
            return
        self._collection.stands_still = True
        self._doubt = self._doubt or greeting.doubt
        connection.send(_charges_wanted())
        if greeting.begun:
            self._log.error("ledger.doubted", agency=greeting.doubt.agency)
            self._ask(self._connections.connected(), {connection.peer.label})

    async def take(
        self, connection: Connection, message: agent_pb2.ChargeRecords
    ) -> None:
        """Keep what an agency proves, as long as the ledger is in doubt.

        What it does not prove is noted once on a stream.
        """
        agency, at = connection.peer.label, self._clock()
        if self._doubt is None:
            return
        key = self._key_of(agency)
        given, malformed = _records(message)
        is_noted = connection in self._noted

        def keep() -> int:
            with self._store.read() as tx:
                keys = self._keys_in(tx)
            proven, refused = records.verified(agency, key, keys, given)
            with self._store.write() as tx:
                doubt = standing(tx).doubt
                if doubt is None:
                    return 0
                records.keep(tx, key, proven, at)
                if refused + malformed and not is_noted:
                    note(tx, Event.CHARGE_REJECTED, at, agency=agency)
                if message.complete:
                    note_reported(tx, agency, doubt.id)
            return refused

        refused = await self._store.run(keep)
        if refused + malformed and not is_noted:
            self._noted.add(connection)
            self._log.warning(
                "charge.rejected", agency=agency, reason="CHARGE_UNPROVEN"
            )
        if message.complete:
            self._log.info("charges.reported", agency=agency)

    def _ask(self, agencies: list[str], but: frozenset[str] | set[str]) -> None:
        for agency in agencies:
            if agency not in but:
                self._connections.send(agency, _charges_wanted())

    def _keys_in(self, tx: sa.Connection) -> list[bytes]:
        """Return the keys that count in this doubt: reading them takes a while."""
        doubt = standing(tx).doubt
        place = doubt.id if doubt else ""
        if place not in self._hub_keys:
            self._hub_keys = {place: hub_keys(tx, self._authority)}
        return self._hub_keys[place]

    def _key_of(self, agency: str) -> bytes:
        member = self._policies.newest().members.members.get(agency)
        if member is None or member.key is None:
            raise PreconditionFailed(
                "MEMBER_UNKNOWN",
                f"The agency {agency!r} is no longer in members.yaml with a key.",
                agency=agency,
            )
        return raw_public(member.key)


def _records(
    message: agent_pb2.ChargeRecords,
) -> tuple[list[ChargeRecord], int]:
    """Return the records of a message, and how many cannot be any."""
    found, malformed = [], 0
    for each in message.records:
        try:
            found.append(record_from_message(each))
        except IntegrityError:
            malformed += 1
    return found, malformed


def _charges_wanted() -> agent_pb2.ConnectResponse:
    # All of them: nobody knows since when something is missing.
    return agent_pb2.ConnectResponse(charges_wanted=agent_pb2.ChargesWanted(since=0))


def _reconciled() -> Unreachable:
    return Unreachable(
        "LEDGER_RECONCILED",
        "The hub's ledger is whole again; connect again in a moment.",
    )
