# SPDX-License-Identifier: Apache-2.0
"""Changing the key by which the board knows an agency."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from accord.agent.keys.agency_key import NEXT_KEY, switch_agency_key
from accord.agent.keys.files import read_key
from accord.agent.state import AGENCY_KEY, AgentState
from tests.unit.agent.command import Command, Said


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return AgentState.create(tmp_path / "state")


@pytest.fixture
def keys(
    state: AgentState,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Said]:
    command = Command(monkeypatch, capsys)
    return lambda *words: command("keys", *words, "--state", state.root)


def test_the_board_signs_first_and_the_agent_switches_then(
    state: AgentState, keys: Callable[..., Said]
) -> None:
    before, old = json.loads(keys("--json").stdout), state.agency_key()
    prepared = json.loads(keys("rotate-agency", "--json").stdout)
    assert prepared["agency_key"] != before["agency_key"]
    assert json.loads(keys("rotate-agency", "--json").stdout) == prepared
    assert json.loads(keys("--json").stdout) == before
    lines = keys("rotate-agency").stdout
    assert prepared["agency_key"] in lines
    assert prepared["exchange"] in lines
    said = " ".join(keys("rotate-agency", "--switch").stderr.split())
    assert "accord-agent enrol" in said
    assert json.loads(keys("--json").stdout) == prepared
    assert not (state.keys / NEXT_KEY).exists()
    (kept,) = state.keys.glob("agency-*.key")
    assert read_key(kept) == old.private_bytes_raw()


def test_there_is_nothing_to_switch_to(keys: Callable[..., Said]) -> None:
    said = keys("rotate-agency", "--switch", "--json")
    assert said.status == 4
    assert json.loads(said.stderr)["error"]["reason"] == "KEY_NOT_PREPARED"


@pytest.mark.parametrize("cut_at", [1, 2])
def test_a_switch_that_is_cut_off_goes_on(
    state: AgentState,
    keys: Callable[..., Said],
    monkeypatch: pytest.MonkeyPatch,
    cut_at: int,
) -> None:
    prepared = json.loads(keys("rotate-agency", "--json").stdout)
    old, new = read_key(state.keys / AGENCY_KEY), read_key(state.keys / NEXT_KEY)
    steps = ["replace", "unlink"]
    real = Path.unlink

    def cut(path: Path, *_: object, **named: bool) -> None:
        if steps[cut_at - 1] == "replace" or path.name == NEXT_KEY:
            raise KeyboardInterrupt
        real(path, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, steps[cut_at - 1], cut)
        with pytest.raises(KeyboardInterrupt):
            switch_agency_key(state)
    assert read_key(state.keys / AGENCY_KEY) == (old if cut_at == 1 else new)
    switch_agency_key(state)
    assert json.loads(keys("--json").stdout) == prepared
    assert old in {read_key(path) for path in state.keys.glob("agency-*.key")}
