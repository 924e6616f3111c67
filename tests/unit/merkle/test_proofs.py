# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accord.merkle.proofs import has_grown, is_included
from accord.merkle.tree import (
    EMPTY_ROOT,
    leaf_hash,
    prove_growth,
    prove_inclusion,
    root_of,
)
from tests.unit.merkle.trees import Log

SIZES = range(1, 34)

ENTRIES = [b"entry %d" % number for number in range(40)]


def edited(entries: list[bytes], at: int) -> list[bytes]:
    return [*entries[:at], b"another", *entries[at + 1 :]]


def dropped(entries: list[bytes], at: int) -> list[bytes]:
    return entries[:at] + entries[at + 1 :]


def swapped(entries: list[bytes], at: int) -> list[bytes]:
    after = at + 1
    return [*entries[:at], entries[after], entries[at], *entries[after + 1 :]]


def test_every_leaf_of_every_size_is_proved() -> None:
    log = Log(ENTRIES)
    for size in SIZES:
        root = root_of(size, log.nodes)
        for index in range(size):
            path = prove_inclusion(index, size, log.nodes)
            leaf = leaf_hash(ENTRIES[index])
            assert is_included(leaf, index, size, path, root)
            assert not is_included(leaf_hash(b"x"), index, size, path, root)
            for other in range(size + 2):
                if other != index:
                    assert not is_included(leaf, other, size, path, root)


def test_every_growth_is_proved() -> None:
    log = Log(ENTRIES)
    roots = [root_of(size, log.nodes) for size in range(len(ENTRIES) + 1)]
    for new in SIZES:
        for old in range(new + 1):
            proof = prove_growth(old, new, log.nodes)
            assert has_grown(old, roots[old], new, roots[new], proof)
            if old not in {0, new}:
                assert not has_grown(old, roots[old - 1], new, roots[new], proof)
            assert not has_grown(old, roots[old], new, roots[new + 1], proof) or not old


@pytest.mark.parametrize("change", [edited, dropped, swapped])
@pytest.mark.parametrize("at", [0, 7, 15, 18])
def test_no_proof_leads_to_a_log_in_which_something_was_changed(
    change: object, at: int
) -> None:
    """The hub changes an entry and builds its whole tree and every proof anew."""
    assert callable(change)
    seen, size = Log(ENTRIES), 20
    root = root_of(size, seen.nodes)
    forged = Log(change(ENTRIES, at))
    for new in range(size, 38):
        proof = prove_growth(size, new, forged.nodes)
        assert not has_grown(size, root, new, root_of(new, forged.nodes), proof)


def test_a_log_that_was_cut_off_has_not_grown() -> None:
    log = Log(ENTRIES)
    old, new = root_of(20, log.nodes), root_of(12, log.nodes)
    assert not has_grown(20, old, 12, new, prove_growth(12, 20, log.nodes))


@dataclasses.dataclass(frozen=True)
class Proof:
    old: int
    new: int
    hashes: list[bytes]


@st.composite
def proofs(draw: st.DrawFn) -> Proof:
    hashes = draw(st.lists(st.binary(min_size=30, max_size=34), max_size=8))
    return Proof(draw(st.integers(-2, 40)), draw(st.integers(-2, 40)), hashes)


@given(proofs(), st.integers(-2, 40))
def test_rubbish_proves_nothing(proof: Proof, index: int) -> None:
    assume(proof.old)
    root = bytes(32)
    assert not has_grown(proof.old, root, proof.new, EMPTY_ROOT, proof.hashes)
    assert not is_included(leaf_hash(b""), index, proof.new, proof.hashes, root)


@given(st.integers(1, 33), st.integers(1, 33), st.data())
def test_a_proof_that_was_changed_proves_nothing(
    one: int, other: int, data: st.DataObject
) -> None:
    old, new = sorted((one, other))
    log = Log(ENTRIES)
    proof = prove_growth(old, new, log.nodes)
    kind = data.draw(st.sampled_from(["longer", "shorter", "other"]))
    if kind == "longer":
        at = data.draw(st.integers(0, len(proof)))
        proof.insert(at, data.draw(st.binary(min_size=32, max_size=32)))
    else:
        assume(proof)
        at = data.draw(st.integers(0, len(proof) - 1))
        gone = proof.pop(at)
        if kind == "other":
            proof.insert(at, bytes(32) if gone != bytes(32) else b"\x01" * 32)
    roots = root_of(old, log.nodes), root_of(new, log.nodes)
    assert not has_grown(old, roots[0], new, roots[1], proof)


@pytest.mark.parametrize(
    ("old_root", "new_size", "new_root", "grown"),
    [
        (EMPTY_ROOT, 0, EMPTY_ROOT, True),
        (EMPTY_ROOT, 3, bytes(32), True),
        (bytes(32), 3, bytes(32), False),
        (EMPTY_ROOT, 0, bytes(32), False),
        (EMPTY_ROOT, 3, EMPTY_ROOT, False),
    ],
)
def test_an_empty_log_is_the_beginning_of_every_log(
    old_root: bytes, new_size: int, new_root: bytes, grown: bool
) -> None:
    assert has_grown(0, old_root, new_size, new_root, []) is grown


def test_a_proof_in_a_log_of_a_million_is_small() -> None:
    """Twenty hashes: with entry, head and ten cosignatures far below 5 kB."""
    size = 1_000_000
    path = prove_inclusion(0, size, lambda places: dict.fromkeys(places, bytes(32)))
    assert len(path) * 32 == 640
