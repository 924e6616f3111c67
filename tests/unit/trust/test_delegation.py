# SPDX-License-Identifier: Apache-2.0
"""Agreements that parties sign themselves, and emergencies that two people declare."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Targets

from accord.core.errors import ConfigurationError, PolicyDenied
from accord.trust.keys import text_of
from accord.trust.metadata import read_metadata
from accord.trust.proposal import Proposal
from tests.policies import THREE, key
from tests.unit.trust.simulator import (
    BY_PARTIES,
    DECLARATION,
    DOCUMENTS,
    EMERGENCY,
    FRESHNESS,
    PARTIES,
    Agent,
    World,
    agreement,
    signed,
)

TRENDS = "agreements/trends.yaml"
OWN = "agreements/own.yaml"
EMERGENCIES = "emergencies/trends.yaml"
SIGNATORY = {each: key(f"{each}/signatory") for each in PARTIES}
ALICE, BELA, CHIDI = (THREE.key(each) for each in THREE.members)


def own(version: int = 1, *, suppress: int = 10, quorum: int = 2) -> str:
    """Return an agreement that its parties sign themselves."""
    approval = BY_PARTIES.replace("2", str(quorum))
    return agreement("own", version, suppress=suppress, approval=approval)


@pytest.fixture
def world() -> World:
    """Return a world where one agreement was delegated to its parties."""
    world = World()
    pair = [SIGNATORY["health"], SIGNATORY["police"]]
    world.publish({OWN: own()}, keys=pair)
    return world


@pytest.fixture
def agent(world: World, tmp_path: Path) -> Agent:
    """Return an agent that accepted the delegation."""
    return world.agent(tmp_path / "police")


def refused(agent: Agent, reason: str) -> None:
    """Expect that a refresh fails and that the agent stays where it was."""
    before = agent.trusted.view()
    with pytest.raises(PolicyDenied) as caught:
        agent.look()
    assert caught.value.reason == reason
    assert agent.trusted.view() == before


class TestParties:
    def test_both_board_and_parties_sign_the_delegation(self) -> None:
        world = World()
        proposal = world.propose({OWN: own()})
        assert set(proposal.metadata) == {"targets", "agreement-own"}
        (missing,) = [e for e in proposal.standing().missing if "agreement-own" in e]
        assert "2 more" in missing

    def test_parties_alone_change_it(self, world: World, agent: Agent) -> None:
        proposal = world.propose({OWN: own(2, suppress=12)}, signers=[])
        assert set(proposal.metadata) == {"agreement-own"}
        for each in ("shelter", "work"):
            proposal = proposal.sign(SIGNATORY[each])
        assert proposal.standing().missing == ()
        assert proposal.standing().signed == ("shelter", "work")
        world.take(proposal)
        view = agent.look()
        assert (view.version, view.targets_version) == (3, 2)
        assert view.policies.agreements["own"].form.version == 2

    def test_too_few_parties(self, world: World, agent: Agent) -> None:
        proposal = world.propose(
            {OWN: own(2, suppress=12)}, signers=[], keys=[SIGNATORY["work"]]
        )
        world.take(proposal, unchecked=True)
        refused(agent, "POLICY_SIGNATURES_MISSING")

    def test_the_board_in_the_place_of_parties(
        self, world: World, agent: Agent
    ) -> None:
        proposal = world.propose({OWN: own(2, suppress=12)})
        assert not proposal.standing().complete
        world.take(proposal, unchecked=True)
        refused(agent, "POLICY_SIGNATURES_MISSING")

    def test_an_agents_key_is_no_signatory(self, world: World) -> None:
        proposal = world.propose({OWN: own(2, suppress=12)}, signers=[])
        with pytest.raises(PolicyDenied) as caught:
            proposal.sign(key("police"))
        assert caught.value.reason == "NOT_A_SIGNER"

    def test_an_older_version_of_the_delegated_metadata(
        self, world: World, agent: Agent
    ) -> None:
        old = world.files["metadata/1.agreement-own.json"]
        world.publish({OWN: own(2, suppress=12)}, signers=[], keys=SIGNATORY.values())
        agent.look()
        world.point(snapshot={"agreement-own": old})
        refused(agent, "POLICY_ROLLBACK")

    def test_other_content_under_the_same_version(
        self, world: World, agent: Agent
    ) -> None:
        body = json.loads(world.files["metadata/1.agreement-own.json"])["signed"]
        body["expires"] = "2030-01-01T00:00:00Z"
        content = signed(body, SIGNATORY["health"], SIGNATORY["work"])
        world.files["metadata/1.agreement-own.json"] = content
        world.point(snapshot={"agreement-own": content})
        refused(agent, "POLICY_MIXED")

    def test_parties_cannot_sign_another_agreement(
        self, world: World, agent: Agent
    ) -> None:
        body = json.loads(world.files["metadata/1.agreement-own.json"])["signed"]
        targets = json.loads(world.files["metadata/2.targets.json"])["signed"]
        body["targets"][TRENDS] = targets["targets"][TRENDS]
        self.put(world, body)
        refused(agent, "POLICY_MALFORMED")

    def test_parties_cannot_delegate_further(self, world: World, agent: Agent) -> None:
        body = json.loads(world.files["metadata/1.agreement-own.json"])["signed"]
        body["delegations"] = {"keys": {}, "roles": []}
        self.put(world, body)
        refused(agent, "POLICY_MALFORMED")

    @staticmethod
    def put(world: World, body: dict[str, Any]) -> None:
        """Publish a second version of what the parties signed."""
        body.update(version=2)
        body["accord"]["change"] = 3
        content = signed(body, SIGNATORY["health"], SIGNATORY["work"])
        world.files["metadata/2.agreement-own.json"] = content
        world.point(snapshot={"agreement-own": content})

    @pytest.mark.parametrize(
        "change",
        [
            lambda r: r.update(paths=["agreements/*.yaml"]),
            lambda r: r.update(paths=["agreements/trends.yaml"]),
            lambda r: r.update(terminating=False),
            lambda r: r.update(name="anything"),
            lambda r: r.pop("paths") and r.update(path_hash_prefixes=["0"]),
        ],
    )
    def test_a_delegation_of_anything_but_one_document(
        self, world: World, agent: Agent, change: Callable[[dict[str, Any]], object]
    ) -> None:
        body = json.loads(world.files["metadata/2.targets.json"])["signed"]
        body.update(version=3)
        body["accord"]["change"] = 3
        change(body["delegations"]["roles"][0])
        content = signed(body, ALICE, BELA)
        with pytest.raises(PolicyDenied):  # also where the agreement is no concern
            read_metadata(content, Targets, "targets")
        world.files["metadata/3.targets.json"] = content
        world.point(snapshot={"targets": content})
        refused(agent, "POLICY_MALFORMED")

    def test_a_delegation_to_other_keys_than_the_documents_say(
        self, world: World, agent: Agent
    ) -> None:
        body = json.loads(world.files["metadata/2.targets.json"])["signed"]
        body.update(version=3)
        body["accord"]["change"] = 3
        body["delegations"]["roles"][0]["threshold"] = 1
        content = signed(body, ALICE, BELA)
        world.files["metadata/3.targets.json"] = content
        world.point(snapshot={"targets": content})
        refused(agent, "POLICY_MALFORMED")

    def test_fewer_parties_needed_is_for_the_board_too(self, world: World) -> None:
        proposal = world.propose({OWN: own(2, quorum=1)}, signers=[])
        assert set(proposal.metadata) == {"targets", "agreement-own"}

    def test_a_signatory_leaves_and_the_others_had_signed(self, world: World) -> None:
        text = world.repository.documents()["members.yaml"].decode()
        other = text.replace(
            _written("work/signatory"), _written("work/signatory/next")
        )
        proposal = world.propose({"members.yaml": other})
        assert set(proposal.metadata) == {"targets"}

    def test_a_signatory_leaves_who_had_signed(self, world: World) -> None:
        text = world.repository.documents()["members.yaml"].decode()
        other = text.replace(
            _written("health/signatory"), _written("health/signatory/next")
        )
        proposal = world.propose({"members.yaml": other})
        assert set(proposal.metadata) == {"targets", "agreement-own"}

    def test_an_agreement_ends_and_comes_back(self, world: World, agent: Agent) -> None:
        world.publish({OWN: None})
        assert "own" not in agent.look().policies.agreements
        world.publish({OWN: own(3)}, keys=SIGNATORY.values())
        assert agent.look().policies.agreements["own"].form.version == 3
        assert "metadata/2.agreement-own.json" in world.files

    def test_one_that_its_parties_let_expire_ends_alone(
        self, world: World, agent: Agent
    ) -> None:
        later = world.repository.expires
        renewal = Proposal.renewal(world.repository, comment="more", now=later)
        for each in (ALICE, BELA):
            renewal = renewal.sign(each)
        world.now = later
        world.take(renewal)
        view = agent.look()
        assert set(view.policies.agreements) == {"trends"}
        renewal = Proposal.renewal(
            world.repository, comment="we too", now=later, role="agreement-own"
        )
        for party in ("health", "work"):
            renewal = renewal.sign(SIGNATORY[party])
        world.take(renewal)
        assert set(agent.look().policies.agreements) == {"own", "trends"}

    def test_without_enough_signatory_keys(self, world: World) -> None:
        lines = world.repository.documents()["members.yaml"].decode().splitlines()
        kept = [each for each in lines if "signatory:" not in each]
        with pytest.raises(ConfigurationError) as caught:
            world.propose({"members.yaml": "\n".join(kept)})
        assert caught.value.reason == "SIGNATORIES_MISSING"

    def test_two_parties_with_one_signatory_key(self, world: World) -> None:
        text = world.repository.documents()["members.yaml"].decode()
        same = text.replace(_written("work/signatory"), _written("health/signatory"))
        with pytest.raises(ConfigurationError) as caught:
            world.propose({"members.yaml": same})
        assert caught.value.reason == "KEY_REPEATED"


class TestEmergency:
    @pytest.fixture
    def world(self) -> World:
        """Return a world where the agreement has an emergency clause."""
        return World({**DOCUMENTS, TRENDS: agreement(more=EMERGENCY)})

    def test_two_approvers_declare_it(self, world: World, agent: Agent) -> None:
        proposal = world.propose({EMERGENCIES: DECLARATION}, signers=["bela", "chidi"])
        assert set(proposal.metadata) == {"emergency-trends"}
        assert proposal.standing().missing == ()
        world.take(proposal)
        policy = agent.look().policies.policy("trends")
        assert policy is not None
        assert policy.emergency is not None

    def test_one_approver(self, world: World, agent: Agent) -> None:
        proposal = world.propose({EMERGENCIES: DECLARATION}, signers=["bela"])
        assert not proposal.standing().complete
        world.take(proposal, unchecked=True)
        refused(agent, "POLICY_SIGNATURES_MISSING")

    def test_one_approver_and_the_hub(self, world: World, agent: Agent) -> None:
        proposal = world.propose({EMERGENCIES: DECLARATION}, signers=["bela"])
        world.take(proposal, unchecked=True)
        name = "metadata/1.emergency-trends.json"
        world.edit(name, lambda body: body, BELA, FRESHNESS)
        world.point(snapshot={"emergency-trends": world.files[name]})
        refused(agent, "POLICY_SIGNATURES_MISSING")

    def test_it_ends_when_its_approvers_sign_that(
        self, world: World, agent: Agent
    ) -> None:
        world.publish({EMERGENCIES: DECLARATION})
        agent.look()
        world.publish({EMERGENCIES: None}, signers=["alice", "bela"])
        assert not agent.look().policies.emergencies

    def test_it_ends_when_an_approver_is_replaced(
        self, world: World, agent: Agent
    ) -> None:
        world.publish({EMERGENCIES: DECLARATION}, signers=["bela", "chidi"])
        agent.look()
        other = dataclasses.replace(THREE, keys={"bela": "bela/2"})
        proposal = world.propose(
            {"board.yaml": other.text(), EMERGENCIES: None}, keys=[other.key("bela")]
        )
        assert set(proposal.metadata) == {"root", "targets"}
        world.take(proposal)
        assert not agent.look().policies.emergencies

    def test_without_a_clause(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            World({**DOCUMENTS, EMERGENCIES: DECLARATION})
        assert caught.value.reason == "EMERGENCY_UNKNOWN"


def _written(name: str) -> str:
    return text_of(key(name))
