# SPDX-License-Identifier: Apache-2.0
"""One agency of a network approves each question first: yes, no, nobody, restarts."""

from __future__ import annotations

import contextlib
import sqlite3
import sys

import pytest

import accord.client as accord
from tests.federation.asked import Asked
from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.relays import MessageRelay
from tests.federation.small_world import THREE

pytestmark = [pytest.mark.federation, pytest.mark.slow]

CAREFUL = "bravo"
OTHERS = tuple(label for label in THREE if label != CAREFUL)

RULE = """
[approval]
needed = ["three"]
notify = [{program}, "-c", {code}]
"""


@pytest.fixture(scope="module")
def network(network: Network) -> Network:
    """Return a network in which one agency approves questions, and notes each call."""
    state = network.agent_state(CAREFUL)
    place = str(network.folder / "told")
    code = f"import sys; open({place!r}, 'a').write(sys.argv[1] + chr(10))"
    rule = RULE.format(program=repr(sys.executable), code=f"'''{code}'''")
    (state / "config.toml").write_text(rule, encoding="utf-8")
    return network


def waits(network: Network, asked: Asked) -> bool:
    """Tell whether the agency's staff is asked about a question."""
    found = network.agent_command(CAREFUL, "approvals", "list")["approvals"]
    return asked.id in [each["query_id"] for each in found]


def wait_for_people(network: Network, asked: Asked) -> None:
    """Return once the hub knows that people are asked, and has everybody else."""
    wait_until(
        lambda: list(asked.progress().approving) == [CAREFUL],
        "the hub knows whose approval it waits for",
    )
    asked.wait_awaited("ready", CAREFUL)
    assert waits(network, asked)


def decide(network: Network, asked: Asked, *words: str) -> None:
    network.agent_command(CAREFUL, "approvals", words[0], asked.id, *words[1:])


def test_a_question_waits_and_goes_on_when_it_is_approved(
    network: Network, relay: MessageRelay, asked: Asked, hub: accord.Hub
) -> None:
    asked.submit()
    wait_for_people(network, asked)
    assert f"awaiting approval of {CAREFUL}" in str(hub.submission(asked.id).progress)
    assert not relay.of(CAREFUL, "readies", query_id=asked.id)
    shown = network.agent_command(CAREFUL, "approvals", "show", asked.id[:13])
    assert shown["foreseen"]["analyst"] == "ana"
    assert shown["foreseen"]["objections"] == shown["foreseen"]["denials"] == []
    assert shown["foreseen"]["nano_rho"] > 0
    assert network.agent_command(CAREFUL, "status")["waiting_approvals"] == 1
    told = network.folder / "told"
    wait_until(lambda: told.exists() and asked.id in told.read_text(), "people hear")

    decide(network, asked, "approve")
    asked.assert_answered_once()
    assert not waits(network, asked)
    [kept] = [
        each
        for each in network.agent_command(CAREFUL, "receipts")["receipts"]
        if each["query_id"] == asked.id
    ]
    assert kept["outcome"] == "opened"


def test_a_question_that_is_refused_ends_at_once_and_costs_nothing(
    network: Network, asked: Asked
) -> None:
    asked.submit()
    wait_for_people(network, asked)
    decide(network, asked, "refuse", "--reason", "Zanthrabel is in it")
    with pytest.raises(accord.RequisitionRefused) as caught:
        asked.result()
    assert f"{CAREFUL} (APPROVAL_REFUSED)" in caught.value.sentence
    assert "Zanthrabel" not in caught.value.sentence
    asked.assert_given_back()


def test_what_nobody_decides_on_in_time_is_declined(
    network: Network, asked: Asked
) -> None:
    """The hours that an agency gives its people are over at once, by its database."""
    asked.submit()
    wait_for_people(network, asked)
    database = network.agent_state(CAREFUL) / "agent.db"
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute(
            "UPDATE approval SET decide_by = asked_at WHERE query_id = ?", (asked.id,)
        )
        connection.commit()
    with pytest.raises(accord.RequisitionRefused) as caught:
        asked.result()
    assert f"{CAREFUL} (APPROVAL_EXPIRED)" in caught.value.sentence
    asked.assert_given_back()
    assert not waits(network, asked)


def test_what_waits_waits_over_restarts_of_the_agent_and_of_the_hub(
    network: Network, asked: Asked
) -> None:
    asked.submit()
    wait_for_people(network, asked)
    network.agents[CAREFUL].kill()
    network.start_agent(CAREFUL)
    wait_for_people(network, asked)
    network.hub.kill()
    network.start_hub()
    wait_until(
        lambda: list(_progress(network, asked)) == [CAREFUL],
        "a hub that was started again knows it",
    )
    decide(network, asked, "approve")
    asked.assert_answered_once()


def test_who_approves_while_the_agent_is_away_is_heard_at_its_next_contact(
    network: Network, asked: Asked
) -> None:
    asked.submit()
    wait_for_people(network, asked)
    assert network.agents[CAREFUL].stop() == 0
    decide(network, asked, "approve")
    asked.wait_awaited("ready", CAREFUL)
    network.start_agent(CAREFUL)
    asked.assert_answered_once()


def test_an_analyst_who_ends_a_question_leaves_nothing_to_approve(
    network: Network, asked: Asked, hub: accord.Hub
) -> None:
    asked.submit()
    wait_for_people(network, asked)
    assert hub.submission(asked.id).cancel()
    wait_until(lambda: not waits(network, asked), "nobody is asked any more")
    done = network.try_agent_command(CAREFUL, "approvals", "approve", asked.id)
    assert done.code == 4
    assert "does not wait for approval any more" in done.err


def _progress(network: Network, asked: Asked) -> list[str]:
    from accord.v1 import analyst_pb2

    with network.connect() as again:
        wire = again._wire
        request = analyst_pb2.GetSubmissionRequest(id=asked.id)
        return list(wire.call(wire.stub.GetSubmission, request).submission.approving)
