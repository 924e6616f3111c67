# SPDX-License-Identifier: Apache-2.0
"""Parcels between replicas, which the database carries and nobody reads there.

Seeds are in them. A parcel is sealed with HPKE (RFC 9180) to a key that its receiver
made at its start and keeps in memory only, so that neither the database nor a copy of
it ever opens one. Both the key and each parcel are signed with the hub's requisition
key, which all replicas have: who may write to the database cannot pose as a replica,
nor say anything in an agency's name.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

from accord.core.errors import IntegrityError

_KEY: Final = b"accord.replica-key.v1\0"
_PARCEL: Final = b"accord.replica-parcel.v1\0"
_SUITE: Final = hpke.Suite(
    hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305
)


@dataclasses.dataclass(frozen=True, slots=True)
class Sealed:
    """A parcel as the database has it."""

    content: bytes = dataclasses.field(repr=False)
    signature: bytes = dataclasses.field(repr=False)


class Seal:
    """What one replica seals and opens with; made anew at every start."""

    def __init__(self, hub: Ed25519PrivateKey) -> None:
        """Make the key that parcels for this replica are sealed to.

        Args:
            hub: the requisition key, with which everything is signed.
        """
        self._hub = hub
        self._key = X25519PrivateKey.generate()
        self.public: Final = self._key.public_key().public_bytes_raw()
        self.signature: Final = hub.sign(_KEY + self.public)

    def is_ours(self, public: bytes, signature: bytes) -> bool:
        """Tell whether a key is of a replica of this hub."""
        return self._has_signed(_KEY + public, signature)

    def close(self, parcel: bytes, *, sender: int, receiver: int, to: bytes) -> Sealed:
        """Seal a parcel for another replica.

        Args:
            parcel: what it says.
            sender: number of this replica.
            receiver: number of the other one.
            to: its public key.
        """
        way = _way(sender, receiver)
        public = X25519PublicKey.from_public_bytes(to)
        content = _SUITE.encrypt(parcel, public, way)
        return Sealed(content, self._hub.sign(_PARCEL + way + content))

    def open(self, sealed: Sealed, *, sender: int, receiver: int) -> bytes:
        """Return the parcel that another replica sealed for this one.

        Raises:
            IntegrityError: PARCEL_FORGED.
        """
        way = _way(sender, receiver)
        if self._has_signed(_PARCEL + way + sealed.content, sealed.signature):
            try:
                return _SUITE.decrypt(sealed.content, self._key, way)
            except (InvalidTag, ValueError):
                pass
        raise IntegrityError(
            "PARCEL_FORGED",
            "The database holds a message between processes of the hub that none of"
            " them wrote: see who else can write to it.",
        )

    def _has_signed(self, content: bytes, signature: bytes) -> bool:
        try:
            self._hub.public_key().verify(signature, content)
        except InvalidSignature:
            return False
        return True


def _way(sender: int, receiver: int) -> bytes:
    return sender.to_bytes(8, "big") + receiver.to_bytes(8, "big")
