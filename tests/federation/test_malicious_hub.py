# SPDX-License-Identifier: Apache-2.0
"""A hub that tries to see one agency's figures gets refusals and random bytes.

Real agents, over mutual TLS, of an agreement under which the hub may see exact pooled
sums, so that only the masks protect an agency. Each attack ends alike: agencies refuse
with a closed reason, which their staff is shown where an honest hub gives no cause for
it; no account is charged for what was not opened; and whatever the hub combines of
what it was told is uniform.
"""

from __future__ import annotations

import dataclasses
import datetime
import shutil
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from accord.core.errors import AccordError
from accord.core.privacy import DiscreteGaussian
from accord.rpc.codec import sign_requisition
from accord.rpc.rounds import ready_from_message
from accord.secagg.keys import SecretKeys
from accord.secagg.masks import vector_bytes
from accord.secagg.messages import Ready, commit_input
from accord.secagg.opening import check_vector
from accord.v1 import agent_pb2
from tests import policies
from tests.federation import insider
from tests.federation.malicious_hub import (
    Asking,
    MaliciousHub,
    Refused,
    Reply,
    looks_uniform,
    reasons,
    receipts_of,
    signed,
)
from tests.federation.network import Network
from tests.federation.processes import wait_until
from tests.federation.relays import MessageRelay
from tests.federation.small_world import AGENCIES, THREE, SmallWorld, gender_of

pytestmark = pytest.mark.federation

SUM_OF_ALL = f"0:{'+'.join(AGENCIES)}"
"""What a hub may open that has asked one question of everybody."""

OTHERS = AGENCIES[3:]
"""Who sits out in the fallback cohort: it is ``THREE``."""


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones() as made:
        yield made


@pytest.fixture(scope="module")
def standing(network: Network) -> Iterator[MessageRelay]:
    with MessageRelay(network) as relay:
        for label in AGENCIES:
            network.route(label, relay.port)
        network.start()
        yield relay
        network.stop()


@pytest.fixture
def relay(standing: MessageRelay) -> Iterator[MessageRelay]:
    standing.reset()
    yield standing
    standing.reset()


@pytest.fixture
def hub(network: Network, relay: MessageRelay) -> MaliciousHub:
    return MaliciousHub(network, relay)


def restart(network: Network, label: str) -> None:
    network.agents[label].kill()
    network.start_agent(label)


def exact(world: SmallWorld, asking: Asking, agencies: tuple[str, ...]) -> list[int]:
    """Return what these agencies' vectors add up to, but for the last two entries."""
    truth = world.persons(agencies, lambda case: (gender_of(case), "unknown"))
    cells = asking.terms.layout.cells()
    return [4 * truth.get(tuple(cell), 0) for cell in cells]


def swapped(ready: Ready, key: bytes) -> Ready:
    return dataclasses.replace(ready, ephemeral_key=key)


def fresh_key() -> bytes:
    return X25519PrivateKey.generate().public_key().public_bytes_raw()


def signed_in(heard: Mapping[str, Reply]) -> dict[str, tuple[bytes, bytes]]:
    """Return keys and signatures; what an agency lacks may come in between."""
    return {
        label: (ready.ephemeral_key, ready.signature)
        for label, ready in heard.items()
        if isinstance(ready, agent_pb2.Ready)
    }


def replaced(given: list[Ready], made: Ready) -> list[Ready]:
    """Put a ready in the place of its agency's."""
    return [made if each.agency == made.agency else each for each in given]


class TestTheGuesses:
    """They find what can be opened, so finding nothing means something."""

    def test_an_honest_round_opens_to_the_exact_sum(
        self, hub: MaliciousHub, world: SmallWorld
    ) -> None:
        asking = hub.ask()
        receipts = hub.masked(asking)
        seen = receipts[0].transcript
        assert not hub.found()
        hub.receipts(asking, AGENCIES[:-1], receipts)
        # all seeds but one: still nothing
        assert not hub.found()
        hub.receipts(asking, AGENCIES[-1:], receipts)
        found = hub.opened(seen)
        assert list(found[:-2]) == exact(world, asking, AGENCIES)
        hub.assert_opened(dict.fromkeys(AGENCIES, 1), SUM_OF_ALL)

    def test_figures_of_one_agency_would_be_seen(
        self, hub: MaliciousHub, world: SmallWorld
    ) -> None:
        asking = hub.ask()
        for label in AGENCIES:
            words = np.array(exact(world, asking, (label,)), np.int64).view(np.uint64)
            assert not looks_uniform(words)


