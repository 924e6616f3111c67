# SPDX-License-Identifier: Apache-2.0
"""Hubs for the tests of the hub."""

import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import structlog

from accord.hub.state import State
from accord.rpc.logs import configure
from tests.contract.hub_databases import postgres_url
from tests.contract.postgres import postgres
from tests.unit.hub.world import World, make_state

__all__ = ["postgres"]


@pytest.fixture(autouse=True)
def lines() -> Iterator[io.StringIO]:
    """Keep log lines apart from the tests' output; none may try to say too much."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    configure("hub", stream)
    yield stream
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level
    for line in stream.getvalue().splitlines():
        assert "dropped" not in json.loads(line), line


@pytest.fixture
def state(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> State:
    """Return the state of a new hub that nobody serves.

    Tests that are to hold on PostgreSQL too are marked `on_every_database`.
    """
    if getattr(request, "param", "sqlite") == "postgresql":
        monkeypatch.setenv("ACCORD_HUB_DATABASE", postgres_url(request))
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


@pytest.fixture
async def within(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Awaitable[World]]:
    """Return what gives agencies so many seconds instead of an hour."""

    async def start(seconds: int) -> World:
        monkeypatch.setenv("ACCORD_HUB_ANSWER_WITHIN_SECONDS", str(seconds))
        await world.restart()
        return world

    return start
