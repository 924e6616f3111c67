# SPDX-License-Identifier: Apache-2.0
"""Agencies that do not answer in time: a fallback that was agreed on, or nothing.

The hub of this module waits for two seconds only.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest

import accord.client as accord
from accord.v1 import agent_pb2
from tests.federation.asked import Asked
from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.relays import MessageRelay
from tests.federation.small_world import PURPOSE, THREE, SmallWorld

pytestmark = pytest.mark.federation


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones(hub_environment={"ACCORD_HUB_ANSWER_WITHIN_SECONDS": "2"}) as made:
        yield made


def test_a_late_answer_changes_nothing(
    network: Network, relay: MessageRelay, hub: accord.Hub, asked: Asked
) -> None:
    """The question fails and its reservation is given back, whatever comes later."""
    relay.hold(["charlie"], "answer")
    asked.submit()
    relay.wait_for("charlie", "answer")
    with pytest.raises(accord.DeadlineExceeded) as late:
        asked.result()
    assert late.value.reason == "AGENCIES_AWAITED"
    assert late.value.exit_code == 6
    assert late.value.metadata["awaited"] == "charlie"
    asked.assert_given_back()
    told = len(relay.of("charlie", "settled"))
    relay.let_go(["charlie"], "answer")
    relay.wait_for("charlie", "settled", number=told + 1)
    asked.assert_given_back()
    with pytest.raises(accord.DeadlineExceeded):
        hub.release(asked.id)
    # the same question, asked anew, is answered and paid for
    again = asked.question().release(epsilon=2, purpose=PURPOSE)
    assert network.charged()["agreement/three"] > asked.charged.get(
        "agreement/three", 0
    )
    assert not again.from_archive


def test_a_requisition_that_comes_too_late_is_not_answered(
    relay: MessageRelay, asked: Asked
) -> None:
    """The agency neither computes nor pays, even if nobody says that it is over."""
    relay.hold(["charlie"], "requisition")
    relay.change("charlie", "settled", lambda _: [])
    asked.submit()
    with pytest.raises(accord.DeadlineExceeded):
        asked.result()
    relay.let_go(["charlie"], "requisition")
    refusal: agent_pb2.Refusal = relay.wait_for("charlie", "refusal")
    assert refusal.query_id == asked.id
    assert not relay.of("charlie", "answer")
    own = "SELECT 1 FROM answered WHERE query_id = ?"
    assert not asked.network.agent_rows("charlie", own, asked.id)
    asked.assert_given_back()


@pytest.mark.usefixtures("relay")
def test_a_fallback_is_published_and_only_its_members_pay(
    network: Network, hub: accord.Hub, world: SmallWorld
) -> None:
    """Two agencies of five are away. Asked again when all are back, it is the same."""
    before, name = network.charged(), str(uuid.uuid4())
    question = hub.agreement("five").persons().by("district")
    result = question.release(
        epsilon=9, purpose=PURPOSE, submission_id=name, timeout=30
    )
    assert result.coverage == accord.Coverage(
        answered=THREE, missing=("delta", "echo"), cohort="fallback"
    )
    truth = world.persons(THREE, lambda case: (case.district,))
    for row in result:
        assert row.estimate.estimate is not None
        assert row.estimate.sd is not None
        off = row.estimate.estimate - truth.get(row.values, 0)
        assert abs(off) < 7 * row.estimate.sd
    after = network.charged()
    moved = {label: after[label] - before.get(label, 0) for label in after}
    accounts = ["agreement/five", "agreement/five/analyst/ana"]
    accounts += [f"agency/{label}" for label in THREE]
    assert {label: amount for label, amount in moved.items() if amount} == (
        dict.fromkeys(accounts, round(result.cost.rho * 1e9))
    )
    assert not network.reserved()
    network.start_agents(["delta", "echo"])
    again = question.release(epsilon=9, purpose=PURPOSE)
    assert again.from_archive
    assert again.id == result.id
    assert network.charged() == after
    _assert_never_asked(network, name)


def _assert_never_asked(network: Network, submission: str) -> None:
    """The two that came back late have not paid for what was settled before."""
    own = "SELECT 1 FROM answered WHERE query_id = ?"
    for label in ("delta", "echo"):
        assert not network.agent_rows(label, own, submission)
        network.agents[label].stop()


@pytest.mark.slow
def test_a_hub_that_was_away_at_the_deadline_keeps_it(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """Nobody is asked after the deadline; the reservation does not stay for ever."""
    relay.hold(THREE, "requisition")
    asked.submit()
    network.hub.kill()
    sql = "SELECT expires_at FROM submissions WHERE id = ?"
    end = network.rows(sql, asked.id)[0][0] / 1e6
    wait_until(lambda: time.time() > end, "the deadline is over")
    assert network.reserved()
    relay.reset()
    network.start_hub()
    with pytest.raises(accord.DeadlineExceeded) as late:
        asked.result()
    assert late.value.reason == "AGENCIES_AWAITED"
    asked.assert_given_back()
