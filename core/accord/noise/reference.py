# SPDX-License-Identifier: Apache-2.0
"""The laws, draw by draw, on whole numbers of any size: slow, short, to be read.

Production draws many at a time by other algorithms (`accord.noise.gaussian`,
`accord.noise.polya`); tests compare the two. Every function takes *randbelow*, which
returns a uniform integer from 0 up to its argument, exclusive: ``secrets.randbelow``,
or the method of a seeded generator.

Source: Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy",
NeurIPS 2020, arXiv 2004.00010, Algorithms 1 (`bernoulli_exp`), 2 (`geometric`,
`discrete_laplace`) and 3 (`discrete_gaussian`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

RandBelow: TypeAlias = Callable[[int], int]


def bernoulli(randbelow: RandBelow, probability: Fraction) -> bool:
    """Throw a coin of a rational probability."""
    return randbelow(probability.denominator) < probability.numerator


def bernoulli_exp(randbelow: RandBelow, exponent: Fraction) -> bool:
    """Throw a coin of ``exp(-exponent)``, with an exponent of at least 0."""
    while exponent > 1:
        if not bernoulli_exp(randbelow, Fraction(1)):
            return False
        exponent -= 1
    for number in itertools.count(1):
        if not bernoulli(randbelow, Fraction(exponent, number)):
            break
    return number % 2 == 1


def geometric(randbelow: RandBelow, scale: Fraction) -> int:
    """Draw k from 0 on with ``P(k) ~ exp(-k/scale)``."""
    # Steps of 1/numerator, with the ratio exp(-1/numerator), and then so many of them
    # to a whole as the denominator says.
    while True:
        step = randbelow(scale.numerator)
        if bernoulli_exp(randbelow, Fraction(step, scale.numerator)):
            break
    while bernoulli_exp(randbelow, Fraction(1)):
        step += scale.numerator
    return step // scale.denominator


def discrete_laplace(randbelow: RandBelow, scale: Fraction) -> int:
    """Draw k with ``P(k) ~ exp(-|k|/scale)``."""
    while True:
        negative = randbelow(2) == 1
        size = geometric(randbelow, scale)
        if size or not negative:  # zero must not come up twice as often
            return -size if negative else size


def discrete_gaussian(randbelow: RandBelow, scale: Fraction) -> int:
    """Draw k with ``P(k) ~ exp(-k^2 / (2 scale^2))``."""
    width = Fraction(scale.numerator // scale.denominator + 1)
    while True:
        k = discrete_laplace(randbelow, width)
        excess = abs(k) - scale**2 / width
        if bernoulli_exp(randbelow, excess**2 / (2 * scale**2)):
            return k


def negative_binomial(randbelow: RandBelow, scale: Fraction, parts: int) -> int:
    """Draw k with ``P(k) ~ C(k + r - 1, k) exp(-k/scale)`` and ``r = 1/parts``.

    A geometric k is kept with the product of ``(j + r) / (j + 1)`` over all j below k.
    """
    while True:
        k = geometric(randbelow, scale)
        if all(
            bernoulli(randbelow, Fraction(j * parts + 1, (j + 1) * parts))
            for j in range(k)
        ):
            return k


def polya(randbelow: RandBelow, scale: Fraction, parts: int) -> int:
    """Draw a share, of which *parts* sum to a discrete Laplace draw."""
    more = negative_binomial(randbelow, scale, parts)
    return more - negative_binomial(randbelow, scale, parts)
