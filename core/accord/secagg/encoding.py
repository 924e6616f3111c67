# SPDX-License-Identifier: Apache-2.0
"""What is hashed, signed or fed to a key derivation, as unambiguous bytes.

`encoded` is injective: two calls give the same bytes only if label and parts are equal,
in number, type and value. All of it stands below `PREFIX`, so no signature or key of
another version or another program means anything here. Serialised protobuf is never
hashed in place of it: the same message has many serialisations.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PREFIX: Final = b"accord.secagg.v1/"
"""Stands before every label; another version of the protocol has another one."""

KEY_BYTES: Final = 32
"""Length of seeds, digests and symmetric keys."""

_LENGTH: Final = 8
_INTEGER: Final = 16


def encoded(label: str, *parts: bytes | int | str) -> bytes:
    """Return label and parts as bytes that stand for nothing else.

    The number of parts, then label and parts, each as type, length and content: ``b``
    for bytes, ``i`` for an integer of 16 bytes in two's complement, ``s`` for text.

    Args:
        label: what the bytes are for; differs wherever the meaning differs.
        parts: integers fit into 128 bits, signed.
    """
    pieces = [len(parts).to_bytes(_LENGTH, "big")]
    for part in (PREFIX + label.encode(), *parts):
        if isinstance(part, bytes):
            kind, content = b"b", part
        elif isinstance(part, str):
            kind, content = b"s", part.encode()
        else:
            kind, content = b"i", part.to_bytes(_INTEGER, "big", signed=True)
        pieces += (kind, len(content).to_bytes(_LENGTH, "big"), content)
    return b"".join(pieces)


def hashed(label: str, *parts: bytes | int | str) -> bytes:
    """Return the SHA-256 of the encoding."""
    return hashlib.sha256(encoded(label, *parts)).digest()


def derived(ikm: bytes, salt: bytes, label: str, *parts: bytes | int | str) -> bytes:
    """Return a key of 32 bytes: HKDF-SHA256 with the encoding as its ``info``.

    Args:
        ikm: the secret input.
        salt: public, and different for every purpose, such as the transcript.
    """
    return HKDF(hashes.SHA256(), KEY_BYTES, salt, encoded(label, *parts)).derive(ikm)
