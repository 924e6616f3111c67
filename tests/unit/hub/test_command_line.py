# SPDX-License-Identifier: Apache-2.0
"""The command of operators, as they run it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accord.core.errors import AccordError
from accord.core.members import load_members
from accord.core.policy import MEMBERS
from accord.hub.cli import main
from accord.hub.cli.common import show_table
from accord.hub.serve import utc_now
from accord.hub.state import State
from accord.rpc.address import parse_address
from accord.rpc.first_contact import fetch_authority
from accord.rpc.pki import fingerprint, load_certificate
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import to_file
from tests.member_keys import other_keys
from tests.policies import THREE
from tests.unit.hub.world import DOCUMENT, first_proposal, repository

KEY = "ed25519:" + "0123456789abcdef" * 4

Capture = pytest.CaptureFixture[str]


class Command:
    """Runs ``accord-hub`` in this process, on one state."""

    def __init__(
        self, state: Path, capture: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.state = state
        self._capture = capture
        self._monkeypatch = monkeypatch

    def __call__(self, *words: str, state: bool = True) -> tuple[int, str, str]:
        place = ["--state", str(self.state)] if state else []
        self._monkeypatch.setattr(sys, "argv", ["accord-hub", *words, *place])
        with pytest.raises(SystemExit) as ended:
            main()
        out = self._capture.readouterr()
        return int(ended.value.code or 0), out.out, out.err

    def json(self, *words: str) -> dict[str, Any]:
        code, out, err = self(*words, "--json")
        assert code == 0, err
        assert out.count("\n") == 1
        found: dict[str, Any] = json.loads(out)
        return found

    def failure(self, *words: str) -> tuple[int, str]:
        code, out, err = self(*words, "--json")
        assert not out
        assert "Traceback" not in err
        return code, json.loads(err)["error"]["reason"]


@pytest.fixture
def hub(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return the command, on a place where no hub is."""
    return Command(tmp_path / "hub", capsys, monkeypatch)


@pytest.fixture
def made(hub: Command) -> Command:
    """Return the command, on a new hub with the sample policies, signed."""
    state = bare(hub)
    proposal = first_proposal(state)
    file = hub.state.parent / "first.json"
    file.write_bytes(to_file(proposal))
    assert hub.json("policies", "publish", str(file))["policies_version"] == 1
    return hub


def bare(hub: Command) -> State:
    """Make a hub for which no board has signed anything."""
    hub.json(
        *("init", "--host", "127.0.0.1", "--listen", "127.0.0.1"),
        *("--public-port", "0", "--agent-port", "0"),
    )
    return State(hub.state)


def test_init_makes_a_hub_that_checks_out(hub: Command) -> None:
    made = hub.json("init", "--host", "hub.example.org", "--host", "::1")
    assert made["public_port"] == 8443
    pem = (hub.state / "keys" / "ca.pem").read_bytes()
    assert fingerprint(load_certificate(pem, "ca")).hex() == made["fingerprint"]
    checked = hub.json("check-config")
    assert checked["agreements"] == []
    assert "no policies are in force" in checked["warnings"][0]
    assert checked["fingerprint"] == made["fingerprint"]
    secrets = ("ca.key", "requisition.key", "freshness.key")
    for secret in (*(f"keys/{key}" for key in secrets), "hub.db", "config.toml"):
        assert (hub.state / secret).stat().st_mode & 0o077 == 0
    keys = hub.json("keys")
    assert keys == {"key": made["key"], "freshness": made["freshness"]}
    code, out, _ = hub("keys")
    assert (code, out) == (
        0,
        f"hub:\n  key: {keys['key']}\n  freshness: {keys['freshness']}\n",
    )


def test_init_never_overwrites(made: Command) -> None:
    before = {
        path: path.read_bytes() for path in made.state.rglob("*") if path.is_file()
    }
    assert made.failure("init") == (3, "STATE_EXISTS")
    (made.state / "config.toml").unlink()  # as after a crash in the middle
    assert made.failure("init") == (3, "STATE_EXISTS")
    for path, content in before.items():
        assert path.name == "config.toml" or path.read_bytes() == content


def test_init_says_what_is_wrong(hub: Command) -> None:
    assert hub.failure("init", "--host", 'a", "b') == (2, "HOST_INVALID")
    hub.state.write_text("a file is in the way")
    assert hub.failure("init")[0] == 3


def test_commands_need_a_hub(hub: Command) -> None:
    for words in (["status"], ["token", "list"], ["serve"], ["check-config"]):
        assert hub.failure(*words) == (3, "STATE_ABSENT")


