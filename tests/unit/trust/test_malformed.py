# SPDX-License-Identifier: Apache-2.0
"""Signed files of a wrong form, keys that are none, and contact that fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accord.core.errors import (
    AccordError,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
    Unreachable,
)
from accord.trust.keys import text_of
from accord.trust.metadata import key_of
from accord.trust.trusted import Trusted
from tests.policies import THREE, key
from tests.unit.trust.simulator import (
    FRESHNESS,
    HOUR,
    TIMESTAMP,
    Agent,
    World,
    agreement,
    refused,
    signed,
    tighten,
)

TRENDS = "agreements/trends.yaml"
ALICE, BELA, CHIDI = (THREE.key(each) for each in THREE.members)


class TestForm:
    @pytest.mark.parametrize(
        "name", ["timestamp", "2.root", "3.snapshot", "2.targets"], ids=str
    )
    def test_endless_data(self, world: World, agent: Agent, name: str) -> None:
        tighten(world)
        world.files[f"metadata/{name}.json"] = b" " * 1_000_001
        refused(agent, "POLICY_MALFORMED")

    @pytest.mark.parametrize(
        "content",
        [b"", b"{}", b"[]", b"\xff", b"[" * 15_000, b'{"signed": 1, "signatures": []}'],
        ids=lambda each: repr(each[:10]),
    )
    def test_something_else(self, world: World, agent: Agent, content: bytes) -> None:
        world.files[TIMESTAMP] = content
        refused(agent, "POLICY_MALFORMED")

    def test_metadata_of_another_role(self, world: World, agent: Agent) -> None:
        world.files["metadata/2.root.json"] = world.files["metadata/1.targets.json"]
        refused(agent, "POLICY_MALFORMED")

    def test_fast_forward_ends_with_another_freshness_key(
        self, world: World, agent: Agent
    ) -> None:
        """Whoever stole the freshness key raised the version beyond reach."""
        world.edit(TIMESTAMP, lambda s: s.update(version=2**52), FRESHNESS)
        agent.look()
        other = key("freshness/2")
        text = world.repository.documents()["members.yaml"].decode()
        text = text.replace(text_of(FRESHNESS), text_of(other))
        world.files.pop(TIMESTAMP)
        world.publish({"members.yaml": text}, freshness=other)
        assert json.loads(world.files[TIMESTAMP])["signed"]["version"] < 2**52
        assert agent.look().root_version == 2

    @pytest.mark.parametrize(
        "change",
        [
            lambda s: s.update(version=True),
            lambda s: s.update(consistent_snapshot=False),
            lambda s: s["roles"]["root"].update(threshold=4),
            lambda s: s["roles"]["root"]["keyids"].append("0" * 64),
            lambda s: s.pop("accord"),
            lambda s: s["accord"].update(change=0),
            lambda s: s["accord"].update(change="2"),
        ],
    )
    def test_a_root_that_leaves_room_for_another_reading(
        self,
        world: World,
        agent: Agent,
        change: Callable[[dict[str, Any]], object],
    ) -> None:
        def both(body: dict[str, Any]) -> None:
            body.update(version=2)
            change(body)

        content = world.edit("metadata/1.root.json", both, ALICE, BELA, CHIDI)
        world.files["metadata/2.root.json"] = content
        refused(agent, "POLICY_MALFORMED")

    def test_one_public_key_under_two_ids(self, world: World, agent: Agent) -> None:
        def doubled(body: dict[str, Any]) -> None:
            body.update(version=2)
            alias = body["keys"][key_of(text_of(ALICE)).keyid]
            body["keys"]["f" * 64] = alias
            body["roles"]["root"]["keyids"].append("f" * 64)

        content = world.edit("metadata/1.root.json", doubled, ALICE, BELA)
        world.files["metadata/2.root.json"] = content
        refused(agent, "POLICY_MALFORMED")

    def test_one_public_key_written_in_two_ways(
        self, world: World, agent: Agent
    ) -> None:
        def shouted(body: dict[str, Any]) -> None:
            body.update(version=2)
            own = body["keys"][key_of(text_of(ALICE)).keyid]
            public = own["keyval"]["public"].upper()
            body["keys"]["e" * 64] = {**own, "keyval": {"public": public}}
            body["roles"]["root"]["keyids"].append("e" * 64)

        content = world.edit("metadata/1.root.json", shouted, ALICE, BELA)
        world.files["metadata/2.root.json"] = content
        refused(agent, "POLICY_MALFORMED")

    @pytest.mark.parametrize("kind", ["rsa", "ecdsa", "sigstore-oidc", "unknown"])
    def test_a_key_of_another_kind(self, world: World, agent: Agent, kind: str) -> None:
        def other(body: dict[str, Any]) -> None:
            body.update(version=2)
            body["keys"]["a" * 64] = {
                "keytype": kind,
                "scheme": "rsassa-pss-sha256" if kind == "rsa" else "x",
                "keyval": {"public": "00", "identity": "a", "issuer": "b"},
            }

        content = world.edit("metadata/1.root.json", other, ALICE, BELA)
        world.files["metadata/2.root.json"] = content
        refused(agent, "POLICY_MALFORMED")

    def test_a_root_with_other_keys_than_the_board_document(
        self, world: World, agent: Agent
    ) -> None:
        """The board signed it, but not what its members read in ``board.yaml``."""
        body = json.loads(world.files["metadata/1.root.json"])["signed"]
        body.update(version=2)
        body["accord"]["change"] = 2
        body["roles"]["targets"]["threshold"] = 1
        content = signed(body, ALICE, BELA)
        world.files["metadata/2.root.json"] = content
        proposal = world.propose({TRENDS: agreement(version=2, suppress=12)})
        world.take(proposal, unchecked=True)
        refused(agent, "POLICY_MALFORMED")


class TestContact:
    def test_without_a_pinned_board_nothing_is_believed(
        self, world: World, tmp_path: Path
    ) -> None:
        with pytest.raises(PreconditionFailed) as caught:
            Trusted(tmp_path / "new", "police").refresh(world.fetch, world.now)
        assert caught.value.reason == "BOARD_NOT_PINNED"

    def test_another_network_with_the_same_names(
        self, world: World, agent: Agent
    ) -> None:
        """Everything of another board, hub included, is refused."""
        board = type(THREE)(keys={each: f"other/{each}" for each in THREE.members})
        other = World(board=board, freshness=key("other/freshness"))
        other.now += 10 * HOUR
        other.vouch()
        world.files = other.files
        refused(agent, "POLICY_SIGNATURES_MISSING")

    @pytest.mark.parametrize("error", [Unreachable, NotFound, PolicyDenied])
    def test_an_interrupted_fetch_changes_nothing(
        self, world: World, agent: Agent, error: type[AccordError]
    ) -> None:
        tighten(world)
        before = agent.trusted.view()
        kept = (agent.folder / "accepted.json").read_bytes()
        world.fetched.clear()
        copied = shutil.copytree(agent.folder, agent.folder.parent / "copy")
        Trusted(copied, "police").refresh(world.fetch, world.now)
        for last in list(world.fetched):
            if error is NotFound and last.endswith("root.json"):
                continue  # that is how a hub says that there is none

            def broken(name: str, last: str = last) -> bytes:
                if name == last:
                    raise error("CUT", "The line was cut.")
                return world.fetch(name)

            with pytest.raises(AccordError):
                Trusted(agent.folder, "police").refresh(broken, world.now)
            assert (agent.folder / "accepted.json").read_bytes() == kept
        assert agent.trusted.view() == before
        assert agent.trusted.trouble() is None
        assert agent.look().version == 2
