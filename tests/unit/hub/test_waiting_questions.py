# SPDX-License-Identifier: Apache-2.0
"""Questions that wait: they always end, and never as something else than was asked."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from accord.core.errors import PreconditionFailed
from accord.hub.db.engine import LedgerTransaction
from accord.hub.db.tables import RELEASES, SUBMISSIONS
from accord.hub.serve import utc_now
from accord.hub.settling.admission import MOST_COLLECTING_OF_ONE
from accord.ledger import charge
from accord.v1 import analyst_pb2, common_pb2
from tests.contract.hub_databases import on_every_database
from tests.unit.hub.scripted import answering, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    MODEL,
    PARTIES,
    World,
    a_query,
    a_submission,
    account,
    add_analyst,
    call,
    edit,
    finished,
    store_of,
)


def releases(world: World) -> int:
    store = store_of(world.state)
    with store.read() as tx:
        found = tx.execute(sa.select(sa.func.count()).select_from(RELEASES))
        count = found.scalar_one()
    store.close()
    return count


@pytest.mark.parametrize(
    ("old", "new", "filtered"),
    [
        ("      - woman\n      - man\n", "      - man\n      - woman\n", False),
        ("      - man\n", "      - male\n", True),
    ],
    ids=["two values swapped", "the filter's value renamed"],
)
async def test_under_another_data_model_nothing_is_published(
    world: World, old: str, new: str, filtered: bool
) -> None:
    """Agencies would answer with the old one, and the labels would be the new ones'."""
    await world.all_agents(silent)
    token = add_analyst(world.state, "ana")
    only = [common_pb2.Filter(dimension="gender", values=["man"])] if filtered else []
    asked = a_submission(query=a_query(where=only))
    await call(world.analyst(token).SubmitQuery(asked))
    await world.stop_hub()
    assert account(world, f"agreement/{AGREEMENT}")[1] > 0
    edit(world.state, MODEL, (old, new))
    await world.start()
    await world.all_agents(answering)
    found = await finished(world.analyst(token), asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_FAILED
    assert found.failure.reason == "AGREEMENT_CHANGED"
    assert releases(world) == 0
    for name in (f"agreement/{AGREEMENT}", "agency/city-police"):
        assert account(world, name) == (0, 0)


@on_every_database
async def test_a_release_costs_what_was_reserved_or_is_not_made(world: World) -> None:
    await world.all_agents(silent)
    token = add_analyst(world.state, "ana")
    asked = a_submission()
    await call(world.analyst(token).SubmitQuery(asked))
    await world.stop_hub()
    store = store_of(world.state)
    with store.write() as tx:
        tx.execute(SUBMISSIONS.update().values(nano_rho=SUBMISSIONS.c.nano_rho - 1))
    store.close()
    await world.start()
    await world.all_agents(answering)
    found = await finished(world.analyst(token), asked.id)
    assert found.failure.reason == "LOSS_MISMATCH"
    assert releases(world) == 0
    assert account(world, f"agreement/{AGREEMENT}") == (0, 0)


@on_every_database
async def test_the_ledger_keeps_no_question_open(world: World) -> None:
    """What cannot be given back is not, and the question ends all the same."""
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    store = store_of(world.state)
    with store.write() as tx:
        charge(LedgerTransaction(tx), asked.id, utc_now())
    store.close()
    spent = account(world, f"agreement/{AGREEMENT}")
    police = world.agents["city-police"]
    await until(lambda: len(police.asked) == 1)
    await police.asked[0].refuse()
    assert (await finished(stub, asked.id)).failure.reason == "AGENCY_REFUSED"
    assert account(world, f"agreement/{AGREEMENT}") == spent


@on_every_database
async def test_one_charge_buys_one_release(world: World) -> None:
    """The database itself refuses a second release for the same entry."""
    await world.all_agents()
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    await finished(stub, asked.id)
    store = store_of(world.state)
    with store.read() as tx:
        (known,) = tx.execute(sa.select(RELEASES)).mappings()
    other = {**known, "number": 2, "id": "another", "submission": "another"}
    with pytest.raises(IntegrityError, match="ledger_entry"), store.write() as tx:
        tx.execute(RELEASES.insert(), other)
    store.close()
    assert releases(world) == 1


async def test_who_may_ask_nothing_more_still_reads_what_is_known(
    world: World,
) -> None:
    await world.all_agents()
    ana = world.analyst(add_analyst(world.state, "ana"))
    known = a_submission()
    await call(ana.SubmitQuery(known))
    await finished(ana, known.id)
    for label in PARTIES:
        await world.agent(label, silent)
    older = a_query(edition="2026-08")
    for _ in range(MOST_COLLECTING_OF_ONE):
        await call(ana.SubmitQuery(a_submission(0.1, query=older)))
    with pytest.raises(PreconditionFailed) as caught:
        await call(ana.SubmitQuery(a_submission(0.1, query=older)))
    assert caught.value.reason == "TOO_MANY_QUESTIONS"
    repeat = (await call(ana.SubmitQuery(a_submission()))).submission
    assert repeat.reply.from_archive
