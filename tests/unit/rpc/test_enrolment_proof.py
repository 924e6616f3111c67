# SPDX-License-Identifier: Apache-2.0
"""An agency proves that it holds its listed key, for one certificate only."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.errors import Unauthenticated
from accord.rpc.enrolment_proof import sign_enrolment, verify_enrolment


def test_only_the_key_s_own_signature_under_this_request_counts() -> None:
    key, other = (Ed25519PrivateKey.generate() for _ in range(2))
    public = key.public_key().public_bytes_raw()
    proof = sign_enrolment(key, b"request")
    verify_enrolment(public, b"request", proof)
    for bad_key, request, bad_proof in (
        (other.public_key().public_bytes_raw(), b"request", proof),
        (public, b"another request", proof),
        (public, b"request", proof[:-1]),
        (public, b"request", sign_enrolment(other, b"request")),
        (public, b"request", key.sign(b"request")),
        (b"short", b"request", proof),
    ):
        with pytest.raises(Unauthenticated) as caught:
            verify_enrolment(bad_key, request, bad_proof)
        assert caught.value.reason == "PROOF_INVALID"
