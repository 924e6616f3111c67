# SPDX-License-Identifier: Apache-2.0
"""Whatever somebody changes in the database below its triggers is found."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accord.core.canonical import bytes_digest
from accord.hub.audit import Event, note
from accord.hub.db.engine import LedgerTransaction, Store, microseconds
from accord.hub.db.tables import RELEASES
from accord.hub.log import heads
from accord.hub.log.verifying import Verified, verify_log
from accord.ledger import Line, Unit, charge, reserve
from accord.merkle.heads import SignedHead, Witnessed
from tests.unit.hub.forging import below, grow_anew

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
QUESTIONS = 7
"""Each with three entries, a charge and a release, under a head that is cosigned."""

PER_QUESTION = 3
SIZE = QUESTIONS * PER_QUESTION


def question_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


class Hub:
    """A database with a history, and a hand below its triggers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        store = Store(path)
        store.create()
        for number in range(QUESTIONS):
            self._ask(store, number)
        store.close()
        self.head = self.heads()[-1]

    def _ask(self, store: Store, number: int) -> None:
        question, release = question_of(number), f"r{number}"
        message = b"release %d" % number
        with store.write() as tx:
            ledger = LedgerTransaction(tx)
            line = Line(account="agency/north", unit=Unit.NANO_RHO, amount=5)
            reserve(ledger, question, [line], NOW)
            note(tx, Event.QUERY_ACCEPTED, NOW, submission=question, analyst="ann")
            note(tx, Event.OPENING_COMMITTED, NOW, submission=question, entry=question)
            charge(ledger, question, NOW)
            tx.execute(
                RELEASES.insert(),
                {
                    "id": release,
                    "submission": question,
                    "ledger_entry": question,
                    "agreement": "trends",
                    "agreement_digest": "a",
                    "query_key": question,
                    "archive_digest": "a",
                    "nano_rho": 5,
                    "nano_epsilon": 0,
                    "cohort": "all",
                    "unsafe": False,
                    "released_at": microseconds(NOW),
                    "message": message,
                    "summary": b"s",
                    "noisy": b"n",
                },
            )
            note(
                tx,
                Event.RELEASE_PUBLISHED,
                NOW,
                release=release,
                submission=question,
                release_digest=bytes_digest(message),
            )
            head = heads.sign(tx, KEY, NOW, epoch=0).head
            word = Witnessed.sign(head, "north", OTHER)
            public = OTHER.public_key().public_bytes_raw().hex()
            heads.keep_seen(tx, heads.Seen(witnessed=word, agency_key=public, at=NOW))

    def heads(self) -> list[SignedHead]:
        store = Store(self.path)
        with store.read() as tx:
            found = [
                heads.head_of(tx, PER_QUESTION * (number + 1))
                for number in range(QUESTIONS)
            ]
        store.close()
        return [each for each in found if each is not None]

    def verify(self, *outside: SignedHead) -> Verified:
        store = Store(self.path)
        with store.read() as tx:
            keys = [KEY.public_key().public_bytes_raw()]
            found = verify_log(tx, hub_keys=keys, outside=outside)
        store.close()
        return found

    def codes(self, *outside: SignedHead) -> set[str]:
        return {each.code for each in self.verify(*outside).findings}

    def write(self, *statements: str) -> None:
        with below(self.path) as connection:
            for statement in statements:
                assert connection.execute(statement).rowcount, statement

    def grow_anew(self, *, key: Ed25519PrivateKey | None = None) -> None:
        grow_anew(self.path, key=key)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "hub.db")


def test_a_log_that_nobody_touched_agrees(hub: Hub) -> None:
    found = hub.verify(*hub.heads())
    assert found.findings == ()
    assert (found.size, found.heads, found.cosignatures, found.releases) == (
        SIZE,
        QUESTIONS,
        QUESTIONS,
        QUESTIONS,
    )
    assert found.root == hub.head.head.root
    assert found.witnesses == ("north",)


EDITS = (
    """UPDATE audit SET facts = '{"submission":"q1"}' WHERE number = 4""",
    "UPDATE audit SET event = 'query.refused' WHERE number = 4",
    "UPDATE audit SET at = at + 1 WHERE number = 4",
)


@pytest.mark.parametrize("edit", EDITS)
def test_an_entry_that_was_edited_is_named(hub: Hub, edit: str) -> None:
    hub.write(edit)
    (finding,) = hub.verify().findings
    assert (finding.code, "Entry 4 is not" in finding.sentence) == (
        "ENTRY_CHANGED",
        True,
    )


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_with_all_hashes_computed_anew_breaks_every_head(
    hub: Hub, edit: str
) -> None:
    hub.write(edit)
    hub.grow_anew()
    found = hub.verify()
    differing = [each for each in found.findings if each.code == "HEAD_DIFFERS"]
    assert len(differing) == QUESTIONS - 1  # all but the one over the first three
    assert hub.codes() == {"HEAD_DIFFERS"}


