# SPDX-License-Identifier: Apache-2.0
"""What a signature says of the policies that its signer compared a change with.

Bela and chidi reach the threshold, and have no seat. With a hub that does not look they
publish what agencies pass over, and let the seat's holder sign on top of it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from accord.core.errors import InvalidQuery, PolicyDenied, Unreachable
from accord.trust.history import accept_newest
from accord.trust.metadata import follows_of
from accord.trust.proposal import Proposal
from accord.trust.proposal_file import from_file, to_file
from accord.trust.repository import Repository
from accord.trust.trusted import Trusted
from tests.policies import key
from tests.unit.trust.simulator import (
    BY_PARTIES,
    PARTIES,
    Agent,
    World,
    agreement,
    refused,
    tighten,
)

TRENDS = "agreements/trends.yaml"
TWO = ("bela", "chidi")
SIGNATORY = {each: key(f"{each}/signatory") for each in PARTIES}


def trends(agent: Agent) -> int:
    """Return how small groups may be that the agent answers about."""
    view = agent.trusted.view()
    assert view is not None
    found = view.policies.agreements["trends"].form.protect.suppress_below
    assert found is not None
    return found


def loosen_alone(world: World, suppress: int = 1) -> Repository:
    """Publish a loosening that the seat's holder did not sign."""
    proposal = world.propose(
        {TRENDS: agreement(version=2, suppress=suppress)}, signers=TWO
    )
    assert not proposal.standing().complete
    return world.take(proposal, unchecked=True)


class TestBases:
    def test_all_new_metadata_say_what_they_follow(self, world: World) -> None:
        first = world.repository
        assert follows_of(first.state.targets.signed, "targets") is None
        proposal = world.propose({"agreements/own.yaml": own()})
        assert set(proposal.metadata) == {"agreement-own", "targets"}
        assert {
            follows_of(each.signed, role) for role, each in proposal.metadata.items()
        } == {first.id}

    def test_another_base_gives_other_words(self, world: World) -> None:
        """Two bases that lead to the very same new documents."""
        one = world.repository
        other = {
            **one.files,
            **world.propose({TRENDS: agreement(version=2, suppress=11)}).files(),
        }
        after = {**one.documents(), TRENDS: agreement(version=3, suppress=12).encode()}
        words = {
            Proposal.change(base, after, comment="c", now=world.now).words
            for base in (one, Repository(other).newest_only())
        }
        assert len(words) == 2

    def test_a_seat_that_signed_on_a_base_nobody_accepted(
        self, world: World, agent: Agent
    ) -> None:
        """Looser in sum, although it looked tighter to the seat's holder."""
        loosen_alone(world)
        refused(agent, "POLICY_SEAT_MISSING")
        world.publish({TRENDS: agreement(version=3, suppress=2)})
        refused(agent, "POLICY_SEAT_MISSING")
        assert trends(agent) == 10

    def test_a_tightening_in_sum_is_accepted_on_any_base(
        self, world: World, agent: Agent
    ) -> None:
        loosen_alone(world)
        world.publish({TRENDS: agreement(version=3, suppress=12)}, signers=TWO)
        agent.look()
        assert trends(agent) == 12
        world.publish({TRENDS: agreement(version=4, suppress=5)})
        agent.look()
        assert trends(agent) == 5

    def test_too_few_sign_a_tightening_on_a_base_nobody_accepted(
        self, world: World, agent: Agent
    ) -> None:
        approval = "{quorum: 3, loosening_needs: [survivor representative]}"
        world.publish({TRENDS: agreement(version=2, suppress=10, approval=approval)})
        agent.look()
        world.take(
            world.propose(
                {TRENDS: agreement(version=3, suppress=1, approval=approval)},
                signers=TWO,
            ),
            unchecked=True,
        )
        world.take(
            world.propose(
                {TRENDS: agreement(version=4, suppress=12, approval=approval)},
                signers=TWO,
            ),
            unchecked=True,
        )
        refused(agent, "POLICY_SIGNATURES_MISSING")

    def test_a_hub_that_takes_back_what_was_not_allowed(
        self, world: World, agent: Agent
    ) -> None:
        """Agencies never kept it, so it is no rollback to them."""
        honest, files = world.repository, dict(world.files)
        loosen_alone(world)
        refused(agent, "POLICY_SEAT_MISSING")
        world.repository, world.files = honest, files
        world.vouch()
        world.publish({TRENDS: agreement(version=2, suppress=5)})
        agent.look()
        assert trends(agent) == 5

    def test_a_member_of_the_board_cannot_leave_by_such_a_base(
        self, world: World, agent: Agent
    ) -> None:
        board = dataclasses.replace(world.board, members=("alice", "bela", "dora"))
        world.take(
            world.propose(
                {"board.yaml": board.text()}, signers=TWO, keys=[board.key("dora")]
            ),
            unchecked=True,
        )
        world.board = board
        world.publish({TRENDS: agreement(version=2, suppress=12)})
        refused(agent, "POLICY_SEAT_MISSING")

    def test_a_file_whose_change_follows_another_base(self, world: World) -> None:
        proposal = world.propose({TRENDS: agreement(version=2, suppress=12)})
        found = json.loads(to_file(proposal))
        (name,) = found["metadata"]
        text = found["metadata"][name]
        assert world.repository.id in text
        found["metadata"][name] = text.replace(world.repository.id, "0" * 64)
        with pytest.raises(InvalidQuery) as caught:
            from_file(json.dumps(found).encode(), "it")
        assert caught.value.reason == "PROPOSAL_MALFORMED"