class TestSubCohorts:
    def test_two_cohorts_in_one_attempt(self, hub: MaliciousHub) -> None:
        """S is masked; then the listed cohort without two is called."""
        asking = hub.ask()
        readies = hub.ready(asking)
        hub.cohorts(asking, AGENCIES, readies)
        smaller = [each for each in readies if each.agency in THREE]
        heard = hub.cohorts(asking, THREE, smaller, cohort="fallback")
        assert reasons(heard) == {"COHORT_CHANGED"}
        assert all("COHORT_CHANGED" in hub.doubts(label) for label in THREE)
        hub.assert_in_vain()
        # its staff reads the same
        status = hub.network.agent_command("alpha", "status")
        doubts = {doubt["reason"] for doubt in status["policies"]["suspicions"]}
        assert "COHORT_CHANGED" in doubts

    def test_receipts_of_a_part_of_the_cohort(self, hub: MaliciousHub) -> None:
        asking = hub.ask()
        receipts = hub.masked(asking)
        smaller = [each for each in receipts if each.agency in THREE]
        heard = hub.receipts(asking, THREE, smaller)
        assert reasons(heard) == {"INCOMPLETE_COHORT"}
        assert all("INCOMPLETE_COHORT" in hub.doubts(label) for label in THREE)
        hub.assert_in_vain()

    @pytest.mark.parametrize(
        ("cohort", "reason"),
        [
            ("most", "COHORT_NOT_PERMITTED"),
            ("all", "INCOMPLETE_COHORT"),
            ("fallback", "READY_INVALID"),
        ],
    )
    def test_a_cohort_without_one(
        self, hub: MaliciousHub, cohort: str, reason: str
    ) -> None:
        """Whatever it is called: no agreement lists all but one agency."""
        asking = hub.ask()
        readies = hub.ready(asking)[:-1]
        heard = hub.cohorts(asking, THREE, readies, cohort=cohort)
        assert reasons(heard) == {reason}
        hub.assert_in_vain()

    def test_a_requisition_for_a_cohort_without_one(self, hub: MaliciousHub) -> None:
        asking = hub.ask(members=AGENCIES[:-1])
        heard = hub.requisitions(asking, AGENCIES)
        assert reasons(heard) == {"COHORT_NOT_PERMITTED"}
        hub.assert_in_vain()

    def test_a_cohort_that_grows_afterwards(self, hub: MaliciousHub) -> None:
        """It was asked for three; the other two have never heard of it."""
        asking = hub.ask(cohort="fallback")
        readies = hub.ready(asking, "fallback")
        heard = hub.cohorts(asking, THREE, readies, cohort="all")
        assert reasons(heard) == {"COHORT_NOT_PERMITTED"}
        heard = hub.cohorts(asking, OTHERS, readies, cohort="all")
        assert reasons(heard) == {"OUT_OF_ORDER"}
        hub.assert_in_vain()


