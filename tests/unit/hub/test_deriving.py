# SPDX-License-Identifier: Apache-2.0
"""Coarser answers from stored finer ones: free, marked, and only what follows."""

from __future__ import annotations

from typing import TypeAlias

import pytest

from accord.core.errors import NotFound, PolicyDenied, PreconditionFailed
from accord.hub.releases import archive
from accord.v1 import analyst_pb2, analyst_pb2_grpc, common_pb2
from tests.contract.hub_databases import on_every_database
from tests.unit.hub.scripted import Asked
from tests.unit.hub.world import (
    AGREEMENT,
    PURPOSE,
    World,
    a_query,
    a_submission,
    account,
    add_analyst,
    audited,
    call,
    edit_agreement,
    finished,
    store_of,
)

Stub: TypeAlias = "analyst_pb2_grpc.AnalystServiceAsyncStub"


def by(*names: str, measure: str = "cases", **where: str) -> common_pb2.Query:
    groups = [
        common_pb2.Grouping(dimension=name, level=level)
        for name, _, level in (each.partition(":") for each in names)
    ]
    filters = [
        common_pb2.Filter(dimension=name, values=[value])
        for name, value in where.items()
    ]
    return a_query(measure=measure, group_by=groups, where=filters)


async def many(asked: Asked) -> None:
    """Answer a thousand counts in each cell, and hardly any that were left out."""
    await asked.answer([4000] * asked.layout.n_cells + [5000, 1])


async def some_few(asked: Asked) -> None:
    """Answer the same, but nothing in every other cell: it is suppressed."""
    cells = [4000 * (place % 2) for place in range(asked.layout.n_cells)]
    await asked.answer([*cells, 5000, 1])