def test_the_state_is_found_by_the_environment(
    made: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_HUB_STATE", str(made.state))
    code, out, _ = made("status", "--json", state=False)
    assert code == 0
    assert json.loads(out)["state"] == str(made.state)


def test_tokens(made: Command) -> None:
    created = made.json("token", "create", "shelter-north")
    assert created["token"].startswith("accord_e1_")
    (listed,) = made.json("token", "list")["tokens"]
    assert listed["state"] == "unused"
    assert "token" not in listed
    made.json("token", "revoke", created["id"])
    assert made.json("token", "list")["tokens"][0]["state"] == "revoked"
    assert made.failure("token", "revoke", created["id"]) == (2, "TOKEN_UNKNOWN")
    assert made.failure("token", "create", "shelter-nort") == (2, "MEMBER_UNKNOWN")
    database = (made.state / "hub.db").read_bytes()
    assert created["token"].encode() not in database


def test_analysts(made: Command) -> None:
    words = ("analyst", "add", "ana", "--organisation", "observatory")
    added = made.json(*words, "--role", "analyst")
    assert added["token"].startswith("accord_a1_")
    assert made.failure(*words, "--role", "analyst") == (4, "ANALYST_EXISTS")
    assert made.failure(*words[:2], "Ana B.", *words[3:], "--role", "analyst") == (
        2,
        "NAME_INVALID",
    )
    made.json("analyst", "revoke", "ana")
    assert made.failure("analyst", "revoke", "ana") == (2, "ANALYST_UNKNOWN")
    assert made.json("analyst", "list")["analysts"][0]["revoked_at"]
    assert made.json(*words, "--role", "analyst")["token"] != added["token"]


def test_members(made: Command) -> None:
    listed = made.json("member", "list")["members"]
    assert len(listed) == 5
    assert not any(each["enrolled"] for each in listed)
    code, reason = made.failure("member", "revoke", "city-police")
    assert (code, reason) == (2, "AGENCY_NOT_ENROLLED")
    made.json("token", "create", "city-police")
    assert made.json("member", "revoke", "city-police")["ended"] == 1
    other = other_keys(KEY)
    draft = made.json(
        *("member", "create", "port-clinic", "--name", "Clinic: at the port"),
        *("--description", "Care #1", "--key", KEY),
        *("--exchange", other["exchange"], "--kem", other["kem"]),
    )["draft"]
    members = repository(State(made.state)).documents()[MEMBERS].decode()
    form = load_members(members.replace("members:\n", f"members:\n{draft}"), "x")
    clinic = form.members["port-clinic"]
    assert (clinic.key, clinic.exchange, clinic.kem) == (KEY, *other.values())
    words = ("member", "create", "x", "--name", "X", "--description", "X")
    assert made.failure(*words, "--key", "ed25519:0") == (2, "KEY_INVALID")
    assert made.failure(*words, "--kem", KEY) == (2, "KEY_INVALID")
    assert made.failure(*words, "--key", KEY) == (3, "DOCUMENT_INVALID")


def test_the_books(made: Command) -> None:
    made.json("token", "create", "city-police")
    ledger = made.json("ledger", "show")
    assert (ledger["height"], ledger["accounts"]) == (0, [])
    guarantee = ledger["guarantee"]
    assert [each["known_to"] for each in guarantee] == [1, 2, 3, 4, 5]
    assert {each["epsilon"] for each in guarantee} == {0}
    assert guarantee[-1]["epsilon_at_most"] == 30
    assert guarantee[-1]["delta"] == 1e-9
    events = made.json("audit", "show")["events"]
    assert [each["event"] for each in events] == [
        "proposal.offered",
        "policies.published",
        "token.created",
    ]
    assert events[1]["facts"]["policies_version"] == 1
    assert events[1]["facts"]["signed"] == ["alice", "bela", "chidi"]
    assert made.json("audit", "show", "--event", "query.failed")["events"] == []
    status = made.json("status")
    assert status["serving"] is False
    for words in (["ledger", "show"], ["audit", "show"], ["status"], ["token", "list"]):
        code, out, err = made(*words)
        assert (code, err) == (0, "")
        assert out


def test_the_ledger_of_a_copy_without_keys_can_be_looked_at(made: Command) -> None:
    for file in (made.state / "keys").iterdir():
        file.unlink()
    ledger = made.json("ledger", "show")
    assert ledger == {"height": 0, "accounts": [], "guarantee": []}


def test_a_table_shows_brackets_and_colons_as_they_are(capsys: Capture) -> None:
    cells = {"[b]": "0.1 [red]x[/red]", "plain": "[/x]", "list": ["[i]", ":m:"]}
    show_table("things", [cells], as_json=False, empty="")
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["[b]", "plain", "list"]
    assert line.split() == ["0.1", "[red]x[/red]", "[/x]", "[i],", ":m:"]


def test_an_incomplete_proposal_is_not_published(hub: Command) -> None:
    state = bare(hub)
    complete = first_proposal(state)
    lonely = Proposal.founding(complete.after, comment="alone", now=utc_now())
    file = hub.state.parent / "first.json"
    file.write_bytes(to_file(lonely.sign(THREE.key("bela"))))
    assert hub.failure("policies", "publish", str(file)) == (4, "SIGNATURES_MISSING")
    assert hub.json("check-config")["policies_version"] == 0
    code, _, err = hub("policies", "publish", str(file))
    assert code == 4
    assert "The proposal is not complete" in err
    file.write_bytes(b"{}")
    assert hub.failure("policies", "publish", str(file))[0] == 2
    missing = str(hub.state / "nothing")
    assert hub.failure("policies", "publish", missing) == (3, "PROPOSAL_UNREADABLE")


def test_policies_are_shown_and_publishing_again_changes_nothing(
    made: Command,
) -> None:
    shown = made.json("policies", "show")
    assert shown["policies_version"] == 1
    assert shown["board"] == "test-board"
    assert shown["threshold"] == 2
    assert len(shown["words"].split()) == 6
    assert DOCUMENT in shown["documents"]
    file = str(made.state.parent / "first.json")
    assert made.json("policies", "publish", file)["policies_version"] == 1
    events = made.json("audit", "show", "--event", "policies.published")["events"]
    assert len(events) == 1
    code, out, _ = made("policies", "show")
    assert code == 0
    assert shown["fingerprint"] in out
    checked = made.json("check-config")
    assert checked["fresh_until"] < checked["signed_until"]
    assert checked["warnings"] == []


@pytest.mark.parametrize(
    "pattern", ["metadata/timestamp.json", "metadata/1.targets.json", "targets/*.yaml"]
)
def test_damaged_policies_are_not_served(made: Command, pattern: str) -> None:
    for path in list((made.state / "policies").glob(pattern))[1:]:
        path.unlink()
    (path,) = (made.state / "policies").glob(pattern)
    path.write_bytes(path.read_bytes()[:-5])
    assert made.failure("check-config") == (70, "POLICIES_DAMAGED")
    assert made.failure("serve") == (70, "POLICIES_DAMAGED")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("keys/freshness.key", b"nonsense"),
        ("keys/freshness.key", None),
        ("keys/ca.key", b"nonsense"),
        ("keys/requisition.key", b"nonsense"),
        ("keys/ca.pem", None),
        ("config.toml", b"listen = "),
        ("config.toml", b"listn = '127.0.0.1'"),
        ("config.toml", b"answer_within_seconds = 0"),
        ("hub.db", None),
        ("hub.db", b"this is no database, but long enough to be taken for one" * 9),
    ],
)
def test_broken_files_are_named(
    made: Command, name: str, content: bytes | None
) -> None:
    path = made.state / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    code, out, err = made("check-config")
    assert code in {3, 6}
    assert not out
    assert "Traceback" not in err
    assert path.name in err


