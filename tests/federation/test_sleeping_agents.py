# SPDX-License-Identifier: Apache-2.0
"""Agents that are online for one contact: `accord-agent run --once`, as processes.

What waits for such an agency waits at the hub; one contact does all of it, in few
messages. Between two rounds it may be away, and comes back to what it said. A contact
ends after half a minute of silence: most tests end it when they have seen what they
want, by SIGTERM as a machine does that goes to sleep, or by SIGKILL.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator

import pytest

import accord.client as accord
from tests.federation.asked import Asked
from tests.federation.network import Network
from tests.federation.processes import Process, wait_until
from tests.federation.relays import RECEIPTS, MessageRelay
from tests.federation.small_world import AGENCIES, PURPOSE, THREE, SmallWorld

pytestmark = pytest.mark.federation

WITHIN_SECONDS = 3
ROUNDS = {
    "requisitions": "readies",
    "cohorts": "masked",
    RECEIPTS: "reveals",
}
"""What the hub says in each round, and what agencies answer."""

MANY = 12
"""Questions that wait for one contact."""

MOST_MESSAGES = 3
"""Of one round, in one contact, whatever the number of questions."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sleeping:
    """A network behind a relay, in which some agents come by themselves."""

    network: Network
    relay: MessageRelay
    started: list[Process] = dataclasses.field(default_factory=list)

    def begin(self, sleepers: Iterable[str]) -> None:
        """Let everybody run but the sleepers, and nothing be seen or held."""
        self.relay.reset()
        network = self.network
        if not network.hub.is_running:
            network.start_hub()
        asleep = set(sleepers)
        for label, agent in network.agents.items():
            if label in asleep and agent.is_running:
                agent.stop()
        network.start_agents(
            label
            for label, agent in network.agents.items()
            if label not in asleep and not agent.is_running
        )
        self.relay.reset()

    @contextlib.contextmanager
    def contact(self, label: str) -> Iterator[Process]:
        """Let an agency come for one contact; it leaves here if it has not yet."""
        own = self.network.agents[label]
        state = self.network.agent_state(label)
        process = Process(
            f"{label}.contact{len(self.started)}",
            "agent",
            ["run", "--once", "--state", str(state)],
            logs=self.network.folder / "logs",
            settings=own.settings,
        )
        self.started.append(process)
        process.start()
        try:
            yield process
            assert not process.is_running or process.stop() == 0
        finally:
            if process.is_running:
                process.kill()
        process.check_logs()

    def messages(self, label: str) -> collections.Counter[str]:
        """Return how many messages there were of each kind, in both directions."""
        seen = list(self.relay.seen)
        return collections.Counter(each.kind for each in seen if each.agency == label)


def standing(network: Network) -> Iterator[Sleeping]:
    with network, MessageRelay(network) as relay:
        for label in AGENCIES:
            network.route(label, relay.port)
        yield Sleeping(network=network, relay=relay)
        network.stop()


@pytest.fixture(scope="module")
def patient(clones: Callable[..., Network]) -> Iterator[Sleeping]:
    """Return a network whose hub waits for as long as a hub does."""
    yield from standing(clones())


@pytest.fixture(scope="module")
def hurried(clones: Callable[..., Network]) -> Iterator[Sleeping]:
    """Return a network whose hub waits for a few seconds."""
    within = {"ACCORD_HUB_ANSWER_WITHIN_SECONDS": str(WITHIN_SECONDS)}
    yield from standing(clones(hub_environment=within))


@contextlib.contextmanager
def asking(sleeping: Sleeping, world: SmallWorld, number: int) -> Iterator[list[Asked]]:
    """Ask so many questions that nobody has asked before."""
    with contextlib.ExitStack() as stack:
        hub = stack.enter_context(sleeping.network.connect())
        asked = []
        for _ in range(number):
            asked.append(stack.enter_context(Asked(sleeping.network, hub, world)))
            asked[-1].submit()
        yield asked


@pytest.mark.slow
def test_one_contact_does_everything_that_waits(
    patient: Sleeping, world: SmallWorld
) -> None:
    """All rounds of all questions; each is right, and each is paid for once."""
    patient.begin(["alpha"])
    network, before = patient.network, patient.network.charged()
    with asking(patient, world, MANY) as asked:
        asked[-1].wait_awaited("ready", "alpha")
        assert not patient.messages("alpha")
        with patient.contact("alpha"):
            results = [each.result() for each in asked]
    for each, result in zip(asked, results, strict=True):
        for row in result:
            assert row.estimate.estimate is not None
            assert row.estimate.sd is not None
            off = row.estimate.estimate - each.truth.get(row.values, 0)
            assert abs(off) < 7 * row.estimate.sd
        assert each.own_events("alpha") == ["reserve", "charge"]
        assert each.stage_of("alpha") == "revealed"
    assert len({result.id for result in results}) == MANY
    paid = sum(round(result.cost.rho * 1e9) for result in results)
    assert not network.reserved()
    for name in ("agreement/three", *(f"agency/{label}" for label in THREE)):
        assert network.charged()[name] - before.get(name, 0) == paid
    said = patient.messages("alpha")
    for call, answer in ROUNDS.items():
        assert len(patient.relay.of("alpha", call)) == MANY
        assert len(patient.relay.of("alpha", answer)) == MANY
        assert said[call] <= MOST_MESSAGES
        assert said[answer] <= MOST_MESSAGES


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["masked", RECEIPTS])
def test_away_between_masking_and_opening(
    patient: Sleeping, world: SmallWorld, lost: str
) -> None:
    """It comes back to what it said: the same vector again, if the hub has none."""
    patient.begin(["alpha"])
    relay = patient.relay
    relay.hold(["alpha"], lost)
    with asking(patient, world, 1) as (asked,):
        with patient.contact("alpha") as process:
            relay.wait_for("alpha", lost)
            process.kill()
        assert asked.stage_of("alpha") == "masked"
        assert asked.own_events("alpha") == ["reserve"]
        assert asked.state() == "collecting"
        with patient.contact("alpha"):
            relay.wait_for("alpha", "hello", number=2)
            relay.let_go(["alpha"], lost)
            asked.assert_answered_once()
        said = relay.of("alpha", "masked", query_id=asked.id)
        assert len(said) == (2 if lost == "masked" else 1)
        assert all(again == said[0] for again in said)


