# SPDX-License-Identifier: Apache-2.0
"""Hubs for the tests of the hub."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from accord.hub.state import State
from tests.unit.hub.world import World, make_state


@pytest.fixture
def state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> State:
    """Return the state of a new hub that nobody serves."""
    made = make_state(tmp_path)
    capsys.readouterr()
    return made


@pytest.fixture
async def world(state: State) -> AsyncIterator[World]:
    """Return a hub that serves on loopback."""
    made = World(state)
    await made.start()
    yield made
    await made.stop()