class TestDropOuts:
    def test_a_claimed_drop_out_whose_vector_is_kept(
        self, hub: MaliciousHub, world: SmallWorld
    ) -> None:
        """Attempt 1 has everybody's vector; attempt 2 is opened without two of them.

        The two are told that attempt 1 is opened, and believe it: nothing contradicts
        it. What it takes to open attempt 1 is erased at the three.
        """
        asking = hub.ask()
        first = hub.masked(asking)
        second = hub.masked(asking, "fallback", attempt=2)
        heard = hub.receipts(asking, THREE, first)
        assert reasons(heard) == {"OUT_OF_ORDER"}
        hub.receipts(asking, THREE, second, attempt=2)
        found = hub.opened(second[0].transcript)
        assert list(found[:-2]) == exact(world, asking, THREE)
        heard = hub.receipts(asking, OTHERS, first)
        assert not any(isinstance(reply, Refused) for reply in heard.values())
        heard = hub.receipts(asking, THREE, first)
        assert reasons(heard) == {"ALREADY_OPENED"}
        # the one sum that all of its members agreed to open, and nothing else
        hub.assert_opened(dict.fromkeys(AGENCIES, 1), f"1:{'+'.join(THREE)}")

    def test_a_second_cohort_after_the_first_was_opened(
        self, hub: MaliciousHub
    ) -> None:
        asking = hub.ask()
        receipts = hub.masked(asking)
        hub.receipts(asking, AGENCIES, receipts)
        heard = hub.requisitions(asking, THREE, attempt=2)
        assert reasons(heard) == {"ALREADY_OPENED"}
        assert all("ALREADY_OPENED" in hub.doubts(label) for label in THREE)
        hub.assert_opened(dict.fromkeys(AGENCIES, 1), SUM_OF_ALL)

    def test_an_earlier_attempt_comes_back(self, hub: MaliciousHub) -> None:
        """What was erased for the second attempt is not made again for the first."""
        asking = hub.ask()
        readies = hub.ready(asking)
        receipts = receipts_of(hub.cohorts(asking, AGENCIES, readies))
        hub.ready(asking, attempt=2)
        for heard in (
            hub.requisitions(asking, AGENCIES, attempt=1),
            hub.cohorts(asking, AGENCIES, readies, attempt=1),
            hub.receipts(asking, AGENCIES, receipts, attempt=1),
        ):
            assert reasons(heard) == {"OUT_OF_ORDER"}
        hub.assert_in_vain()


class TestEquivocation:
    def test_two_cohorts_to_two_groups(self, hub: MaliciousHub) -> None:
        """Three are shown the small cohort, two the large one; each masks."""
        asking = hub.ask()
        readies = hub.ready(asking)
        smaller = [each for each in readies if each.agency in THREE]
        small = receipts_of(hub.cohorts(asking, THREE, smaller, cohort="fallback"))
        large = receipts_of(hub.cohorts(asking, OTHERS, readies))
        assert small[0].transcript != large[0].transcript
        heard = hub.receipts(asking, OTHERS, [*small, *large])
        assert reasons(heard) == {"EQUIVOCATION"}
        assert all("EQUIVOCATION" in hub.doubts(label) for label in OTHERS)
        hub.assert_in_vain()

    def test_two_fresh_keys_of_an_agency_in_league_with_it(
        self, network: Network, hub: MaliciousHub
    ) -> None:
        """Echo signs two; one half of the others is shown this, one half that."""
        echo = insider.secret_keys(network, "echo")
        asking = hub.ask()
        readies = hub.ready(asking)
        other = replaced(readies, signed(echo, swapped(readies[-1], fresh_key())))
        one = receipts_of(hub.cohorts(asking, ["alpha", "bravo"], readies))
        two = receipts_of(hub.cohorts(asking, ["charlie", "delta"], other))
        last = dataclasses.replace(one[0], agency="echo")
        mine = dataclasses.replace(last, signature=echo.sign(last.body()))
        heard = hub.receipts(asking, AGENCIES[:2], [*one, *two, mine])
        assert reasons(heard) == {"EQUIVOCATION"}
        hub.assert_in_vain()

    def test_two_questions_under_one_id(self, hub: MaliciousHub) -> None:
        """Both are signed by the hub and permitted; what agencies sign differs."""
        one = hub.ask()
        two = hub.ask(query_id=one.id, purpose="service planning")
        heard = hub.requisitions(one, THREE) | hub.requisitions(two, OTHERS)
        readies = [ready_from_message(label, heard[label]) for label in AGENCIES]  # type: ignore[arg-type]  # no refusals
        for labels in (THREE, OTHERS):
            assert reasons(hub.cohorts(one, labels, readies)) == {"READY_INVALID"}
        # nor does one agency take both
        assert reasons(hub.requisitions(two, THREE)) == {"ID_REUSED"}
        hub.assert_in_vain()

    def test_policies_that_one_agency_does_not_have(self, hub: MaliciousHub) -> None:
        asking = hub.ask(policy_digest="0" * 64)
        assert reasons(hub.requisitions(asking, AGENCIES)) == {"POLICY_DIFFERS"}
        assert all("POLICY_DIFFERS" in hub.doubts(label) for label in AGENCIES)
        hub.assert_in_vain()


