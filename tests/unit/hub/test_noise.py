# SPDX-License-Identifier: Apache-2.0
"""OpenDP draws what was paid for, or nothing is drawn."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import InternalError, InvalidQuery
from accord.core.privacy import (
    Accounting,
    DiscreteGaussian,
    DiscreteLaplace,
    Loss,
    Mechanism,
    mechanism_class,
)
from accord.hub.releases import noise
from accord.hub.releases.noise import add_noise

WIDE: list[Mechanism] = [
    DiscreteGaussian(scale=Fraction(1000)),
    DiscreteLaplace(scale=Fraction(1000)),
]
NARROW: list[Mechanism] = [
    DiscreteGaussian(scale=Fraction(1, 1024)),
    DiscreteLaplace(scale=Fraction(1, 1024)),
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnderstatedGaussian(DiscreteGaussian):
    """A mechanism whose arithmetic is wrong by one part in a million."""

    def privacy_function(self, d2_squared: int) -> Fraction:
        right = super(UnderstatedGaussian, self).privacy_function(d2_squared)
        return right * (1 - Fraction(1, 10**6))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OverstatedLaplace(DiscreteLaplace):
    """Wrong in the other direction: as much a bug."""

    def privacy_function(self, d1: int) -> Fraction:
        right = super(OverstatedLaplace, self).privacy_function(d1)
        return right * (1 + Fraction(1, 10**6))


@pytest.mark.parametrize("mechanism", WIDE)
def test_noise_is_integers_drawn_afresh(mechanism: Mechanism) -> None:
    """One integer for each entry, no two alike, another vector each time."""
    one = add_noise([0] * 50, mechanism, d1=3, d2_squared=3)
    two = add_noise([0] * 50, mechanism, d1=3, d2_squared=3)
    assert all(type(entry) is int for entry in one)
    assert len(one) == len(two) == 50
    assert one != two
    assert len(set(one)) > 25


@pytest.mark.parametrize("mechanism", NARROW)
@given(vector=st.lists(st.integers(-(2**62), 2**62), max_size=20))
def test_noise_is_added_to_the_entry_it_belongs_to(
    mechanism: Mechanism, vector: list[int]
) -> None:
    """With next to no noise the vector comes back, signs and large entries too."""
    assert add_noise(vector, mechanism, d1=1, d2_squared=1) == vector


@pytest.mark.parametrize("mechanism", NARROW)
def test_noise_takes_numpy_arrays(mechanism: Mechanism) -> None:
    """As the hub sums them."""
    vector = np.array([5, -7, 2**40], dtype=np.int64)
    noisy = add_noise(vector, mechanism, d1=1, d2_squared=1)
    assert noisy == [5, -7, 2**40]
    assert all(type(entry) is int for entry in noisy)


@given(
    accounting=st.sampled_from(Accounting),
    nano=st.integers(10**6, 10**14),
    d1=st.integers(1, 10**5),
    d2_squared=st.integers(1, 10**8),
)
def test_opendp_agrees_with_our_arithmetic(
    accounting: Accounting, nano: int, d1: int, d2_squared: int
) -> None:
    """Over the whole range of prices and sensitivities, so that nothing is refused."""
    unit = "nano_rho" if accounting is Accounting.ZCDP else "nano_epsilon"
    mechanism = mechanism_class(accounting).for_loss(
        Loss(**{unit: nano}), d1=d1, d2_squared=d2_squared
    )
    assert len(add_noise([0], mechanism, d1=d1, d2_squared=d2_squared)) == 1


@pytest.mark.parametrize(
    "mechanism",
    [UnderstatedGaussian(scale=Fraction(5)), OverstatedLaplace(scale=Fraction(5))],
)
def test_a_disagreement_about_the_loss_draws_nothing(mechanism: Mechanism) -> None:
    """Two programs, one loss: else it is a bug, in either direction."""
    with pytest.raises(InternalError) as refused:
        add_noise([1, 2, 3], mechanism, d1=3, d2_squared=3)
    assert refused.value.reason == "NOISE_MISCALIBRATED"


@pytest.mark.parametrize("mechanism", WIDE)
@pytest.mark.parametrize("entry", [2**62 + 1, -(2**62) - 1, 2**63, 2**200])
def test_an_entry_that_noise_could_saturate_is_refused(
    mechanism: Mechanism, entry: int
) -> None:
    """A saturated sum would have less noise than it was charged for."""
    with pytest.raises(InternalError) as refused:
        add_noise([0, entry], mechanism, d1=3, d2_squared=3)
    assert refused.value.reason == "VECTOR_OUT_OF_RANGE"
    assert str(entry) not in refused.value.sentence
    assert not refused.value.metadata


@pytest.mark.parametrize("mechanism", WIDE)
def test_the_widest_noise_stays_inside_64_bits(mechanism: Mechanism) -> None:
    """The largest scale beside the largest entry."""
    widest = type(mechanism)(scale=Fraction(2**32))
    noisy = add_noise([2**62, -(2**62)] * 100, widest, d1=1, d2_squared=1)
    assert max(abs(abs(entry) - 2**62) for entry in noisy) < 2**45


@pytest.mark.parametrize("mechanism", WIDE)
def test_only_whole_numbers_get_noise(mechanism: Mechanism) -> None:
    """A float in the vector is a bug, not something to round."""
    with pytest.raises(TypeError):
        add_noise([1.5], mechanism, d1=1, d2_squared=1)  # type: ignore[list-item]


@pytest.mark.parametrize("mechanism", WIDE)
def test_an_unbounded_person_gets_no_answer(mechanism: Mechanism) -> None:
    """A distance of 0 would make any noise look free."""
    with pytest.raises(InvalidQuery):
        add_noise([1], mechanism, d1=0, d2_squared=0)


class Shortening:
    """Stands where OpenDP's measurement does, and loses an entry."""

    def map(self, distance: int) -> float:
        return distance / 5

    def __call__(self, entries: list[int]) -> list[int]:
        return entries[1:]


def test_a_lost_entry_releases_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries belong to cells by position: a shifted vector must not get out."""
    monkeypatch.setattr(noise, "_measurement", lambda _: Shortening())
    with pytest.raises(InternalError) as refused:
        add_noise([1, 2, 3], DiscreteLaplace(scale=Fraction(5)), d1=3, d2_squared=3)
    assert refused.value.reason == "NOISE_MISCALIBRATED"


def test_the_modules_load_without_opendp() -> None:
    """It is imported with the first draw: a command that draws nothing starts fast."""
    program = (
        "import sys, accord.hub.releases.noise, accord.hub.questions.conversion;"
        "sys.exit('opendp' in sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
    )
