# SPDX-License-Identifier: Apache-2.0
"""What analysts are told of coverage, before they ask."""

from __future__ import annotations

import pytest

from accord.core.errors import InvalidQuery, NotFound
from accord.v1 import analyst_pb2, common_pb2
from tests.unit.hub.world import (
    AGREEMENT,
    World,
    a_query,
    add_analyst,
    call,
    edit_agreement,
)


async def test_coverage_names_the_values_that_too_few_agencies_cover(
    world: World,
) -> None:
    edit_agreement(
        world.state,
        {"at_least_agencies: 3": "at_least_agencies: 3\n  covered_by_at_least: 4"},
    )
    await world.restart()
    stub = world.analyst(add_analyst(world.state, "ana"))
    request = analyst_pb2.GetCoverageRequest(agreement=AGREEMENT)
    everything = await call(stub.GetCoverage(request))
    assert everything.needed == 4
    (region,) = (each for each in everything.levels if each.dimension == "region")
    thin = {each.value for each in region.values if not each.enough}
    assert thin == {"eastmere", "sudmark"}
    assert not everything.cohorts
    by_region = a_query(group_by=[common_pb2.Grouping(dimension="region")])
    request.query.CopyFrom(by_region)
    asked = await call(stub.GetCoverage(request))
    assert [each.dimension for each in asked.levels] == ["region"]
    assert not asked.cohorts
    only = [common_pb2.Filter(dimension="region", values=["norvale"])]
    request.query.CopyFrom(a_query(where=only))
    assert "all" in (await call(stub.GetCoverage(request))).cohorts


async def test_coverage_of_what_is_not_there_is_refused(world: World) -> None:
    stub = world.analyst(add_analyst(world.state, "ana"))
    other = world.analyst(add_analyst(world.state, "eve", organisation="elsewhere"))
    request = analyst_pb2.GetCoverageRequest(agreement=AGREEMENT)
    with pytest.raises(NotFound):
        await call(other.GetCoverage(request))
    wrong = a_query(group_by=[common_pb2.Grouping(dimension="regoin")])
    request.query.CopyFrom(wrong)
    with pytest.raises(InvalidQuery) as unknown:
        await call(stub.GetCoverage(request))
    assert "region" in unknown.value.sentence
