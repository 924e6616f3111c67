# SPDX-License-Identifier: Apache-2.0
"""What a hub may try with signed policies: each is refused, and staff is told.

A whole agent (store, answerer, stream) over real mutual TLS against a hub that shows
whatever a test likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from accord.agent.answer import StoreAnswerer
from accord.agent.network.connection import Timing, run
from accord.agent.network.identity import IdentityFiles
from accord.agent.network.renewal import Backoff
from accord.agent.settings import Settings
from accord.agent.state import AgentState
from accord.agent.status import Status, status_of
from accord.core.errors import AccordError
from accord.core.policy import Policy
from accord.core.terms import Requisition
from accord.rpc.logs import allow_listed
from accord.trust.keys import text_of
from accord.trust.repository import Repository
from accord.v1 import agent_pb2, common_pb2
from tests.policies import (
    Board,
    edited,
    key,
    proposed,
    republish,
    served,
    signed_repository,
)
from tests.unit.agent.agencies import MODEL_TEXT, NOW, ingest_rows, new_state, row
from tests.unit.agent.agreements import (
    AGENCY,
    AGREEMENT_TEXT,
    FRESHNESS,
    KEY,
    MEMBERS_TEXT,
    OTHERS,
    PATH,
    Clock,
    repository,
    requisition,
    signed,
)
from tests.unit.agent.command import Command
from tests.unit.agent.joining import join
from tests.unit.rpc.hub_double import Conversation, HubDouble, running_hub, until

QUICK = Timing(
    heartbeat=60, editions=60, policies=60, backoff=Backoff(least=0.01, most=0.05)
)
Files = dict[str, bytes]


@dataclasses.dataclass
class Shelter:
    """One agency that has joined, with a store."""

    hub: HubDouble
    state: AgentState
    clock: Clock
    label: str = AGENCY
    agents: list[asyncio.Task[None]] = dataclasses.field(default_factory=list)

    async def talk(self) -> Conversation:
        """Start the agent, or another one, and return its stream."""
        number = len(self.hub.conversations)
        answerer = StoreAnswerer(
            self.state, agency=self.label, settings=Settings(), clock=self.clock
        )
        files = IdentityFiles(self.state.keys)
        self.agents.append(asyncio.create_task(run(files, answerer, timing=QUICK)))
        await until(lambda: len(self.hub.conversations) > number)
        return self.hub.conversations[number]

    async def ask(
        self, talk: Conversation, asked: Requisition
    ) -> agent_pb2.Ready | agent_pb2.Refusal:
        """Send a requisition and return what comes back."""
        readies, refusals = len(talk.readies()), len(talk.refusals())
        payload, signature = signed(asked)
        one = agent_pb2.Requisition(payload=payload, signature=signature, attempt=1)
        batch = agent_pb2.Requisitions(requisitions=[one])
        talk.send(agent_pb2.ConnectResponse(requisitions=batch))
        await until(
            lambda: len(talk.readies()) > readies or len(talk.refusals()) > refusals
        )
        if len(talk.readies()) > readies:
            return talk.readies()[-1]
        return talk.refusals()[-1]

    def status(self) -> Status:
        return status_of(self.state, Settings(), self.clock.now)

    async def stop(self) -> None:
        for agent in self.agents:
            agent.cancel()
            with contextlib.suppress(asyncio.CancelledError, AccordError):
                await agent


def files_of(offered: Repository, clock: Clock, previous: Files | None = None) -> Files:
    """Return what an honest hub shows."""
    return served(offered, FRESHNESS, now=clock.now, previous=previous)


async def shelter_at(hub: HubDouble, folder: Path, label: str = AGENCY) -> Shelter:
    state = new_state(folder)
    if label != AGENCY:
        (state.keys / "agency.key").write_bytes(key(label).private_bytes_raw())
    ingest_rows(state, [row(number=str(number)) for number in range(3)])
    files = IdentityFiles(state.keys)
    await join(hub, files, hub.new_token(label), policies=state.policies)
    return Shelter(hub, state, Clock(), label)


@pytest.fixture
async def hub() -> AsyncIterator[HubDouble]:
    async with running_hub() as made:
        made.signing_key, made.freshness_key = KEY, FRESHNESS
        made.publish(repository(), NOW)
        yield made


@pytest.fixture
async def shelter(hub: HubDouble, tmp_path: Path) -> AsyncIterator[Shelter]:
    made = await shelter_at(hub, tmp_path / AGENCY)
    yield made
    await made.stop()


def second() -> Repository:
    """Return a second version of the policies, as the board signed it."""
    text = edited(repository(), PATH, ("version: 2", "version: 3"))
    return republish(repository(), {PATH: text}, now=NOW)


def policy_in(offered: Repository) -> Policy:
    found = offered.policies().policy("small-trends")
    assert found is not None
    return found


def asked_under(offered: Repository) -> Requisition:
    policy = policy_in(offered)
    return dataclasses.replace(
        requisition(),
        agreement_version=policy.agreement.form.version,
        agreement_digest=policy.agreement.digest,
        policy_digest=policy.digest,
    )


def newest(files: Files, role: str) -> str:
    """Return the name of a role's newest metadata."""
    names = [name for name in files if name.endswith(f".{role}.json")]
    return max(names, key=lambda name: int(name.split("/")[1].split(".")[0]))


