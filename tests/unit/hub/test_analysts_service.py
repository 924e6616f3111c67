# SPDX-License-Identifier: Apache-2.0
"""What analysts may see, and may not."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.core.errors import (
    BudgetExhausted,
    Conflict,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
    Unauthenticated,
    Unreachable,
)
from accord.core.policy import MEMBERS
from accord.hub.db.engine import Store
from accord.hub.db.tables import RELEASES
from accord.hub.identity import registry
from accord.hub.questions.conversion import largest_rho
from accord.hub.questions.prices import AN_AGENCY
from accord.hub.serve import utc_now
from accord.hub.services.callers import MOST_CALLS_OF_ONE
from accord.hub.settling.admission import MOST_COLLECTING_OF_ONE
from accord.rpc.tokens import TokenKind, mint
from accord.v1 import analyst_pb2, common_pb2
from tests.unit.hub.scripted import answering, refusing, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    PARTIES,
    PURPOSE,
    World,
    a_query,
    a_submission,
    add_analyst,
    add_token,
    call,
    edit,
    edit_agreement,
    finished,
    make_state,
)


@pytest.fixture
async def pure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[World]:
    """Return a hub whose agreement counts pure epsilon."""
    state = make_state(
        tmp_path,
        **{
            "accounting: zcdp\n  delta: 1e-9": "accounting: pure",
            "noise: shared ": "noise: agents ",
            "hub_sees_at_most: {epsilon: 6} ": "",
        },
    )
    capsys.readouterr()
    world = World(state)
    await world.start()
    yield world
    await world.stop()


async def test_only_tokens_of_this_hub_are_taken(world: World) -> None:
    request = analyst_pb2.ListAgreementsRequest()
    stranger = mint(TokenKind.ANALYST, world.parts.authority.fingerprint)
    for token, reason in (
        (str(stranger), "TOKEN_UNKNOWN"),
        (add_token(world.state, "city-police"), "TOKEN_WRONG_KIND"),
        ("nonsense", "TOKEN_MALFORMED"),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await call(world.analyst(token).ListAgreements(request))
        assert caught.value.reason == reason


async def test_a_revoked_analyst_is_out_at_once(world: World) -> None:
    stub = world.analyst(add_analyst(world.state, "ana"))
    await call(stub.ListAgreements(analyst_pb2.ListAgreementsRequest()))
    store = Store(world.state.database)
    with store.write() as tx:
        registry.revoke_analyst(tx, "ana", now=utc_now())
    store.close()
    with pytest.raises(Unauthenticated):
        await call(stub.ListAgreements(analyst_pb2.ListAgreementsRequest()))
    again = world.analyst(add_analyst(world.state, "ana"))
    await call(again.ListAgreements(analyst_pb2.ListAgreementsRequest()))


async def test_an_agreement_is_described(world: World) -> None:
    stub = world.analyst(add_analyst(world.state, "ana"))
    listed = await call(stub.ListAgreements(analyst_pb2.ListAgreementsRequest()))
    assert [each.name for each in listed.agreements] == [AGREEMENT]
    request = analyst_pb2.DescribeAgreementRequest(agreement=AGREEMENT)
    found = await call(stub.DescribeAgreement(request))
    assert {"persons", "cases", "mean(days_in_care)"} <= {*found.measures}
    assert found.each_release_epsilon == 3
    assert found.delta == 1e-9
    assert found.document.startswith("# SPDX")
    dimensions = {each.name: each for each in found.dimensions}
    age = dimensions["age_band"]
    assert [level.name for level in age.levels] == ["broad"]  # nothing finer
    assert list(age.levels[0].values) == ["0-17", "18+", "unknown"]
    month = dimensions["registered_month"]
    assert [level.name for level in month.levels] == ["month", "quarter", "year"]
    assert dimensions["exploitation_type"].multi_valued
    assert not found.editions


@pytest.mark.parametrize(
    "who", [{"organisation": "newspaper"}, {"role": "visitor"}], ids=str
)
async def test_what_is_not_for_the_caller_does_not_exist(
    world: World, who: dict[str, str]
) -> None:
    await world.all_agents()
    ana = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(ana.SubmitQuery(asked))
    release = (await finished(ana, asked.id)).reply.release
    other = world.analyst(add_analyst(world.state, "eve", **who))
    listed = await call(other.ListAgreements(analyst_pb2.ListAgreementsRequest()))
    assert not listed.agreements
    priced = analyst_pb2.PriceQueryRequest(
        query=a_query(), spending=analyst_pb2.Spending(epsilon=1), purpose=PURPOSE
    )
    described = analyst_pb2.DescribeAgreementRequest(agreement=AGREEMENT)
    unknown = analyst_pb2.DescribeAgreementRequest(agreement="no-such-thing")
    sentences = []
    for attempt in (
        other.DescribeAgreement(described),
        other.DescribeAgreement(unknown),
        other.PriceQuery(priced),
        other.SubmitQuery(a_submission()),
        other.GetBudget(analyst_pb2.GetBudgetRequest(agreement=AGREEMENT)),
        other.ListReleases(analyst_pb2.ListReleasesRequest(agreement=AGREEMENT)),
        other.GetRelease(analyst_pb2.GetReleaseRequest(id=release.id)),
        other.GetRelease(analyst_pb2.GetReleaseRequest(id=str(uuid.uuid4()))),
    ):
        with pytest.raises(NotFound) as caught:
            await call(attempt)
        sentences.append(caught.value.sentence)
    assert sentences[0].replace(AGREEMENT, "no-such-thing") == sentences[1]
    assert sentences[-2] == sentences[-1]
    everything = await call(other.ListReleases(analyst_pb2.ListReleasesRequest()))
    assert not everything.releases


async def test_releases_are_listed_by_pages_newest_first(world: World) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    ids = []
    for epsilon in (0.1, 0.2, 0.3, 0.4, 0.5):
        asked = a_submission(epsilon)
        await call(stub.SubmitQuery(asked))
        ids.append((await finished(stub, asked.id)).reply.release.id)
    seen: list[str] = []
    token = ""
    for _ in range(3):
        page = await call(
            stub.ListReleases(
                analyst_pb2.ListReleasesRequest(page_size=2, page_token=token)
            )
        )
        seen += [each.id for each in page.releases]
        token = page.next_page_token
    assert seen == ids[::-1]
    assert not token
    request = analyst_pb2.ListReleasesRequest(page_token="x")
    with pytest.raises(InvalidQuery):
        await call(stub.ListReleases(request))
    got = await call(stub.GetRelease(analyst_pb2.GetReleaseRequest(id=ids[0])))
    assert got.release.id == ids[0]
    unknown = analyst_pb2.GetReleaseRequest(id=str(uuid.uuid4()))
    with pytest.raises(NotFound):
        await call(stub.GetRelease(unknown))


async def test_reading_a_release_is_decided_afresh(world: World) -> None:
    await world.all_agents()
    token = add_analyst(world.state, "ana")
    stub = world.analyst(token)
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    await world.stop_hub()
    edit_agreement(world.state, {"gender: all, ": ""})
    await world.start()
    stub = world.analyst(token)
    with pytest.raises(PolicyDenied) as caught:
        await call(stub.GetRelease(analyst_pb2.GetReleaseRequest(id=release.id)))
    assert caught.value.metadata["codes"] == "deny.dimension"
    listed = await call(stub.ListReleases(analyst_pb2.ListReleasesRequest()))
    assert not listed.releases


async def test_a_price_is_what_the_release_then_costs(world: World) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    priced = await call(
        stub.PriceQuery(
            analyst_pb2.PriceQueryRequest(
                query=a_query(),
                spending=analyst_pb2.Spending(epsilon=1),
                purpose=PURPOSE,
            )
        )
    )
    assert not priced.from_archive
    assert priced.edition == "2026-09"
    assert priced.cells == len(world.model.dimension("gender").domain("gender"))
    asked = a_submission(1)
    await call(stub.SubmitQuery(asked))
    reply = (await finished(stub, asked.id)).reply
    assert reply.charged == priced.cost
    row = next(row for row in reply.release.rows if not row.estimate.suppressed)
    width = (row.estimate.upper - row.estimate.lower) / 2
    assert width == pytest.approx(priced.half_width)
    budget = await call(
        stub.GetBudget(analyst_pb2.GetBudgetRequest(agreement=AGREEMENT))
    )
    by_period = {each.period: each for each in budget.accounts}
    assert by_period.keys() == {"90 days", "365 days", "for ever"}
    mine, everyone = by_period["90 days"], by_period["365 days"]
    assert mine.name == f"{everyone.name}/analyst/ana"
    assert mine.spent.nano_rho == everyone.spent.nano_rho == priced.cost.loss.nano_rho
    assert mine.cap_epsilon == pytest.approx(6)
    assert mine.left.nano_rho == mine.cap.nano_rho - mine.spent.nano_rho


async def test_a_price_knows_the_lifetime_accounts_of_agencies(world: World) -> None:
    """An agency pays under other agreements, too, and its name stays out of it."""
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))

    async def price(edition: str) -> analyst_pb2.PriceQueryResponse:
        return await call(
            stub.PriceQuery(
                analyst_pb2.PriceQueryRequest(
                    query=a_query(edition=edition),
                    spending=analyst_pb2.Spending(epsilon=2.5),
                    purpose=PURPOSE,
                )
            )
        )

    assert (await price("2026-09")).tightest_account.endswith("/analyst/ana")
    edit(world.state, MEMBERS, ("zcdp: {epsilon: 30,", "zcdp: {epsilon: 3,"))
    world.hub.standing.look()
    first = await price("2026-09")
    assert first.tightest_account == AN_AGENCY
    amount = first.cost.loss.nano_rho
    cap = largest_rho(Fraction(3), Fraction("1e-9"))
    assert first.share_of_left == amount / cap < 1
    asked = a_submission(2.5, query=a_query(edition="2026-09"))
    await call(stub.SubmitQuery(asked))
    await finished(stub, asked.id)
    stored = await price("2026-09")
    assert (stored.share_of_left, stored.tightest_account) == (0, "")
    second = await price("2026-08")
    assert second.tightest_account == AN_AGENCY
    left = cap - amount
    assert second.share_of_left == second.cost.loss.nano_rho / left > 1
    other = a_query(edition="2026-08")
    with pytest.raises(BudgetExhausted):
        await call(stub.SubmitQuery(a_submission(2.5, query=other)))


async def test_pure_accounting_uses_laplace_and_epsilon(pure: World) -> None:
    await pure.all_agents()
    stub = pure.analyst(add_analyst(pure.state, "ana"))
    asked = a_submission(2.5)
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert release.mechanism == "discrete-laplace"
    assert release.noise_placement == "agents"
    assert release.hub_epsilon == pytest.approx(release.cost.epsilon)
    assert release.cost.loss.nano_rho == 0
    assert 2.49 < release.cost.epsilon <= 2.5
    assert release.cost.epsilon == release.cost.loss.nano_epsilon / 1e9
    assert release.delta == 0
    losses = [each.epsilon for each in release.person_losses]
    assert losses[0] == pytest.approx(release.cost.epsilon / 5)
    budget = await call(
        stub.GetBudget(analyst_pb2.GetBudgetRequest(agreement=AGREEMENT))
    )
    assert budget.accounting == "pure"
    assert {each.spent_epsilon for each in budget.accounts} == {release.cost.epsilon}


async def test_suppressed_rows_carry_no_numbers(world: World) -> None:
    """Ninety months of nothing: the noise alone leaves most below the threshold."""
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    empty = a_submission(
        3.0,
        query=a_query(group_by=[common_pb2.Grouping(dimension="registered_month")]),
    )
    for label in PARTIES:
        await world.agent(label, lambda asked: asked.answer([0] * asked.layout.size))
    await call(stub.SubmitQuery(empty))
    release = (await finished(stub, empty.id)).reply.release
    suppressed = [row for row in release.rows if row.estimate.suppressed]
    shown = [row for row in release.rows if not row.estimate.suppressed]
    assert suppressed
    for row in suppressed:
        assert row.estimate == analyst_pb2.Estimate(suppressed=True, why="small")
    assert all(row.estimate.estimate >= 10 for row in shown)
    assert not release.dropped.suppressed


async def test_a_filter_narrows_the_layout(world: World) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(
        query=a_query(
            measure="cases",
            group_by=[common_pb2.Grouping(dimension="registered_month", level="year")],
            where=[
                common_pb2.Filter(
                    dimension="registered_month", values=["2024", "2023", "2025"]
                ),
                common_pb2.Filter(
                    dimension="exploitation_type", values=["forced_labour"]
                ),
            ],
        )
    )
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert [row.values[0] for row in release.rows] == ["2023", "2024", "2025"]
    assert release.measure == "cases"


async def test_nobody_takes_all_the_calls(world: World) -> None:
    await world.all_agents(silent)
    ana = world.analyst(add_analyst(world.state, "ana"))
    ben = world.analyst(add_analyst(world.state, "ben"))
    asked = a_submission()
    revision = (await call(ana.SubmitQuery(asked))).submission.revision
    request = analyst_pb2.GetSubmissionRequest(
        id=asked.id, after_revision=revision, wait_seconds=30
    )
    polls = [asyncio.create_task(call(ana.GetSubmission(request))) for _ in range(40)]
    listing = analyst_pb2.ListAgreementsRequest()
    await until(lambda: sum(poll.done() for poll in polls) == 40 - MOST_CALLS_OF_ONE)
    refused = [poll.exception() for poll in polls if poll.done()]
    assert {getattr(error, "reason", None) for error in refused} == {"TOO_MANY_CALLS"}
    with pytest.raises(Unreachable):
        await call(ana.ListAgreements(listing))
    await call(ben.ListAgreements(listing))
    for poll in polls:
        poll.cancel()
    await asyncio.gather(*polls, return_exceptions=True)
    await until(lambda: not world.hub._analysts._callers._calls)
    await call(ana.ListAgreements(listing))


async def test_nobody_fills_the_hub_with_questions(world: World) -> None:
    await world.all_agents(silent)
    ana = world.analyst(add_analyst(world.state, "ana"))
    ben = world.analyst(add_analyst(world.state, "ben"))
    for _ in range(MOST_COLLECTING_OF_ONE):
        await call(ana.SubmitQuery(a_submission(0.1)))  # all but one follow
    with pytest.raises(PreconditionFailed) as caught:
        await call(ana.SubmitQuery(a_submission(0.1)))
    assert caught.value.reason == "TOO_MANY_QUESTIONS"
    await call(ben.SubmitQuery(a_submission(0.1)))


async def test_an_id_has_one_spelling_and_one_meaning(world: World) -> None:
    """What pays for a fallback stands in the ledger, too: nobody may ask by its id."""
    for label in PARTIES:
        await world.agent(label, refusing if label == "health-service" else answering)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    release = (await finished(stub, asked.id)).reply.release
    assert release.coverage.missing
    store = Store(world.state.database)
    with store.read() as tx:
        entry = tx.execute(sa.select(RELEASES.c.ledger_entry)).scalar_one()
    store.close()
    assert entry != asked.id
    again = a_submission(id=entry, query=a_query(edition="2026-08"))
    with pytest.raises(Conflict) as caught:
        await call(stub.SubmitQuery(again))
    assert caught.value.reason == "SUBMISSION_ID_USED"
    with pytest.raises(InvalidQuery):
        await call(stub.SubmitQuery(a_submission(id=str(uuid.uuid4()).upper())))
