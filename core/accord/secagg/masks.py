# SPDX-License-Identifier: Apache-2.0
"""Masks: keystreams of AES-256 in counter mode, added modulo 2^64.

Invariant: a key makes one mask and is never used again, so the counter begins at zero.
Entries are unsigned integers of 64 bits; signed ones go in and come out in two's
complement, and sums wrap. The masks of a pair cancel: the lower label adds what the
higher one subtracts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from accord.secagg.encoding import derived

Words = NDArray[np.uint64]

WORD: Final = np.dtype("<u8")
"""An entry on the wire and in the keystream: little-endian, wherever we run."""

_CHUNK: Final = 1 << 16
"""Entries expanded at a time, 512 KiB: the buffer stays in the processor's cache."""

_SPARE: Final = 15
"""Bytes that OpenSSL wants to see behind the end of its output."""

_COUNTER: Final = bytes(16)
_ZEROS: Final = memoryview(bytes(_CHUNK * WORD.itemsize))


def add_streams(acc: Words, signed: Iterable[tuple[bytes, int]]) -> None:
    """Add masks in place, those with a negative sign as subtractions.

    All masks of one piece of the vector come before the next piece, so that it stays in
    the cache as well.

    Args:
        acc: the vector, one-dimensional and contiguous.
        signed: keys of 32 bytes that make no other mask, each with 1 or -1.
    """
    streams = [
        (
            Cipher(algorithms.AES256(key), modes.CTR(_COUNTER)).encryptor(),
            np.add if sign > 0 else np.subtract,
        )
        for key, sign in signed
    ]
    chunk = min(len(acc), _CHUNK)
    buffer = bytearray(chunk * WORD.itemsize + _SPARE)
    entries = np.frombuffer(buffer, WORD, count=chunk)
    for start in range(0, len(acc), _CHUNK):
        part = acc[start : start + _CHUNK]
        zeros, words = _ZEROS[: part.nbytes], entries[: len(part)]
        for encryptor, into in streams:
            encryptor.update_into(zeros, buffer)
            into(part, words, out=part)


def add_stream(acc: Words, key: bytes, sign: int) -> None:
    """Add the mask of one key in place, or subtract it if *sign* is negative."""
    add_streams(acc, [(key, sign)])


def mask(
    vector: NDArray[np.int64],
    self_key: bytes,
    pair_keys: Mapping[str, bytes],
    own: str,
) -> Words:
    """Return the vector under its self mask and one mask per peer.

    Args:
        vector: counts with their noise, one-dimensional; stays as it is. Never
            floating point: numpy then raises a `TypeError`.
        self_key: 32 bytes, from the seed that is withheld.
        pair_keys: 32 bytes by label of the peer.
        own: this member's label, which decides on the signs.
    """
    acc = vector.astype(np.int64, order="C", casting="safe").view(np.uint64)
    pairs = [(key, 1 if own < peer else -1) for peer, key in pair_keys.items()]
    add_streams(acc, [(self_key, 1), *pairs])
    return acc


def unmasked(total: Words, self_keys: Iterable[bytes]) -> NDArray[np.int64]:
    """Return the sum of all members' vectors without their self masks, signed.

    Args:
        total: sum of the masked vectors, modulo 2^64; stays as it is.
        self_keys: those of all members; without one of them the result is noise.
    """
    acc = np.array(total, np.uint64)
    add_streams(acc, [(key, -1) for key in self_keys])
    return acc.view(np.int64)


def self_key(seed: bytes, transcript: bytes, agency: str) -> bytes:
    """Return the key of a member's self mask: nobody has it without the seed."""
    return derived(seed, transcript, "self", agency)


def vector_bytes(masked: Words) -> bytes:
    """Return a masked vector as it is sent and hashed, 8 bytes per entry."""
    return masked.astype(WORD, copy=False).tobytes()
