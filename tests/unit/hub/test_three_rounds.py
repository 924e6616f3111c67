# SPDX-License-Identifier: Apache-2.0
"""What each round ends with when agencies vanish, decline, forge, or come back."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.hub.db.engine import Store
from accord.hub.db.tables import (
    ROUND_ERASURES,
    ROUND_READIES,
    ROUND_RECEIPTS,
    ROUNDS,
    TRANSCRIPTS,
)
from accord.hub.rounds.progress import stored_progress
from accord.hub.rounds.stages import Stage
from accord.hub.serve import utc_now
from accord.rpc.rounds import member_readies_from_messages, receipts_from_messages
from accord.secagg.directory import directory_of
from accord.secagg.member import check_readies, check_receipts
from accord.secagg.messages import Spec
from accord.v1 import agent_pb2, analyst_pb2, analyst_pb2_grpc
from tests.unit.hub.agencies import Agency
from tests.unit.hub.scripted import Asked, answering, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    FALLBACK,
    PARTIES,
    World,
    a_submission,
    account,
    add_analyst,
    audited,
    call,
    edit_agreement,
    finished,
    revoke,
)

OUTSIDE = "health-service"
"""Not a member of the fallback."""

Stub: TypeAlias = "analyst_pb2_grpc.AnalystServiceAsyncStub"
Start = Callable[[int], Awaitable[World]]


async def asking(world: World) -> tuple[str, analyst_pb2.Submission]:
    """Ask, and return the question once it has ended."""
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    return asked.id, await finished(stub, asked.id)


async def at_stage(world: World, submission: str, stage: Stage) -> None:
    progress = world.hub._collection.progress
    await until(lambda: progress(submission).stage is stage)


async def submitted(world: World) -> tuple[Stub, str]:
    """Ask, and return with what to read the answer, and the question's id."""
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    return stub, asked.id


def rows_of(world: World, table: sa.Table) -> int:
    store = Store(world.state.database)
    with store.read() as tx:
        found = tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    store.close()
    return int(found)


async def test_who_vanishes_before_handing_in_costs_an_attempt_and_no_budget(
    within: Start,
) -> None:
    world = await within(2)
    for label in PARTIES:
        stop = "masked" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    submission, found = await asking(world)
    release = found.reply.release
    assert list(release.coverage.answered) == list(FALLBACK)
    assert release.coverage.cohort == "fallback"
    paid = found.reply.charged.loss.nano_rho
    assert account(world, f"agreement/{AGREEMENT}") == (paid, 0)
    assert account(world, f"agency/{OUTSIDE}") == (0, 0)
    (attempt,) = audited(world, "attempt.ended")
    assert (attempt["attempt"], attempt["awaited"]) == (1, [OUTSIDE])
    (opening,) = audited(world, "opening.committed")
    assert (opening["attempt"], opening["cohort"]) == (2, "fallback")
    assert [f["cohort"] for f in audited(world, "cohort.chosen")] == ["all", "fallback"]
    # the seed of the first attempt is gone, and never left the agency
    assert world.agents["city-police"].reveals[0].attempt == 2
    assert submission in world.agents[OUTSIDE].settled


async def test_a_whole_cohort_that_hands_nothing_in_is_named_with_its_round(
    within: Start,
) -> None:
    world = await within(1)
    for label in PARTIES:
        await world.agent(label, answering, stop_before="masked")
    _, found = await asking(world)
    assert found.failure.reason == "AGENCIES_AWAITED"
    assert "city-police (round 2, masked figures)" in found.failure.sentence
    assert "Nothing was charged" in found.failure.sentence
    assert account(world, f"agreement/{AGREEMENT}") == (0, 0)
    assert not audited(world, "opening.committed")


async def test_a_refusal_of_the_cohort_begins_another_attempt_at_once(
    world: World,
) -> None:
    for label in PARTIES:
        stop = "masked" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    stub, submission = await submitted(world)
    agent = world.agents[OUTSIDE]
    await until(lambda: len(agent.cohorts) == 1)
    await agent.refuse(submission, 1, "COHORT_TOO_SMALL")
    found = await finished(stub, submission)
    assert list(found.reply.release.coverage.answered) == list(FALLBACK)
    (refused,) = audited(world, "requisition.refused")
    assert (refused["stage"], refused["reason"]) == ("masked", "COHORT_TOO_SMALL")


