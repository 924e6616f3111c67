# SPDX-License-Identifier: Apache-2.0
"""Agencies that do not answer in time: a fallback that was agreed on, or nothing.

The hub of this module waits for two seconds only, and questions expire after four.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest

import accord.client as accord
from accord.rpc.rounds import receipt_from_masked, receipts_to_messages
from accord.v1 import agent_pb2
from tests.federation.asked import Asked
from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.relays import MessageRelay, refusals
from tests.federation.small_world import PURPOSE, THREE, SmallWorld

pytestmark = pytest.mark.federation


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones(hub_environment={"ACCORD_HUB_ANSWER_WITHIN_SECONDS": "2"}) as made:
        yield made


@pytest.mark.parametrize(
    "kind", ["readies", pytest.param("masked", marks=pytest.mark.slow)]
)
def test_what_comes_late_changes_nothing(
    network: Network, relay: MessageRelay, hub: accord.Hub, asked: Asked, kind: str
) -> None:
    """The question fails and all reservations are given back, whatever comes later."""
    relay.hold(["charlie"], kind)
    asked.submit()
    relay.wait_for("charlie", kind)
    with pytest.raises(accord.DeadlineExceeded) as late:
        asked.result()
    assert late.value.reason == "AGENCIES_AWAITED"
    assert late.value.exit_code == 6
    assert late.value.metadata["awaited"] == "charlie"
    assert late.value.metadata["stage"] == {"readies": "ready"}.get(kind, kind)
    asked.assert_given_back(("alpha", "bravo"))
    relay.let_go(["charlie"], kind)
    asked.assert_given_back()
    masked = {"alpha", "bravo", "charlie"} if kind == "masked" else set()
    wait_until(lambda: erased(relay, asked) == masked, "who masked signs the erasure")
    with pytest.raises(accord.DeadlineExceeded):
        hub.release(asked.id)
    # the same question, asked anew, is answered and paid for
    finer = asked.epsilon + 1 / 128
    again = asked.question().release(epsilon=finer, purpose=PURPOSE)
    assert network.charged()["agreement/three"] > asked.charged.get(
        "agreement/three", 0
    )
    assert not again.from_archive


def erased(relay: MessageRelay, asked: Asked) -> set[str]:
    """Return who has signed that what it masked can never be opened."""
    return {label for label in THREE if relay.of(label, "erasures", query_id=asked.id)}


def expiry(asked: Asked) -> float:
    """Return the second until which agencies may answer."""
    sql = "SELECT expires_at FROM submissions WHERE id = ?"
    return float(asked.network.rows(sql, asked.id)[0][0]) / 1e6


@pytest.mark.slow
def test_calls_that_come_too_late_are_not_answered(
    relay: MessageRelay, asked: Asked
) -> None:
    """Agencies end it by their own clock, even if nobody says that it is over."""
    for label in THREE:
        relay.change(label, "settled", lambda _: [])
    relay.hold(["charlie"], "requisitions")
    relay.hold(["alpha"], "cohorts")
    asked.submit()
    with pytest.raises(accord.DeadlineExceeded):
        asked.result()
    wait_until(lambda: time.time() > expiry(asked) + 1, "it has expired")
    relay.let_go(["charlie"], "requisitions")
    relay.wait_for("charlie", "refusals")
    assert refusals(relay, "charlie", query_id=asked.id) == {"EXPIRED"}
    assert not relay.of("charlie", "readies")
    assert asked.stage_of("charlie") is None
    asked.assert_given_back()


@pytest.mark.slow
def test_what_is_masked_is_erased_when_it_expires(
    relay: MessageRelay, asked: Asked
) -> None:
    """The reservation comes back in the step that erases, without the hub's help."""
    for label in THREE:
        relay.change(label, "settled", lambda _: [])
    relay.hold(["charlie"], "masked")
    relay.hold(["alpha"], "erasures")
    asked.submit()
    with pytest.raises(accord.DeadlineExceeded):
        asked.result()
    assert asked.stage_of("alpha") == "masked"
    assert asked.own_events("alpha") == ["reserve"]
    wait_until(lambda: time.time() > expiry(asked) + 1, "it has expired")
    call = agent_pb2.RevealCall(
        query_id=asked.id,
        attempt=1,
        receipts=receipts_to_messages(
            receipt_from_masked(label, relay.of(label, "masked")[0]) for label in THREE
        ),
    )
    calls = agent_pb2.RevealCalls(calls=[call])
    relay.say("alpha", agent_pb2.ConnectResponse(reveals=calls))
    relay.wait_for("alpha", "refusals")
    assert refusals(relay, "alpha") == {"EXPIRED"}
    assert asked.stage_of("alpha") == "erased"
    assert asked.own_events("alpha") == ["reserve", "give back"]


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
    accounts = ["agreement/five"]
    accounts += [f"agreement/five/{each}" for each in ("analyst/ana", "analysts")]
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
    own = "SELECT 1 FROM round WHERE query_id = ?"
    for label in ("delta", "echo"):
        assert not network.agent_rows(label, own, submission)
        network.agents[label].stop()


@pytest.mark.slow
def test_a_hub_that_was_away_at_the_deadline_keeps_it(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """Nobody is asked after the deadline; the reservation does not stay for ever."""
    relay.hold(THREE, "requisitions")
    asked.submit()
    network.hub.kill()
    wait_until(lambda: time.time() > expiry(asked), "the deadline is over")
    assert network.reserved()
    relay.reset()
    network.start_hub()
    with pytest.raises(accord.DeadlineExceeded) as late:
        asked.result()
    assert late.value.reason == "AGENCIES_AWAITED"
    asked.assert_given_back()
