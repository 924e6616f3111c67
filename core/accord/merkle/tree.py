# SPDX-License-Identifier: Apache-2.0
"""Hashes of the tree, and proofs by whoever keeps its nodes.

A *place* is ``(level, position)`` of a complete subtree: level 0 are the leaves, and
``(k, p)`` covers ``2**k`` leaves from leaf ``p * 2**k`` on. A complete node never
changes once it is there, so they can be kept in a table that only grows; what stands
above the incomplete right edge is computed when it is asked for. A proof needs few
nodes, and asks for all of them at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeAlias

HASH_BYTES: Final = 32

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""Root of a log without entries."""

Place: TypeAlias = tuple[int, int]
"""Level and position of a complete subtree."""

Nodes: TypeAlias = Callable[[Collection[Place]], Mapping[Place, bytes]]
"""Looks hashes of complete subtrees up; may raise where one is missing."""

_Span: TypeAlias = tuple[int, int]
"""Leaves from the first to before the second, which begin where a subtree does."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of what stands above two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def neighbours(index: int) -> list[Place]:
    """Return the places that `completed` needs for a leaf, from below."""
    places = []
    level = 0
    while index & 1:
        places.append((level, index - 1))
        index >>= 1
        level += 1
    return places


def completed(
    index: int, leaf: bytes, known: Mapping[Place, bytes]
) -> list[tuple[Place, bytes]]:
    """Return the nodes that a new leaf makes complete, itself first.

    Args:
        index: how many leaves there were before.
        leaf: its hash.
        known: the hashes of its `neighbours`.
    """
    place, value = (0, index), leaf
    found = [(place, value)]
    for level, position in neighbours(index):
        value = node_hash(known[level, position], value)
        place = (level + 1, position >> 1)
        found.append((place, value))
    return found


def root_of(size: int, nodes: Nodes) -> bytes:
    """Return the root of the first *size* leaves."""
    if size == 0:
        return EMPTY_ROOT
    return _hashes([(0, size)], nodes)[0]


def prove_inclusion(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return the path from a leaf to the root of the first *size* leaves, from below.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        sentence = f"no leaf {index} among {size}"
        raise ValueError(sentence)
    spans: list[_Span] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin = middle
    return _hashes(spans[::-1], nodes)


def prove_growth(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """Return the proof that the first *new* leaves begin with the first *old*.

    It is empty where there is nothing to prove: for equal sizes, and from no leaf.

    Raises:
        ValueError: the log does not have so many leaves, or shrank.
    """
    if not 0 <= old <= new:
        sentence = f"a log of {old} does not grow to {new}"
        raise ValueError(sentence)
    if old in {0, new}:
        return []
    spans: list[_Span] = []
    begin, end = 0, new
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin = middle
    if begin:  # else the old root itself is the first hash, which the reader has
        spans.append((begin, end))
    return _hashes(spans[::-1], nodes)


def _split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << ((size - 1).bit_length() - 1)


def _hashes(spans: Sequence[_Span], nodes: Nodes) -> list[bytes]:
    covers = [_cover(*span) for span in spans]
    known = nodes([place for cover in covers for place in cover])
    return [_folded([known[place] for place in cover]) for cover in covers]


def _cover(begin: int, end: int) -> list[Place]:
    """Return the largest complete subtrees that make up a span, from the left."""
    places = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        places.append((level, begin >> level))
        begin += 1 << level
    return places


def _folded(hashes: Sequence[bytes]) -> bytes:
    *others, value = hashes
    for left in reversed(others):
        value = node_hash(left, value)
    return value