def test_an_exposed_key_is_refused(made: Command) -> None:
    (made.state / "keys" / "ca.key").chmod(0o644)
    assert made.failure("check-config") == (3, "KEY_EXPOSED")


def test_a_misspelt_variable_is_refused(
    made: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_HUB_ANSWER_WITHIN_SECOND", "9")
    code, _, err = made("check-config")
    assert code == 3
    assert "Did you mean 'ACCORD_HUB_ANSWER_WITHIN_SECONDS'?" in err


def test_a_mistake_of_ours_shows_no_traceback(
    made: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_state: object) -> None:
        secret = "a secret detail"
        raise RuntimeError(secret)

    monkeypatch.setattr(State, "require", broken)
    code, _, err = made("status")
    assert code == 70
    assert "RuntimeError" in err
    assert "secret" not in err


def test_help_and_usage(made: Command) -> None:
    assert made("--help", state=False)[0] == 0
    assert made("token", "--help", state=False)[0] == 0
    assert made("tokens", state=False)[0] == 2


def read_line(process: subprocess.Popen[str], seconds: float) -> str:
    """Return the first line of standard output."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    assert ready, "the hub did not get ready"
    return process.stdout.readline()


def test_serve_says_when_it_is_ready_and_stops_when_told(made: Command) -> None:
    command = [sys.executable, "-m", "accord.hub.cli", "serve", "--json"]
    with subprocess.Popen(
        [*command, "--state", str(made.state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"},
    ) as process:
        try:
            ready = json.loads(read_line(process, 60))
            pem = (made.state / "keys" / "ca.pem").read_bytes()
            authority = load_certificate(pem, "ca")
            for place in ("public", "agents"):
                address = parse_address(ready[place])
                assert fetch_authority(address, fingerprint(authority)) == pem
            assert made.json("status")["serving"] is True
            assert made.failure("serve") == (3, "ALREADY_SERVING")
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert not out
    # The TLS library notes handshakes without a certificate in lines of its own.
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    events = [line["event"] for line in lines]
    assert events[0] == "hub.ready"
    assert events[-1] == "hub.stopped"
    assert not any("dropped" in line for line in lines)


def test_serve_says_when_a_port_is_taken(made: Command) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = made.state / "config.toml"
        port = taken.getsockname()[1]
        text = config.read_text("utf-8")
        config.write_text(text.replace("public_port = 0", f"public_port = {port}"))
        assert made.failure("serve") == (3, "PORT_UNAVAILABLE")


def test_errors_of_the_product_have_an_exit_status() -> None:
    assert AccordError("X", "x").exit_code == 70
