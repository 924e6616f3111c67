# SPDX-License-Identifier: Apache-2.0
"""What agreements say beyond who may ask what, as the hub keeps to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from accord.core.errors import (
    AccordError,
    BudgetExhausted,
    PolicyDenied,
)
from accord.hub.db.engine import Store
from accord.hub.db.tables import ASKED
from accord.hub.serve import utc_now
from accord.hub.state import State
from accord.v1 import analyst_pb2, common_pb2
from tests.policies import proposed
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
    make_state,
    publish,
    repository,
)

CRISIS = "search after a disaster"
CLAUSE = f"""\
emergency:
  purpose: {CRISIS}
  spend: {{epsilon: 3}}
  at_most: 14 days
  approvers: [alice, bela]
approval:"""


@pytest.fixture
async def prepared(
    tmp_path: Path,
) -> AsyncIterator[World]:
    """Return a hub whose agreement has an emergency clause."""
    world = World(make_state(tmp_path, **{"approval:": CLAUSE}))
    await world.start()
    yield world
    await world.stop()


def declare(state: State) -> None:
    """Let the approvers declare an emergency from today on."""
    today = utc_now().date()
    until_ = today + dt.timedelta(days=6)
    text = f"emergency: {AGREEMENT}\nreason: a flood\nfrom: {today}\nuntil: {until_}\n"
    path = f"emergencies/{AGREEMENT}.yaml"
    publish(state, proposed(repository(state), {path: text}, now=utc_now()))


async def test_an_emergency_is_paid_from_its_own_account_once_it_is_declared(
    prepared: World,
) -> None:
    await prepared.all_agents()
    stub = prepared.analyst(add_analyst(prepared.state, "ana"))
    with pytest.raises(PolicyDenied) as caught:
        await call(stub.SubmitQuery(a_submission(purpose=CRISIS)))
    assert caught.value.metadata["codes"] == "deny.emergency-off"
    declare(prepared.state)
    await until(lambda: prepared.hub.standing.version == 2)
    with pytest.raises(PolicyDenied) as caught:  # its releases have a cap as well
        await call(stub.SubmitQuery(a_submission(3.5, purpose=CRISIS)))
    assert caught.value.metadata["codes"] == "deny.release-cost"
    asked = a_submission(2.0, purpose=CRISIS)
    await call(stub.SubmitQuery(asked))
    paid = (await finished(stub, asked.id)).reply.charged.loss.nano_rho
    assert paid > 0
    assert account(prepared, f"agreement/{AGREEMENT}/emergency") == (paid, 0)
    assert account(prepared, f"agreement/{AGREEMENT}") == (0, 0)
    assert account(prepared, f"agreement/{AGREEMENT}/analyst/ana") == (0, 0)
    for agency in PARTIES:
        assert account(prepared, f"agency/{agency}") == (paid, 0)
    request = analyst_pb2.GetBudgetRequest(agreement=AGREEMENT)
    accounts = (await call(stub.GetBudget(request))).accounts
    (emergency,) = [each for each in accounts if each.name.endswith("/emergency")]
    assert emergency.period == "14 days"
    assert emergency.spent.nano_rho == paid
    with pytest.raises(BudgetExhausted):
        await call(
            stub.SubmitQuery(
                a_submission(3.0, purpose=CRISIS, query=a_query(edition="2026-08"))
            )
        )
    other = a_submission(1.0, query=a_query(edition="2026-08"))
    await call(stub.SubmitQuery(other))
    usual = (await finished(stub, other.id)).reply.charged.loss.nano_rho
    assert account(prepared, f"agreement/{AGREEMENT}") == (usual, 0)


@pytest.mark.parametrize(
    "clause",
    [
        {"approval:": "review: {releases: human, reviewers: [alice]}\napproval:"},
        {
            "  at_most_dimensions:": "  sensitive: [gender]\n  at_most_dimensions:",
            "approval:": "review: {reviewers: [alice]}\napproval:",
        },
    ],
    ids=["every release", "a sensitive dimension"],
)
async def test_what_a_person_must_look_at_is_held(
    world: World, clause: dict[str, str]
) -> None:
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    edit_agreement(world.state, clause)
    await until(lambda: world.hub.standing.version == 2)
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    found = await finished(stub, asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_HELD
    assert list(found.reviewers) == ["alice"]
    other = a_submission(query=a_query(group_by=[]))
    await call(stub.SubmitQuery(other))
    untouched = "sensitive" in "".join(clause.values())
    assert (await finished(stub, other.id)).state == (
        analyst_pb2.SUBMISSION_STATE_RELEASED
        if untouched
        else analyst_pb2.SUBMISSION_STATE_HELD
    )


async def test_a_cohort_that_does_not_cover_the_answer_is_never_published(
    world: World,
) -> None:
    """Two of the fallback's three have cases in this region; all five are enough."""
    where = [common_pb2.Filter(dimension="region", values=["port_calla"])]
    members = repository(world.state).policies().members.members
    covering = {
        label
        for label, member in members.items()
        if "port_calla" in member.remit.covers.get("region", ["port_calla"])
    }
    assert len(covering) >= 3
    assert len(covering & set(FALLBACK)) < 3
    for label in PARTIES:
        script = silent if label == "health-service" else answering
        await world.agent(label, script)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission(query=a_query(where=where))
    await call(stub.SubmitQuery(asked))
    plain = a_submission()
    await call(stub.SubmitQuery(plain))
    agent = world.agents["health-service"]
    await until(lambda: len(agent.asked) == 2)
    for each in agent.asked:
        await each.refuse()
    assert (await finished(stub, asked.id)).failure.reason == "AGENCY_REFUSED"
    release = (await finished(stub, plain.id)).reply.release
    assert set(release.coverage.answered) == set(FALLBACK)


