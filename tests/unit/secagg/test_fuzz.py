# SPDX-License-Identifier: Apache-2.0
"""Whatever arrives, the answer is a result or an `AccordError`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from accord.core.errors import AccordError
from accord.secagg.keys import (
    Directory,
    Encapsulation,
    PublicKeys,
    encapsulate,
    opened,
    pair_secret,
)
from accord.secagg.member import (
    check_readies,
    check_receipts,
    make_erased,
    pair_keys,
)
from accord.secagg.messages import (
    Erased,
    Ready,
    Receipt,
    check_erased,
    check_ready,
    check_receipt,
)
from accord.secagg.opening import check_plausible, check_vector, open_sum
from tests.unit.secagg.cohort import (
    directory,
    labels,
    pair_secrets,
    run,
    secret,
    zeros,
)

N = 3
THIS = run(zeros(N, 4))
LISTED = directory(N)
OWN, PEER = labels(N)[:2]
SENT, SHARED = encapsulate(secret(OWN), LISTED[PEER])
ERASED = make_erased(secret(PEER), THIS.spec.digest, 1)

Message = Ready | Receipt | Erased | Encapsulation

TEXTS = st.one_of(
    st.sampled_from(labels(N)),
    st.text(st.characters(), max_size=8),  # lone surrogates among them
)
NUMBERS = st.one_of(st.integers(0, 3), st.integers())
CONTENT = st.one_of(
    st.binary(max_size=80),
    *(st.binary(min_size=size, max_size=size) for size in (32, 64, 1088, 1184)),
)


def changed(message: Message) -> st.SearchStrategy[Any]:
    """Return messages like *message* with some fields replaced by anything."""
    kinds: dict[type, st.SearchStrategy[Any]] = {
        str: TEXTS,
        int: NUMBERS,
        bytes: CONTENT,
    }
    fields = {
        each.name: st.one_of(
            st.just(getattr(message, each.name)),
            kinds[type(getattr(message, each.name))],
        )
        for each in dataclasses.fields(message)
    }
    return st.builds(type(message), **fields)


def typed(act: Callable[..., object], *arguments: object) -> None:
    """Allow results and typed errors, nothing else."""
    with contextlib.suppress(AccordError):
        act(*arguments)


@given(changed(THIS.readies[1]))
def test_a_changed_ready_is_refused(ready: Ready) -> None:
    assume(ready != THIS.readies[1])
    with contextlib.suppress(AccordError):
        check_ready(ready, THIS.spec.digest, 1, LISTED)
        raise AssertionError("accepted")


@given(changed(THIS.receipts[1]))
def test_a_changed_receipt_is_refused(receipt: Receipt) -> None:
    assume(receipt != THIS.receipts[1])
    with contextlib.suppress(AccordError):
        check_receipt(receipt, THIS.transcript, LISTED)
        raise AssertionError("accepted")


@given(changed(ERASED))
def test_a_changed_erasure_is_refused(erased: Erased) -> None:
    assume(erased != ERASED)
    with contextlib.suppress(AccordError):
        check_erased(erased, THIS.spec.digest, 1, LISTED)
        raise AssertionError("accepted")


@given(changed(SENT))
def test_a_changed_encapsulation_is_refused(encapsulation: Encapsulation) -> None:
    assume(encapsulation != SENT)
    with contextlib.suppress(AccordError):
        opened(secret(PEER), LISTED[OWN], encapsulation)
        raise AssertionError("accepted")


@given(
    st.lists(
        st.one_of(
            st.sampled_from(THIS.readies),
            *(changed(each) for each in THIS.readies),
        ),
        max_size=5,
    )
)
def test_only_the_cohort_itself_is_accepted(readies: list[Ready]) -> None:
    assume(readies != THIS.readies)
    with contextlib.suppress(AccordError):
        check_readies(THIS.spec, 1, readies, labels(N), LISTED, THIS.readies[0])
        raise AssertionError("accepted")


@given(
    st.lists(
        st.one_of(
            st.sampled_from(THIS.receipts),
            *(changed(each) for each in THIS.receipts),
        ),
        max_size=5,
    )
)
def test_only_the_cohorts_receipts_are_accepted(receipts: list[Receipt]) -> None:
    assume(receipts != THIS.receipts)
    with contextlib.suppress(AccordError):
        check_receipts(receipts, labels(N), THIS.transcript, LISTED)
        raise AssertionError("accepted")


@given(CONTENT)
def test_any_fresh_key_gives_mask_keys_or_a_typed_error(key: bytes) -> None:
    strange = dataclasses.replace(THIS.readies[1], ephemeral_key=key)
    readies = [THIS.readies[0], strange, THIS.readies[2]]
    typed(
        pair_keys,
        secret(OWN),
        THIS.ephemerals[OWN],
        readies,
        THIS.transcript,
        pair_secrets(N)[OWN],
    )


@given(TEXTS, CONTENT, CONTENT, st.none() | CONTENT, st.none() | CONTENT)
def test_any_listed_keys_give_secrets_or_a_typed_error(
    label: str,
    sign: bytes,
    exchange: bytes,
    kem: bytes | None,
    shared: bytes | None,
) -> None:
    def act() -> None:
        made = PublicKeys(label=label, sign=sign, exchange=exchange, kem=kem)
        assert not made.has_signed(b"text", bytes(64))
        typed(encapsulate, secret(OWN), made)
        typed(pair_secret, secret(OWN), made, bytes(32), shared)

    assume(label.isprintable())
    typed(act)


@given(st.binary(min_size=1184, max_size=1184), st.binary(min_size=1088, max_size=1088))
def test_any_ciphertext_of_the_right_length_gives_some_secret(
    kem: bytes, ciphertext: bytes
) -> None:
    """What that is nobody knows: ML-KEM rejects without saying so (FIPS 203, 6.3)."""
    found = secret(PEER).decapsulate(ciphertext)
    assert found == secret(PEER).decapsulate(ciphertext)
    assert found != SHARED
    listed = dataclasses.replace(LISTED[PEER], kem=kem)
    typed(encapsulate, secret(OWN), listed)
    assert Directory([LISTED[OWN], listed]).digest != LISTED.digest


@given(
    st.dictionaries(TEXTS, CONTENT, max_size=4),
    st.dictionaries(TEXTS, CONTENT, max_size=4),
    CONTENT,
)
def test_any_vectors_and_seeds_give_a_sum_or_a_typed_error(
    vectors: dict[str, bytes], seeds: dict[str, bytes], content: bytes
) -> None:
    typed(open_sum, THIS.receipts, THIS.vectors | vectors, THIS.seeds)
    typed(open_sum, THIS.receipts, THIS.vectors, THIS.seeds | seeds)
    typed(open_sum, THIS.receipts, vectors, seeds)
    typed(check_vector, THIS.receipts[0], content)
    words = np.frombuffer(content[: len(content) // 8 * 8], np.int64)
    typed(check_plausible, words, N, 10, 5)
