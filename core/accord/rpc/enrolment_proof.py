# SPDX-License-Identifier: Apache-2.0
"""How an agency proves that it holds the key that the board lists for it.

It signs its certificate request, so that a proof that somebody saw is of no use with
another certificate.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from accord.core.errors import Unauthenticated

PROOF_CONTEXT: Final = b"accord.enrolment.v1"
"""Stands before the request in what is signed, so that no other bytes fit."""


def sign_enrolment(key: ed25519.Ed25519PrivateKey, certificate_request: bytes) -> bytes:
    """Return the agency's signature under its certificate request, 64 bytes."""
    return key.sign(PROOF_CONTEXT + certificate_request)


def verify_enrolment(key: bytes, certificate_request: bytes, proof: bytes) -> None:
    """Raise unless the holder of the raw public *key* signed *certificate_request*.

    Raises:
        Unauthenticated: PROOF_INVALID.
    """
    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(key)
        public.verify(proof, PROOF_CONTEXT + certificate_request)
    except (ValueError, InvalidSignature):
        raise Unauthenticated(
            "PROOF_INVALID",
            "The agency has not proved that it holds the key that it named: enrol"
            " again with the agency's own key file.",
        ) from None