async def test_who_vanishes_after_the_opening_is_charged(within: Start) -> None:
    world = await within(1)
    for label in PARTIES:
        stop = "reveal" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    _, found = await asking(world)
    assert found.failure.reason == "OPENING_INCOMPLETE"
    assert OUTSIDE in found.failure.sentence
    assert "was charged" in found.failure.sentence
    assert list(found.awaited) == [OUTSIDE]
    for name in (f"agreement/{AGREEMENT}", f"agency/{OUTSIDE}", "agency/city-police"):
        used, reserved = account(world, name)
        assert used > 0
        assert reserved == 0
    (failed,) = audited(world, "query.failed")
    assert failed["charged"] is True
    for table in (ROUNDS, ROUND_READIES, ROUND_RECEIPTS, ROUND_ERASURES):
        assert rows_of(world, table) == 0


async def test_what_everybody_has_erased_is_given_back(world: World) -> None:
    for label in PARTIES:
        await world.agent(label, answering, stop_before="reveal")
    stub, submission = await submitted(world)
    agent = world.agents[OUTSIDE]
    await until(lambda: len(agent.reveals) == 1)
    assert account(world, f"agency/{OUTSIDE}")[1] > 0
    await agent.refuse(submission, 1, "EQUIVOCATION")
    found = await finished(stub, submission)
    assert found.failure.reason == "OPENING_INCOMPLETE"
    assert f"{OUTSIDE} (EQUIVOCATION)" in found.failure.sentence
    assert "Nothing was charged" in found.failure.sentence
    assert account(world, f"agreement/{AGREEMENT}") == (0, 0)
    (noted,) = audited(world, "equivocation.reported")
    assert (noted["agency"], noted["stage"]) == (OUTSIDE, "reveal")
    assert {len(a.agency.erased) > 0 for a in world.agents.values()} == {True}
    (failed,) = audited(world, "query.failed")
    assert failed["charged"] is False


async def test_one_seed_that_is_out_is_enough_for_a_charge(world: World) -> None:
    for label in PARTIES:
        stop = "reveal" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    stub, submission = await submitted(world)
    agent = world.agents[OUTSIDE]
    await until(lambda: len(agent.reveals) == 1)
    await agent.refuse(submission, 1, "RECEIPTS_INVALID")
    found = await finished(stub, submission)
    assert found.failure.reason == "OPENING_INCOMPLETE"
    assert "was charged" in found.failure.sentence
    assert account(world, f"agreement/{AGREEMENT}")[0] > 0


async def test_a_ready_under_another_key_counts_as_a_refusal(world: World) -> None:
    policy = world._policy
    world._agencies[OUTSIDE] = Agency(OUTSIDE, Ed25519PrivateKey.generate(), policy)
    await world.all_agents()
    _, found = await asking(world)
    assert list(found.reply.release.coverage.answered) == list(FALLBACK)
    (rejected,) = audited(world, "answer.rejected")
    assert (rejected["agency"], rejected["reason"]) == (OUTSIDE, "READY_INVALID")


async def test_a_forged_receipt_counts_as_a_refusal(world: World) -> None:
    for label in PARTIES:
        stop = "masked" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    stub, submission = await submitted(world)
    agent = world.agents[OUTSIDE]
    await until(lambda: len(agent.cohorts) == 1)
    masked = agent.agency.mask(agent.cohorts[0])[0]
    assert isinstance(masked, agent_pb2.Masked)
    masked.input_commitment = bytes(32)
    message = agent_pb2.MaskedVectors(masked=[masked])
    await agent.say(agent_pb2.ConnectRequest(masked=message))
    found = await finished(stub, submission)
    assert list(found.reply.release.coverage.answered) == list(FALLBACK)
    (rejected,) = audited(world, "answer.rejected")
    assert (rejected["agency"], rejected["reason"]) == (OUTSIDE, "RECEIPTS_INVALID")


