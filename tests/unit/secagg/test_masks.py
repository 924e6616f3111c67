# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from accord.secagg.masks import add_stream, add_streams, mask, unmasked, vector_bytes

KEY = bytes(range(32))
LIMITS = np.iinfo(np.int64)


def counter_blocks(key: bytes, cells: int) -> list[int]:
    """Return the keystream from single AES blocks, as SP 800-38A defines it."""
    encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305
    blocks = -(-cells // 2)
    counters = b"".join(each.to_bytes(16, "big") for each in range(blocks))
    stream = encryptor.update(counters)
    return [
        int.from_bytes(stream[8 * each : 8 * each + 8], "little")
        for each in range(cells)
    ]


@pytest.mark.parametrize("cells", [0, 1, 2, 7, 1800, 65535, 65536, 65537, 131073])
def test_a_mask_is_aes_in_counter_mode(cells: int) -> None:
    """Whatever the length, at the borders of the pieces as well."""
    acc = np.zeros(cells, np.uint64)
    add_stream(acc, KEY, 1)
    assert acc.tolist() == counter_blocks(KEY, cells)
    add_stream(acc, KEY, -1)
    assert not acc.any()


def test_several_masks_are_added_as_one_after_the_other() -> None:
    keys = [(os.urandom(32), 1 if each % 2 else -1) for each in range(5)]
    together = np.arange(70_001, dtype=np.uint64)
    singly = together.copy()
    add_streams(together, keys)
    for key, sign in keys:
        add_stream(singly, key, sign)
    assert np.array_equal(together, singly)


@given(
    hnp.arrays(
        np.int64,
        st.integers(1, 40),
        elements=st.one_of(
            st.integers(LIMITS.min, LIMITS.max), st.sampled_from([0, -1, LIMITS.min])
        ),
    )
)
def test_masking_and_unmasking_is_exact(vector: np.ndarray[Any, Any]) -> None:
    before = vector.copy()
    masked = mask(vector, KEY, {}, "a")
    kept = masked.copy()
    assert np.array_equal(unmasked(masked, [KEY]), vector)
    assert np.array_equal(vector, before)
    assert np.array_equal(masked, kept)


def test_masks_of_a_pair_cancel() -> None:
    vectors = {"a": np.array([5, -7, 0]), "b": np.array([LIMITS.max, 1, -1])}
    own = {each: os.urandom(32) for each in vectors}
    shared = os.urandom(32)
    total = mask(vectors["a"], own["a"], {"b": shared}, "a")
    total += mask(vectors["b"], own["b"], {"a": shared}, "b")
    expected = vectors["a"].view(np.uint64) + vectors["b"].view(np.uint64)
    assert np.array_equal(unmasked(total, own.values()), expected.view(np.int64))


def test_a_masked_vector_is_not_the_vector_and_is_little_endian() -> None:
    vector = np.array([1, 2, 3])
    masked = mask(vector, KEY, {}, "a")
    assert not np.array_equal(masked.view(np.int64), vector)
    content = vector_bytes(masked)
    words = [int.from_bytes(content[i : i + 8], "little") for i in range(0, 24, 8)]
    assert words == masked.tolist()


@pytest.mark.parametrize("kind", [np.float64, np.uint64])
def test_only_whole_signed_numbers_are_masked(kind: type[Any]) -> None:
    with pytest.raises(TypeError):
        mask(np.ones(3, kind), KEY, {}, "a")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_makes_no_mask(length: int) -> None:
    with pytest.raises(ValueError, match="key size"):
        add_stream(np.zeros(3, np.uint64), bytes(length), 1)
