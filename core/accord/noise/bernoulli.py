# SPDX-License-Identifier: Apache-2.0
r"""Exact coins with the probabilities ``p/q`` and ``exp(-p/q)``, many at a time.

A rational coin is one comparison of integers. A coin of an exponential comes from the
*alternating scheme*: throw coins of ``gamma/1``, ``gamma/2``, ``gamma/3``... until the
first one that fails, and look whether its number is odd. That has the probability
``1 - gamma + gamma^2/2! - ...``, which is ``exp(-gamma)``. A coin of ``gamma/m`` is
thrown as the two coins ``1/m`` and ``gamma``, so that no product can grow too large
however many steps it takes.

Source: Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy",
NeurIPS 2020, arXiv 2004.00010, Algorithm 1; its idea is von Neumann's (1951).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from accord.noise.randomness import Words

Whole: TypeAlias = npt.NDArray[np.uint64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Places: TypeAlias = npt.NDArray[np.intp]


def bernoulli(words: Words, numerators: Whole, denominators: Whole) -> Flags:
    """Throw one coin of ``numerator/denominator`` for every pair.

    Shape: (n,), (n,) -> (n,). A numerator above its denominator is a sure success.
    """
    return words.below(denominators) < numerators


def bernoulli_constant(words: Words, numerator: int, denominator: int, n: int) -> Flags:
    """Throw *n* coins of one ``numerator/denominator``, at most 1."""
    return words.below_constant(denominator, n) < np.uint64(numerator)


def alternating(
    words: Words, n: int, passes: Callable[[Places], Places], *, first: int = 1
) -> Flags:
    """Throw *n* coins of ``exp(-gamma)``, each with a gamma of its own.

    Args:
        words: where the randomness comes from.
        n: number of coins.
        passes: gets places in ``range(n)``, throws a coin of gamma for each of them,
            with ``0 <= gamma <= 1``, and returns the places where it succeeded.
        first: number of the coin to begin with. Where gamma is 1, beginning at *first*
            leaves out coins that succeed surely or that the caller has already
            thrown: 2 is still ``exp(-1)``, and 3 is ``2 exp(-1)``.

    Shape: -> (n,).
    """
    odd = np.empty(n, np.bool_)
    going = np.arange(n)
    for number in itertools.count(first):
        if not going.size:
            break
        odd[going] = number % 2 == 1  # unless it goes on, and is told again
        if number > 1:
            going = going[words.below_constant(number, going.size) == 0]
        going = passes(going)
    return odd


def all_of(times: Whole, coins: Callable[[Places], Flags]) -> Flags:
    """Throw several coins at every place, and tell where all of them succeeded.

    Args:
        times: number of coins of each place; with none, the place succeeds.
        coins: gets places, throws a coin for each and tells which succeeded.

    Shape: (n,) -> (n,).
    """
    lives = np.ones(times.size, np.bool_)
    owing, paid = np.flatnonzero(times), 0
    while owing.size:
        won = coins(owing)
        lives[owing[~won]] = False
        paid += 1
        owing = owing[won]
        owing = owing[times[owing] > np.uint64(paid)]
    return lives


def bernoulli_exp(words: Words, numerators: Whole, denominator: int) -> Flags:
    """Throw one coin of ``exp(-numerator/denominator)`` for every numerator.

    Shape: (n,) -> (n,).
    """
    # exp(-5/2) is exp(-1) exp(-1) exp(-1/2): every factor must succeed.
    whole = numerators // np.uint64(denominator)
    rest = numerators - whole * np.uint64(denominator)
    lives = all_of(whole, lambda places: bernoulli_inverse_e(words, places.size))
    left = np.flatnonzero(lives & (rest > 0))
    part = rest[left]

    def passes(going: Places) -> Places:
        return going[words.below_constant(denominator, going.size) < part[going]]

    lives[left] = alternating(words, left.size, passes)
    return lives


def bernoulli_exp_constant(
    words: Words, numerator: int, denominator: int, n: int
) -> Flags:
    """Throw *n* coins of one ``exp(-numerator/denominator)``."""
    whole, rest = divmod(numerator, denominator)
    times = np.full(n, whole, np.uint64)
    lives = all_of(times, lambda places: bernoulli_inverse_e(words, places.size))
    if rest:
        left = np.flatnonzero(lives)

        def passes(going: Places) -> Places:
            return going[bernoulli_constant(words, rest, denominator, going.size)]

        lives[left] = alternating(words, left.size, passes)
    return lives


def bernoulli_inverse_e(words: Words, n: int) -> Flags:
    """Throw *n* coins of ``exp(-1)``."""
    return alternating(words, n, _surely, first=2)


def bernoulli_two_over_e(words: Words, n: int) -> Flags:
    """Throw *n* coins of ``2 exp(-1)``, which is below 1."""
    return alternating(words, n, _surely, first=3)


def _surely(going: Places) -> Places:
    """Pass everywhere: a coin of 1."""
    return going
