# SPDX-License-Identifier: Apache-2.0
"""Commands name the database that they use, and never its password."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from accord.hub.db.revisions import HEAD
from accord.hub.state import State
from tests.contract.hub_databases import postgres_url
from tests.contract.postgres import Cluster
from tests.unit.hub.test_command_line import Command

FORMAT_3 = Path(__file__).parents[2] / "golden" / "hub-format-3.sql"


@pytest.fixture
def hub(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """Return the command for a hub that is not there yet."""
    return Command(tmp_path / "hub", capsys, monkeypatch)


def test_a_file_is_named(hub: Command) -> None:
    named = {"kind": "sqlite", "name": "hub.db"}
    assert hub.json("init", "--network", "a")["database"] == named
    assert hub.json("check-config")["database"] == named
    assert hub.json("status")["database"] == named
    assert "Database: hub.db (sqlite)." in hub("status")[1]
    assert hub.json("migrate") == {
        "database": named,
        "before": HEAD,
        "after": HEAD,
        "ledger_height": 0,
        "accounts": 0,
    }


def test_a_server_is_named_without_its_password(
    hub: Command,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    postgres: Cluster,
) -> None:
    url = postgres_url(request)
    secret = postgres._password
    assert secret in url
    code, out, err = hub("init", "--database", url)
    assert code == 3
    assert "A password on the command line can be read by everybody" in err
    assert secret not in out + err
    assert not hub.state.exists()
    monkeypatch.setenv("ACCORD_HUB_DATABASE", url)
    assert hub.failure("init", "--database", "postgresql://x") == (3, "DATABASE_URL")
    monkeypatch.delenv("ACCORD_HUB_DATABASE")
    assert hub.failure("init", "--database", "") == (3, "DATABASE_URL")
    monkeypatch.setenv("PGPASSWORD", secret)
    made = hub.json("init", "--database", url.replace(f":{secret}", ""))
    assert made["database"]["kind"] == "postgresql"
    assert made["database"]["name"].endswith(" on 127.0.0.1")
    state = State(hub.state)
    assert not state.database.exists()
    assert secret not in state.config.read_text(encoding="utf-8")
    for command in ("check-config", "status", "migrate"):
        assert hub.json(command)["database"] == made["database"]
        assert secret not in "".join(map(str, hub(command)))
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("ACCORD_HUB_DATABASE", url)
    assert hub.json("status")["database"] == made["database"]
    monkeypatch.setenv("ACCORD_HUB_DATABASE", url.replace(secret, "wrong-secret"))
    for command in ("status", "check-config", "migrate", "serve"):
        code, out, err = hub(command)
        assert code == 6
        assert "does not take this user, password or name" in err
        assert "wrong-secret" not in out + err


def test_a_database_in_use_is_not_taken_for_a_new_hub(
    hub: Command,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACCORD_HUB_DATABASE", postgres_url(request))
    hub.json("init")
    other = Command(hub.state.with_name("other"), capsys, monkeypatch)
    assert other.failure("init") == (3, "DATABASE_EXISTS")
    assert not other.state.exists()


def test_an_operator_is_warned_of_a_password_that_others_can_read(
    hub: Command, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_url(request)
    with monkeypatch.context() as once:
        once.setenv("ACCORD_HUB_DATABASE", url)
        hub.json("init")
    state = State(hub.state)
    text = state.config.read_text(encoding="utf-8")
    state.config.write_text(f'database = "{url}"\n{text}', encoding="utf-8")
    assert "mode to 600" not in "".join(hub.json("check-config")["warnings"])
    state.config.chmod(0o644)
    state.database.touch()
    warnings = "".join(hub.json("check-config")["warnings"])
    assert "mode to 600" in warnings
    assert "hub.db beside the database in use" in warnings


def test_an_older_database_is_served_after_migrate_only(hub: Command) -> None:
    hub.json("init")
    state = State(hub.state)
    state.database.unlink()
    connection = sqlite3.connect(state.database)
    connection.executescript(FORMAT_3.read_text(encoding="utf-8"))
    connection.close()
    for command in ("serve", "check-config", "status"):
        assert hub.failure(command) == (3, "DATABASE_FORMAT")
        assert "and run `accord-hub migrate`" in hub(command)[2]
    with state.serving():
        assert hub.failure("migrate") == (3, "DATABASE_IN_USE")
    done = hub.json("migrate")
    assert (done["before"], done["after"]) == ("format 3", HEAD)
    assert (done["ledger_height"], done["accounts"]) == (3, 7)
    assert "up to date" in hub("migrate")[1]
    assert hub.json("status")["ledger_height"] == 3
