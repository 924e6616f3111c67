# SPDX-License-Identifier: Apache-2.0
"""`accord-hub audit verify`, as an operator or an auditor runs it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from accord.hub.db.engine import Store
from accord.hub.identity.authority import load_authority
from accord.hub.log import heads
from accord.hub.serve import utc_now
from accord.hub.state import State
from tests.unit.hub.test_command_line import Capture, Command
from tests.unit.hub.world import make_state


@pytest.fixture
def command(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Return the command on a hub whose log was signed once."""
    state = make_state(tmp_path / "hub")
    key = load_authority(state.keys, utc_now()).requisition_key
    store = Store(state.database)
    with store.write() as tx:
        head = heads.sign(tx, key, utc_now(), epoch=0)
    store.close()
    capsys.readouterr()
    kept = json.dumps({"agency": "north", "seen": head.as_json(), "forks": []})
    (tmp_path / "head.json").write_text(kept)
    return Command(state.root, capsys, monkeypatch)


def edit(command: Command) -> None:
    below = sqlite3.connect(State(command.state).database)
    below.execute("DROP TRIGGER audit_no_update")
    below.execute("UPDATE audit SET at = at + 1 WHERE number = 1")
    below.commit()
    below.close()


def test_a_good_log_says_what_was_compared(command: Command, tmp_path: Path) -> None:
    code, out, err = command("audit", "verify", "--head", str(tmp_path / "head.json"))
    assert (code, err) == (0, "")
    assert "1 signed heads, 0 cosignatures and 0 releases agree" in out
    assert "No agency has cosigned a head yet." in out
    assert "grown from each of the 1 heads" in out
    found = command.json("audit", "verify")
    assert found["entries"] == int(out.split()[0])
    assert f"Root: {found['root']}" in out
    assert found["findings"] == []


def test_a_changed_log_is_an_error_with_every_finding(command: Command) -> None:
    edit(command)
    code, out, err = command("audit", "verify")
    assert code == 70
    assert out == "ENTRY_CHANGED: Entry 1 is not what it was when it was noted.\n"
    assert "tell the board" in err
    code, out, err = command("audit", "verify", "--json")
    assert code == 70
    assert [each["code"] for each in json.loads(out)["findings"]] == ["ENTRY_CHANGED"]
    assert json.loads(err)["error"]["reason"] == "LOG_INCONSISTENT"


@pytest.mark.parametrize("content", ["", "{}", '{"seen": null}', '{"seen": {}}'])
def test_a_file_without_a_head_is_told(
    command: Command, tmp_path: Path, content: str
) -> None:
    (tmp_path / "head.json").write_text(content)
    arguments = ("audit", "verify", "--head", str(tmp_path / "head.json"))
    assert command.failure(*arguments) == (3, "HEAD_FILE_INVALID")
