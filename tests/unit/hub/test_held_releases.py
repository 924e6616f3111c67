# SPDX-License-Identifier: Apache-2.0
"""Releases that wait for a reviewer: who sees what, who decides, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from accord.core.errors import (
    AccordError,
    Conflict,
    InvalidQuery,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
)
from accord.core.measure import Bounding
from accord.hub.contact.standing import Cause, begin_doubt
from accord.hub.db.engine import Store
from accord.hub.db.tables_held import HELD
from accord.hub.log.verifying import verify_log
from accord.hub.questions import asking
from accord.hub.serve import utc_now
from accord.hub.transparency.publication import AskedQuestion, publication
from accord.v1 import analyst_pb2, common_pb2, review_pb2
from tests.unit.hub.scripted import Asked, silent, until
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
    make_state,
)

if TYPE_CHECKING:
    from accord.v1.analyst_pb2_grpc import AnalystServiceAsyncStub as AnalystStub
    from accord.v1.review_pb2_grpc import ReviewServiceAsyncStub as ReviewStub

REVIEW = "review: {releases: human, reviewers: [rita, ravi]}\napproval:"
NO_CONCERN = review_pb2.REVIEW_REASON_NO_CONCERN
ENDANGER = review_pb2.REVIEW_REASON_COULD_ENDANGER
HELD_STATE = analyst_pb2.SUBMISSION_STATE_HELD
RELEASED = analyst_pb2.SUBMISSION_STATE_RELEASED
FAILED = analyst_pb2.SUBMISSION_STATE_FAILED


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Return a hub whose agreement wants a person to look at every release."""
    made = World(make_state(tmp_path, **{"approval:": REVIEW}))
    await made.start()
    await made.all_agents()
    yield made
    await made.stop()


@pytest.fixture
def ana(world: World) -> AnalystStub:
    return world.analyst(add_analyst(world.state, "ana"))


@pytest.fixture
def rita(world: World) -> ReviewStub:
    token = add_analyst(world.state, "rita", organisation="council", role="reviewer")
    return world.reviewer(token)


async def ask(
    stub: AnalystStub,
    epsilon: float = 1.0,
    **query: object,
) -> analyst_pb2.Submission:
    asked = a_submission(epsilon, query=a_query(**query))
    await call(stub.SubmitQuery(asked))
    return await finished(stub, asked.id)


async def submission(stub: AnalystStub, identifier: str) -> analyst_pb2.Submission:
    request = analyst_pb2.GetSubmissionRequest(id=identifier)
    return (await call(stub.GetSubmission(request))).submission


async def listed(stub: ReviewStub) -> list[review_pb2.HeldSummary]:
    return list((await call(stub.ListHeld(review_pb2.ListHeldRequest()))).held)


async def look(stub: ReviewStub, release: str) -> analyst_pb2.Release:
    request = review_pb2.GetHeldRequest(id=release)
    return (await call(stub.GetHeld(request))).release


async def decide(
    stub: ReviewStub,
    release: str,
    *,
    let_go: bool,
    reason: review_pb2.ReviewReason.ValueType = ENDANGER,
) -> review_pb2.HeldSummary:
    request = review_pb2.DecideHeldRequest(
        id=release, let_go=let_go, reason=NO_CONCERN if let_go else reason
    )
    return (await call(stub.DecideHeld(request))).summary


