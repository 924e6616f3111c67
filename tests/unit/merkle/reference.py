# SPDX-License-Identifier: Apache-2.0
"""RFC 6962, section 2.1, as it is written: recursive, over lists of entries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def split(size: int) -> int:
    """Return the largest power of two smaller than a size."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def mth(entries: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    both = mth(entries[:k]) + mth(entries[k:])
    return hashlib.sha256(b"\x01" + both).digest()


def path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def proof(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return subproof(m, entries, whole=True)


def subproof(m: int, entries: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if m == len(entries):
        return [] if whole else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], whole=whole), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], whole=False), mth(entries[:k])]
