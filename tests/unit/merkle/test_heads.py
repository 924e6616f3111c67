# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.merkle.heads import SignedHead, TreeHead, Witnessed

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
HEAD = TreeHead(
    size=7,
    root=bytes(range(32)),
    at=datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
    ledger_height=40,
    epoch=1,
)
CHANGES: tuple[dict[str, Any], ...] = (
    {"size": 8},
    {"root": bytes(32)},
    {"at": HEAD.at + datetime.timedelta(seconds=1)},
    {"ledger_height": 41},
    {"epoch": 0},
)


def test_what_is_signed_can_be_written_by_hand() -> None:
    fields = (
        b'"at":1772366400,"epoch":1,"ledger_height":40,"root":"%s","size":7}'
        % HEAD.root.hex().encode()
    )
    assert HEAD.signed_bytes() == b"accord.tree-head.v1\n{" + fields
    assert HEAD.witnessed_bytes("north") == (
        b'accord.witness.v1\n{"agency":"north",' + fields
    )


def test_a_signature_is_of_one_head_by_one_key() -> None:
    signed = SignedHead.sign(HEAD, KEY)
    assert signed.is_signed_by(PUBLIC)
    assert not signed.is_signed_by(bytes(32))
    assert not signed.is_signed_by(b"short")
    assert not dataclasses.replace(signed, signature=b"").is_signed_by(PUBLIC)


@pytest.mark.parametrize("change", CHANGES)
def test_a_signature_is_of_nothing_else(change: dict[str, Any]) -> None:
    other = dataclasses.replace(HEAD, **change)
    signed = SignedHead.sign(HEAD, KEY)
    seen = Witnessed.sign(HEAD, "north", KEY)
    assert seen.is_signed_by(PUBLIC)
    assert not dataclasses.replace(signed, head=other).is_signed_by(PUBLIC)
    assert not dataclasses.replace(seen, head=other).is_signed_by(PUBLIC)


def test_a_witness_speaks_for_itself_only() -> None:
    seen = Witnessed.sign(HEAD, "north", KEY)
    assert not dataclasses.replace(seen, agency="south").is_signed_by(PUBLIC)
    as_owner = SignedHead(head=HEAD, signature=seen.signature)
    assert not as_owner.is_signed_by(PUBLIC)


@pytest.mark.parametrize(
    "change",
    [{"size": -1}, {"size": 2**53}, {"ledger_height": 2**60}, {"root": b"short"}],
)
def test_what_could_not_be_signed_is_no_head(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="head"):
        dataclasses.replace(HEAD, **change)


def test_a_head_can_be_kept_in_a_file() -> None:
    signed = SignedHead.sign(HEAD, KEY)
    assert SignedHead.from_json(json.loads(json.dumps(signed.as_json()))) == signed
