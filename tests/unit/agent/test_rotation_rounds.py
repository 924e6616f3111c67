# SPDX-License-Identifier: Apache-2.0
"""An agent answers all the while that its keys are rotated, and answers the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

from accord.agent.intake.chain import generation_of_keys
from accord.agent.keys.files import read_key
from accord.agent.rotation.rotating import rotate
from accord.agent.rounds.auditing import audit
from accord.agent.rounds.sealing import AUDIT_KEY
from tests.unit.agent.agencies import LIMITS, NOW
from tests.unit.agent.agency_world import THREE, World, expected

BESIDE = """\
import sys
from pathlib import Path
from accord.agent.rotation.rotating import rotate
from accord.agent.state import AgentState
from tests.unit.agent.agencies import LIMITS, NOW
root, times = sys.argv[1:]
for _ in range(int(times)):
    rotate(AgentState.open(Path(root)), LIMITS, NOW)
"""


@pytest.mark.slow
def test_an_agent_that_runs_beside_it_answers_all_the_while(world: World) -> None:
    state = world.states["police"]
    times, answered = 3, 0
    words = [sys.executable, "-c", BESIDE, str(state.root), str(times)]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as beside:
        while beside.poll() is None or not answered:
            world.answerer("police").editions()  # what an agent sees to day by day
            assert (world.whole(world.asked()).sum() == expected(THREE)).all()
            answered += 1
        assert beside.stderr is not None
        assert (beside.returncode, beside.stderr.read()) == (0, b"")
    assert generation_of_keys(state) == times
    assert (world.whole(world.asked()).sum() == expected(THREE)).all()


def test_what_was_masked_before_is_revealed_and_audited_afterwards(
    world: World,
) -> None:
    state = world.states["police"]
    masked = world.hub.mask(world.ready(world.asked()))
    ready = world.ready(world.asked())
    rotate(state, LIMITS, NOW)
    assert (world.hub.reveal(masked).sum() == expected(THREE)).all()
    assert (world.hub.reveal(world.hub.mask(ready)).sum() == expected(THREE)).all()
    seed = read_key(state.keys / AUDIT_KEY)
    for query_id in (masked.query_id, ready.query_id):
        done = audit(state, query_id, seed, world.clock.now)
        assert done.as_json()["result"] == "agrees"
