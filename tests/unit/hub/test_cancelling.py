# SPDX-License-Identifier: Apache-2.0
"""Questions that their analyst ends: free until the opening, and never lost."""

from __future__ import annotations

import uuid
from typing import TypeAlias

import pytest

from accord.core.errors import NotFound, PreconditionFailed
from accord.hub.contact.standing import Cause, begin_doubt
from accord.hub.rounds.stages import Stage
from accord.hub.serve import utc_now
from accord.v1 import analyst_pb2, analyst_pb2_grpc
from tests.contract.hub_databases import on_every_database
from tests.unit.hub.scripted import answering, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    PARTIES,
    World,
    a_submission,
    account,
    add_analyst,
    audited,
    call,
    finished,
    store_of,
)

Stub: TypeAlias = "analyst_pb2_grpc.AnalystServiceAsyncStub"
OUTSIDE = "health-service"


async def cancel(stub: Stub, submission: str) -> analyst_pb2.Submission:
    request = analyst_pb2.CancelSubmissionRequest(id=submission)
    return (await call(stub.CancelSubmission(request))).submission


async def asked(
    world: World, name: str = "ana", *, epsilon: float = 1.0
) -> tuple[Stub, str]:
    stub = world.analyst(add_analyst(world.state, name))
    request = a_submission(epsilon)
    await call(stub.SubmitQuery(request))
    return stub, request.id


def assert_cancelled(found: analyst_pb2.Submission) -> None:
    assert found.state == analyst_pb2.SUBMISSION_STATE_FAILED
    assert found.failure.reason == "CANCELLED"
    assert "Nothing was charged." in found.failure.sentence


def gathering(world: World, submission: str) -> bool:
    """Tell whether agencies are still getting ready, or nobody is asked any more."""
    found = world.hub._collection.progress(submission)
    return found.stage is Stage.READY


def assert_free(world: World) -> None:
    for name in (f"agreement/{AGREEMENT}", "agency/city-police", f"agency/{OUTSIDE}"):
        assert account(world, name) == (0, 0)
    assert [fact["charged"] for fact in audited(world, "query.failed")] == [False]


@on_every_database
async def test_before_anybody_is_ready_the_reservation_is_given_back(
    world: World,
) -> None:
    await world.all_agents(silent)
    stub, submission = await asked(world)
    assert account(world, f"agreement/{AGREEMENT}")[1] > 0
    found = await cancel(stub, submission)
    assert_cancelled(found)
    assert_free(world)
    # once more, and asked for again under the same id, it stays what it is
    assert await cancel(stub, submission) == found
    assert await finished(stub, submission) == found
    assert len(audited(world, "query.failed")) == 1
    await until(lambda: submission in world.agents[OUTSIDE].settled)


async def test_between_the_stages_agencies_erase_what_they_sent(world: World) -> None:
    for label in PARTIES:
        stop = "masked" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    stub, submission = await asked(world)
    police = world.agents["city-police"]
    await until(lambda: len(world.agents[OUTSIDE].cohorts) == 1)
    assert_cancelled(await cancel(stub, submission))
    assert_free(world)
    await until(lambda: submission in police.settled)
    # who comes too late is not asked, and changes nothing
    await world.agents[OUTSIDE].mask(world.agents[OUTSIDE].cohorts[0])
    assert not audited(world, "opening.committed")
    again = a_submission()
    for label in PARTIES:
        await world.agent(label, answering)
    await call(stub.SubmitQuery(again))
    released = await finished(stub, again.id)
    assert released.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    assert not released.reply.from_archive


async def test_after_the_opening_it_is_too_late_and_the_answer_comes(
    world: World,
) -> None:
    for label in PARTIES:
        stop = "reveal" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    stub, submission = await asked(world)
    slow = world.agents[OUTSIDE]
    await until(lambda: len(slow.reveals) == 1)
    found = await cancel(stub, submission)
    assert found.state == analyst_pb2.SUBMISSION_STATE_COLLECTING
    assert found.stage == analyst_pb2.STAGE_REVEAL
    await slow.reveal(slow.reveals[0])
    released = await finished(stub, submission)
    paid = released.reply.charged.loss.nano_rho
    assert account(world, f"agreement/{AGREEMENT}") == (paid, 0)
    # an answer that is there stays there
    assert await cancel(stub, submission) == released
    assert not audited(world, "query.failed")


