# SPDX-License-Identifier: Apache-2.0
"""No slope has more noise outside its reach than is allowed, and hardly less."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.laplace_difference import Reach, reach, tail
from accord.core.opened import LaplaceSum, upper_tail
from accord.core.privacy import DiscreteLaplace
from tests.unit.core.test_opened import by_fourier

LEVEL = 0.95
SLOPES = [0.0, 0.003, 0.2, 1 / 3, 0.77, 1.0, 1.31, 2.0, 9.7, 300.0]
Noise = DiscreteLaplace | LaplaceSum


def laplace(scale: Fraction | int) -> DiscreteLaplace:
    return DiscreteLaplace(scale=Fraction(scale))


def shares(scale: Fraction | int, shape: Fraction | int) -> LaplaceSum:
    return LaplaceSum(scale=Fraction(scale), shape=Fraction(shape))


COARSE: list[Noise] = [
    laplace(Fraction(1, 4)),
    laplace(1),
    laplace(Fraction(17, 2)),
    shares(Fraction(1, 2), Fraction(5, 4)),
    shares(5, Fraction(5, 4)),
    shares(40, 9),
]
FINE: list[Noise] = [
    laplace(64),
    laplace(900),
    shares(70, Fraction(10, 9)),
    shares(160, Fraction(3, 2)),
    shares(300, 5),
]


def closed_form(slope: float, value: float) -> float:
    """Return P(L - slope L' > value) of two Laplace laws of scale 1."""
    if slope == 1:
        return (1 + value / 2) * math.exp(-value) / 2
    second = slope**2 * math.exp(-value / slope) if slope else 0.0
    return (math.exp(-value) - second) / (2 * (1 - slope**2))


@given(st.sampled_from([0.0, 0.01, 0.25, 0.5, 0.9, 1.0]), st.floats(0.01, 60.0))
def test_the_tail_of_one_share_is_the_closed_form(slope: float, value: float) -> None:
    assert tail(1.0, slope, value) == pytest.approx(
        closed_form(slope, value), rel=1e-10
    )


@pytest.mark.parametrize("shape", [1.25, 2.0, 7.0])
@pytest.mark.parametrize("slope", [0.0, 0.25, 0.5])
def test_the_tail_of_more_is_the_limit_of_exact_sums(
    shape: float, slope: float
) -> None:
    """Of two laws on a lattice so fine that only its midpoints are left to mind."""
    scale = 400
    law = by_fourier(scale, shape)
    reached = len(law) // 2
    above = np.cumsum(law[::-1])[::-1]  # of -reached and more, and so on
    for value in (1.0, 4.0, 9.0):
        least = value * scale + 0.5 + slope * (np.arange(len(law)) - reached)
        at = np.clip(np.ceil(least).astype(int) + reached, 0, len(law) - 1)
        exact = float((law * above[at]).sum())
        assert tail(shape, slope, value) == pytest.approx(exact, rel=6e-3)


def outside(noise: Noise, slope: float) -> float:
    """Return the exact P(|K - slope M| > q(slope)), by summing over M."""
    scale, shape = float(noise.scale), float(getattr(noise, "shape", 1))
    far = reach(noise, LEVEL).at(slope)
    law = by_fourier(scale, shape)
    reached = len(law) // 2
    above = np.append(np.cumsum(law[::-1])[::-1], 0.0)
    moved = slope * (np.arange(len(law)) - reached)
    total = 0.0
    for way in (1, -1):
        # The least integer k with way k > far + way moved.
        least = np.floor(far + way * moved).astype(np.int64) + 1
        at = np.clip(least + reached, 0, len(law))
        total += float((law * above[at]).sum())
    return total


@pytest.mark.parametrize("noise", [*COARSE, *FINE], ids=str)
@pytest.mark.parametrize("slope", SLOPES)
def test_no_more_is_outside_than_allowed(noise: Noise, slope: float) -> None:
    found = outside(noise, slope)
    assert found <= (1 - LEVEL) * (1 + 1e-9) + 1e-12
    if noise in FINE:
        assert found >= (1 - LEVEL) * 0.96


def test_the_coarsest_noise_is_boxed() -> None:
    """Two intervals of 97.5 % each, as their sum is not known to be near anything."""
    noise = shares(Fraction(1, 2), Fraction(5, 4))
    found = reach(noise, LEVEL)
    width = int(found.step)
    assert 2 * upper_tail(noise, width + 1) <= 0.025
    assert found.at(-3.0) == 4 * width


REACHES = st.builds(
    reach,
    st.sampled_from([*COARSE, *FINE]),
    st.sampled_from([0.5, 0.95, 0.99]),
)
REAL = st.floats(-50, 50)


@given(REACHES, REAL, REAL)
def test_a_reach_is_even_and_grows_and_is_convex(
    far: Reach, one: float, other: float
) -> None:
    """Which is what the ends of a ratio's interval are found by."""
    assert far.at(one) == far.at(-one)
    low, high = sorted((abs(one), abs(other)))
    assert far.at(low) <= far.at(high) * (1 + 1e-12)
    middle = far.at((one + other) / 2)
    assert middle <= (far.at(one) + far.at(other)) / 2 * (1 + 1e-9)


@given(REACHES, st.floats(0.01, 100))
def test_a_reach_does_not_mind_which_figure_is_called_the_first(
    far: Reach, slope: float
) -> None:
    """|K - t M| = t |M - K / t|, in law."""
    assert far.at(slope) == pytest.approx(slope * far.at(1 / slope), rel=1e-9)


def test_chords_are_hardly_above_the_quantile() -> None:
    table = reach(laplace(64), LEVEL).table
    for node, (low, high) in enumerate(itertools.pairwise(table)):
        slope = (node + 0.5) / (len(table) - 1)
        middle = (low + high) / 2
        assert 0.05 * 0.9995 <= 2 * closed_form(slope, middle) <= 0.05
