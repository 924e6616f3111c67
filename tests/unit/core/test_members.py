# SPDX-License-Identifier: Apache-2.0
"""Keys of agencies: written in one way each, and never one without the others."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.document import DocumentError
from accord.core.members import (
    exchange_bytes,
    exchange_text,
    kem_bytes,
    kem_text,
    load_members,
    short_kem,
)
from tests.unit.core.small_policies import MEMBERS, changed

POLICE = MEMBERS["members"]["police"]


def wrong(**entries: object) -> list[str]:
    """Return what is said of the police's entry with entries replaced."""
    text = json.dumps(
        changed(
            MEMBERS, **{f"members__police__{name}": e for name, e in entries.items()}
        )
    )
    try:
        load_members(text, "members.yaml")
    except DocumentError as error:
        return [f"{each.path}: {each.sentence}" for each in error.problems]
    return []


@given(st.binary(min_size=32, max_size=32))
def test_exchange_keys_are_read_as_they_were_written(raw: bytes) -> None:
    """And a form accepts what is written."""
    text = exchange_text(raw)
    assert exchange_bytes(text) == raw
    assert wrong(exchange=text) == []


@given(st.binary(min_size=1184, max_size=1184))
def test_kem_keys_are_read_as_they_were_written(raw: bytes) -> None:
    """In 1580 characters of base64; people see the beginning of a digest."""
    text = kem_text(raw)
    assert len(text) == len("mlkem768:") + 1580
    assert kem_bytes(text) == raw
    assert wrong(kem=text) == []
    assert hashlib.sha256(raw).hexdigest()[:16] in short_kem(text)
    assert len(short_kem(text)) < 50


@pytest.mark.parametrize("length", [0, 31, 33, 1183, 1185])
def test_keys_of_another_length_are_no_keys(length: int) -> None:
    """Neither to write nor to read."""
    raw = b"\x07" * length
    for writing in (exchange_text, kem_text):
        with pytest.raises(ValueError, match="bytes"):
            writing(raw)
    with pytest.raises(ValueError, match="bytes"):
        exchange_bytes(f"x25519:{raw.hex()}")
    with pytest.raises(ValueError, match="bytes"):
        kem_bytes(f"mlkem768:{base64.b64encode(raw).decode()}")
    assert wrong(exchange=f"x25519:{raw.hex()}")
    assert wrong(kem=f"mlkem768:{base64.b64encode(raw).decode()}")


def test_one_kind_of_key_does_not_pass_for_another() -> None:
    """The first word says what it is."""
    for reading in (exchange_bytes, kem_bytes):
        with pytest.raises(ValueError, match="begin with"):
            reading(POLICE["key"])
    assert wrong(exchange=POLICE["key"])
    assert wrong(key=POLICE["exchange"])
    assert wrong(kem=POLICE["exchange"])


@pytest.mark.parametrize(
    "change",
    [lambda t: t.replace("=", "A"), lambda t: t[:-2] + "B=", lambda t: t + "\n"],
)
def test_base64_has_one_form_only(change: object) -> None:
    """Two texts for one key could count as two keys."""
    assert callable(change)
    assert wrong(kem=change(POLICE["kem"]))


def test_an_agency_lists_all_its_keys_or_none() -> None:
    """The sentence says which line is missing and who prints it; kem is optional."""
    (said,) = wrong(exchange=...)
    assert said.startswith("members.police.key: ")
    assert "`exchange` is missing" in said
    assert "accord-agent keys" in said
    assert [each.split(": ")[0] for each in wrong(key=...)] == [
        "members.police.exchange",
        "members.police.kem",
    ]
    assert wrong(kem=...) == []
    assert wrong(key=..., exchange=..., kem=...) == []
