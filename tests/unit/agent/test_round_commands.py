# SPDX-License-Identifier: Apache-2.0
"""Commands about rounds, as an agency's staff types them: audit, confirm-restore."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from accord.agent.keys.files import read_key
from accord.agent.rounds import fence, sealing
from accord.agent.rounds.sealing import AUDIT_KEY
from tests.unit.agent.agency_world import World
from tests.unit.agent.agreements import AGENCY, signed
from tests.unit.agent.command import Command, Said
from tests.unit.agent.test_fence import refused


class Staff:
    """Types commands for one agency."""

    def __init__(self, world: World, command: Command) -> None:
        self.world = world
        self.command = command
        self.state = world.states[AGENCY]

    def run(self, *words: object, status: int = 0) -> Said:
        said = self.command(*words, "--state", self.state.root)
        assert said.status == status, said.stderr
        assert "Traceback" not in said.stderr
        return said

    def json(self, *words: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*words, "--json").stdout)
        return found


@pytest.fixture
def staff(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Staff:
    return Staff(world, Command(monkeypatch, capsys))


def test_an_audit_that_agrees_says_so_and_shows_no_count(staff: Staff) -> None:
    found = staff.world.whole(staff.world.asked())
    said = staff.run("audit", found.query_id).stdout
    assert "It agrees" in said
    assert "cohort fallback of 3 agencies" in said.replace("\n", " ")
    shown = staff.json("audit", found.query_id)
    assert shown["result"] == "agrees"
    assert set(shown) == {
        *("query_id", "result", "agreement", "edition", "cohort", "members"),
        *("attempt", "opened", "transcript", "vector_digest", "masked_at", "at"),
    }


def test_an_audit_of_something_unknown_is_status_2(staff: Staff) -> None:
    said = staff.run("audit", "nothing", status=2).stderr
    assert "never been ready" in said.replace("\n", " ")


def test_the_key_of_audits_is_named_when_it_was_moved(
    staff: Staff,
) -> None:
    found = staff.world.whole(staff.world.asked())
    moved = staff.state.root.parent / "audit-key-of-shelter"
    (staff.state.keys / AUDIT_KEY).rename(moved)
    said = staff.run("audit", found.query_id, status=3).stderr
    assert "--key" in said
    assert staff.json("audit", found.query_id, "--key", moved)["opened"] is True
    moved.chmod(0o644)
    said = staff.run("audit", found.query_id, "--key", moved, status=3).stderr
    assert "0600" in said
    moved.chmod(0o600)
    moved.write_bytes(b"x" * 32)
    said = staff.run("audit", found.query_id, "--key", moved, status=3).stderr
    assert "does not open" in said.replace("\n", " ")


def test_the_key_of_audits_can_be_changed(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = staff.world.whole(staff.world.asked())
    first, public = read_key(staff.state.keys / AUDIT_KEY), staff.state.audit_public
    known = public.read_bytes()
    with monkeypatch.context() as patch:  # cut off before the public half is there
        patch.setattr(sealing, "write_over", _cut)
        with pytest.raises(KeyboardInterrupt):
            sealing.replace_audit_key(staff.state)
    assert public.read_bytes() == known
    assert staff.json("audit", before.query_id)["result"] == "agrees"
    old = Path(staff.json("keys", "rotate-audit")["old"])
    assert public.read_bytes() != known
    # Nothing was sealed to the one that was cut off, but nobody can tell by its file.
    (kept,) = {*staff.state.keys.glob("audit-*.key")} - {old}
    assert read_key(kept) == first != read_key(staff.state.keys / AUDIT_KEY)
    after = staff.world.whole(staff.world.asked())
    for each in (before, after):
        assert staff.json("audit", each.query_id)["result"] == "agrees"
    kept.rename(staff.state.root.parent / "old.key")
    said = staff.run("audit", before.query_id, status=3).stderr
    assert "does not open" in said.replace("\n", " ")
    moved = staff.state.root.parent / "old.key"
    staff.run("audit", before.query_id, "--key", moved)


def test_a_key_of_audits_is_kept_that_an_older_openssl_made(staff: Staff) -> None:
    seed = read_key(staff.state.keys / AUDIT_KEY)
    public = staff.state.audit_public
    public.chmod(0o600)
    public.write_text(public.read_text("ascii").splitlines()[0] + "\n", "ascii")
    kept = Path(staff.json("keys", "rotate-audit")["old"])
    assert read_key(kept) == seed


def test_an_older_key_of_audits_that_was_put_back_is_kept(staff: Staff) -> None:
    first = read_key(staff.state.keys / AUDIT_KEY)
    kept = Path(staff.json("keys", "rotate-audit")["old"])
    newer = staff.state.root.parent / "newer.key"
    (staff.state.keys / AUDIT_KEY).rename(newer)
    kept.rename(staff.state.keys / AUDIT_KEY)
    assert Path(staff.json("keys", "rotate-audit")["old"]) == kept
    assert read_key(kept) == first
    assert read_key(staff.state.keys / AUDIT_KEY) not in {first, read_key(newer)}


def _cut(*_: object) -> None:
    raise KeyboardInterrupt


def test_differences_are_status_70(staff: Staff) -> None:
    found = staff.world.whole(staff.world.asked())
    with staff.state.ledger() as connection:
        connection.execute("UPDATE round SET vector_digest = zeroblob(32)")
    staff.run("audit", found.query_id, status=70)


def fenced(staff: Staff) -> None:
    staff.world.answerers[AGENCY].heard_of(5)


def test_a_restored_copy_is_shown_and_confirmed(staff: Staff) -> None:
    world = staff.world
    assert staff.json("status")["state"] == {
        "sequence": 0,
        "known": 0,
        "restored": False,
        "confirmed_at": None,
    }
    assert "NOTHING IS ANSWERED" not in staff.run("status").stdout
    fenced(staff)
    said = " ".join(staff.run("status").stdout.split())
    assert "NOTHING IS ANSWERED. STATE_RESTORED" in said
    assert "confirm-restore" in said
    assert staff.json("status")["state"]["restored"] is True
    found = staff.json("confirm-restore", "--yes")
    assert (found["sequence"], found["ended"]) == (6, 0)
    assert staff.json("status")["state"]["restored"] is False
    # The running agent, which is the same object, answers what is asked from then on.
    answerer, fetch = world.answerers[AGENCY], world.offer.fetch
    early = world.asked()
    assert refused(answerer.ready, *signed(early), 1, fetch) == "STATE_RESTORED"


def test_a_confirmation_is_asked_for(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    fenced(staff)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for typed, status in (("no\n", 4), ("", 4), ("Yes \n", 0)):
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        said = staff.run("confirm-restore", status=status)
        shown = " ".join(said.stderr.split())
        assert "knows 0 of at least 5 steps" in shown
        assert "no other agent runs" in shown
        with staff.state.ledger() as connection:
            found = fence.standing(staff.state, connection)
        assert found.restored is (status != 0)
    assert "answers again" in said.stdout


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_without_a_terminal_it_has_to_be_said(
    staff: Staff, words: tuple[str, ...]
) -> None:
    fenced(staff)
    said = staff.run("confirm-restore", *words, status=4).stderr
    assert "--yes" in said
    staff.state.sequence_file.unlink()
    said = staff.run("confirm-restore", *words, status=4).stderr
    assert "gone or damaged" in said


def test_it_can_be_said_beforehand(staff: Staff) -> None:
    """Staff knows that it restored a copy before any hub could tell."""
    open_now = staff.world.hub.mask(staff.world.ready(staff.world.asked()))
    said = staff.run("confirm-restore", "--yes").stdout
    assert "open here were 1" in said.replace("\n", " ")
    assert refused(staff.world.hub.reveal_one, open_now, AGENCY) == "OUT_OF_ORDER"
