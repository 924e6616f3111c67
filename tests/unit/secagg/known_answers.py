# SPDX-License-Identifier: Apache-2.0
"""Everything that a round computes from fixed inputs, as text.

``vectors.json`` holds it, for other programs to be compared with and to notice when the
protocol changes. After a change that is wanted, which needs another
`accord.secagg.encoding.PREFIX`, write it again::

    python -m tests.unit.secagg.known_answers

ML-KEM ciphertexts are random; those in the file stay as long as they can be opened.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from accord.core.errors import AccordError
from accord.secagg.encoding import encoded
from accord.secagg.keys import (
    Directory,
    Encapsulation,
    SecretKeys,
    encapsulate,
    opened,
    pair_secret,
)
from accord.secagg.masks import self_key, vector_bytes
from accord.secagg.member import make_erased, make_masked, make_ready, pair_keys
from accord.secagg.messages import Spec, commit_input, transcript, vector_digest
from accord.secagg.opening import open_sum

FILE = Path(__file__).with_name("vectors.json")
MEMBERS = ("alpha", "beta", "gamma")
COUNTS = {
    "alpha": [0, 1, -1, 2**63 - 1, 40],
    "beta": [0, 2, -2, 2**63 - 1, 1],
    "gamma": [0, 3, -3, 0, 1],
}
NOISE = [1, -1, 0, 5, -40]
ATTEMPT, COHORT, NOISE_PLAN = 2, "all", "5e" * 32


def fixed(what: str, label: str) -> bytes:
    """Return 32 bytes that stand for a member's random ones."""
    return hashlib.sha256(f"{what} of {label}".encode()).digest()


def secrets() -> dict[str, SecretKeys]:
    return {
        label: SecretKeys.from_seed(label, fixed("seed", label)) for label in MEMBERS
    }


def computed(ciphertexts: Mapping[str, str]) -> dict[str, Any]:
    """Return all values by name; bytes in hex.

    Args:
        ciphertexts: ML-KEM ciphertexts in hex, by ``lower label>higher label``.
    """
    own = secrets()
    listed = Directory(each.public for each in own.values())
    lasting, encapsulations = _lasting(own, listed, ciphertexts)
    spec = Spec(query_id="q-1", payload=b"payload", directory_digest=listed.digest)
    made = [
        make_ready(each, spec, ATTEMPT, ephemeral=fixed("ephemeral", label))
        for label, each in own.items()
    ]
    readies = [ready for ready, _ in made]
    seen = transcript(spec.digest, ATTEMPT, COHORT, NOISE_PLAN, readies)
    members, receipts, vectors, seeds = {}, [], {}, {}
    for (ready, private), (label, each) in zip(made, own.items(), strict=True):
        counts = np.array(COUNTS[label], np.int64)
        keys = pair_keys(each, private, readies, seen, lasting[label])
        committed = commit_input(
            vector_digest(counts.tobytes()), fixed("noise", label), fixed("salt", label)
        )
        seeds[label] = fixed("self", label)
        receipt, masked = make_masked(
            each,
            transcript=seen,
            vector=counts + np.array(NOISE),
            input_commitment=committed,
            self_seed=seeds[label],
            pair_keys=keys,
        )
        receipts.append(receipt)
        vectors[label] = vector_bytes(masked)
        members[label] = {
            "seed": fixed("seed", label).hex(),
            "sign": each.public.sign.hex(),
            "exchange": each.public.exchange.hex(),
            "kem_sha256": each.public.kem_digest.hex(),
            "pair_secrets": _hex(lasting[label]),
            "ephemeral": private.hex(),
            "ready": _hex(dataclasses.asdict(ready)),
            "pair_keys": _hex(keys),
            "self_seed": seeds[label].hex(),
            "self_key": self_key(seeds[label], seen, label).hex(),
            "masked": vectors[label].hex(),
            "receipt": _hex(dataclasses.asdict(receipt)),
            "erased": _hex(dataclasses.asdict(make_erased(each, spec.digest, ATTEMPT))),
        }
    return {
        "encoded": encoded("label", b"\xff", -1, "text").hex(),
        "directory": listed.digest.hex(),
        "spec": spec.digest.hex(),
        "transcript": seen.hex(),
        "encapsulations": encapsulations,
        "members": members,
        "opened": open_sum(receipts, vectors, seeds).tolist(),
    }


def _lasting(
    own: Mapping[str, SecretKeys], listed: Directory, ciphertexts: Mapping[str, str]
) -> tuple[dict[str, dict[str, bytes]], dict[str, Any]]:
    lasting: dict[str, dict[str, bytes]] = {label: {} for label in own}
    sent = {}
    for name, ciphertext in ciphertexts.items():
        low, high = name.split(">")
        unsigned = Encapsulation(
            sender=low,
            receiver=high,
            ciphertext=bytes.fromhex(ciphertext),
            signature=b"",
        )
        signature = own[low].sign(unsigned.body(listed[high]))
        made = dataclasses.replace(unsigned, signature=signature)
        shared = opened(own[high], listed[low], made)
        sent[name] = {
            "ciphertext": ciphertext,
            "shared": shared.hex(),
            "signature": signature.hex(),
        }
        for one, other in ((low, high), (high, low)):
            lasting[one][other] = pair_secret(
                own[one], listed[other], listed.digest, shared
            )
    return lasting, sent


def _hex(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in values.items()
    }


def kept() -> dict[str, Any]:
    """Return what the file says."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def ciphertexts_of(answers: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: each["ciphertext"] for name, each in answers["encapsulations"].items()
    }


def new_ciphertexts() -> dict[str, str]:
    own = secrets()
    return {
        f"{low}>{high}": encapsulate(own[low], own[high].public)[0].ciphertext.hex()
        for low, high in itertools.combinations(MEMBERS, 2)
    }


def main() -> None:
    """Write the file, with new ciphertexts only if the old ones do not open."""
    try:
        answers = computed(ciphertexts_of(kept()))
    except (OSError, KeyError, AccordError):
        answers = computed(new_ciphertexts())
    FILE.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
