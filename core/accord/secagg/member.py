# SPDX-License-Identifier: Apache-2.0
"""The steps of one member, without memory: values go in, values come out.

The order is `make_ready`, `check_readies`, `transcript`, `pair_keys`, `make_masked`,
`check_receipts`; then the seed may go out. What has to be on disk between two steps,
and what has to be erased, is the agent's work (see the package).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from accord.core.agreement_form import LEAST_COHORT
from accord.core.errors import InternalError, RequisitionRefused
from accord.secagg.curve import agreed
from accord.secagg.encoding import KEY_BYTES, derived
from accord.secagg.keys import Directory, SecretKeys
from accord.secagg.masks import Words, mask, self_key, vector_bytes
from accord.secagg.messages import (
    Erased,
    Ready,
    Receipt,
    Spec,
    check_ready,
    check_receipt,
    commit_input,
    seed_commitment,
    vector_digest,
)

__all__ = [
    "check_readies",
    "check_receipts",
    "commit_input",
    "make_erased",
    "make_masked",
    "make_ready",
    "pair_keys",
]

_UNSIGNED: Final = b""


def make_ready(
    secret: SecretKeys, spec: Spec, attempt: int, *, ephemeral: bytes | None = None
) -> tuple[Ready, bytes]:
    """Make a fresh key for an attempt; return what is sent, and the private key.

    Args:
        secret: this member.
        spec: what is asked.
        attempt: its number; each has its own key.
        ephemeral: 32 random bytes to take as the private key, if not the system's.
    """
    if ephemeral is None:
        private = X25519PrivateKey.generate()
    else:
        private = X25519PrivateKey.from_private_bytes(ephemeral)
    ready = Ready(
        agency=secret.label,
        spec_digest=spec.digest,
        attempt=attempt,
        ephemeral_key=private.public_key().public_bytes_raw(),
        signature=_UNSIGNED,
    )
    signed = dataclasses.replace(ready, signature=secret.sign(ready.body()))
    return signed, private.private_bytes_raw()


def make_erased(secret: SecretKeys, spec_digest: bytes, attempt: int) -> Erased:
    """Sign that the seed of an attempt is erased; only after it durably is."""
    erased = Erased(
        agency=secret.label,
        spec_digest=spec_digest,
        attempt=attempt,
        signature=_UNSIGNED,
    )
    return dataclasses.replace(erased, signature=secret.sign(erased.body()))


def check_readies(
    spec: Spec,
    attempt: int,
    readies: Sequence[Ready],
    members: Sequence[str],
    directory: Directory,
    own_ready: Ready | None,
) -> None:
    """Check round 1 as a whole: exactly the cohort of the agreement, each with its key.

    Args:
        spec: what is asked.
        attempt: its number.
        readies: what the hub shows, in the order of labels.
        members: labels of the cohort as the signed agreement lists them, in order.
        directory: the member list that the board signed.
        own_ready: what this member sent; none at the hub, which is no member.

    Raises:
        RequisitionRefused: INCOMPLETE_COHORT, a member is missing; COHORT_TOO_SMALL,
            they are too few to hide one; READY_INVALID, anything else.
    """
    # 1. It is asked under the member list by which we check.
    if spec.directory_digest != directory.digest:
        raise RequisitionRefused(
            "READY_INVALID", "The query is asked under another list of members."
        )
    # 2. The order is strict, so nobody is there twice and all hash the same bytes.
    labels = [each.agency for each in readies]
    if any(not low < high for low, high in itertools.pairwise(labels)):
        raise RequisitionRefused(
            "READY_INVALID",
            "The fresh keys are not in the order of labels, or a member has two.",
        )
    # 3. The cohort is the agreement's.
    if not set(labels) <= set(members):
        raise RequisitionRefused(
            "READY_INVALID", "Somebody takes part whom the cohort does not have."
        )
    _check_complete(labels, members)
    # 4. Every key is signed, by its member, for this query and attempt.
    for each in readies:
        check_ready(each, spec.digest, attempt, directory)
    # 5. Nobody repeats another's key.
    if len({each.ephemeral_key for each in readies}) < len(readies):
        raise RequisitionRefused(
            "READY_INVALID", "Two members have one fresh key: one of them copied it."
        )
    # 6. Mine is the one that I made.
    if own_ready is not None and own_ready not in readies:
        raise RequisitionRefused(
            "READY_INVALID", "This agency's fresh key was exchanged on the way."
        )


def _check_complete(labels: Sequence[str], members: Sequence[str]) -> None:
    if len(members) < LEAST_COHORT:
        raise RequisitionRefused(
            "COHORT_TOO_SMALL",
            f"The cohort has {len(members)} members: from {LEAST_COHORT} on a sum hides"
            " each of them from the others.",
        )
    if labels != list(members):
        raise RequisitionRefused(
            "INCOMPLETE_COHORT",
            "The messages that the hub shows are not those of exactly the cohort, in"
            " the order of labels.",
        )


def pair_keys(
    secret: SecretKeys,
    ephemeral_private: bytes,
    readies: Sequence[Ready],
    transcript: bytes,
    pair_secrets: Mapping[str, bytes],
) -> dict[str, bytes]:
    """Return the mask key with each peer, 32 bytes by label.

    It takes both the fresh and the lasting secret of a pair to get it. The fresh
    private key and these keys are erased as soon as the vector is masked.

    Args:
        secret: this member.
        ephemeral_private: what `make_ready` returned.
        readies: those of the cohort, checked.
        transcript: of these readies.
        pair_secrets: what `pair_secret` returned, by label of the peer.

    Raises:
        RequisitionRefused: READY_INVALID, a peer's fresh key gives no secret, or there
            is no lasting secret with a peer.
    """
    private = X25519PrivateKey.from_private_bytes(ephemeral_private)
    keys: dict[str, bytes] = {}
    for each in readies:
        if each.agency == secret.label:
            continue
        lasting = pair_secrets.get(each.agency)
        if lasting is None:
            raise RequisitionRefused(
                "READY_INVALID",
                f"{secret.label!r} shares no lasting secret with one of the others.",
            )
        low, high = sorted((secret.label, each.agency))
        ikm = agreed(private, each.ephemeral_key) + lasting
        keys[each.agency] = derived(ikm, transcript, "mask", low, high)
    return keys


def make_masked(
    secret: SecretKeys,
    *,
    transcript: bytes,
    vector: NDArray[np.int64],
    input_commitment: bytes,
    self_seed: bytes,
    pair_keys: Mapping[str, bytes],
) -> tuple[Receipt, Words]:
    """Mask a vector; return the signed receipt and what is sent beside it.

    `accord.secagg.masks.vector_bytes` has the masked vector as it was hashed.

    Args:
        secret: this member.
        transcript: what it was shown.
        vector: its counts with its share of the noise, one-dimensional.
        input_commitment: what `commit_input` returned for them.
        self_seed: 32 random bytes, new for each attempt, withheld until round 3.
        pair_keys: what `pair_keys` returned.
    """
    if len(self_seed) != KEY_BYTES:
        raise InternalError("INTERNAL_ERROR", "The seed of a self mask has 32 bytes.")
    own = self_key(self_seed, transcript, secret.label)
    masked = mask(vector, own, pair_keys, secret.label)
    receipt = Receipt(
        agency=secret.label,
        transcript=transcript,
        vector_digest=vector_digest(vector_bytes(masked)),
        seed_commitment=seed_commitment(self_seed, transcript, secret.label),
        input_commitment=input_commitment,
        signature=_UNSIGNED,
    )
    signed = dataclasses.replace(receipt, signature=secret.sign(receipt.body()))
    return signed, masked


def check_receipts(
    receipts: Sequence[Receipt],
    members: Sequence[str],
    transcript: bytes,
    directory: Directory,
) -> None:
    """Check round 2 as a whole: all members saw the same; now a seed may go out.

    Args:
        receipts: what the hub shows, in the order of labels.
        members: labels of the cohort, in order.
        transcript: what this member was shown.
        directory: the member list that the board signed.

    Raises:
        RequisitionRefused: INCOMPLETE_COHORT, they are not exactly those of the cohort;
            COHORT_TOO_SMALL, they are too few to hide one; RECEIPTS_INVALID, one is not
            signed by its member; EQUIVOCATION, a member saw another transcript.
    """
    labels = [each.agency for each in receipts]
    _check_complete(labels, members)
    for each in receipts:
        check_receipt(each, transcript, directory)
