# SPDX-License-Identifier: Apache-2.0
"""What agencies say in the three rounds, checked, kept, and given to its round.

Who says it comes from the certificate. What is signed is checked with the key that the
board lists; what is forged, or is not what was promised, is noted and counts as a
refusal of the agency that sent it. Late, repeated and foreign messages change nothing.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import sqlalchemy as sa
import structlog

from accord.core.errors import IntegrityError, RequisitionRefused
from accord.hub.audit import Event, note
from accord.hub.rounds import evidence, rows
from accord.hub.rounds.connections import Connection, Connections
from accord.hub.rounds.encapsulating import Encapsulating
from accord.hub.rounds.journal import Journal
from accord.hub.rounds.stages import APPROVAL_AWAITED
from accord.hub.rounds.waiting import Waiting
from accord.rpc.codec import UNKNOWN_PAYLOAD
from accord.rpc.peer import PeerAgency
from accord.rpc.rounds import (
    erased_from_message,
    ready_from_message,
    receipt_from_masked,
)
from accord.secagg.keys import uses_kem
from accord.secagg.messages import Receipt, check_erased, check_ready, check_receipt
from accord.v1 import agent_pb2, common_pb2

_CLAUSE: Final = re.compile(r"[a-z]+(\.[a-z-]+)+")
"""What the code of a reason looks like; nothing else of an agent's words is kept."""

EQUIVOCATION: Final = "EQUIVOCATION"

