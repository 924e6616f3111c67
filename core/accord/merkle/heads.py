# SPDX-License-Identifier: Apache-2.0
"""What the owner of a log signs of it, and what its witnesses sign.

A head is signed as RFC 8785 text below a line of its own, so no signature of another
kind means anything here, and who has the key can repeat it with any program::

    accord.tree-head.v1
    {"at":...,"epoch":...,"ledger_height":...,"root":"...","size":...}

A witness signs the same fields and its own label below ``accord.witness.v1``. Two heads
of one hub and epoch that are both signed, where neither grew from the other, are
evidence against that hub, for everybody who has its key.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from accord.core.canonical import canonical_bytes
from accord.merkle.tree import HASH_BYTES

LARGEST: Final = 2**53 - 1
"""Of every number in a head: what all readers of JSON can tell from its neighbours."""

_HEAD: Final = b"accord.tree-head.v1\n"
_WITNESS: Final = b"accord.witness.v1\n"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TreeHead:
    """A log at one moment."""

    size: int
    """Entries."""
    root: bytes
    at: datetime.datetime
    """When it was signed; whole seconds, UTC."""
    ledger_height: int
    """Events in the ledger that goes with the log."""
    epoch: int
    """How often that ledger was rebuilt."""

    def __post_init__(self) -> None:
        """Refuse what could not be signed.

        Raises:
            ValueError: a number is out of range, or the root is no hash.
        """
        numbers = (self.size, self.ledger_height, self.epoch)
        if not all(0 <= each <= LARGEST for each in numbers):
            raise ValueError("a number of a head is out of range")
        if len(self.root) != HASH_BYTES:
            raise ValueError("the root of a head is no hash")

    def signed_bytes(self) -> bytes:
        """Return what the log's owner signs."""
        return _HEAD + canonical_bytes(self.fields())

    def witnessed_bytes(self, agency: str) -> bytes:
        """Return what a witness signs who has found that the log only grew to here."""
        return _WITNESS + canonical_bytes(self.fields() | {"agency": agency})

    def fields(self) -> dict[str, str | int]:
        """Return what is signed, by name."""
        return {
            "size": self.size,
            "root": self.root.hex(),
            "at": int(self.at.timestamp()),
            "ledger_height": self.ledger_height,
            "epoch": self.epoch,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A head with its owner's signature."""

    head: TreeHead
    signature: bytes
    """Ed25519, 64 bytes."""

    @classmethod
    def sign(cls, head: TreeHead, key: Ed25519PrivateKey) -> SignedHead:
        return cls(head=head, signature=key.sign(head.signed_bytes()))

    def as_json(self) -> dict[str, str | int]:
        """Return it for machines and files; `from_json` reads it again."""
        return self.head.fields() | {"signature": self.signature.hex()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SignedHead:
        """Return what `as_json` gave; its signature proves it.

        Raises:
            ValueError: it is no head.
            KeyError: something is missing.
        """
        head = TreeHead(
            size=content["size"],
            root=bytes.fromhex(content["root"]),
            at=datetime.datetime.fromtimestamp(content["at"], datetime.UTC),
            ledger_height=content["ledger_height"],
            epoch=content["epoch"],
        )
        return cls(head=head, signature=bytes.fromhex(content["signature"]))

    def is_signed_by(self, key: bytes) -> bool:
        """Tell whether the holder of a public key, 32 bytes, has signed the head."""
        return _verifies(key, self.signature, self.head.signed_bytes())


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A witness's word that it has seen a head, and that the log only grew to it."""

    head: TreeHead
    agency: str
    signature: bytes
    """Ed25519, 64 bytes."""

    @classmethod
    def sign(cls, head: TreeHead, agency: str, key: Ed25519PrivateKey) -> Witnessed:
        signature = key.sign(head.witnessed_bytes(agency))
        return cls(head=head, agency=agency, signature=signature)

    def is_signed_by(self, key: bytes) -> bool:
        """Tell whether the holder of a public key, 32 bytes, has said so."""
        return _verifies(key, self.signature, self.head.witnessed_bytes(self.agency))


def _verifies(key: bytes, signature: bytes, content: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True
