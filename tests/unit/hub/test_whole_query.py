# SPDX-License-Identifier: Apache-2.0
"""One query, end to end, over real loopback TLS with scripted agents."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

import pytest

from accord.core.errors import (
    BudgetExhausted,
    Conflict,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
)
from accord.v1 import analyst_pb2, common_pb2
from tests.unit.hub.scripted import Asked, answering, refusing, silent, until
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
    audited,
    call,
    finished,
    make_state,
)


async def test_a_question_is_answered_with_noise_and_its_whole_story(
    world: World,
) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(3.0)
    accepted = await call(stub.SubmitQuery(asked))
    assert accepted.submission.state == analyst_pb2.SUBMISSION_STATE_COLLECTING
    found = await finished(stub, asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    reply = found.reply
    release = reply.release
    assert not reply.from_archive
    assert reply.charged == release.cost
    assert 2.99 < release.cost.epsilon <= 3.0
    assert release.cost.loss.nano_rho > 0
    assert release.cost.loss.nano_epsilon == 0
    assert list(release.coverage.answered) == list(PARTIES)
    assert not release.coverage.missing
    assert release.coverage.cohort == "all"
    assert release.noise_placement == "shared"
    assert release.cost.epsilon < release.hub_epsilon <= 6.0
    assert release.colluding_at_most == 1
    towards_hub = [each for each in release.not_covered if "hub" in each]
    assert len(towards_hub) == 1
    assert "more than 1 of the agencies" in towards_hub[0]
    assert release.edition == "2026-09"
    values = [tuple(row.values) for row in release.rows]
    assert values == [(v,) for v in world.model.dimension("gender").domain("gender")]
    for row in release.rows:
        # 5 agencies x 10 persons; the noise has a standard deviation of about 13
        if not row.estimate.suppressed:
            assert abs(row.estimate.estimate - 50) < 200
            assert row.estimate.lower < row.estimate.estimate < row.estimate.upper
            assert row.estimate.sd > 0
    assert release.level >= 0.95
    assert release.mechanism == "discrete-gaussian"
    assert [each.agencies for each in release.person_losses] == [1, 2, 3, 4, 5]
    epsilons = [each.epsilon for each in release.person_losses]
    assert epsilons == sorted(epsilons)
    assert epsilons[-1] == pytest.approx(release.cost.epsilon, rel=1e-6)
    assert release.not_covered
    assert "UNSAFE" not in "".join(release.not_covered)
    await until(lambda: all(a.settled == [asked.id] for a in world.agents.values()))


async def test_with_noise_of_the_hub_alone_the_release_says_what_it_saw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = make_state(
        tmp_path,
        **{
            "noise: shared ": "noise: hub ",
            "hub_sees_at_most: {epsilon: 6} ": "hub_sees_exact_pooled_sums: accepted ",
        },
    )
    capsys.readouterr()
    world = World(state)
    await world.start()
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(3.0)
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert (release.noise_placement, release.hub_epsilon) == ("hub", 0)
    towards_hub = [each for each in release.not_covered if "hub" in each]
    assert len(towards_hub) == 1
    assert "exact sum" in towards_hub[0]
    await world.stop()


async def test_a_repeat_is_free_and_the_same_bytes(world: World) -> None:
    await world.all_agents()
    ana = world.analyst(add_analyst(world.state, "ana"))
    ben = world.analyst(add_analyst(world.state, "ben"))
    first = a_submission(1.0)
    await call(ana.SubmitQuery(first))
    paid = (await finished(ana, first.id)).reply
    less = a_submission(0.5, purpose="service planning")
    again = (await call(ben.SubmitQuery(less))).submission
    assert again.state == analyst_pb2.SUBMISSION_STATE_RELEASED
    assert again.reply.from_archive
    assert again.reply.charged.loss == common_pb2.Loss()
    assert again.reply.charged.epsilon == 0
    assert again.reply.release.SerializeToString(
        deterministic=True
    ) == paid.release.SerializeToString(deterministic=True)
    price = await call(
        ben.PriceQuery(
            analyst_pb2.PriceQueryRequest(
                query=a_query(),
                spending=analyst_pb2.Spending(epsilon=1.0),
                purpose=PURPOSE,
            )
        )
    )
    assert price.from_archive
    more = a_submission(2.0)
    better = (await call(ben.SubmitQuery(more))).submission
    assert better.state == analyst_pb2.SUBMISSION_STATE_COLLECTING
    assert not (await finished(ben, more.id)).reply.from_archive
    assert [len(agent.asked) for agent in world.agents.values()] == [2] * 5


async def test_the_same_id_is_the_same_submission(world: World) -> None:
    await world.all_agents(silent)
    ana = world.analyst(add_analyst(world.state, "ana"))
    ben = world.analyst(add_analyst(world.state, "ben"))
    asked = a_submission()
    one = await call(ana.SubmitQuery(asked))
    two = await call(ana.SubmitQuery(asked))
    two.submission.expected_at = one.submission.expected_at  # it moves with the clock
    assert one.submission == two.submission
    with pytest.raises(Conflict, match="another question") as caught:
        await call(ana.SubmitQuery(a_submission(2.0, id=asked.id)))
    assert caught.value.reason == "SUBMISSION_ID_USED"
    with pytest.raises(Conflict):
        await call(ben.SubmitQuery(asked))
    with pytest.raises(NotFound):
        await call(ben.GetSubmission(analyst_pb2.GetSubmissionRequest(id=asked.id)))
    budget = await call(
        ana.GetBudget(analyst_pb2.GetBudgetRequest(agreement=AGREEMENT))
    )
    spent = {account.name: account.spent.nano_rho for account in budget.accounts}
    assert len(set(spent.values())) == 1  # reserved once on both accounts


async def test_two_who_ask_the_same_at_once_pay_once(world: World) -> None:
    await world.all_agents(silent)
    ana = world.analyst(add_analyst(world.state, "ana"))
    ben = world.analyst(add_analyst(world.state, "ben"))
    first, second = a_submission(1.0), a_submission(1.0)
    await call(ana.SubmitQuery(first))
    await call(ben.SubmitQuery(second))
    for agent in world.agents.values():
        await until(lambda agent=agent: len(agent.asked) == 1)  # type: ignore[misc]
        await agent.asked[0].answer()
    mine, yours = await asyncio.gather(
        finished(ana, first.id), finished(ben, second.id)
    )
    assert mine.reply.release == yours.reply.release
    assert yours.reply.from_archive
    assert not yours.reply.charged.loss.nano_rho
    assert [len(agent.asked) for agent in world.agents.values()] == [1] * 5


async def test_progress_is_told_as_agencies_answer(world: World) -> None:
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    accepted = (await call(stub.SubmitQuery(asked))).submission
    assert list(accepted.awaited) == list(PARTIES)
    news = asyncio.create_task(
        call(
            stub.GetSubmission(
                analyst_pb2.GetSubmissionRequest(
                    id=asked.id, after_revision=accepted.revision, wait_seconds=20
                )
            )
        )
    )
    police = world.agents["city-police"]
    await until(lambda: len(police.asked) == 1)
    await police.asked[0].answer()
    found = (await news).submission
    assert found.revision > accepted.revision
    assert list(found.answered) == ["city-police"]
    assert "city-police" not in found.awaited


async def test_a_refusal_leaves_the_fallback(world: World) -> None:
    for label in PARTIES:
        refuses = label == "health-service"
        await world.agent(label, refusing if refuses else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert list(release.coverage.answered) == list(FALLBACK)
    assert list(release.coverage.missing) == ["health-service", "labour-inspectorate"]


async def test_a_reason_of_a_newer_agent_is_a_refusal_as_any_other(
    world: World,
) -> None:
    async def newer(asked: Asked) -> None:
        await asked.refuse(999)

    for label in PARTIES:
        await world.agent(label, newer if label == "health-service" else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert list(release.coverage.answered) == list(FALLBACK)
    (noted,) = audited(world, "requisition.refused")
    assert noted["reason"] == "UNKNOWN"


async def test_a_refusal_in_every_cohort_ends_it_and_gives_back(world: World) -> None:
    for label in PARTIES:
        refuses = label == "city-police"
        await world.agent(label, refusing if refuses else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    found = await finished(stub, asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_FAILED
    assert found.failure.reason == "AGENCY_REFUSED"
    assert "city-police" in found.failure.sentence
    assert list(found.refused) == ["city-police"]
    budget = await call(
        stub.GetBudget(analyst_pb2.GetBudgetRequest(agreement=AGREEMENT))
    )
    assert all(not account.spent.nano_rho for account in budget.accounts)


async def test_a_vector_of_another_length_counts_as_a_refusal(world: World) -> None:
    async def badly(asked: Asked) -> None:
        await asked.answer([0] * (asked.layout.size + 1))

    for label in PARTIES:
        await world.agent(label, badly if label == "city-police" else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    found = await finished(stub, asked.id)
    assert found.failure.reason == "AGENCY_REFUSED"
    assert "city-police (VECTOR_WRONG)" in found.failure.sentence
    assert "Nothing was charged" in found.failure.sentence


async def test_a_sum_that_no_counts_can_have_is_not_released(world: World) -> None:
    """It was opened, so that it is charged all the same."""

    async def badly(asked: Asked) -> None:
        await asked.answer([2**60] * asked.layout.size)

    for label in PARTIES:
        await world.agent(label, badly if label == "city-police" else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    found = await finished(stub, asked.id)
    assert found.failure.reason == "SUM_IMPLAUSIBLE"
    assert "was charged" in found.failure.sentence
    used, reserved = account(world, "agency/city-police")
    assert used > 0
    assert reserved == 0


async def test_repeated_late_and_foreign_answers_change_nothing(world: World) -> None:
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    for agent in world.agents.values():
        await until(lambda agent=agent: len(agent.asked) == 1)  # type: ignore[misc]
    police = world.agents["city-police"]
    await police.asked[0].refuse(payload_digest="1" * 64)
    await police.asked[0].refuse(query_id=str(uuid.uuid4()))
    await police.asked[0].refuse(attempt=7)
    for _ in range(3):
        await police.asked[0].answer()
    for label in PARTIES[1:]:
        await world.agents[label].asked[0].answer()
    first = (await finished(stub, asked.id)).reply.release
    settled = len(police.settled)
    await police.mask(police.cohorts[0])
    await police.reveal(police.reveals[0])
    await police.asked[0].refuse()
    await until(lambda: len(police.settled) >= settled + 3)
    again = (await finished(stub, asked.id)).reply.release
    assert first == again


async def test_refusals_by_the_agreement_name_their_reasons(world: World) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    with pytest.raises(PolicyDenied) as caught:
        await call(
            stub.SubmitQuery(
                a_submission(
                    5.0,
                    purpose="curiosity",
                    query=a_query(
                        group_by=[common_pb2.Grouping(dimension="citizenship")]
                    ),
                )
            )
        )
    codes = caught.value.metadata["codes"].split(",")
    assert codes == ["deny.purpose", "deny.dimension", "deny.release-cost"]
    for agent in world.agents.values():
        assert not agent.asked


@pytest.mark.parametrize(
    ("epsilon", "reason"),
    [(0.0, "MESSAGE_INVALID"), (float("nan"), "MESSAGE_INVALID"), (1e-15, None)],
)
async def test_a_senseless_epsilon_is_refused(
    world: World, epsilon: float, reason: str | None
) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    with pytest.raises(InvalidQuery) as caught:
        await call(stub.SubmitQuery(a_submission(epsilon)))
    assert reason is None or caught.value.reason == reason


async def test_the_budget_ends(world: World) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))

    async def ask_everything() -> None:
        for dimension in ("gender", "age_band", "region", "exploitation_type"):
            level = "broad" if dimension == "age_band" else ""
            groups = [common_pb2.Grouping(dimension=dimension, level=level)]
            asked = a_submission(3.0, query=a_query(group_by=groups))
            await call(stub.SubmitQuery(asked))
            await finished(stub, asked.id)

    with pytest.raises(BudgetExhausted) as caught:
        await ask_everything()
    assert caught.value.metadata["account"] == f"agreement/{AGREEMENT}/analyst/ana"


async def test_editions(world: World) -> None:
    for label in PARTIES:
        newer = ("2026-09",) if label != "health-service" else ()
        await world.agent(label, editions=("2026-07", "2026-08", *newer))
    stub = world.analyst(add_analyst(world.state, "ana"))
    described = await call(
        stub.DescribeAgreement(
            analyst_pb2.DescribeAgreementRequest(agreement=AGREEMENT)
        )
    )
    assert list(described.editions) == ["2026-08", "2026-07"]
    newest = a_submission(0.5)
    await call(stub.SubmitQuery(newest))
    assert (await finished(stub, newest.id)).reply.release.edition == "2026-08"
    named = a_submission(0.5, query=a_query(edition="2026-09"))
    await call(stub.SubmitQuery(named))
    release = (await finished(stub, named.id)).reply.release
    assert release.edition == "2026-09"
    assert list(release.coverage.answered) == list(FALLBACK)
    with pytest.raises(PreconditionFailed, match="do not have the edition") as caught:
        await call(stub.SubmitQuery(a_submission(query=a_query(edition="2020-01"))))
    assert caught.value.reason == "EDITION_UNAVAILABLE"
    with pytest.raises(InvalidQuery):
        await call(stub.SubmitQuery(a_submission(query=a_query(edition="autumn"))))


async def test_without_agents_there_is_no_edition(world: World) -> None:
    stub = world.analyst(add_analyst(world.state, "ana"))
    with pytest.raises(PreconditionFailed) as caught:
        await call(stub.SubmitQuery(a_submission()))
    assert caught.value.metadata["lacking"].split(",") == list(PARTIES)


async def test_overhead_of_the_hub_is_small(world: World) -> None:
    """The figure is in the benchmarks; here only that nothing waits for a tick."""
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    begin = time.monotonic()
    asked = a_submission(0.2)
    await call(stub.SubmitQuery(asked))
    await finished(stub, asked.id)
    assert time.monotonic() - begin < 5
