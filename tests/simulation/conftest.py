# SPDX-License-Identifier: Apache-2.0
"""Worlds for histories, in memory-backed storage where there is any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.histories import Player
from tests.simulation.template import Template, make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Return a hub and its agencies as every history finds them."""
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def player(template: Template, tmp_path: Path) -> Iterator[Player]:
    """Return what plays histories, each in a world of its own."""
    yield Player(template, tmp_path)
    assert not list(tmp_path.iterdir()), "worlds are removed as they end"