@on_every_database
async def test_an_opening_that_is_being_committed_meanwhile_wins_or_never_happens(
    world: World,
) -> None:
    """Whatever comes first in the journal, nothing is charged without a release."""
    await world.all_agents(answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    first = a_submission(0.4)  # until it is answered, agencies lack each other's keys
    await call(stub.SubmitQuery(first))
    answered = await finished(stub, first.id)
    assert answered.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    for wait in (0.0, 0.01, 0.03, 0.06, 0.1):
        request = a_submission(0.5 + wait)
        await call(stub.SubmitQuery(request))
        if wait:
            await until(lambda: not gathering(world, request.id))  # noqa: B023  # awaited
        await cancel(stub, request.id)
        found = await finished(stub, request.id)
        if found.state == analyst_pb2.SUBMISSION_STATE_FAILED:
            assert_cancelled(found)
            assert account(world, f"agreement/{AGREEMENT}")[1] == 0
    released = audited(world, "release.published")
    used = sum(int(str(each["nano_rho"])) for each in released)
    assert account(world, f"agreement/{AGREEMENT}") == (used, 0)
    assert not [each for each in audited(world, "query.failed") if each["charged"]]


@on_every_database
async def test_a_hub_that_restarted_ends_it_all_the_same(world: World) -> None:
    for label in PARTIES:
        stop = "masked" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    token = add_analyst(world.state, "ana")
    request = a_submission()
    await call(world.analyst(token).SubmitQuery(request))
    await until(lambda: len(world.agents[OUTSIDE].cohorts) == 1)
    await world.restart()
    assert_cancelled(await cancel(world.analyst(token), request.id))
    assert_free(world)
    # and after another restart it has not come back
    await world.restart()
    await world.all_agents(answering)
    assert_cancelled(await finished(world.analyst(token), request.id))


async def test_who_followed_goes_on_and_pays_for_it(world: World) -> None:
    await world.all_agents(silent)
    ana, first = await asked(world)
    ben, second = await asked(world, "ben", epsilon=0.5)
    assert audited(world, "query.followed")
    # another's question cannot be ended, nor be found
    with pytest.raises(NotFound) as unknown:
        await cancel(ben, first)
    assert unknown.value.reason == "SUBMISSION_UNKNOWN"
    assert_cancelled(await cancel(ana, first))
    assert audited(world, "query.promoted")
    assert account(world, f"agreement/{AGREEMENT}/analyst/ana") == (0, 0)
    await world.all_agents(answering)
    released = await finished(ben, second)
    paid = released.reply.charged.loss.nano_rho
    assert paid > 0
    assert account(world, f"agreement/{AGREEMENT}/analyst/ben") == (paid, 0)


async def test_who_follows_ends_only_its_own_question(world: World) -> None:
    await world.all_agents(silent)
    ana, first = await asked(world)
    ben, second = await asked(world, "ben", epsilon=0.5)
    held = account(world, f"agreement/{AGREEMENT}")
    assert_cancelled(await cancel(ben, second))
    assert account(world, f"agreement/{AGREEMENT}") == held
    await world.all_agents(answering)
    released = await finished(ana, first)
    assert released.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    assert_cancelled(await finished(ben, second))


async def test_what_nobody_asked_cannot_be_cancelled(world: World) -> None:
    stub = world.analyst(add_analyst(world.state, "ana"))
    with pytest.raises(NotFound):
        await cancel(stub, str(uuid.uuid4()))


async def test_while_the_ledger_is_in_doubt_nothing_is_given_back(world: World) -> None:
    await world.all_agents(silent)
    stub, submission = await asked(world)
    held = account(world, f"agreement/{AGREEMENT}")
    store = store_of(world.state)
    with store.write() as tx:
        begin_doubt(tx, Cause.RESTORED, utc_now())
    store.close()
    with pytest.raises(PreconditionFailed) as behind:
        await cancel(stub, submission)
    assert behind.value.reason == "LEDGER_BEHIND"
    assert account(world, f"agreement/{AGREEMENT}") == held
