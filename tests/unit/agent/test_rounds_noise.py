# SPDX-License-Identifier: Apache-2.0
"""The noise that opens with a sum is that of the plan, drawn by the agencies alone."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from accord.agent.rounds import vectors
from accord.agent.rounds.vectors import StoredEdition, counts, share
from accord.agent.store.columns import Columns
from accord.core.measure import LARGEST_ENTRY
from accord.core.opened import GaussianSum, LaplaceSum
from accord.core.placement import NoisePlan, Placement, PolyaShare
from accord.core.privacy import DiscreteGaussian, DiscreteLaplace
from accord.core.terms import noise_plan, terms
from tests.unit.agent.agencies import MODEL
from tests.unit.agent.agency_world import THREE, World
from tests.unit.agent.agreements import (
    AGREEMENT_TEXT,
    PURE_TEXT,
    agreement,
    question,
    requisition,
)

THRESHOLD = 1e-9
"""False alarms of one comparison."""

ROUNDS = 20
WIDE = (("registered_month", "month"), ("exploitation_type", None), ("region", None))
"""Eight hundred cells: every round draws as many shares at each agency."""


def with_noise(text: str, placement: str) -> str:
    """Return an agreement in which agencies add noise, and that allows wide tables."""
    return text.replace(
        "noise: hub\n  hub_sees_exact_pooled_sums: accepted", f"noise: {placement}"
    ).replace("at_most_dimensions: 2", "at_most_dimensions: 3")


TEXTS = {
    "shared": with_noise(AGREEMENT_TEXT, "shared"),
    "agents": with_noise(AGREEMENT_TEXT, "agents"),
    "pure": with_noise(PURE_TEXT, "agents"),
}


def plan_of(text: str) -> NoisePlan:
    """Return the plan of the tests' question for three agencies."""
    signed = agreement(text)
    query = question(*WIDE)
    found = terms(signed, MODEL, query)
    return noise_plan(signed, found, requisition(query, text).mechanism, len(THREE))


def moments(plan: NoisePlan) -> tuple[float, float]:
    """Return variance and excess kurtosis of the sum of all shares, from its law."""
    match plan.share:
        case DiscreteGaussian(scale=scale):
            return float(len(THREE) * scale**2), 0.0
        case PolyaShare(scale=scale, parts=parts):
            # G - G' with shape r and p = 1 - exp(-1/scale): cumulants of G are
            # r q / p^2 and r q (p^2 + 6 q) / p^4, and both halves add them.
            q = float(np.exp(-1 / float(scale)))
            shape, p = len(THREE) / parts, 1 - q
            variance = 2 * shape * q / p**2
            fourth = 2 * shape * q * (p**2 + 6 * q) / p**4
            return variance, fourth / variance**2
        case None:
            message = "the agencies add nothing"
            raise AssertionError(message)


def verdict(drawn: npt.NDArray[np.int64], plan: NoisePlan, scaled: float) -> float:
    """Return how likely a mean square is that far off, under *scaled* times the law.

    The mean of n squares has the relative variance (kurtosis + 2) / n and is normal
    to many digits at this n.
    """
    variance, kurtosis = moments(plan)
    variance *= scaled**2
    error = variance * np.sqrt((kurtosis + 2) / drawn.size)
    off = abs(float(np.mean(drawn.astype(float) ** 2)) - variance) / error
    return float(2 * scipy.stats.norm.sf(off))


def truth(world: World, text: str) -> npt.NDArray[np.int64]:
    """Return the exact sum of what the three agencies count."""
    query = question(*WIDE)
    found = terms(agreement(text), MODEL, query)
    total = np.zeros(found.layout.size, np.int64)
    for label in THREE:
        folder = world.states[label].editions / "month-30" / query.edition
        with Columns.open(folder) as columns:
            total += counts(StoredEdition(columns=columns), found, query, MODEL)
    assert total.any()
    return total


@pytest.mark.stat
@pytest.mark.parametrize(
    "name",
    [
        "shared",
        pytest.param("agents", marks=pytest.mark.slow),
        pytest.param("pure", marks=pytest.mark.slow),
    ],
)
def test_opened_sums_carry_the_noise_of_the_plan(
    new_world: Callable[..., World], name: str
) -> None:
    text = TEXTS[name]
    plan = plan_of(text)
    world = new_world(THREE, text)
    exact = truth(world, text)
    opened = [
        world.whole(requisition(question(*WIDE), text)).sum() for _ in range(ROUNDS)
    ]
    noise = np.concatenate([each - exact for each in opened])
    assert verdict(noise, plan, 1.0) > THRESHOLD
    for scaled in (0.9, 1.1):
        assert verdict(noise, plan, scaled) < THRESHOLD
    assert abs(float(noise.mean())) < 7 * np.sqrt(moments(plan)[0] / noise.size)


def test_the_law_of_the_plan_is_the_one_that_is_tested() -> None:
    """`moments` agrees with what the hub prints beside a release."""
    for name, text in TEXTS.items():
        plan = plan_of(text)
        opened = plan.opened
        if name == "pure":
            assert isinstance(opened, LaplaceSum)
            assert isinstance(plan.share, PolyaShare)
            assert opened.shape == Fraction(len(THREE), plan.share.parts)
            continue
        assert isinstance(opened, GaussianSum)
        top_up = 0 if plan.top_up is None else plan.top_up.scale**2
        assert moments(plan)[0] == pytest.approx(float(opened.variance - top_up))


def test_a_share_depends_on_its_seed_alone() -> None:
    for text in TEXTS.values():
        plan = plan_of(text)
        first = share(plan, b"1" * 32, 500)
        assert (share(plan, b"1" * 32, 500) == first).all()
        assert (share(plan, b"2" * 32, 500) != first).any()


def test_where_the_hub_adds_everything_agencies_add_nothing() -> None:
    assert plan_of(AGREEMENT_TEXT.replace("sions: 2", "sions: 3")).share is None
    hub = NoisePlan(
        placement=Placement.HUB,
        mechanism=DiscreteLaplace(scale=Fraction(3)),
        members=3,
        colluding=1,
        share=None,
        top_up=DiscreteLaplace(scale=Fraction(3)),
        hub_loss=None,
    )
    assert not share(hub, bytes(32), 7).any()


@pytest.mark.parametrize(
    ("counted", "kept"),
    [
        (-1, 0),
        (0, 0),
        (7, 7),
        (LARGEST_ENTRY, LARGEST_ENTRY),
        (LARGEST_ENTRY + 1, LARGEST_ENTRY),
        (2**62, LARGEST_ENTRY),
    ],
)
def test_no_entry_is_more_than_one_can_be(
    world: World, monkeypatch: pytest.MonkeyPatch, counted: int, kept: int
) -> None:
    """Whatever a broken store counts, the hub's bound on honest sums holds."""
    query = question()
    found = terms(agreement(), MODEL, query)
    monkeypatch.setattr(
        vectors, "bounded_vector", lambda *_, **__: np.full(found.layout.size, counted)
    )
    folder = world.states["police"].editions / "month-30" / query.edition
    with Columns.open(folder) as columns:
        assert (
            counts(StoredEdition(columns=columns), found, query, MODEL) == kept
        ).all()
