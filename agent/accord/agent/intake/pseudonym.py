# SPDX-License-Identifier: Apache-2.0
"""Pseudonyms and order keys: keyed hashes in the place of what identifies.

A pseudonym is HMAC-SHA256 under the agency's pseudonym key of a version byte, a kind
byte and the normalised identifiers, each behind its length. An order key is the first
8 bytes of HMAC-SHA256 under the store key of the pseudonym and the case id.

Two records name one person exactly if their identifiers are equal after
`normalise`. Without the keys nothing here can be turned back or compared with what
another agency holds; the keys never appear in SQL text, logs or errors.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

VERSION = 1
"""Goes up when the bytes under the hash change; every store is then built anew."""

DIGEST_BYTES = 32
WORDS = 4
"""Columns of 64 bits that hold a pseudonym."""

Pseudonyms = npt.NDArray[np.uint8]
"""Shape (n, 32)."""


class Kind(enum.IntEnum):
    """What a pseudonym stands for, so that two kinds never meet."""

    PERSON = 1
    """Identifiers of a person."""
    CASE = 2
    """The id of a case whose record names no person."""
    ROW = 3
    """A row of a source that identifies neither."""
    EVERY_ROW_OF_CASE = 4
    """The id of a case, whoever its rows are about."""


class KeyedHash:
    """HMAC-SHA256 under one key, which is absorbed once.

    Equal to `hmac.digest`, at 2.4 times its speed for short messages.
    """

    __slots__ = ("_empty",)

    def __init__(self, key: bytes) -> None:
        """Absorb the key; its bytes are not kept."""
        self._empty = HMAC(key, SHA256())

    def digest(self, message: bytes) -> bytes:
        """Return the 32 bytes of the keyed hash."""
        begun = self._empty.copy()
        begun.update(message)
        return begun.finalize()

    def digests(self, messages: Iterable[bytes]) -> bytes:
        """Return the keyed hashes of all messages, joined."""
        begin = self._empty.copy
        parts: list[bytes] = []
        append = parts.append
        for message in messages:
            begun = begin()
            begun.update(message)
            append(begun.finalize())
        return b"".join(parts)


def normalise(text: str) -> str:
    """Return *text* as it is compared: NFKC, without case, with single blanks."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def framed(parts: Iterable[str]) -> bytes:
    """Return the normalised *parts*, each behind its length in four bytes."""
    frames: list[bytes] = []
    for part in parts:
        content = normalise(part).encode()
        frames.append(len(content).to_bytes(4, "big"))
        frames.append(content)
    return b"".join(frames)


def framed_one(text: str) -> bytes:
    """Return `framed` of a single part, which is most of the work in practice."""
    content = normalise(text).encode()
    return len(content).to_bytes(4, "big") + content


def subject(kind: Kind, scope: str = "") -> bytes:
    """Return the bytes that come before the identifiers under the hash.

    Args:
        kind: what is identified.
        scope: part of the store within which the identifiers are unique; empty for
            persons, who are the same in every part.
    """
    return bytes((VERSION, kind)) + framed_one(scope)


def as_words(digests: bytes) -> tuple[npt.NDArray[np.uint64], ...]:
    """Return joined 32-byte digests as four columns that sort as the bytes do."""
    words = np.frombuffer(digests, ">u8").reshape(-1, WORDS).astype(np.uint64)
    return tuple(np.ascontiguousarray(words[:, index]) for index in range(WORDS))


def from_words(words: Sequence[npt.NDArray[np.uint64]]) -> Pseudonyms:
    """Undo `as_words`: one row of bytes for each digest."""
    table = np.column_stack([np.asarray(word, np.uint64) for word in words])
    return table.astype(">u8").view(np.uint8).reshape(-1, DIGEST_BYTES)


def sliced(table: npt.NDArray[np.uint8]) -> list[bytes]:
    """Return the rows of a table of bytes."""
    rows = np.ascontiguousarray(table).view(f"V{table.shape[1]}")
    found: list[bytes] = rows.reshape(-1).tolist()
    return found


def order_keys(
    store_key: KeyedHash, messages: Iterable[bytes]
) -> npt.NDArray[np.uint64]:
    """Return the order key of every case.

    Args:
        store_key: hash under the agency's store key.
        messages: pseudonym and case id of each case, unambiguous behind each other.
    """
    words = np.frombuffer(store_key.digests(messages), ">u8")
    return words[:: DIGEST_BYTES // 8].astype(np.uint64)


def case_keys(
    store_key: KeyedHash, scope: str, columns: Sequence[Sequence[str]]
) -> npt.NDArray[np.uint64]:
    """Return for every row the key of its case, the same for all persons in it.

    Args:
        store_key: hash under the agency's store key.
        scope: part of the store within which case ids are unique.
        columns: texts of the case columns.
    """
    prefix = subject(Kind.EVERY_ROW_OF_CASE, scope)
    if len(columns) == 1:
        return order_keys(store_key, (prefix + framed_one(text) for text in columns[0]))
    return order_keys(
        store_key, (prefix + framed(texts) for texts in zip(*columns, strict=True))
    )
