# SPDX-License-Identifier: Apache-2.0
"""How settings and agreements say when a running agent is connected."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from accord.agent.network.identity import IdentityFiles
from accord.agent.network.presence import HOURLY_OPEN, Always, AtWindows
from accord.agent.running import find_window, presence_of
from accord.agent.settings import Settings
from accord.rpc.logs import allow_listed
from accord.v1 import agent_pb2
from tests.unit.agent.agencies import NOW, new_state
from tests.unit.agent.agreements import (
    AGENCY,
    AGREEMENT_TEXT,
    FRESHNESS,
    KEY,
    repository,
    requisition,
    signed,
    taught,
)
from tests.unit.agent.command import SCRIPT, Command
from tests.unit.agent.joining import join
from tests.unit.rpc.hub_double import running_hub, until

ROUNDS_TEXT = AGREEMENT_TEXT.replace(
    "may_ask:",
    "rounds: {every: week, on: saturday, at: '06:00', open: 2, deadline: 21}\nmay_ask:",
)

SATURDAY = datetime.datetime(2026, 3, 7, 6, tzinfo=datetime.UTC)
"""The first window after `NOW`, which is a Thursday."""

HOUR = datetime.timedelta(hours=1)


def test_an_agent_stays_unless_a_setting_says_otherwise(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    assert presence_of(state, AGENCY, Settings()) == Always()
    sleeps = presence_of(state, AGENCY, Settings(stay_connected="windows"))
    assert isinstance(sleeps, AtWindows)
    assert sleeps.find(NOW) is None


def test_the_windows_are_those_of_the_signed_agreements(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    taught(state, ROUNDS_TEXT)
    window = find_window(state, AGENCY, NOW)
    assert window is not None
    assert (window.begin, window.end) == (SATURDAY, SATURDAY + 2 * HOUR)


def test_an_agreement_without_windows_counts_every_hour(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    taught(state)
    window = find_window(state, AGENCY, NOW)
    assert window is not None
    assert window.end - window.begin == HOURLY_OPEN


def test_agreements_of_others_and_ended_ones_wake_nobody(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    taught(state, ROUNDS_TEXT)
    last = datetime.datetime(2026, 12, 31, 23, tzinfo=datetime.UTC)
    assert find_window(state, AGENCY, last) is not None
    assert find_window(state, AGENCY, last + HOUR) is None
    assert find_window(state, "somebody-else", NOW) is None


def test_policies_that_cannot_be_read_wake_nobody_and_are_told(
    tmp_path: Path,
) -> None:
    state = new_state(tmp_path / "state")
    taught(state, ROUNDS_TEXT)
    for path in state.policies.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    with capture_logs(processors=[allow_listed]) as lines:
        assert find_window(state, AGENCY, NOW) is None
    assert [line["event"] for line in lines] == ["policy.unreadable"]


def test_a_limit_of_time_goes_with_one_contact_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Command(monkeypatch, capsys)("run", "--for", 5, "--state", tmp_path)
    assert said.status == 2
    assert "--once" in said.stderr


@pytest.mark.slow
async def test_the_program_comes_once_and_ends_by_itself(tmp_path: Path) -> None:
    """As cron starts it: a process that leaves with status 0 when nothing comes."""
    state = new_state(tmp_path / AGENCY)
    async with running_hub() as hub:
        hub.signing_key, hub.freshness_key = KEY, FRESHNESS
        hub.publish(repository(), NOW)
        files = IdentityFiles(state.keys)
        await join(hub, files, hub.new_token(AGENCY), policies=state.policies)
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", SCRIPT, "run", "--once", "--for", "2", "--state", str(state.root)),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=asyncio.subprocess.PIPE,
        )
        await until(lambda: hub.conversations, 60)
        [talk] = hub.conversations
        payload, signature = signed(requisition())
        one = agent_pb2.Requisition(payload=payload, signature=signature, attempt=1)
        batch = agent_pb2.Requisitions(requisitions=[one])
        talk.send(agent_pb2.ConnectResponse(requisitions=batch))
        await until(talk.refusals)  # its policies are long out of date
        _, stderr = await asyncio.wait_for(program.communicate(), 100)
        await until(lambda: talk.ended)
    assert program.returncode == 0, stderr.decode()
    events = [json.loads(line)["event"] for line in stderr.decode().splitlines()]
    assert "connection.opened" in events
    assert events[-1] == "connection.closed"
