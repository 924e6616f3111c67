# SPDX-License-Identifier: Apache-2.0
"""The laws of opened noise are those of sums; intervals hold their level."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core import interval, laplace_sum
from accord.core.errors import InvalidQuery
from accord.core.opened import (
    GaussianSum,
    LaplaceSum,
    OpenedNoise,
    cumulative,
    half_width,
    noisiest_within,
    standard_deviation,
    upper_tail,
)
from accord.core.placement import Placement, plan_noise
from accord.core.privacy import (
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Mechanism,
)

Law = npt.NDArray[np.float64]
"""Probabilities of -K to K."""

SHAPES = [1, Fraction(50, 49), Fraction(10, 9), Fraction(5, 4), Fraction(3, 2), 2, 3, 9]
LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])


def by_fourier(scale: float, shape: float) -> Law:
    """Return the law of G - G' from its characteristic function."""
    ratio = math.exp(-1 / scale)
    size = 1 << math.ceil(math.log2(scale * (90 + 8 * shape) + 200))
    points = 2 * np.pi * np.arange(size) / size
    transform = np.abs((1 - ratio) / (1 - ratio * np.exp(1j * points))) ** (2 * shape)
    return np.fft.fftshift(np.real(np.fft.ifft(transform)))[1:]


def by_recurrence(scale: float, shape: float) -> Law:
    """Return the law of G - G' from its three-term recurrence, run backwards.

    From z f'(z) = r f(z) (bz/(1 - bz) - (b/z)/(1 - b/z)): b (k-1+r) p(k-1) =
    (1+b^2) k p(k) - b (k+1-r) p(k+1). Backwards it is stable (Miller's algorithm):
    what grows is the solution that is sought.
    """
    ratio = math.exp(-1 / scale)
    size = math.ceil(scale * (45 + 3 * shape)) + 60
    found = [0.0] * (size + 1)
    found[size - 1] = 1e-300
    for k in range(size - 1, 0, -1):
        here, above = found[k], found[k + 1]
        found[k - 1] = (k * (1 + ratio**2) * here - ratio * (k + 1 - shape) * above) / (
            ratio * (k - 1 + shape)
        )
        if found[k - 1] > 1e200:
            found[k - 1 :] = [each * 1e-200 for each in found[k - 1 :]]
    total = found[0] + 2 * math.fsum(found[1:])
    half = np.array(found) / total
    return np.concatenate([half[:0:-1], half])


def sum_of_gaussians(variance: Fraction, count: int, extra: Fraction | None) -> Law:
    """Return the law of shares and a top-up, convolved number by number."""

    def one(variance: float) -> Law:
        reach = math.ceil(12 * math.sqrt(variance)) + 5
        weights = np.exp(-0.5 * np.arange(-reach, reach + 1) ** 2 / variance)
        return np.asarray(weights / weights.sum())

    law = one(float(variance))
    for _ in range(count - 1):
        law = np.convolve(law, one(float(variance)))
    return law if extra is None else np.convolve(law, one(float(extra)))


