# SPDX-License-Identifier: Apache-2.0
"""Chains of keys: what each generation makes of what the one before it made."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.agent.intake import chain as chain_module
from accord.agent.intake.chain import (
    Chain,
    Chains,
    all_pseudonyms,
    generation_of_keys,
    make_pseudonym_key,
    make_store_key,
)
from accord.core.errors import ConfigurationError
from tests.unit.agent.agencies import new_state

keys = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4)
digests = st.lists(st.binary(min_size=32, max_size=32), max_size=5)
numbers = st.lists(st.integers(0, 2**64 - 1), max_size=5)


def table(rows: list[bytes]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 32)


def link(key: bytes, label: bytes, generation: int, content: bytes) -> bytes:
    """Return one step, as the documents say it."""
    message = label + b"\0" + generation.to_bytes(4, "big") + content
    return hmac.digest(key, message, hashlib.sha256)


@given(keys, digests)
def test_a_pseudonym_is_the_hash_of_the_one_before(
    secrets: list[bytes], first: list[bytes]
) -> None:
    wanted = first
    for generation, key in enumerate(secrets[1:], 1):
        wanted = [
            link(key, b"accord pseudonym link 1", generation, each) for each in wanted
        ]
    found = Chain.of(secrets).pseudonyms(table(first))
    assert [each.tobytes() for each in found] == wanted


@given(keys, numbers)
def test_a_key_is_the_beginning_of_the_hash_of_the_one_before(
    secrets: list[bytes], first: list[int]
) -> None:
    wanted = first
    for generation, key in enumerate(secrets[1:], 1):
        wanted = [
            int.from_bytes(
                link(
                    key, b"accord order key link 1", generation, each.to_bytes(8, "big")
                )[:8],
                "big",
            )
            for each in wanted
        ]
    assert Chain.of(secrets).keys(np.array(first, np.uint64)).tolist() == wanted


@given(keys, digests, numbers, st.data())
def test_it_goes_on_from_any_generation_and_in_any_pieces(
    secrets: list[bytes], first: list[bytes], made: list[int], data: st.DataObject
) -> None:
    whole = Chain.of(secrets)
    since = data.draw(st.integers(0, whole.generation))
    before = Chain.of(secrets[: since + 1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain_module, "_BLOCK", 2)
        pseudonyms = whole.pseudonyms(before.pseudonyms(table(first)), since)
        keys_then = whole.keys(before.keys(np.array(made, np.uint64)), since)
    assert (pseudonyms == whole.pseudonyms(table(first))).all()
    assert (keys_then == whole.keys(np.array(made, np.uint64))).all()


def test_a_chain_of_one_key_costs_nothing() -> None:
    chain = Chain.of([b"k" * 32])
    first, made = table([b"p" * 32]), np.arange(3, dtype=np.uint64)
    assert chain.pseudonyms(first) is first
    assert chain.keys(made) is made


def test_the_bytes_never_change() -> None:
    """Stores that were rotated are read by every later version."""
    chain = Chain.of([b"0" * 32, b"1" * 32, b"2" * 32])
    assert chain.pseudonyms(table([b"p" * 32]))[0].tobytes().hex() == (
        "b3abc10d331f41dc5e6bef344e8a23b6d6d16edaafd9d6f54631da19a70fa80d"
    )
    assert chain.keys(np.array([7], np.uint64)).tolist() == [11179534739318464057]


def test_generations_are_counted_by_the_pseudonym_key(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    assert generation_of_keys(state) == 0
    make_store_key(state, 1)
    assert (generation_of_keys(state), Chains.of(state).generation) == (0, 0)
    make_pseudonym_key(state, 1)
    assert (generation_of_keys(state), Chains.of(state).generation) == (1, 1)
    content = (state.keys / "pseudonym.1.key").read_bytes()
    make_pseudonym_key(state, 1)
    assert (state.keys / "pseudonym.1.key").read_bytes() == content
    assert len(all_pseudonyms(state, [b"p" * 32, b"q" * 32])[0]) == 2
    assert all_pseudonyms(state, []) == []


@pytest.mark.parametrize("name", ["pseudonym.1.key", "store.1.key", "store.2.key"])
def test_a_key_in_the_middle_is_missed(tmp_path: Path, name: str) -> None:
    state = new_state(tmp_path / "state")
    for generation in (1, 2):
        make_store_key(state, generation)
        make_pseudonym_key(state, generation)
    (state.keys / name).unlink()
    with pytest.raises(ConfigurationError, match=name) as caught:
        Chains.of(state)
    assert caught.value.reason == "KEYS_LOST"
