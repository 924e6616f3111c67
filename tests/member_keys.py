# SPDX-License-Identifier: Apache-2.0
"""The other keys of an agency's entry, for tests that have its identity key.

An agency derives them all from one seed, and so do tests that have it. Where a test has
the public half only, or no key at all, the others belong to nobody, and are the same
for the same text.
"""

from __future__ import annotations

import functools
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from accord.core.members import exchange_text, kem_text
from accord.secagg.keys import SecretKeys

AnyKey = Ed25519PrivateKey | Ed25519PublicKey | str
"""A private key, a public one, or how a public one is written."""


def other_keys(identity: AnyKey) -> dict[str, str]:
    """Return ``exchange`` and, where this machine can make one, ``kem``."""
    if isinstance(identity, Ed25519PrivateKey):
        return dict(_derived(identity.private_bytes_raw()))
    if isinstance(identity, Ed25519PublicKey):
        return dict(_derived(hashlib.sha256(identity.public_bytes_raw()).digest()))
    return dict(_derived(hashlib.sha256(identity.encode()).digest()))


@functools.lru_cache(maxsize=1024)
def _derived(seed: bytes) -> tuple[tuple[str, str], ...]:
    public = SecretKeys.from_seed("any", seed).public
    found = [("exchange", exchange_text(public.exchange))]
    if public.kem is not None:
        found.append(("kem", kem_text(public.kem)))
    return tuple(found)
