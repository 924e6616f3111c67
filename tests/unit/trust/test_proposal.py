# SPDX-License-Identifier: Apache-2.0
"""A proposal goes from hand to hand, and comes back as it was or not at all."""

from __future__ import annotations

import copy
import datetime
import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.errors import AccordError, Conflict, InvalidQuery, PolicyDenied
from accord.trust.metadata import read_board
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import LARGEST_FILE, from_file, to_file
from accord.trust.repository import Repository, root_digest
from accord.trust.words import six_words
from tests.policies import NOW, THREE
from tests.unit.trust.simulator import World, agreement

TRENDS = "agreements/trends.yaml"


@functools.cache
def world() -> World:
    """Return one world for all tests that change nothing in it."""
    return World()


def proposal(version: int = 2, signers: tuple[str, ...] = ()) -> Proposal:
    """Return a change of the agreement."""
    text = agreement(version=version, suppress=10 + version)
    return world().propose({TRENDS: text}, signers=signers)


def test_two_members_sign_apart_and_it_is_complete() -> None:
    drafted = proposal()
    assert drafted.standing().missing
    sent = to_file(drafted)
    one = from_file(sent, "one").sign(THREE.key("alice"))
    two = from_file(sent, "two").sign(THREE.key("bela"))
    both = from_file(to_file(one), "x").merge(two)
    assert both.standing().signed == ("alice", "bela")
    assert both.standing().complete
    assert both.id == drafted.id
    assert to_file(two.merge(one)) == to_file(both)
    assert both.publish().version == 2


def test_what_is_proposed_can_be_read_from_it() -> None:
    found = from_file(to_file(proposal()), "it")
    assert found.changed() == [TRENDS]
    assert found.comment == "a change"
    assert (found.base_version, found.version) == (1, 2)
    assert found.words == six_words(found.id)
    assert found.expires == world().now.replace(microsecond=0) + datetime.timedelta(400)
    assert found.before == world().repository.documents()
    assert found.base is not None
    assert found.is_onto(world().repository)


def test_signing_twice_is_signing_once() -> None:
    one = proposal(signers=("alice",))
    assert to_file(one.sign(THREE.key("alice"))) == to_file(one)


def test_the_same_change_is_the_same_proposal() -> None:
    assert proposal().id == proposal().id
    assert proposal().id != proposal(3).id


def test_signatures_of_another_proposal() -> None:
    with pytest.raises(InvalidQuery) as caught:
        proposal().merge(proposal(3))
    assert caught.value.reason == "PROPOSAL_OTHER"


def test_publishing_without_signatures() -> None:
    with pytest.raises(PolicyDenied) as caught:
        proposal(signers=("alice",)).publish()
    assert caught.value.reason == "SIGNATURES_MISSING"


def test_an_outdated_base() -> None:
    own = World()
    one = own.propose({TRENDS: agreement(version=2, suppress=11)})
    other = own.propose({TRENDS: agreement(version=2, suppress=12)})
    newer = one.onto(own.repository)
    with pytest.raises(Conflict) as caught:
        other.onto(newer)
    assert caught.value.reason == "PROPOSAL_OUTDATED"
    assert one.onto(newer) is newer
    assert one.is_in(newer)
    assert not other.is_in(newer)
    with pytest.raises(Conflict):
        one.onto(None)


def test_founding_twice() -> None:
    other = Proposal.founding(
        world().repository.documents(), comment="again", now=NOW + datetime.timedelta(1)
    )
    with pytest.raises(Conflict):
        other.onto(world().repository)


def test_old_versions_stay() -> None:
    own = World()
    old = dict(own.repository.files)
    own.publish({TRENDS: agreement(version=2, suppress=12)})
    assert old.items() <= own.repository.files.items()
    assert own.repository.newest_only().id == own.repository.id


