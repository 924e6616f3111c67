# SPDX-License-Identifier: Apache-2.0
"""Verdicts on trends are as often wrong as they say, and find what they say.

Series are made under the null hypothesis, with counts that vary by Poisson's law or
more, and judged by the real code. A rate must not be above its statement by more than
five standard errors of the simulation. The same check fails where the code is told 0.8
of the noise's standard deviation, so it can fail.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from accord.client.trends import change_points, hot_spots, seasonal
from accord.client.trends.scan import Figures, likeliest_step
from tests.unit.client.released_series import by_month, months, released

pytestmark = pytest.mark.stat

STATED: Final = 0.05
SERIES: Final = 3000


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """Series of one kind."""

    months: int = 24
    mean: float
    dispersion: float = 1.0
    """True variance of the counts over their mean."""
    sd: float
    """Of the noise."""
    told: float | None = None
    """Dispersion that the analyst gives; estimated without."""
    laplace: bool = False

    @property
    def spread(self) -> float:
        """Standard deviation of one figure, by noise and chance."""
        return math.sqrt(self.dispersion * self.mean + self.sd**2)


WORLDS: Final = [
    World(mean=100, sd=5),
    World(mean=100, sd=15),
    World(mean=20, sd=20),
    World(mean=5, sd=2),
    World(mean=400, dispersion=3, sd=5),
    World(mean=200, dispersion=4, sd=10, months=36),
    World(mean=50, sd=10, months=12),
    World(mean=50, sd=20, laplace=True),
    World(mean=100, sd=15, told=1),
    World(mean=20, sd=20, told=1),
    World(mean=5, sd=2, told=1),
    World(mean=400, dispersion=3, sd=5, told=3),
    World(mean=50, sd=20, told=1, laplace=True),
]


def named(world: World) -> str:
    """Return a test's name."""
    told = "estimated" if world.told is None else "told"
    law = "laplace" if world.laplace else "gaussian"
    return (
        f"{world.months}x{world.mean:g}-phi{world.dispersion:g}-sd{world.sd:g}-"
        f"{law}-{told}"
    )


def made(
    world: World, chance: np.random.Generator, step: float = 0.0
) -> npt.NDArray[np.float64]:
    """Return one series; the second half is higher by so many `World.spread`."""
    mean = np.full(world.months, float(world.mean))
    mean[world.months // 2 :] += step * world.spread
    if world.dispersion > 1:
        more = world.dispersion - 1
        mean = chance.gamma(mean / more, more)
    counts = chance.poisson(mean)
    if world.laplace:
        return counts + chance.laplace(0, world.sd / math.sqrt(2), world.months)
    return counts + chance.normal(0, world.sd, world.months)


def alarms(
    world: World, *, series: int = SERIES, step: float = 0.0, sd_told: float = 1.0
) -> float:
    """Return the share of series with an alarm at the stated rate."""
    chance = np.random.default_rng(20261129)
    found = 0
    for _ in range(series):
        judged = likeliest_step(
            Figures(
                values=tuple(made(world, chance, step).tolist()),
                sds=(world.sd * sd_told,) * world.months,
                counts=True,
                dispersion=world.told,
                laplace=world.laplace,
            )
        )
        assert judged is not None
        found += judged.p_value <= STATED
    return found / series


def highest(stated: float, trials: int) -> float:
    """Return the largest rate that a true one as stated lets one see."""
    return stated + 5 * math.sqrt(stated * (1 - stated) / trials)


FAST = [WORLDS[1], WORLDS[4], WORLDS[9]]


@pytest.mark.parametrize("world", FAST, ids=named)
def test_change_points_raise_no_more_false_alarms_than_stated(world: World) -> None:
    assert alarms(world, series=1000) <= highest(STATED, 1000)


def test_a_scan_that_is_told_too_little_noise_raises_more() -> None:
    world = World(mean=20, sd=20, told=1)
    assert alarms(world, series=1000, sd_told=0.8) > highest(STATED, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=named)
def test_false_alarms_of_change_points(world: World) -> None:
    rate = alarms(world)
    assert rate <= highest(STATED, SERIES)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=named)
def test_power_of_change_points(world: World) -> None:
    """A step in the middle by 2 sd is found in four of five series; by 3, in all.

    Twelve figures, whose dispersion is estimated, find less; `docs/ref-methods.md`.
    """
    power = {
        step: alarms(world, series=1000, step=step) for step in (1.0, 1.5, 2.0, 3.0)
    }
    short = world.months < 24
    assert power[2.0] >= (0.4 if short else 0.8)
    assert power[3.0] >= (0.8 if short else 0.97)


