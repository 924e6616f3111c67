# SPDX-License-Identifier: Apache-2.0
"""A cohort of agencies that go through the rounds; everything is left open.

Keys are fixed, so that a failure can be repeated; masks are fresh every time.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from accord.core.errors import AccordError
from accord.secagg.keys import (
    Directory,
    SecretKeys,
    encapsulate,
    opened,
    pair_secret,
    uses_kem,
)
from accord.secagg.masks import Words, add_stream, self_key, vector_bytes
from accord.secagg.member import (
    check_readies,
    check_receipts,
    make_masked,
    make_ready,
    pair_keys,
)
from accord.secagg.messages import (
    Ready,
    Receipt,
    Spec,
    commit_input,
    transcript,
    vector_digest,
)
from accord.secagg.opening import check_vector, open_sum

Counts = NDArray[np.int64]

THRESHOLD = 1e-9
"""Below this probability a test says that something is not uniform."""

BYTES = (0, 3, 7)
"""Which of the eight bytes of an entry are looked at: lowest, middle, highest."""


@functools.cache
def secret(label: str) -> SecretKeys:
    return SecretKeys.from_seed(label, hashlib.sha256(label.encode()).digest())


@functools.cache
def labels(n: int) -> tuple[str, ...]:
    return tuple(f"agency-{number:03}" for number in range(n))


@functools.cache
def directory(n: int) -> Directory:
    return Directory(secret(each).public for each in labels(n))


@functools.cache
def pair_secrets(n: int) -> dict[str, dict[str, bytes]]:
    """Return what all pairs share, after each lower label encapsulated once."""
    listed = directory(n)
    found: dict[str, dict[str, bytes]] = {each: {} for each in listed}
    for low in listed:
        for high in (each for each in listed if low < each):
            kem_low = kem_high = None
            if uses_kem(listed[low], listed[high]):
                made, kem_low = encapsulate(secret(low), listed[high])
                kem_high = opened(secret(high), listed[low], made)
            for own, peer, kem in ((low, high, kem_low), (high, low, kem_high)):
                found[own][peer] = pair_secret(
                    secret(own), listed[peer], listed.digest, kem
                )
    return found


@dataclasses.dataclass(slots=True, kw_only=True)
class Round:
    """One attempt at one query, after the second round."""

    n: int
    spec: Spec
    attempt: int
    readies: list[Ready]
    ephemerals: dict[str, bytes]
    transcript: bytes
    receipts: list[Receipt]
    masked: dict[str, Words]
    seeds: dict[str, bytes]

    @property
    def members(self) -> tuple[str, ...]:
        return labels(self.n)

    @property
    def vectors(self) -> dict[str, bytes]:
        return {label: vector_bytes(each) for label, each in self.masked.items()}

    def keys_of(self, label: str) -> dict[str, bytes]:
        """Return what a member, or who has all of its secrets, derives."""
        return pair_keys(
            secret(label),
            self.ephemerals[label],
            self.readies,
            self.transcript,
            pair_secrets(self.n)[label],
        )

    def self_key_of(self, label: str) -> bytes:
        return self_key(self.seeds[label], self.transcript, label)

    def peeled(self, label: str, known: Mapping[str, bytes], *, seed: bool) -> Words:
        """Return a member's vector without the masks whose keys somebody has."""
        acc = self.masked[label].copy()
        for peer, key in known.items():
            add_stream(acc, key, -1 if label < peer else 1)
        if seed:
            add_stream(acc, self.self_key_of(label), -1)
        return acc

    def open(self) -> Counts:
        """Go through the third round as every member and the hub do."""
        check_receipts(self.receipts, self.members, self.transcript, directory(self.n))
        for each in self.receipts:
            check_vector(each, self.vectors[each.agency])
        return open_sum(self.receipts, self.vectors, self.seeds)


def spec_for(n: int, query_id: str = "query", payload: bytes = b"requisition") -> Spec:
    return Spec(
        query_id=query_id, payload=payload, directory_digest=directory(n).digest
    )


def run(
    vectors: Sequence[Counts], *, query_id: str = "query", attempt: int = 1
) -> Round:
    """Let as many agencies as there are vectors take part, all of them honest."""
    n = len(vectors)
    spec = spec_for(n, query_id)
    made = [make_ready(secret(each), spec, attempt) for each in labels(n)]
    readies = [ready for ready, _ in made]
    for each in readies:
        check_readies(spec, attempt, readies, labels(n), directory(n), each)
    this = Round(
        n=n,
        spec=spec,
        attempt=attempt,
        readies=readies,
        ephemerals={ready.agency: private for ready, private in made},
        transcript=transcript(spec.digest, attempt, "all", "00", readies),
        receipts=[],
        masked={},
        seeds={each: os.urandom(32) for each in labels(n)},
    )
    for label, vector in zip(labels(n), vectors, strict=True):
        receipt, masked = make_masked(
            secret(label),
            transcript=this.transcript,
            vector=vector,
            input_commitment=commit_input(
                vector_digest(vector.tobytes()), os.urandom(32), os.urandom(32)
            ),
            self_seed=this.seeds[label],
            pair_keys=this.keys_of(label),
        )
        this.receipts.append(receipt)
        this.masked[label] = masked
    return this


def zeros(n: int, cells: int) -> list[Counts]:
    return [np.zeros(cells, np.int64)] * n


def looks_uniform(words: Words) -> bool:
    """Tell whether chi-square finds every byte value equally often, at each place."""
    for place in BYTES:
        values = (words >> np.uint64(8 * place)) & np.uint64(255)
        found = np.bincount(values.astype(np.int64), minlength=256)
        if stats.chisquare(found).pvalue < THRESHOLD:
            return False
    return True


def reason_of(act: Callable[..., object], *arguments: object) -> str:
    """Return the reason with which something is refused."""
    with pytest.raises(AccordError) as caught:
        act(*arguments)
    return caught.value.reason
