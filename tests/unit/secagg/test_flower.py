# SPDX-License-Identifier: Apache-2.0
"""Weaknesses of another secure aggregation in Python, each of which ours must not have.

They were read in the SecAgg+ code of Flower (adap/flower) in March 2026: seeds of 32
bits for a generator that is not for secrets, a top value that is never drawn, nodes
that count as dead and alive at once, peers' keys that nobody signed, `pickle` on shares
of others, and key derivation without salt or info.
"""

from __future__ import annotations

import ast
import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import accord.secagg
from accord.secagg.encoding import derived, encoded
from accord.secagg.masks import add_stream, mask
from accord.secagg.member import check_readies, check_receipts
from accord.secagg.messages import Ready, transcript
from tests.unit.secagg.cohort import (
    THRESHOLD,
    directory,
    labels,
    looks_uniform,
    reason_of,
    run,
    secret,
    zeros,
)

PACKAGE = Path(accord.secagg.__file__).parent
IMPORTED = {
    "__future__",
    "collections",
    "dataclasses",
    "functools",
    "hashlib",
    "hmac",
    "itertools",
    "typing",
    "cryptography",
    "numpy",
    "accord.core",
    "accord.secagg",
}
"""All that the package may import: nothing that reads, writes, waits or unpickles."""


def stream(key: bytes, cells: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    acc = np.zeros(cells, np.uint64)
    add_stream(acc, key, 1)
    return acc


class TestSeedsOf32Bits:
    def test_every_one_of_256_bits_makes_another_mask(self) -> None:
        base = int.from_bytes(bytes(range(32)))
        keys = {base} | {base ^ (1 << bit) for bit in range(256)}
        streams = {stream(key.to_bytes(32), 4).tobytes() for key in keys}
        assert len(streams) == 257

    @pytest.mark.stat
    def test_keys_that_differ_only_above_32_bits_make_unrelated_masks(self) -> None:
        """Folded to 32 bits, as there, the second pair would be one key."""
        word = os.urandom(4)
        pairs = (
            (bytes(32), b"\x80" + bytes(31)),
            (bytes(32), word + word + bytes(24)),
        )
        for one, other in pairs:
            assert looks_uniform(stream(one, 200_000) - stream(other, 200_000))

    def test_all_keys_of_a_round_have_256_bits(self) -> None:
        this = run(zeros(3, 1))
        keys = [
            *this.seeds.values(),
            *this.keys_of(labels(3)[0]).values(),
            this.self_key_of(labels(3)[0]),
        ]
        assert {len(key) for key in keys} == {32}


@pytest.mark.stat
class TestTopValueNeverDrawn:
    CELLS = 1_000_000

    def test_the_highest_values_come_as_often_as_others(self) -> None:
        """Of all 2^16 beginnings of an entry the highest and lowest are there."""
        words = mask(np.zeros(self.CELLS, np.int64), os.urandom(32), {}, "a")
        found = np.bincount((words >> np.uint64(48)).astype(np.int64), minlength=2**16)
        expected = self.CELLS / 2**16
        # Binomial, nearly Poisson: missing has probability e^-15 for one of them.
        tail = found[-256:].sum(), found[:256].sum()
        spread = 6.2 * (256 * expected) ** 0.5
        assert all(abs(each - 256 * expected) < spread for each in tail)

    def test_every_bit_is_set_half_of_the_time(self) -> None:
        words = mask(np.zeros(self.CELLS, np.int64), os.urandom(32), {}, "a")
        spread = 6.2 * self.CELLS**0.5 / 2
        for bit in range(64):
            ones = int(((words >> np.uint64(bit)) & np.uint64(1)).sum())
            assert abs(ones - self.CELLS / 2) < spread

    def test_a_mask_without_its_top_values_would_be_seen(self) -> None:
        words = mask(np.zeros(self.CELLS, np.int64), os.urandom(32), {}, "a")
        words %= np.uint64(2**64 - 2**56)
        assert not looks_uniform(words)
        assert THRESHOLD == 1e-9


class TestNodeDeadAndAlive:
    """There, a server that names a node in both lists gets all of its secrets."""

    @pytest.mark.stat
    def test_a_member_that_is_called_dead_is_as_hidden_as_before(self) -> None:
        """No message of the others holds anything of it: there are no shares.

        The hub has all vectors, the seeds of those that it calls alive, and even the
        seed of the other one.
        """
        this = run(zeros(4, 200_000))
        dead = this.members[3]
        assert looks_uniform(this.peeled(dead, {}, seed=True))
        alive = sum(
            (this.peeled(each, {}, seed=True) for each in this.members[:3]),
            np.zeros(200_000, np.uint64),
        )
        assert looks_uniform(alive)

    def test_seeds_are_not_given_for_a_cohort_without_it(self) -> None:
        this = run(zeros(4, 5))
        listed = directory(4)
        arguments = (this.receipts[:3], this.members, this.transcript, listed)
        assert reason_of(check_receipts, *arguments) == "INCOMPLETE_COHORT"

    def test_receipts_for_a_second_cohort_do_not_open_the_first(self) -> None:
        """The members who were shown the smaller one have another transcript."""
        this = run(zeros(4, 5))
        smaller = transcript(this.spec.digest, 1, "fallback", "00", this.readies[:3])
        arguments = (this.receipts[:3], this.members[:3], smaller, directory(4))
        assert reason_of(check_receipts, *arguments) == "EQUIVOCATION"


class TestUnsignedPeerKeys:
    def test_a_key_that_the_server_made_is_refused(self) -> None:
        this = run(zeros(3, 1))
        own, victim, last = this.readies
        server = X25519PrivateKey.generate().public_key().public_bytes_raw()
        for signature in (victim.signature, bytes(64), b""):
            forged = Ready(
                agency=victim.agency,
                spec_digest=victim.spec_digest,
                attempt=victim.attempt,
                ephemeral_key=server,
                signature=signature,
            )
            readies = [own, forged, last]
            arguments = (this.spec, 1, readies, this.members, directory(3), own)
            assert reason_of(check_readies, *arguments) == "READY_INVALID"

    def test_lasting_keys_of_the_server_give_another_transcript(self) -> None:
        """What agencies compare includes every key that the board signed."""
        listed = directory(3)
        swapped = [
            dataclasses.replace(each, exchange=os.urandom(32))
            if each.label == labels(3)[1]
            else each
            for each in listed.values()
        ]
        assert type(listed)(swapped).digest != listed.digest


class TestPickle:
    def trees(self) -> list[ast.Module]:
        paths = sorted(PACKAGE.glob("*.py"))
        assert len(paths) >= 7
        return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]

    def test_nothing_is_imported_that_could_unpickle_or_do_anything_else(self) -> None:
        imported = set()
        for tree in self.trees():
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    imported |= {each.name for each in node.names}
                if isinstance(node, ast.ImportFrom):
                    assert node.module
                    assert not node.level
                    imported.add(node.module)
        strangers = {
            name
            for name in imported
            if not any(name == each or name.startswith(f"{each}.") for each in IMPORTED)
        }
        assert strangers == set()
        assert "cryptography.hazmat.primitives.kdf.hkdf" in imported

    def test_nothing_is_called_that_runs_text_or_loads_objects(self) -> None:
        dangerous = {"eval", "exec", "compile", "__import__", "open", "load", "loads"}
        called = {
            node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for tree in self.trees()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name | ast.Attribute)
        }
        assert "derived" in called
        assert not called & dangerous

    def test_numpy_draws_nothing(self) -> None:
        """Its generators are not for secrets."""
        used = {
            node.attr
            for tree in self.trees()
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
        }
        assert not used & {"random", "default_rng", "RandomState"}


class TestDerivationWithoutSalt:
    def test_both_count(self) -> None:
        made = {
            derived(b"secret", salt, label, *parts)
            for salt in (b"", b"one", b"two")
            for label in ("mask", "self")
            for parts in ((), ("a", "b"), ("b", "a"))
        }
        assert len(made) == 18

    def test_the_same_secret_gives_another_key_for_every_transcript(self) -> None:
        this = run(zeros(3, 1))
        own = this.members[0]
        one = this.keys_of(own)
        this.transcript = bytes(32)
        other = this.keys_of(own)
        assert not set(one.values()) & set(other.values())

    def test_every_pair_has_its_own_key(self) -> None:
        this = run(zeros(4, 1))
        keys = [key for each in this.members for key in this.keys_of(each).values()]
        assert len(keys) == 12
        assert len(set(keys)) == 6

    def test_every_label_stands_under_the_name_of_the_protocol(self) -> None:
        assert b"accord.secagg.v1/mask" in encoded("mask", "a", "b")
        assert secret("a").public.sign != secret("b").public.sign