class TestReplays:
    def test_every_message_again(self, hub: MaliciousHub) -> None:
        """Within the round, each gets the same bytes; the account is charged once."""
        asking = hub.ask()
        readies = [hub.requisitions(asking, AGENCIES) for _ in range(3)]
        kept = [signed_in(each) for each in readies]
        assert kept[0] == kept[1] == kept[2]
        given = [ready_from_message(a, readies[0][a]) for a in AGENCIES]  # type: ignore[arg-type]  # no refusals
        masked = [hub.cohorts(asking, AGENCIES, given) for _ in range(3)]
        assert masked[0] == masked[1] == masked[2]
        assert signed_in(hub.requisitions(asking, AGENCIES)) == kept[0]
        receipts = receipts_of(masked[0])
        seeds = [hub.receipts(asking, AGENCIES, receipts) for _ in range(3)]
        assert seeds[0] == seeds[1] == seeds[2]
        for heard in (
            hub.requisitions(asking, AGENCIES),
            hub.requisitions(asking, AGENCIES, attempt=2),
        ):
            assert reasons(heard) == {"ALREADY_OPENED"}
        hub.settle(asking)
        assert hub.receipts(asking, AGENCIES, receipts) == seeds[0]
        assert reasons(hub.cohorts(asking, AGENCIES, given)) == {"ALREADY_OPENED"}
        hub.assert_opened(dict.fromkeys(AGENCIES, 1), SUM_OF_ALL)

    def test_after_it_was_settled_without_an_opening(self, hub: MaliciousHub) -> None:
        asking = hub.ask()
        readies = hub.ready(asking)
        receipts = receipts_of(hub.cohorts(asking, AGENCIES, readies))
        hub.settle(asking)
        for heard in (
            hub.requisitions(asking, AGENCIES),
            hub.requisitions(asking, AGENCIES, attempt=2),
            hub.cohorts(asking, AGENCIES, readies),
            hub.receipts(asking, AGENCIES, receipts),
        ):
            assert reasons(heard) == {"OUT_OF_ORDER"}
        hub.assert_in_vain()

    def test_to_an_agent_that_was_restarted(
        self, network: Network, hub: MaliciousHub
    ) -> None:
        """It has forgotten nothing."""
        asking = hub.ask()
        readies = hub.ready(asking)
        masked = hub.cohorts(asking, AGENCIES, readies)
        restart(network, "alpha")
        assert hub.cohorts(asking, ["alpha"], readies)["alpha"] == masked["alpha"]
        smaller = [each for each in readies if each.agency in THREE]
        heard = hub.cohorts(asking, ["alpha"], smaller, cohort="fallback")
        assert reasons(heard) == {"COHORT_CHANGED"}
        receipts = receipts_of(masked)
        seeds = hub.receipts(asking, AGENCIES, receipts)
        restart(network, "alpha")
        assert hub.receipts(asking, ["alpha"], receipts)["alpha"] == seeds["alpha"]
        heard = hub.requisitions(asking, ["alpha"], attempt=2)
        assert reasons(heard) == {"ALREADY_OPENED"}
        hub.assert_opened(dict.fromkeys(AGENCIES, 1), SUM_OF_ALL)

    def test_receipts_of_another_question(self, hub: MaliciousHub) -> None:
        """They are signed by all agencies, and for something else."""
        one, two = hub.ask(), hub.ask()
        receipts = hub.masked(one)
        hub.masked(two)
        heard = hub.receipts(two, AGENCIES, receipts)
        assert reasons(heard) == {"EQUIVOCATION"}
        hub.assert_in_vain()

    def test_fresh_keys_of_another_question(self, hub: MaliciousHub) -> None:
        one, two = hub.ask(), hub.ask()
        old = hub.ready(one)
        new = hub.ready(two)
        heard = hub.cohorts(two, THREE, replaced(new, old[-1]))
        assert reasons(heard) == {"READY_INVALID"}
        hub.assert_in_vain()

    def test_out_of_order(self, hub: MaliciousHub) -> None:
        """A call without the one before it."""
        one, two = hub.ask(), hub.ask()
        readies = hub.ready(one)
        assert reasons(hub.cohorts(two, AGENCIES, readies)) == {"OUT_OF_ORDER"}
        receipts = hub.masked(one)
        assert reasons(hub.receipts(two, AGENCIES, receipts)) == {"OUT_OF_ORDER"}
        hub.ready(two)
        assert reasons(hub.receipts(two, AGENCIES, receipts)) == {"OUT_OF_ORDER"}
        hub.assert_in_vain()


