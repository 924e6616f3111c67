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
from tests.federation.relays import RECEIPTS, MessageRelay
from tests.federation.small_world import PURPOSE, THREE, SmallWorld

pytestmark = pytest.mark.federation


STAGES = {"readies": "ready", "masked": "masked", "reveals": "reveal"}
"""What the hub waits for in each of them."""


def stored_stage(asked: Asked) -> str:
    """Return how far the hub's database says that it is."""
    sql = "SELECT stage FROM rounds WHERE submission = ?"
    return str(asked.network.rows(sql, asked.id)[0][0])


def restart(network: Network) -> None:
    assert network.hub.is_running
    network.hub.kill()
    network.start_hub()


def test_after_the_reservation_before_any_agency_hears(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    relay.hold(THREE, "requisitions")
    asked.submit()
    assert asked.state() == "collecting"
    assert network.reserved()
    network.hub.kill()
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("readies", marks=pytest.mark.slow),
        "masked",
        pytest.param("reveals", marks=pytest.mark.slow),
    ],
)
def test_after_all_agencies_answered_a_call(
    network: Network, relay: MessageRelay, asked: Asked, kind: str
) -> None:
    """The hub has none of it, asks once more, and gets the same bytes."""
    relay.hold(THREE, kind)
    asked.submit()
    first = {label: relay.wait_for(label, kind) for label in THREE}
    network.hub.kill()
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()
    for label in THREE:
        assert relay.of(label, kind, query_id=asked.id)[-1] == first[label]


@pytest.mark.parametrize("call", ["cohorts", RECEIPTS])
def test_before_any_agency_hears_the_next_call(
    network: Network, relay: MessageRelay, asked: Asked, call: str
) -> None:
    """What everybody said is in the database: nobody is asked for it again."""
    relay.hold(THREE, call)
    asked.submit()
    first = {label: relay.wait_for(label, call) for label in THREE}
    stage = "reveal" if call == RECEIPTS else "masked"
    wait_until(lambda: stored_stage(asked) == stage, f"{stage} is committed")
    network.hub.kill()
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()
    for label in THREE:
        assert not relay.of(label, "requisitions")
        # A call that is repeated while the agent comes back gets the same bytes.
        masked = {each.SerializeToString() for each in relay.of(label, "masked")}
        assert len(masked) == (stage == "masked")
        # whoever was shown a cohort is shown the same one
        assert relay.of(label, call)[0] == first[label]


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        pytest.param("readies", False, marks=pytest.mark.slow),
        pytest.param("masked", False, marks=pytest.mark.slow),
        pytest.param("reveals", True, marks=pytest.mark.slow),
    ],
)
def test_after_some_of_what_it_waits_for(
    network: Network,
    relay: MessageRelay,
    asked: Asked,
    kind: str,
    again: bool,
) -> None:
    """What was signed and masked is kept; seeds are in its memory only."""
    relay.hold(["charlie"], kind)
    asked.submit()
    relay.wait_for("charlie", kind)
    asked.wait_awaited(STAGES[kind], "charlie")
    network.hub.kill()
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()
    assert len(relay.of("alpha", kind)) == again


def test_after_all_vectors_before_the_opening(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """Nobody was asked to open anything; it waits for the database."""
    relay.hold(["charlie"], "masked")
    asked.submit()
    asked.wait_awaited("masked", "charlie")
    with locked(network.hub_state / "hub.db"):
        relay.let_go(["charlie"], "masked")
        relay.wait_passed("charlie", "masked")
        wait_until(lambda: waits_for_lock(network), "the hub wants to write")
        assert stored_stage(asked) == "masked"
        network.hub.kill()
    assert not any(relay.of(label, RECEIPTS) for label in THREE)
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()


def test_after_all_seeds_before_the_charge(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """The hub has drawn noise and waits for the database; nobody sees what it drew."""
    relay.hold(["charlie"], "reveals")
    asked.submit()
    asked.wait_awaited("reveal", "charlie")
    with locked(network.hub_state / "hub.db"):
        relay.let_go(["charlie"], "reveals")
        relay.wait_passed("charlie", "reveals")
        wait_until(lambda: waits_for_lock(network), "the hub wants to write")
        assert stored_stage(asked) == "reveal"
        network.hub.kill()
    assert not network.rows("SELECT 1 FROM releases WHERE submission = ?", asked.id)
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()


def test_after_the_charge_before_anybody_saw_it(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """What was charged is what is read afterwards; nothing is drawn again."""
    relay.hold(THREE, "reveals")
    asked.submit()
    for label in THREE:
        relay.wait_for(label, "reveals")
    relay.let_go(THREE, "reveals")
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
    relay.hold(THREE, "masked")
    asked.submit()
    relay.wait_for("alpha", "masked")
    restart(network)
    for label in THREE:
        relay.wait_for(label, "cohorts", number=2)
    network.hub.kill()
    relay.reset()
    network.start_hub()
    asked.assert_answered_once()


@pytest.mark.slow
def test_stopped_as_an_operator_does(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """SIGTERM ends streams and waits for what is being committed, not for agencies."""
    relay.hold(["bravo"], "masked")
    asked.submit()
    relay.wait_for("bravo", "masked")
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
        relay.hold(THREE, "requisitions")
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
@pytest.mark.parametrize("moment", [number / 40 for number in range(12)])
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