DROPPED = "DELETE FROM audit WHERE number = 8"
CLOSED_UP = "UPDATE audit SET number = number - 1 WHERE number > 8"


def test_an_entry_that_was_dropped_is_missing(hub: Hub) -> None:
    hub.write(DROPPED)
    assert "ENTRY_MISSING" in hub.codes()


def test_a_gap_that_was_closed_up_is_found(hub: Hub) -> None:
    hub.write(DROPPED, CLOSED_UP)
    assert {"ENTRY_MISSING", "ENTRY_CHANGED"} <= hub.codes()
    hub.grow_anew()
    assert {"HEAD_DIFFERS", "HEAD_BEYOND"} <= hub.codes()


def test_entries_that_changed_places_are_found(hub: Hub) -> None:
    hub.write(
        "UPDATE audit SET number = 100 WHERE number = 5",
        "UPDATE audit SET number = 5 WHERE number = 8",
        "UPDATE audit SET number = 8 WHERE number = 100",
    )
    assert hub.codes() == {"ENTRY_CHANGED"}
    hub.grow_anew()
    assert "HEAD_DIFFERS" in hub.codes()


CUT = "DELETE FROM audit WHERE number > 15"
CUT_HEADS = (
    "DELETE FROM log_heads WHERE size > 15",
    "DELETE FROM log_cosignatures WHERE size > 15",
)


def test_a_log_that_was_cut_off_is_found(hub: Hub) -> None:
    hub.write(CUT)
    assert {"ENTRY_MISSING", "HEAD_BEYOND"} <= hub.codes()
    hub.grow_anew()
    assert "HEAD_BEYOND" in hub.codes()
    hub.write(*CUT_HEADS)
    # Heads and hashes are gone as well; the releases and charges are still there.
    assert {"RELEASE_UNLOGGED", "CHARGE_UNLOGGED"} <= hub.codes()


def cut_off_everywhere(hub: Hub) -> None:
    """Take two questions out as if they had never been asked."""
    lost = f"{question_of(5), question_of(6)}"
    hub.write(
        CUT,
        *CUT_HEADS,
        f"DELETE FROM releases WHERE submission IN {lost}",
        "DELETE FROM log_releases WHERE number > 15",
        f"DELETE FROM ledger_event WHERE entry IN {lost}",
        f"DELETE FROM ledger_line WHERE entry IN {lost}",
        f"DELETE FROM ledger_entry WHERE id IN {lost}",
        "UPDATE ledger_account SET used = used - 10",
        "UPDATE ledger_head SET height = height - 4",
    )
    hub.grow_anew()


def test_only_a_witness_knows_of_a_log_that_was_cut_off_everywhere(hub: Hub) -> None:
    """The same as a whole copy of last week: consistent, and found by any agency."""
    kept = hub.head
    cut_off_everywhere(hub)
    assert hub.codes() == set()
    assert hub.codes(kept) == {"HEAD_BEYOND"}


def test_who_has_the_key_cannot_write_what_an_agency_has_kept(hub: Hub) -> None:
    """A fork: the hub's own operator edits, computes and signs everything anew."""
    kept = hub.heads()
    hub.write(EDITS[0])
    hub.grow_anew(key=KEY)
    assert hub.codes() == set()
    for each in kept[1:]:
        assert hub.codes(each) == {"HEAD_DIFFERS"}
    assert hub.codes(kept[0]) == set()  # from before what was changed


