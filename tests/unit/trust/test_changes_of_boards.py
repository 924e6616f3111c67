# SPDX-License-Identifier: Apache-2.0
"""Boards change: a member leaves, a key is lost, a threshold, a seat; agents follow."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from securesystemslib.signer import SSlibKey

from accord.core.errors import (
    ConfigurationError,
    Conflict,
    IntegrityError,
    InvalidQuery,
    PolicyDenied,
)
from accord.trust.keys import text_of
from accord.trust.metadata import key_of
from accord.trust.proposal import Proposal
from accord.trust.trusted import Trusted
from tests.policies import OFFICER, SEAT, THREE, Board, key
from tests.unit.trust.simulator import Agent, World, agreement, signed

TRENDS = "agreements/trends.yaml"
BOARD = "board.yaml"


def to(world: World, board: Board) -> Proposal:
    """Propose another board, signed by everybody of the old and the new one."""
    keys = [board.key(each) for each in board.members]
    return world.propose({BOARD: board.text()}, keys=keys)


def unsigned(world: World, documents: Mapping[str, str]) -> Proposal:
    """Propose something that nobody has signed yet."""
    return world.propose(documents, signers=[])


class TestRotation:
    def test_a_member_leaves(self, world: World, agent: Agent) -> None:
        smaller = dataclasses.replace(THREE, members=("alice", "bela"))
        world.take(to(world, smaller))
        view = agent.look()
        assert view.root_version == 2
        world.board = smaller
        world.publish({TRENDS: agreement(version=2, suppress=12)})
        assert agent.look().version == 3

    def test_who_left_counts_no_more(self, world: World, agent: Agent) -> None:
        smaller = dataclasses.replace(THREE, members=("alice", "bela"))
        world.take(to(world, smaller))
        agent.look()
        body = json.loads(world.files[world.newest("targets")])["signed"]
        body["version"] += 1
        body["accord"]["change"] += 1
        content = signed(body, THREE.key("alice"), THREE.key("chidi"))
        world.files["metadata/3.targets.json"] = content
        world.point(snapshot={"targets": content})
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_SIGNATURES_MISSING"

    def test_a_lost_key_is_replaced(self, world: World, agent: Agent) -> None:
        """Bela lost the key; the others and bela's new key sign."""
        other = dataclasses.replace(THREE, keys={"bela": "bela/2"})
        proposal = unsigned(world, {BOARD: other.text()})
        for private in (THREE.key("alice"), THREE.key("chidi"), other.key("bela")):
            proposal = proposal.sign(private)
        assert proposal.standing().missing == ()
        world.take(proposal)
        assert agent.look().root_version == 2

    def test_threshold_changes(self, world: World, agent: Agent) -> None:
        stricter = dataclasses.replace(THREE, threshold=3)
        world.take(to(world, stricter))
        assert agent.look().root_version == 2
        two = world.propose(
            {TRENDS: agreement(version=2, suppress=12)}, signers=["alice", "bela"]
        )
        assert not two.standing().complete
        world.take(two, unchecked=True)
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_SIGNATURES_MISSING"

    def test_a_new_root_that_the_old_board_did_not_sign(
        self, world: World, agent: Agent
    ) -> None:
        other = Board(keys={each: f"usurper/{each}" for each in THREE.members})
        proposal = unsigned(world, {BOARD: other.text()})
        for each in other.members:
            proposal = proposal.sign(other.key(each))
        assert "board as it was" in " ".join(proposal.standing().missing)
        with pytest.raises(PolicyDenied) as refused:
            proposal.onto(world.repository)
        assert refused.value.reason == "SIGNATURES_MISSING"
        world.take(proposal, unchecked=True)
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_SIGNATURES_MISSING"
        with pytest.raises(IntegrityError):
            world.repository.verify()

    def test_a_new_root_that_the_new_board_did_not_sign(
        self, world: World, agent: Agent
    ) -> None:
        other = Board(keys={each: f"newcomer/{each}" for each in THREE.members})
        proposal = world.propose({BOARD: other.text()})
        assert not proposal.standing().complete
        world.take(proposal, unchecked=True)
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_SIGNATURES_MISSING"

    def test_several_rotations_after_a_long_absence(
        self, world: World, agent: Agent
    ) -> None:
        boards = [
            dataclasses.replace(THREE, members=("alice", "bela", "chidi", "dora")),
            dataclasses.replace(THREE, members=("alice", "bela", "dora"), threshold=3),
            dataclasses.replace(THREE, members=("alice", "dora", "emil")),
        ]
        for number, board in enumerate(boards, 2):
            world.take(to(world, board))
            world.board = board
            world.publish({TRENDS: agreement(version=number, suppress=10 + number)})
        view = agent.look()
        assert view.root_version == 4
        assert view.version == 7
        assert view.policies.agreements["trends"].form.version == 4

    def test_endless_rotations(self, world: World, agent: Agent) -> None:
        """A hub that colludes with a board cannot keep an agent busy for ever."""
        body = json.loads(world.files["metadata/1.root.json"])["signed"]
        pair = (THREE.key("alice"), THREE.key("bela"))
        for version in range(2, 260):
            body["version"] = version
            world.files[f"metadata/{version}.root.json"] = signed(body, *pair)
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_MALFORMED"

    def test_the_freshness_key_changes(self, world: World, agent: Agent) -> None:
        other = key("freshness/next")
        text = world.repository.documents()["members.yaml"].decode()
        text = text.replace(text_of(world.freshness), text_of(other))
        world.publish({"members.yaml": text}, freshness=other)
        assert agent.look().root_version == 2

    def test_renewal_says_nothing_new_and_holds_longer(
        self, world: World, agent: Agent
    ) -> None:
        world.now = world.repository.expires
        proposal = Proposal.renewal(world.repository, comment="a year", now=world.now)
        for each in THREE.members[:2]:
            proposal = proposal.sign(THREE.key(each))
        assert proposal.changed() == []
        before = world.repository.documents()
        world.take(proposal)
        assert agent.look().documents == before
        assert world.repository.expires > world.now


