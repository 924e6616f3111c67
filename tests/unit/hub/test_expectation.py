# SPDX-License-Identifier: Apache-2.0
"""When an answer can be expected, and answers that must be complete."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from accord.core.errors import PreconditionFailed
from accord.core.windows import next_window
from accord.hub.serve import utc_now
from accord.v1 import analyst_pb2
from tests.unit.hub.scripted import answering, refusing, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    FALLBACK,
    PARTIES,
    PURPOSE,
    World,
    a_query,
    a_submission,
    account,
    add_analyst,
    call,
    finished,
    make_state,
)

OUTSIDE = "health-service"
WEEK = dt.timedelta(days=7)


@pytest.fixture
async def weekly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[World]:
    """Return a hub whose agencies' machines are awake two hours a week."""
    today = utc_now() + dt.timedelta(days=3)
    day = today.strftime("%A").lower()
    clause = (
        f"rounds: {{every: week, on: {day}, at: '06:00', open: 2 hours,"
        " deadline: 21 days}\nmay_ask:"
    )
    state = make_state(tmp_path, **{"\nmay_ask:": f"\n{clause}"})
    capsys.readouterr()
    world = World(state)
    await world.start()
    yield world
    await world.stop()


def a_price(**changes: object) -> analyst_pb2.PriceQueryRequest:
    return analyst_pb2.PriceQueryRequest(
        query=a_query(),
        spending=analyst_pb2.Spending(epsilon=1.0),
        purpose=PURPOSE,
        **changes,  # type: ignore[arg-type]  # by name
    )


async def test_with_everybody_there_the_answer_is_expected_now(weekly: World) -> None:
    await weekly.all_agents(silent)
    stub = weekly.analyst(add_analyst(weekly.state, "ana"))
    price = await call(stub.PriceQuery(a_price()))
    now = utc_now().timestamp()
    assert abs(price.expected_at - now) < 60
    assert abs(price.deadline_at - now - 3 * WEEK.total_seconds()) < 60


async def test_without_somebody_it_is_expected_after_the_next_window(
    weekly: World,
) -> None:
    await weekly.all_agents(silent)
    await weekly.agents[OUTSIDE].stop()
    await until(lambda: OUTSIDE not in weekly.hub._connections.connected())
    stub = weekly.analyst(add_analyst(weekly.state, "ana"))
    rounds = weekly._policy().agreement.form.rounds
    assert rounds is not None
    begin, end = next_window(rounds, utc_now())
    assert begin > utc_now()
    price = await call(stub.PriceQuery(a_price()))
    assert price.expected_at == int(end.timestamp())
    asked = a_submission()
    found = (await call(stub.SubmitQuery(asked))).submission
    assert found.expected_at == int(end.timestamp())
    assert (
        abs(found.deadline_at - utc_now().timestamp() - 3 * WEEK.total_seconds()) < 60
    )
    assert (found.stage, found.attempt) == (analyst_pb2.STAGE_READY, 1)
    assert found.cohort == "all"
    # agencies may answer for twice as long: a fallback needs its own rounds
    payload = weekly.agents["city-police"].asked[0].requisition
    assert payload.expires_at - payload.issued_at == 6 * WEEK


async def test_a_submission_tells_its_stage_and_who_is_awaited_in_it(
    world: World,
) -> None:
    for label in PARTIES:
        stop = "masked" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    progress = world.hub._collection.progress
    await until(lambda: progress(asked.id).awaited == [OUTSIDE])
    look = analyst_pb2.GetSubmissionRequest(id=asked.id)
    found = (await call(stub.GetSubmission(look))).submission
    assert found.stage == analyst_pb2.STAGE_MASKED
    assert list(found.awaited) == [OUTSIDE]
    assert len(found.answered) == 4


async def test_a_price_from_the_archive_needs_no_patience(world: World) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(2.0)
    await call(stub.SubmitQuery(asked))
    await finished(stub, asked.id)
    price = await call(stub.PriceQuery(a_price()))
    assert price.from_archive
    assert (price.expected_at, price.deadline_at) == (0, 0)


