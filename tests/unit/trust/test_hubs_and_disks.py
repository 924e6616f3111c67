# SPDX-License-Identifier: Apache-2.0
"""What goes wrong at hubs and on disks without anybody's signature."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from accord.core.errors import ConfigurationError, Conflict, PreconditionFailed
from accord.trust import drafting
from accord.trust.durable import make_folder, write_file
from accord.trust.keys import text_of
from accord.trust.trusted import Trusted
from tests.policies import THREE, Board, founding, key
from tests.unit.trust.simulator import (
    BY_PARTIES,
    DOCUMENTS,
    FRESHNESS,
    HUB,
    PARTIES,
    TIMESTAMP,
    Agent,
    World,
    agreement,
    refused,
    tighten,
)

SIGNATORY = {each: key(f"{each}/signatory") for each in PARTIES}


def invented(change: int) -> bytes:
    """Return metadata of a role that nobody delegated, with no signature."""
    body = {
        "_type": "targets",
        "spec_version": "1.0.31",
        "version": 1,
        "expires": "2030-01-01T00:00:00Z",
        "targets": {},
        "accord": {"change": change, "comment": "x"},
    }
    return json.dumps({"signed": body, "signatures": []}).encode()


class TestRolesThatNobodyDelegated:
    def show(self, world: World, change: int) -> None:
        content = invented(change)
        world.files["metadata/1.emergency-zzz.json"] = content
        world.point(snapshot={"emergency-zzz": content})

    def test_a_number_beyond_all_reason(self, world: World, agent: Agent) -> None:
        self.show(world, 2**53 - 2)
        refused(agent, "POLICY_MALFORMED")

    def test_a_number_that_looks_ended_changes_nothing(
        self, world: World, agent: Agent
    ) -> None:
        tighten(world)
        agent.look()
        before = world.repository.id
        self.show(world, 1)
        assert agent.look().version == 2
        member = Trusted(agent.folder, None).repository()
        assert (member.version, member.id) == (2, before)

    def test_one_that_ended_and_comes_back(self, world: World, agent: Agent) -> None:
        path = "agreements/own.yaml"

        def text(version: int) -> str:
            return agreement("own", version, approval=BY_PARTIES)

        world.publish({path: text(1)}, keys=SIGNATORY.values())
        agent.look()
        world.publish({path: None})
        assert agent.look().version == 3
        world.publish({path: text(2)}, keys=SIGNATORY.values())
        assert agent.look().version == 4


class TestKeysThatChangeDuringARefresh:
    @pytest.fixture
    def other(self, world: World) -> str:
        """Return ``members.yaml`` with another freshness key."""
        text = world.repository.documents()["members.yaml"].decode()
        return text.replace(text_of(FRESHNESS), text_of(key("fresh-2")))

    def test_between_root_and_timestamp(
        self, world: World, agent: Agent, other: str
    ) -> None:
        left = [other]

        def fetch(name: str) -> bytes:
            if name == TIMESTAMP and left:
                world.publish({"members.yaml": left.pop()}, freshness=key("fresh-2"))
            return world.fetch(name)

        assert agent.trusted.refresh(fetch, world.now).version == 2
        assert agent.trusted.trouble() is None

    def test_a_root_that_keeps_the_keys(self, world: World, agent: Agent) -> None:
        left = [THREE.text().replace("Bela of", "Isabela of")]

        def fetch(name: str) -> bytes:
            if name == TIMESTAMP and left:
                world.publish({"board.yaml": left.pop()})
            return world.fetch(name)

        assert agent.trusted.refresh(fetch, world.now).root_version == 2
        assert agent.trusted.trouble() is None

    def test_a_wrong_signature_stays_wrong(self, world: World, agent: Agent) -> None:
        world.edit(TIMESTAMP, lambda s: s.update(version=s["version"] + 1), HUB)
        refused(agent, "POLICY_SIGNATURES_MISSING")


def test_more_roles_than_agencies_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafting, "MOST_ROLES", 2)
    world.publish(
        {"agreements/one.yaml": agreement("one", approval=BY_PARTIES)},
        keys=SIGNATORY.values(),
    )
    with pytest.raises(ConfigurationError) as caught:
        world.propose({"agreements/two.yaml": agreement("two", approval=BY_PARTIES)})
    assert caught.value.reason == "SIGNED_AGREEMENTS_TOO_MANY"


def test_a_folder_that_cannot_be_written(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PreconditionFailed) as caught:
        write_file(tmp_path / "file" / "x", b"")
    assert caught.value.reason == "POLICIES_NOT_WRITABLE"
    with pytest.raises(PreconditionFailed) as caught:
        make_folder(tmp_path / "file" / "x")
    assert caught.value.reason == "POLICIES_NOT_WRITABLE"
    agent = world.agent(tmp_path / "police")
    (agent.folder / ".accepted.json.new").mkdir()
    tighten(world)
    with pytest.raises(PreconditionFailed):
        agent.look()
    kept = Trusted(agent.folder, "police").view()
    assert kept is not None
    assert kept.version == 1


class TestOtherBoards:
    def root(self, board: Board, rotations: int) -> bytes:
        """Return the root of a board that renamed a member so many times."""
        world = World(board=board)
        for number in range(rotations):
            text = board.text().replace("Bela of", f"Bela {number} of")
            world.publish({"board.yaml": text})
        return world.repository.root()

    def test_a_stranger_two_versions_ahead(self, agent: Agent) -> None:
        stranger = dataclasses.replace(THREE, keys={e: f"x-{e}" for e in THREE.members})
        for rotations in (0, 1, 2, 3):
            with pytest.raises(Conflict) as caught:
                agent.trusted.pin(self.root(stranger, rotations))
            assert caught.value.reason == "ROOT_PINNED"

    def test_the_same_board_two_versions_ahead_after_a_refresh(
        self, world: World, agent: Agent
    ) -> None:
        for number in range(2):
            text = THREE.text().replace("Bela of", f"Bela {number} of")
            world.publish({"board.yaml": text})
        with pytest.raises(Conflict):
            agent.trusted.pin(world.repository.root())
        agent.look()
        agent.trusted.pin(world.repository.root())


def test_a_founding_says_that_it_follows_nothing() -> None:
    proposal = founding(DOCUMENTS, hub_key=HUB, freshness_key=FRESHNESS)
    for metadata in proposal.metadata.values():
        assert "follows" not in metadata.signed.unrecognized_fields["accord"]
