# SPDX-License-Identifier: Apache-2.0
"""What agencies and hub say in the three rounds, as messages, and back.

Signatures are over `accord.secagg.messages`, never over a serialised message. What
comes from a message is bytes of the right length; whether it is true is checked where
the keys are. Only hubs and agents import this module: it needs numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from accord.secagg.keys import Encapsulation
from accord.secagg.masks import WORD, Words, vector_bytes
from accord.secagg.messages import Erased, Ready, Receipt
from accord.v1 import agent_pb2

PART_BYTES: Final = 1 << 20
"""Of a vector in one message; about what one message holds of several vectors."""

MOST_TOGETHER: Final = 256
"""Queries that one message is about."""


def ready_to_message(
    query_id: str, ready: Ready, lacking: Iterable[str] = ()
) -> agent_pb2.Ready:
    return agent_pb2.Ready(
        query_id=query_id,
        attempt=ready.attempt,
        spec_digest=ready.spec_digest,
        ephemeral_key=ready.ephemeral_key,
        signature=ready.signature,
        lacking=lacking,
    )


def ready_from_message(agency: str, message: agent_pb2.Ready) -> Ready:
    """Return what *agency*, as its certificate calls it, says."""
    return Ready(
        agency=agency,
        spec_digest=message.spec_digest,
        attempt=message.attempt,
        ephemeral_key=message.ephemeral_key,
        signature=message.signature,
    )


def member_readies_to_messages(readies: Iterable[Ready]) -> list[agent_pb2.MemberReady]:
    return [
        agent_pb2.MemberReady(
            agency=each.agency,
            ephemeral_key=each.ephemeral_key,
            signature=each.signature,
        )
        for each in readies
    ]


def member_readies_from_messages(
    messages: Iterable[agent_pb2.MemberReady], *, spec_digest: bytes, attempt: int
) -> list[Ready]:
    """Return readies, which can only be for the query and attempt of who reads them."""
    return [
        Ready(
            agency=each.agency,
            spec_digest=spec_digest,
            attempt=attempt,
            ephemeral_key=each.ephemeral_key,
            signature=each.signature,
        )
        for each in messages
    ]


def receipts_to_messages(receipts: Iterable[Receipt]) -> list[agent_pb2.MemberReceipt]:
    return [
        agent_pb2.MemberReceipt(
            agency=each.agency,
            transcript=each.transcript,
            vector_digest=each.vector_digest,
            seed_commitment=each.seed_commitment,
            input_commitment=each.input_commitment,
            signature=each.signature,
        )
        for each in receipts
    ]


def receipts_from_messages(
    messages: Iterable[agent_pb2.MemberReceipt],
) -> list[Receipt]:
    return [_receipt(each.agency, each) for each in messages]


def receipt_from_masked(agency: str, message: agent_pb2.Masked) -> Receipt:
    """Return the receipt of *agency*, as its certificate calls it."""
    return _receipt(agency, message)


def _receipt(
    agency: str, message: agent_pb2.MemberReceipt | agent_pb2.Masked
) -> Receipt:
    return Receipt(
        agency=agency,
        transcript=message.transcript,
        vector_digest=message.vector_digest,
        seed_commitment=message.seed_commitment,
        input_commitment=message.input_commitment,
        signature=message.signature,
    )


def encapsulation_to_message(made: Encapsulation) -> agent_pb2.Encapsulation:
    return agent_pb2.Encapsulation(
        sender=made.sender,
        receiver=made.receiver,
        ciphertext=made.ciphertext,
        signature=made.signature,
    )


def encapsulation_from_message(message: agent_pb2.Encapsulation) -> Encapsulation:
    return Encapsulation(
        sender=message.sender,
        receiver=message.receiver,
        ciphertext=message.ciphertext,
        signature=message.signature,
    )


def erased_to_message(query_id: str, erased: Erased) -> agent_pb2.Erased:
    return agent_pb2.Erased(
        query_id=query_id,
        attempt=erased.attempt,
        spec_digest=erased.spec_digest,
        signature=erased.signature,
    )


def erased_from_message(agency: str, message: agent_pb2.Erased) -> Erased:
    """Return what *agency*, as its certificate calls it, has erased."""
    return Erased(
        agency=agency,
        spec_digest=message.spec_digest,
        attempt=message.attempt,
        signature=message.signature,
    )


def masked_to_messages(
    query_id: str, attempt: int, receipt: Receipt, vector: Words
) -> Iterator[agent_pb2.Masked | agent_pb2.VectorPart]:
    """Yield a receipt with the first part of its vector, then the other parts."""
    content = vector_bytes(vector)
    yield agent_pb2.Masked(
        query_id=query_id,
        attempt=attempt,
        transcript=receipt.transcript,
        vector_digest=receipt.vector_digest,
        seed_commitment=receipt.seed_commitment,
        input_commitment=receipt.input_commitment,
        signature=receipt.signature,
        size=len(vector),
        vector=content[:PART_BYTES],
    )
    for start in range(PART_BYTES, len(content), PART_BYTES):
        yield agent_pb2.VectorPart(
            query_id=query_id,
            attempt=attempt,
            offset=start // WORD.itemsize,
            vector=content[start : start + PART_BYTES],
        )


def masked_requests(
    messages: Iterable[agent_pb2.Masked | agent_pb2.VectorPart],
) -> Iterator[agent_pb2.ConnectRequest]:
    """Yield few messages that hold many vectors, each of about `PART_BYTES`."""
    held: list[agent_pb2.Masked] = []
    size = 0
    for each in messages:
        length = len(each.vector)
        full = size + length > PART_BYTES or len(held) == MOST_TOGETHER
        if held and (full or isinstance(each, agent_pb2.VectorPart)):
            yield _together(held)
            held, size = [], 0
        if isinstance(each, agent_pb2.VectorPart):
            yield agent_pb2.ConnectRequest(part=each)
        else:
            held.append(each)
            size += length
    if held:
        yield _together(held)


def _together(masked: Sequence[agent_pb2.Masked]) -> agent_pb2.ConnectRequest:
    return agent_pb2.ConnectRequest(masked=agent_pb2.MaskedVectors(masked=masked))