class TestPinning:
    def test_the_same_root_again(self, world: World, agent: Agent) -> None:
        agent.trusted.pin(world.repository.root())

    def test_a_later_root_of_the_same_board(self, world: World, agent: Agent) -> None:
        world.take(to(world, dataclasses.replace(THREE, threshold=3)))
        agent.trusted.pin(world.repository.root())
        assert agent.trusted.pinned() == world.files["metadata/1.root.json"]
        agent.look()
        agent.trusted.pin(world.files["metadata/1.root.json"])

    def test_another_board(self, world: World, agent: Agent) -> None:
        board = Board(keys={each: f"other/{each}" for each in THREE.members})
        with pytest.raises(Conflict) as caught:
            agent.trusted.pin(World(board=board).repository.root())
        assert caught.value.reason == "ROOT_PINNED"

    def test_a_next_root_that_the_board_did_not_sign(
        self, world: World, agent: Agent
    ) -> None:
        board = Board(keys={each: f"other/{each}" for each in THREE.members})
        other = World(board=board)
        other.take(to(other, dataclasses.replace(board, threshold=3)))
        with pytest.raises(Conflict):
            agent.trusted.pin(other.repository.root())

    def test_a_root_that_is_not_signed(self, world: World, tmp_path: Path) -> None:
        found = json.loads(world.repository.root())
        found["signatures"] = found["signatures"][:1]
        with pytest.raises(PolicyDenied) as caught:
            Trusted(tmp_path / "new").pin(json.dumps(found).encode())
        assert caught.value.reason == "POLICY_SIGNATURES_MISSING"


