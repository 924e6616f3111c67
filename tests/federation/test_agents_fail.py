# SPDX-License-Identifier: Apache-2.0
"""Agents that are away, killed, slow, or told the same thing twice.

An agency's answer to a question is the same integers at every retry, its own ledger is
charged once, and the hub counts it once.
"""

from __future__ import annotations

import pytest

import accord.client as accord
from accord.v1 import agent_pb2
from tests.federation.asked import Asked, waits_for_lock
from tests.federation.network import Network, locked
from tests.federation.relays import MessageRelay
from tests.federation.small_world import THREE

pytestmark = pytest.mark.federation


@pytest.mark.usefixtures("relay")
def test_a_question_waits_for_an_agent_that_is_away(
    network: Network, asked: Asked
) -> None:
    network.agents["alpha"].kill()
    asked.submit()
    asked.wait_awaited("alpha")
    network.start_agent("alpha")
    asked.assert_answered_once()


def test_killed_while_it_computes(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """It has the requisition and has not paid for it yet."""
    with locked(network.agent_state("alpha") / "agent.db"):
        asked.submit()
        relay.wait_passed("alpha", "requisition")
        asked.wait_awaited("alpha")
        network.agents["alpha"].kill()
    assert not relay.of("alpha", "answer")
    network.start_agent("alpha")
    asked.assert_answered_once()


def test_killed_after_it_paid_before_its_answer_arrived(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    relay.hold(["alpha"], "answer")
    asked.submit()
    lost = relay.wait_for("alpha", "answer")
    network.agents["alpha"].kill()
    # Its next stream ends the one over which the answer would still go out.
    network.start_agent("alpha")
    relay.let_go(["alpha"], "answer")
    asked.assert_answered_once()
    assert relay.of("alpha", "answer", query_id=asked.id) == [lost, lost]


def test_killed_after_its_answer(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """The others answer later; nobody waits for it any more."""
    relay.hold(["charlie"], "answer")
    asked.submit()
    asked.wait_awaited("charlie")
    network.agents["alpha"].kill()
    relay.let_go(["charlie"], "answer")
    asked.assert_answered_once()
    network.start_agent("alpha")
    assert len(relay.of("alpha", "requisition")) == 1


def test_frozen_for_a_while(network: Network, asked: Asked) -> None:
    """It is not noticed: the agent wakes up with the requisition in its socket."""
    network.agents["bravo"].freeze()
    asked.submit()
    asked.wait_awaited("bravo")
    network.agents["bravo"].thaw()
    asked.assert_answered_once()


def test_a_requisition_that_comes_twice_is_answered_alike_and_paid_once(
    relay: MessageRelay, asked: Asked
) -> None:
    """At the same moment, and again long after everything was settled."""
    relay.change("alpha", "requisition", lambda message: [message] * 3)
    asked.submit()
    asked.assert_answered_once()
    answers = relay.of("alpha", "answer", query_id=asked.id)
    again = next(each.message for each in relay.seen if each.kind == "requisition")
    relay.change("alpha", "requisition", None)
    relay.say("alpha", again)
    relay.wait_for("alpha", "answer", number=len(answers) + 1)
    answers = relay.of("alpha", "answer", query_id=asked.id)
    assert all(each == answers[0] for each in answers)
    asked.assert_answered_once()


def test_an_answer_that_comes_twice_counts_once(
    relay: MessageRelay, asked: Asked
) -> None:
    """Before the others answer, and after the release."""
    relay.hold(["charlie"], "answer")
    relay.change("alpha", "answer", lambda message: [message] * 3)
    asked.submit()
    asked.wait_awaited("charlie")
    relay.let_go(["charlie"], "answer")
    asked.assert_answered_once()
    answer = relay.of("alpha", "answer", query_id=asked.id)[0]
    # every message about what is over is answered with "settled"
    before = len(relay.of("alpha", "settled"))
    relay.say("alpha", agent_pb2.ConnectRequest(answer=answer))
    relay.wait_for("alpha", "settled", number=before + 1)
    asked.assert_answered_once()


def test_an_answer_in_the_name_of_another_question_is_none(
    relay: MessageRelay, asked: Asked
) -> None:
    """A vector goes with the payload that it answers, not with an id alone."""

    def wrong_payload(message: agent_pb2.ConnectRequest) -> list[object]:
        changed = agent_pb2.ConnectRequest()
        changed.CopyFrom(message)
        changed.answer.payload_digest = "0" * 64
        return [changed, message]

    relay.change("alpha", "answer", wrong_payload)
    asked.submit()
    asked.assert_answered_once()


@pytest.mark.parametrize(
    "vector", [[-1, 0, 0], [2**53, 0, 0], []], ids=["negative", "huge", "short"]
)
def test_an_impossible_answer_is_rejected(
    relay: MessageRelay, asked: Asked, vector: list[int]
) -> None:
    """The question fails, the budget at the hub is given back."""

    def impossible(message: agent_pb2.ConnectRequest) -> list[object]:
        changed = agent_pb2.ConnectRequest()
        changed.CopyFrom(message)
        whole = list(message.answer.vector)
        kept = [*vector, *whole[len(vector) :]] if vector else whole[1:]
        changed.answer.vector[:] = kept
        return [changed]

    relay.change("alpha", "answer", impossible)
    asked.submit()
    with pytest.raises(accord.RequisitionRefused) as refused:
        asked.result()
    assert refused.value.reason == "AGENCY_REFUSED"
    assert refused.value.metadata["refused"] == "alpha"
    asked.assert_given_back()


def test_a_requisition_that_somebody_changed_is_refused(
    relay: MessageRelay, asked: Asked
) -> None:
    """Agents check the hub's signature over the bytes; nothing is computed."""

    def flipped(message: agent_pb2.ConnectResponse) -> list[object]:
        changed = agent_pb2.ConnectResponse()
        changed.CopyFrom(message)
        payload = bytearray(message.requisition.payload)
        payload[-1] ^= 1
        changed.requisition.payload = bytes(payload)
        return [changed, message]

    relay.hold(["charlie"], "answer")
    relay.change("alpha", "requisition", flipped)
    asked.submit()
    refusal = relay.wait_for("alpha", "refusal")
    name = agent_pb2.DESCRIPTOR.pool.FindEnumTypeByName("accord.v1.RefusalReason")
    assert name.values_by_number[refusal.reason].name.endswith("SIGNATURE_INVALID")
    # it is about other bytes than the hub sent, so the question goes on
    relay.let_go(["charlie"], "answer")
    asked.assert_answered_once()


def test_an_agency_that_has_lost_enough_refuses(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """Its own cap holds whatever the hub's books say."""
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
        assert not relay.of("bravo", "answer")
        asked.assert_given_back()
    finally:
        network.agents["bravo"].stop()
        settings.update(kept)
        network.start_agent("bravo")


def test_all_agents_at_once(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    """A power cut at every agency while all of them compute."""
    relay.hold(THREE, "requisition")
    asked.submit()
    for label in THREE:
        relay.wait_for(label, "requisition")
    for label in THREE:
        network.agents[label].kill()
    relay.reset()
    network.start_agents(THREE)
    asked.assert_answered_once()


@pytest.mark.usefixtures("relay")
def test_an_idle_hub_does_not_wait_for_locks(network: Network) -> None:
    """What `waits_for_lock` looks for is not there at other times."""
    assert not waits_for_lock(network)