async def test_a_wrong_seed_opens_nothing_and_is_charged(world: World) -> None:
    for label in PARTIES:
        stop = "reveal" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    stub, submission = await submitted(world)
    agent = world.agents[OUTSIDE]
    await until(lambda: len(agent.reveals) == 1)
    wrong = agent_pb2.Reveal(query_id=submission, attempt=1, seed=os.urandom(32))
    await agent.say(
        agent_pb2.ConnectRequest(reveals=agent_pb2.Reveals(reveals=[wrong]))
    )
    found = await finished(stub, submission)
    assert found.failure.reason == "OPENING_INCOMPLETE"
    assert f"{OUTSIDE} (SEED_WRONG)" in found.failure.sentence
    assert "was charged" in found.failure.sentence


async def test_a_cohort_waits_for_the_encapsulations_that_it_needs(
    world: World,
) -> None:
    """Without them an agency could only refuse."""
    for label in PARTIES:
        first = label == "city-police"  # the lowest label makes them for all others
        await world.agent(label, answering, encapsulating=not first)
    stub, submission = await submitted(world)
    await at_stage(world, submission, Stage.MASKED)
    police = world.agents["city-police"]
    await until(lambda: len(police.cohorts) == 1)
    assert not any(a.cohorts for a in world.agents.values() if a is not police)
    await police.encapsulate()
    found = await finished(stub, submission)
    assert list(found.reply.release.coverage.answered) == list(PARTIES)
    shown = world.agents["shelter-north"].cohorts[0].encapsulations
    assert {each.sender for each in shown} == set(PARTIES[:-1])


async def test_encapsulations_outlive_the_hub_and_are_sent_once(world: World) -> None:
    await world.all_agents()
    await asking(world)
    await world.restart()
    for label in PARTIES:
        await world.agent(label, answering, encapsulating=False)
        world.agency(label)._got.clear()
    stub = world.analyst(add_analyst(world.state, "ben"))
    asked = a_submission(2.0)
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert list(release.coverage.answered) == list(PARTIES)


async def test_nobody_sends_encapsulations_in_another_s_name(world: World) -> None:
    agent = await world.agent("national-hotline", silent)
    pairs = world.hub._collection._pairs
    await until(lambda: pairs.get("national-hotline", "shelter-north") is not None)
    made = agent_pb2.Encapsulation(
        sender="city-police",
        receiver="shelter-north",
        ciphertext=bytes(1088),
        signature=bytes(64),
    )
    strange = agent_pb2.Encapsulation(
        sender="national-hotline",
        receiver="zzz",
        ciphertext=bytes(1088),
        signature=bytes(64),
    )
    await agent.say(
        agent_pb2.ConnectRequest(
            encapsulations=agent_pb2.Encapsulations(encapsulations=[made, strange])
        )
    )
    heard = world.hub._connections._open["national-hotline"].heard_at
    await agent.say(agent_pb2.ConnectRequest(heartbeat=agent_pb2.Heartbeat()))
    stream = world.hub._connections._open["national-hotline"]
    await until(lambda: stream.heard_at > heard)
    assert pairs.get("city-police", "shelter-north") is None
    assert pairs.get("national-hotline", "zzz") is None


async def test_who_lost_its_keys_database_is_understood_again(world: World) -> None:
    """The others get what it encapsulates anew, though they lack nothing."""
    await world.all_agents()
    await asking(world)
    police = world.agents["city-police"]
    police.agency._sent.clear()
    await world.agent("city-police", answering)
    stub = world.analyst(add_analyst(world.state, "ben"))
    asked = a_submission(3.0)
    await call(stub.SubmitQuery(asked))
    found = await finished(stub, asked.id)
    assert list(found.reply.release.coverage.answered) == list(PARTIES)
    shown = world.agents["shelter-north"].cohorts[-1].encapsulations
    assert [each.sender for each in shown] == ["city-police"]


async def test_the_transcript_of_a_release_can_be_checked_by_an_auditor(
    world: World,
) -> None:
    await world.all_agents()
    submission, found = await asking(world)
    store = Store(world.state.database)
    with store.read() as tx:
        row = tx.execute(sa.select(TRANSCRIPTS)).one()
    store.close()
    assert (row.release, row.submission) == (found.reply.release.id, submission)
    policy = world._policy()
    directory = directory_of(policy)
    payload = world.agents["city-police"].asked[0].payload
    spec = Spec(query_id=submission, payload=payload, directory_digest=directory.digest)
    assert row.spec_digest == spec.digest
    members = policy.agreement.cohorts[row.cohort]
    shown = agent_pb2.CohortCall.FromString(row.readies)
    readies = member_readies_from_messages(
        shown.readies, spec_digest=spec.digest, attempt=row.attempt
    )
    check_readies(spec, row.attempt, readies, members, directory, None)
    receipts = agent_pb2.RevealCall.FromString(row.receipts).receipts
    check_receipts(receipts_from_messages(receipts), members, row.transcript, directory)
    for table in (ROUNDS, ROUND_READIES, ROUND_RECEIPTS, ROUND_ERASURES):
        assert rows_of(world, table) == 0


