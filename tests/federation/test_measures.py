# SPDX-License-Identifier: Apache-2.0
"""Every measure over a whole network, compared with what the records say."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator

import pytest

import accord.client as accord
from accord.core.errors import InvalidQuery, PolicyDenied
from tests.federation.network import Network
from tests.federation.small_world import (
    GENDERS,
    HARMS,
    PURPOSE,
    THREE,
    Case,
    SmallWorld,
    gender_of,
)

pytestmark = [pytest.mark.federation, pytest.mark.slow]

AT_MOST_VALUES = 3
"""Harms of one person in one cell that count."""


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones().start() as running:
        yield running


@pytest.fixture(scope="module")
def three(network: Network) -> Iterator[accord.Agreement]:
    with network.connect() as connection:
        yield connection.agreement("three")


def cases_of(world: SmallWorld, gender: str) -> list[Case]:
    return [
        each for label in THREE for each in world.cases[label]
        if gender_of(each) == gender
    ]  # fmt: skip


def harms_of(world: SmallWorld, gender: str) -> list[set[str]]:
    """Return the harms of every person of a gender, in every agency."""
    found: dict[tuple[str, ...], set[str]] = collections.defaultdict(set)
    for label in THREE:
        for each in world.cases[label]:
            if gender_of(each) == gender:
                found[label, *each.person].update(each.harm.split(";"))
    return list(found.values())


def assert_near(found: accord.Estimate, exact: float, slack: float = 0.0) -> None:
    """Fail where a figure is further from the truth than its noise lets it be.

    Args:
        found: as released.
        exact: what the records say.
        slack: what the bound may have left out.
    """
    assert found.estimate is not None, found
    assert found.sd is not None
    assert exact - slack - 7 * found.sd < found.estimate < exact + 7 * found.sd


def by_gender(result: accord.Result) -> dict[tuple[str, ...], accord.Row]:
    return {row.values: row for row in result.rows}


def test_a_sum(three: accord.Agreement, world: SmallWorld) -> None:
    result = three.sum("days_in_care").by("gender").release(epsilon=9, purpose=PURPOSE)
    assert result.unit == "days"
    assert result.parts == ("unknown",)
    for gender in GENDERS:
        row = by_gender(result)[(gender,)]
        assert_near(
            row.estimate, sum(int(each.days) for each in cases_of(world, gender))
        )
        assert_near(row.parts[0], 0)


def test_a_mean(three: accord.Agreement, world: SmallWorld) -> None:
    result = three.mean("days_in_care").by("gender").release(epsilon=9, purpose=PURPOSE)
    assert result.unit == "days"
    assert result.denominator == "cases that record days_in_care"
    for gender in GENDERS:
        row = by_gender(result)[(gender,)]
        days = [int(each.days) for each in cases_of(world, gender)]
        assert_near(row.estimate, sum(days) / len(days))
        assert_near(row.parts[result.parts.index("count")], len(days))
    assert by_gender(result)[("unknown",)].estimate.why == "denominator"


def test_bins_of_quantiles(three: accord.Agreement, world: SmallWorld) -> None:
    result = (
        three.quantile("days_in_care").by("gender").release(epsilon=9, purpose=PURPOSE)
    )
    assert result.slot_dimension == "days_in_care"
    for gender in GENDERS:
        days = [int(each.days) for each in cases_of(world, gender)]
        first = sum(each < 365 for each in days)  # the first edge
        rows = by_gender(result)
        assert_near(rows[gender, "0-365"].estimate, first)
        assert_near(rows[gender, "365-730"].estimate, len(days) - first)
        assert_near(rows[gender, "3285+"].estimate, 0)


def test_shares(three: accord.Agreement, world: SmallWorld) -> None:
    result = three.share("harm").by("gender").release(epsilon=9, purpose=PURPOSE)
    assert result.unit == "share"
    assert result.denominator == "persons with any information on harm"
    assert {each.agency for each in result.definitions} == {*THREE}
    for gender in GENDERS:
        harms = harms_of(world, gender)
        over = sum(len(each) > AT_MOST_VALUES for each in harms)
        for harm in HARMS:
            row = by_gender(result)[gender, harm]
            having = sum(harm in each for each in harms)
            assert_near(row.parts[0], having, slack=over)
            assert_near(row.parts[1], len(harms))
            assert_near(row.estimate, having / len(harms), slack=over / len(harms))


def test_numbers_of_values(three: accord.Agreement, world: SmallWorld) -> None:
    result = three.values("harm").by("gender").release(epsilon=9, purpose=PURPOSE)
    for gender in GENDERS:
        numbers = collections.Counter(
            min(len(each), AT_MOST_VALUES) for each in harms_of(world, gender)
        )
        for number in range(AT_MOST_VALUES + 1):
            found = by_gender(result)[gender, str(number)].estimate
            assert_near(found, numbers[number])


def test_a_wanted_error_is_reached_at_the_least_loss(
    three: accord.Agreement, world: SmallWorld
) -> None:
    question = three.persons().by("gender")
    price = question.price(error=15, purpose=PURPOSE)
    assert price.unit == "persons"
    assert 14 < price.half_width <= 15
    assert 0 < price.share_of_left < 1
    assert price.tightest_account.startswith("agreement/three")
    assert price.typical is not None
    assert price.useful
    result = question.release(error=15, purpose=PURPOSE)
    assert result.cost == price.cost
    truth = world.persons(THREE, lambda case: (gender_of(case),))
    for row in result.rows:
        found = row.estimate
        assert_near(found, truth.get(row.values, 0))
        assert found.upper is not None
        assert found.estimate is not None
        assert found.upper - found.estimate <= 15
        assert found.whole_lower is not None
        assert found.whole_upper is not None
        assert found.whole_lower <= (found.lower or 0) <= found.whole_upper
    assert result.whole_level >= 0.95  # as promised
    # Whoever would be content with less gets the same one, and pays nothing.
    again = question.release(error=20, purpose=PURPOSE)
    assert again.id == result.id
    assert again.from_archive


def test_an_error_that_is_too_small_says_what_is_possible(
    three: accord.Agreement,
) -> None:
    with pytest.raises(PolicyDenied) as refused:
        three.persons().by("gender").release(error=0.6, purpose=PURPOSE)
    assert refused.value.reason == "ERROR_TOO_SMALL"
    assert float(refused.value.metadata["least_epsilon"]) > 10
    allowed = float(str(refused.value).split("gives ±")[1].split(":")[0])
    with pytest.raises(PolicyDenied) as priced:
        three.persons().by("gender").price(error=0.6, purpose=PURPOSE)
    assert priced.value.metadata == refused.value.metadata
    price = three.persons().by("gender").price(error=allowed, purpose=PURPOSE)
    assert price.half_width <= allowed
    with pytest.raises(InvalidQuery) as mean:
        three.mean("days_in_care").price(error=10, purpose=PURPOSE)
    assert mean.value.reason == "ERROR_OF_A_MEAN"
    with pytest.raises(InvalidQuery) as both:
        three.persons().price(error=10, epsilon=1, purpose=PURPOSE)
    assert both.value.reason == "SPENDING_NEEDED"


def test_what_was_left_out_before_decides_how_the_bound_is_kept(
    three: accord.Agreement,
) -> None:
    """A person with several harms in several months stands in more than three cells."""
    question = three.persons().by("harm", "registered_month")
    first = question.price(epsilon=9, purpose=PURPOSE)
    assert first.bounding == "keep"
    assert first.expected_dropped_share is None
    kept = question.release(epsilon=9, purpose=PURPOSE)
    assert kept.bounding == "keep"
    assert kept.dropped.lower is not None
    assert kept.dropped.lower > 0
    other = question.where(gender="woman")
    second = other.price(epsilon=9, purpose=PURPOSE)
    assert second.bounding == "weigh"
    assert second.dropped_share_of == kept.id
    assert second.expected_dropped_share == kept.dropped_share
    weighed = other.release(epsilon=9, purpose=PURPOSE)
    assert weighed.bounding == "weigh"
