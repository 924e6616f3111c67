# SPDX-License-Identifier: Apache-2.0
"""One change of level in a row of noisy figures: a scan with a stated false-alarm rate.

Null hypothesis: all figures have one expected value, and are independent. They differ
by the noise, whose standard deviation is published, and by chance: a count varies by
*dispersion* times its expected value (1 is Poisson's law; cases that come in groups
have more).

The statistic is the largest likelihood ratio of a step over all places where one could
be (Worsley, Biometrika 73 (1986)); with weights, because figures can have different
noise. Where the dispersion is not given, the statistic is divided by the mean square of
neighbours' differences (von Neumann, 1941), which one step hardly touches. That is
never taken to be below what noise and Poisson's law make; leaving this floor out of
the simulated null can only raise the threshold, so the rate stays on the safe side.

The threshold comes from series simulated under the null (a Monte Carlo test: Dwass,
Ann. Math. Statist. 28 (1957)), with the noise's own law and skewed counts, rounded to a
coarse grid so that it is simulated once. Seeds are fixed: the same figures always get
the same verdict.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
import math
import random
from collections.abc import Sequence
from typing import Final

SIMULATED: Final = 3999
"""Series under the null that a threshold is taken from."""

SHORTEST: Final = 2
"""Figures on either side of a change: one odd figure is no level."""

NEEDED: Final = {True: 8, False: 4}
"""Figures that it takes: where their dispersion is estimated, and where it is given."""

_SHAPE_OF_NORMAL: Final = 64
"""Counts with a larger shape than this are simulated as normal."""

_SHARES: Final = 0.25
"""Steps in which the noise's part of the variance is rounded."""

