# SPDX-License-Identifier: Apache-2.0
"""Domain values as messages, and back.

Every pair of functions is a round trip. What comes from a message is checked as if a
stranger wrote it: malformed questions raise `InvalidQuery`, malformed requisitions
`IntegrityError`. A requisition travels as the bytes that the hub signed, and nothing
else is ever taken for its content.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from fractions import Fraction

import protovalidate
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519
from google.protobuf.message import DecodeError

from accord.core.calendar import Period, is_edition
from accord.core.canonical import bytes_digest
from accord.core.decide import Analyst
from accord.core.errors import IntegrityError, InvalidQuery, RequisitionRefused
from accord.core.measure import Bounding
from accord.core.model import DataModel
from accord.core.privacy import (
    SCALE_DENOMINATOR,
    DiscreteGaussian,
    DiscreteLaplace,
    Loss,
    Mechanism,
)
from accord.core.query import Query, canonical_query
from accord.core.terms import Requisition
from accord.v1 import agent_pb2, common_pb2

SIGNING_CONTEXT = b"accord.requisition.v1"
"""Stands before the payload in what is signed, so that no other bytes fit."""

UNKNOWN_PAYLOAD = "0" * 64
"""Stands for the payload in a refusal of a later round, by an agent that was started
again and cannot name it; the id of the query says what is refused."""

_VALIDATOR = protovalidate.Validator()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class HeldEdition:
    """A frozen snapshot that an agency can answer from."""

    every: Period
    embargo_days: int
    name: str
    data_model: str
    data_model_digest: str


def query_to_message(query: Query) -> common_pb2.Query:
    """Return the message of a canonical query."""
    return common_pb2.Query(
        agreement=query.agreement,
        edition=query.edition,
        measure=query.measure.name,
        group_by=[
            common_pb2.Grouping(dimension=group.dimension, level=group.level)
            for group in query.group_by
        ],
        where=[
            common_pb2.Filter(dimension=part.dimension, values=part.nodes)
            for part in query.where
        ],
    )


def query_from_message(
    message: common_pb2.Query, model: DataModel, *, edition: str | None = None
) -> Query:
    """Return the canonical query that *message* means under *model*.

    Args:
        message: from a validated request.
        model: the data model of the agreement that the message names.
        edition: taken where the message names none; required then.

    Raises:
        InvalidQuery: EDITION_INVALID, DUPLICATE_FILTER, or as `canonical_query`.
    """
    chosen = message.edition or edition or ""
    if not is_edition(chosen):
        raise InvalidQuery(
            "EDITION_INVALID",
            "An edition is called by its month, quarter or year: 2026-03, 2026-Q1 "
            "or 2026.",
        )
    where = {part.dimension: list(part.values) for part in message.where}
    if len(where) != len(message.where):
        raise InvalidQuery(
            "DUPLICATE_FILTER",
            "A dimension can be filtered only once; name all wanted values together.",
        )
    return canonical_query(
        agreement=message.agreement,
        edition=chosen,
        measure=message.measure,
        group_by=[(group.dimension, group.level or None) for group in message.group_by],
        where=where,
        model=model,
    )


def loss_to_message(loss: Loss) -> common_pb2.Loss:
    return common_pb2.Loss(nano_rho=loss.nano_rho, nano_epsilon=loss.nano_epsilon)


def loss_from_message(message: common_pb2.Loss) -> Loss:
    """Return the loss.

    Raises:
        InvalidQuery: LOSS_INVALID, a negative amount.
    """
    return Loss(nano_rho=message.nano_rho, nano_epsilon=message.nano_epsilon)


def mechanism_to_message(mechanism: Mechanism) -> agent_pb2.Mechanism:
    match mechanism:
        case DiscreteGaussian():
            kind = agent_pb2.Mechanism.KIND_DISCRETE_GAUSSIAN
        case DiscreteLaplace():
            kind = agent_pb2.Mechanism.KIND_DISCRETE_LAPLACE
    return agent_pb2.Mechanism(kind=kind, scale_numerator=mechanism.numerator)


def mechanism_from_message(message: agent_pb2.Mechanism) -> Mechanism:
    """Return the mechanism.

    Raises:
        InvalidQuery: SCALE_INVALID.
        IntegrityError: MECHANISM_UNKNOWN.
    """
    scale = Fraction(message.scale_numerator, SCALE_DENOMINATOR)
    match message.kind:
        case agent_pb2.Mechanism.KIND_DISCRETE_GAUSSIAN:
            return DiscreteGaussian(scale=scale)
        case agent_pb2.Mechanism.KIND_DISCRETE_LAPLACE:
            return DiscreteLaplace(scale=scale)
        case _:
            raise IntegrityError(
                "MECHANISM_UNKNOWN", "The noise is of a kind that is not known here."
            )


def edition_to_message(edition: HeldEdition) -> agent_pb2.Edition:
    return agent_pb2.Edition(
        every=edition.every.value,
        embargo_days=edition.embargo_days,
        name=edition.name,
        data_model=edition.data_model,
        data_model_digest=edition.data_model_digest,
    )


def edition_from_message(message: agent_pb2.Edition) -> HeldEdition:
    """Return the edition.

    Raises:
        InvalidQuery: EDITION_INVALID.
    """
    if not is_edition(message.name) or message.every not in set(Period):
        raise InvalidQuery(
            "EDITION_INVALID", "An agency's edition has no well-formed name."
        )
    return HeldEdition(
        every=Period(message.every),
        embargo_days=message.embargo_days,
        name=message.name,
        data_model=message.data_model,
        data_model_digest=message.data_model_digest,
    )


def requisition_to_bytes(requisition: Requisition) -> bytes:
    """Return the payload that the hub signs and every agent reads."""
    message = agent_pb2.RequisitionPayload(
        query_id=requisition.query_id,
        query=query_to_message(requisition.query),
        agreement_version=requisition.agreement_version,
        agreement_digest=requisition.agreement_digest,
        data_model_digest=requisition.model_digest,
        policy_digest=requisition.policy_digest,
        cohort=requisition.cohort,
        members=requisition.members,
        mechanism=mechanism_to_message(requisition.mechanism),
        loss=loss_to_message(requisition.loss),
        layout_digest=requisition.layout_digest,
        purpose=requisition.purpose,
        analyst=agent_pb2.Analyst(
            id=requisition.analyst.id,
            organisation=requisition.analyst.organisation,
            roles=sorted(requisition.analyst.roles),
        ),
        issued_at=_to_seconds(requisition.issued_at),
        expires_at=_to_seconds(requisition.expires_at),
        bounding=""
        if requisition.bounding is Bounding.KEEP
        else requisition.bounding.value,
    )
    return message.SerializeToString(deterministic=True)


FindModel = Callable[[str, str, str], DataModel]
"""Agreement's name and digest and the model's digest -> the model, or an error."""


def requisition_from_bytes(payload: bytes, find_model: FindModel) -> Requisition:
    """Read a payload whose signature was verified.

    Args:
        payload: exactly the signed bytes.
        find_model: called with the agreement's name, its digest and the digest of the
            data model, as the payload claims them; what it raises passes through.

    Raises:
        IntegrityError: REQUISITION_MALFORMED.
        RequisitionRefused: TERMS_MISMATCH, it says more than this version can read; or
            what *find_model* raises.
    """
    message = payload_of(payload)
    _require_understood(message)
    model = find_model(
        message.query.agreement, message.agreement_digest, message.data_model_digest
    )
    try:
        query = query_from_message(message.query, model)
        mechanism = mechanism_from_message(message.mechanism)
        loss = loss_from_message(message.loss)
        issued_at = _from_seconds(message.issued_at)
        expires_at = _from_seconds(message.expires_at)
    except InvalidQuery as error:
        raise _malformed(error.sentence) from None
    if query_to_message(query) != message.query:
        raise _malformed("its query is not in canonical form.")
    members = tuple(message.members)
    if members != tuple(sorted(set(members))):
        raise _malformed("its members are not sorted.")
    if message.bounding == Bounding.KEEP:
        raise _malformed("it names the bounding that goes without saying.")
    return Requisition(
        query_id=message.query_id,
        query=query,
        agreement_version=message.agreement_version,
        agreement_digest=message.agreement_digest,
        model_digest=message.data_model_digest,
        policy_digest=message.policy_digest,
        cohort=message.cohort,
        members=members,
        mechanism=mechanism,
        loss=loss,
        layout_digest=message.layout_digest,
        purpose=message.purpose,
        analyst=Analyst(
            id=message.analyst.id,
            organisation=message.analyst.organisation,
            roles=frozenset(message.analyst.roles),
        ),
        issued_at=issued_at,
        expires_at=expires_at,
        bounding=Bounding(message.bounding or Bounding.KEEP),
    )


def query_id_of(payload: bytes) -> str:
    """Return the id under which a payload wants its answer; proves nothing.

    Raises:
        IntegrityError: REQUISITION_MALFORMED.
    """
    return payload_of(payload).query_id


def policy_of(payload: bytes) -> tuple[str, str]:
    """Return the agreement that a payload names and the digest of its policy.

    Raises:
        IntegrityError: REQUISITION_MALFORMED.
    """
    message = payload_of(payload)
    return message.query.agreement, message.policy_digest


def payload_digest(payload: bytes) -> str:
    """Return the digest by which answers and refusals name a payload."""
    return bytes_digest(payload)


def sign_requisition(key: ed25519.Ed25519PrivateKey, payload: bytes) -> bytes:
    """Return the hub's signature, 64 bytes."""
    return key.sign(SIGNING_CONTEXT + payload)


