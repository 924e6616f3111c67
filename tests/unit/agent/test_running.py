# SPDX-License-Identifier: Apache-2.0
"""How settings and agreements say when a running agent is connected."""

from __future__ import annotations

import datetime
from pathlib import Path

from structlog.testing import capture_logs

from accord.agent.network.presence import HOURLY_OPEN, Always, AtWindows
from accord.agent.running import find_window, presence_of
from accord.agent.settings import Settings
from accord.rpc.logs import allow_listed
from tests.unit.agent.agencies import NOW, new_state
from tests.unit.agent.agreements import AGENCY, AGREEMENT_TEXT, taught

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