def tail_of(law: Law, value: int) -> float:
    """Return the probability of *value* or more."""
    return math.fsum(law[len(law) // 2 + value :])


def inside(law: Law, width: int) -> float:
    """Return the probability of an interval."""
    middle = len(law) // 2
    return math.fsum(law[middle - width : middle + width + 1])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scale", [0.03, 0.4, 1.0, 1.001, 3.0, 10.0, 64.0, 200.25])
def test_the_law_of_polya_shares_is_what_a_fourier_transform_finds(
    scale: float, shape: Fraction | int
) -> None:
    """Tails from 1/2 to 1e-10; and, with relative precision, the recurrence's."""
    opened = LaplaceSum(scale=Fraction(scale), shape=Fraction(shape))
    fourier = by_fourier(scale, float(shape))
    recurrence = by_recurrence(scale, float(shape)) if scale >= 1 else None
    for unit in (0, 0.01, 0.3, 1, 2, 3, 5, 10, 20):
        value = max(1, int(unit * scale * math.sqrt(shape)))
        found = upper_tail(opened, value)
        assert found == pytest.approx(tail_of(fourier, value), rel=1e-9, abs=1e-13)
        if recurrence is not None:
            assert found == pytest.approx(tail_of(recurrence, value), rel=5e-9)


@given(
    st.floats(1.001, 2**32), st.floats(1, 1000), st.floats(0, 30), st.floats(0.02, 0.06)
)
def test_a_smaller_step_of_the_integral_changes_nothing(
    scale: float, shape: float, unit: float, step: float
) -> None:
    """Any scale, any cohort, far tails: the relative error stays below 1e-12."""
    value = max(1, int(unit * scale * math.sqrt(shape)))
    found = laplace_sum.tail(scale, shape, value)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(laplace_sum, "_STEP", step)
        other = laplace_sum._integrated(scale, shape, value)
    assert found == pytest.approx(other, rel=1e-12)


@given(st.integers(10, 2**42), st.floats(0, 60))
def test_one_part_is_the_discrete_laplace(numerator: int, unit: float) -> None:
    """In closed form, tail by tail, for every scale; so is its spread."""
    scale = Fraction(numerator, 1024)
    opened = LaplaceSum(scale=scale, shape=Fraction(1))
    mechanism = DiscreteLaplace(scale=scale)
    for value in (1, int(unit * scale) + 1):
        assert upper_tail(opened, value) == pytest.approx(
            upper_tail(mechanism, value), rel=1e-11
        )
    assert standard_deviation(opened) == pytest.approx(standard_deviation(mechanism))


def test_interval_and_spread_of_known_laplace_sums() -> None:
    """Scale 10: 36 for three agencies of which one may collude, 33 for 5, 31 for 10."""
    widths = {
        n: half_width(LaplaceSum(scale=Fraction(10), shape=Fraction(n, n - 1)))
        for n in (3, 5, 10)
    }
    assert {n: each.half_width for n, each in widths.items()} == {3: 36, 5: 33, 10: 31}
    for n, (width, level) in widths.items():
        law = by_fourier(10, n / (n - 1))
        assert level == pytest.approx(inside(law, width), abs=1e-8)
        values = np.arange(len(law)) - len(law) // 2
        variance = float(np.sum(law * values**2))
        opened = LaplaceSum(scale=Fraction(10), shape=Fraction(n, n - 1))
        assert standard_deviation(opened) == pytest.approx(math.sqrt(variance))


@given(
    st.integers(1449, 8 * 1024),
    st.integers(1, 9),
    st.one_of(st.none(), st.integers(1449, 16 * 1024)),
    LEVELS,
)
def test_the_law_of_gaussian_shares_is_that_of_their_sum(
    share: int, count: int, top_up: int | None, level: float
) -> None:
    """Number by number; the interval holds its level, and one less would not."""
    variance = Fraction(share, 1024) ** 2
    extra = None if top_up is None else Fraction(top_up, 1024) ** 2
    law = sum_of_gaussians(variance, count, extra)
    opened = GaussianSum(
        variance=count * variance + (extra or 0), deviation=Fraction(3, 10**8)
    )
    for unit in (0, 0.5, 1, 2, 4):
        value = int(unit * math.sqrt(opened.variance)) + 1
        assert upper_tail(opened, value) == pytest.approx(
            tail_of(law, value), rel=4e-8, abs=1e-12
        )
    values = np.arange(len(law)) - len(law) // 2
    assert standard_deviation(opened) == pytest.approx(
        math.sqrt(float(np.sum(law * values**2))), rel=1e-7
    )
    width, attained = half_width(opened, level)
    assert level <= attained <= inside(law, width)
    assert attained >= inside(law, width) - 1e-7
    assert width == 0 or inside(law, width - 1) < level + 1e-7


@given(st.sampled_from(SHAPES), st.integers(512, 60 * 1024), LEVELS)
def test_intervals_of_polya_shares_hold_their_level(
    shape: Fraction | int, numerator: int, level: float
) -> None:
    """In numbers from a Fourier transform; and one less would not."""
    scale = Fraction(numerator, 1024)
    opened = LaplaceSum(scale=scale, shape=Fraction(shape))
    law = by_fourier(float(scale), float(shape))
    width, attained = half_width(opened, level)
    assert level <= attained <= inside(law, width) + 1e-12
    assert attained >= inside(law, width) - 1e-8
    assert width == 0 or inside(law, width - 1) < level + 1e-8


def test_a_deviation_widens_intervals_and_never_narrows_them() -> None:
    """A law that is only known up to a factor gets the benefit of no doubt."""
    sure = GaussianSum(variance=Fraction(100), deviation=Fraction(0))
    unsure = GaussianSum(variance=Fraction(100), deviation=Fraction(3, 10))
    assert half_width(sure).half_width == 20
    assert half_width(unsure).half_width == 21
    outside = [1 - half_width(each, 0.5).level for each in (sure, unsure)]
    assert outside[1] < math.exp(0.3) * outside[0]
    assert half_width(sure, 0.5).half_width < half_width(unsure, 0.5).half_width


@given(st.integers(1024, 2**30), st.integers(0, 10**6), LEVELS)
def test_plain_mechanisms_are_as_before(
    numerator: int, value: int, level: float
) -> None:
    """Where the hub adds everything, the law is the mechanism's."""
    for build in (DiscreteGaussian, DiscreteLaplace):
        mechanism = build(scale=Fraction(numerator, 1024))
        assert upper_tail(mechanism, value) == interval.upper_tail(mechanism, value)
        assert half_width(mechanism, level) == interval.half_width(mechanism, level)
        assert standard_deviation(mechanism) == interval.standard_deviation(mechanism)


@pytest.mark.parametrize(
    "opened",
    [
        GaussianSum(variance=Fraction(9), deviation=Fraction(0)),
        LaplaceSum(scale=Fraction(3), shape=Fraction(5, 4)),
        DiscreteGaussian(scale=Fraction(3)),
    ],
    ids=str,
)
def test_both_tails_are_one_law(opened: OpenedNoise) -> None:
    """Symmetric; what is not above is below."""
    for value in range(-8, 9):
        assert cumulative(opened, value) == pytest.approx(upper_tail(opened, -value))
        assert cumulative(opened, value) + upper_tail(opened, value + 1) == (
            pytest.approx(1, abs=1e-12)
        )
        assert cumulative(opened, value - 1) < cumulative(opened, value)


@pytest.mark.parametrize(
    ("accounting", "placement"),
    [
        (Accounting.ZCDP, Placement.SHARED),
        (Accounting.ZCDP, Placement.AGENTS),
        (Accounting.ZCDP, Placement.HUB),
        (Accounting.PURE, Placement.AGENTS),
        (Accounting.PURE, Placement.HUB),
    ],
)
@given(
    width=st.one_of(st.integers(30, 400), st.integers(30, 10**8)),
    members=st.integers(2, 12),
    level=st.sampled_from([0.9, 0.95]),
)
def test_a_wanted_width_is_that_of_what_is_opened(
    accounting: Accounting,
    placement: Placement,
    width: int,
    members: int,
    level: float,
) -> None:
    """The noisiest mechanism that fits; three steps of 1/1024 more are too many."""

    def opened_of(mechanism: Mechanism) -> OpenedNoise:
        return plan_noise(
            placement, mechanism, members=members, colluding=1, d1=70, d2_squared=1250
        ).opened

    found = noisiest_within(accounting, width, opened_of, level)
    assert found.accounting is accounting
    assert half_width(opened_of(found), level).half_width <= width
    noisier = type(found)(scale=found.scale + Fraction(3, 1024))
    assert half_width(opened_of(noisier), level).half_width > width


@pytest.mark.parametrize("placement", [Placement.SHARED, Placement.AGENTS])
def test_a_width_that_no_shares_reach_is_refused(placement: Placement) -> None:
    """Twelve shares of variance 2 are wider than ±9; the sentence says what to do."""

    def opened_of(mechanism: Mechanism) -> OpenedNoise:
        return plan_noise(
            placement, mechanism, members=12, colluding=1, d1=70, d2_squared=1250
        ).opened

    with pytest.raises(InvalidQuery) as refused:
        noisiest_within(Accounting.ZCDP, 8, opened_of)
    assert refused.value.reason == "NOISE_TOO_SMALL"
    assert half_width(
        opened_of(noisiest_within(Accounting.ZCDP, 10, opened_of))
    ).half_width in {9, 10}


def test_other_errors_of_a_plan_are_not_taken_for_too_little_noise() -> None:
    """They come through."""

    def broken(mechanism: Mechanism) -> OpenedNoise:
        return plan_noise(
            Placement.SHARED, mechanism, members=1, colluding=1, d1=1, d2_squared=1
        ).opened

    with pytest.raises(InvalidQuery) as refused:
        noisiest_within(Accounting.ZCDP, 50, broken)
    assert refused.value.reason == "PLACEMENT_INVALID"


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, math.nan])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidQuery) as refused:
        half_width(LaplaceSum(scale=Fraction(3), shape=Fraction(5, 4)), level)
    assert refused.value.reason == "LEVEL_INVALID"
    with pytest.raises(InvalidQuery):
        noisiest_within(Accounting.ZCDP, 5, lambda mechanism: mechanism, level)


def test_an_error_below_zero_is_refused() -> None:
    """No noise is that precise."""
    with pytest.raises(InvalidQuery) as refused:
        noisiest_within(Accounting.ZCDP, -1, lambda mechanism: mechanism)
    assert refused.value.reason == "ERROR_INVALID"
