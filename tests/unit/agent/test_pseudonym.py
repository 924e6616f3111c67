# SPDX-License-Identifier: Apache-2.0
"""Keyed hashes in the place of identifiers."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.intake.pseudonym import (
    KeyedHash,
    Kind,
    as_words,
    framed,
    framed_one,
    from_words,
    normalise,
    order_keys,
    subject,
)


@given(key=st.binary(max_size=150), message=st.binary(max_size=300))
def test_the_hash_is_hmac_sha256(key: bytes, message: bytes) -> None:
    assert KeyedHash(key).digest(message) == hmac.digest(key, message, hashlib.sha256)


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_many_digests_are_those_of_each(messages: list[bytes]) -> None:
    key = KeyedHash(b"k" * 32)
    joined = b"".join(key.digest(message) for message in messages)
    assert key.digests(messages) == joined
    first = [int.from_bytes(key.digest(message)[:8], "big") for message in messages]
    assert order_keys(key, messages).tolist() == first


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (" Ana  María ", "ana maría"),
        ("ANA\u00a0MARI\u0301A", "ana maría"),
        ("STRASSE", "straße"),
        ("ﬁne", "FINE"),  # the ligature is the point
        ("ΟΔΟΣ", "οδος"),
        ("١٢", "١٢"),
    ],
)
def test_spellings_that_are_one(text: str, same: str) -> None:
    assert normalise(text) == normalise(same)


@given(st.text(max_size=20))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(
    one=st.lists(st.text("ab\x00\x01 ", max_size=4), max_size=3),
    other=st.lists(st.text("ab\x00\x01 ", max_size=4), max_size=3),
)
def test_framing_tells_different_identifiers_apart(
    one: list[str], other: list[str]
) -> None:
    same = [normalise(text) for text in one] == [normalise(text) for text in other]
    assert (framed(one) == framed(other)) == same
    assert framed(one[:1]) == b"".join(framed_one(text) for text in one[:1])


def test_kinds_and_scopes_never_meet() -> None:
    heads = [subject(kind, scope) for kind in Kind for scope in ("", "a", "b")]
    assert len(set(heads)) == len(heads)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20))
def test_words_sort_as_the_bytes_do(digests: list[bytes]) -> None:
    words = as_words(b"".join(digests))
    order = np.lexsort(words[::-1])
    assert [digests[index] for index in order] == sorted(digests)
    assert from_words(words).tobytes() == b"".join(digests)


def test_the_bytes_under_the_hash_do_not_change_by_accident() -> None:
    """Every store of every agency would have to be built anew."""
    message = subject(Kind.PERSON) + framed(["Ana", "NÚÑEZ", "2000-05-01"])
    assert message.hex() == (
        "01010000000000000003616e61000000076ec3bac3b1657a0000000a323030302d30352d3031"
    )
    assert KeyedHash(b"p" * 32).digest(message).hex() == (
        hmac.new(b"p" * 32, message, "sha256").hexdigest()
    )
