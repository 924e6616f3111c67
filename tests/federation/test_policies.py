# SPDX-License-Identifier: Apache-2.0
"""Policies over a whole network: what a board decides holds, and nothing else does.

The hub's operator, who has the hub's keys and its disk, is the one who is not trusted
here: a relay before the agents' port is a hub that shows them whatever it likes.
"""

from __future__ import annotations

import datetime
import re
import shutil
from collections.abc import Callable, Iterator

import pytest

import accord.client as accord
from accord.core.policy import MEMBERS
from accord.trust.proposal import Proposal
from accord.v1 import agent_pb2
from tests import policies
from tests.federation import insider
from tests.federation.network import Network
from tests.federation.processes import Done, wait_until
from tests.federation.relays import MessageRelay, refusals
from tests.federation.small_world import PURPOSE, THREE, agreement

pytestmark = pytest.mark.federation

GENDER = "    gender: all\n"
HARM = "    harm: all\n"
CRISIS = "crisis response"
DAY = datetime.timedelta(days=1)

QUORUM = "approval: {quorum: 2}\n"
GUARDED = f"approval: {{quorum: 2, loosening_needs: [{policies.SEAT}]}}\n"
OWN = "approval: {quorum: 2, signatories: parties}\n"
EMERGENCY = f"""\
emergency:
  purpose: {CRISIS}
  spend: {{epsilon: 8}}
  at_most: 30 days
  approvers: [bela, chidi]
"""
SIGNATORIES = {label: f"signatory/{label}" for label in THREE}


def documents(network: Network) -> dict[str, str | bytes]:
    """Return what the tests here need besides what all networks have."""
    crisis = agreement("crisis", each=4)
    return {
        "agreements/guarded.yaml": agreement("guarded").replace(QUORUM, GUARDED),
        "agreements/lasting.yaml": agreement("lasting").replace(QUORUM, GUARDED),
        "agreements/crisis.yaml": crisis.replace(QUORUM, EMERGENCY + QUORUM),
        "agreements/own.yaml": agreement("own").replace(QUORUM, OWN),
        MEMBERS: policies.filled_members(
            network.repository.documents()[MEMBERS],
            signatories={
                label: policies.key(name) for label, name in SIGNATORIES.items()
            },
        ),
    }


@pytest.fixture(scope="module")
def network(clones: Callable[..., Network]) -> Iterator[Network]:
    with clones() as made:
        keys = [policies.key(name) for name in SIGNATORIES.values()]
        made.decide(documents(made), keys=keys)
        yield made


def next_version(
    network: Network, name: str, *replacements: tuple[str, str]
) -> dict[str, bytes]:
    """Return a change of an agreement in force, with its version counted up."""
    now = network.in_force().agreements[name].form.version
    bump = (f"version: {now}\n", f"version: {now + 1}\n")
    return network.edit(f"agreements/{name}.yaml", bump, *replacements)


def decide(
    network: Network,
    name: str,
    *replacements: tuple[str, str],
    signers: tuple[str, ...] = ("alice", "bela"),
) -> int:
    """Change an agreement while everything runs; return once all agents know."""
    change = next_version(network, name, *replacements)
    version = network.decide(change, signers=signers)
    network.wait_learned(version, THREE)
    return version


def ask(
    hub: accord.Hub,
    name: str,
    *by: str,
    purpose: str = PURPOSE,
    epsilon: float = 1,
) -> accord.Result:
    question = hub.agreement(name).persons().by(*by)
    return question.release(epsilon=epsilon, purpose=purpose)


def assert_refused(done: Done, *words: str) -> None:
    """Fail unless a command ended with a refusal that has *words*."""
    said = " ".join(done.err.split())
    assert done.code == 4, said or done.out
    for word in words:
        assert word in said
    assert "Traceback" not in said


def trouble(network: Network, label: str) -> str | None:
    """Return why an agency does not believe what the hub shows, if so."""
    found = network.agent_policies(label).trouble()
    return None if found is None else found[0]


def wait_trouble(network: Network, label: str, reason: str) -> None:
    wait_until(lambda: trouble(network, label) == reason, f"{label} reports {reason}")


