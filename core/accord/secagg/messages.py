# SPDX-License-Identifier: Apache-2.0
"""What members of a cohort sign, and how each signature is checked.

Every message is bound to one query (`Spec.digest`: the requisition that all of them
got, and the member list), to one attempt, and from round 2 on to the `transcript`: who
takes part, in which named cohort, with which noise and with which fresh keys. Two
members that were shown different things therefore have different transcripts.

Invariant: a check returns nothing and raises a `RequisitionRefused`, whatever the
message is made of. It compares plain values first, so that nothing is encoded, and no
signature computed, of what is wrong anyhow.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

from accord.core.errors import RequisitionRefused
from accord.secagg.curve import exchange_has_small_order
from accord.secagg.encoding import KEY_BYTES, encoded, hashed
from accord.secagg.keys import Directory


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What is asked, the same for everybody."""

    query_id: str
    payload: bytes
    """The requisition as the hub signed it; holds nothing of a single agency."""
    directory_digest: bytes
    """`Directory.digest` of the member list under which it is asked."""

    @property
    def digest(self) -> bytes:
        """32 bytes that stand for all of it."""
        content = hashlib.sha256(self.payload).digest()
        return hashed("spec", self.query_id, content, self.directory_digest)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Round 1: a member would take part, with this fresh key."""

    agency: str
    spec_digest: bytes
    attempt: int
    ephemeral_key: bytes
    """X25519, 32 bytes, made for this attempt only."""
    signature: bytes

    def body(self) -> bytes:
        """Return what is signed."""
        return encoded(
            "ready", self.agency, self.spec_digest, self.attempt, self.ephemeral_key
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Round 2: what a member saw, and hashes of what it sent and withheld."""

    agency: str
    transcript: bytes
    vector_digest: bytes
    """`vector_digest` of the masked vector."""
    seed_commitment: bytes
    """`seed_commitment` of the seed that is withheld until round 3."""
    input_commitment: bytes
    """Binds the member to its counts and noise, for an audit on its premises."""
    signature: bytes

    def body(self) -> bytes:
        """Return what is signed."""
        return encoded(
            "receipt",
            self.agency,
            self.transcript,
            self.vector_digest,
            self.seed_commitment,
            self.input_commitment,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """A member's word that its seed of an attempt is erased, never to be revealed."""

    agency: str
    spec_digest: bytes
    attempt: int
    signature: bytes

    def body(self) -> bytes:
        """Return what is signed."""
        return encoded("erased", self.agency, self.spec_digest, self.attempt)


def transcript(
    spec_digest: bytes,
    attempt: int,
    cohort: str,
    noise: str,
    readies: Sequence[Ready],
) -> bytes:
    """Return the 32 bytes that stand for what a member was shown.

    Args:
        spec_digest: `Spec.digest`.
        attempt: number of the attempt.
        cohort: name of the cohort in the signed agreement.
        noise: digest of the noise plan, in hex.
        readies: those of all members, in the order of labels, checked by
            `accord.secagg.member.check_readies`.
    """
    parts: list[bytes | str] = []
    for each in readies:
        parts += (each.agency, each.ephemeral_key, each.signature)
    return hashed(
        "transcript", spec_digest, attempt, cohort, noise, len(readies), *parts
    )


def vector_digest(content: bytes) -> bytes:
    """Return the SHA-256 of a vector as little-endian bytes, 8 per entry."""
    return hashlib.sha256(content).digest()


def seed_commitment(seed: bytes, transcript: bytes, agency: str) -> bytes:
    """Return what a member says in round 2 about the seed that it withholds."""
    return hashed("seed", transcript, agency, seed)


def commit_input(vector_digest_of_x: bytes, noise_seed: bytes, salt: bytes) -> bytes:
    """Return a member's commitment to its counts and to its noise.

    The noise share is drawn from its seed alone, so who is shown counts, seed and salt
    can repeat what the member did.

    Args:
        vector_digest_of_x: `vector_digest` of the counts without noise.
        noise_seed: what the noise share was drawn from.
        salt: secret random bytes, 32 of them, since counts can be guessed.
    """
    return hashed("input", vector_digest_of_x, noise_seed, salt)


def check_ready(
    ready: Ready, spec_digest: bytes, attempt: int, directory: Directory
) -> None:
    """Check one message of round 1.

    A key that gives no secret is refused here, so that the hub finds it before it is
    shown: every other member would have to decline, and whoever sent it would not.

    Raises:
        RequisitionRefused: READY_INVALID, it is not from a member, for something else,
            not signed with the listed key, or gives everybody the same secret.
    """
    member = directory.get(ready.agency)
    if (
        member is None
        or (ready.spec_digest, ready.attempt) != (spec_digest, attempt)
        or len(ready.ephemeral_key) != KEY_BYTES
        or not member.has_signed(ready.body(), ready.signature)
    ):
        raise RequisitionRefused(
            "READY_INVALID",
            f"The fresh key of {_named(ready.agency, directory)} is not signed with the"
            " key that the board lists, for this query and attempt.",
        )
    if exchange_has_small_order(ready.ephemeral_key):
        raise RequisitionRefused(
            "READY_INVALID",
            f"The fresh key of {ready.agency!r} gives no secret.",
            agency=ready.agency,
        )


def check_receipt(receipt: Receipt, transcript: bytes, directory: Directory) -> None:
    """Check one message of round 2.

    Raises:
        RequisitionRefused: RECEIPTS_INVALID, it is not signed by a member;
            EQUIVOCATION, a member did sign it, for another transcript: together with a
            receipt for this one it is evidence that the hub showed different things.
    """
    member = directory.get(receipt.agency)
    digests = (
        receipt.transcript,
        receipt.vector_digest,
        receipt.seed_commitment,
        receipt.input_commitment,
    )
    if (
        member is None
        or any(len(each) != KEY_BYTES for each in digests)
        or not member.has_signed(receipt.body(), receipt.signature)
    ):
        raise RequisitionRefused(
            "RECEIPTS_INVALID",
            f"The receipt of {_named(receipt.agency, directory)} is not signed with the"
            " key that the board lists.",
        )
    if receipt.transcript != transcript:
        raise RequisitionRefused(
            "EQUIVOCATION",
            f"{receipt.agency!r} was shown another cohort, question or key than this"
            " agency: boards and operators compare the receipts.",
            agency=receipt.agency,
        )


def check_erased(
    erased: Erased, spec_digest: bytes, attempt: int, directory: Directory
) -> None:
    """Check a member's word that an attempt can never be opened.

    Raises:
        RequisitionRefused: ERASURE_INVALID, it is not from a member, for something
            else, or not signed with the listed key.
    """
    member = directory.get(erased.agency)
    if (
        member is None
        or (erased.spec_digest, erased.attempt) != (spec_digest, attempt)
        or not member.has_signed(erased.body(), erased.signature)
    ):
        raise RequisitionRefused(
            "ERASURE_INVALID",
            f"That {_named(erased.agency, directory)} erased its seed is not signed"
            " with the key that the board lists, for this query and attempt.",
        )


def _named(agency: str, directory: Directory) -> str:
    """Name an agency in a sentence; what nobody lists can be any text."""
    return repr(agency) if agency in directory else "an agency that is not listed"
