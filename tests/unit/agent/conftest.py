# SPDX-License-Identifier: Apache-2.0
"""Worlds of agencies for tests of rounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.agent.agency_world import Templates, World


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return Templates(tmp_path_factory.mktemp("agencies"))


@pytest.fixture
def world(templates: Templates, tmp_path: Path) -> World:
    """Three agencies, whose cohort is called `fallback`."""
    return templates.world(tmp_path)


@pytest.fixture
def new_world(templates: Templates, tmp_path: Path) -> Callable[..., World]:
    """Makes worlds of other agencies, or under another agreement."""
    return lambda *arguments, **named: templates.world(tmp_path, *arguments, **named)
