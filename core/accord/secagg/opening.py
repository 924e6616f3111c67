# SPDX-License-Identifier: Apache-2.0
"""What the hub does with masked vectors and revealed seeds; an auditor can repeat it.

Readies and receipts are checked by the functions that members use
(`accord.secagg.member.check_readies`, `check_receipts`). Each vector is compared with
its receipt when it comes (`check_vector`), each seed when the sum is opened, so what
spoils a sum has a name.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accord.core.errors import IntegrityError
from accord.secagg.masks import WORD, self_key, unmasked
from accord.secagg.messages import Receipt, seed_commitment, vector_digest

SEED_WRONG: Final = "SEED_WRONG"
"""Reason: what was revealed is not what was promised."""


def check_vector(receipt: Receipt, vector: bytes) -> None:
    """Compare a masked vector, as little-endian bytes, with its member's receipt.

    Raises:
        IntegrityError: VECTOR_WRONG
    """
    if not hmac.compare_digest(vector_digest(vector), receipt.vector_digest):
        raise _vector_wrong(receipt.agency)


def check_seed(receipt: Receipt, seed: bytes) -> None:
    """Compare a revealed seed with its member's receipt.

    Raises:
        IntegrityError: SEED_WRONG
    """
    made = seed_commitment(seed, receipt.transcript, receipt.agency)
    if not hmac.compare_digest(made, receipt.seed_commitment):
        raise IntegrityError(
            SEED_WRONG,
            f"The seed that {receipt.agency!r} revealed is not the one that it signed"
            " for: the sum cannot be opened.",
            agency=receipt.agency,
        )


def open_sum(
    receipts: Sequence[Receipt],
    vectors: Mapping[str, bytes],
    seeds: Mapping[str, bytes],
) -> NDArray[np.int64]:
    """Return the sum of all members' counts and noise, modulo 2^64, signed.

    Args:
        receipts: those of the whole cohort, checked.
        vectors: the masked vectors as little-endian bytes, by label, each of them
            compared by `check_vector` when it came.
        seeds: what the members revealed, by label.

    Raises:
        IntegrityError: SEED_WRONG, a seed is missing or not the one that was promised;
            VECTOR_WRONG, a vector is missing or their lengths differ.
    """
    for each in receipts:
        check_seed(each, seeds.get(each.agency, b""))
    total: NDArray[np.uint64] | None = None
    for each in receipts:
        content = vectors.get(each.agency, b"")
        size = len(content) if total is None else total.nbytes
        if len(content) != size or not size or size % WORD.itemsize:
            raise _vector_wrong(each.agency)
        words = np.frombuffer(content, WORD)
        total = (
            words.astype(np.uint64) if total is None else np.add(total, words, total)
        )
    keys = (
        self_key(seeds[each.agency], each.transcript, each.agency) for each in receipts
    )
    return unmasked(np.zeros(0, np.uint64) if total is None else total, keys)


def check_plausible(
    opened: NDArray[np.int64], members: int, largest_entry: int, noise_bound: int
) -> None:
    """Refuse a sum that honest counts and noise cannot have.

    A vector that was changed after it was masked makes every entry uniform, which this
    finds all but surely.

    Args:
        opened: what `open_sum` returned.
        members: how many were added up.
        largest_entry: what one member's entry can be at most on either side of zero,
            before its noise.
        noise_bound: what the noise of all of them exceeds practically never.

    Raises:
        IntegrityError: SUM_IMPLAUSIBLE
    """
    least, most = int(opened.min(initial=0)), int(opened.max(initial=0))
    if max(-least, most) > members * largest_entry + noise_bound:
        raise IntegrityError(
            "SUM_IMPLAUSIBLE",
            "The opened sum has entries that no sum of honest counts can have: nothing"
            " was released. An agency or the hub masked something else than it sent.",
        )


def _vector_wrong(agency: str) -> IntegrityError:
    return IntegrityError(
        "VECTOR_WRONG",
        f"The masked vector of {agency!r} is missing, has another length, or is not the"
        " one that it signed for.",
        agency=agency,
    )
