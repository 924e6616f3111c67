# SPDX-License-Identifier: Apache-2.0
"""Agents that are away, killed, slow, or told the same thing twice; and wrong answers.

An agency says the same to a question at every retry, its own ledger is charged once,
and the hub counts it once.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import accord.client as accord
from accord.v1 import agent_pb2
from tests.federation import insider
from tests.federation.asked import Asked, waits_for_lock
from tests.federation.network import Network, locked
from tests.federation.relays import RECEIPTS, MessageRelay, each, kind_of, refusals
from tests.federation.small_world import THREE

pytestmark = pytest.mark.federation

CALLS = ("requisitions", "cohorts", RECEIPTS)
"""What the hub says in the three rounds."""

MARKS = dict.fromkeys(("requisitions", RECEIPTS), pytest.mark.slow)
"""The calls that only some runs stop at."""

STAGES = ("ready", "masked", "reveal")
"""What the hub calls them."""

SAYS = ("readies", "masked", "reveals")
"""What an agency says in them."""


@pytest.mark.usefixtures("relay")
def test_a_question_waits_for_an_agent_that_is_away(
    network: Network, asked: Asked
) -> None:
    network.agents["alpha"].kill()
    asked.submit()
    asked.wait_awaited("ready", "alpha")
    network.start_agent("alpha")
    asked.assert_answered_once()


@pytest.mark.parametrize("call", CALLS)
def test_killed_while_it_works(
    network: Network, relay: MessageRelay, asked: Asked, call: str
) -> None:
    """It has the call and has committed nothing of it yet."""
    relay.hold(["alpha"], call)
    asked.submit()
    relay.wait_for("alpha", call)
    with locked(network.agent_state("alpha") / "agent.db"):
        relay.let_go(["alpha"], call)
        relay.wait_passed("alpha", call)
        asked.wait_awaited(STAGES[CALLS.index(call)], "alpha")
        network.agents["alpha"].kill()
    assert not relay.of("alpha", SAYS[CALLS.index(call)])
    network.start_agent("alpha")
    asked.assert_answered_once()


@pytest.mark.parametrize("kind", SAYS)
def test_killed_after_it_committed_before_the_hub_hears(
    network: Network, relay: MessageRelay, asked: Asked, kind: str
) -> None:
    """What it says again is the same, byte for byte."""
    relay.hold(["alpha"], kind)
    asked.submit()
    lost = relay.wait_for("alpha", kind)
    network.agents["alpha"].kill()
    # Its next stream ends the one over which the message would still go out.
    network.start_agent("alpha")
    relay.let_go(["alpha"], kind)
    asked.assert_answered_once()
    said = relay.of("alpha", kind, query_id=asked.id)
    assert len(said) > 1
    assert all(again == lost for again in said)


def test_killed_after_it_masked(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """The others mask later; then only its seed is waited for."""
    relay.hold(["charlie"], "masked")
    asked.submit()
    asked.wait_awaited("masked", "charlie")
    network.agents["alpha"].kill()
    relay.let_go(["charlie"], "masked")
    asked.wait_awaited("reveal", "alpha")
    assert asked.state() == "collecting"
    network.start_agent("alpha")
    asked.assert_answered_once()
    assert len(relay.of("alpha", "requisitions")) == 1
    assert len(relay.of("alpha", "cohorts")) == 1


def test_killed_after_it_revealed(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """The others reveal later; nobody waits for it any more."""
    relay.hold(["charlie"], "reveals")
    asked.submit()
    asked.wait_awaited("reveal", "charlie")
    network.agents["alpha"].kill()
    relay.let_go(["charlie"], "reveals")
    asked.assert_answered_once()
    network.start_agent("alpha")
    assert all(len(relay.of("alpha", call)) == 1 for call in CALLS)


def test_frozen_for_a_while(network: Network, asked: Asked) -> None:
    """It is not noticed: the agent wakes up with the requisition in its socket."""
    network.agents["bravo"].freeze()
    asked.submit()
    asked.wait_awaited("ready", "bravo")
    network.agents["bravo"].thaw()
    asked.assert_answered_once()


def test_calls_that_come_twice_are_answered_alike_and_paid_once(
    relay: MessageRelay, asked: Asked
) -> None:
    """All three at the same moment; and again, long after everything was settled."""
    for call in CALLS:
        relay.change("alpha", call, lambda message: [message] * 3)
    asked.submit()
    asked.assert_answered_once()
    for kind in SAYS:
        said = relay.of("alpha", kind, query_id=asked.id)
        assert all(again == said[0] for again in said)
    calls = [s.message for s in relay.seen if s.agency == "alpha" and s.kind in CALLS]
    assert len(calls) == len(CALLS)
    (seed,) = {said.seed for said in relay.of("alpha", "reveals")}
    relay.reset()
    # else the hub's word that it is over would come between
    relay.change("alpha", "settled", lambda _: [])
    for message in calls:
        relay.say("alpha", message)
    again = relay.wait_for("alpha", "reveals")
    assert again.seed == seed
    # nothing else is said of what was opened once
    assert refusals(relay, "alpha") == {"ALREADY_OPENED"}
    assert len(relay.of("alpha", "refusals")) == 2
    assert not relay.of("alpha", "readies") + relay.of("alpha", "masked")
    asked.assert_answered_once()


def test_what_an_agency_says_twice_counts_once(
    relay: MessageRelay, asked: Asked
) -> None:
    """While the others are awaited, and after the release."""
    relay.hold(["charlie"], "masked")
    for kind in SAYS:
        relay.change("alpha", kind, lambda message: [message] * 3)
    asked.submit()
    asked.wait_awaited("masked", "charlie")
    relay.let_go(["charlie"], "masked")
    asked.assert_answered_once()
    said = [seen.message for seen in relay.seen if seen.agency == "alpha"]
    # every message about what is over is answered with "settled"
    for kind in SAYS:
        before = len(relay.of("alpha", "settled"))
        relay.say("alpha", next(one for one in said if kind_of(one) == kind))
        relay.wait_for("alpha", "settled", number=before + 1)
    asked.assert_answered_once()


@pytest.mark.parametrize("kind", SAYS)
def test_what_an_agency_says_of_another_attempt_is_nothing(
    relay: MessageRelay, asked: Asked, kind: str
) -> None:
    """Every message goes with its query and its attempt, not with a query alone."""

    def both(message: Any) -> list[Any]:  # noqa: ANN401
        other = copy.deepcopy(message)
        other.attempt += 1
        return [other, message]

    relay.change("alpha", kind, each(both))
    asked.submit()
    asked.assert_answered_once()


def _flipped(field: str) -> Any:  # noqa: ANN401  # what `each` takes
    """Return a change of one bit in a field."""

    def change(message: Any) -> list[Any]:  # noqa: ANN401
        other = copy.deepcopy(message)
        content = bytearray(getattr(message, field))
        content[-1] ^= 1
        setattr(other, field, bytes(content))
        return [other]

    return change


def _shortened(message: agent_pb2.Masked) -> list[agent_pb2.Masked]:
    other = copy.deepcopy(message)
    other.vector = message.vector[:-8]
    other.size -= 1
    return [other]


WRONG = {
    "fresh key": ("readies", _flipped("ephemeral_key"), "READY_INVALID"),
    "ready's signature": ("readies", _flipped("signature"), "READY_INVALID"),
    "question": ("readies", _flipped("spec_digest"), "READY_INVALID"),
    "transcript": ("masked", _flipped("transcript"), "RECEIPTS_INVALID"),
    "receipt's signature": ("masked", _flipped("signature"), "RECEIPTS_INVALID"),
    "vector": ("masked", _flipped("vector"), "VECTOR_WRONG"),
    "length": ("masked", _shortened, "VECTOR_WRONG"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_true_is_rejected(
    network: Network, relay: MessageRelay, asked: Asked, what: str
) -> None:
    """The question fails, all budget is given back, and the log has the reason."""
    kind, change, reason = WRONG[what]
    relay.change("alpha", kind, each(change))
    asked.submit()
    with pytest.raises(accord.RequisitionRefused) as refused:
        asked.result()
    assert refused.value.reason == "AGENCY_REFUSED"
    assert refused.value.metadata["refused"] == "alpha"
    assert f"alpha ({reason})" in refused.value.sentence
    asked.assert_given_back()
    noted = "SELECT facts FROM audit WHERE event = 'answer.rejected' ORDER BY number"
    assert reason in network.rows(noted)[-1][0]


def test_a_seed_that_was_not_promised_is_rejected(
    relay: MessageRelay, asked: Asked
) -> None:
    """Nothing is released. It was opened, so it is paid for by those who revealed."""
    relay.change("alpha", "reveals", each(_flipped("seed")))
    relay.hold(["alpha"], "reveals")
    asked.submit()
    asked.wait_awaited("reveal", "alpha")
    relay.let_go(["alpha"], "reveals")
    with pytest.raises(accord.AccordError) as refused:
        asked.result()
    assert refused.value.reason == "OPENING_INCOMPLETE"
    assert "alpha" in refused.value.metadata["refused"]
    assert_charged_without_release(asked)


def test_figures_that_no_counts_can_be_are_not_released(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """An agency masks something else than it counted, and signs for it."""
    keys = insider.secret_keys(network, "alpha")
    own: list[agent_pb2.Masked] = []

    def swollen(message: agent_pb2.Masked) -> list[agent_pb2.Masked]:
        own.append(message)
        words = np.frombuffer(message.vector, "<u8") + np.uint64(1 << 42)
        return [insider.masked_again(keys, message, words)]

    def receipt_as_before(call: agent_pb2.RevealCall) -> list[agent_pb2.RevealCall]:
        other = copy.deepcopy(call)
        for receipt in other.receipts:
            if receipt.agency == "alpha":
                receipt.vector_digest = own[-1].vector_digest
                receipt.signature = own[-1].signature
        return [other]

    relay.change("alpha", "masked", each(swollen))
    relay.change("alpha", RECEIPTS, each(receipt_as_before))
    asked.submit()
    with pytest.raises(accord.AccordError) as refused:
        asked.result()
    assert refused.value.reason == "SUM_IMPLAUSIBLE"
    assert_charged_without_release(asked)


@pytest.mark.slow
def test_an_opening_that_everybody_has_forsworn_costs_nothing(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """One stops sharing when all have masked; the others were not asked to open yet."""
    relay.hold(THREE, RECEIPTS)
    asked.submit()
    for label in THREE:
        relay.wait_for(label, RECEIPTS)
    network.agent_command("alpha", "stop-sharing", "--reason", "a court order")
    for label in ("bravo", "charlie"):
        relay.change(label, RECEIPTS, lambda _: [])
    relay.let_go(THREE, RECEIPTS)
    with pytest.raises(accord.AccordError) as refused:
        asked.result()
    assert refused.value.reason == "OPENING_INCOMPLETE"
    assert refusals(relay, "alpha") == {"LOCAL_RULE"}
    assert "Nothing was charged" in refused.value.sentence
    assert all(relay.of(label, "erasures", query_id=asked.id) for label in THREE)
    asked.assert_given_back()
    network.agent_command("alpha", "resume-sharing", "--reason", "it was lifted")


def assert_charged_without_release(asked: Asked) -> None:
    """Whoever may have revealed a seed stays charged, at the hub and by itself."""
    network = asked.network
    assert asked.state() == "failed"
    assert not network.rows("SELECT 1 FROM releases WHERE submission = ?", asked.id)
    assert not network.reserved()
    events = "SELECT kind FROM ledger_event WHERE entry = ? ORDER BY height"
    assert network.rows(events, asked.id) == [("reserve",), ("charge",)]
    for label in THREE:
        assert asked.own_events(label) == ["reserve", "charge"]


def test_a_requisition_that_somebody_changed_is_refused(
    relay: MessageRelay, asked: Asked
) -> None:
    """Agents check the hub's signature over the bytes; nothing is computed."""

    def flipped(asking: agent_pb2.Requisition) -> list[agent_pb2.Requisition]:
        return [*_flipped("payload")(asking), asking]

    relay.hold(["charlie"], "readies")
    relay.change("alpha", "requisitions", each(flipped))
    asked.submit()
    relay.wait_for("alpha", "refusals")
    assert refusals(relay, "alpha") == {"SIGNATURE_INVALID"}
    # it is about other bytes than the hub sent, so the question goes on
    relay.let_go(["charlie"], "readies")
    asked.assert_answered_once()