class TestStrangers:
    def test_a_fresh_key_of_the_hubs_own(self, hub: MaliciousHub) -> None:
        """Whether it is signed by nobody or by somebody else."""
        asking = hub.ask()
        readies = hub.ready(asking)
        own = SecretKeys.from_seed("echo", bytes(range(32)))
        for fake in (
            swapped(readies[-1], fresh_key()),
            signed(own, swapped(readies[-1], fresh_key())),
        ):
            heard = hub.cohorts(asking, AGENCIES[:-1], replaced(readies, fake))
            assert reasons(heard) == {"READY_INVALID"}
        assert all("READY_INVALID" in hub.doubts(label) for label in AGENCIES[:-1])
        hub.assert_in_vain()

    def test_an_agencys_own_key_was_exchanged(
        self, network: Network, hub: MaliciousHub
    ) -> None:
        """By somebody who has its identity key: it knows what it sent."""
        asking = hub.ask()
        readies = hub.ready(asking)
        alpha = insider.secret_keys(network, "alpha")
        fake = signed(alpha, swapped(readies[0], fresh_key()))
        heard = hub.cohorts(asking, ["alpha"], replaced(readies, fake))
        assert reasons(heard) == {"READY_INVALID"}
        hub.assert_in_vain()

    def test_a_key_that_another_agency_has(
        self, network: Network, hub: MaliciousHub
    ) -> None:
        """Echo, in league with the hub, repeats alpha's fresh key as its own."""
        asking = hub.ask()
        readies = hub.ready(asking)
        echo = insider.secret_keys(network, "echo")
        copied = signed(echo, swapped(readies[-1], readies[0].ephemeral_key))
        heard = hub.cohorts(asking, AGENCIES[:-1], replaced(readies, copied))
        assert reasons(heard) == {"READY_INVALID"}
        hub.assert_in_vain()

    def test_an_identity_key_that_the_board_did_not_sign(
        self, network: Network, relay: MessageRelay, hub: MaliciousHub
    ) -> None:
        """The hub lists its own key for echo; agencies keep to what they know."""
        own = SecretKeys.from_seed("echo", bytes(range(32)))
        text = network.repository.documents()["members.yaml"].decode()
        key = network.in_force().members.members["echo"].key or ""
        listed = text.replace(key, policies.written("ed25519:" + own.public.sign.hex()))
        assert listed != text
        proposal = network.propose({"members.yaml": listed}, signers=("chidi",))
        with pytest.raises(AccordError):
            proposal.onto(network.repository)
        forced = policies.forced(proposal, network.repository)
        asking = hub.ask()
        relay.show("alpha", insider.shown_files(network, forced))
        heard = hub.requisitions(asking, ["alpha"])
        assert reasons(heard) == {"POLICY_UNTRUSTED"}
        assert network.agent_policies("alpha").trouble() is not None
        hub.assert_in_vain()
        # an honest hub is believed again
        relay.reset()
        bump = ("version: 1\n", "version: 2\n")
        version = network.decide(network.edit("agreements/closed.yaml", bump))
        network.wait_learned(version, AGENCIES)
        assert network.agent_policies("alpha").trouble() is None

    def test_a_member_more(self, hub: MaliciousHub) -> None:
        """A sixth takes part, with a key of its own that nobody signed."""
        asking = hub.ask()
        readies = hub.ready(asking)
        mallory = SecretKeys.from_seed("mallory", bytes(range(32)))
        more = dataclasses.replace(
            readies[-1], agency="mallory", ephemeral_key=fresh_key()
        )
        heard = hub.cohorts(asking, AGENCIES, [*readies, signed(mallory, more)])
        assert reasons(heard) == {"READY_INVALID"}
        hub.assert_in_vain()

    def test_a_member_more_in_the_requisition(self, hub: MaliciousHub) -> None:
        asking = hub.ask(members=(*AGENCIES, "mallory"))
        heard = hub.requisitions(asking, AGENCIES)
        assert reasons(heard) == {"COHORT_NOT_PERMITTED"}
        hub.assert_in_vain()

    def test_another_hub(self, hub: MaliciousHub) -> None:
        """It has everything but the key that signs requisitions."""
        asking = hub.ask()
        asking = dataclasses.replace(
            asking, signature=sign_requisition(policies.key("other"), asking.payload)
        )
        heard = hub.requisitions(asking, AGENCIES)
        assert reasons(heard) == {"SIGNATURE_INVALID"}
        assert all("SIGNATURE_INVALID" in hub.doubts(label) for label in AGENCIES)
        hub.assert_in_vain()


