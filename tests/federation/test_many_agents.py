# SPDX-License-Identifier: Apache-2.0
"""Many agencies in one round, and very wide answers: a real hub, and small agents.

The hub is a process of its own with policies that list two hundred agencies. Their
agents live in the test's process: they speak the protocol over mutual TLS with
certificates that the hub's authority issued, and add their share of the noise, but
have no store. So every vector is known, and the exact sum.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
import pytest

import accord.client as accord
from accord.agent.network.timing import Timing
from accord.client.question import Question
from accord.core.calendar import Period, edition_due
from accord.core.policy import Policy
from accord.hub.identity import registry
from accord.rpc import pki
from accord.secagg.directory import directory_of
from accord.secagg.keys import Directory
from accord.trust.keys import raw_public, text_of
from accord.v1 import agent_pb2
from tests import policies
from tests.federation import insider
from tests.federation.network import HOST, Blueprint, Network
from tests.federation.small_world import MODEL, PURPOSE, agreement
from tests.member_keys import other_keys
from tests.unit.hub.agencies import Agency
from tests.unit.hub.scripted import Asked, Identity, ScriptedAgent

pytestmark = [pytest.mark.federation, pytest.mark.slow, pytest.mark.timeout(600)]

MANY = tuple(f"agency-{number:03d}" for number in range(200))
FEW = MANY[:5]
EMBARGO_DAYS = 30
SCALE = 4
"""Stored units of one count."""

PART_BYTES = 1 << 14
"""Of these agents; real ones send parts of 1 MiB."""

RETURNS = 8
"""How often all agents connect at the same moment."""

SECONDS = 540
"""For an answer, on a busy machine."""

Vector = npt.NDArray[np.int64]


def text(name: str, parties: tuple[str, ...]) -> str:
    """Return an agreement in which a person is known to five agencies at most."""
    known = "  person_in_at_most: 5 agencies\n"
    if len(parties) > len(FEW):
        known += "  reason_for_fewer_agencies: each works in a place of its own\n"
    found = agreement(name, parties, noise="shared")
    for old, new in (
        ("embargo: 0 days", f"embargo: {EMBARGO_DAYS} days"),
        ("protect:\n", f"protect:\n{known}"),
    ):
        assert old in found
        found = found.replace(old, new)
    return found


def members() -> str:
    """Return the list of all agencies, with the keys that the tests have for them."""
    lines = ["network: test-network", "members:"]
    for label in MANY:
        key = policies.key(label)
        lines += [
            f"  {label}:",
            f"    name: The {label}",
            f"    remit: {{description: Cases of {label}}}",
            "    lifetime: {zcdp: {epsilon: 1000, delta: 1e-9}, pure: {epsilon: 1000}}",
            f"    key: {text_of(key)}",
            *(f"    {name}: {value}" for name, value in other_keys(key).items()),
        ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Return a hub that serves, with nobody there yet."""
    blueprint = Blueprint(
        agreements={"many": text("many", MANY), "wide": text("wide", FEW)},
        models={"small-v1": MODEL},
        members=members(),
        mappings={},
        sources={},
    )
    with Network.build(tmp_path_factory.mktemp("many"), blueprint) as made:
        yield made


@pytest.fixture(scope="module")
def identities(network: Network) -> Mapping[str, Identity]:
    """Issue a certificate for every agency, as enrolment would."""
    own, now = insider.authority(network), insider.utc_now()
    lifetime = datetime.timedelta(days=1)
    found: dict[str, Identity] = {}
    with insider.writing(network) as tx:
        for label in MANY:
            private = pki.new_key()
            certificate = own.issue(
                pki.certificate_request(private),
                agency=label,
                network="test-network",
                lifetime=lifetime,
                now=now,
            )
            registry.record_certificate(
                tx,
                label,
                pki.serial_of(certificate),
                agency_key=text_of(policies.key(label)),
                now=now,
                expires_at=pki.expiry_of(certificate),
                renewed=False,
            )
            found[label] = Identity(
                agency=label,
                key=pki.key_pem(private),
                certificate=pki.certificate_pem(certificate),
                authority=own.pem,
                hub_key=raw_public(own.hub_form.key),
            )
    return found


class Member(Agency):
    """An agency that shares the list of members with all others in this process."""

    def __init__(self, label: str, policy: Policy, directory: Directory) -> None:
        super().__init__(label, policies.key(label), lambda: policy)
        self._directory = directory

    @property
    def directory(self) -> Directory:
        return self._directory


class Speaker(ScriptedAgent):
    """An agent that counts the parts in which it sends its vectors."""

    parts = 0

    async def say(self, message: agent_pb2.ConnectRequest) -> None:
        self.parts += message.HasField("part")
        await super().say(message)


