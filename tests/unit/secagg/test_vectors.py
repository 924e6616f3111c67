# SPDX-License-Identifier: Apache-2.0
"""The protocol is what it was, and what its description says.

The second half goes from fixed inputs to masked vectors with nothing of the package:
hashes and HMAC from the standard library, AES block by block, Python's integers.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from accord.secagg import encoding
from tests.unit.secagg import known_answers
from tests.unit.secagg.known_answers import (
    ATTEMPT,
    COHORT,
    COUNTS,
    MEMBERS,
    NOISE,
    NOISE_PLAN,
    ciphertexts_of,
    computed,
    kept,
)

GIVEN = {
    "agency",
    "attempt",
    "ciphertext",
    "ephemeral",
    "ephemeral_key",
    "opened",
    "seed",
    "self_seed",
    "shared",
    "sign",
}
"""What does not depend on labels: inputs, their public keys, and the sum."""


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:  # noqa: ANN401
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, (*path, name))
    else:
        yield path


def at(value: Any, path: tuple[str, ...]) -> object:  # noqa: ANN401
    for name in path:
        value = value[name]
    return value


def test_known_answers_are_still_given() -> None:
    assert computed(ciphertexts_of(kept())) == kept()


def test_another_version_of_the_protocol_gives_other_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No key, digest or signature means anything under another label."""
    before = kept()
    monkeypatch.setattr(encoding, "PREFIX", b"accord.secagg.v2/")
    # Keys derived under the new label need ciphertexts of their own.
    after = computed(known_answers.new_ciphertexts())
    changed = [path for path in leaves(before) if path[-1] not in GIVEN]
    assert len(changed) > 40
    for path in changed:
        assert at(before, path) != at(after, path), path


# The same again, from the description alone


def enc(label: str, *parts: bytes | str | int) -> bytes:
    pieces = [len(parts).to_bytes(8, "big")]
    for each in (b"accord.secagg.v1/" + label.encode(), *parts):
        if isinstance(each, int):
            kind, body = b"i", (each % 2**128).to_bytes(16, "big")
        elif isinstance(each, str):
            kind, body = b"s", each.encode("utf-8")
        else:
            kind, body = b"b", each
        pieces.append(kind + len(body).to_bytes(8, "big") + body)
    return b"".join(pieces)


def h(label: str, *parts: bytes | str | int) -> bytes:
    return hashlib.sha256(enc(label, *parts)).digest()


def hkdf(ikm: bytes, salt: bytes, info: bytes) -> bytes:
    key = hmac.digest(salt, ikm, "sha256")
    return hmac.digest(key, info + b"\x01", "sha256")


def stream(key: bytes, cells: int) -> list[int]:
    block = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305
    content = b"".join(
        block.update(counter.to_bytes(16, "big")) for counter in range(cells)
    )
    return [
        int.from_bytes(content[8 * each : 8 * each + 8], "little")
        for each in range(cells)
    ]


def exchange(private: bytes, public: bytes) -> bytes:
    key = X25519PrivateKey.from_private_bytes(private)
    return key.exchange(X25519PublicKey.from_public_bytes(public))


