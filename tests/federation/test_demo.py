# SPDX-License-Identifier: Apache-2.0
"""The demo, as anybody runs it: separate processes, real mTLS, invented records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.federation

RELEASE_KEYS = {
    *("id", "agreement", "edition", "measure", "by", "rows", "cost", "coverage"),
}
ROW_KEYS = {
    "estimate",
    "lower",
    "upper",
    "sd",
    "suppressed",
    "whole_lower",
    "whole_upper",
    "why",
}


def run_demo(folder: Path) -> dict[str, Any]:
    """Return what ``accord demo --json`` prints."""
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "accord.client.cli", "demo", "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


@pytest.mark.day
@pytest.mark.slow
def test_the_demo_answers_refuses_repeats_and_cleans_up(tmp_path: Path) -> None:
    """In the documented form, with a trend that stands out from the noise."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        told = run_demo(Path(folder))
        assert list(Path(folder).iterdir()) == []
    assert set(told) == {"replies", "refusals", "budget", "board"}
    trend, table, repeat = told["replies"]
    for reply in told["replies"]:
        assert set(reply) == {"release", "charged", "from_archive"}
        assert set(reply["release"]) >= RELEASE_KEYS
        names = set(reply["release"]["by"])
        assert all(set(row) == names | ROW_KEYS for row in reply["release"]["rows"])
        assert len(reply["release"]["coverage"]["answered"]) == 5
    assert trend["from_archive"] is False
    assert trend["charged"] == trend["release"]["cost"]
    assert 2.4 < trend["charged"]["epsilon"] <= 2.5
    assert len(trend["release"]["rows"]) == 18
    assert table["release"]["by"] == ["exploitation_type", "region"]
    assert repeat["release"] == trend["release"]
    assert repeat["from_archive"] is True
    assert repeat["charged"] == {"epsilon": 0.0, "rho": 0.0}
    (refusal,) = told["refusals"]
    assert refusal["reason"] == "POLICY_DENIED"
    assert "citizenship" in refusal["text"]
    assert_the_board_was_shown(told["board"])
    spent = {
        account["name"]: account["spent"] for account in told["budget"]["accounts"]
    }
    rho = trend["charged"]["rho"] + table["charged"]["rho"]
    assert spent["agreement/regional-trends"]["rho"] == pytest.approx(rho)
    rows = trend["release"]["rows"]
    first, last = rows[0], rows[-1]
    assert last["lower"] > first["upper"], "the trend must be plainly visible"


def assert_the_board_was_shown(board: dict[str, Any]) -> None:
    """Two of three have signed; a mistake, a change and a lie were noticed."""
    assert board["signed_by"] == ["alice", "bela"]
    assert len(board["words"].split()) == 6
    (mistake,) = board["lint"]
    assert mistake["line"] > 1
    assert "Did you mean 'suppress_below'?" in mistake["text"]
    assert board["diff"]["newly_allowed"] > 0
    assert board["diff"]["no_longer_allowed"] == 0
    assert board["diff"]["loosens"] is True
    assert any("citizenship" in line for line in board["diff"]["text"])
    rollback = board["rollback"]
    assert rollback["version"] == rollback["keeps"] == 2
    assert rollback["reason"] == "POLICY_ROLLBACK"
