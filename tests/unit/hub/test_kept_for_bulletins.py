# SPDX-License-Identifier: Apache-2.0
"""What is kept for bulletins stays there, also where an amendment adds them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from accord.core.errors import BudgetExhausted
from accord.v1 import analyst_pb2
from tests.unit.hub.world import (
    AGREEMENT,
    World,
    a_query,
    a_submission,
    account,
    add_analyst,
    call,
    edit_agreement,
    finished,
    make_state,
)

WHOLE = f"agreement/{AGREEMENT}"
EVERYONE = "everyone: {epsilon: 12, every: 365 days}"
LIFETIME = "  lifetime: {epsilon: 24}                   # of the whole agreement, never"
YEARLY = "{measure: persons, by: {gender: all}, every: year, epsilon: 3}"
AMENDMENT = {
    EVERYONE: "everyone: {epsilon: 6, every: 365 days}",
    "\napproval:": f"\nbulletins: {{by-gender: {YEARLY}}}\napproval:",
}


@pytest.fixture
async def world(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[World]:
    """Return a hub whose agreement has no bulletins yet, and no cap for ever."""
    made = World(make_state(tmp_path, **{LIFETIME: "  # never"}))
    capsys.readouterr()
    await made.start()
    await made.all_agents()
    yield made
    await made.stop()


async def test_what_analysts_spent_before_an_amendment_counts(world: World) -> None:
    """The agreement's own account could still pay; the rest is for bulletins."""
    ana = world.analyst(add_analyst(world.state, "ana"))
    ben = world.analyst(add_analyst(world.state, "ben"))
    first = a_submission(3)
    await call(ana.SubmitQuery(first))
    paid = (await finished(ana, first.id)).reply.charged.loss.nano_rho
    assert account(world, f"{WHOLE}/analysts") == account(world, WHOLE) == (paid, 0)
    budget = analyst_pb2.GetBudgetRequest(agreement=AGREEMENT)
    before = await call(ana.GetBudget(budget))
    assert f"{WHOLE}/analysts" not in {each.name for each in before.accounts}

    edit_agreement(world.state, AMENDMENT)
    world.hub.standing.look()
    accounts = {
        each.name: each for each in (await call(ben.GetBudget(budget))).accounts
    }
    together = accounts[f"{WHOLE}/analysts"]
    assert together.spent.nano_rho == paid
    dear = a_submission(2.5, query=a_query(edition="2026-08"))
    with pytest.raises(BudgetExhausted) as refused:
        await call(ben.SubmitQuery(dear))
    assert refused.value.metadata["account"] == f"{WHOLE}/analysts"
    needed = int(refused.value.metadata["requested"])
    assert needed < accounts[WHOLE].left.nano_rho
    assert needed < together.cap.nano_rho
    assert together.left.nano_rho == together.cap.nano_rho - paid < needed
    cheap = a_submission(1, query=a_query(edition="2026-08"))
    await call(ben.SubmitQuery(cheap))
    assert account(world, f"{WHOLE}/analysts")[0] > paid