async def partial(world: World) -> analyst_pb2.Release:
    """Return a release of the fallback cohort."""
    for label in PARTIES:
        await world.agent(label, refusing if label == OUTSIDE else answering)
    stub = world.analyst(add_analyst(world.state, "first"))
    asked = a_submission(1.0)
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert list(release.coverage.answered) == list(FALLBACK)
    return release


async def test_a_partial_answer_does_not_serve_who_wants_a_complete_one(
    world: World,
) -> None:
    release = await partial(world)
    stub = world.analyst(add_analyst(world.state, "ana"))
    # anybody else gets it again, at no cost
    again = (await call(stub.SubmitQuery(a_submission(0.5)))).submission
    assert again.reply.release.id == release.id
    assert not (await call(stub.PriceQuery(a_price(complete_only=True)))).from_archive
    await world.all_agents()
    asked = a_submission(1.0, complete_only=True)
    await call(stub.SubmitQuery(asked))
    complete = (await finished(stub, asked.id)).reply
    assert list(complete.release.coverage.answered) == list(PARTIES)
    assert complete.charged.loss.nano_rho > 0
    # and once there is a complete one, it serves both
    for only in (True, False):
        asked = a_submission(0.4, complete_only=only)
        served = (await call(stub.SubmitQuery(asked))).submission
        assert served.reply.from_archive
    assert (await call(stub.PriceQuery(a_price(complete_only=True)))).from_archive


async def test_who_wants_a_complete_answer_gets_no_fallback(world: World) -> None:
    for label in PARTIES:
        await world.agent(label, refusing if label == OUTSIDE else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(complete_only=True)
    await call(stub.SubmitQuery(asked))
    found = await finished(stub, asked.id)
    assert found.failure.reason == "AGENCY_REFUSED"
    assert "the whole cohort was asked for" in found.failure.sentence
    assert account(world, f"agreement/{AGREEMENT}") == (0, 0)


async def test_who_wants_a_complete_answer_waits_behind_nobody_who_does_not(
    world: World,
) -> None:
    """The first may end with a fallback; two who want the same still pay once."""
    await world.all_agents(silent)
    ana = world.analyst(add_analyst(world.state, "ana"))
    ben = world.analyst(add_analyst(world.state, "ben"))
    any_, whole, also = (
        a_submission(1.0, complete_only=x) for x in (False, True, True)
    )
    await call(ana.SubmitQuery(any_))
    await call(ben.SubmitQuery(whole))
    await call(ben.SubmitQuery(also))
    agent = world.agents[OUTSIDE]
    await until(lambda: len(agent.asked) == 2)
    for label in PARTIES:
        for asked in world.agents[label].asked:
            await asked.answer()
    releases = [
        (await finished(stub, asked.id)).reply.release.id
        for stub, asked in ((ana, any_), (ben, whole), (ben, also))
    ]
    assert releases[0] != releases[1] == releases[2]


async def test_the_same_id_asks_for_the_same_completeness(world: World) -> None:
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(1.0)
    await call(stub.SubmitQuery(asked))
    with pytest.raises(Exception, match="another question"):
        await call(stub.SubmitQuery(a_submission(1.0, id=asked.id, complete_only=True)))


async def test_a_complete_answer_needs_an_edition_that_all_have(world: World) -> None:
    for label in PARTIES:
        newer = ("2026-09",) if label != OUTSIDE else ()
        await world.agent(label, editions=("2026-08", *newer))
    stub = world.analyst(add_analyst(world.state, "ana"))
    newest = a_query(edition="2026-09")
    with pytest.raises(PreconditionFailed) as caught:
        await call(stub.SubmitQuery(a_submission(query=newest, complete_only=True)))
    assert caught.value.reason == "EDITION_UNAVAILABLE"
    assert caught.value.metadata["lacking"] == OUTSIDE