async def test_a_held_release_is_published_as_the_reviewer_saw_it(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    asked = a_submission(query=a_query())
    await call(ana.SubmitQuery(asked))
    found = await finished(ana, asked.id)
    assert found.state == HELD_STATE, found.failure
    assert list(found.reviewers) == ["rita", "ravi"]
    assert found.held_at > 0
    assert not found.HasField("reply")
    price = account(world, f"agreement/{AGREEMENT}")
    assert price[0] > 0
    assert price[1] == 0
    (summary,) = await listed(rita)
    assert (summary.analyst, summary.organisation) == ("ana", "observatory")
    assert summary.purpose == PURPOSE
    assert summary.held_at == found.held_at
    seen = await look(rita, summary.release.id)
    assert seen.id == summary.release.id
    with pytest.raises(NotFound):
        await call(ana.GetRelease(analyst_pb2.GetReleaseRequest(id=seen.id)))
    releases = await call(ana.ListReleases(analyst_pb2.ListReleasesRequest()))
    assert not releases.releases
    waiting = asyncio.create_task(
        call(
            ana.GetSubmission(
                analyst_pb2.GetSubmissionRequest(
                    id=asked.id, after_revision=found.revision, wait_seconds=20
                )
            )
        )
    )
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    assert (await decide(rita, seen.id, let_go=True)).release == summary.release
    async with asyncio.timeout(5):
        reply = (await waiting).submission.reply
    assert reply.release.SerializeToString(
        deterministic=True
    ) == seen.SerializeToString(deterministic=True)
    assert not reply.from_archive
    assert reply.charged == reply.release.cost
    assert account(world, f"agreement/{AGREEMENT}") == price
    again = await ask(ana)
    assert again.reply.from_archive
    assert again.reply.release == seen
    assert await listed(rita) == []
    assert_noted(world, asked.id, seen.id)


def assert_noted(world: World, submission: str, release: str) -> None:
    """Fail unless the log tells the whole story of what was let go, and no figure."""
    (held,) = audited(world, "release.held")
    (decided,) = audited(world, "review.decided")
    (published,) = audited(world, "release.published")
    assert held["nano_rho"] == account(world, f"agreement/{AGREEMENT}")[0]
    assert decided == {
        "release": release,
        "submission": submission,
        "agreement": AGREEMENT,
        "reviewer": "rita",
        "let_go": True,
        "reason": "no-concern",
    }
    assert held.pop("attempt") == 1
    assert published == held | {"reviewer": "rita"}
    assert (held["release"], held["submission"]) == (release, submission)


async def test_what_is_kept_back_stays_charged_and_is_never_drawn_again(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    ben = world.analyst(add_analyst(world.state, "ben"))
    found = await ask(ana)
    follower = await ask(ben)
    assert follower.state == HELD_STATE
    price = account(world, f"agreement/{AGREEMENT}")
    (waiting,) = await listed(rita)
    await decide(rita, waiting.release.id, let_go=False)
    ended = await submission(ana, found.id)
    assert ended.state == FAILED
    assert ended.failure.reason == "RELEASE_KEPT_BACK"
    assert "was charged" in ended.failure.sentence
    free = await submission(ben, follower.id)
    assert free.failure.reason == "RELEASE_KEPT_BACK"
    assert "Nothing was charged" in free.failure.sentence
    for epsilon in (0.5, 1.0, 3.0):
        with pytest.raises(PreconditionFailed) as caught:
            await call(ben.SubmitQuery(a_submission(epsilon)))
        assert caught.value.reason == "RELEASE_KEPT_BACK"
        assert caught.value.sentence == free.failure.sentence
    with pytest.raises(PreconditionFailed, match="kept it back"):
        await call(
            ana.PriceQuery(
                analyst_pb2.PriceQueryRequest(
                    query=a_query(),
                    spending=analyst_pb2.Spending(epsilon=1.0),
                    purpose=PURPOSE,
                )
            )
        )
    assert account(world, f"agreement/{AGREEMENT}") == price
    assert account(world, f"agreement/{AGREEMENT}/analyst/ben") == (0, 0)
    assert [len(agent.asked) for agent in world.agents.values()] == [1] * 5
    assert not audited(world, "release.published")
    assert [each["charged"] for each in audited(world, "query.failed")] == [True, False]
    assert audited(world, "query.refused")[0]["reason"] == "RELEASE_KEPT_BACK"
    (row,) = rows(world)
    assert (row["message"], row["noisy"]) == (None, None)
    other = await ask(ana, group_by=[])
    assert other.state == HELD_STATE  # another question
    edit_agreement(world.state, {"rita, ravi": "rita"})
    await until(lambda: world.hub.standing.version == 2)
    assert (await ask(ana)).state == HELD_STATE  # another version, another decision


def rows(world: World) -> list[dict[str, Any]]:
    store = Store(world.state.database)
    with store.read() as tx:
        found = tx.execute(sa.select(HELD).order_by(HELD.c.number)).mappings().all()
    store.close()
    return [dict(each) for each in found]


async def test_who_asks_while_it_is_held_follows_and_pays_nothing(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    first = await ask(ana)
    ben = world.analyst(add_analyst(world.state, "ben"))
    follower = await ask(ben, 0.5)
    assert follower.state == HELD_STATE
    assert follower.held_at == first.held_at
    dearer = await ask(ben, 2.0)
    assert dearer.state == HELD_STATE
    (waiting, _) = await listed(rita)
    outcomes = [(each.outcome.value, each.epsilon > 0) for each in exported(world)]
    assert outcomes == [("held", True), ("held", False), ("held", True)]
    await decide(rita, waiting.release.id, let_go=True)
    served = await submission(ben, follower.id)
    assert served.state == RELEASED
    assert served.reply.from_archive
    assert served.reply.charged.loss == common_pb2.Loss()
    assert served.reply.release.id == waiting.release.id
    assert (await submission(ben, dearer.id)).state == HELD_STATE
    assert [len(agent.asked) for agent in world.agents.values()] == [2] * 5


async def test_those_who_follow_a_collecting_question_wait_with_it(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    await world.agent("shelter-north", silent)
    ben = world.analyst(add_analyst(world.state, "ben"))
    first, second = a_submission(), a_submission()
    await call(ana.SubmitQuery(first))
    await call(ben.SubmitQuery(second))
    await world.agent("shelter-north")
    assert (await finished(ana, first.id)).state == HELD_STATE
    assert (await finished(ben, second.id)).state == HELD_STATE
    (waiting,) = await listed(rita)
    await decide(rita, waiting.release.id, let_go=True)
    assert not (await submission(ana, first.id)).reply.from_archive
    assert (await submission(ben, second.id)).reply.from_archive


@pytest.mark.parametrize("first", [Bounding.KEEP, Bounding.WEIGH])
@pytest.mark.parametrize("spending", [{"epsilon": 1.0}, {"error": 150.0}], ids=str)
@pytest.mark.parametrize("is_held", [True, False], ids=["held", "on its way"])
async def test_a_repeat_follows_however_the_bound_is_kept_meanwhile(
    world: World,
    ana: AnalystStub,
    rita: ReviewStub,
    monkeypatch: pytest.MonkeyPatch,
    first: Bounding,
    spending: dict[str, float],
    is_held: bool,
) -> None:
    """Between a question and its repeat another release can change what is chosen."""
    chosen = [first]
    monkeypatch.setattr(asking, "choose_bounding", lambda *_: chosen[0])
    if not is_held:
        await world.agent("shelter-north", silent)
    ben = world.analyst(add_analyst(world.state, "ben"))
    questions = []
    for stub in (ana, ben):
        question = a_submission()
        question.spending.CopyFrom(analyst_pb2.Spending(**spending))
        questions.append(question)
        await call(stub.SubmitQuery(question))
        if is_held:
            assert (await finished(stub, question.id)).state == HELD_STATE
        (chosen[0],) = {*Bounding} - {first}
    if not is_held:
        await world.agent("shelter-north")
    for stub, question in zip((ana, ben), questions, strict=True):
        assert (await finished(stub, question.id)).state == HELD_STATE
    (accepted,) = audited(world, "query.accepted")
    (followed,) = audited(world, "query.followed")
    assert followed["follows"] == accepted["submission"] == questions[0].id
    assert [len(each.asked) for each in world.agents.values()] == [1] * 5
    whole = account(world, f"agreement/{AGREEMENT}")
    assert whole == (accepted["nano_rho"], 0)
    assert account(world, "agency/city-police") == whole
    assert account(world, f"agreement/{AGREEMENT}/analyst/ben") == (0, 0)
    (waiting,) = await listed(rita)
    seen = await look(rita, waiting.release.id)
    assert seen.bounding == first.value


async def test_only_reviewers_see_it_and_nobody_decides_on_their_own_question(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    ravi = add_analyst(world.state, "ravi")
    await ask(world.analyst(ravi))
    (waiting,) = await listed(rita)
    identifier = waiting.release.id
    assert await listed(world.reviewer(ravi)) == []
    for act in (look, decide_on):
        with pytest.raises(PolicyDenied) as own:
            await act(world.reviewer(ravi), identifier)
        assert own.value.reason == "REVIEW_OWN_QUESTION"
    outsider = world.reviewer(add_analyst(world.state, "otto", role="board"))
    assert await listed(outsider) == []
    unknown = "00000000-0000-4000-8000-000000000000"
    sentences = set()
    for stub, release in ((outsider, identifier), (rita, unknown)):
        for act in (look, decide_on):
            with pytest.raises(NotFound) as caught:
                await act(stub, release)
            assert caught.value.reason == "HELD_UNKNOWN"
            sentences.add(caught.value.sentence)
    assert len(sentences) == 1
    # Who asks for what is held has asked for it as well.
    await ask(ana, 3.0, group_by=[])
    (_, second) = await listed(rita)
    await ask(world.analyst(ravi), group_by=[])
    with pytest.raises(PolicyDenied):
        await look(world.reviewer(ravi), second.release.id)


async def decide_on(stub: ReviewStub, release: str) -> None:
    await decide(stub, release, let_go=True)


async def test_a_decision_is_final_and_may_be_repeated(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    await ask(ana)
    (waiting,) = await listed(rita)
    identifier = waiting.release.id
    wrong = (
        (True, ENDANGER),
        (False, NO_CONCERN),
    )
    for let_go, reason in wrong:
        with pytest.raises(InvalidQuery) as invalid:
            await call(
                rita.DecideHeld(
                    review_pb2.DecideHeldRequest(
                        id=identifier, let_go=let_go, reason=reason
                    )
                )
            )
        assert invalid.value.reason == "REVIEW_REASON_WRONG"
    for _ in range(2):
        assert await decide(rita, identifier, let_go=True) == waiting
    for act in (look(rita, identifier), decide(rita, identifier, let_go=False)):
        with pytest.raises(Conflict) as caught:
            await act
        assert caught.value.reason == "REVIEW_DECIDED"
    assert len(audited(world, "review.decided")) == 1
    assert len(audited(world, "release.published")) == 1


async def test_nothing_is_let_go_on_a_ledger_that_may_have_forgotten_charges(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    await ask(ana)
    (waiting,) = await listed(rita)
    store = Store(world.state.database)
    with store.write() as tx:
        begin_doubt(tx, Cause.RESTORED, utc_now())
    store.close()
    with pytest.raises(PreconditionFailed) as caught:
        await decide(rita, waiting.release.id, let_go=True)
    assert caught.value.reason == "LEDGER_BEHIND"
    assert await listed(rita) == [waiting]


async def test_the_board_decides_who_reviews_what_waits(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    found = await ask(ana)
    (waiting,) = await listed(rita)
    vera = world.reviewer(add_analyst(world.state, "vera"))
    edit_agreement(world.state, {"[rita, ravi]": "[vera]"})
    await until(lambda: world.hub.standing.version == 2)
    assert await listed(rita) == []
    with pytest.raises(NotFound):
        await look(rita, waiting.release.id)
    assert await listed(vera) == [waiting]
    assert list((await submission(ana, found.id)).reviewers) == ["vera"]
    edit_agreement(world.state, {"review: {releases: human, reviewers: [vera]}\n": ""})
    await until(lambda: world.hub.standing.version == 3)
    assert await listed(vera) == []
    assert await listed(rita) == [waiting]
    await decide(rita, waiting.release.id, let_go=True)


async def test_what_the_board_forbids_meanwhile_is_not_let_go(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    await ask(ana)
    (waiting,) = await listed(rita)
    edit_agreement(world.state, {"gender: all, ": ""})
    await until(lambda: world.hub.standing.version == 2)
    with pytest.raises(PreconditionFailed) as caught:
        await decide(rita, waiting.release.id, let_go=True)
    assert caught.value.reason == "HELD_NOT_PERMITTED"
    assert await listed(rita) == [waiting]
    await decide(rita, waiting.release.id, let_go=False)


def exported(world: World) -> tuple[AskedQuestion, ...]:
    """Return the questions as the public is shown them."""
    store = Store(world.state.database)
    with store.read() as tx:
        found = publication(tx, world.hub.standing.now(), AGREEMENT, utc_now())
    store.close()
    return found.questions


def findings(world: World) -> list[str]:
    """Return what an operator's check of the whole log finds."""
    keys = [world.parts.authority.requisition_key.public_key().public_bytes_raw()]
    store = Store(world.state.database)
    with store.read() as tx:
        found = [each.code for each in verify_log(tx, hub_keys=keys).findings]
    store.close()
    return found


async def test_what_somebody_changes_between_review_and_release_is_found(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    await ask(ana)
    await ask(ana, group_by=[])
    first, second = await listed(rita)
    assert findings(world) == []
    await decide(rita, first.release.id, let_go=True)
    assert findings(world) == []
    seen = await look(rita, second.release.id)
    seen.rows[0].estimate.estimate += 100
    store = Store(world.state.database)
    with store.write() as tx:
        content = seen.SerializeToString(deterministic=True)
        here = HELD.c.id == second.release.id
        tx.execute(HELD.update().where(here).values(message=content))
    store.close()
    await decide(rita, second.release.id, let_go=True)
    assert findings(world) == ["RELEASE_CHANGED"]


async def test_no_word_about_what_is_kept_back_depends_on_its_figures(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    """Nor on the reason: a reviewer gives it after having seen the figures."""
    said: list[tuple[AccordError | str, ...]] = []
    reasons = (
        review_pb2.REVIEW_REASON_COULD_IDENTIFY,
        review_pb2.REVIEW_REASON_MISLEADING,
    )
    for cells, reason, edition in (
        (0, reasons[0], "2026-08"),
        (4000, reasons[1], "2026-09"),
    ):

        async def answer(asked: Asked, cells: int = cells) -> None:
            await asked.answer([cells] * asked.layout.size)

        await world.all_agents(answer)
        found = await ask(ana, edition=edition)
        (waiting,) = await listed(rita)
        await decide(rita, waiting.release.id, let_go=False, reason=reason)
        ended = await submission(ana, found.id)
        with pytest.raises(PreconditionFailed) as caught:
            await ask(ana, edition=edition)
        said.append(
            (
                ended.failure.sentence,
                str(dict(ended.failure.metadata)),
                caught.value.sentence,
                str(caught.value.metadata),
            )
        )
    assert said[0] == said[1]


async def test_a_reviewer_sees_nothing_that_would_be_suppressed(
    world: World, ana: AnalystStub, rita: ReviewStub
) -> None:
    async def nothing(asked: Asked) -> None:
        await asked.answer([0] * asked.layout.size)

    await world.all_agents(nothing)
    await ask(ana, 3.0)
    (waiting,) = await listed(rita)
    seen = await look(rita, waiting.release.id)
    hidden = [row.estimate for row in seen.rows if row.estimate.suppressed]
    assert hidden
    assert all(
        each == analyst_pb2.Estimate(suppressed=True, why="small") for each in hidden
    )
    for row in seen.rows:
        # Every figure has the noise of the whole release.
        assert row.estimate.suppressed or row.estimate.sd > 1