class TestFirstContact:
    def test_a_members_new_machine_passes_over_what_was_not_allowed(
        self, world: World, tmp_path: Path
    ) -> None:
        root = world.repository.root()
        loosen_alone(world)
        member = Trusted(tmp_path / "alice", None)
        member.pin(root)
        with pytest.raises(PolicyDenied) as caught:
            member.refresh(world.fetch, world.now)
        assert caught.value.reason == "POLICY_SEAT_MISSING"
        assert member.view() is None

    def test_a_members_new_machine_accepts_a_long_honest_past(
        self, world: World, tmp_path: Path
    ) -> None:
        first = world.repository.root()
        world.publish({"agreements/own.yaml": own()}, keys=SIGNATORY.values())
        world.publish({TRENDS: agreement(version=2, suppress=5)})
        board = dataclasses.replace(world.board, members=("alice", "bela", "dora"))
        world.publish({"board.yaml": board.text()}, keys=[board.key("dora")])
        world.board = board
        second = world.repository.root()
        world.publish({"agreements/own.yaml": None})
        world.publish({TRENDS: agreement(version=3, suppress=7)})
        for number, root in enumerate((first, second)):
            member = Trusted(tmp_path / str(number), None)
            member.pin(root)
            member.refresh(world.fetch, world.now)
            assert member.repository().id == world.repository.id

    def test_a_hub_that_withholds_the_past_from_a_member(
        self, world: World, tmp_path: Path
    ) -> None:
        root = world.repository.root()
        loosen_alone(world)
        del world.files["metadata/1.targets.json"]
        member = Trusted(tmp_path / "alice", None)
        member.pin(root)
        with pytest.raises(Unreachable) as caught:
            member.refresh(world.fetch, world.now)
        assert caught.value.reason == "POLICIES_INCOMPLETE"


def own(version: int = 1, suppress: int = 10) -> str:
    """Return an agreement that its parties sign themselves."""
    return agreement("own", version, suppress=suppress, approval=BY_PARTIES)


def test_an_agency_that_was_away_when_an_agreement_was_delegated(
    world: World, agent: Agent
) -> None:
    """It was delegated and tightened in the meantime, by other parties each time."""
    world.publish(
        {"agreements/own.yaml": own()},
        keys=[SIGNATORY["health"], SIGNATORY["police"]],
    )
    world.publish(
        {"agreements/own.yaml": own(2, 12)},
        signers=[],
        keys=[SIGNATORY["health"], SIGNATORY["work"]],
    )
    assert agent.look().policies.agreements["own"].form.version == 2


def test_what_is_held_is_not_looked_at_again(world: World, agent: Agent) -> None:
    tighten(world)
    agent.look()
    state = agent.trusted._held  # the same object, not an equal one
    assert state is not None
    held = state.accepted
    assert accept_newest(held, held.state, (), world.fetch, "police") is held
