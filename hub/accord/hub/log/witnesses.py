# SPDX-License-Identifier: Apache-2.0
"""Agencies as witnesses: what a serving hub shows them of its log, and what they say.

A stream begins with the newest head and the proof that the log only grew since the one
that the agency has accepted. While it is open, the agency hears of newer heads, each
after it has cosigned the one before. A log from which something is missing, or in which
something differs, gives no such proof, and the agency answers nothing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable
from typing import Final

import sqlalchemy as sa
import structlog

from accord.core.errors import AccordError, IntegrityError
from accord.hub.contact.standing import standing as ledger_standing
from accord.hub.db.engine import Store
from accord.hub.governance.standing import Standing
from accord.hub.identity.authority import Authority
from accord.hub.log import heads, tree
from accord.hub.log.proving import prove_release
from accord.hub.rounds.connections import Connection
from accord.merkle.heads import SignedHead
from accord.rpc.contact import cosignature_from_message, head_to_message
from accord.trust.keys import raw_public
from accord.v1 import agent_pb2, analyst_pb2, log_pb2

LOOK_SECONDS: Final = 2.0
"""How often the log is looked at: a head is signed at most so often."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What an agency is shown when it comes."""

    head: SignedHead
    consistency: tuple[bytes, ...]
    """Proof from what it has seen; empty where there is none."""


@dataclasses.dataclass(slots=True)
class _Stream:
    told: int
    """Size of the newest head that was shown on it."""
    accepted: int | None = None
    """Size of the newest head that the agency has cosigned on it."""


class Witnesses:
    """Shows the log of one hub; lives on one event loop."""

    def __init__(
        self,
        *,
        store: Store,
        authority: Authority,
        standing: Standing,
        clock: Callable[[], dt.datetime],
    ) -> None:
        """Begin without streams."""
        self._store = store
        self._key = authority.requisition_key
        self._policies = standing
        self._clock = clock
        self._streams: dict[Connection, _Stream] = {}
        self._log = structlog.get_logger()

    def greet(
        self, tx: sa.Connection, hello: agent_pb2.Hello, at: dt.datetime
    ) -> Shown:
        """Return what to show an agency; in the transaction that greets it."""
        signed = self._sign(tx, at)
        seen = hello.log_seen if hello.HasField("log_seen") else None
        proof: list[bytes] = []
        if (
            seen is not None
            and seen.size <= signed.head.size
            and tree.root(tx, seen.size) == seen.root
        ):
            proof = tree.growth(tx, seen.size, signed.head.size)
        return Shown(head=signed, consistency=tuple(proof))

    def greeted(self, connection: Connection, shown: Shown) -> None:
        """Remember what a stream was shown; nothing more is until it is cosigned."""
        self._streams[connection] = _Stream(told=shown.head.head.size)

    def ended(self, connection: Connection) -> None:
        """Forget a stream."""
        self._streams.pop(connection, None)

    async def take(self, connection: Connection, message: log_pb2.Cosignature) -> None:
        """Keep an agency's word that it has seen a head, if it is one of ours."""
        agency, at = connection.peer.label, self._clock()
        member = self._policies.newest().members.members.get(agency)
        try:
            witnessed = cosignature_from_message(agency, message)
        except IntegrityError as error:
            self._log.warning("cosignature.dropped", agency=agency, reason=error.reason)
            return
        listed = None if member is None else member.key
        if listed is None or not witnessed.is_signed_by(raw_public(listed)):
            self._log.warning("cosignature.dropped", agency=agency)
            return
        seen = heads.Seen(
            witnessed=witnessed, agency_key=raw_public(listed).hex(), at=at
        )
        if not await self._store.run(self._keep, seen):
            self._log.warning("cosignature.dropped", agency=agency)
            return
        stream = self._streams.get(connection)
        if stream is not None and witnessed.head.size == stream.told:
            stream.accepted = stream.told

    async def prove(self, release: str) -> analyst_pb2.ProveReleaseResponse:
        """Return the proof of a release that whoever asks may read.

        Raises:
            NotFound: RELEASE_ERASED.
        """
        found = await self._store.run(self._proof, release)
        if found is None:
            await self._store.run(self._newest)
            found = await self._store.run(self._proof, release)
        if found is None:
            message = "a head that was just signed has every release"
            raise RuntimeError(message)
        return found

    def _proof(self, release: str) -> analyst_pb2.ProveReleaseResponse | None:
        with self._store.read() as tx:
            return prove_release(tx, release)

    async def run(self) -> None:
        """Sign what has grown and show it, for ever; what fails is tried again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except AccordError as error:
                self._log.error("log.delayed", reason=error.reason)

    async def look(self) -> None:
        """Sign a head if the log has grown; show it to who has cosigned the last."""
        signed = await self._store.run(self._newest)
        size = signed.head.size
        waiting = {
            connection: stream
            for connection, stream in self._streams.items()
            if stream.accepted is not None and stream.accepted == stream.told < size
        }
        if not waiting:
            return
        sizes = {stream.told for stream in waiting.values()}
        proofs = await self._store.run(self._proofs, sizes, size)
        for connection, stream in waiting.items():
            grown = log_pb2.LogGrown(
                head=head_to_message(signed),
                from_size=stream.told,
                consistency=proofs[stream.told],
            )
            stream.told = size
            connection.send(agent_pb2.ConnectResponse(log=grown))

    def _newest(self) -> SignedHead:
        with self._store.read() as tx:
            found = heads.newest(tx)
            if found is not None and found.head.size == tree.size(tx):
                return found
        with self._store.write() as tx:
            return self._sign(tx, self._clock())

    def _proofs(self, sizes: Iterable[int], new: int) -> dict[int, list[bytes]]:
        with self._store.read() as tx:
            return {old: tree.growth(tx, old, new) for old in sizes}

    def _sign(self, tx: sa.Connection, at: dt.datetime) -> SignedHead:
        return heads.sign(tx, self._key, at, epoch=ledger_standing(tx).epoch)

    def _keep(self, seen: heads.Seen) -> bool:
        """Keep a word of a head that this hub has signed; tell whether it has."""
        head = seen.witnessed.head
        with self._store.write() as tx:
            known = heads.head_of(tx, head.size)
            if known is None or known.head != head:
                return False
            heads.keep_seen(tx, seen)
        return True