def verify_requisition(key: bytes, payload: bytes, signature: bytes) -> None:
    """Raise unless the hub with the raw public *key* signed *payload*.

    Raises:
        RequisitionRefused: SIGNATURE_INVALID.
    """
    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(key)
        public.verify(signature, SIGNING_CONTEXT + payload)
    except (ValueError, InvalidSignature):
        raise RequisitionRefused(
            "SIGNATURE_INVALID", "The requisition was not signed by this agency's hub."
        ) from None


def payload_of(payload: bytes) -> agent_pb2.RequisitionPayload:
    """Return a payload as a message that keeps the protocol's rules; proves nothing.

    Raises:
        IntegrityError: REQUISITION_MALFORMED.
    """
    try:
        message = agent_pb2.RequisitionPayload.FromString(payload)
    except DecodeError:
        raise _malformed("it is no message.") from None
    found = _VALIDATOR.collect_violations(message, fail_fast=True)
    if found:
        raise _malformed("a field breaks the rules of the protocol.")
    return message


def _require_understood(message: agent_pb2.RequisitionPayload) -> None:
    """Refuse what has fields of a later version: they may change what it means.

    Everywhere else they are passed over, so that versions can live together. What an
    agency answers to it has to know to the last word.
    """
    known = agent_pb2.RequisitionPayload()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    if known.ByteSize() != message.ByteSize():
        raise RequisitionRefused(
            "TERMS_MISMATCH",
            "The hub's requisition says something that this version of the program "
            "does not know; upgrade it.",
        )


def _malformed(sentence: str) -> IntegrityError:
    return IntegrityError(
        "REQUISITION_MALFORMED", f"The hub's requisition is malformed: {sentence}"
    )


def _to_seconds(moment: datetime.datetime) -> int:
    if moment.tzinfo is None or moment.microsecond:
        message = "a time on the wire is whole seconds in UTC"
        raise ValueError(message)
    return int(moment.timestamp())


def _from_seconds(seconds: int) -> datetime.datetime:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidQuery(
            "TIME_INVALID", "a time lies outside the calendar."
        ) from None
