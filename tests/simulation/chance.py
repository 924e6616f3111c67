# SPDX-License-Identifier: Apache-2.0
"""Chance that can be repeated, and noise and figures that the simulation knows.

Only here does a seed stand where programs ask the operating system. Figures are counted
by the real store; to each vector that an agency masks, a power of two is added that no
other vector has in the same cell. So an opened sum tells which vectors are in it: a
replay, an omission or a mixture shows.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import random
from collections.abc import Callable, Iterable
from typing import Final, SupportsIndex

import numpy as np
import numpy.typing as npt
import pytest

from accord.hub.releases.release import Published, make_noisy
from accord.secagg.masks import Words
from accord.secagg.messages import Receipt
from tests.simulation.patching import Passed, around

Vector = npt.NDArray[np.int64]

_BITS: Final = 36
"""Powers of two in one cell; higher ones would be no count any more."""

_LOWEST: Final = 3

_MOST_NOISE: Final = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Contribution:
    """What one agency masked, once."""

    agency: str
    transcript: bytes
    vector: Vector


@dataclasses.dataclass(frozen=True, slots=True)
class Draw:
    """What the hub opened, and the same with its noise."""

    opened: tuple[int, ...]
    noisy: tuple[int, ...]


class Chance:
    """All that is drawn in one history."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._marks = 0
        self.contributions: dict[bytes, Contribution] = {}
        """By the digest of the masked vector, which the receipt has."""
        self.draws: dict[str, Draw] = {}
        """By release."""

    def rule(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the operating system."""
        patch.setattr(os, "urandom", self._random.randbytes)
        patch.setattr("accord.agent.network.renewal._RANDOM", self._random)
        rounds = "accord.agent.rounds"
        around(patch, f"{rounds}.ready.make_ready", self._fresh)
        around(patch, f"{rounds}.masking.counts", self._marked)
        around(patch, f"{rounds}.masking.make_masked", self._noted)
        patch.setattr("accord.hub.releases.release.add_noise", self._noise)
        patch.setattr("accord.hub.rounds.conclusion.make_noisy", self._drawn)

    def _fresh(self, make: Callable[..., Passed]) -> Callable[..., Passed]:
        @functools.wraps(make)
        def fresh(*given: Passed) -> Passed:
            return make(*given, ephemeral=self._random.randbytes(32))

        return fresh

    def _marked(self, count: Callable[..., Vector]) -> Callable[..., Vector]:
        def marked(*given: Passed) -> Vector:
            vector = count(*given)
            cell, bit = divmod(self._marks, _BITS - _LOWEST)
            vector[cell] += 1 << (_LOWEST + bit)
            self._marks += 1
            return vector

        return marked

    def _noted(
        self, make: Callable[..., tuple[Receipt, Words]]
    ) -> Callable[..., tuple[Receipt, Words]]:
        def noted(keys: Passed, **given: Passed) -> tuple[Receipt, Words]:
            receipt, words = make(keys, **given)
            self.contributions[receipt.vector_digest] = Contribution(
                receipt.agency, receipt.transcript, given["vector"].copy()
            )
            return receipt, words

        return noted

    def _noise(
        self, vector: Iterable[SupportsIndex], *_of: Passed, **_at: int
    ) -> Passed:
        reach = _MOST_NOISE
        return [int(each) + self._random.randint(-reach, reach) for each in vector]

    def _drawn(
        self, published: Published, opened: Passed, **given: Passed
    ) -> list[int]:
        noisy = make_noisy(published, opened, **given)
        draw = Draw(tuple(int(each) for each in opened), tuple(noisy))
        self.draws[published.id] = draw
        return noisy
