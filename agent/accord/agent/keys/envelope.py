# SPDX-License-Identifier: Apache-2.0
r"""The form of a secret file that is sealed under a key-encrypting key (KEK).

AES-256-GCM, each time with a new nonce of 96 bits::

    ACCORD-SEALED\x01     with the version of the form
    16 bytes             id of the KEK
    12 bytes             nonce
    the rest             ciphertext and tag

Version, id, the file's name and what the file is for are authenticated with it: an
envelope opens in the place of no other file, and no other program's opens here.
"""

from __future__ import annotations

import secrets
from typing import Final, Protocol

MAGIC: Final = b"ACCORD-SEALED\x01"
"""How an envelope begins."""

ID_BYTES: Final = 16
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_HEADER: Final = len(MAGIC) + ID_BYTES
_PURPOSE: Final = b"accord-agent secret file"


class Altered(Exception):
    """What was opened is not what was sealed, or another key or file is meant."""


class Kek(Protocol):
    """A key that encrypts keys; its bytes may be where no program can read them."""

    @property
    def id(self) -> bytes:
        """16 bytes that stand in the envelopes of this key and tell nothing of it."""

    @property
    def place(self) -> str:
        """Where it comes from, for a person."""

    def encrypt(self, nonce: bytes, content: bytes, context: bytes) -> bytes:
        """Return ciphertext and tag."""

    def decrypt(self, nonce: bytes, content: bytes, context: bytes) -> bytes:
        """Return what was encrypted.

        Raises:
            Altered: it does not open.
        """


def is_sealed(content: bytes) -> bool:
    """Whether a file's content is an envelope, of this or of a later form."""
    return content.startswith(MAGIC[:-1])


def kek_id(envelope: bytes) -> bytes:
    """Return the id of the KEK of an envelope.

    Raises:
        Altered: the envelope is cut off, or of another form.
    """
    if not envelope.startswith(MAGIC) or len(envelope) < (
        _HEADER + NONCE_BYTES + TAG_BYTES
    ):
        raise Altered
    return envelope[len(MAGIC) : _HEADER]


def seal(kek: Kek, name: str, content: bytes) -> bytes:
    """Return the envelope of the secret file *name*."""
    header = MAGIC + kek.id
    nonce = secrets.token_bytes(NONCE_BYTES)
    return header + nonce + kek.encrypt(nonce, content, _context(header, name))


def unseal(kek: Kek, name: str, envelope: bytes) -> bytes:
    """Return what `seal` was given.

    Raises:
        Altered: it was sealed under another key or for another file, or was changed.
    """
    if kek_id(envelope) != kek.id:
        raise Altered
    nonce = envelope[_HEADER : _HEADER + NONCE_BYTES]
    header, content = envelope[:_HEADER], envelope[_HEADER + NONCE_BYTES :]
    return kek.decrypt(nonce, content, _context(header, name))


def _context(header: bytes, name: str) -> bytes:
    parts = header, name.encode(), _PURPOSE
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
