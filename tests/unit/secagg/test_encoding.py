# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.secagg.encoding import PREFIX, derived, encoded, hashed

PARTS = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.text(max_size=20),
        st.integers(-(2**127), 2**127 - 1),
        st.integers(-3, 3),
    ),
    max_size=4,
)
LABELS = st.text("ab/ ", max_size=3)


def kinds(parts: list[bytes | str | int]) -> list[tuple[type, bytes | str | int]]:
    return [(type(each), each) for each in parts]


@given(LABELS, PARTS, LABELS, PARTS)
def test_two_things_never_have_one_encoding(
    label: str,
    parts: list[bytes | str | int],
    other_label: str,
    other: list[bytes | str | int],
) -> None:
    same = (label, kinds(parts)) == (other_label, kinds(other))
    assert (encoded(label, *parts) == encoded(other_label, *other)) is same


def decoded(content: bytes) -> tuple[str, list[bytes | str | int]]:
    """Read an encoding back: that this can be written is what injective means."""
    count, rest = int.from_bytes(content[:8], "big"), content[8:]
    found: list[bytes | str | int] = []
    for _ in range(count + 1):
        kind, length = rest[:1], int.from_bytes(rest[1:9], "big")
        body, rest = rest[9 : 9 + length], rest[9 + length :]
        assert len(body) == length
        match kind:
            case b"b":
                found.append(body)
            case b"s":
                found.append(body.decode())
            case b"i":
                assert length == 16
                found.append(int.from_bytes(body, "big", signed=True))
            case _:
                pytest.fail(f"no kind {kind!r}")
    assert not rest
    label = found[0]
    assert isinstance(label, bytes)
    assert label.startswith(PREFIX)
    return label.removeprefix(PREFIX).decode(), found[1:]


@given(LABELS, PARTS)
def test_an_encoding_can_be_read_back(
    label: str, parts: list[bytes | str | int]
) -> None:
    read_label, read = decoded(encoded(label, *parts))
    assert (read_label, kinds(read)) == (label, kinds(parts))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a",), ("a", "")),
        (("a",), (b"a",)),
        ((1,), ((1).to_bytes(16, "big"),)),
        ((0,), ()),
        ((-1,), (2**127 - 1,)),
    ],
)
def test_what_is_easily_confused_is_not(
    one: tuple[bytes | str | int, ...], other: tuple[bytes | str | int, ...]
) -> None:
    assert encoded("x", *one) != encoded("x", *other)
    assert hashed("x", *one) != hashed("x", *other)
    assert derived(b"k", b"s", "x", *one) != derived(b"k", b"s", "x", *other)


@pytest.mark.parametrize("number", [2**127, -(2**127) - 1])
def test_a_number_that_does_not_fit_is_not_cut(number: int) -> None:
    with pytest.raises(OverflowError):
        encoded("x", number)


@given(st.binary(max_size=80), st.binary(max_size=80), PARTS)
def test_derivation_is_hkdf_of_rfc_5869(
    ikm: bytes, salt: bytes, parts: list[bytes | str | int]
) -> None:
    key = hmac.digest(salt, ikm, "sha256")
    expected = hmac.digest(key, encoded("x", *parts) + b"\x01", "sha256")
    assert derived(ikm, salt, "x", *parts) == expected


def test_hash_is_sha256_of_the_encoding() -> None:
    assert hashed("x", 1) == hashlib.sha256(encoded("x", 1)).digest()
    assert encoded("x", 1) == (
        bytes(7)
        + b"\x01"
        + b"b"
        + bytes(7)
        + b"\x12accord.secagg.v1/x"
        + b"i"
        + bytes(7)
        + b"\x10"
        + bytes(15)
        + b"\x01"
    )