def test_two_agencies_that_were_shown_two_logs_find_out(
    hub: Hub, tmp_path: Path
) -> None:
    other = Hub(tmp_path / "other.db")
    other.write(EDITS[0])
    other.grow_anew(key=KEY)
    store = Store(other.path)
    with store.read() as tx:
        shown = heads.head_of(tx, SIZE)
    store.close()
    assert shown is not None
    assert hub.codes(shown) == {"HEAD_DIFFERS"}
    assert other.codes(hub.head) == {"HEAD_DIFFERS"}


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE log_heads SET root = zeroblob(32) WHERE size = 9", "HEAD_DIFFERS"),
        ("UPDATE log_heads SET at = at + 1000000 WHERE size = 9", "HEAD_UNSIGNED"),
        ("UPDATE log_heads SET ledger_height = 1 WHERE size = 9", "HEAD_UNSIGNED"),
        ("UPDATE log_heads SET signature = zeroblob(64)", "HEAD_UNSIGNED"),
        ("DELETE FROM log_heads WHERE size = 9", "COSIGNATURE_INVALID"),
        (
            "UPDATE log_cosignatures SET signature = zeroblob(64)",
            "COSIGNATURE_INVALID",
        ),
        (
            "UPDATE log_cosignatures SET agency = 'south' WHERE size = 9",
            "COSIGNATURE_INVALID",
        ),
        (
            "UPDATE log_nodes SET hash = zeroblob(32) WHERE level = 2 AND position = 1",
            "NODE_CHANGED",
        ),
        ("DELETE FROM log_nodes WHERE level = 3", "NODE_CHANGED"),
        ("INSERT INTO log_nodes VALUES (6, 0, zeroblob(32))", "NODE_CHANGED"),
        ("UPDATE releases SET message = x'00' WHERE id = 'r3'", "RELEASE_CHANGED"),
        ("DELETE FROM releases WHERE id = 'r3'", "RELEASE_MISSING"),
        ("UPDATE releases SET id = 'r99' WHERE id = 'r3'", "RELEASE_UNLOGGED"),
        ("DELETE FROM log_releases WHERE release = 'r3'", "RELEASE_UNLOGGED"),
        ("UPDATE log_releases SET number = 5 WHERE release = 'r3'", "RELEASE_UNLOGGED"),
        ("UPDATE releases SET nano_rho = 6 WHERE id = 'r3'", "RELEASE_UNPAID"),
        ("UPDATE releases SET ledger_entry = 'q77' WHERE id = 'r3'", "RELEASE_UNPAID"),
        ("UPDATE ledger_head SET height = height - 1", "LEDGER_BEHIND"),
        (
            "INSERT INTO ledger_entry VALUES ('q77', 'charged')",
            "CHARGE_UNLOGGED",
        ),
    ],
)
def test_everything_else_that_was_changed_is_found(
    hub: Hub, statement: str, code: str
) -> None:
    hub.write(statement)
    assert code in hub.codes()


def test_an_entry_that_retention_has_erased_keeps_its_place(hub: Hub) -> None:
    hub.write("UPDATE audit SET facts = NULL WHERE number <= 3")
    assert hub.codes() == {"ENTRY_ERASED"}
    store = Store(hub.path)
    with store.write() as tx:
        before = microseconds(NOW) + 1
        kind = "questions"
        note(tx, Event.RETENTION_APPLIED, NOW, kind=kind, before=before)
    store.close()
    found = hub.verify(*hub.heads())
    assert (found.findings, found.erased) == ((), 3)


def test_figures_that_nobody_ordered_erased_are_missing(hub: Hub) -> None:
    hub.write("UPDATE releases SET message = NULL, noisy = NULL WHERE id = 'r3'")
    assert hub.codes() == {"RELEASE_MISSING"}


def test_a_ledger_that_was_rebuilt_may_be_lower_than_a_head_of_before(hub: Hub) -> None:
    hub.write("UPDATE ledger_head SET height = height - 1")
    assert hub.codes() == {"LEDGER_BEHIND"}
    hub.write("INSERT INTO hub_standing (one, epoch) VALUES (1, 1)")
    assert hub.codes() == set()


def test_many_findings_of_a_kind_are_counted(hub: Hub) -> None:
    hub.write("UPDATE audit SET at = at + 1")
    found = hub.verify().findings
    assert len(found) == 21
    assert found[-1].sentence == "And 1 more of this kind."


def test_a_log_of_several_chunks_is_verified_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "hub.db")
    store.create()
    with store.write() as tx:
        for number in range(3 * 4096 // 64):
            for _ in range(64):
                note(tx, Event.TOKEN_CREATED, NOW, token=str(number))
        note(tx, Event.TOKEN_CREATED, NOW, token="last")
        heads.sign(tx, KEY, NOW, epoch=0)
        keys = [KEY.public_key().public_bytes_raw()]
        assert verify_log(tx, hub_keys=keys).findings == ()
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "hub.db")) as below:
        below.execute("DROP TRIGGER log_nodes_no_update")
        below.execute("UPDATE log_nodes SET hash = zeroblob(32) WHERE level = 13")
        below.commit()
    store = Store(tmp_path / "hub.db")
    with store.read() as tx:
        found = verify_log(tx, hub_keys=keys).findings
    assert [each.code for each in found] == ["NODE_CHANGED"]
    store.close()