_RATIO: Final = 1.1
"""Variances are rounded to powers of it before they are simulated."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Neighbouring figures that can be compared."""

    values: tuple[float, ...]
    sds: tuple[float, ...]
    """Of the noise alone."""
    counts: bool
    """Whether they vary at least by Poisson's law."""
    dispersion: float | None = None
    """Variance of the counts over their mean; estimated where it is not given."""
    laplace: bool = False
    """Whether the noise is Laplace's."""

    def part(self, begin: int, end: int) -> Figures:
        """Return some of them."""
        return dataclasses.replace(
            self, values=self.values[begin:end], sds=self.sds[begin:end]
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The most likely place of a change, and how often chance would make such a one."""

    at: int
    """Index of the first figure of the new level."""
    p_value: float
    """Share of series without any change that look at least as much like one."""
    inflation: float
    """Variance of the figures over that of noise and Poisson's law, at least 1."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Null:
    """What the null's simulation depends on, on a coarse grid."""

    variances: tuple[float, ...]
    """In units of their mean."""
    estimated: bool
    laplace: bool
    noise_share: float
    """Part of the variance that is noise."""
    shape: int
    """Of the gamma law that stands for the counts; 0 for a normal one."""


def likeliest_step(figures: Figures) -> Step | None:
    """Return the likeliest change of level; ``None`` where there are too few figures.

    It is an alarm where its ``p_value`` is at most the wanted false-alarm rate.
    """
    estimated = figures.dispersion is None
    if len(figures.values) < NEEDED[estimated]:
        return None
    variances = variances_of(figures)
    at, largest = _largest(figures.values, variances)
    raw = _mean_square(figures.values, variances) if estimated else 1.0
    inflation = max(raw, 1.0)
    null = _null(figures, variances, inflation)
    maxima = _maxima(null)
    as_large = len(maxima) - bisect.bisect_left(maxima, largest / inflation)
    p_value = (1 + as_large) / (1 + len(maxima))
    return Step(at=at, p_value=p_value, inflation=inflation)


def variances_of(figures: Figures) -> list[float]:
    """Return the variance of every figure around one common expected value."""
    noise = [sd * sd for sd in figures.sds]
    if not figures.counts:
        return [max(each, _TINY) for each in noise]
    level = _weighted_mean(figures.values, [each + 1.0 for each in noise])
    chance = (figures.dispersion or 1.0) * max(level, 0.0)
    return [max(each + chance, _TINY) for each in noise]


_TINY: Final = 1e-12


def _weighted_mean(values: Sequence[float], variances: Sequence[float]) -> float:
    weights = [1.0 / each for each in variances]
    return math.fsum(map(float.__mul__, weights, map(float, values))) / sum(weights)


def _largest(values: Sequence[float], variances: Sequence[float]) -> tuple[int, float]:
    """Return where the likelihood ratio of a step is largest, and that ratio."""
    weights = [1.0 / each for each in variances]
    total = sum(weights)
    mean = sum(w * y for w, y in zip(weights, values, strict=True)) / total
    left = deviation = 0.0
    best, place = -1.0, 0
    last = len(values) - SHORTEST
    for index in range(last):
        left += weights[index]
        deviation += weights[index] * (values[index] - mean)
        if index + 1 < SHORTEST:
            continue
        ratio = deviation * deviation * total / (left * (total - left))
        if ratio > best:
            best, place = ratio, index + 1
    return place, best


def _mean_square(values: Sequence[float], variances: Sequence[float]) -> float:
    """Return the mean square of neighbours' differences over what is expected."""
    pairs = zip(itertools.pairwise(values), itertools.pairwise(variances), strict=True)
    squares = [(b - a) ** 2 / (v + w) for (a, b), (v, w) in pairs]
    return sum(squares) / len(squares)


def _null(figures: Figures, variances: Sequence[float], inflation: float) -> _Null:
    mean = sum(variances) / len(variances)
    noise = sum(sd * sd for sd in figures.sds) / len(figures.sds)
    share = min(noise / (mean * inflation), 1.0)
    # Towards what has the heavier tails, Laplace's noise or skewed counts.
    towards = math.ceil if figures.laplace else math.floor
    simulated = towards(share / _SHARES) * _SHARES
    shape = 0
    if figures.counts and simulated < 1.0:
        level = max(sum(figures.values) / len(figures.values), 1.0)
        exact = level * level / max(mean * inflation - noise, _TINY)
        if exact < _SHAPE_OF_NORMAL:
            shape = 2 ** math.floor(math.log2(max(exact, 1.0)))
    return _Null(
        variances=tuple(_on_grid(each / mean) for each in variances),
        estimated=figures.dispersion is None,
        laplace=figures.laplace,
        noise_share=simulated,
        shape=shape,
    )


def _on_grid(ratio: float) -> float:
    return float(round(_RATIO ** round(math.log(ratio, _RATIO)), 6))


@functools.lru_cache(maxsize=256)
def _maxima(null: _Null) -> list[float]:
    """Return the statistic of simulated series under the null, in order."""
    chance = random.Random(repr(null))  # noqa: S311 - a simulation, not a secret
    found = []
    for _ in range(SIMULATED):
        values = [math.sqrt(v) * _deviate(null, chance) for v in null.variances]
        _, largest = _largest(values, null.variances)
        if null.estimated:
            largest /= _mean_square(values, null.variances) or _TINY
        found.append(largest)
    found.sort()
    return found


def _deviate(null: _Null, chance: random.Random) -> float:
    """Return noise and chance together, with mean 0 and variance 1."""
    share = null.noise_share
    if share == 1.0 and not null.laplace:
        return chance.gauss(0.0, 1.0)
    deviate = 0.0
    if share:
        noise = chance.gauss(0.0, 1.0)
        if null.laplace:
            noise = _laplace(chance)
        deviate += math.sqrt(share) * noise
    if share < 1.0:
        count = chance.gauss(0.0, 1.0)
        if null.shape:
            gamma = chance.gammavariate(null.shape, 1.0)
            count = (gamma - null.shape) / math.sqrt(null.shape)
        deviate += math.sqrt(1.0 - share) * count
    return deviate


def _laplace(chance: random.Random) -> float:
    """Return a draw of Laplace's law with variance 1."""
    return (chance.expovariate(1.0) - chance.expovariate(1.0)) / math.sqrt(2.0)
