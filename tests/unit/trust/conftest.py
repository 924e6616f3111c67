# SPDX-License-Identifier: Apache-2.0
"""A board, a hub and an agency that believes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.trust.simulator import Agent, World


@pytest.fixture
def world() -> World:
    """Return a world where the first policies are published."""
    return World()


@pytest.fixture
def agent(world: World, tmp_path: Path) -> Agent:
    """Return an agent that accepted the first policies."""
    return world.agent(tmp_path / "police")
