# SPDX-License-Identifier: Apache-2.0
"""Questions that their analyst ends: given back before the opening, never after it."""

from __future__ import annotations

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

import accord.client as accord
from tests.federation.asked import Asked, waits_for_lock
from tests.federation.network import Network, locked
from tests.federation.processes import command, environment, wait_until
from tests.federation.relays import MessageRelay
from tests.federation.small_world import PURPOSE, THREE

pytestmark = pytest.mark.federation


def assert_cancelled(asked: Asked) -> None:
    """Whoever waited is told, nobody pays, and agencies have erased what they sent."""
    with pytest.raises(accord.PreconditionFailed) as ended:
        asked.result()
    assert ended.value.reason == "CANCELLED"
    assert "Nothing was charged." in ended.value.sentence
    asked.assert_given_back()
    network = asked.network
    assert not network.rows("SELECT 1 FROM rounds WHERE submission = ?", asked.id)
    assert not network.rows("SELECT 1 FROM releases WHERE submission = ?", asked.id)


@pytest.mark.parametrize("kind", ["readies", "masked"])
def test_before_the_opening_all_is_given_back(
    relay: MessageRelay, asked: Asked, hub: accord.Hub, kind: str
) -> None:
    relay.hold(THREE, kind)
    asked.submit()
    for label in THREE:
        relay.wait_for(label, kind)
    assert hub.submission(asked.id).cancel()
    # what was on its way comes too late, and changes nothing
    relay.reset()
    assert_cancelled(asked)
    assert hub.submission(asked.id).cancel()
    assert not relay.of("alpha", "reveals", query_id=asked.id)


def test_once_it_is_being_opened_the_answer_comes(
    relay: MessageRelay, asked: Asked, hub: accord.Hub
) -> None:
    relay.hold(["charlie"], "reveals")
    asked.submit()
    relay.wait_for("charlie", "reveals")
    asked.wait_awaited("reveal", "charlie")
    pending = hub.submission(asked.id)
    assert not pending.cancel()
    assert pending.state == "collecting"
    relay.reset()
    asked.assert_answered_once()
    assert not hub.submission(asked.id).cancel()


def test_a_hub_that_was_killed_ends_it_all_the_same(
    network: Network, relay: MessageRelay, asked: Asked
) -> None:
    relay.hold(["charlie"], "masked")
    asked.submit()
    asked.wait_awaited("masked", "charlie")
    network.hub.kill()
    network.start_hub()
    with network.connect() as again:
        assert again.submission(asked.id).cancel()
    relay.reset()
    assert_cancelled(asked)


def test_killed_inside_the_transaction_that_ends_it(
    network: Network, relay: MessageRelay, asked: Asked, hub: accord.Hub
) -> None:
    """It has not happened, and is done once more."""
    relay.hold(["charlie"], "masked")
    asked.submit()
    asked.wait_awaited("masked", "charlie")
    pending = hub.submission(asked.id)
    with (
        ThreadPoolExecutor(1) as pool,
        locked(network.hub_state / "hub.db"),
    ):
        ending = pool.submit(pending.cancel)
        wait_until(lambda: waits_for_lock(network), "the hub wants to write")
        network.hub.kill()
        with pytest.raises(accord.Unreachable):
            ending.result(60)
    assert asked.state() == "collecting"
    assert network.reserved()
    network.start_hub()
    with network.connect() as again:
        assert again.submission(asked.id).cancel()
    relay.reset()
    assert_cancelled(asked)


def test_ctrl_c_ends_the_question_and_says_what_was_given_back(
    network: Network, relay: MessageRelay
) -> None:
    relay.hold(THREE, "masked")
    options = ["--by", "district:province", "--epsilon", "2", "--purpose", PURPOSE]
    before = network.charged()
    settings = {"ACCORD_HUB": network.address, "ACCORD_TOKEN": network.tokens["ana"]}
    with subprocess.Popen(
        [*command("client"), "query", "--agreement", "three", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment({**settings, "ACCORD_DATA": str(network.folder / "data")}),
    ) as process:
        relay.wait_for("alpha", "masked")
        assert network.reserved()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert not out
    assert "Nothing was charged." in err
    assert "Traceback" not in err
    relay.reset()
    assert network.charged() == before
    wait_until(lambda: not network.reserved(), "the reservation is given back")
