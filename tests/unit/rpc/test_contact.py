# SPDX-License-Identifier: Apache-2.0
"""What a record of a charge proves, to whom, and what it does not."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.decide import Analyst
from accord.core.errors import IntegrityError
from accord.core.model import DataModel, load_model
from accord.core.privacy import DiscreteGaussian, Loss
from accord.core.query import canonical_query
from accord.core.terms import Requisition
from accord.merkle.heads import SignedHead, TreeHead, Witnessed
from accord.rpc.codec import requisition_to_bytes, sign_requisition
from accord.rpc.contact import (
    MESSAGE_BYTES,
    MOST_RECORDS,
    Charge,
    ChargeRecord,
    charge_of,
    cosignature_from_message,
    cosignature_to_message,
    head_from_message,
    head_to_message,
    record_from_message,
    record_to_message,
    records_to_messages,
    seen_to_message,
    verify_charge,
)
from accord.rpc.interceptors import check_message
from accord.v1 import agent_pb2

MODEL_FILE = Path(__file__).parents[3] / "policies" / "models" / "cases-v1.yaml"
NOW = dt.datetime(2026, 5, 4, 3, 2, 1, tzinfo=dt.UTC)
ID = "7c0ffee0-0000-4000-8000-00000000000a"
MEMBERS = ("clinic", "police", "shelter")

HUB = Ed25519PrivateKey.from_private_bytes(b"h" * 32)
AGENCY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


@functools.cache
def model() -> DataModel:
    return load_model(MODEL_FILE.read_text(encoding="utf-8"), MODEL_FILE.name)


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def payload(**changes: Any) -> bytes:  # noqa: ANN401 - of any type
    asked = Requisition(
        query_id=ID,
        query=canonical_query(
            agreement="regional-trends",
            edition="2026-03",
            measure="persons",
            group_by=[],
            where={},
            model=model(),
        ),
        agreement_version=1,
        agreement_digest="a" * 64,
        model_digest="b" * 64,
        policy_digest="c" * 64,
        cohort="all",
        members=MEMBERS,
        mechanism=DiscreteGaussian(scale=Fraction(5)),
        loss=Loss(nano_rho=17),
        layout_digest="d" * 64,
        purpose="prevention planning",
        analyst=Analyst(id="ana", organisation="observatory", roles=frozenset()),
        issued_at=NOW,
        expires_at=NOW + dt.timedelta(hours=2),
    )
    return requisition_to_bytes(dataclasses.replace(asked, **changes))


def record(
    content: bytes | None = None,
    *,
    agency: str = "police",
    hub: Ed25519PrivateKey = HUB,
    by: Ed25519PrivateKey = AGENCY,
) -> ChargeRecord:
    asked = payload() if content is None else content
    found = ChargeRecord(
        payload=asked,
        signature=sign_requisition(hub, asked),
        cohort="all",
        transcript=bytes(range(32)),
        charged_at=NOW,
    )
    signature = by.sign(found.signed_bytes(agency))
    return dataclasses.replace(found, countersignature=signature)


def verified(found: ChargeRecord, agency: str = "police") -> Charge:
    return verify_charge(
        found, agency=agency, agency_key=raw(AGENCY), hub_keys=[raw(OTHER), raw(HUB)]
    )


def test_a_record_survives_the_wire_and_proves_its_charge() -> None:
    message = record_to_message(record())
    check_message(message)
    assert record_from_message(message) == record()
    assert verified(record()) == Charge(
        query_id=ID,
        agreement="regional-trends",
        agreement_digest="a" * 64,
        policy_digest="c" * 64,
        cohort="all",
        members=MEMBERS,
        loss=Loss(nano_rho=17),
        purpose="prevention planning",
        analyst="ana",
        issued_at=NOW,
        expires_at=NOW + dt.timedelta(hours=2),
    )


def test_what_an_agency_signs_is_text_that_anybody_can_repeat() -> None:
    """The form is a promise: records are kept for ever."""
    found = dataclasses.replace(record(b"payload"), signature=bytes(64))
    assert found.signed_bytes("police") == (
        b"accord.charge.v1\n"
        b'{"agency":"police","charged_at":1777863721,"cohort":"all","payload":'
        b'"239f59ed55e737c77147cf55ad0c1b030b6d7ee748a7426952f9b852d5a935e5",'
        b'"signature":"' + b"00" * 64 + b'","transcript":"'
        b'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}'
    )


LIES: dict[str, Callable[[ChargeRecord], ChargeRecord]] = {
    "another question": lambda r: dataclasses.replace(
        r, payload=payload(loss=Loss(nano_rho=18))
    ),
    "another cohort": lambda r: dataclasses.replace(r, cohort="fallback"),
    "another transcript": lambda r: dataclasses.replace(r, transcript=bytes(32)),
    "another time": lambda r: dataclasses.replace(
        r, charged_at=NOW + dt.timedelta(seconds=1)
    ),
    "another signature of the hub": lambda r: dataclasses.replace(
        r, signature=bytes(64)
    ),
    "no signature of its own": lambda r: dataclasses.replace(
        r, countersignature=bytes(64)
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_record_that_was_changed_proves_nothing(lie: str) -> None:
    with pytest.raises(IntegrityError) as error:
        verified(LIES[lie](record()))
    assert error.value.reason == "CHARGE_UNPROVEN"


@pytest.mark.parametrize(
    ("claim", "agency"),
    [
        pytest.param(record(hub=AGENCY), "police", id="the hub asked nothing"),
        pytest.param(record(by=OTHER), "police", id="signed by another agency"),
        pytest.param(record(), "clinic", id="sent on by another member"),
        pytest.param(
            record(payload(members=("clinic", "shelter"))),
            "police",
            id="asked of others",
        ),
    ],
)
def test_an_agency_cannot_claim_what_was_not_its_own(
    claim: ChargeRecord, agency: str
) -> None:
    with pytest.raises(IntegrityError) as error:
        verified(claim, agency)
    assert error.value.reason == "CHARGE_UNPROVEN"
    assert agency in error.value.sentence


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"loss": Loss()}, id="free"),
        pytest.param({"members": ("police", "police")}, id="a member twice"),
    ],
)
def test_a_question_that_cannot_be_a_charge_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError) as error:
        charge_of(payload(**changes))
    assert error.value.reason == "CHARGE_MALFORMED"


def test_a_moment_outside_the_calendar_is_refused() -> None:
    message = record_to_message(record())
    message.charged_at = 2**62
    with pytest.raises(IntegrityError) as error:
        record_from_message(message)
    assert error.value.reason == "CHARGE_MALFORMED"


def test_heads_and_cosignatures_survive_the_wire() -> None:
    head = TreeHead(size=9, root=bytes(range(32)), at=NOW, ledger_height=4, epoch=2)
    signed = SignedHead.sign(head, HUB)
    assert head_from_message(head_to_message(signed)) == signed
    seen = seen_to_message(signed)
    assert (seen.size, seen.root, seen.ledger_height, seen.epoch) == (
        9,
        bytes(range(32)),
        4,
        2,
    )
    witnessed = Witnessed.sign(head, "police", AGENCY)
    message = cosignature_to_message(witnessed)
    check_message(agent_pb2.ConnectRequest(cosignature=message))
    assert cosignature_from_message("police", message) == witnessed
    assert cosignature_from_message("police", message).is_signed_by(raw(AGENCY))
    assert not cosignature_from_message("clinic", message).is_signed_by(raw(AGENCY))


@pytest.mark.parametrize("changes", [{"at": -1}, {"at": 2**62}, {"size": 2**60}])
def test_a_head_that_no_log_can_have_is_refused(changes: dict[str, int]) -> None:
    head = TreeHead(size=9, root=bytes(32), at=NOW, ledger_height=4, epoch=2)
    message = head_to_message(SignedHead.sign(head, HUB))
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(IntegrityError) as error:
        head_from_message(message)
    assert error.value.reason == "HEAD_MALFORMED"


def test_records_go_in_messages_that_pass() -> None:
    few = [record(bytes(9))] * (MOST_RECORDS + 1)
    big = [record(bytes(MESSAGE_BYTES // 3))] * 5
    assert not list(records_to_messages([], complete=False))
    for records in ([], few, big, [record(bytes(MESSAGE_BYTES))] * 2):
        messages = list(records_to_messages(records, complete=True))
        parts = list(records_to_messages(records, complete=False))
        assert not any(each.complete for each in parts)
        assert sum(len(each.records) for each in parts) == len(records)
        for each in messages:
            check_message(agent_pb2.ConnectRequest(charges=each))
            assert each.ByteSize() <= MESSAGE_BYTES + 1000
        assert [each.complete for each in messages[:-1]] == [False] * (
            len(messages) - 1
        )
        assert messages[-1].complete
        sent = [each for message in messages for each in message.records]
        assert [record_from_message(each) for each in sent] == records