class TestChangesWhileEverythingRuns:
    @pytest.mark.slow
    @pytest.mark.usefixtures("relay")
    def test_tightened_then_loosened_with_the_seat(
        self, network: Network, hub: accord.Hub
    ) -> None:
        """Nobody restarts anything; the hub refuses by the newest words."""
        assert ask(hub, "guarded", "gender").agreement_version == 1
        decide(network, "guarded", (GENDER, ""), signers=("bela", "chidi"))
        with pytest.raises(accord.PolicyDenied) as refused:
            ask(hub, "guarded", "gender", epsilon=2)
        assert "gender" in refused.value.sentence
        assert ask(hub, "guarded", "district").agreement_version == 2
        decide(network, "guarded", (HARM, GENDER + HARM), signers=("alice", "bela"))
        assert ask(hub, "guarded", "gender", epsilon=2).agreement_version == 3

    @pytest.mark.slow
    def test_agents_refuse_what_was_asked_under_older_words(
        self, network: Network, relay: MessageRelay, hub: accord.Hub
    ) -> None:
        """What was signed for version 1 is worth nothing under version 2."""
        relay.hold(["charlie"], "masked")
        pending = (
            hub.agreement("three")
            .persons()
            .by("harm", "gender")
            .release(epsilon=1, purpose=PURPOSE, wait=False)
        )
        relay.wait_for("charlie", "masked")
        old = relay.of("charlie", "requisitions")[-1]
        version = network.decide(next_version(network, "three", (GENDER, "")))
        with pytest.raises(accord.PreconditionFailed) as over:
            pending.wait(timeout=60)
        assert over.value.reason == "AGREEMENT_CHANGED"
        assert not network.reserved()
        network.wait_learned(version, THREE)
        before = len(relay.of("charlie", "settled"))
        relay.let_go(["charlie"], "masked")
        relay.wait_for("charlie", "settled", number=before + 1)
        relay.reset()
        asking = agent_pb2.Requisitions(requisitions=[old])
        relay.say("charlie", agent_pb2.ConnectResponse(requisitions=asking))
        relay.wait_for("charlie", "refusals")
        assert refusals(relay, "charlie") == {"POLICY_DIFFERS"}
        assert not relay.of("charlie", "readies")

    @pytest.mark.usefixtures("relay")
    def test_a_new_agreement_and_its_end(
        self, network: Network, hub: accord.Hub
    ) -> None:
        """Every seat agrees to a new one; anybody's quorum ends it."""
        path = "agreements/new.yaml"
        proposal = network.propose({path: agreement("new")}, signers=("bela", "chidi"))
        assert_refused(network.try_publish(proposal), policies.SEAT)
        network.decide({path: agreement("new")}, signers=("alice", "chidi"))
        wait_until(
            lambda: hub.agreement("new").describe().editions, "editions are announced"
        )
        assert len(ask(hub, "new", "gender"))
        network.decide({path: None}, signers=("bela", "chidi"))
        with pytest.raises(accord.NotFound):
            ask(hub, "new", "gender", epsilon=2)


class TestSeats:
    @pytest.mark.slow
    @pytest.mark.usefixtures("relay")
    def test_the_hub_publishes_nothing_looser_without_the_seat(
        self, network: Network, hub: accord.Hub
    ) -> None:
        """Two of three are enough for the board, and not for survivors."""
        before = network.version()
        decide(network, "lasting", (GENDER, ""), signers=("bela", "chidi"))
        looser = next_version(network, "lasting", (HARM, GENDER + HARM))
        proposal = network.propose(looser, signers=("bela", "chidi"))
        assert_refused(network.try_publish(proposal), policies.SEAT)
        assert network.version() == before + 1
        with pytest.raises(accord.PolicyDenied):
            ask(hub, "lasting", "gender")
        # the representative signs the very same change
        network.publish(proposal.sign(network.blueprint.board.key("alice")))
        network.wait_learned(before + 2, THREE)
        assert len(ask(hub, "lasting", "gender"))

    def test_agents_believe_no_hub_that_publishes_it_anyway(
        self, network: Network, relay: MessageRelay, hub: accord.Hub
    ) -> None:
        """The signatures are enough for TUF, and every agency refuses and says why."""
        looser = next_version(
            network, "lasting", ("groups_per_person: 3", "groups_per_person: 4")
        )
        proposal = network.propose(looser, signers=("bela", "chidi"))
        network.wait_learned(network.version(), THREE)
        kept = {label: network.agent_version(label) for label in THREE}
        files = insider.shown_files(
            network, policies.forced(proposal, network.repository)
        )
        for label in THREE:
            relay.show(label, files)
        for label in THREE:
            wait_trouble(network, label, "POLICY_SEAT_MISSING")
            assert network.agent_version(label) == kept[label]
        # an honest hub is believed again
        relay.reset()
        decide(network, "lasting", ("at_most_dimensions: 3", "at_most_dimensions: 2"))
        assert [trouble(network, label) for label in THREE] == [None] * 3
        assert len(ask(hub, "lasting", "harm"))