def rollback(clock: Clock) -> tuple[Files, Files]:
    """The hub has shown the second version and goes back to the first."""
    first = files_of(repository(), clock)
    return files_of(second(), clock, first), first


def mixed(clock: Clock) -> tuple[Files, Files]:
    """The second version's list with the first version's agreement under its name."""
    first = files_of(repository(), clock)
    both = files_of(second(), clock, first)
    old, new = [
        next(
            name
            for name, content in files.items()
            if name.startswith("targets/agreements/") and wanted in content
        )
        for files, wanted in ((both, b"version: 2"), (both, b"version: 3"))
    ]
    return first, both | {new: both[old]}


def unsigned(clock: Clock) -> tuple[Files, Files]:
    """All signatures but one are gone, and the hub vouches for what is left."""
    first = files_of(repository(), clock)
    name = newest(dict(second().files), "targets")
    content = json.loads(second().files[name])
    content["signatures"] = content["signatures"][:1]
    stripped = {**second().files, name: json.dumps(content).encode()}
    return first, files_of(Repository(stripped), clock, first)


def foreign(clock: Clock) -> tuple[Files, Files]:
    """Somebody else's board signed a list with the number that comes next."""
    strangers = Board(members=("mallory", "trudy"), seats={})
    theirs = signed_repository(
        {
            "members.yaml": MEMBERS_TEXT,
            "models/small.yaml": MODEL_TEXT,
            PATH: AGREEMENT_TEXT.replace("version: 2", "version: 3"),
        },
        hub_key=KEY,
        freshness_key=FRESHNESS,
        board=strangers,
        now=NOW,
    )
    text = edited(theirs, PATH, ("version: 3", "version: 4"))
    theirs = republish(theirs, {PATH: text}, board=strangers, now=NOW)
    first = files_of(repository(), clock)
    return first, first | files_of(theirs, clock, first) | {
        name: content for name, content in first.items() if ".root." in name
    }


def other_freshness(clock: Clock) -> tuple[Files, Files]:
    """The timestamp is signed by a key that the board did not name."""
    first = files_of(repository(), clock)
    text = edited(repository(), "members.yaml", (text_of(FRESHNESS), text_of(key("x"))))
    theirs = republish(repository(), {"members.yaml": text}, now=NOW)
    shown = served(theirs, key("x"), now=clock.now, previous=first)
    return first, first | {
        name: content
        for name, content in shown.items()
        if name.endswith(("timestamp.json", "snapshot.json", ".targets.json"))
    }


ATTACKS: list[tuple[Callable[[Clock], tuple[Files, Files]], str]] = [
    (rollback, "POLICY_ROLLBACK"),
    (mixed, "POLICY_MIXED"),
    (unsigned, "POLICY_SIGNATURES_MISSING"),
    (foreign, "POLICY_SIGNATURES_MISSING"),
    (other_freshness, "POLICY_SIGNATURES_MISSING"),
]


@pytest.mark.parametrize(
    ("attack", "reason"), ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS]
)
async def test_what_the_board_did_not_sign_is_refused_and_reported(
    shelter: Shelter,
    attack: Callable[[Clock], tuple[Files, Files]],
    reason: str,
) -> None:
    hub = shelter.hub
    honest, forged = attack(shelter.clock)
    hub.policies = dict(honest)
    with capture_logs(processors=[allow_listed]) as lines:
        talk = await shelter.talk()
        believed = second() if attack is rollback else repository()
        found = await shelter.ask(talk, asked_under(believed))
        assert isinstance(found, agent_pb2.Ready)
        hub.policies = dict(forged)
        talk.send(hub.policies_changed())
        await until(lambda: any(x["event"] == "policy.refused" for x in lines))
        found = await shelter.ask(talk, asked_under(believed))
    assert isinstance(found, agent_pb2.Refusal)
    assert found.reason == common_pb2.REFUSAL_REASON_POLICY_UNTRUSTED
    assert list(found.clauses) == [reason]
    refused = [line for line in lines if line["event"] == "policy.refused"]
    assert {line["reason"] for line in refused} == {reason}
    shown = shelter.status()
    assert shown.trust.distrust is not None
    assert shown.trust.distrust.reason == reason
    assert shown.trust.trouble == (reason, shelter.clock.now)
    assert shown.as_json()["policies"]["trouble"]["reason"] == reason
    text = dict(shown.lines())["trust"]
    assert "NOTHING IS ANSWERED" in text
    assert "Tell" in text
    assert f"{shelter.clock.now:%Y-%m-%d %H:%M}" in text
    # An honest offer is believed again, and the doubt stays on record.
    hub.policies = files_of(believed, shelter.clock, dict(honest))
    found = await shelter.ask(talk, asked_under(believed))
    assert isinstance(found, agent_pb2.Ready)
    shown = shelter.status()
    assert shown.trust.distrust is None
    assert [each.reason for each in shown.trust.suspicions] == [reason]