@pytest.mark.slow
@pytest.mark.parametrize("last", ["cohorts", "masked"])
def test_who_vanishes_before_the_hub_has_its_vector_is_left_out(
    hurried: Sleeping, world: SmallWorld, last: str
) -> None:
    """The fallback answers at the deadline; who vanished pays nothing at all."""
    hurried.begin(["delta"])
    network, relay = hurried.network, hurried.relay
    before, name = network.charged(), str(uuid.uuid4())
    relay.hold(["delta"], last)
    with network.connect() as hub, hurried.contact("delta") as process:
        number = network.rows("SELECT count(*) FROM submissions")[0][0]
        pending = (
            hub.agreement("five")
            .persons()
            .by("district")
            .release(
                epsilon=8 + number / 64,
                purpose=PURPOSE,
                submission_id=name,
                wait=False,
            )
        )
        relay.wait_for("delta", last, query_id=name)
        process.kill()
        result = pending.wait(timeout=30)
    assert result.coverage == accord.Coverage(
        answered=THREE, missing=("delta", "echo"), cohort="fallback"
    )
    truth = world.persons(THREE, lambda case: (case.district,))
    for row in result:
        assert row.estimate.estimate is not None
        assert row.estimate.sd is not None
        off = row.estimate.estimate - truth.get(row.values, 0)
        assert abs(off) < 7 * row.estimate.sd
    paid, after = round(result.cost.rho * 1e9), network.charged()
    for label in AGENCIES:
        moved = after.get(f"agency/{label}", 0) - before.get(f"agency/{label}", 0)
        assert moved == (paid if label in THREE else 0)
    assert not network.reserved()
    relay.let_go(["delta"], last)
    own = "SELECT kind FROM ledger_event WHERE entry = ? ORDER BY height"
    if last == "cohorts":
        assert not network.agent_rows("delta", own, name)
        return
    # what it had reserved comes back in its next contact
    assert network.agent_rows("delta", own, name) == [("reserve",)]
    with hurried.contact("delta"):
        wait_until(
            lambda: (
                network.agent_rows("delta", own, name) == [("reserve",), ("give back",)]
            ),
            "delta has nothing reserved",
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "where"),
    [
        ("", "round 1, getting ready"),
        ("cohorts", "round 2, masked figures"),
    ],
)
def test_away_at_the_deadline_without_a_fallback(
    hurried: Sleeping, world: SmallWorld, last: str, where: str
) -> None:
    """The analyst is told who is awaited and in which round, and nobody pays."""
    hurried.begin(["alpha"])
    relay = hurried.relay
    relay.hold(["alpha"], last)
    with contextlib.ExitStack() as stack:
        if last:
            # there before it is asked: a program takes a while to start
            process = stack.enter_context(hurried.contact("alpha"))
            relay.wait_for("alpha", "hello")
        (asked,) = stack.enter_context(asking(hurried, world, 1))
        if last:
            relay.wait_for("alpha", last)
            process.kill()
        with pytest.raises(accord.DeadlineExceeded) as late:
            asked.result()
        assert late.value.reason == "AGENCIES_AWAITED"
        assert late.value.metadata["awaited"] == "alpha"
        assert f"alpha ({where})" in late.value.sentence
        asked.assert_given_back()
        relay.reset()


@pytest.mark.slow
def test_agents_that_never_meet_need_three_contacts_each(
    patient: Sleeping, world: SmallWorld
) -> None:
    """One machine after the other is awake, and none twice at the same time."""
    patient.begin(THREE)
    with asking(patient, world, MANY) as asked:
        for answer, label in itertools.product(ROUNDS.values(), THREE):
            with patient.contact(label):
                patient.relay.wait_for(label, answer, number=MANY)
        results = [each.result() for each in asked]
    assert len({result.id for result in results}) == MANY
    assert not patient.network.reserved()
    for each, label in itertools.product(asked, THREE):
        assert each.own_events(label) == ["reserve", "charge"]


@pytest.mark.slow
def test_a_contact_ends_by_itself(patient: Sleeping, world: SmallWorld) -> None:
    """After half a minute of silence, with what waited done, and no error."""
    patient.begin(["alpha"])
    with asking(patient, world, 1) as (asked,):
        with patient.contact("alpha") as process:
            asked.assert_answered_once()
            assert process.is_running
            assert process.wait_ended() == 0
        assert patient.messages("alpha")["hello"] == 1
