# SPDX-License-Identifier: Apache-2.0
"""This version reads what a hub and an agent of the version before said to each other.

``tests/fixtures/wire/MINOR/`` is one agency's conversation with its hub, recorded by
`tools.record_wire`. Folders of this minor version and of the one before are read; one
of a version that was released never changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import pytest
from google.protobuf.message import Message

from accord.core._version import __version__
from accord.core.errors import InvalidQuery
from accord.rpc.codec import (
    edition_from_message,
    loss_from_message,
    payload_of,
    query_id_of,
)
from accord.rpc.contact import (
    charge_of,
    cosignature_from_message,
    head_from_message,
)
from accord.rpc.interceptors import check_message
from accord.rpc.rounds import (
    encapsulation_from_message,
    encapsulation_to_message,
    erased_from_message,
    ready_from_message,
    ready_to_message,
    receipt_from_masked,
    receipts_from_messages,
    receipts_to_messages,
)
from accord.rpc.versions import require_compatible
from accord.v1 import agent_pb2

WIRE = Path(__file__).parents[2] / "fixtures" / "wire"
RECORDED = sorted(WIRE.glob("*/*.binpb"))
OWN = ".".join(__version__.split(".")[:2])

LATER = b"\xfa\x7f\x03new"
"""A field of a number that no version has used."""

Either: TypeAlias = "agent_pb2.ConnectRequest | agent_pb2.ConnectResponse"


def read(path: Path) -> Either:
    kind = (
        agent_pb2.ConnectRequest
        if path.name.split("-")[1] == "up"
        else agent_pb2.ConnectResponse
    )
    return kind.FromString(path.read_bytes())


def test_this_version_and_the_one_before_are_recorded() -> None:
    major, minor = (int(part) for part in OWN.split("."))
    wanted = {OWN} | ({f"{major}.{minor - 1}"} if minor > 1 else set())
    assert wanted <= {path.name for path in WIRE.iterdir()}
    for folder in wanted:
        kinds = {path.stem.split("-", 1)[1] for path in (WIRE / folder).iterdir()}
        assert kinds >= {
            *("up-hello", "down-welcome", "up-encapsulations", "up-cosignature"),
            *("down-requisitions", "up-readies", "down-cohorts", "up-masked"),
            *("down-reveals", "up-reveals", "down-settled", "up-erasures"),
            *("up-refusals", "down-log"),
        }


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
class TestARecordedMessage:
    def test_keeps_the_rules_of_today(self, path: Path) -> None:
        message = read(path)
        check_message(message)
        assert message.WhichOneof("message") == path.stem.split("-")[2]

    def test_is_understood_to_the_last_byte(self, path: Path) -> None:
        """No field was renumbered or dropped."""
        message = read(path)
        message.DiscardUnknownFields()
        assert message.SerializeToString(deterministic=True) == path.read_bytes()
        for payload in _payloads(message):
            asked = payload_of(payload)
            asked.DiscardUnknownFields()
            assert asked.ByteSize() == len(payload)

    def test_means_what_it_meant(self, path: Path) -> None:
        _decode(read(path))

    def test_may_have_fields_of_later_versions(self, path: Path) -> None:
        """Whoever does not know them passes over them, wherever they stand."""
        plain, later = read(path), read(path)
        for part in _parts(later):
            part.MergeFromString(LATER)
        content = later.SerializeToString()
        assert content != path.read_bytes()
        again = type(plain).FromString(content)
        check_message(again)
        _decode(again)
        again.DiscardUnknownFields()
        assert again == plain


def test_a_message_of_a_kind_that_nobody_knows_is_dropped() -> None:
    """Not the stream with it: `Session` drops what breaks the rules."""
    unknown = agent_pb2.ConnectResponse.FromString(LATER)
    with pytest.raises(InvalidQuery):
        check_message(unknown)


def test_a_reason_that_nobody_knows_is_taken() -> None:
    """A question that a newer agent declines ends as any other that is declined."""
    [path] = WIRE.glob(f"{OWN}/*-up-refusals.binpb")
    message = read(path)
    assert isinstance(message, agent_pb2.ConnectRequest)
    message.refusals.refusals[0].reason = 999  # type: ignore[assignment]  # of a later version
    check_message(message)


def test_versions_that_are_recorded_may_talk_to_this_one() -> None:
    for path in WIRE.glob("*/*-up-hello.binpb"):
        message = read(path)
        assert isinstance(message, agent_pb2.ConnectRequest)
        if path.parent.name in {OWN, _before(OWN)}:
            require_compatible(message.hello.agent_version)


def _before(version: str) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) - 1}"


def _payloads(message: Either) -> list[bytes]:
    if message.WhichOneof("message") != "requisitions":
        return []
    assert isinstance(message, agent_pb2.ConnectResponse)
    return [each.payload for each in message.requisitions.requisitions]


def _parts(message: Message) -> list[Message]:
    """Return a message and all messages in it."""
    found = [message]
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        inner = list(value) if field.is_repeated else [value]
        for each in inner:
            found.extend(_parts(each))
    return found


def _decode(message: Either) -> None:
    """Read a message as hub or agent do, and write it again where both are known."""
    if isinstance(message, agent_pb2.ConnectRequest):
        _decode_up(message)
    else:
        _decode_down(message)


def _decode_up(message: agent_pb2.ConnectRequest) -> None:  # noqa: C901, PLR0912  # one case for each kind
    match message.WhichOneof("message"):
        case "hello":
            assert [edition_from_message(each) for each in message.hello.editions]
            loss_from_message(message.hello.charged)
        case "encapsulations":
            for encapsulation in message.encapsulations.encapsulations:
                made = encapsulation_from_message(encapsulation)
                encapsulation.DiscardUnknownFields()
                assert encapsulation_to_message(made) == encapsulation
        case "readies":
            for ready in message.readies.readies:
                said = ready_from_message("bravo", ready)
                ready.DiscardUnknownFields()
                again = ready_to_message(ready.query_id, said, tuple(ready.lacking))
                assert again == ready
        case "masked":
            for masked in message.masked.masked:
                assert receipt_from_masked("bravo", masked).agency == "bravo"
                assert len(masked.vector) == 8 * masked.size
        case "reveals":
            assert all(len(each.seed) == 32 for each in message.reveals.reveals)
        case "erasures":
            for erased in message.erasures.erasures:
                assert erased_from_message("bravo", erased).agency == "bravo"
        case "cosignature":
            assert cosignature_from_message("bravo", message.cosignature).head.size > 0
        case "refusals":
            assert all(each.reason for each in message.refusals.refusals)
        case other:
            pytest.fail(f"no test reads {other}")


def _decode_down(message: agent_pb2.ConnectResponse) -> None:  # noqa: C901  # one case for each kind
    match message.WhichOneof("message"):
        case "welcome":
            assert head_from_message(message.welcome.head).head.size >= 0
        case "log":
            assert head_from_message(message.log.head).head.size > 0
        case "requisitions":
            for asked in message.requisitions.requisitions:
                assert query_id_of(asked.payload)
                assert charge_of(asked.payload).loss.nano_rho > 0
        case "cohorts":
            for cohort in message.cohorts.calls:
                assert cohort.cohort
                assert len(cohort.readies) >= 2
        case "reveals":
            for call in message.reveals.calls:
                receipts = receipts_from_messages(call.receipts)
                for receipt in call.receipts:
                    receipt.DiscardUnknownFields()
                assert receipts_to_messages(receipts) == list(call.receipts)
        case "settled":
            assert message.settled.query_ids
        case other:
            pytest.fail(f"no test reads {other}")
