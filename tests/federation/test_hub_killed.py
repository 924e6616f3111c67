# SPDX-License-Identifier: Apache-2.0
"""A hub that is killed at any step goes on where it was, and charges exactly once.

The places are not hit by waiting a while: a relay holds messages, or the test holds the
database's lock, so the round stands at the place until the hub is dead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import accord.client as accord
from tests.federation.asked import Asked, waits_for_lock
from tests.federation.network import Network, locked
from tests.federation.processes import wait_until
from tests.federation.relays import MessageRelay
from tests.federation.small_world import PURPOSE, THREE, SmallWorld

pytestmark = pytest.mark.federation


def restart(network: Network) -> None:
    assert network.hub.is_running
    network.hub.kill()
    network.start_hub()


def test_after_the_reservation_before_any_agency_hears(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    relay.hold(THREE, "requisition")
    asked.submit()
    assert asked.state() == "collecting"
    assert network.reserved()
    network.hub.kill()
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()


def test_after_the_requisitions_were_sent(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """Every agency has computed and paid for its answer; the hub has none of them."""
    relay.hold(THREE, "answer")
    asked.submit()
    first = {label: relay.wait_for(label, "answer") for label in THREE}
    network.hub.kill()
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()
    for label in THREE:
        # the hub asked again with the same bytes, and got the same integers
        assert relay.of(label, "answer", query_id=asked.id)[-1] == first[label]


def test_after_some_answers(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """Answers are in the hub's memory only: it asks everybody again."""
    relay.hold(["charlie"], "answer")
    asked.submit()
    relay.wait_for("charlie", "answer")
    asked.wait_awaited("charlie")
    network.hub.kill()
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()
    assert len(relay.of("alpha", "answer", query_id=asked.id)) == 1


def test_after_all_answers_before_the_charge(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """The hub has drawn noise and waits for the database; nobody sees what it drew."""
    relay.hold(THREE, "answer")
    asked.submit()
    for label in THREE:
        relay.wait_for(label, "answer")
    with locked(network.hub_state / "hub.db"):
        relay.let_go(THREE, "answer")
        for label in THREE:
            relay.wait_passed(label, "answer")
        wait_until(lambda: waits_for_lock(network), "the hub wants to write")
        assert asked.state() == "collecting"
        network.hub.kill()
    assert not network.rows("SELECT 1 FROM releases WHERE submission = ?", asked.id)
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()


def test_after_the_charge_before_anybody_saw_it(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """What was charged is what is read afterwards; nothing is drawn again."""
    relay.hold(THREE, "answer")
    asked.submit()
    for label in THREE:
        relay.wait_for(label, "answer")
    relay.let_go(THREE, "answer")
    wait_until(lambda: asked.state() == "released", "it is charged")
    network.hub.kill()
    stored = network.rows("SELECT message FROM releases WHERE submission = ?", asked.id)
    network.start_hub()
    asked.assert_answered_once()
    sql = "SELECT message FROM releases WHERE submission = ?"
    assert network.rows(sql, asked.id) == stored


@pytest.mark.usefixtures("relay")
def test_while_it_takes_the_question(network: Network, asked: Asked) -> None:
    """The caller cannot know whether it was taken, and asks again with the same id."""
    with locked(network.hub_state / "hub.db"), ThreadPoolExecutor(1) as calling:
        call = calling.submit(asked.submit)
        wait_until(lambda: waits_for_lock(network), "the hub wants to write")
        network.hub.kill()
        with pytest.raises(accord.Unreachable) as lost:
            call.result(60)
    assert lost.value.exit_code == 6
    assert asked.state() is None
    network.start_hub()
    asked.submit_again()
    asked.assert_answered_once()


@pytest.mark.slow
def test_twice_in_a_row(network: Network, relay: MessageRelay, asked: Asked) -> None:
    relay.hold(THREE, "answer")
    asked.submit()
    relay.wait_for("alpha", "answer")
    restart(network)
    for label in THREE:
        relay.wait_for(label, "requisition", number=2)
    network.hub.kill()
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()


@pytest.mark.slow
def test_stopped_as_an_operator_does(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """SIGTERM ends streams and waits for what is being committed, not for agencies."""
    relay.hold(["bravo"], "answer")
    asked.submit()
    relay.wait_for("bravo", "answer")
    assert network.hub.stop() == 0
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()


@pytest.mark.slow
def test_an_agreement_that_changes_meanwhile_ends_what_was_asked_under_it(
    clones: Callable[..., Network], world: SmallWorld
) -> None:
    """Nobody agreed to answer under the old words any more; nothing is charged."""
    with clones() as network, MessageRelay(network) as relay:
        for label in THREE:
            network.route(label, relay.port)
        network.start(THREE)
        relay.hold(THREE, "requisition")
        with network.connect() as hub, Asked(network, hub, world) as asked:
            asked.submit()
            network.hub.kill()
            path = "agreements/three.yaml"
            network.decide(network.edit(path, ("version: 1", "version: 2")))
            relay.reset()
            network.start_hub()
            with pytest.raises(accord.PreconditionFailed) as changed:
                asked.result()
            assert changed.value.reason == "AGREEMENT_CHANGED"
            asked.assert_given_back()
            # under the new version it can be asked anew, once agents have learned it
            for label in THREE:
                network.agents[label].wait_line("policy.accepted", policy_version=2)
            result = asked.question().release(epsilon=9, purpose=PURPOSE)
            assert result.agreement_version == 2
        network.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize("moment", [number / 120 for number in range(12)])
def test_at_any_moment(network: Network, asked: Asked, moment: float) -> None:
    """Wherever it happens to be so many seconds after the question."""
    with ThreadPoolExecutor(1) as calling, contextlib.suppress(accord.Unreachable):
        call = calling.submit(asked.submit)
        with contextlib.suppress(TimeoutError):
            call.result(moment)
        network.hub.kill()
        call.result(60)
    network.start_hub()
    asked.submit_again()
    asked.assert_answered_once()


@pytest.mark.usefixtures("relay")
def test_the_ledger_and_the_log_hold_together(network: Network) -> None:
    """After all of that: one charge, one release and one note for each question."""
    shown = network.hub_command("ledger", "show")
    assert shown["height"] == network.rows("SELECT count(*) FROM ledger_event")[0][0]
    charges = network.rows("SELECT entry FROM ledger_event WHERE kind = 'charge'")
    releases = network.rows("SELECT ledger_entry FROM releases")
    notes = network.rows("SELECT facts FROM audit WHERE event = 'release.published'")
    assert sorted(charges) == sorted(releases)
    assert len(notes) == len(releases)
