# SPDX-License-Identifier: Apache-2.0
"""Several hubs on one PostgreSQL: one hub to everybody, whichever of them is killed.

The places are not hit by waiting a while: a relay holds messages, or the test holds the
database's lock, so the round stands at the place until a hub is dead.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import accord.client as accord
from tests.contract.postgres import Cluster, postgres
from tests.federation.asked import Asked
from tests.federation.network import Network
from tests.federation.processes import Process, wait_until
from tests.federation.relays import RECEIPTS, MessageRelay
from tests.federation.replicated import ReplicatedNetwork
from tests.federation.small_world import PURPOSE, THREE

__all__ = ["postgres"]

pytestmark = pytest.mark.federation


@pytest.fixture(scope="module")
def network(
    original: Network, tmp_path_factory: pytest.TempPathFactory, postgres: Cluster
) -> Iterator[ReplicatedNetwork]:
    """Return a network of two hubs; it ends with clean logs."""
    folder = tmp_path_factory.mktemp("replicas") / "it"
    url = postgres.database(driver="postgresql")
    made = ReplicatedNetwork(original, folder, url, 2)
    with made.front, made.back, made:
        yield made


@pytest.fixture(autouse=True)
def spread(network: ReplicatedNetwork, relay: MessageRelay) -> None:
    """Both hubs are there, and each has the streams of some agencies."""
    assert relay.port
    network.start_hub()
    network.spread_streams()


def test_agents_and_analysts_are_spread_over_hubs(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked
) -> None:
    """A round is moved by one hub, and some agencies talk to the other."""
    assert network.hub_command("status")["hubs"] == 2
    asked.submit()
    asked.assert_answered_once()
    for label in THREE:
        assert len(relay.of(label, "masked", query_id=asked.id)) == 1
    assert not network.rows("SELECT 1 FROM relayed")


@pytest.mark.slow
def test_seeds_lie_sealed_in_the_database_until_their_hub_takes_them(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked
) -> None:
    """The owner stands still for a moment, not long enough to be taken for dead."""
    relay.hold(THREE, "reveals")
    asked.submit()
    seeds = [relay.wait_for(label, "reveals").seed for label in THREE]
    owner = network.owner(asked.id)
    owner.freeze()
    relay.let_go(network.elsewhere(owner), "reveals")
    found = wait_until(
        lambda: network.rows("SELECT content, signature FROM relayed"), "mail is there"
    )
    assert not any(seed in column for seed in seeds for row in found for column in row)
    owner.thaw()
    relay.let_go(THREE, "reveals")
    asked.assert_answered_once()
    for label in THREE:
        assert len(relay.of(label, "reveals", query_id=asked.id)) == 1


def owner_of(network: ReplicatedNetwork, asked: Asked) -> Process:
    return network.owner(asked.id)


def other_than_owner(network: ReplicatedNetwork, asked: Asked) -> Process:
    return network.others(network.owner(asked.id))[0]


VICTIMS = {"the owner": owner_of, "who has streams only": other_than_owner}

FAST = [("reveals", "the owner"), ("masked", "who has streams only")]
"""What is tested each time."""


@pytest.mark.parametrize(
    ("kind", "victim"),
    [
        pytest.param(
            kind,
            victim,
            marks=[] if (kind, victim) in FAST else [pytest.mark.slow],
        )
        for kind in (
            "requisitions",
            "readies",
            "cohorts",
            "masked",
            RECEIPTS,
            "reveals",
        )
        for victim in VICTIMS
    ],
)
def test_killed_while_all_messages_of_a_kind_are_on_their_way(
    network: ReplicatedNetwork,
    relay: MessageRelay,
    asked: Asked,
    kind: str,
    victim: str,
) -> None:
    """The other hub goes on; nobody has to start the dead one again for that."""
    relay.hold(THREE, kind)
    asked.submit()
    for label in THREE:
        relay.wait_for(label, kind)
    VICTIMS[victim](network, asked).kill()
    relay.reset()
    asked.assert_answered_once()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["readies", "masked", "reveals"])
def test_killed_when_some_have_answered(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked, kind: str
) -> None:
    relay.hold(["charlie"], kind)
    asked.submit()
    relay.wait_for("charlie", kind)
    for label in ("alpha", "bravo"):
        relay.wait_passed(label, kind)
    network.owner(asked.id).kill()
    relay.reset()
    asked.assert_answered_once()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "stage"), [("masked", "masked"), ("reveals", "reveal")]
)
def test_killed_inside_the_transaction_that_opens_or_publishes(
    network: ReplicatedNetwork,
    relay: MessageRelay,
    asked: Asked,
    kind: str,
    stage: str,
) -> None:
    """The owner waits to write; when it is dead nobody has seen what it would have."""
    relay.hold(["charlie"], kind)
    asked.submit()
    relay.wait_for("charlie", kind)
    for label in ("alpha", "bravo"):
        relay.wait_passed(label, kind)
    owner = network.owner(asked.id)
    with network.locked() as is_waited_for:
        relay.let_go(["charlie"], kind)
        relay.wait_passed("charlie", kind)
        wait_until(is_waited_for, "a hub wants to write")
        assert network.stage(asked.id) == stage
        owner.kill()
    asked.assert_answered_once()


@pytest.mark.slow
def test_a_hub_that_stops_hands_its_rounds_over_at_once(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked
) -> None:
    relay.hold(THREE, "masked")
    asked.submit()
    for label in THREE:
        relay.wait_for(label, "masked")
    owner = network.owner(asked.id)
    assert owner.stop() == 0
    assert network.rows("SELECT count(*) FROM replicas") == [(1,)]
    relay.reset()
    asked.assert_answered_once()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masked", "reveals"])
def test_a_hub_that_stood_still_finds_its_rounds_with_others(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked, kind: str
) -> None:
    """PostgreSQL ends its session; nothing that it still wants to do counts."""
    relay.hold(["charlie"], kind)
    asked.submit()
    relay.wait_for("charlie", kind)
    for label in ("alpha", "bravo"):
        relay.wait_passed(label, kind)
    zombie = network.owner(asked.id)
    network.prefer(*network.others(zombie))
    zombie.freeze()
    wait_until(lambda: network.owner(asked.id) is not zombie, "others have the round")
    zombie.thaw()
    network.wait_anew(zombie)
    relay.reset()
    asked.assert_answered_once()
    network.prefer(*network.replicas)


@pytest.mark.slow
def test_a_hub_that_stood_still_just_before_it_published(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked
) -> None:
    """It has opened the sum and drawn noise, and holds the writer's lock.

    PostgreSQL takes that from it as well. Whoever goes on draws its own noise.
    """
    relay.hold(["charlie"], "reveals")
    asked.submit()
    relay.wait_for("charlie", "reveals")
    for label in ("alpha", "bravo"):
        relay.wait_passed(label, "reveals")
    zombie = network.owner(asked.id)
    network.prefer(*network.others(zombie))
    with network.locked() as is_waited_for:
        relay.let_go(["charlie"], "reveals")
        relay.wait_passed("charlie", "reveals")
        wait_until(is_waited_for, "the owner wants to write")
        zombie.freeze()
    asked.assert_answered_once()
    zombie.thaw()
    network.wait_anew(zombie)
    asked.assert_answered_once()
    network.prefer(*network.replicas)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masked", "reveals"])
def test_all_hubs_lose_the_database_at_once(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked, kind: str
) -> None:
    """As when its server is started again: all begin anew, whoever owned what."""
    relay.hold(["charlie"], kind)
    asked.submit()
    relay.wait_for("charlie", kind)
    for label in ("alpha", "bravo"):
        relay.wait_passed(label, kind)
    network.end_sessions()
    for replica in network.replicas:
        replica.wait_line("hub.began-anew")
    relay.reset()
    asked.assert_answered_once()
    network.learn_numbers()


@pytest.mark.slow
def test_policies_published_through_one_hub_are_in_force_at_all(
    network: ReplicatedNetwork,
) -> None:
    path = "agreements/closed.yaml"
    network.decide(network.edit(path, ("version: 1", "version: 2")))
    version = network.version()
    for replica in network.replicas:
        replica.wait_line("policies.changed", policy_version=version)
    network.wait_learned(version, THREE)
    assert len(set(map(network.timestamp_of, network.replicas))) == 1


def test_a_follower_at_another_hub_gets_the_answer_of_the_first(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked
) -> None:
    """And of both, one is paid for."""
    relay.hold(THREE, "masked")
    asked.submit()
    relay.wait_for("alpha", "masked")
    network.prefer(*network.others(network.owner(asked.id)))
    with network.connect("ben") as other:
        question = other.agreement("three").persons().by("district")
        pending = question.release(epsilon=asked.epsilon, purpose=PURPOSE, wait=False)
        relay.reset()
        found = pending.wait(timeout=60)
    network.prefer(*network.replicas)
    asked.assert_answered_once()
    assert found.id == asked.result().id


@pytest.mark.slow
def test_a_promoted_follower_is_asked_for_by_whoever_owned_its_leader(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked
) -> None:
    """Ana's question is thrown away with her; Ben's, at another hub, goes on."""
    veto = ("veto", "analyst", "ana", "--reason", "not her")
    rule = network.agent_command("alpha", "rules", *veto)["rule"]
    relay.hold(["alpha"], "requisitions")
    asked.submit()
    relay.wait_for("alpha", "requisitions")
    network.prefer(*network.others(network.owner(asked.id)))
    with network.connect("ben") as other:
        question = other.agreement("three").persons().by("district")
        pending = question.release(epsilon=asked.epsilon, purpose=PURPOSE, wait=False)
        relay.reset()
        found = pending.wait(timeout=60)
    network.prefer(*network.replicas)
    with pytest.raises(accord.RequisitionRefused) as refused:
        asked.result()
    assert refused.value.reason == "AGENCY_REFUSED"
    assert found.cost.rho > 0
    network.agent_command("alpha", "rules", "remove", str(rule["id"]))


def test_an_analyst_ends_a_question_through_a_hub_that_does_not_move_it(
    network: ReplicatedNetwork, relay: MessageRelay, asked: Asked
) -> None:
    """What is paid for it is given back; who followed goes on, and pays for it."""
    relay.hold(["charlie"], "masked")
    asked.submit()
    asked.wait_awaited("masked", "charlie")
    owner = network.owner(asked.id)
    network.prefer(*network.others(owner))
    with network.connect() as again, network.connect("ben") as other:
        question = other.agreement("three").persons().by("district")
        pending = question.release(epsilon=asked.epsilon, purpose=PURPOSE, wait=False)
        assert again.submission(asked.id).cancel()
        assert network.owner(pending.id) is not owner
        relay.reset()
        found = pending.wait(timeout=60)
    network.prefer(*network.replicas)
    with pytest.raises(accord.PreconditionFailed) as ended:
        asked.result()
    assert ended.value.reason == "CANCELLED"
    assert found.cost.rho > 0
    events = "SELECT kind FROM ledger_event WHERE entry = ? ORDER BY height"
    assert network.rows(events, asked.id) == [("reserve",), ("give back",)]
    assert network.rows(events, pending.id) == [("reserve",), ("charge",)]
    wait_until(
        lambda: asked.own_events("charlie") in ([], ["reserve", "give back"]),
        "charlie has nothing reserved for what was ended",
    )


@pytest.mark.slow
def test_whose_people_look_at_a_question_is_known_at_every_hub(
    network: ReplicatedNetwork, asked: Asked
) -> None:
    """At the one that does not move it, and at once at the one that takes it over."""
    config = network.agent_state("bravo") / "config.toml"
    before = config.read_text(encoding="utf-8") if config.exists() else ""
    config.write_text('[approval]\nneeded = ["three"]\n' + before, encoding="utf-8")
    network.agents["bravo"].stop()
    network.start_agent("bravo")
    asked.submit()
    owner = network.owner(asked.id)
    for replica in (owner, *network.others(owner)):
        network.prefer(replica)
        with network.connect() as again:

            def approving(hub: accord.Hub = again) -> bool:
                return hub.submission(asked.id).progress.approving == ("bravo",)

            wait_until(approving, f"{replica.name} knows whose approval is awaited")
    network.agents["bravo"].stop()
    owner.kill()
    wait_until(lambda: network.owner(asked.id) is not owner, "others have the round")
    with network.connect() as again:
        assert again.submission(asked.id).progress.approving == ("bravo",)
    network.prefer(*network.replicas)
    network.start_agent("bravo")
    network.agent_command("bravo", "approvals", "approve", asked.id)
    asked.assert_answered_once()
    network.agents["bravo"].stop()
    config.write_text(before, encoding="utf-8")
    network.start_hub()
    network.start_agent("bravo")


@pytest.mark.slow
def test_an_agency_is_thrown_out_wherever_its_stream_is(
    network: ReplicatedNetwork,
) -> None:
    for label in ("delta", "echo"):
        network.start_agent(label)
        network.hub_command("member", "revoke", label)
        network.agents[label].wait_line("connection.lost", reason="CERTIFICATE_REVOKED")
        wait_until(
            lambda label=label: label not in network.streams(),  # type: ignore[misc]  # bound now
            f"{label} is gone",
        )
        network.agents[label].stop()


def test_the_ledger_and_the_log_hold_together(network: ReplicatedNetwork) -> None:
    """After all of that: one charge, one release and one note for each question."""
    network.assert_books_agree(THREE)
