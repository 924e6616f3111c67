# SPDX-License-Identifier: Apache-2.0
"""A board's work from a terminal: on files, and with a real hub."""

from __future__ import annotations

import dataclasses
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from accord.client.policy.entering import enter_keys
from accord.client.policy.folder import documents_in, sample_documents
from accord.client.policy.proposal_files import read_proposal
from accord.core.document import DocumentError
from accord.core.errors import InvalidQuery
from accord.core.members import load_members
from accord.core.policy import MEMBERS
from accord.trust.keys import new_key, text_of
from tests.unit.client.boards import (
    AGREEMENT,
    PASSPHRASE,
    Office,
    RunningHub,
    make_office,
    running_hub,
)
from tests.unit.client.test_agency_keys import lines, listed
from tests.unit.hub.world import add_analyst

LATER = (("version: 1", "version: 2"), ("embargo: 30", "embargo: 40"))

SAMPLE_MEMBERS = sample_documents()["members.yaml"].decode()


@pytest.fixture
def office(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Office:
    return make_office(tmp_path, monkeypatch, capsys)


@pytest.fixture
def hub(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningHub]:
    """A hub that the office is set up for."""
    with running_hub(office.folder) as running:
        monkeypatch.setenv("ACCORD_HUB", running.address)
        monkeypatch.setenv("ACCORD_TOKEN", running.token)
        yield running


class TestKeys:
    """One's own."""

    def test_a_key_is_sealed_and_for_its_owner_only(self, office: Office) -> None:
        """And the passphrase is on no command line."""
        made = office.policy(
            "keygen",
            "dora",
            "--out",
            office.folder / "new",
            "--passphrase-file",
            office.passphrase,
        )
        assert made.status == 0
        private = Path(made.json["private_file"])
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
        assert private.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY")
        public = Path(made.json["public_file"]).read_text("utf-8")
        assert public == f"{made.json['key']} dora\n"
        assert PASSPHRASE not in made.out + made.err

    def test_a_key_is_never_overwritten(self, office: Office) -> None:
        """It may be the only copy."""
        before = office.key("alice").read_bytes()
        keys = office.folder / "keys"
        again = office.policy(
            "keygen", "alice", "--out", keys, "--passphrase-file", office.passphrase
        )
        assert (again.status, again.reason) == (4, "KEY_EXISTS")
        assert office.key("alice").read_bytes() == before

    @pytest.mark.parametrize("name", ["../out", "Alice", "", "a b", "-a"])
    def test_names_of_keys_are_plain(self, office: Office, name: str) -> None:
        """No path can be among them."""
        out = office.folder / "new"
        arguments = ("--out", out, "--passphrase-file", office.passphrase)
        made = office.policy("keygen", *arguments, "--", name)
        assert made.status == 2
        assert not out.exists()

    def test_a_short_passphrase_is_refused(self, office: Office) -> None:
        """A thief has all the time there is."""
        (office.folder / "short").write_text("elevenchars\n", "utf-8")
        made = office.policy(
            "keygen", "dora", "--passphrase-file", office.folder / "short"
        )
        assert (made.status, made.reason) == (2, "PASSPHRASE_SHORT")

    def test_without_a_terminal_the_passphrase_is_not_guessed(
        self, office: Office
    ) -> None:
        """Nothing hangs."""
        made = office.policy("keygen", "dora")
        assert (made.status, made.reason) == (2, "PASSPHRASE_NEEDED")


class TestEntering:
    """Keys in members.yaml."""

    def test_comments_and_layout_stay(self) -> None:
        """Lines are added, and no other changes."""
        keys = {label: text_of(new_key()) for label in ("hub", "fresh", "a", "b")}
        changed = enter_keys(
            SAMPLE_MEMBERS,
            hub=keys["hub"],
            freshness=keys["fresh"],
            agencies={"shelter-north": listed(keys["a"])},
            signatories={"health-service": keys["b"]},
        )
        old, new = SAMPLE_MEMBERS.splitlines(), changed.splitlines()
        kept = iter(new)
        assert all(line in kept for line in old)
        assert len(new) == len(old) + 8
        form = load_members(changed, "members.yaml")
        assert form.hub is not None
        assert form.hub.key == keys["hub"]
        assert form.members["shelter-north"].key == keys["a"]
        assert form.members["health-service"].signatory == keys["b"]
        first, second = listed(keys["a"]), listed(keys["b"])
        again = enter_keys(changed, agencies={"shelter-north": second})
        for entry, key in second.entries().items():
            changed = changed.replace(str(first.entries()[entry]), str(key))
        assert again == changed

    def test_an_older_file_gets_what_its_agencies_lack(self) -> None:
        """One that lists a key alone is refused everywhere else."""
        key = text_of(new_key())
        line = f"  shelter-north:\n    key: {key}  # by telephone\n"
        older = SAMPLE_MEMBERS.replace("  shelter-north:\n", line)
        with pytest.raises(DocumentError, match="exchange"):
            load_members(older, "members.yaml")
        changed = enter_keys(older, agencies={"shelter-north": listed(key)})
        member = load_members(changed, "members.yaml").members["shelter-north"]
        assert member.kem == listed(key).kem
        assert "# by telephone" in changed
        without = dataclasses.replace(listed(key), kem=None)
        changed = enter_keys(changed, agencies={"shelter-north": without})
        member = load_members(changed, "members.yaml").members["shelter-north"]
        assert (member.key, member.kem) == (key, None)

    def test_an_unknown_agency_gets_a_hint(self) -> None:
        """Nothing is added by mistake."""
        with pytest.raises(InvalidQuery, match="shelter-north") as caught:
            enter_keys(
                SAMPLE_MEMBERS,
                agencies={"shelter-nort": listed(text_of(new_key()))},
            )
        assert caught.value.reason == "MEMBER_UNKNOWN"

    def test_a_hub_has_two_keys(self) -> None:
        """One alone would be half a hub."""
        with pytest.raises(InvalidQuery) as caught:
            enter_keys(SAMPLE_MEMBERS, hub=text_of(new_key()))
        assert caught.value.reason == "HUB_KEYS_INCOMPLETE"

    def test_a_wrong_document_is_not_touched(self) -> None:
        """Its mistakes are said first."""
        with pytest.raises(DocumentError):
            enter_keys("network: [", agencies={"a": listed(text_of(new_key()))})

    def test_an_agencys_lines_come_as_a_file(self, office: Office) -> None:
        """As it prints them; a key alone is refused, and nothing is written."""
        assert office.found().status == 0
        before = (office.board / MEMBERS).read_bytes()
        keys = listed(text_of(new_key()))
        told = office.policy(
            "keys", office.board, "--agency", f"city-police={keys.key}"
        )
        assert (told.status, told.reason) == (2, "AGENCY_KEYS_INCOMPLETE")
        assert "exchange:" in told.err
        assert (office.board / MEMBERS).read_bytes() == before
        file = office.folder / "police.keys"
        file.write_text(lines(keys), "utf-8")
        done = office.policy("keys", office.board, "--agency", f"city-police={file}")
        assert done.status == 0, done.err
        form = load_members((office.board / MEMBERS).read_text("utf-8"), MEMBERS)
        police = form.members["city-police"]
        assert (police.key, police.exchange) == (keys.key, keys.exchange)
        assert police.kem == keys.kem
        missing = office.policy("keys", office.board, "--agency", "city-police=nowhere")
        assert (missing.status, missing.reason) == (3, "KEY_UNREADABLE")


class TestFiles:
    """Without a hub."""

    def test_found_sign_and_complete(self, office: Office) -> None:
        """Two of three, each with their own file."""
        founded = office.found()
        assert founded.status == 0, founded.err
        path = Path(founded.json["proposal"])
        assert founded.json["founding"]
        assert len(founded.json["words"].split()) == 6
        assert "agreements/regional-trends.yaml" in founded.json["paths"]
        first = office.sign(path, "alice")
        assert first.json["signed"] == ["alice"]
        assert not first.json["complete"]
        second = office.sign(path, "bela")
        assert second.json["complete"]
        assert second.json["id"] == founded.json["id"]
        assert read_proposal(path).publish().documents() == documents_in(office.board)

    def test_copies_are_merged(self, office: Office) -> None:
        """When members sign at the same time."""
        path = Path(office.found().json["proposal"])
        copy = office.folder / "copy.json"
        copy.write_bytes(path.read_bytes())
        office.sign(path, "alice")
        office.sign(copy, "bela")
        merged = office.policy("merge", path, copy)
        assert merged.json["complete"]
        assert merged.json["signed"] == ["alice", "bela"]

    def test_two_names_with_one_key_are_refused(self, office: Office) -> None:
        """One person would count twice; nothing is written."""
        office.public("bela").write_bytes(office.public("alice").read_bytes())
        founded = office.found()
        assert (founded.status, founded.reason) == (3, "DOCUMENT_INVALID")
        assert "same key" in founded.err
        assert not office.board.exists()

    def test_a_secret_key_is_not_taken_for_a_public_one(self, office: Office) -> None:
        """And what it holds is not shown."""
        office.public("bela").write_bytes(office.key("bela").read_bytes())
        founded = office.found()
        assert (founded.status, founded.reason) == (3, "KEY_UNREADABLE")
        assert "PRIVATE" not in founded.err

    def test_a_board_is_founded_once(self, office: Office) -> None:
        """Later it is changed by its members."""
        office.found()
        again = office.found("--seat", "third=chidi")
        assert (again.status, again.reason) == (4, "BOARD_EXISTS")

    def test_the_hubs_keys_can_come_later(self, office: Office) -> None:
        """The board says what is missing, and goes on from there."""
        members = [f"{name}={office.public(name)}" for name in ("alice", "bela")]
        founded = office.policy(
            "found",
            office.board,
            "--board-name",
            "b",
            "--threshold",
            2,
            "--member",
            members[0],
            "--member",
            members[1],
            "--seat",
            "survivor representative=alice",
            "--from-samples",
        )
        assert founded.json["lacks"] == ["hub keys"]
        keys = [text_of(new_key()) for _ in range(2)]
        entered = office.policy(
            "keys", office.board, "--hub-key", keys[0], "--freshness-key", keys[1]
        )
        assert entered.status == 0, entered.err
        proposed = office.policy("propose", office.board, "-c", "The first policies.")
        assert proposed.status == 0, proposed.err
        assert proposed.json["founding"]

    def test_a_wrong_passphrase_signs_nothing(self, office: Office) -> None:
        """The file stays as it was, byte for byte."""
        path = Path(office.found().json["proposal"])
        before = path.read_bytes()
        wrong = office.folder / "wrong"
        wrong.write_text("not the passphrase\n", "utf-8")
        signed = office.sign(path, "alice", "--passphrase-file", wrong)
        assert (signed.status, signed.reason) == (4, "PASSPHRASE_WRONG")
        assert path.read_bytes() == before

    def test_a_strangers_key_signs_nothing(self, office: Office) -> None:
        """Eve has a key, and no place on the board."""
        path = Path(office.found().json["proposal"])
        signed = office.sign(path, "eve")
        assert (signed.status, signed.reason) == (4, "NOT_A_SIGNER")

    def test_a_missing_seat_is_named(self, office: Office) -> None:
        """Enough signatures are not enough."""
        path = Path(office.found().json["proposal"])
        office.sign(path, "bela")
        signed = office.sign(path, "chidi")
        assert not signed.json["complete"]
        assert any("survivor representative" in each for each in signed.json["missing"])

    def test_a_tampered_proposal_is_refused(self, office: Office) -> None:
        """Another text under the same signatures."""
        path = Path(office.found().json["proposal"])
        office.sign(path, "alice")
        content = path.read_text("utf-8")
        assert "sample-board is founded" in content
        path.write_text(
            content.replace("sample-board is founded", "sample-board is changed"),
            "utf-8",
        )
        signed = office.sign(path, "bela")
        assert signed.status != 0
        assert "Traceback" not in signed.err

    @pytest.mark.parametrize(
        "content", [b"", b"{}", b"[]", b"\xff\xfe", b"0" * 4_000_000]
    )
    def test_what_is_no_proposal_is_said(self, office: Office, content: bytes) -> None:
        """In a sentence."""
        path = office.folder / "x.json"
        path.write_bytes(content)
        signed = office.sign(path, "alice")
        assert signed.reason in {
            "PROPOSAL_MALFORMED",
            "PROPOSAL_TOO_LARGE",
            "PROPOSAL_UNREADABLE",
        }

    def test_other_words_sign_nothing(self, office: Office) -> None:
        """They are what members compare by telephone."""
        path = Path(office.found().json["proposal"])
        told = ("--words", "abandon ability able about above absent")
        signed = office.sign(path, "alice", *told)
        assert (signed.status, signed.reason) == (4, "WORDS_DIFFER")
        right = read_proposal(path).words
        assert office.sign(path, "alice", "--words", f" {right.upper()} ").status == 0

    def test_nothing_is_signed_without_a_yes(self, office: Office) -> None:
        """Where there is nobody to ask, words have to be given."""
        path = Path(office.found().json["proposal"])
        key = ("--key", office.key("alice"), "--passphrase-file", office.passphrase)
        signed = office.policy("sign", path, *key)
        assert (signed.status, signed.reason) == (2, "CONFIRMATION_NEEDED")

    def test_mistakes_are_all_said_before_anything_is_proposed(
        self, office: Office
    ) -> None:
        """With file, line and column."""
        office.found()
        office.edit(
            AGREEMENT,
            ("groups_per_person", "grops_per_person"),
            ("at_most_dimensions: 3", "at_most_dimensions: many"),
        )
        before = sorted(office.board.glob("*.json"))
        proposed = office.policy("propose", office.board, "-c", "Why")
        assert (proposed.status, proposed.reason) == (3, "DOCUMENT_INVALID")
        text = json.loads(proposed.err)["error"]["text"]
        assert "Did you mean 'groups_per_person'?" in text
        assert "at_most_dimensions" in text
        assert sorted(office.board.glob("*.json")) == before

    def test_a_person_sees_the_same_in_sentences(self, office: Office) -> None:
        """What changes, the six words, who has signed."""
        path = office.found().json["proposal"]
        key = ("--key", office.key("alice"), "--passphrase-file", office.passphrase)
        shown = office.accord("policy", "sign", path, *key, "--yes")
        assert shown.status == 0
        assert "This founds the board sample-board." in shown.out
        assert read_proposal(Path(path)).words in shown.out
        assert "Signed by: alice" in shown.out
        assert "Missing:" in shown.out

    def test_names_cannot_command_the_terminal(self, office: Office) -> None:
        """Nor turn words around: what is signed is what is seen."""
        for hidden in ("\u202e", "\x1b"):
            founded = office.found("--name", f"alice=Alice{hidden} Moreno")
            assert founded.status == 3
            assert "board.yaml:7:" in founded.err
            assert "invisible character" in founded.err
            assert hidden not in founded.err


@pytest.mark.federation
class TestHub:
    """With a real hub."""

    def publish_first(self, office: Office, hub: RunningHub) -> None:
        path = office.found(hub=hub.keys).json["proposal"]
        office.sign(path, "alice")
        office.sign(path, "bela")
        published = office.policy("publish", path)
        assert published.status == 0, published.err
        assert published.json["version"] == 1
        fetched = office.policy("fetch", office.board)
        assert fetched.json["differs"] == []

    @pytest.mark.slow
    def test_from_the_first_day_to_the_first_change(
        self, office: Office, hub: RunningHub
    ) -> None:
        """Offered, signed by id, published, fetched."""
        self.publish_first(office, hub)
        office.edit(
            AGREEMENT,
            ("version: 1", "version: 2"),
            ("at_most_dimensions: 3", "at_most_dimensions: 2"),
        )
        proposed = office.policy("propose", office.board, "--offer", "-c", "Fewer")
        assert proposed.status == 0, proposed.err
        short = proposed.json["id"][:10]
        assert not proposed.json["changes"][0]["loosens"]
        listed = office.policy("proposals").json["proposals"]
        assert listed[0]["id"] == proposed.json["id"]
        assert listed[0]["signed"] == []
        early = office.policy("publish", short)
        assert (early.status, early.reason) == (4, "SIGNATURES_MISSING")
        assert office.sign(short, "chidi").json["signed"] == ["chidi"]
        assert office.sign(short, "bela").json["complete"]
        assert office.policy("publish", short).json["version"] == 2
        assert office.policy("fetch", office.board).json["version"] == 2
        listing = office.accord("policy", "proposals")
        assert "Fewer" in listing.out
        assert "In force:" in listing.out

    @pytest.mark.slow
    def test_a_loosening_waits_for_its_seat(
        self, office: Office, hub: RunningHub
    ) -> None:
        """Two others cannot outvote it."""
        self.publish_first(office, hub)
        office.edit(
            AGREEMENT,
            ("version: 1", "version: 2"),
            ("suppress_below: 10", "suppress_below: 5"),
        )
        proposed = office.policy("propose", office.board, "--offer", "-c", "Looser")
        assert proposed.json["changes"][0]["loosens"]
        identifier = proposed.json["id"]
        office.sign(identifier, "bela")
        signed = office.sign(identifier, "chidi")
        assert any("survivor representative" in each for each in signed.json["missing"])
        assert office.policy("publish", identifier).reason == "SIGNATURES_MISSING"
        assert office.sign(identifier, "alice").json["complete"]
        assert office.policy("publish", identifier).status == 0

    @pytest.mark.slow
    def test_an_outdated_proposal_is_not_signed(
        self, office: Office, hub: RunningHub
    ) -> None:
        """Neither from a file nor from the hub, once something else is in force."""
        self.publish_first(office, hub)
        office.edit(AGREEMENT, *LATER)
        old = office.policy("propose", office.board, "-c", "Later", "--offer").json
        office.edit(AGREEMENT, ("embargo: 40", "embargo: 50"))
        new = office.policy(
            "propose", office.board, "-c", "Later still", "--offer"
        ).json
        for name in ("alice", "bela"):
            assert office.sign(new["id"], name).status == 0
        assert office.policy("publish", new["id"]).status == 0
        assert office.sign(old["id"], "chidi").reason == "PROPOSAL_UNKNOWN"
        online = office.sign(old["proposal"], "chidi", "--hub", hub.address)
        assert (online.status, online.reason) == (4, "PROPOSAL_OUTDATED")
        office.policy("fetch", office.board)
        offline = office.sign(old["proposal"], "chidi")
        assert (offline.status, offline.reason) == (4, "PROPOSAL_OUTDATED")

    @pytest.mark.slow
    def test_a_folder_that_is_behind_cannot_undo_what_others_changed(
        self, office: Office, hub: RunningHub
    ) -> None:
        """It has to be fetched first."""
        self.publish_first(office, hub)
        office.edit(AGREEMENT, *LATER)
        change = office.policy("propose", office.board, "-c", "Later", "--offer").json
        for name in ("alice", "bela"):
            office.sign(change["id"], name)
        office.policy("publish", change["id"])
        office.edit(
            AGREEMENT, ("version: 2", "version: 3"), ("embargo: 40", "embargo: 35")
        )
        behind = office.policy("propose", office.board, "-c", "Sooner", "--offer")
        assert (behind.status, behind.reason) == (4, "FOLDER_OUTDATED")
        fetched = office.policy("fetch", office.board)
        assert fetched.json["differs"] == [str(AGREEMENT)]
        assert "embargo: 35" in (office.board / AGREEMENT).read_text("utf-8")
        assert (
            office.policy("propose", office.board, "-c", "Sooner", "--offer").status
            == 0
        )

    def test_a_machine_that_knows_nothing_confirms_the_board(
        self, office: Office, hub: RunningHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By its six words, once; other words pin nothing."""
        self.publish_first(office, hub)
        words = office.policy("fetch", office.board).json["words"]
        monkeypatch.setenv("ACCORD_DATA", str(office.folder / "other"))
        other = office.folder / "elsewhere"
        asked = office.policy("fetch", other)
        assert (asked.status, asked.reason) == (2, "CONFIRMATION_NEEDED")
        told = "abandon ability able about above absent"
        wrong = office.policy("fetch", other, "--board", told)
        assert (wrong.status, wrong.reason) == (4, "BOARD_DIFFERS")
        assert not other.exists()
        right = office.policy("fetch", other, "--board", words)
        assert right.status == 0, right.err
        assert documents_in(other) == documents_in(office.board)
        assert office.policy("fetch", other, "--board", told).reason == "BOARD_DIFFERS"

    def test_a_file_from_nowhere_needs_an_option_and_words(
        self, office: Office, hub: RunningHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its `before` may be made up; neither --yes nor words are enough."""
        self.publish_first(office, hub)
        office.edit(AGREEMENT, *LATER)
        made = office.policy("propose", office.board, "-c", "Later").json
        loose = office.folder / "mail" / "it.json"
        loose.parent.mkdir()
        loose.write_bytes(Path(made["proposal"]).read_bytes())
        assert office.sign(loose, "alice").status == 0
        monkeypatch.setenv("ACCORD_DATA", str(office.folder / "other"))
        told = ("--words", made["words"])
        assert office.sign(loose, "bela").reason == "BASE_UNVERIFIED"
        assert office.sign(loose, "bela", *told).reason == "BASE_UNVERIFIED"
        risk = "--unverified-base"
        assert office.sign(loose, "bela", risk).reason == "CONFIRMATION_NEEDED"
        assert office.sign(loose, "bela", risk, *told).status == 0

    def test_who_only_passes_a_founding_on_has_confirmed_no_board(
        self, office: Office, hub: RunningHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody who published it has not looked at it."""
        path = office.found(hub=hub.keys).json["proposal"]
        office.sign(path, "alice")
        made = office.sign(path, "bela").json
        monkeypatch.setenv("ACCORD_DATA", str(office.folder / "post"))
        other = ("--words", "abandon ability able about above absent")
        assert office.policy("publish", path, *other).reason == "WORDS_DIFFER"
        assert office.policy("publish", path).status == 0
        pins = office.folder.glob("post/boards/*/trusted/pinned.root.json")
        assert list(pins) == []
        told = ("--words", made["words"])
        assert office.policy("publish", path, *told).status == 0
        pins = office.folder.glob("post/boards/*/trusted/pinned.root.json")
        assert len(list(pins)) == 1

    @pytest.mark.slow
    def test_a_base_that_is_older_than_what_was_verified(
        self, office: Office, hub: RunningHub
    ) -> None:
        """Not even with the option for bases that nobody verified."""
        self.publish_first(office, hub)
        office.edit(AGREEMENT, *LATER)
        old = office.policy("propose", office.board, "-c", "Later").json
        loose = office.folder / "mail" / "it.json"
        loose.parent.mkdir()
        loose.write_bytes(Path(old["proposal"]).read_bytes())
        new = office.policy("propose", office.board, "-c", "Now", "--offer").json
        for name in ("alice", "bela"):
            assert office.sign(new["id"], name).status == 0
        assert office.policy("publish", new["id"]).status == 0
        assert office.policy("fetch", office.board).status == 0
        told = ("--words", old["words"], "--unverified-base")
        assert office.sign(loose, "chidi", *told).reason == "PROPOSAL_OUTDATED"

    @pytest.mark.slow
    def test_signatures_are_renewed(self, office: Office, hub: RunningHub) -> None:
        """Without any other change."""
        self.publish_first(office, hub)
        made = office.policy(
            "propose", office.board, "--renew", "--offer", "-c", "Another year"
        )
        assert made.status == 0, made.err
        assert made.json["paths"] == []
        for name in ("bela", "chidi"):
            office.sign(made.json["id"], name)
        assert office.policy("publish", made.json["id"]).json["version"] == 2

    def test_only_the_board_is_served(
        self, office: Office, hub: RunningHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An analyst's token opens nothing here."""
        monkeypatch.setenv("ACCORD_TOKEN", add_analyst(hub.state, "noor"))
        listed = office.policy("proposals")
        assert (listed.status, listed.reason) == (4, "NOT_ON_BOARD")
