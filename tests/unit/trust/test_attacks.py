# SPDX-License-Identifier: Apache-2.0
"""What a hub, or somebody who holds some of the keys, might try on an agency.

One test for each defect, named by it. Whatever is refused leaves the last accepted
policies in place, says one reason, and is noted until a refresh succeeds.
"""

from __future__ import annotations

import datetime
import json

import pytest

from accord.core.errors import (
    Unreachable,
)
from accord.trust.keys import text_of
from accord.trust.metadata import key_of
from accord.trust.repository import Repository
from accord.trust.trusted import Trusted
from tests.policies import THREE, key
from tests.unit.trust.simulator import (
    DOCUMENTS,
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
MALLORY = key("mallory")


class TestHonest:
    def test_first_contact_accepts_what_concerns_the_agency(self, agent: Agent) -> None:
        view = agent.trusted.view()
        assert view is not None
        assert set(view.documents) == {"board.yaml", *DOCUMENTS}
        assert (view.version, view.targets_version, view.root_version) == (1, 1, 1)
        assert view.fresh_until == agent.world.now + 24 * HOUR
        assert agent.trusted.trouble() is None

    def test_a_change_is_accepted(self, world: World, agent: Agent) -> None:
        tighten(world)
        view = agent.look()
        assert view.version == 2
        assert view.policies.agreements["trends"].form.version == 2
        assert Trusted(agent.folder, "police").view() == view

    def test_nothing_new_fetches_two_names_and_writes_nothing(
        self, world: World, agent: Agent
    ) -> None:
        written = (agent.folder / "accepted.json").stat().st_mtime_ns
        world.fetched.clear()
        agent.look()
        assert world.fetched == ["metadata/2.root.json", TIMESTAMP]
        assert (agent.folder / "accepted.json").stat().st_mtime_ns == written

    def test_other_agencies_agreements_are_not_fetched(
        self, world: World, agent: Agent
    ) -> None:
        others = ["health", "hotline", "shelter", "work"]
        world.publish(
            {
                "agreements/others.yaml": agreement("others", parties=others),
                "models/tiny-2.yaml": DOCUMENTS["models/tiny-1.yaml"].replace(
                    "-1", "-2"
                ),
            }
        )
        world.fetched.clear()
        view = agent.look()
        assert view.version == 2
        assert "agreements/others.yaml" not in view.documents
        assert "models/tiny-2.yaml" not in view.documents
        assert not [each for each in world.fetched if each.startswith("targets/")]

    def test_a_good_refresh_clears_the_trouble(
        self, world: World, agent: Agent
    ) -> None:
        good = world.files[TIMESTAMP]
        world.files[TIMESTAMP] = b"{}"
        refused(agent, "POLICY_MALFORMED")
        world.files[TIMESTAMP] = good
        agent.look()
        assert agent.trusted.trouble() is None

    def test_a_hub_restored_from_an_old_copy_goes_on(
        self, world: World, agent: Agent
    ) -> None:
        old = world.files[TIMESTAMP]
        for _ in range(3):
            world.vouch()
        agent.look()
        world.files[TIMESTAMP] = old
        world.vouch()
        assert agent.look().fresh_until == world.now + 24 * HOUR


class TestRollback:
    def test_older_timestamp(self, world: World, agent: Agent) -> None:
        old = world.files[TIMESTAMP]
        world.vouch()
        agent.look()
        world.files[TIMESTAMP] = old
        refused(agent, "POLICY_ROLLBACK")

    def test_older_snapshot_under_a_newer_timestamp(
        self, world: World, agent: Agent
    ) -> None:
        old = json.loads(world.files[TIMESTAMP])["signed"]["meta"]
        tighten(world)
        agent.look()
        world.edit(
            TIMESTAMP,
            lambda s: s.update(meta=old, version=s["version"] + 1),
            FRESHNESS,
        )
        refused(agent, "POLICY_ROLLBACK")

    def test_older_targets_under_a_newer_snapshot(
        self, world: World, agent: Agent
    ) -> None:
        old = world.files["metadata/1.targets.json"]
        tighten(world)
        agent.look()
        world.point(snapshot={"targets": old})
        refused(agent, "POLICY_ROLLBACK")

    def test_a_file_that_the_snapshot_leaves_out(
        self, world: World, agent: Agent
    ) -> None:
        world.point(snapshot={"targets": None})
        refused(agent, "POLICY_ROLLBACK")

    def test_older_root(self, world: World, agent: Agent) -> None:
        world.files["metadata/2.root.json"] = world.files["metadata/1.root.json"]
        refused(agent, "POLICY_ROLLBACK")

    def test_agreement_with_a_lower_version(self, world: World, agent: Agent) -> None:
        world.publish({TRENDS: agreement(version=3, suppress=11)})
        agent.look()
        world.take(
            world.propose({TRENDS: agreement(version=2, suppress=12)}), unchecked=True
        )
        refused(agent, "POLICY_ROLLBACK")

    def test_another_text_under_the_same_agreement_version(
        self, world: World, agent: Agent
    ) -> None:
        world.take(
            world.propose({TRENDS: agreement(version=1, suppress=12)}), unchecked=True
        )
        refused(agent, "POLICY_VERSION_REUSED")


class TestFreeze:
    def test_expired_timestamp(self, agent: Agent) -> None:
        refused(agent, "POLICY_EXPIRED", hours=24)

    def test_the_same_timestamp_for_ever_tells_until_when_it_counts(
        self, world: World, agent: Agent
    ) -> None:
        first = agent.look(hours=1)
        assert agent.look(hours=23).fresh_until == first.fresh_until
        assert first.fresh_until == world.now + 24 * HOUR

    def test_the_clock_that_counts_is_the_callers(self, agent: Agent) -> None:
        """A private attribute of python-tuf's state machine: this notices its end."""
        agent.look(hours=23, minutes=59)
        refused(agent, "POLICY_EXPIRED", days=100_000)
        agent.look(hours=23, minutes=59)

    def test_expired_targets_although_the_hub_vouches_for_them(
        self, world: World, agent: Agent
    ) -> None:
        world.now += datetime.timedelta(days=401)
        world.vouch()
        refused(agent, "POLICY_EXPIRED")

    def test_a_timestamp_that_lives_for_centuries_counts_for_a_day(
        self, world: World, agent: Agent
    ) -> None:
        world.edit(
            TIMESTAMP,
            lambda s: s.update(
                expires="2999-01-01T00:00:00Z", version=s["version"] + 1
            ),
            FRESHNESS,
        )
        seen = world.now
        assert agent.look().fresh_until == seen + 24 * HOUR
        assert agent.look(hours=20).fresh_until == seen + 24 * HOUR
        again = Trusted(agent.folder, "police")
        kept = again.view()
        assert kept is not None
        assert kept.fresh_until == seen + 24 * HOUR
        refused(agent, "POLICY_EXPIRED", days=401)


class TestSignatures:
    def test_too_few_of_the_board(self, world: World, agent: Agent) -> None:
        proposal = world.propose({TRENDS: agreement(version=2)}, signers=["alice"])
        world.take(proposal, unchecked=True)
        refused(agent, "POLICY_SIGNATURES_MISSING")

    def test_one_signature_twice(self, world: World, agent: Agent) -> None:
        proposal = world.propose({TRENDS: agreement(version=2)}, signers=["alice"])
        world.take(proposal, unchecked=True)
        name = world.newest("targets")
        found = json.loads(world.files[name])
        found["signatures"] *= 2
        world.files[name] = json.dumps(found).encode()
        world.point(snapshot={"targets": world.files[name]})
        refused(agent, "POLICY_MALFORMED")

    def test_one_signature_under_another_members_id(
        self, world: World, agent: Agent
    ) -> None:
        proposal = world.propose({TRENDS: agreement(version=2)}, signers=["alice"])
        world.take(proposal, unchecked=True)
        name = world.newest("targets")
        found = json.loads(world.files[name])
        (one,) = found["signatures"]
        found["signatures"].append({**one, "keyid": key_of(text_of(BELA)).keyid})
        world.files[name] = json.dumps(found).encode()
        world.point(snapshot={"targets": world.files[name]})
        refused(agent, "POLICY_SIGNATURES_MISSING")

    def test_a_foreign_key_beside_a_true_one(self, world: World, agent: Agent) -> None:
        world.edit(
            world.newest("targets"), lambda s: s.update(version=2), ALICE, MALLORY
        )
        content = world.files["metadata/1.targets.json"]
        world.files["metadata/2.targets.json"] = content
        world.point(snapshot={"targets": content})
        refused(agent, "POLICY_SIGNATURES_MISSING")

    def test_targets_signed_by_the_hub(self, world: World, agent: Agent) -> None:
        content = world.edit(
            world.newest("targets"), lambda s: s.update(version=2), FRESHNESS
        )
        world.files["metadata/2.targets.json"] = content
        world.point(snapshot={"targets": content})
        refused(agent, "POLICY_SIGNATURES_MISSING")

    @pytest.mark.parametrize("role", ["timestamp", "snapshot"])
    def test_freshness_signed_by_the_board(
        self, world: World, agent: Agent, role: str
    ) -> None:
        if role == "timestamp":
            world.edit(
                TIMESTAMP, lambda s: s.update(version=s["version"] + 1), ALICE, BELA
            )
        else:
            world.freshness = ALICE
            world.point()
            world.files[TIMESTAMP] = signed(
                json.loads(world.files[TIMESTAMP])["signed"], FRESHNESS
            )
        refused(agent, "POLICY_SIGNATURES_MISSING")

    def test_what_is_signed_was_changed_afterwards(
        self, world: World, agent: Agent
    ) -> None:
        tighten(world)
        name = world.newest("targets")
        found = json.loads(world.files[name])
        found["signed"]["expires"] = "2030-01-01T00:00:00Z"
        world.files[name] = json.dumps(found).encode()
        world.point(snapshot={"targets": world.files[name]})
        refused(agent, "POLICY_SIGNATURES_MISSING")


class TestMixAndMatch:
    def test_targets_of_another_digest(self, world: World, agent: Agent) -> None:
        tighten(world)
        world.files[world.newest("targets")] += b" "
        refused(agent, "POLICY_MIXED")

    def test_targets_of_another_version(self, world: World, agent: Agent) -> None:
        first = world.files["metadata/1.targets.json"]
        tighten(world)
        world.files[world.newest("targets")] = first
        refused(agent, "POLICY_MIXED")

    def test_snapshot_of_another_digest(self, world: World, agent: Agent) -> None:
        tighten(world)
        (name,) = [n for n in world.files if n.endswith("3.snapshot.json")]
        world.files[name] += b" "
        refused(agent, "POLICY_MIXED")

    def test_a_document_of_another_digest(self, world: World, agent: Agent) -> None:
        tighten(world)
        for name in world.files:
            if name.startswith("targets/agreements/"):
                world.files[name] = agreement(version=2, suppress=0).encode()
        refused(agent, "POLICY_MIXED")

    def test_a_snapshot_that_lies_about_a_version(
        self, world: World, agent: Agent
    ) -> None:
        content = world.files["metadata/1.targets.json"]
        world.files["metadata/7.targets.json"] = content
        world.point(snapshot={"targets": 7})
        refused(agent, "POLICY_MIXED")

    @pytest.mark.parametrize("what", ["targets", "targets/agreements", "snapshot"])
    def test_a_file_that_is_not_handed_out_is_no_trust_failure(
        self, world: World, agent: Agent, what: str
    ) -> None:
        tighten(world)
        before = agent.trusted.view()
        for name in list(world.files):
            if name.endswith(f"{what}.json") or name.startswith(f"{what}/"):
                del world.files[name]
        with pytest.raises(Unreachable) as caught:
            agent.look()
        assert caught.value.reason == "POLICIES_INCOMPLETE"
        assert agent.trusted.view() == before
        assert agent.trusted.trouble() is None


class TestEquivocation:
    def fork(self, world: World) -> tuple[Repository, Repository]:
        """Let the board sign two second versions."""
        one = world.propose({TRENDS: agreement(version=2, suppress=12)})
        other = world.propose({TRENDS: agreement(version=2, suppress=11)})
        return one.onto(world.repository), other.onto(world.repository)

    def test_the_second_of_two_versions_two(self, world: World, agent: Agent) -> None:
        one, other = self.fork(world)
        world.vouch(one)
        agent.look()
        world.vouch(other)
        refused(agent, "POLICY_MIXED")

    def test_the_second_under_a_raised_snapshot(
        self, world: World, agent: Agent
    ) -> None:
        one, other = self.fork(world)
        world.vouch(one)
        agent.look()
        world.vouch(other)
        world.point(snapshot={})
        refused(agent, "POLICY_MIXED")

    def test_a_newer_version_with_the_number_of_an_older_change(
        self, world: World, agent: Agent
    ) -> None:
        tighten(world)
        agent.look()
        body = json.loads(world.files[world.newest("targets")])["signed"]
        body["version"] = 3
        content = signed(body, ALICE, BELA)
        world.files["metadata/3.targets.json"] = content
        world.point(snapshot={"targets": content})
        refused(agent, "POLICY_ROLLBACK")