class TestAHubThatLies:
    def test_without_signatures(self, network: Network, relay: MessageRelay) -> None:
        """One member and the hub's own keys are nobody."""
        change = next_version(network, "three")
        proposal = network.propose(change, signers=("chidi",))
        forced = policies.forced(proposal, network.repository)
        relay.show("alpha", insider.shown_files(network, forced))
        wait_trouble(network, "alpha", "POLICY_SIGNATURES_MISSING")

    def test_with_another_boards_policies(
        self, network: Network, relay: MessageRelay
    ) -> None:
        """Somebody who has the whole hub makes a board of their own."""
        others = policies.Board(
            members=("alice", "bela", "chidi"),
            keys={"alice": "false/a", "bela": "false/b", "chidi": "false/c"},
        )
        known = network.repository.documents()
        del known["agreements/own.yaml"]
        foreign = policies.repository_of(known, board=others, now=insider.utc_now())
        kept = network.agent_version("alpha")
        relay.show("alpha", insider.shown_files(network, foreign))
        wait_until(lambda: trouble(network, "alpha"), "alpha reports it")
        assert network.agent_version("alpha") == kept

    def test_that_is_silent_about_news(
        self, network: Network, relay: MessageRelay
    ) -> None:
        """A hub that froze two days ago is not believed to have the newest."""
        files = insider.shown_files(
            network, network.repository, now=insider.utc_now() - 2 * DAY
        )
        relay.show("alpha", files)
        wait_trouble(network, "alpha", "POLICY_EXPIRED")

    def test_that_shows_one_agency_something_else(
        self, network: Network, relay: MessageRelay, hub: accord.Hub
    ) -> None:
        """Both versions are signed; what an agency is asked names only one."""
        change = next_version(network, "three")
        both = network.propose(change)
        relay.show("alpha", insider.shown_files(network, both.onto(network.repository)))
        network.wait_learned(network.version() + 1, ["alpha"])
        with pytest.raises(accord.RequisitionRefused) as refused:
            ask(hub, "three", "district", epsilon=3)
        assert "POLICY_DIFFERS" in refused.value.sentence
        assert refusals(relay, "alpha") == {"POLICY_DIFFERS"}
        # the board's real decision is one that everybody has
        network.publish(both)
        relay.reset()
        network.wait_learned(network.version(), THREE)
        assert len(ask(hub, "three", "district", epsilon=3))


class TestRollback:
    @pytest.mark.slow
    def test_an_old_copy_of_the_hub_is_refused_and_reported(
        self, clones: Callable[..., Network]
    ) -> None:
        """The operator puts back a copy from before a change; agents remember."""
        with clones() as network:
            before = network.folder / "hub-before"
            shutil.copytree(network.hub_state, before)
            network.start(THREE)
            proposal = network.propose(next_version(network, "three", (GENDER, "")))
            network.publish(proposal)
            version = network.version()
            network.wait_learned(version, THREE)
            network.hub.stop()
            shutil.rmtree(network.hub_state)
            before.rename(network.hub_state)
            network.start_hub()
            assert network.version() < version
            for label in THREE:
                wait_trouble(network, label, "POLICY_ROLLBACK")
                assert network.agent_version(label) == version
            with (
                network.connect() as hub,
                pytest.raises(accord.RequisitionRefused) as refused,
            ):
                ask(hub, "three", "gender")
            # Each objects to what it compares first: the log, or the policies.
            assert re.search(r"\((HUB_BEHIND|POLICY_\w+)\)", refused.value.sentence)
            # The file that the board signed heals the policies. That the hub has lost
            # entries of its log is for people to settle: test_hub_restored.
            network.publish(proposal)
            for label in THREE:
                wait_until(lambda: trouble(network, label) is None, "it is believed")  # noqa: B023


class TestEmergencies:
    @pytest.mark.slow
    @pytest.mark.usefixtures("relay")
    def test_two_approvers_turn_it_on(self, network: Network, hub: accord.Hub) -> None:
        """Its questions are paid from its own account, and from the lifetimes."""
        with pytest.raises(accord.PolicyDenied) as off:
            ask(hub, "crisis", "district", purpose=CRISIS)
        assert "emergencies" in off.value.sentence
        today = insider.utc_now().date()
        until = today + 10 * DAY
        path = "emergencies/crisis.yaml"
        text = f"emergency: crisis\nreason: a border has closed\nfrom: {today}\n"
        declared = {path: text + f"until: {until}\n"}
        alone = network.propose(declared, signers=("bela",))
        assert network.try_publish(alone).code == 4
        network.wait_learned(network.decide(declared, signers=("bela", "chidi")), THREE)
        before = network.charged()
        paid = round(ask(hub, "crisis", "district", purpose=CRISIS).cost.rho * 1e9)
        after = network.charged()
        moved = {
            name: amount - before.get(name, 0)
            for name, amount in after.items()
            if amount != before.get(name, 0)
        }
        accounts = ["agreement/crisis/emergency"]
        accounts += [f"agency/{label}" for label in THREE]
        assert moved == dict.fromkeys(accounts, paid)
        # everything else goes on as ever
        ask(hub, "crisis", "gender")
        assert network.charged()["agreement/crisis"] > 0

    @pytest.mark.usefixtures("relay")
    def test_nobody_else_can(self, network: Network) -> None:
        """A seat is no approver; neither is a longer emergency possible."""
        today = insider.utc_now().date()
        path = "emergencies/crisis.yaml"
        text = "emergency: crisis\nreason: again\n"
        text += f"from: {today}\nuntil: {today + 9 * DAY}\n"
        with pytest.raises(accord.AccordError):
            network.propose({path: text}, signers=("alice", "bela")).onto(
                network.repository
            )