class Crowd:
    """The agents of an agreement, and what they count."""

    def __init__(
        self,
        network: Network,
        identities: Mapping[str, Identity],
        name: str,
        *,
        encapsulating: bool = True,
    ) -> None:
        policy = network.in_force().policy(name)
        assert policy is not None
        directory, target = directory_of(policy), f"{HOST}:{network.agent_port}"
        self.parties = policy.agreement.parties
        self.agents = {
            label: Speaker(
                identities[label],
                target,
                policy.model,
                Member(label, policy, directory),
            )
            for label in self.parties
        }
        self.vectors: dict[str, Vector] = {}
        self._draw = np.random.default_rng(20_261_129)
        self._encapsulating = encapsulating
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        today = insider.utc_now().date()
        due = edition_due(Period.MONTH, EMBARGO_DAYS, today)
        await asyncio.gather(
            *(
                agent.start(
                    self._answer, editions=(due,), encapsulating=self._encapsulating
                )
                for agent in self.agents.values()
            )
        )
        ended = {str(each.ended) for each in self.agents.values()}
        assert ended == {"None"}
        self._beating = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._beating is not None
        self._beating.cancel()
        for agent in self.agents.values():
            await agent.stop()

    async def _answer(self, asked: Asked) -> None:
        label, size = asked.agent.agency.label, asked.layout.size
        self.vectors[label] = SCALE * self._draw.integers(0, 50, size)
        await asked.answer(self.vectors[label].tolist())

    async def _beat(self) -> None:
        """Be heard of while everybody computes in one thread."""
        while True:
            await asyncio.sleep(Timing().heartbeat)
            beat = agent_pb2.ConnectRequest(heartbeat=agent_pb2.Heartbeat(sequence=1))
            for agent in self.agents.values():
                await agent.say(beat)


def question(hub: accord.Hub, name: str) -> Question:
    """Return about 1,800 cells of many agencies, or 100,000 of a few."""
    if name == "many":
        first, by = 360, ("parish", "harm")
    else:
        first, by = 249, ("parish", "workplace")
    parishes = [f"p{number:03d}" for number in range(first)]
    return hub.agreement(name).persons().by(*by).where(parish=parishes)


Ask = Callable[[str], Awaitable[tuple[Crowd, accord.Result]]]


@pytest.fixture
def ask(network: Network, identities: Mapping[str, Identity]) -> Ask:
    """Return what asks once everybody is there."""

    def release(name: str) -> accord.Result:
        with network.connect() as hub:
            asked = question(hub, name)
            return asked.release(epsilon=8, purpose=PURPOSE, timeout=SECONDS)

    async def asking(name: str) -> tuple[Crowd, accord.Result]:
        async with Crowd(network, identities, name) as crowd:
            return crowd, await asyncio.to_thread(release, name)

    return asking


def assert_within_noise(crowd: Crowd, result: accord.Result) -> None:
    """Nothing is off by more than the noise that was announced, which is all there."""
    assert result.coverage.answered == tuple(sorted(crowd.parties))
    exact = np.sum([crowd.vectors[label] for label in crowd.parties], axis=0)
    estimates = [row.estimate for row in result]
    off = np.array([each.estimate for each in estimates], float) - exact[:-2] / SCALE
    sd = estimates[0].sd
    assert sd is not None
    assert np.abs(off).max() < 7 * sd
    assert abs(off.mean()) < 7 * sd / np.sqrt(len(off))
    assert 0.8 < off.std() / sd < 1.2


@pytest.mark.parametrize(("name", "cells"), [("many", 1_800), ("wide", 100_000)])
async def test_the_pooled_result_is_the_sum_and_its_noise(
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    cells: int,
) -> None:
    """Two hundred agencies, or vectors that arrive in fifty parts each."""
    monkeypatch.setattr("accord.rpc.rounds.PART_BYTES", PART_BYTES)
    crowd, result = await ask(name)
    assert len(result) == pytest.approx(cells, rel=0.05)
    assert_within_noise(crowd, result)
    # the first part is in the message that has the receipt
    parts = -(-8 * (len(result) + 2) // PART_BYTES) - 1
    assert {each.parts for each in crowd.agents.values()} == {parts}


async def test_all_agents_come_back_at_once(
    network: Network, identities: Mapping[str, Identity]
) -> None:
    """As after a failure of the network, and again: the hub serves every one."""
    for _ in range(RETURNS):
        async with Crowd(network, identities, "many", encapsulating=False):
            assert network.hub.is_running