class Description:
    """One run of sections 2.1 to 2.3 over the inputs of the known answers."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.said = {label: answers["members"][label] for label in MEMBERS}
        self.keys = {label: self.derive(label) for label in MEMBERS}
        listed: list[str | bytes] = []
        for label in MEMBERS:
            listed += (label, *(self.public(label, kind) for kind in range(3)))
        self.directory = h("membership", len(MEMBERS), *listed)
        payload = hashlib.sha256(b"payload").digest()
        self.spec = h("spec", "q-1", payload, self.directory)
        readies = [self.ready(label) for label in MEMBERS]
        self.transcript = h(
            "transcript",
            self.spec,
            ATTEMPT,
            COHORT,
            NOISE_PLAN,
            len(MEMBERS),
            *(part for ready in readies for part in ready),
        )

    def of(self, label: str, name: str) -> bytes:
        return bytes.fromhex(self.said[label][name])

    def derive(self, label: str) -> tuple[bytes, bytes, bytes]:
        """Return the private keys: to sign, to exchange, and the ML-KEM seed."""
        seed = self.of(label, "seed")
        identity = Ed25519PrivateKey.from_private_bytes(seed).public_key()
        salt = h("identity", identity.public_bytes_raw())
        kem = [hkdf(seed, salt, enc("kem key", part)) for part in ("d", "z")]
        return seed, hkdf(seed, salt, enc("exchange key")), b"".join(kem)

    def public(self, label: str, kind: int) -> bytes:
        classes = (Ed25519PrivateKey, X25519PrivateKey)
        if kind < len(classes):
            private = classes[kind].from_private_bytes(self.keys[label][kind])
            return private.public_key().public_bytes_raw()
        kem = MLKEM768PrivateKey.from_seed_bytes(self.keys[label][2])
        return kem.public_key().public_bytes_raw()

    def ready(self, label: str) -> tuple[str, bytes, bytes]:
        private = X25519PrivateKey.from_private_bytes(self.of(label, "ephemeral"))
        key = private.public_key().public_bytes_raw()
        body = enc("ready", label, self.spec, ATTEMPT, key)
        signer = Ed25519PrivateKey.from_private_bytes(self.keys[label][0])
        return label, key, signer.sign(body)

    def pair_key(self, own: str, peer: str) -> bytes:
        low, high = min(own, peer), max(own, peer)
        sent = bytes.fromhex(
            self.answers["encapsulations"][f"{low}>{high}"]["ciphertext"]
        )
        kem = MLKEM768PrivateKey.from_seed_bytes(self.keys[high][2]).decapsulate(sent)
        lasting = hkdf(
            exchange(self.keys[own][1], self.public(peer, 1)) + kem,
            self.directory,
            enc("pair", low, high),
        )
        fresh = exchange(self.of(own, "ephemeral"), self.ready(peer)[1])
        return hkdf(fresh + lasting, self.transcript, enc("mask", low, high))

    def masked(self, own: str) -> list[int]:
        cells = len(NOISE)
        info = enc("self", own)
        self_key = hkdf(self.of(own, "self_seed"), self.transcript, info)
        entries = [x + e for x, e in zip(COUNTS[own], NOISE, strict=True)]
        terms = [entries, stream(self_key, cells)]
        for peer in MEMBERS:
            if peer != own:
                words = stream(self.pair_key(own, peer), cells)
                terms.append(words if own < peer else [-word for word in words])
        return [sum(column) % 2**64 for column in zip(*terms, strict=True)]


@pytest.fixture(scope="module")
def description() -> Description:
    return Description(kept())


def test_digests_are_those_of_the_description(description: Description) -> None:
    answers = kept()
    assert answers["directory"] == description.directory.hex()
    assert answers["spec"] == description.spec.hex()
    assert answers["transcript"] == description.transcript.hex()


@pytest.mark.parametrize("label", MEMBERS)
def test_masked_vectors_are_those_of_the_description(
    description: Description, label: str
) -> None:
    content = bytes.fromhex(description.said[label]["masked"])
    assert np.frombuffer(content, "<u8").tolist() == description.masked(label)


@pytest.mark.parametrize("label", MEMBERS)
def test_receipts_are_those_of_the_description(
    description: Description, label: str
) -> None:
    receipt = description.said[label]["receipt"]
    masked = description.of(label, "masked")
    seed = description.of(label, "self_seed")
    counts = b"".join((x % 2**64).to_bytes(8, "little") for x in COUNTS[label])
    body = enc(
        "receipt",
        label,
        description.transcript,
        hashlib.sha256(masked).digest(),
        h("seed", description.transcript, label, seed),
        h(
            "input",
            hashlib.sha256(counts).digest(),
            known_answers.fixed("noise", label),
            known_answers.fixed("salt", label),
        ),
    )
    signer = Ed25519PublicKey.from_public_bytes(description.public(label, 0))
    signer.verify(bytes.fromhex(receipt["signature"]), body)
    erased = description.said[label]["erased"]
    body = enc("erased", label, description.spec, ATTEMPT)
    signer.verify(bytes.fromhex(erased["signature"]), body)


def test_the_sum_is_that_of_counts_and_noise() -> None:
    columns = zip(*COUNTS.values(), NOISE, strict=True)
    sums = [sum(counts) + len(MEMBERS) * noise for *counts, noise in columns]
    assert kept()["opened"] == [(each + 2**63) % 2**64 - 2**63 for each in sums]
