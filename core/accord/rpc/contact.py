# SPDX-License-Identifier: Apache-2.0
"""What hub and agencies tell each other of ledgers and log, as messages, and back.

A `ChargeRecord` proves one charge: the hub signed what it asked, and the agency signs
that it opened its answer. The agency's signature is over RFC 8785 text below a line of
its own, so that no other signature means the same, and anybody can check it::

    accord.charge.v1
    {"agency":...,"charged_at":...,"cohort":...,"payload":...,"signature":...,
     "transcript":...}

``payload`` is the SHA-256 of the requisition's bytes, ``signature`` the hub's over
them, ``charged_at`` in seconds since 1970; bytes are written in hex.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from accord.core.canonical import bytes_digest, canonical_bytes
from accord.core.errors import IntegrityError, InvalidQuery, RequisitionRefused
from accord.core.privacy import Loss
from accord.merkle.heads import SignedHead, TreeHead, Witnessed
from accord.rpc.codec import loss_from_message, payload_of, verify_requisition
from accord.v1 import agent_pb2, log_pb2

MOST_RECORDS: Final = 256
"""In one message."""

MESSAGE_BYTES: Final = 1 << 20
"""About what one message holds of records; one record is never split."""

_CONTEXT: Final = b"accord.charge.v1\n"

_LATEST: Final = 2**37
"""Seconds since 1970: the year 6325. A moment after it is no moment of a charge."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRecord:
    """One charge in an agency's own ledger, countersigned by it."""

    payload: bytes = dataclasses.field(repr=False)
    """As the hub signed it."""
    signature: bytes = dataclasses.field(repr=False)
    """The hub's."""
    cohort: str
    """The cohort that was opened."""
    transcript: bytes
    charged_at: dt.datetime
    """By the agency's clock; whole seconds, UTC."""
    countersignature: bytes = dataclasses.field(default=b"", repr=False)

    def signed_bytes(self, agency: str) -> bytes:
        """Return what the agency signs."""
        return _CONTEXT + canonical_bytes(
            {
                "agency": agency,
                "charged_at": int(self.charged_at.timestamp()),
                "cohort": self.cohort,
                "payload": bytes_digest(self.payload),
                "signature": self.signature.hex(),
                "transcript": self.transcript.hex(),
            }
        )

    def is_countersigned(self, agency: str, key: bytes) -> bool:
        """Tell whether the agency with a raw public *key* has signed the record."""
        try:
            public = ed25519.Ed25519PublicKey.from_public_bytes(key)
            public.verify(self.countersignature, self.signed_bytes(agency))
        except (ValueError, InvalidSignature):
            return False
        return True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a requisition says of its cost; no model or agreement is needed for it."""

    query_id: str
    agreement: str
    agreement_digest: str
    policy_digest: str
    cohort: str
    """The largest cohort that was asked."""
    members: tuple[str, ...]
    """Its members."""
    loss: Loss
    purpose: str
    analyst: str
    issued_at: dt.datetime
    expires_at: dt.datetime


def charge_of(payload: bytes) -> Charge:
    """Read what a payload costs and whom; proves nothing.

    Raises:
        IntegrityError: REQUISITION_MALFORMED, or CHARGE_MALFORMED where it would cost
            nothing or its times lie outside the calendar.
    """
    message = payload_of(payload)
    try:
        loss = loss_from_message(message.loss)
    except InvalidQuery:
        raise _malformed() from None
    if (
        loss == Loss()
        or len(set(message.members)) != len(message.members)
        or str(uuid.UUID(message.query_id)) != message.query_id
    ):
        raise _malformed()
    return Charge(
        query_id=message.query_id,
        agreement=message.query.agreement,
        agreement_digest=message.agreement_digest,
        policy_digest=message.policy_digest,
        cohort=message.cohort,
        members=tuple(message.members),
        loss=loss,
        purpose=message.purpose,
        analyst=message.analyst.id,
        issued_at=_moment(message.issued_at),
        expires_at=_moment(message.expires_at),
    )


def verify_charge(
    record: ChargeRecord, *, agency: str, agency_key: bytes, hub_keys: Iterable[bytes]
) -> Charge:
    """Return what a record proves, or refuse it.

    Args:
        record: what an agency sent.
        agency: who sent it, as its certificate says.
        agency_key: raw public key that the board lists for it.
        hub_keys: raw public keys with which this hub has signed requisitions.

    Raises:
        IntegrityError: CHARGE_UNPROVEN, naming what is missing, or as `charge_of`.
    """
    if not record.is_countersigned(agency, agency_key):
        raise _unproven(agency, "the agency's signature is not right")
    if not any(_is_signed(record, key) for key in hub_keys):
        raise _unproven(agency, "this hub has not signed the question")
    found = charge_of(record.payload)
    if agency not in found.members:
        raise _unproven(agency, "the question was not for this agency")
    return found


def record_to_message(record: ChargeRecord) -> agent_pb2.ChargeRecord:
    return agent_pb2.ChargeRecord(
        payload=record.payload,
        signature=record.signature,
        cohort=record.cohort,
        transcript=record.transcript,
        charged_at=int(record.charged_at.timestamp()),
        countersignature=record.countersignature,
    )


def record_from_message(message: agent_pb2.ChargeRecord) -> ChargeRecord:
    """Return a record whose message keeps the protocol's rules.

    Raises:
        IntegrityError: CHARGE_MALFORMED.
    """
    return ChargeRecord(
        payload=message.payload,
        signature=message.signature,
        cohort=message.cohort,
        transcript=message.transcript,
        charged_at=_moment(message.charged_at),
        countersignature=message.countersignature,
    )


def records_to_messages(
    records: Iterable[ChargeRecord], *, complete: bool
) -> Iterator[agent_pb2.ChargeRecords]:
    """Yield records in messages of a size that passes.

    Args:
        records: some of those that were asked for.
        complete: whether no others follow; the last message says so.
    """
    batch: list[agent_pb2.ChargeRecord] = []
    size = 0
    for record in records:
        message = record_to_message(record)
        length = message.ByteSize()
        if batch and (len(batch) == MOST_RECORDS or size + length > MESSAGE_BYTES):
            yield agent_pb2.ChargeRecords(records=batch)
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch or complete:
        yield agent_pb2.ChargeRecords(records=batch, complete=complete)


def head_to_message(signed: SignedHead) -> log_pb2.TreeHead:
    head = signed.head
    return log_pb2.TreeHead(
        size=head.size,
        root=head.root,
        at=int(head.at.timestamp()),
        ledger_height=head.ledger_height,
        epoch=head.epoch,
        signature=signed.signature,
    )


def head_from_message(message: log_pb2.TreeHead) -> SignedHead:
    """Return a head, whoever signed it.

    Raises:
        IntegrityError: HEAD_MALFORMED.
    """
    return SignedHead(head=_head(message), signature=message.signature)


def seen_to_message(signed: SignedHead) -> log_pb2.LogSeen:
    """Return a head as the agency says that it has seen it."""
    head = signed.head
    return log_pb2.LogSeen(
        size=head.size,
        root=head.root,
        ledger_height=head.ledger_height,
        epoch=head.epoch,
    )


def cosignature_to_message(witnessed: Witnessed) -> log_pb2.Cosignature:
    head = witnessed.head
    return log_pb2.Cosignature(
        size=head.size,
        root=head.root,
        ledger_height=head.ledger_height,
        epoch=head.epoch,
        at=int(head.at.timestamp()),
        signature=witnessed.signature,
    )


def cosignature_from_message(agency: str, message: log_pb2.Cosignature) -> Witnessed:
    """Return what *agency*, as its certificate calls it, says to have seen.

    Raises:
        IntegrityError: HEAD_MALFORMED.
    """
    return Witnessed(head=_head(message), agency=agency, signature=message.signature)


def _head(message: log_pb2.TreeHead | log_pb2.Cosignature) -> TreeHead:
    try:
        return TreeHead(
            size=message.size,
            root=message.root,
            at=_moment(message.at),
            ledger_height=message.ledger_height,
            epoch=message.epoch,
        )
    except (ValueError, IntegrityError):
        raise IntegrityError(
            "HEAD_MALFORMED", "A head of the log says something that no log can be."
        ) from None


def _is_signed(record: ChargeRecord, key: bytes) -> bool:
    try:
        verify_requisition(key, record.payload, record.signature)
    except RequisitionRefused:
        return False
    return True


def _moment(seconds: int) -> dt.datetime:
    if not 0 <= seconds < _LATEST:
        raise _malformed()
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _malformed() -> IntegrityError:
    return IntegrityError(
        "CHARGE_MALFORMED",
        "An agency's record of a charge says something that no charge can be.",
    )


def _unproven(agency: str, why: str) -> IntegrityError:
    return IntegrityError(
        "CHARGE_UNPROVEN",
        f"{agency!r} claims a charge that it does not prove: {why}.",
        agency=agency,
    )
