# SPDX-License-Identifier: Apache-2.0
"""Curve25519: the exchange of secrets, and the points with which it gives none.

A few points have a small order. Whoever is listed with one of them as an exchange key
shares zero with everybody; under one of them as an identity everybody can sign. Zeros
that stand for a key that is still to come are such a point.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

from accord.core.errors import RequisitionRefused
from accord.secagg.encoding import KEY_BYTES

_P: Final = 2**255 - 19
"""The field."""

_ANY: Final = X25519PrivateKey.from_private_bytes(bytes(KEY_BYTES))
"""A private key that guards nothing; each of them is a multiple of eight."""


def agreed(private: X25519PrivateKey, peer_public: bytes) -> bytes:
    """Return what X25519 gives, 32 bytes.

    Raises:
        RequisitionRefused: READY_INVALID, the public key has another length or is one
            of those with which everybody would get zero (RFC 7748, section 6.1).
    """
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(peer_public))
    except ValueError:
        raise RequisitionRefused(
            "READY_INVALID", "A key for the exchange of secrets gives no secret."
        ) from None


def exchange_has_small_order(key: bytes) -> bool:
    """Tell whether an X25519 key gives the same with every private key."""
    try:
        agreed(_ANY, key)
    except RequisitionRefused:
        return True
    return False


def signs_for_everybody(key: bytes) -> bool:
    """Tell whether an Ed25519 key has a small order.

    RFC 7748, section 4.1, maps it to an X25519 key of the same order.
    """
    y = int.from_bytes(key, "little") % (1 << 255) % _P
    u = (1 + y) * pow(1 - y, -1, _P) % _P if y != 1 else 0
    return exchange_has_small_order(u.to_bytes(KEY_BYTES, "little"))