def test_an_agency_that_has_lost_enough_refuses(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """Its own cap holds whatever the hub's books say; it does not even get ready."""
    network.agents["bravo"].stop()
    settings = network.agents["bravo"].settings
    kept = dict(settings)
    settings["ACCORD_AGENT_LIFETIME__ZCDP__EPSILON"] = "0.001"
    network.start_agent("bravo")
    try:
        asked.submit()
        with pytest.raises(accord.RequisitionRefused) as refused:
            asked.result()
        assert "BUDGET_EXHAUSTED" in refused.value.sentence
        assert not relay.of("bravo", "readies")
        asked.assert_given_back()
    finally:
        network.agents["bravo"].stop()
        settings.update(kept)
        network.start_agent("bravo")


@pytest.mark.parametrize(
    "call", [pytest.param(call, marks=MARKS.get(call, ())) for call in CALLS]
)
def test_all_agents_at_once(
    network: Network, relay: MessageRelay, asked: Asked, call: str
) -> None:
    """A power cut at every agency while all of them work."""
    relay.hold(THREE, call)
    asked.submit()
    for label in THREE:
        relay.wait_for(label, call)
    for label in THREE:
        network.agents[label].kill()
    relay.reset()
    network.start_agents(THREE)
    asked.assert_answered_once()


@pytest.mark.usefixtures("relay")
def test_an_idle_hub_does_not_wait_for_locks(network: Network) -> None:
    """What `waits_for_lock` looks for is not there at other times."""
    assert not waits_for_lock(network)