NEWER: Final = "UNKNOWN"
"""A reason that only agents of a newer version have."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Intake:
    """Takes messages for all rounds of a hub."""

    waiting: Mapping[str, Waiting]
    """Rounds by query."""
    journal: Journal
    connections: Connections
    clock: Callable[[], dt.datetime]
    news: Callable[[Iterable[Waiting]], None]
    """Told which rounds have something new."""
    encapsulating: Encapsulating

    async def take(
        self, connection: Connection, message: agent_pb2.ConnectRequest
    ) -> None:
        """Take whatever is about a round; other messages are none of it."""
        if message.WhichOneof("message") == "encapsulations":
            await self.encapsulating.take(connection, message.encapsulations)
        else:
            self.hear(connection.peer, message)

    def hear(self, peer: PeerAgency, message: agent_pb2.ConnectRequest) -> None:
        """Take what an agency says of queries, wherever its stream is."""
        match message.WhichOneof("message"):
            case "readies":
                self.readies(peer.label, message.readies)
            case "masked":
                self.masked(peer, message.masked)
            case "part":
                self.part(peer, message.part)
            case "reveals":
                self.reveals(peer.label, message.reveals)
            case "erasures":
                self.erasures(peer.label, message.erasures)
            case "refusals":
                self.refusals(peer.label, message.refusals)
            case _:
                pass

    def readies(self, agency: str, message: agent_pb2.Readies) -> None:
        """Take what an agency says in round 1."""
        self.news([f for each in message.readies if (f := self._ready(agency, each))])

    def masked(self, peer: PeerAgency, message: agent_pb2.MaskedVectors) -> None:
        """Take receipts with masked vectors, or with the first parts of them."""
        self.news([f for each in message.masked if (f := self._masked(peer, each))])

    def part(self, peer: PeerAgency, message: agent_pb2.VectorPart) -> None:
        """Take a further part of a masked vector."""
        agency, attempt = peer.label, message.attempt
        found = self._of(agency, message.query_id)
        if found is None:
            return
        try:
            vector = found.round.take_part(
                agency, attempt, message.offset, message.vector
            )
        except IntegrityError as error:
            self._reject(found, agency, error)
        else:
            if vector is None:
                return
            self._keep_vector(found, peer, vector)
        self.news([found])

    def reveals(self, agency: str, message: agent_pb2.Reveals) -> None:
        """Take what an agency reveals in round 3; nothing of it is ever written."""
        self.news([f for each in message.reveals if (f := self._seed(agency, each))])

    def erasures(self, agency: str, message: agent_pb2.Erasures) -> None:
        """Take an agency's word that some seeds are gone.

        Nobody is told that such a query has ended: that is what the word answers.
        """
        self.news([f for each in message.erasures if (f := self._erased(agency, each))])

    def refusals(self, agency: str, message: agent_pb2.Refusals) -> None:
        """Take what an agency declines."""
        self.news(
            [f for each in message.refusals if (f := self._refusal(agency, each))]
        )

    def _of(self, agency: str, query: str) -> Waiting | None:
        """Return what an agency talks about, or tell it that this is over."""
        found = self.waiting.get(query)
        if found is None or agency not in found.round.call.members:
            self.connections.settle(agency, query)
            return None
        return None if found.settling else found

    def _ready(self, agency: str, message: agent_pb2.Ready) -> Waiting | None:
        found = self._of(agency, message.query_id)
        if found is None or not found.round.counts(agency, message.attempt):
            return None
        ready, call = ready_from_message(agency, message), found.round.call
        lacking = _lacking(agency, message.lacking, found)
        try:
            check_ready(ready, call.spec_digest, message.attempt, found.directory)
            if not found.round.take_ready(ready, lacking):
                return None
        except (RequisitionRefused, IntegrityError) as error:
            self._reject(found, agency, error)
            return found
        self.journal.put(lambda tx: rows.add_ready(tx, call.submission, ready, lacking))
        return found

    def _masked(self, peer: PeerAgency, message: agent_pb2.Masked) -> Waiting | None:
        agency, attempt = peer.label, message.attempt
        found = self._of(agency, message.query_id)
        if found is None or not found.round.counts(agency, attempt):
            return None
        if not found.round.current.lacks_vector(agency):
            return None
        receipt = receipt_from_masked(agency, message)
        try:
            check_receipt(receipt, found.round.current.transcript, found.directory)
            vector = found.round.take_masked(
                receipt, attempt, message.size, message.vector
            )
        except (RequisitionRefused, IntegrityError) as error:
            self._reject(found, agency, error, receipt)
            return found
        if vector is None:
            return None
        self._keep_vector(found, peer, vector)
        return found

    def _keep_vector(self, found: Waiting, peer: PeerAgency, vector: bytes) -> None:
        """Write a whole vector; from then on it is in the database alone."""
        current, submission = found.round.current, found.submission.id
        number, receipt = current.number, current.receipts[peer.label]
        serial = peer.serial
        self.journal.put(
            lambda tx: rows.add_receipt(tx, submission, number, receipt, vector, serial)
        )

    def _seed(self, agency: str, message: agent_pb2.Reveal) -> Waiting | None:
        found = self._of(agency, message.query_id)
        if found is None:
            return None
        try:
            taken = found.round.take_seed(agency, message.attempt, message.seed)
        except IntegrityError as error:
            self._reject(found, agency, error)
            return found
        return found if taken else None

    def _erased(self, agency: str, message: agent_pb2.Erased) -> Waiting | None:
        found = self.waiting.get(message.query_id)
        if found is None or found.settling:
            return None
        call, erased = found.round.call, erased_from_message(agency, message)
        try:
            check_erased(
                erased, call.spec_digest, found.round.current.number, found.directory
            )
        except RequisitionRefused:
            # Of an earlier attempt, or nobody's word: it is not counted.
            return None
        if not found.round.take_erased(erased):
            return None
        self.journal.put(lambda tx: rows.add_erased(tx, call.submission, erased))
        return found

    def _refusal(self, agency: str, message: agent_pb2.Refusal) -> Waiting | None:
        found = self._of(agency, message.query_id)
        if found is None or message.payload_digest not in (
            found.round.call.payload_digest,
            UNKNOWN_PAYLOAD,
        ):
            return None
        reason = _name_of(message.reason)
        if reason == APPROVAL_AWAITED:
            return self._await_approval(found, agency, message.attempt)
        clauses = [each for each in message.clauses if _CLAUSE.fullmatch(each)]
        event = Event.REQUISITION_REFUSED
        if reason == EQUIVOCATION:
            event = Event.EQUIVOCATION_REPORTED
        attempt = message.attempt
        return self._decline(found, agency, attempt, event, reason, clauses)

    def _await_approval(
        self, found: Waiting, agency: str, attempt: int
    ) -> Waiting | None:
        before = found.round.asking_people
        awaited = found.round.await_approval(agency, attempt)
        asking = found.round.asking_people
        submission = found.submission.id
        if asking != before:
            self.journal.put(lambda tx: rows.note_approving(tx, submission, asking))
        if not awaited:
            return None
        structlog.get_logger().info(
            "approval.awaited", agency=agency, query_id=submission
        )
        return found

    def _reject(
        self,
        found: Waiting,
        agency: str,
        error: RequisitionRefused | IntegrityError,
        receipt: Receipt | None = None,
    ) -> None:
        """Count what cannot be true as a refusal."""
        attempt, event = found.round.current.number, Event.ANSWER_REJECTED
        self._decline(found, agency, attempt, event, error.reason, [], receipt)

    def _decline(
        self,
        found: Waiting,
        agency: str,
        attempt: int,
        event: Event,
        reason: str,
        clauses: list[str],
        receipt: Receipt | None = None,
    ) -> Waiting | None:
        """Note who declined and why; if others saw something else, with evidence."""
        current = found.round.current
        stage = current.stage
        if not found.round.refuse(agency, attempt, reason):
            return None
        submission, at = found.submission, self.clock()
        facts = {"clauses": sorted(clauses)} if clauses else {}
        refused = dict(found.round.refused)
        kept = (
            evidence.equivocation(current, submission.agreement, agency, receipt, at)
            if reason == EQUIVOCATION
            else None
        )

        def write(tx: sa.Connection) -> None:
            note(
                tx,
                event,
                at,
                agency=agency,
                submission=submission.id,
                agreement=submission.agreement,
                attempt=attempt,
                stage=stage.value,
                reason=reason,
                **facts,
            )
            rows.note_refused(tx, submission.id, refused)
            if kept is not None:
                evidence.keep(tx, kept)

        structlog.get_logger().info(
            "requisition.refused", agency=agency, query_id=submission.id, reason=reason
        )
        self.journal.put(write)
        return found


def _lacking(agency: str, named: Iterable[str], found: Waiting) -> frozenset[str]:
    """Return who owes an agency an encapsulation, of those that it names.

    Nobody is held up, or set aside, for one that the pair does not need.
    """
    directory, members = found.directory, found.round.call.members
    return frozenset(
        sender
        for sender in set(named).intersection(members, directory)
        if sender < agency and uses_kem(directory[sender], directory[agency])
    )


def _name_of(reason: common_pb2.RefusalReason.ValueType) -> str:
    """Return a reason's name; the number comes from the agency."""
    if reason not in common_pb2.RefusalReason.values():
        return NEWER
    name = common_pb2.RefusalReason.Name(reason)
    return name.removeprefix("REFUSAL_REASON_")