async def test_the_hub_tells_an_agent_how_far_its_state_was(world: World) -> None:
    for said, told in ((0, 0), (7, 7), (3, 7), (9, 9)):
        agent = await world.agent("city-police", silent, state_sequence=said)
        assert agent.welcome is not None
        assert agent.welcome.state_sequence == told


async def test_everything_that_waits_for_an_agent_comes_in_one_message(
    world: World,
) -> None:
    for label in PARTIES[1:]:
        await world.agent(label, silent)
    agent = await world.agent("city-police", silent)
    await agent.stop()
    await until(lambda: "city-police" not in world.hub._connections.connected())
    stub = world.analyst(add_analyst(world.state, "ana"))
    for step in range(8):
        await call(stub.SubmitQuery(a_submission(0.1 * (step + 1))))
    agent = await world.agent("city-police", silent)
    await until(lambda: len(agent.asked) == 8)
    kinds = [m.WhichOneof("message") for m in agent.messages]
    assert kinds.count("requisitions") == 1


async def test_an_agent_that_comes_back_is_asked_for_what_is_still_wanted(
    world: World,
) -> None:
    """In whatever round: its key, its vector, its seed."""
    for label in PARTIES:
        await world.agent(label, answering)

    async def getting_ready(asked: Asked) -> None:
        await asked.ready()

    await world.agent(OUTSIDE, getting_ready)
    stub, submission = await submitted(world)
    await at_stage(world, submission, Stage.MASKED)
    await world.agent(OUTSIDE, answering, stop_before="reveal")
    await at_stage(world, submission, Stage.REVEAL)
    await until(lambda: len(world.agents[OUTSIDE].reveals) == 1)
    agent = await world.agent(OUTSIDE, answering)
    found = await finished(stub, submission)
    assert list(found.reply.release.coverage.answered) == list(PARTIES)
    assert not agent.asked
    assert not agent.cohorts
    assert len(agent.reveals) == 1


async def waiting_for_a_seed(
    world: World, *, stop: tuple[str, ...]
) -> tuple[Stub, str]:
    """Ask; some agencies reveal, and some fall silent before."""
    for label in PARTIES:
        last = "reveal" if label in stop else ""
        await world.agent(label, answering, stop_before=last)
    stub, submission = await submitted(world)
    for label in stop:
        agent = world.agents[label]
        await until(lambda agent=agent: len(agent.reveals) == 1)  # type: ignore[misc]
    progress = world.hub._collection.progress
    others = [label for label in PARTIES if label not in stop]
    await until(lambda: progress(submission).answered == others)
    return stub, submission


async def test_a_sum_with_figures_of_who_was_thrown_out_is_not_released(
    world: World,
) -> None:
    """It can have been opened before anybody knew; then it is charged all the same."""
    stub, submission = await waiting_for_a_seed(world, stop=(OUTSIDE,))
    await world.agents["city-police"].stop()
    await until(lambda: "city-police" not in world.hub._connections.connected())
    revoke(world.state, "city-police")
    await world.agent(OUTSIDE, answering)
    found = await finished(stub, submission)
    assert found.failure.reason == "AGENCY_REVOKED"
    assert "city-police" in found.failure.sentence
    assert account(world, f"agreement/{AGREEMENT}")[0] > 0


async def test_an_agreement_that_changes_before_any_seed_is_out_costs_nothing(
    world: World,
) -> None:
    stub, submission = await waiting_for_a_seed(world, stop=PARTIES)
    edit_agreement(world.state, {"suppress_below: 10": "suppress_below: 12"})
    found = await finished(stub, submission)
    assert found.failure.reason == "AGREEMENT_CHANGED"
    assert "Nothing was charged" in found.failure.sentence
    assert account(world, f"agreement/{AGREEMENT}") == (0, 0)