async def released(
    stub: Stub, query: common_pb2.Query, epsilon: float = 2.0
) -> analyst_pb2.Release:
    request = a_submission(epsilon, query=query)
    await call(stub.SubmitQuery(request))
    found = await finished(stub, request.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED, found.failure
    return found.reply.release


async def derived(
    stub: Stub, query: common_pb2.Query, error: float = 0
) -> analyst_pb2.Release:
    request = analyst_pb2.DeriveReleaseRequest(
        query=query, purpose=PURPOSE, error=error
    )
    return (await call(stub.DeriveRelease(request))).release


def stored_integers(world: World, release: str) -> list[int]:
    store = store_of(world.state)
    with store.read() as tx:
        found = archive.content(tx, release)
    store.close()
    assert found is not None
    return found[1]


def a_price(query: common_pb2.Query) -> analyst_pb2.PriceQueryRequest:
    return analyst_pb2.PriceQueryRequest(
        query=query, spending=analyst_pb2.Spending(epsilon=1.0), purpose=PURPOSE
    )


@on_every_database
async def test_a_coarser_answer_is_the_sum_of_stored_integers_and_free(
    world: World,
) -> None:
    await world.all_agents(some_few)
    stub = world.analyst(add_analyst(world.state, "ana"))
    finer = await released(stub, by("gender", "age_band:broad"))
    spent = account(world, f"agreement/{AGREEMENT}")
    found = await derived(stub, by("gender"))
    assert account(world, f"agreement/{AGREEMENT}") == spent
    assert found.derived_from == finer.id
    assert found.id != finer.id
    assert found.cost == finer.cost
    assert found.released_at == finer.released_at
    assert [each.dimension for each in found.by] == ["gender"]
    # gender is the second axis of the finer answer, suppressed cells included
    noisy = stored_integers(world, finer.id)
    genders = [row.values[0] for row in found.rows]
    assert {row.estimate.suppressed for row in finer.rows} == {True, False}
    bands = len(noisy[:-2]) // len(genders)
    for place, row in enumerate(found.rows):
        total = sum(noisy[place + band * len(genders)] for band in range(bands))
        if total < 4 * 10:
            assert row.estimate.suppressed
            assert row.estimate.why == "small"
            continue
        assert row.estimate.estimate == total / 4
        assert row.estimate.sd == pytest.approx(finer.dropped.sd / 4 * bands**0.5)
        width = row.estimate.upper - row.estimate.estimate
        assert width == pytest.approx(1.96 * row.estimate.sd, rel=0.02)
    assert found.level >= 0.95
    assert found.persons == finer.persons
    assert found.dropped == finer.dropped
    assert found.whole_level == 0
    assert found.whole_withheld
    assert len(found.not_covered) == len(finer.not_covered) + 1
    # the same once more is the same to the byte, and all of it is in the log
    assert await derived(stub, by("gender")) == found
    noted = audited(world, "query.derived")
    assert [each["release"] for each in noted] == [finer.id, finer.id]
    # it cannot be looked up, as nothing was stored
    with pytest.raises(NotFound):
        await call(stub.GetRelease(analyst_pb2.GetReleaseRequest(id=found.id)))


async def test_a_price_says_what_there_is_for_nothing(world: World) -> None:
    await world.all_agents(many)
    stub = world.analyst(add_analyst(world.state, "ana"))
    question = by("gender")
    before = await call(stub.PriceQuery(a_price(question)))
    assert before.derivable_from == ""
    rough = await released(stub, by("gender", "age_band:broad"), 1.0)
    first = await call(stub.PriceQuery(a_price(question)))
    assert first.derivable_from == rough.id
    assert first.derivable_half_width > first.half_width
    # of several, the most exact one
    exact = await released(stub, by("age_band:broad", "gender"), 2.5)
    second = await call(stub.PriceQuery(a_price(question)))
    assert second.derivable_from == exact.id
    assert second.derivable_half_width < first.derivable_half_width
    found = await derived(stub, question)
    widths = [r.estimate.upper - r.estimate.estimate for r in found.rows]
    shown = [
        w for w, r in zip(widths, found.rows, strict=True) if not r.estimate.suppressed
    ]
    assert max(shown) == pytest.approx(second.derivable_half_width)
    with pytest.raises(PreconditionFailed) as inexact:
        await derived(stub, question, error=second.derivable_half_width / 2)
    assert inexact.value.reason == "DERIVED_TOO_INEXACT"
    assert exact.id in inexact.value.sentence
    assert await derived(stub, question, error=second.derivable_half_width) == found


async def test_a_filter_picks_cells_and_leaves_whole_table_figures_out(
    world: World,
) -> None:
    await world.all_agents(many)
    stub = world.analyst(add_analyst(world.state, "ana"))
    finer = await released(stub, by("gender", "age_band:broad"))
    found = await derived(stub, by("age_band:broad", gender="woman"))
    women = {row.values[0]: row for row in finer.rows if row.values[1] == "woman"}
    for row in found.rows:
        assert row.estimate.estimate == women[row.values[0]].estimate.estimate
    assert found.persons.suppressed
    assert found.persons.why == "not-derived"


async def test_the_same_question_is_the_stored_release_itself(world: World) -> None:
    await world.all_agents(many)
    stub = world.analyst(add_analyst(world.state, "ana"))
    persons = by("gender", measure="persons")
    stored = await released(stub, persons)
    assert await derived(stub, persons) == stored


async def test_persons_over_time_are_refused_with_the_nearest_thing(
    world: World,
) -> None:
    await world.all_agents(many)
    stub = world.analyst(add_analyst(world.state, "ana"))
    finer = await released(stub, by("gender", "region", measure="persons"))
    with pytest.raises(PreconditionFailed) as refused:
        await derived(stub, by("gender", measure="persons"))
    assert refused.value.reason == "NOT_DERIVABLE"
    assert "one person can stand in several values of region" in refused.value.sentence
    assert refused.value.metadata["release"] == finer.id
    with pytest.raises(PreconditionFailed) as nothing:
        await derived(stub, by("region"))
    assert nothing.value.reason == "NOT_DERIVABLE"
    assert not audited(world, "query.derived")


async def test_it_is_decided_afresh_for_whoever_asks(world: World) -> None:
    await world.all_agents(many)
    ana = world.analyst(add_analyst(world.state, "ana"))
    await released(ana, by("gender", "age_band:broad"))
    other = world.analyst(add_analyst(world.state, "eve", organisation="elsewhere"))
    with pytest.raises(NotFound):
        await derived(other, by("gender"))
    request = analyst_pb2.DeriveReleaseRequest(query=by("gender"), purpose="gossip")
    with pytest.raises(PolicyDenied):
        await call(ana.DeriveRelease(request))
    # under other protect-clauses nothing that is stored counts any more
    edit_agreement(world.state, {"suppress_below: 10": "suppress_below: 12"})
    await world.restart()
    await world.all_agents(many)
    again = world.analyst(add_analyst(world.state, "uma"))
    with pytest.raises(PreconditionFailed) as nothing:
        await derived(again, by("gender"))
    assert nothing.value.reason == "NOT_DERIVABLE"


async def test_a_finer_release_that_lost_too_much_is_not_added_up(
    world: World,
) -> None:
    """Over time a bound leaves out other cases than the coarser question's would."""

    async def losing(asked: Asked) -> None:
        layout = asked.layout
        await asked.answer([40] * layout.n_cells + [50, 1000 * layout.n_cells])

    await world.all_agents(losing)
    stub = world.analyst(add_analyst(world.state, "ana"))
    await released(stub, by("gender", "age_band:broad"))
    with pytest.raises(PreconditionFailed) as refused:
        await derived(stub, by("gender"))
    assert "left too much out" in refused.value.sentence