@pytest.mark.parametrize("comment", ["", "  ", "a\nb", "x" * 501, "\u202e"])
def test_a_comment_that_is_none(comment: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        Proposal.renewal(world().repository, comment=comment, now=NOW)
    assert caught.value.reason == "COMMENT_INVALID"


def test_the_board_of_a_root() -> None:
    root = world().repository.root()
    board = read_board(root)
    assert board.name == "test-board"
    assert board.network == "net"
    assert board.threshold == 2
    assert [each.label for each in board.members] == ["alice", "bela", "chidi"]
    assert board.words == six_words(root_digest(root))


class TestFile:
    def refused(self, content: bytes, reason: str = "PROPOSAL_MALFORMED") -> str:
        """Return the sentence with which a file is refused."""
        with pytest.raises(InvalidQuery) as caught:
            from_file(content, "board.proposal")
        assert caught.value.reason == reason
        assert "\n" not in caught.value.sentence
        return caught.value.sentence

    def edited(
        self,
        change: Callable[[dict[str, Any]], None],
        signers: tuple[str, ...] = ("alice",),
    ) -> bytes:
        """Return a file in which something was changed."""
        found = json.loads(to_file(proposal(signers=signers)))
        change(found)
        return json.dumps(found).encode()

    def test_too_long(self) -> None:
        self.refused(b" " * (LARGEST_FILE + 1), "PROPOSAL_TOO_LARGE")

    def test_a_document_that_nobody_proposed(self) -> None:
        def swap(file: dict[str, Any]) -> None:
            digest = file["documents"][TRENDS]
            file["texts"][digest] = agreement(version=2, suppress=0)

        assert "digest" in self.refused(self.edited(swap))

    def test_metadata_that_do_not_follow_from_the_documents(self) -> None:
        """The page shows documents; what is signed must not say more."""

        def more(file: dict[str, Any]) -> None:
            (name,) = file["metadata"]
            found = json.loads(file["metadata"][name])
            del found["signed"]["targets"]["models/tiny-1.yaml"]
            found["signatures"] = []
            file["metadata"][name] = json.dumps(found)

        assert "otherwise" in self.refused(self.edited(more))

    def test_an_unsigned_base(self) -> None:
        def strip(file: dict[str, Any]) -> None:
            name = "metadata/1.targets.json"
            found = json.loads(file["base"]["metadata"][name])
            found["signatures"] = []
            file["base"]["metadata"][name] = json.dumps(found)

        self.refused(self.edited(strip))

    def test_a_base_with_something_in_it(self) -> None:
        def add(file: dict[str, Any]) -> None:
            file["base"]["metadata"]["metadata/0.root.json"] = "{}"

        self.refused(self.edited(add))

    def test_a_signature_that_does_not_hold(self) -> None:
        def spoil(file: dict[str, Any]) -> None:
            (name,) = file["metadata"]
            found = json.loads(file["metadata"][name])
            found["signatures"][0]["sig"] = "00" * 64
            file["metadata"][name] = json.dumps(found)

        assert "signature" in self.refused(self.edited(spoil))

    @pytest.mark.parametrize("sig", [1, None, "zz", "", "é", "00" * 100_000])
    def test_a_signature_that_is_none(self, sig: object) -> None:
        def spoil(file: dict[str, Any]) -> None:
            (name,) = file["metadata"]
            found = json.loads(file["metadata"][name])
            found["signatures"][0]["sig"] = sig
            file["metadata"][name] = json.dumps(found)

        self.refused(self.edited(spoil))

    def test_a_founding_without_its_board(self) -> None:
        def remove(file: dict[str, Any]) -> None:
            file["base"] = None
            del file["documents"]["board.yaml"]

        self.refused(self.edited(remove))

    @given(st.binary(max_size=300))
    def test_random_bytes(self, content: bytes) -> None:
        with pytest.raises(AccordError):
            from_file(content, "it")

    @given(st.integers(0, 100_000), st.integers(0, 255))
    @settings(max_examples=60)
    def test_one_byte_changed(self, place: int, value: int) -> None:
        content = bytearray(to_file(proposal(signers=("alice", "bela"))))
        place %= len(content)
        content[place] = value
        self.same_or_refused(bytes(content))

    @given(st.integers(0, 100_000))
    @settings(max_examples=30)
    def test_cut_short(self, length: int) -> None:
        content = to_file(proposal(signers=("alice",)))
        self.same_or_refused(content[: length % (len(content) + 1)])

    @given(st.data())
    @settings(max_examples=120)
    def test_one_entry_changed(self, data: st.DataObject) -> None:
        """Of the file, or inside of the metadata that it carries."""
        file = json.loads(to_file(proposal(signers=("alice", "bela"))))
        tree: dict[str, Any] = copy.deepcopy(file)
        inner = data.draw(st.booleans())
        holder = data.draw(st.sampled_from([file, file["base"]]))["metadata"]
        if inner:
            name = data.draw(st.sampled_from(sorted(holder)))
            tree = json.loads(holder[name])
        node: Any = tree
        for _ in range(data.draw(st.integers(0, 5))):
            below = [e for e in _below(node) if isinstance(node[e], dict | list)]
            if not below:
                break
            node = node[data.draw(st.sampled_from(below))]
        entries = _below(node)
        if not entries:
            return
        entry = data.draw(st.sampled_from(entries))
        value = data.draw(_VALUES)
        if data.draw(st.booleans()) and isinstance(node, dict):
            del node[entry]
        else:
            node[entry] = value
        if inner:
            holder[name] = json.dumps(tree)
            tree = file
        self.same_or_refused(json.dumps(tree).encode())

    @staticmethod
    def same_or_refused(content: bytes) -> None:
        """Accept no proposal but the one that was written, and no other error."""
        try:
            found = from_file(content, "it")
        except InvalidQuery:
            return
        assert found.id == proposal().id
        assert found.after == proposal().after


def _below(node: dict[Any, Any] | list[Any]) -> list[Any]:
    return list(node) if isinstance(node, dict) else list(range(len(node)))


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.just({}),
    st.just([]),
    st.just({"sha256": "0" * 64}),
    st.sampled_from(
        ["2026-01-01T00:00:00Z", "9999-99-99", "targets", "root", "ed25519", "\ud800"]
    ),
)


class TestRepository:
    def test_a_missing_document(self) -> None:
        files = dict(world().repository.files)
        for name in [each for each in files if each.startswith("targets/models")]:
            del files[name]
        with pytest.raises(AccordError) as caught:
            Repository(files).verify()
        assert caught.value.reason == "POLICIES_DAMAGED"

    def test_every_byte_counts(self) -> None:
        for name, content in world().repository.files.items():
            files = {**world().repository.files, name: content[:-2] + b"xx"}
            with pytest.raises(AccordError) as caught:
                Repository(files).verify()
            assert caught.value.reason == "POLICIES_DAMAGED"

    def test_a_gap_between_roots(self) -> None:
        files = dict(world().repository.files)
        files["metadata/3.root.json"] = files["metadata/1.root.json"]
        with pytest.raises(AccordError) as caught:
            Repository(files).verify()
        assert caught.value.reason == "POLICIES_DAMAGED"