async def test_an_agreement_that_changes_after_a_seed_is_out_is_charged(
    world: World,
) -> None:
    stub, submission = await waiting_for_a_seed(world, stop=(OUTSIDE,))
    edit_agreement(world.state, {"suppress_below: 10": "suppress_below: 12"})
    found = await finished(stub, submission)
    assert found.failure.reason == "AGREEMENT_CHANGED"
    assert "was charged" in found.failure.sentence
    used, reserved = account(world, f"agreement/{AGREEMENT}")
    assert used > 0
    assert reserved == 0


async def test_erasures_of_before_a_restart_count(world: World) -> None:
    """Who has erased need not say so twice."""
    _, submission = await waiting_for_a_seed(world, stop=PARTIES)
    await world.agents[OUTSIDE].stop()
    await until(lambda: OUTSIDE not in world.hub._connections.connected())
    await world.agents["city-police"].refuse(submission, 1, "EQUIVOCATION")
    await until(lambda: rows_of(world, ROUND_ERASURES) == len(PARTIES) - 1)
    await world.restart()
    await world.agent(OUTSIDE, silent)
    await until(lambda: rows_of(world, ROUNDS) == 0)
    assert account(world, f"agreement/{AGREEMENT}") == (0, 0)
    (failed,) = audited(world, "query.failed")
    assert (failed["reason"], failed["charged"]) == ("OPENING_INCOMPLETE", False)


async def test_a_restart_while_seeds_come_in_asks_for_all_of_them_again(
    world: World,
) -> None:
    token = add_analyst(world.state, "ben")
    _, submission = await waiting_for_a_seed(world, stop=(OUTSIDE,))
    await world.restart()
    progress = world.hub._collection.progress
    assert progress(submission).stage is Stage.REVEAL
    assert progress(submission).answered == []
    for label in PARTIES:
        await world.agent(label, answering)
    await until(lambda: rows_of(world, ROUNDS) == 0)
    for label in PARTIES:
        assert [each.attempt for each in world.agents[label].reveals] == [1]
        assert not world.agents[label].asked
    again = await call(world.analyst(token).SubmitQuery(a_submission()))
    assert again.submission.reply.from_archive


async def test_a_hub_that_is_started_again_knows_whose_people_look_at_it(
    world: World,
) -> None:
    """Also one beside it does, by the rows alone, and before anybody says it again."""

    async def asking_people(asked: Asked) -> None:
        await asked.refuse("APPROVAL_AWAITED")

    for label in PARTIES:
        await world.agent(label, asking_people if label == OUTSIDE else answering)
    _, submission = await submitted(world)
    progress = world.hub._collection.progress
    await until(lambda: progress(submission).approving == [OUTSIDE])
    await until(lambda: progress(submission).awaited == [OUTSIDE])
    await world.restart()
    collection = world.hub._collection
    assert collection.progress(submission).approving == [OUTSIDE]
    found = await collection._store.run(
        functools.partial(
            stored_progress,
            collection._store,
            submission,
            collection._standing.current(),
            [],
            utc_now(),
            unsafe=False,
        )
    )
    assert (found.approving, found.awaited) == ([OUTSIDE], [OUTSIDE])
    await world.agent(OUTSIDE, answering)
    await until(lambda: not collection.progress(submission).approving)


async def test_a_restart_while_vectors_come_in_keeps_those_that_are_here(
    world: World,
) -> None:
    for label in PARTIES:
        stop = "masked" if label == OUTSIDE else ""
        await world.agent(label, answering, stop_before=stop)
    _, submission = await submitted(world)
    progress = world.hub._collection.progress
    await until(lambda: progress(submission).awaited == [OUTSIDE])
    await world.restart()
    progress = world.hub._collection.progress
    assert progress(submission).stage is Stage.MASKED
    assert progress(submission).awaited == [OUTSIDE]
    for label in PARTIES:
        await world.agent(label, answering)
    await until(lambda: rows_of(world, ROUNDS) == 0)
    for label in PARTIES:
        assert len(world.agents[label].cohorts) == (label == OUTSIDE)
        assert len(world.agents[label].reveals) == 1
    assert rows_of(world, TRANSCRIPTS) == 1