class TestOwnSignatories:
    @pytest.mark.slow
    @pytest.mark.usefixtures("relay")
    def test_the_parties_decide_on_their_own_agreement(
        self, network: Network, hub: accord.Hub
    ) -> None:
        """Two of them do; the board cannot do it for them."""
        change = next_version(network, "own", (GENDER, ""))
        with pytest.raises(accord.AccordError):
            network.propose(change).onto(network.repository)
        keys = [policies.key(SIGNATORIES[label]) for label in ("alpha", "bravo")]
        one: Proposal = network.propose(change, signers=(), keys=keys[:1])
        assert network.try_publish(one).code == 4
        version = network.decide(change, signers=(), keys=keys)
        network.wait_learned(version, THREE)
        with pytest.raises(accord.PolicyDenied):
            ask(hub, "own", "gender")
        assert ask(hub, "own", "harm").agreement_version == 2


class TestLocalRules:
    def test_an_agency_refuses_more_than_is_agreed_without_a_restart(
        self, network: Network, relay: MessageRelay, hub: accord.Hub
    ) -> None:
        """What the agreement permits, its own rule denies, until it is removed."""
        words = ("veto", "dimension", "harm", "--reason", "a journalist asks around")
        rule = network.agent_command("bravo", "rules", *words)["rule"]
        with pytest.raises(accord.RequisitionRefused) as refused:
            ask(hub, "rush", "harm", epsilon=0.5)
        assert "LOCAL_RULE" in refused.value.sentence
        assert refusals(relay, "bravo") == {"LOCAL_RULE"}
        assert "journalist" not in str(relay.seen)
        assert ask(hub, "rush", "district", epsilon=0.5)
        network.agent_command("bravo", "rules", "remove", str(rule["id"]))
        assert ask(hub, "rush", "harm", epsilon=0.5)

    def test_an_agency_stops_at_once(
        self, network: Network, relay: MessageRelay, hub: accord.Hub
    ) -> None:
        """And goes on when its staff says so."""
        network.agent_command("alpha", "stop-sharing", "--reason", "a court order")
        with pytest.raises(accord.RequisitionRefused):
            ask(hub, "three", "district", "registered_month")
        assert refusals(relay, "alpha") == {"LOCAL_RULE"}
        network.agent_command("alpha", "resume-sharing", "--reason", "it was lifted")
        assert ask(hub, "three", "district", "registered_month")


class TestMembers:
    @pytest.mark.slow
    @pytest.mark.usefixtures("relay")
    def test_an_agency_exists_as_long_as_its_key_is_signed(
        self, network: Network
    ) -> None:
        """Without its key it gets no certificate; with it again it does."""
        text = network.repository.documents()[MEMBERS].decode()
        entry = network.in_force().members.members["delta"]
        without = text
        for name in ("key", "exchange", "kem"):
            line = f"    {name}: {getattr(entry, name)}\n"
            assert line in text
            without = without.replace(line, "")
        version = network.version()
        network.decide({MEMBERS: without})
        assert network.version() == version + 1
        done = network.try_agent_command(
            "delta", "enrol", *network.join_options("delta")
        )
        assert_refused(done, "members.yaml")
        network.decide({MEMBERS: text})
        network.enrol("delta")

    @pytest.mark.slow
    def test_who_is_taken_out_is_cut_off(self, clones: Callable[..., Network]) -> None:
        """Its open connection ends, and it gets no other and no token."""
        with clones().start([*THREE, "echo"]) as network:
            text = network.repository.documents()[MEMBERS].decode()
            head, _, tail = text.partition("  echo:\n")
            without = {MEMBERS: head + _after_entry(tail)}
            network.decide(
                without | {"agreements/five.yaml": None, "agreements/closed.yaml": None}
            )
            network.wait_learned(network.version(), THREE)
            lost = network.agents["echo"].wait_line("connection.lost", seconds=20)
            assert lost["reason"] in {"MEMBER_UNKNOWN", "CERTIFICATE_REVOKED"}
            with network.connect() as hub:
                assert len(ask(hub, "three", "district"))
            network.agents["echo"].kill()
            done = network.try_hub_command("token", "create", "echo")
            assert done.code == 2


def _after_entry(text: str) -> str:
    """Return what follows an entry of members.yaml whose first line is gone."""
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        if not line.startswith("    "):
            return "".join(lines[index:])
    return ""