class TestTerms:
    """What is signed in the hub's name, and not what it must be."""

    def test_another_layout(self, hub: MaliciousHub) -> None:
        asking = hub.ask(layout_digest="0" * 64)
        assert reasons(hub.requisitions(asking, AGENCIES)) == {"TERMS_MISMATCH"}
        hub.assert_in_vain()

    def test_less_noise_for_the_same_price(self, hub: MaliciousHub) -> None:
        """So little that agencies' shares would hide nothing."""
        asking = hub.ask(mechanism=DiscreteGaussian(scale=Fraction(1, 1024)))
        assert reasons(hub.requisitions(asking, AGENCIES)) == {"TERMS_MISMATCH"}
        hub.assert_in_vain()

    def test_words_that_are_no_longer_in_force(
        self, network: Network, hub: MaliciousHub
    ) -> None:
        """The board has dropped a dimension since; the hub goes on with the old one."""
        old = hub.ask(agreement="shared", cohort="all")
        dropped = ("    parish: all\n", "")
        bump = ("version: 1\n", "version: 2\n")
        version = network.decide(network.edit("agreements/shared.yaml", dropped, bump))
        network.wait_learned(version, THREE)
        heard = hub.requisitions(old, THREE)
        assert reasons(heard) == {"POLICY_DIFFERS"}
        hub.assert_in_vain()

    def test_too_late(self, hub: MaliciousHub) -> None:
        now = insider.utc_now().replace(microsecond=0)
        asking = hub.ask(expires_at=now - datetime.timedelta(seconds=1))
        assert reasons(hub.requisitions(asking, AGENCIES)) == {"EXPIRED"}
        hub.assert_in_vain()


class TestReceipts:
    def test_missing_twice_or_in_another_order(self, hub: MaliciousHub) -> None:
        asking = hub.ask()
        receipts = hub.masked(asking)
        for wrong in (
            receipts[1:],
            receipts[:-1],
            [*receipts[:-1], receipts[0]],
            receipts[::-1],
        ):
            heard = hub.receipts(asking, AGENCIES, wrong)
            assert reasons(heard) == {"INCOMPLETE_COHORT"}
        hub.assert_in_vain()

    def test_forged(self, hub: MaliciousHub) -> None:
        """In the name of an agency that has masked nothing."""
        asking = hub.ask()
        readies = hub.ready(asking)
        receipts = receipts_of(hub.cohorts(asking, AGENCIES[:-1], readies))
        own = SecretKeys.from_seed("echo", bytes(range(32)))
        body = dataclasses.replace(receipts[0], agency="echo")
        for signature in (
            receipts[0].signature,
            own.sign(body.body()),
            bytes(64),
        ):
            fake = dataclasses.replace(body, signature=signature)
            heard = hub.receipts(asking, AGENCIES[:-1], [*receipts, fake])
            assert reasons(heard) == {"RECEIPTS_INVALID"}
        doubts = [hub.doubts(label) for label in AGENCIES[:-1]]
        assert all("RECEIPTS_INVALID" in each for each in doubts)
        hub.assert_in_vain()

    def test_an_agencys_own_was_exchanged(
        self, network: Network, hub: MaliciousHub
    ) -> None:
        """By somebody who has its identity key."""
        asking = hub.ask()
        receipts = hub.masked(asking)
        alpha = insider.secret_keys(network, "alpha")
        other = dataclasses.replace(
            receipts[0], input_commitment=commit_input(b"", bytes(32), bytes(32))
        )
        mine = dataclasses.replace(other, signature=alpha.sign(other.body()))
        heard = hub.receipts(asking, ["alpha"], [mine, *receipts[1:]])
        assert reasons(heard) == {"RECEIPTS_INVALID"}
        hub.assert_in_vain()


