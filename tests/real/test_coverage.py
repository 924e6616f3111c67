# SPDX-License-Identifier: Apache-2.0
"""At real noise, what is published covers the bounded records as often as it says.

The five agencies that share the CTDC file answer once, within all caps and bounded to
three groups for a person whom all five may know. The hub's own code then publishes the
pooled vector again and again, each time with fresh noise, and every interval of every
release is looked at: cells, `persons` and `dropped`.

The share of intervals that hold the exact pooled count must be within 2 % of the level
that the release states. `LOOKS` is chosen so that chance moves the share by less than
0.6 % but once in 1e9 runs, and that band is required too: intervals that are a tenth
too narrow or too wide then pass less than once in 1e6 runs, which
`test_the_looks_are_enough` computes from the laws.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from accord.core.measure import scales
from accord.core.opened import OpenedNoise, half_width, upper_tail
from accord.core.privacy import (
    SCALE_DENOMINATOR,
    DiscreteGaussian,
    DiscreteLaplace,
)
from accord.core.terms import mechanism_for, noise_plan
from accord.hub.questions.pricing import loss_for
from accord.hub.releases.release import Published, make_noisy, make_release
from accord.v1 import analyst_pb2
from tests.real.agencies import NOW, Agencies, Pooled
from tests.real.agreements import NAMES
from tests.real.questions import MEANS_BY_GENDER

pytestmark = pytest.mark.stat

Numbers = npt.NDArray[np.float64]

LOOKS = 60_000
"""Intervals that are looked at for each accounting, at least."""

FALSE_ALARM = 1e-9
TOLERANCE = 0.02
EPSILON = 1

ACCOUNTINGS = ["zcdp", "pure"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What many releases say; one row for each release, one column for each entry."""

    target: Numbers
    """The exact pooled counts under the bound, for one row."""
    estimate: Numbers
    lower: Numbers
    upper: Numbers
    sd: Numbers
    level: float

    @property
    def covered(self) -> npt.NDArray[np.bool_]:
        return (self.lower <= self.target) & (self.target <= self.upper)


def published(pooled: Pooled) -> Published:
    """Return what the hub would publish of an answer."""
    agreement = pooled.policy.agreement
    loss = loss_for(agreement, Fraction(EPSILON))
    mechanism = mechanism_for(agreement, pooled.terms, loss)
    members = len(agreement.cohorts["all"])
    return Published(
        id="0" * 32,
        policy=pooled.policy,
        query=pooled.query,
        terms=pooled.terms,
        plan=noise_plan(agreement, pooled.terms, mechanism, members),
        cohort="all",
        at=NOW,
        unsafe=False,
    )


def released(about: Published, pooled: Pooled) -> analyst_pb2.Release:
    """Publish an answer once, with noise that nobody drew before."""
    noisy = make_noisy(about, pooled.vector, charged=about.loss)
    return make_release(about, noisy)


def looks(pooled: Pooled) -> Looks:
    """Publish until there are enough intervals."""
    about = published(pooled)
    releases = [released(about, pooled) for _ in range(-(-LOOKS // len(pooled.vector)))]

    def read(field: str) -> Numbers:
        return np.array(
            [[getattr(each, field) for each in _entries(of)] for of in releases]
        )

    assert not read("suppressed").any()
    return Looks(
        target=pooled.vector
        / np.array(scales(pooled.terms.vector, about.terms.layout)),
        estimate=read("estimate"),
        lower=read("lower"),
        upper=read("upper"),
        sd=read("sd"),
        level=releases[0].level,
    )


def _entries(release: analyst_pb2.Release) -> Iterable[analyst_pb2.Estimate]:
    yield from (row.estimate for row in release.rows)
    yield release.persons
    yield release.dropped


def band(level: float, draws: int) -> tuple[int, int]:
    """Return between which numbers of covering intervals chance alone stays."""
    law = scipy.stats.binom(draws, level)
    return int(law.ppf(FALSE_ALARM / 2)), int(law.isf(FALSE_ALARM / 2))


@pytest.fixture(scope="module", params=ACCOUNTINGS)
def found(request: pytest.FixtureRequest, within_caps: dict[str, Pooled]) -> Looks:
    return looks(within_caps[request.param])


def test_intervals_cover_the_bounded_target(found: Looks) -> None:
    draws = found.covered.size
    inside = int(np.count_nonzero(found.covered))
    assert draws >= LOOKS
    assert 0.95 <= found.level < 0.953
    assert abs(inside / draws - found.level) < TOLERANCE
    low, high = band(found.level, draws)
    assert low <= inside <= high
    normed = (found.estimate - found.target) / found.sd
    assert abs(float(normed.mean())) < 6.2 / np.sqrt(draws)
    assert float(normed.std()) == pytest.approx(1, abs=0.05)


def test_every_entry_covers(found: Looks) -> None:
    """No cell makes up for another: also `persons`, `dropped` and the empty cells."""
    rounds, entries = found.covered.shape
    rare = FALSE_ALARM / entries
    least = scipy.stats.binom(rounds, found.level).ppf(rare)
    assert np.count_nonzero(found.covered, axis=0).min() >= least
    assert (found.target == 0).any()


@pytest.mark.parametrize("name", ACCOUNTINGS)
def test_the_bound_is_no_part_of_the_error(
    name: str, within_caps: dict[str, Pooled], ctdc: Agencies
) -> None:
    """Intervals are for what was counted; `dropped` is there to tell what was not."""
    pooled = within_caps[name]
    about = published(pooled)
    whole = ctdc.ask(NAMES[18], MEANS_BY_GENDER)
    counts = (whole.vector - pooled.vector)[:-2] // 4
    width = half_width(about.plan.opened).half_width / 4
    cut = counts > 4 * width
    assert np.count_nonzero(cut) >= 10
    release = released(about, pooled)
    upper = np.array([row.estimate.upper for row in release.rows])
    assert (upper < whole.vector[:-2] / 4)[cut].all()
    assert release.dropped.lower > 10 * release.dropped.sd


@pytest.mark.parametrize("name", ACCOUNTINGS)
def test_the_looks_are_enough(name: str, within_caps: dict[str, Pooled]) -> None:
    """Chance moves the share by 0.6 %; a scale that is a tenth off moves it further."""
    about = published(within_caps[name])
    width, level = half_width(about.plan.opened)
    low, high = band(level, LOOKS)
    assert max(level - low / LOOKS, high / LOOKS - level) < 0.006 < TOLERANCE
    for factor in (Fraction(9, 10), Fraction(11, 10)):
        wrong = scipy.stats.binom(
            LOOKS, 1 - 2 * upper_tail(scaled(about.plan.opened, factor), width + 1)
        )
        assert wrong.cdf(high) - wrong.cdf(low - 1) < 1e-6


def scaled(opened: OpenedNoise, factor: Fraction) -> OpenedNoise:
    """Return the same law with another scale; of a hub's noise, a plain one."""
    assert isinstance(opened, DiscreteGaussian | DiscreteLaplace)
    numerator = round(opened.numerator * factor)
    return dataclasses.replace(opened, scale=Fraction(numerator, SCALE_DENOMINATOR))
