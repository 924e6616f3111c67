# SPDX-License-Identifier: Apache-2.0
"""Record what a hub and an agent say to each other, for later versions to read.

python -m tools.record_wire FOLDER

A hub and three agents are set up on loopback, as the tests of the federation do it. One
question is answered, one is cancelled once its vectors are masked, and one is refused;
every message of one agency's streams is written, in order, to a file
FOLDER/VERSION/NNN-WAY-KIND.binpb, where WAY is ``up`` (from the agent) or ``down``. The
records are made up, and nobody has the keys any more: nothing there is worth hiding.

Made once for each minor version, right before its release, and never changed again.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

import accord.client as accord
from accord.core._version import __version__
from accord.v1 import agent_pb2
from tests.federation.network import Network
from tests.federation.relays import MessageRelay, Seen
from tests.federation.small_world import PURPOSE, THREE, invent

AGENCY = "bravo"
"""In the middle: it sends encapsulations, and lacks some."""


def main(arguments: list[str]) -> int:
    """Write the files and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    target = parser.parse_args(arguments).folder / minor(__version__)
    with tempfile.TemporaryDirectory() as made:
        seen = conversation(Path(made))
    target.mkdir(parents=True)
    for number, each in enumerate(seen):
        way = "up" if isinstance(each.message, agent_pb2.ConnectRequest) else "down"
        field = each.message.WhichOneof("message")
        content = each.message.SerializeToString(deterministic=True)
        (target / f"{number:03d}-{way}-{field}.binpb").write_bytes(content)
    sys.stdout.write(f"{len(seen)} messages in {target}\n")
    return 0


def minor(version: str) -> str:
    """Return major and minor number of a version."""
    return ".".join(version.split(".")[:2])


def conversation(folder: Path) -> list[Seen]:
    """Return all that passed between the hub and one agency."""
    world = invent(folder / "sources")
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(
            Network.build(folder / "network", world.blueprint())
        )
        for label in network.blueprint.labels:
            network.agents[label].stop()
        relay = stack.enter_context(MessageRelay(network))
        for label in THREE:
            network.route(label, relay.port)
        network.start_agents(THREE)
        with network.connect() as hub:
            by_district = hub.agreement("three").persons().by("district")
            by_district.release(epsilon=1, purpose=PURPOSE)
            relay.hold(THREE, "masked")
            cancelled = by_district.release(epsilon=2, purpose=PURPOSE, wait=False)
            relay.wait_for(AGENCY, "masked", query_id=cancelled.id)
            cancelled.cancel()
            relay.let_go(THREE, "masked")
            relay.wait_for(AGENCY, "erasures")
            refused(network, hub, relay)
        network.stop()
    return [each for each in relay.seen if each.agency == AGENCY]


def refused(network: Network, hub: accord.Hub, relay: MessageRelay) -> None:
    """Ask what one agency's own rule forbids."""
    network.agent_command(AGENCY, "rules", "veto", "dimension", "gender")
    by_gender = hub.agreement("three").persons().by("gender")
    by_gender.release(epsilon=1, purpose=PURPOSE, wait=False)
    relay.wait_for(AGENCY, "refusals")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