class TestRestoredStates:
    """An agent that is put back to before an opening would answer once more."""

    @pytest.mark.parametrize(
        "everything",
        [
            pytest.param(False, id="database"),
            pytest.param(True, id="directory", marks=pytest.mark.slow),
        ],
    )
    @pytest.mark.slow
    def test_an_old_copy_of_an_agents_state(
        self, network: Network, hub: MaliciousHub, *, everything: bool
    ) -> None:
        """The number beside the database gives it away; else what the hub has heard.

        Only a hub that lies about that, too, could go on with a whole old directory.
        """
        asking = hub.ask()
        agent, state = network.agents["alpha"], network.agent_state("alpha")
        receipts = hub.masked(asking)
        agent.stop()
        copy = network.folder / f"copy-{everything}"
        shutil.copytree(state, copy, symlinks=True)
        network.start_agent("alpha")
        hub.receipts(asking, AGENCIES, receipts)
        hub.settle(asking)
        restart(network, "alpha")
        agent.stop()
        if everything:
            shutil.rmtree(state)
            copy.rename(state)
        else:
            for name in ("agent.db", "agent.db-wal"):
                (state / name).unlink(missing_ok=True)
                if (copy / name).exists():
                    (copy / name).rename(state / name)
        network.start_agent("alpha")
        assert hub.stage(asking, "alpha") == "masked"
        for heard in (
            hub.requisitions(asking, ["alpha"], attempt=2),
            hub.receipts(asking, ["alpha"], receipts),
            hub.requisitions(hub.ask(), ["alpha"]),
        ):
            assert reasons(heard) == {"STATE_RESTORED"}
        status = network.agent_command("alpha", "status")
        assert status["state"]["restored"]
        # staff goes on: what was open is charged, and never answered again
        network.agent_command("alpha", "confirm-restore", "--yes")
        heard = hub.requisitions(asking, ["alpha"], attempt=2)
        assert reasons(heard) == {"STATE_RESTORED"}
        hub.assert_opened(dict.fromkeys(AGENCIES, 1), SUM_OF_ALL)
        # what is asked from the second after next on is answered again
        confirmed = insider.utc_now()
        later = confirmed + datetime.timedelta(seconds=2)
        wait_until(lambda: insider.utc_now() > later, "it is later than that")
        assert not isinstance(hub.requisitions(hub.ask(), ["alpha"])["alpha"], Refused)


class TestWhatItStoresItself:
    def test_a_vector_that_it_changes_is_not_the_one_that_was_signed(
        self, hub: MaliciousHub
    ) -> None:
        """A wrong sum, which says nothing of anybody; and everybody can see who did."""
        asking = hub.ask()
        receipts = hub.masked(asking)
        hub.receipts(asking, AGENCIES, receipts)
        said = hub.vectors[receipts[0].transcript]
        honest = hub.opened(receipts[0].transcript)
        words = np.frombuffer(said["alpha"].vector, "<u8").copy()
        check_vector(receipts[0], vector_bytes(words))
        words[::2] += np.arange(len(words[::2]), dtype=np.uint64)
        said["alpha"].vector = vector_bytes(words)
        wrong = hub.opened(receipts[0].transcript)
        assert (wrong - honest)[1::2].any() == np.False_
        assert (wrong != honest).any()
        with pytest.raises(AccordError) as seen:
            check_vector(receipts[0], said["alpha"].vector)
        assert seen.value.reason == "VECTOR_WRONG"

    def test_the_same_question_under_two_ids(
        self, hub: MaliciousHub, world: SmallWorld
    ) -> None:
        """Each is charged; and what two cohorts differ by is never one agency."""
        first, second = hub.ask(), hub.ask(cohort="fallback")
        for asking, cohort in ((first, "all"), (second, "fallback")):
            receipts = hub.masked(asking, cohort)
            hub.receipts(asking, asking.members(cohort), receipts)
            found = hub.opened(receipts[0].transcript)
            members = asking.members(cohort)
            assert list(found[:-2]) == exact(world, asking, members)
        third = hub.ask(members=AGENCIES[:-1])
        heard = hub.requisitions(third, AGENCIES)
        assert reasons(heard) == {"COHORT_NOT_PERMITTED"}
        charged = dict.fromkeys(AGENCIES, 1) | dict.fromkeys(THREE, 2)
        small = f"1:{'+'.join(THREE)}"
        hub.assert_opened(charged, SUM_OF_ALL, small, f"{SUM_OF_ALL} - {small}")
