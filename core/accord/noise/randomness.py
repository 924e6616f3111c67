# SPDX-License-Identifier: Apache-2.0
"""Uniform integers from a seed: the only source of randomness of every sampler here.

The words are the keystream of AES-256 in counter mode, so they are as hard to guess
as the seed, and whoever holds the seed can draw the same noise again: an audit
compares what an agency added with what its seed gives. How many words a draw takes,
and in which order, is therefore part of what `accord.noise` promises; a change of it
is a change of version.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from accord.core.errors import InternalError

SEED_BYTES = 32

LARGEST_BOUND = 2**62
"""Masked draws below it leave room for one more bit in signed arithmetic."""

_BLOCK = 8192
"""Words that are encrypted at once, at least."""

_ZEROS = bytes(8 * _BLOCK)


class Words:
    """A stream of independent, uniform 64-bit words.

    The same seed gives the same words, however they are asked for: ``take(3)`` and
    ``take(5)`` together are ``take(8)``. The caller takes the seed from the operating
    system (``os.urandom(32)``) and uses it for one stream only: two streams of one
    seed are the same noise twice, whose difference bares the truth.
    """

    __slots__ = ("_encryptor", "_left")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise InternalError(
                "INTERNAL_ERROR",
                f"A seed of noise has {SEED_BYTES} bytes, fresh from the operating"
                " system; nothing was drawn.",
            )
        # The counter may begin at zero, since no key is used twice.
        cipher = Cipher(algorithms.AES256(seed), modes.CTR(bytes(16)))
        self._encryptor = cipher.encryptor()
        self._left: npt.NDArray[np.uint64] = np.empty(0, np.uint64)

    def take(self, n: int) -> npt.NDArray[np.uint64]:
        """Return the next *n* words; the array is read-only.

        Raises:
            InternalError: fewer than no words.
        """
        if n < 0:
            raise InternalError(
                "INTERNAL_ERROR",
                "A number of draws is zero or more; nothing was drawn.",
            )
        short = n - self._left.size
        if short > 0:
            zeros = _ZEROS if short <= _BLOCK else bytes(8 * short)
            stream = self._encryptor.update(zeros)
            # Little-endian on every machine, or the same seed would be other noise.
            fresh = np.frombuffer(stream, "<u8").astype(np.uint64, copy=False)
            self._left = np.concatenate((self._left, fresh))
            self._left.flags.writeable = False
        taken, self._left = self._left[:n], self._left[n:]
        return taken

    def below(self, bounds: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Return for every bound a uniform integer from 0 up to it, exclusive.

        Each draw is masked to the bits of its bound and repeated until it fits: every
        integer has exactly the same probability, with fewer than two words on average.

        Shape: (n,) -> (n,).

        Raises:
            InternalError: a bound is not between 1 and 2^62.
        """
        if not bounds.size:
            return np.empty(0, np.uint64)
        largest = int(bounds.max())
        _check(int(bounds.min()), largest)
        # The highest bit of bound - 1 is copied to all bits below it.
        masks = bounds - np.uint64(1)
        width = 1
        while width < (largest - 1).bit_length():
            masks |= masks >> np.uint64(width)
            width *= 2
        drawn = self.take(bounds.size) & masks
        again = np.flatnonzero(drawn >= bounds)
        while again.size:
            redrawn = self.take(again.size) & masks[again]
            drawn[again] = redrawn
            again = again[redrawn >= bounds[again]]
        return drawn

    def below_constant(self, bound: int, n: int) -> npt.NDArray[np.uint64]:
        """Return *n* uniform integers from 0 up to one bound, exclusive.

        Raises:
            InternalError: the bound is not between 1 and 2^62.
        """
        _check(bound, bound)
        mask = np.uint64((1 << (bound - 1).bit_length()) - 1)
        drawn = self.take(n) & mask
        if bound & (bound - 1):
            limit = np.uint64(bound)
            again = np.flatnonzero(drawn >= limit)
            while again.size:
                redrawn = self.take(again.size) & mask
                drawn[again] = redrawn
                again = again[redrawn >= limit]
        return drawn


def _check(smallest: int, largest: int) -> None:
    """Refuse bounds that cannot be drawn below."""
    if smallest < 1 or largest > LARGEST_BOUND:
        raise InternalError(
            "INTERNAL_ERROR",
            "Integers are drawn below a bound from 1 to 2^62; nothing was drawn.",
        )
