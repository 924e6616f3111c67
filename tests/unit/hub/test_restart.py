# SPDX-License-Identifier: Apache-2.0
"""What is found after a hub stopped at the worst moment."""

from __future__ import annotations

import sqlite3

import pytest

from accord.core.errors import ConfigurationError
from accord.hub.rounds.stages import Stage
from accord.hub.serve import Hub
from accord.v1 import analyst_pb2, common_pb2
from tests.contract.hub_databases import on_every_database
from tests.unit.hub.scripted import answering, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    FALLBACK,
    PARTIES,
    World,
    a_query,
    a_submission,
    account,
    add_analyst,
    call,
    edit_agreement,
    finished,
)


@on_every_database
async def test_a_question_survives_a_restart(world: World) -> None:
    for label in PARTIES:
        await world.agent(label, answering if label == "city-police" else silent)
    token = add_analyst(world.state, "ana")
    asked = a_submission()
    await call(world.analyst(token).SubmitQuery(asked))
    police = world.agents["city-police"]
    progress = world.hub._collection.progress
    await until(lambda: progress(asked.id).answered == ["city-police"])
    await world.stop_hub()
    before = account(world, f"agreement/{AGREEMENT}")
    assert before[0] == before[1] > 0
    await world.start()
    stub = world.analyst(token)
    again = (await call(stub.SubmitQuery(asked))).submission
    assert again.state == analyst_pb2.SUBMISSION_STATE_COLLECTING
    assert list(again.answered) == ["city-police"]
    payload = police.asked[0].payload
    for label in PARTIES:
        await world.agent(label, answering)
    found = await finished(stub, asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    # the same signed bytes, so that an agency's ledger sees a repeat
    assert world.agents["shelter-north"].asked[0].payload == payload
    assert not world.agents["city-police"].asked  # its key was not lost
    assert account(world, f"agreement/{AGREEMENT}") == (before[0], 0)


@on_every_database
async def test_what_was_released_is_read_after_a_restart(world: World) -> None:
    await world.all_agents()
    token = add_analyst(world.state, "ana")
    asked = a_submission()
    await call(world.analyst(token).SubmitQuery(asked))
    first = (await finished(world.analyst(token), asked.id)).reply
    await world.stop_hub()
    await world.start()
    stub = world.analyst(token)
    assert (await finished(stub, asked.id)).reply == first
    assert (await call(stub.SubmitQuery(asked))).submission.reply == first


@on_every_database
async def test_after_the_deadline_the_fallback_is_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.stop_hub()
    monkeypatch.setenv("ACCORD_HUB_ANSWER_WITHIN_SECONDS", "2")
    await world.start()
    for label in PARTIES:
        await world.agent(label, answering if label in FALLBACK else silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    found = await finished(stub, asked.id)
    assert list(found.reply.release.coverage.answered) == list(FALLBACK)
    paid = found.reply.charged.loss.nano_rho
    assert account(world, "agency/city-police") == (paid, 0)
    assert account(world, f"agreement/{AGREEMENT}") == (paid, 0)
    # who is not part of the release has spent nothing
    assert account(world, "agency/health-service") == (0, 0)


async def test_after_the_deadline_without_a_whole_cohort_it_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.stop_hub()
    monkeypatch.setenv("ACCORD_HUB_ANSWER_WITHIN_SECONDS", "2")
    await world.start()
    for label in PARTIES:
        await world.agent(label, silent if label == "city-police" else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    found = await finished(stub, asked.id)
    assert found.failure.reason == "AGENCIES_AWAITED"
    assert list(found.awaited) == ["city-police"]
    assert account(world, "agency/city-police") == (0, 0)


@on_every_database
async def test_who_followed_a_failed_question_asks_for_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.stop_hub()
    monkeypatch.setenv("ACCORD_HUB_ANSWER_WITHIN_SECONDS", "60")
    await world.start()
    await world.all_agents(silent)
    ana = world.analyst(add_analyst(world.state, "ana"))
    ben = world.analyst(add_analyst(world.state, "ben"))
    first, second, third = a_submission(), a_submission(), a_submission(0.5)
    await call(ana.SubmitQuery(first))
    await call(ben.SubmitQuery(second))
    await call(ben.SubmitQuery(third))
    await until(lambda: len(world.agents["city-police"].asked) == 1)
    await world.agents["city-police"].asked[0].refuse()
    assert (await finished(ana, first.id)).failure.reason == "AGENCY_REFUSED"
    for agent in world.agents.values():
        await until(lambda agent=agent: len(agent.asked) == 2)  # type: ignore[misc]
        assert agent.asked[1].requisition.query_id == second.id
        await agent.asked[1].answer()
    mine = await finished(ben, second.id)
    also = await finished(ben, third.id)
    assert not mine.reply.from_archive
    assert also.reply.from_archive
    assert also.reply.release == mine.reply.release
    assert account(world, f"agreement/{AGREEMENT}/analyst/ana") == (0, 0)


async def test_a_changed_agreement_ends_what_waited_under_the_old_one(
    world: World,
) -> None:
    await world.all_agents(silent)
    token = add_analyst(world.state, "ana")
    asked = a_submission()
    await call(world.analyst(token).SubmitQuery(asked))
    await world.stop_hub()
    edit_agreement(world.state, {"suppress_below: 10": "suppress_below: 12"})
    await world.start()
    found = await finished(world.analyst(token), asked.id)
    assert found.failure.reason == "AGREEMENT_CHANGED"
    assert account(world, f"agreement/{AGREEMENT}") == (0, 0)


async def test_a_full_disk_delays_a_release_and_loses_nothing(world: World) -> None:
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(
        query=a_query(group_by=[common_pb2.Grouping(dimension="registered_month")])
    )
    await call(stub.SubmitQuery(asked))
    store = world.hub._store

    def limit_pages(pages: int) -> int:
        with store.read() as tx:
            return int(
                tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar_one()
            )

    outside = sqlite3.connect(world.state.database)
    outside.execute("VACUUM")  # no free page is left inside
    outside.close()
    await store.run(limit_pages, 1)  # never below what is used: no page more
    for agent in world.agents.values():
        await until(lambda agent=agent: len(agent.asked) == 1)  # type: ignore[misc]
        await agent.asked[0].answer()
    # Everything but the opening goes on without the disk.
    entry = world.hub._collection._open[asked.id]
    await until(lambda: entry.round.current.stage is Stage.REVEAL)
    await until(lambda: world.hub._collection._journal.is_delayed)
    assert not any(agent.reveals for agent in world.agents.values())
    await store.run(limit_pages, 2**30)
    found = await finished(stub, asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    paid = found.reply.charged.loss.nano_rho
    assert account(world, f"agreement/{AGREEMENT}") == (paid, 0)


async def test_the_unsafe_test_mode_has_no_caps_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.stop_hub()
    edit_agreement(
        world.state,
        {
            "noise: shared ": "noise: hub ",
            "hub_sees_at_most: {epsilon: 6} ": "hub_sees_exact_pooled_sums: accepted ",
        },
    )
    monkeypatch.setenv("ACCORD_HUB_UNSAFE_TEST_MODE", "1")
    await world.start()
    await world.all_agents()
    token = add_analyst(world.state, "ana")
    stub = world.analyst(token)
    asked = a_submission(10_000)
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert release.not_covered[0].startswith("UNSAFE TEST MODE")
    assert {row.estimate.estimate for row in release.rows} == {50.0}
    assert release.persons.estimate == 35
    assert release.dropped.estimate == 5
    await world.stop_hub()
    monkeypatch.delenv("ACCORD_HUB_UNSAFE_TEST_MODE")
    await world.start()
    await world.all_agents()
    stub = world.analyst(token)
    price = await call(
        stub.PriceQuery(
            analyst_pb2.PriceQueryRequest(
                query=a_query(),
                spending=analyst_pb2.Spending(epsilon=1),
                purpose="prevention planning",
            )
        )
    )
    assert not price.from_archive  # never a bargain for a hub in earnest


async def test_nothing_of_one_agency_is_in_any_file(world: World) -> None:
    """An agency's vector is in memory only; its numbers are told apart by size."""
    marked = 31_415_926_535

    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    for agent in world.agents.values():
        await until(lambda agent=agent: len(agent.asked) == 1)  # type: ignore[misc]
    for label in PARTIES:
        layout = world.agents[label].asked[0].layout
        value = marked if label == "city-police" else 40
        await world.agents[label].asked[0].answer([value] * layout.size)
    await finished(stub, asked.id)
    await world.stop_hub()
    needles = (marked.to_bytes(8, "little"), marked.to_bytes(8, "big"))
    for path in world.state.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(needle in content for needle in needles), path.name


async def test_two_hubs_do_not_serve_one_state(world: World) -> None:
    with world.state.serving():
        assert world.state.is_served()
        second = world.state.serving()
        with pytest.raises(ConfigurationError, match="serves the hub"):
            second.__enter__()
    assert not world.state.is_served()


async def test_a_damaged_ledger_is_not_served(world: World) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    await finished(stub, asked.id)
    await world.stop_hub()
    with sqlite3.connect(world.state.database) as connection:
        connection.execute("UPDATE ledger_account SET used = 0, reserved = 0")
    connection.close()
    with pytest.raises(Exception, match="contradicts itself"):
        Hub(world.parts)