async def test_a_refusal_is_the_same_whatever_the_stores_hold(world: World) -> None:
    """Before there are agencies, with empty stores, after releases from full ones."""
    stub = world.analyst(add_analyst(world.state, "ana"))
    refused = (
        {"purpose": "curiosity"},
        {"query": a_query(group_by=[common_pb2.Grouping(dimension="citizenship")])},
        {"query": a_query(group_by=[common_pb2.Grouping(dimension="no_such")])},
        {"epsilon": 7.0},
        {"query": a_query(agreement="other")},
        {
            "query": a_query(
                where=[common_pb2.Filter(dimension="gender", values=["nobody"])]
            )
        },
    )

    async def attempts() -> list[tuple[str, str, dict[str, str]]]:
        found = []
        for changes in refused:
            with pytest.raises(AccordError) as caught:
                await call(stub.SubmitQuery(a_submission(**changes)))
            error = caught.value
            found.append((error.reason, error.sentence, dict(error.metadata)))
        return found

    before = await attempts()
    for count in (0, 1, 4_000_000):

        async def script(asked, count=count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            await asked.answer([count] * asked.layout.size)

        for label in PARTIES:
            await world.agent(label, script)
        edition = "2026-08" if count else "2026-09"
        asked = a_submission(0.5 + count / 4e6, query=a_query(edition=edition))
        await call(stub.SubmitQuery(asked))
        await finished(stub, asked.id)
        assert await attempts() == before


def noted(world: World) -> list[tuple[str | None, bool, list[str]]]:
    """Return reason, decision and codes of every question."""
    store = Store(world.state.database)
    with store.read() as tx:
        rows = tx.execute(sa.select(ASKED).order_by(ASKED.c.number)).all()
    store.close()
    return [(row.reason, row.permitted, row.denied_by) for row in rows]


async def test_what_was_asked_is_never_changed(world: World) -> None:
    stub = world.analyst(add_analyst(world.state, "ana"))
    with pytest.raises(PolicyDenied):
        await call(stub.SubmitQuery(a_submission(purpose="curiosity")))
    assert noted(world) == [("POLICY_DENIED", False, ["deny.purpose"])]
    store = Store(world.state.database)
    for statement in ("UPDATE asked SET permitted = 1", "DELETE FROM asked"):
        with pytest.raises(IntegrityError, match="only grows"), store.write() as tx:
            tx.execute(sa.text(statement))
    store.close()


async def test_a_question_without_budget_is_noted_with_its_price(
    world: World,
) -> None:
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))

    async def spend() -> None:
        for dimension in ("gender", "region", "exploitation_type", "registered_month"):
            group = [common_pb2.Grouping(dimension=dimension)]
            query = a_query(group_by=group)
            await call(stub.SubmitQuery(a_submission(3.0, query=query)))

    with pytest.raises(BudgetExhausted):
        await spend()
    paid = len(noted(world)) - 1
    assert paid > 1
    assert noted(world) == [
        *[(None, True, [])] * paid,
        ("BUDGET_EXHAUSTED", False, []),
    ]