def alarms_where_neighbours_are_alike(world: World, correlation: float) -> float:
    """Return the share of series with an alarm, if counts follow their neighbours."""
    chance = np.random.default_rng(3)
    found, series, before = 0, 1500, 20
    for _ in range(series):
        count = np.zeros(world.months + before)
        new = chance.normal(0, math.sqrt(1 - correlation**2), count.size)
        for place in range(1, count.size):
            count[place] = correlation * count[place - 1] + new[place]
        values = world.mean + math.sqrt(world.mean) * count[before:]
        values += chance.normal(0, world.sd, world.months)
        sds = (world.sd,) * world.months
        judged = likeliest_step(
            Figures(values=tuple(values.tolist()), sds=sds, counts=True)
        )
        assert judged is not None
        found += judged.p_value <= STATED
    return found / series


@pytest.mark.slow
def test_what_is_said_of_neighbours_that_are_alike() -> None:
    """A little likeness is borne; much of it is not, which the reference says."""
    firm = World(mean=100, sd=5)
    assert alarms_where_neighbours_are_alike(firm, 0.2) <= highest(STATED, 1500)
    assert alarms_where_neighbours_are_alike(firm, 0.5) > 2 * STATED
    noisy = World(mean=20, sd=20)
    assert alarms_where_neighbours_are_alike(noisy, 0.5) <= highest(STATED, 1500)


@pytest.mark.slow
def test_false_alarms_of_whole_releases_with_a_break() -> None:
    """Two panels in one series share the rate of the series."""
    chance = np.random.default_rng(5)
    world = World(mean=100, sd=10)
    found = 0
    for _ in range(1500):
        values = made(world, chance)
        values[12:] += 300
        result = by_month(values.tolist(), sd=10.0)
        (series,) = change_points(
            result, dispersion=1.0, known_breaks={"2025-01": "another agency"}
        )
        found += bool(series.changes)
    assert found / 1500 <= highest(STATED, 1500)


def verdicts_of_seasons(sd_told: float = 1.0) -> tuple[float, float, int]:
    """Return how often noise and chance are called more: same totals, same means."""
    chance = np.random.default_rng(7)
    noise = more = trials = 0
    for _ in range(25):
        total = chance.poisson(80)
        same = total + chance.normal(0, 12, 24)
        drawn = chance.poisson(80, 24) + chance.normal(0, 12, 24)
        for each in seasonal(by_month(same.tolist(), sd=12 * sd_told)):
            noise += bool(each.more_than_noise)
            trials += 1
        for each in seasonal(by_month(drawn.tolist(), sd=12 * sd_told)):
            more += bool(each.more_than_chance)
    return noise / trials, more / trials, trials


def test_seasons_differ_by_noise_or_chance_as_seldom_as_stated() -> None:
    noise, more, trials = verdicts_of_seasons()
    assert noise <= highest(STATED, trials)
    assert more <= highest(STATED, trials)


@pytest.mark.slow
def test_seasons_of_many_series() -> None:
    chance = np.random.default_rng(11)
    same = chance.poisson(80, (4000, 1)) + chance.normal(0, 12, (4000, 2))
    drawn = chance.poisson(80, (4000, 2)) + chance.normal(0, 12, (4000, 2))
    for counts, verdict in ((same, "more_than_noise"), (drawn, "more_than_chance")):
        for told, fails in ((1.0, False), (0.8, True)):
            rows = {
                (month, str(place)): float(counts[place, year])
                for year, month in enumerate(("2024-01", "2025-01"))
                for place in range(len(counts))
            }
            result = released(rows, by=("registered_month", "place"), sd=12 * told)
            found = seasonal(result)
            rate = sum(bool(getattr(each, verdict)) for each in found) / len(found)
            assert (rate > highest(STATED, len(found))) == fails


def hot_at_baseline(
    law: Callable[[np.random.Generator], npt.NDArray[np.int64]], told: float
) -> tuple[float, int]:
    """Return the share of cells at their baseline that get 0.95 or more."""
    chance = np.random.default_rng(13)
    counts = law(chance) + chance.normal(0, 10, (2000, 13))
    rows = {
        (month, str(place)): float(counts[place, index])
        for index, month in enumerate(months(1, 13))
        for place in range(2000)
    }
    result = released(rows, by=("registered_month", "place"), sd=10 * told)
    found = hot_spots(result)
    assert len(found.unknown) == 0
    return len(found.above(0.95)) / len(found), len(found)


def test_cells_at_their_baseline_are_hot_as_seldom_as_stated() -> None:
    rate, cells = hot_at_baseline(lambda chance: chance.poisson(15, (2000, 13)), 1.0)
    assert abs(rate - STATED) <= highest(STATED, cells) - STATED
    told_less, _ = hot_at_baseline(lambda chance: chance.poisson(15, (2000, 13)), 0.8)
    assert told_less > highest(STATED, cells)