async def test_policies_that_nobody_refreshes_expire(shelter: Shelter) -> None:
    """Freeze: the hub goes on showing what was once the newest."""
    talk = await shelter.talk()
    assert isinstance(
        await shelter.ask(talk, asked_under(repository())), agent_pb2.Ready
    )
    shelter.clock.now = NOW + datetime.timedelta(hours=25)
    late = dataclasses.replace(
        asked_under(repository()),
        expires_at=shelter.clock.now + datetime.timedelta(hours=1),
    )
    found = await shelter.ask(talk, late)
    assert isinstance(found, agent_pb2.Refusal)
    assert found.reason == common_pb2.REFUSAL_REASON_POLICY_UNTRUSTED
    assert list(found.clauses) == ["POLICY_EXPIRED"]
    assert "clock" in dict(shelter.status().lines())["trust"]
    shelter.hub.publish(repository(), shelter.clock.now)
    assert isinstance(await shelter.ask(talk, late), agent_pb2.Ready)


async def test_an_unknown_version_is_refused(shelter: Shelter) -> None:
    """The hub asks under a version that the board never published."""
    talk = await shelter.talk()
    never = proposed(repository(), {PATH: AGREEMENT_TEXT.replace("n: 2", "n: 3")})
    asked = dataclasses.replace(asked_under(repository()), agreement_version=3)
    for each in (asked, asked_under(never.publish())):
        found = await shelter.ask(talk, each)
        assert isinstance(found, agent_pb2.Refusal)
        assert found.reason == common_pb2.REFUSAL_REASON_POLICY_DIFFERS
    (doubt,) = shelter.status().trust.suspicions
    assert (doubt.reason, doubt.at) == ("POLICY_DIFFERS", NOW)
    assert "another agency" in dict(shelter.status().lines())["last doubt"]


async def test_agencies_that_are_shown_different_policies_do_not_answer_together(
    hub: HubDouble, tmp_path: Path
) -> None:
    """One is kept at the first version, with a timestamp that is honestly signed."""
    shelters = [
        await shelter_at(hub, tmp_path / label, label) for label in (AGENCY, OTHERS[0])
    ]
    first, newer = repository(), second()
    clock = shelters[0].clock
    old = files_of(first, clock)
    hub.shown = {AGENCY: old, OTHERS[0]: files_of(newer, clock, old)}
    try:
        talks = [await each.talk() for each in shelters]
        for asked, answers in ((first, [True, False]), (newer, [False, True])):
            found = [
                await each.ask(talk, asked_under(asked))
                for each, talk in zip(shelters, talks, strict=True)
            ]
            assert [isinstance(x, agent_pb2.Ready) for x in found] == answers
            (refused,) = [x for x in found if isinstance(x, agent_pb2.Refusal)]
            assert refused.reason == common_pb2.REFUSAL_REASON_POLICY_DIFFERS
    finally:
        for each in shelters:
            await each.stop()


async def test_a_running_agent_obeys_its_staff_at_once(
    shelter: Shelter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rules are made by the command beside the agent, which is not restarted."""
    command = Command(monkeypatch, capsys)
    talk = await shelter.talk()

    def staff(*words: str) -> dict[str, Any]:
        said = command(*words, "--json", "--state", shelter.state.root)
        assert said.status == 0, said.stderr
        found: dict[str, Any] = json.loads(said.stdout)
        return found

    async def outcome() -> str:
        found = await shelter.ask(talk, requisition())
        if isinstance(found, agent_pb2.Ready):
            return "answered"
        assert found.reason == common_pb2.REFUSAL_REASON_LOCAL_RULE
        return ",".join(found.clauses)

    assert await outcome() == "answered"
    staff("stop-sharing", "--reason", "we were asked to wait")
    assert await outcome() == "stop-sharing"
    staff("resume-sharing", "--reason", "all is well")
    assert await outcome() == "answered"
    made = staff("rules", "veto", "dimension", "region")
    assert await outcome() == "veto-dimension"
    staff("rules", "remove", str(made["rule"]["id"]))
    assert await outcome() == "answered"
    staff("rules", "cap", "period", "0.5", "--days", "30")
    assert await outcome() == "cap-period"
    assert len(shelter.hub.conversations) == 1
