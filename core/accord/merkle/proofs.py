# SPDX-License-Identifier: Apache-2.0
"""Checks of proofs by those who have nothing of a log but roots.

Whatever arrives, the answer is true or false: a proof of another length, hashes of
another length and sizes that cannot be are false.
"""

from __future__ import annotations

from collections.abc import Sequence

from accord.merkle.tree import EMPTY_ROOT, HASH_BYTES, node_hash


def is_included(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether a leaf stands at *index* in the log of that size and root.

    Args:
        leaf: the hash of the entry.
        index: how many entries stand before it.
        size: of the log.
        path: as `accord.merkle.tree.prove_inclusion` gives it.
        root: of the log.
    """
    if not 0 <= index < size or any(len(each) != HASH_BYTES for each in path):
        return False
    position, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            value = node_hash(sibling, value)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and value == root


def has_grown(
    old_size: int,
    old_root: bytes,
    new_size: int,
    new_root: bytes,
    proof: Sequence[bytes],
) -> bool:
    """Tell whether the old log is the beginning of the new one.

    Args:
        old_size: of the log that was seen.
        old_root: its root.
        new_size: of the log that is shown; equal sizes need equal roots.
        new_root: its root.
        proof: as `accord.merkle.tree.prove_growth` gives it.
    """
    if not 0 <= old_size <= new_size or any(len(each) != HASH_BYTES for each in proof):
        return False
    if old_size == 0:
        empty = new_root == EMPTY_ROOT
        return not proof and old_root == EMPTY_ROOT and empty == (new_size == 0)
    if old_size == new_size:
        return not proof and old_root == new_root
    return _leads_from_old_to_new(old_size, old_root, new_size, new_root, proof)


def _leads_from_old_to_new(
    old_size: int,
    old_root: bytes,
    new_size: int,
    new_root: bytes,
    proof: Sequence[bytes],
) -> bool:
    """Follow RFC 9162, section 2.1.4.2."""
    hashes = list(proof)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        return False
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and (old, new) == (old_root, new_root)
