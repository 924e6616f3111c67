# SPDX-License-Identifier: Apache-2.0
"""All courses that a sampler can take, each with its probability.

A sampler is run again and again, and every uniform integer that it asks for takes each
of its values in turn. Courses that become too unlikely are broken off, and what they
weigh is known: the law that comes out is exact up to that remainder, without a sample.

What is made of coins has far more courses than can be gone through. Such a sampler is
looked at with every exponential coin as one throw of its probability
(`with_whole_coins`), after the coins themselves have been gone through.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from accord.noise.randomness import Words

Outcome = TypeVar("Outcome")
Coins = npt.NDArray[np.bool_]


class TooUnlikelyError(Exception):
    """The course weighs less than what matters."""


class Course(Words):
    """Not random at all: the numbers that this course of the sampler meets."""

    __slots__ = ("least", "met", "position", "probability")

    def __init__(self, met: list[tuple[int, list[float]]], least: float) -> None:
        self.met = met
        self.least = least
        self.position = 0
        self.probability = 1.0

    def among(self, weights: list[float]) -> int:
        """Return the next number, of which each has a weight."""
        if self.position == len(self.met):
            if self.probability < self.least:
                raise TooUnlikelyError
            self.met.append((0, weights))
        choice, recorded = self.met[self.position]
        assert recorded == weights, "the sampler must depend on its numbers alone"
        self.position += 1
        self.probability *= weights[choice]
        return choice

    def taken(self) -> list[list[float]]:
        """Return among which weights this course has chosen so far."""
        return [weights for _, weights in self.met[: self.position]]

    def choose(self, bound: int) -> int:
        """Return the next number below a bound."""
        return 0 if bound == 1 else self.among([1 / bound] * bound)

    def coin(self, probability: float) -> bool:
        """Throw a coin of any probability."""
        if probability in {0.0, 1.0}:
            return probability == 1.0
        return self.among([1 - probability, probability]) == 1

    def take(self, n: int) -> npt.NDArray[np.uint64]:
        raise AssertionError("64 bits at once are too many to go through")

    def below(self, bounds: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        return np.array([self.choose(int(bound)) for bound in bounds], np.uint64)

    def below_constant(self, bound: int, n: int) -> npt.NDArray[np.uint64]:
        return np.array([self.choose(bound) for _ in range(n)], np.uint64)


def law_of(
    program: Callable[[Course], Outcome], least: float
) -> tuple[dict[Outcome, float], float]:
    """Return the probabilities of all outcomes, and what was broken off."""
    found: dict[Outcome, list[float]] = collections.defaultdict(list)
    broken_off: list[float] = []
    met: list[tuple[int, list[float]]] = []
    while True:
        course = Course(met, least)
        try:
            found[program(course)].append(course.probability)
        except TooUnlikelyError:
            broken_off.append(course.probability)
        while met and met[-1][0] + 1 == len(met[-1][1]):
            met.pop()
        if not met:
            break
        met[-1] = (met[-1][0] + 1, met[-1][1])
    law = {outcome: math.fsum(courses) for outcome, courses in found.items()}
    remainder = math.fsum(broken_off)
    assert math.fsum([*law.values(), remainder]) == pytest.approx(1, abs=1e-9)
    return law, remainder


def assert_law(
    program: Callable[[Course], Outcome],
    expected: Mapping[Outcome, float],
    *,
    least: float,
    within: float,
) -> None:
    """Hold a program to the probabilities that it should have.

    They must lie between what was found and that plus what was broken off, which must
    be small for the comparison to say anything.
    """
    found, broken_off = law_of(program, least)
    assert broken_off < within, f"{broken_off} of the courses were broken off"
    rounding = 1e-11
    for outcome, probability in expected.items():
        lower = found.get(outcome, 0.0)
        assert lower - rounding <= probability, outcome
        assert probability <= lower + broken_off + rounding, outcome


def _thrown(course: Any, probabilities: Sequence[float]) -> Coins:  # noqa: ANN401 - a Course, where the sampler takes any Words
    return np.array([course.coin(probability) for probability in probabilities], bool)


def _exp(words: Words, numerators: npt.NDArray[np.uint64], denominator: int) -> Coins:
    return _thrown(words, [math.exp(-int(one) / denominator) for one in numerators])


def _exp_constant(words: Words, numerator: int, denominator: int, n: int) -> Coins:
    return _thrown(words, [math.exp(-numerator / denominator)] * n)


def _inverse_e(words: Words, n: int) -> Coins:
    return _thrown(words, [math.exp(-1)] * n)


def _two_over_e(words: Words, n: int) -> Coins:
    return _thrown(words, [2 * math.exp(-1)] * n)


WHOLE_COINS = {
    "bernoulli_exp": _exp,
    "bernoulli_exp_constant": _exp_constant,
    "bernoulli_inverse_e": _inverse_e,
    "bernoulli_two_over_e": _two_over_e,
}


def with_whole_coins(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    """Let a sampler throw each of its exponential coins as one."""
    replaced = [name for name in WHOLE_COINS if hasattr(module, name)]
    assert replaced
    for name in replaced:
        monkeypatch.setattr(module, name, WHOLE_COINS[name])