class TestSeats:
    """What TUF's thresholds allow and a seat does not."""

    looser: ClassVar = {TRENDS: agreement(version=2, suppress=0)}

    def test_loosened_without_the_seat(self, world: World, agent: Agent) -> None:
        proposal = world.propose(self.looser, signers=["bela", "chidi"])
        assert not proposal.standing().complete
        world.take(proposal, unchecked=True)
        before = agent.trusted.view()
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_SEAT_MISSING"
        assert agent.trusted.view() == before

    def test_loosened_with_the_seat(self, world: World, agent: Agent) -> None:
        world.publish(self.looser, signers=["alice", "bela"])
        assert agent.look().version == 2

    def test_tightened_without_the_seat(self, world: World, agent: Agent) -> None:
        world.publish(
            {TRENDS: agreement(version=2, suppress=20)}, signers=["bela", "chidi"]
        )
        assert agent.look().version == 2

    def test_one_bad_version_does_not_shut_an_agent_out(
        self, world: World, agent: Agent
    ) -> None:
        bad = world.propose(self.looser, signers=["bela", "chidi"])
        world.take(bad, unchecked=True)
        with pytest.raises(PolicyDenied):
            agent.look()
        world.publish({TRENDS: agreement(version=3, suppress=20)})
        assert agent.look().policies.agreements["trends"].form.version == 3

    def test_a_loosening_is_not_laundered_by_a_version_after_it(
        self, world: World, agent: Agent
    ) -> None:
        bad = world.propose(self.looser, signers=["bela", "chidi"])
        world.take(bad, unchecked=True)
        after = world.propose(
            {TRENDS: agreement(version=3, suppress=1)}, signers=["bela", "chidi"]
        )
        world.take(after, unchecked=True)
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_SEAT_MISSING"

    def test_a_loosening_that_the_seat_signed_some_versions_ago(
        self, world: World, agent: Agent
    ) -> None:
        world.publish(self.looser, signers=["alice", "bela"])
        world.publish(
            {TRENDS: agreement(version=3, suppress=5)}, signers=["bela", "chidi"]
        )
        assert agent.look().version == 3

    @pytest.mark.parametrize("what", ["metadata", "document"])
    def test_the_same_where_the_version_between_is_withheld(
        self, world: World, agent: Agent, what: str
    ) -> None:
        world.publish(self.looser, signers=["alice", "bela"])
        documents = [n for n in world.files if n.endswith(".trends.yaml")]
        world.publish(
            {TRENDS: agreement(version=3, suppress=5)}, signers=["bela", "chidi"]
        )
        withheld = documents if what == "document" else ["metadata/2.targets.json"]
        for name in withheld:
            del world.files[name]
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_SEAT_MISSING"

    def test_a_withheld_version_does_no_harm_to_a_tightening(
        self, world: World, agent: Agent
    ) -> None:
        tighter = agreement(version=2, suppress=11)
        world.publish({TRENDS: tighter}, signers=["bela", "chidi"])
        world.publish({TRENDS: agreement(version=3, suppress=12)})
        del world.files["metadata/2.targets.json"]
        assert agent.look().version == 3

    def test_recovery_of_a_seats_key(self, world: World, agent: Agent) -> None:
        other = dataclasses.replace(THREE, keys={"alice": "alice/2"})
        proposal = unsigned(world, {BOARD: other.text()})
        for private in (THREE.key("bela"), THREE.key("chidi"), other.key("alice")):
            proposal = proposal.sign(private)
        assert proposal.standing().missing == ()
        world.take(proposal)
        assert agent.look().root_version == 2

    def test_recovery_with_a_loosening_in_it(self, world: World, agent: Agent) -> None:
        other = dataclasses.replace(THREE, keys={"alice": "alice/2"})
        proposal = unsigned(world, {BOARD: other.text(), **self.looser})
        for private in (THREE.key("bela"), THREE.key("chidi"), other.key("alice")):
            proposal = proposal.sign(private)
        assert proposal.standing().missing
        world.take(proposal, unchecked=True)
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_SEAT_MISSING"

    def test_a_seat_is_taken_away(self, world: World, agent: Agent) -> None:
        bare = dataclasses.replace(THREE, seats={OFFICER: "bela"})
        text = agreement(version=2, approval="{quorum: 2}")
        proposal = unsigned(world, {BOARD: bare.text(), TRENDS: text})
        for each in ("bela", "chidi"):
            proposal = proposal.sign(THREE.key(each))
        world.take(proposal, unchecked=True)
        with pytest.raises(PolicyDenied) as caught:
            agent.look()
        assert caught.value.reason == "POLICY_SEAT_MISSING"
        assert SEAT in THREE.seats


def test_two_names_with_one_key_found_no_board() -> None:
    twice = Board(keys={"bela": "alice"})
    with pytest.raises(ConfigurationError, match="same key"):
        World(board=twice)


def test_a_key_of_the_hub_founds_no_board() -> None:
    with pytest.raises(ConfigurationError) as caught:
        World(freshness=THREE.key("bela"))
    assert caught.value.reason == "KEY_REPEATED"


def test_who_has_no_part_cannot_sign(world: World) -> None:
    proposal = world.propose({TRENDS: agreement(version=2)})
    with pytest.raises(PolicyDenied) as caught:
        proposal.sign(key("mallory"))
    assert caught.value.reason == "NOT_A_SIGNER"


def test_nothing_changed(world: World) -> None:
    with pytest.raises(InvalidQuery) as caught:
        world.propose({})
    assert caught.value.reason == "NOTHING_CHANGED"


def test_key_ids_are_those_of_tuf() -> None:
    private = key("any")
    assert key_of(text_of(private)) == SSlibKey.from_crypto(private.public_key())
