# SPDX-License-Identifier: Apache-2.0
"""However an adversary spreads what the bound left out, intervals cover the rest."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.measure import FINE_SCALE
from accord.core.opened import GaussianSum, OpenedNoise, half_width, upper_tail
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.core.whole_error import LEVEL, dropped_share, most_lost, whole_error

NOISES: list[OpenedNoise] = [
    DiscreteGaussian(scale=Fraction(1)),
    DiscreteGaussian(scale=Fraction(37)),
    DiscreteLaplace(scale=Fraction(21, 2)),
    GaussianSum(variance=Fraction(90), deviation=Fraction(1, 10**8)),
]
noises = st.sampled_from(NOISES)


def missed(noise: OpenedNoise, below: int, above: int, lost: int) -> float:
    """Return the probability that a figure which lost so much is not covered.

    The figure is b + k and the truth b + lost: covered where -below <= lost - k and
    lost - k <= above.
    """
    return upper_tail(noise, lost + below + 1) + upper_tail(noise, above - lost + 1)


@st.composite
def losses(draw: st.DrawFn) -> list[int]:
    """Draw what every figure of a table has lost, in quanta, evenly or in heaps."""
    figures = draw(st.integers(1, 400))
    heaps = draw(st.lists(st.integers(0, 3000), max_size=30))
    rest = draw(st.integers(0, 3))
    return [*heaps[:figures], *[rest] * (figures - len(heaps[:figures]))]


@given(noises, losses(), st.sampled_from([1, 4]))
def test_no_spread_of_losses_breaks_the_level(
    noise: OpenedNoise, lost: list[int], quantum: int
) -> None:
    found = whole_error(
        noise, lost=sum(lost) * quantum, figures=len(lost), quantum=quantum
    )
    parts = [missed(noise, found.below, found.above, each * quantum) for each in lost]
    # The bound on all losses may fail as well, in one case of 1000.
    assert sum(parts) / len(parts) <= 1 - found.level - 0.001 + 1e-9
    assert found.level >= LEVEL


@given(noises, st.integers(1, 2000), st.integers(0, 5000), st.integers(0, 5000))
def test_the_worst_heaps_do_not_break_it_either(
    noise: OpenedNoise, figures: int, lost: int, height: int
) -> None:
    found = whole_error(noise, lost=lost, figures=figures)
    # As many figures as can have lost just too much, and for comparison any height.
    for heap in (found.above - found.below + 1, height + 1):
        heaps = min(figures, lost // heap)
        worst = heaps * missed(noise, found.below, found.above, heap)
        worst += (figures - heaps) * missed(noise, found.below, found.above, 0)
        assert worst / figures <= 0.05 - 0.001 + 1e-9


@given(noises, st.integers(-200, 10**6), st.sampled_from([1, 16]))
def test_the_bound_on_losses_fails_at_most_once_in_a_thousand(
    noise: OpenedNoise, true: int, scale: int
) -> None:
    true = abs(true)
    # It fails where the noise k of dropped has most_lost(true scale + k) < true.
    low, high = -true * scale - 10**7, 0
    while high - low > 1:
        middle = (low + high) // 2
        fails = most_lost(noise, true * scale + middle, scale) < true
        low, high = (middle, high) if fails else (low, middle)
    assert upper_tail(noise, -low) <= 0.001 + 1e-12


@given(noises, st.integers(1, 10**5))
def test_where_nothing_is_lost_it_is_nearly_the_interval_of_the_noise(
    noise: OpenedNoise, figures: int
) -> None:
    found = whole_error(noise, lost=0, figures=figures)
    narrow = half_width(noise, 0.952).half_width
    assert found.below == found.above <= narrow


def test_few_figures_can_lose_no_more_than_all_of_them_lost() -> None:
    noise = DiscreteGaussian(scale=Fraction(8))
    found = whole_error(noise, lost=12, figures=4, quantum=4)
    assert found.above - found.below <= 12


@pytest.mark.parametrize(
    ("lost", "figures", "quantum"), [(-1, 1, 1), (0, 0, 1), (0, 1, 0)]
)
def test_impossible_tables_are_refused(lost: int, figures: int, quantum: int) -> None:
    with pytest.raises(ValueError, match="whole and not negative"):
        whole_error(NOISES[0], lost=lost, figures=figures, quantum=quantum)


@pytest.mark.parametrize("groups", [1, 2, 3, 8])
def test_a_weighed_person_loses_no_more_than_what_dropped_counts(groups: int) -> None:
    for held in range(groups + 1, FINE_SCALE**2 * groups + 1, 7):
        weight = math.isqrt(FINE_SCALE**2 * groups // held)
        assert held * (FINE_SCALE - weight) <= (held - groups) * FINE_SCALE, held


@pytest.mark.parametrize(
    ("counted", "dropped", "share"),
    [(90, 10, 0.1), (-5, -3, 0.0), (-5, 3, 1.0), (100, -1, 0.0), (0, 0, 0.0)],
)
def test_the_dropped_share_lies_between_0_and_1(
    counted: int, dropped: int, share: float
) -> None:
    assert dropped_share(counted, dropped) == share
