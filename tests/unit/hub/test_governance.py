# SPDX-License-Identifier: Apache-2.0
"""Policies in force: published from anywhere, at any moment, and kept fresh."""

from __future__ import annotations

import datetime as dt
import errno
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from accord.core.errors import (
    ConfigurationError,
    Conflict,
    NotFound,
    PolicyDenied,
    PreconditionFailed,
    Unreachable,
)
from accord.core.policy import MEMBERS
from accord.hub.audit import Event, newest
from accord.hub.cli.common import governed
from accord.hub.db.engine import Store
from accord.hub.governance import standing as module
from accord.hub.governance.freshness import TIMESTAMP
from accord.hub.governance.standing import Standing
from accord.hub.identity.authority import load_authority
from accord.hub.serve import utc_now
from accord.hub.state import State
from accord.trust.keys import new_key, text_of
from accord.trust.proposal import Proposal
from accord.trust.repository import Repository
from accord.trust.store import load
from accord.trust.trusted import Trusted
from accord.v1 import analyst_pb2
from tests.policies import (
    THREE,
    edited,
    fetching,
    founding,
    key,
    proposed,
    shipped,
)
from tests.unit.hub.scripted import answering, silent, until
from tests.unit.hub.world import (
    AGREEMENT,
    DOCUMENT,
    MODEL,
    PARTIES,
    World,
    a_submission,
    account,
    add_analyst,
    bare_state,
    call,
    edit_agreement,
    finished,
    first_proposal,
    key_of_agency,
    publish,
    repository,
)


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_(self, **parts: float) -> None:
        self.now += dt.timedelta(**parts)


@pytest.fixture
def opened(state: State) -> Iterator[Callable[..., Standing]]:
    """Return what opens the policies as one more process would."""
    stores = []

    def make(clock: Callable[[], dt.datetime] = utc_now) -> Standing:
        store = Store(state.database)
        stores.append(store)
        standing = Standing(
            folder=state.policies,
            store=store,
            authority=load_authority(state.keys, utc_now()),
            clock=clock,
        )
        standing.begin(sign=False)
        return standing

    yield make
    for store in stores:
        store.close()


def a_change(state: State, **changes: str) -> Proposal:
    """Return a complete change of the sample agreement."""
    text = edited(
        repository(state),
        DOCUMENT,
        ("\nversion: 1\n", "\nversion: 2\n"),
        *(changes or {"suppress_below: 10": "suppress_below: 12"}).items(),
    )
    return proposed(repository(state), {DOCUMENT: text}, now=utc_now())


def published(state: State) -> list[int]:
    """Return the versions that the audit log says were published."""
    store = Store(state.database)
    with store.read() as tx:
        notes = newest(tx, 100, event=Event.POLICIES_PUBLISHED.value)
    store.close()
    return [int(str(each.facts["policies_version"])) for each in notes]


async def test_what_another_process_publishes_is_in_force_without_restart(
    world: World,
) -> None:
    agent = await world.agent("city-police")
    assert agent.welcome is not None
    assert agent.welcome.policies_version == 1
    edit_agreement(world.state, {"gender: all, ": ""})
    await until(lambda: agent.told == [2], seconds=5)
    stub = world.analyst(add_analyst(world.state, "ana"))
    with pytest.raises(PolicyDenied) as caught:
        await call(stub.SubmitQuery(a_submission()))
    assert caught.value.metadata["version"] == "2"
    assert caught.value.metadata["codes"] == "deny.dimension"
    again = await world.agent("city-police")
    assert again.welcome is not None
    assert again.welcome.policies_version == 2


async def test_what_waits_under_replaced_policies_ends_and_costs_nothing(
    world: World,
) -> None:
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    first, second = a_submission(), a_submission()
    await call(stub.SubmitQuery(first))
    await call(stub.SubmitQuery(second))  # follows
    assert account(world, f"agreement/{AGREEMENT}")[1] > 0
    edit_agreement(world.state, {"suppress_below: 10": "suppress_below: 12"})
    for asked in (first, second):
        found = await finished(stub, asked.id)
        assert found.failure.reason == "AGREEMENT_CHANGED"
    for name in (f"agreement/{AGREEMENT}", *(f"agency/{each}" for each in PARTIES)):
        assert account(world, name) == (0, 0)
    for label in PARTIES:
        agent = await world.agent(label, answering)
        assert not agent.asked  # nobody is asked on


async def test_a_change_that_does_not_touch_the_agreement_disturbs_nobody(
    world: World,
) -> None:
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    base = repository(world.state)
    board = edited(base, "board.yaml", ("Chidi of the tests", "Chidi"))
    publish(world.state, proposed(base, {"board.yaml": board}, now=utc_now()))
    await until(lambda: world.hub.standing.version == 2)
    world.hub._collection.review()
    for agent in world.agents.values():
        await until(lambda agent=agent: len(agent.asked) == 1)  # type: ignore[misc]
        await agent.asked[0].answer()
    found = await finished(stub, asked.id)
    assert found.state == analyst_pb2.SUBMISSION_STATE_RELEASED


async def test_nothing_is_admitted_under_what_another_process_has_replaced(
    world: World,
) -> None:
    """The question is planned again under the new policies, before the hub looks."""
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    await call(stub.SubmitQuery(a_submission()))
    edit_agreement(world.state, {"suppress_below: 10": "suppress_below: 12"})
    asked = a_submission(0.5)
    await call(stub.SubmitQuery(asked))
    assert world.hub.standing.version == 2
    digest = world.hub.standing.now().policy(AGREEMENT).digest
    agent = world.agents["city-police"]
    await until(lambda: len(agent.asked) == 2)
    assert agent.asked[1].requisition.query_id == asked.id
    assert agent.asked[1].requisition.policy_digest == digest
    assert agent.asked[0].requisition.policy_digest != digest


def test_a_writer_notices_that_its_policies_were_replaced(
    opened: Callable[..., Standing], state: State
) -> None:
    standing = opened()
    policies = standing.now()
    publish(state, a_change(state))
    with standing._store.write() as tx, pytest.raises(Unreachable) as caught:
        standing.require_current(tx, policies)
    assert caught.value.reason == "POLICIES_CHANGING"
    standing.look()
    with standing._store.write() as tx:
        standing.require_current(tx, standing.now())


class Crash(BaseException):
    """The process dies."""


def test_a_crash_between_decision_and_files_is_made_good(
    opened: Callable[..., Standing], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = a_change(state)
    standing, beside = opened(), opened()

    def dies(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(module, "save", dies)
        with pytest.raises(Crash):
            standing.publish(standing.prepare(change), by=None)
    stored = load(state.policies)
    assert stored is not None
    assert stored.repository.version == 1
    assert published(state) == [1, 2]
    beside.look()  # a server that ran all the time
    assert beside.version == 2
    stored = load(state.policies)
    assert stored is not None
    assert stored.repository.version == 2
    assert opened().version == 2
    assert published(state) == [1, 2]


@pytest.mark.parametrize("written", range(5))
def test_a_crash_among_the_files_is_made_good(
    opened: Callable[..., Standing],
    state: State,
    monkeypatch: pytest.MonkeyPatch,
    written: int,
) -> None:
    change = a_change(state)
    standing = opened()

    def dies(folder: Path, repository: Repository, fresh: Mapping[str, bytes]) -> None:
        new = [
            (folder / name, content)
            for name, content in {**repository.files, **fresh}.items()
            if not (folder / name).exists()
        ]
        for path, content in new[:written]:
            path.write_bytes(content)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(module, "save", dies)
        with pytest.raises(Crash):
            standing.publish(standing.prepare(change), by=None)
    after = opened()
    assert after.version == 2
    stored = load(state.policies)
    assert stored is not None
    assert stored.repository.documents() == dict(change.after)
    assert published(state) == [1, 2]


@pytest.mark.parametrize("lost", ["the folder", "its newest files"])
def test_files_that_are_older_than_the_database_are_written_again(
    opened: Callable[..., Standing], state: State, tmp_path: Path, lost: str
) -> None:
    older = tmp_path / "older"
    shutil.copytree(state.policies, older)
    publish(state, a_change(state))
    newest_documents = repository(state).documents()
    shutil.rmtree(state.policies)
    if lost == "the folder":
        state.policies.mkdir()
    else:
        shutil.copytree(older, state.policies)
    assert opened().version == 2
    stored = load(state.policies)
    assert stored is not None
    assert stored.repository.documents() == newest_documents
    assert published(state) == [1, 2]


async def test_no_release_slips_out_under_policies_that_were_replaced(
    world: World, monkeypatch: pytest.MonkeyPatch, lines: io.StringIO
) -> None:
    """All have answered before this process has heard of the change."""
    await world.all_agents(silent)
    stub = world.analyst(add_analyst(world.state, "ana"))
    asked = a_submission()
    await call(stub.SubmitQuery(asked))
    for agent in world.agents.values():
        await until(lambda agent=agent: len(agent.asked) == 1)  # type: ignore[misc]
    with monkeypatch.context() as deaf:
        deaf.setattr(world.hub.standing, "look", lambda: None)
        edit_agreement(world.state, {"suppress_below: 10": "suppress_below: 12"})
        for agent in world.agents.values():
            await agent.asked[0].answer()
        await until(lambda: "round.delayed" in lines.getvalue())  # at the commit
        assert world.hub.standing.version == 1
    found = await finished(stub, asked.id)
    assert found.failure.reason == "AGREEMENT_CHANGED"
    assert account(world, f"agreement/{AGREEMENT}") == (0, 0)


def test_before_the_decision_is_committed_nothing_has_changed(
    opened: Callable[..., Standing], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = a_change(state)
    standing = opened()

    def dies(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr("accord.hub.governance.proposals.note", dies)
        with pytest.raises(Crash):
            standing.publish(standing.prepare(change), by=None)
    assert opened().version == 1
    assert published(state) == [1]
    standing.publish(standing.prepare(change), by=None)
    assert published(state) == [1, 2]


def test_of_two_changes_at_once_one_is_outdated(
    opened: Callable[..., Standing], state: State
) -> None:
    one = a_change(state)
    other = a_change(state, **{"suppress_below: 10": "suppress_below: 15"})
    first, second = opened(), opened()
    prepared, late = first.prepare(one), second.prepare(other)
    first.publish(prepared, by=None)
    with pytest.raises(Conflict) as caught:
        second.publish(late, by=None)
    assert caught.value.reason == "PROPOSAL_OUTDATED"
    assert second.publish(second.prepare(one), by=None).version == 2  # a repeat
    second.look()
    with pytest.raises(Conflict):
        second.prepare(other)
    assert published(state) == [1, 2]


def test_policies_for_another_hub_are_refused(
    tmp_path: Path,
) -> None:
    state = bare_state(tmp_path)
    form = load_authority(state.keys, utc_now()).hub_form
    documents = shipped(MEMBERS, MODEL, DOCUMENT)
    right = {"hub_key": form.key, "freshness_key": form.freshness, "now": utc_now()}
    for changes in (
        {"hub_key": text_of(new_key())},
        {"freshness_key": text_of(new_key())},
    ):
        wrong = founding(documents, **{**right, **changes})  # type: ignore[arg-type]
        with pytest.raises(PreconditionFailed) as caught:
            publish(state, wrong)
        assert caught.value.reason == "HUB_KEYS_DIFFER"
        assert form.key in caught.value.sentence
    members = documents[MEMBERS].replace(b"network: sample-network", b"network: other")
    elsewhere = founding({**documents, MEMBERS: members}, **right)  # type: ignore[arg-type]
    with pytest.raises(PreconditionFailed) as caught:
        publish(state, elsewhere)
    assert caught.value.reason == "NETWORK_DIFFERS"
    old = founding(documents, **{**right, "now": utc_now() - dt.timedelta(days=500)})  # type: ignore[arg-type]
    with pytest.raises(PreconditionFailed) as caught:
        publish(state, old)
    assert caught.value.reason == "PROPOSAL_EXPIRED"
    assert published(state) == []


def test_a_second_board_cannot_be_founded(state: State) -> None:
    with pytest.raises(Conflict) as caught:
        publish(state, first_proposal(state, **{"epsilon: 3": "epsilon: 2"}))
    assert caught.value.reason == "PROPOSAL_OUTDATED"


def test_a_hub_whose_keys_were_replaced_waits_for_its_board(state: State) -> None:
    from cryptography.hazmat.primitives import serialization

    (state.keys / "requisition.key").write_bytes(
        new_key().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with governed(state) as standing:
        with pytest.raises(PreconditionFailed) as caught:
            standing.now()
        assert caught.value.reason == "HUB_KEYS_DIFFER"
        assert standing.current() is None
        assert standing.newest().version == 1  # agencies still fetch what is coming
    form = load_authority(state.keys, utc_now()).hub_form
    base = repository(state)
    old = base.policies().members.hub
    assert old is not None
    members = edited(base, MEMBERS, (old.key, form.key))
    publish(state, proposed(base, {MEMBERS: members}, now=utc_now()))
    with governed(state) as standing:
        assert standing.now().version == 2


def test_freshness_is_kept_over_time(
    opened: Callable[..., Standing], state: State, tmp_path: Path
) -> None:
    clock = Clock()
    standing = opened(clock)
    trusted = Trusted(tmp_path / "trusted")
    trusted.pin(standing.root())
    stamps = set()
    for _ in range(10 * 8):
        clock.pass_(hours=3)
        standing.look()
        assert standing.in_force is not None
        files = standing.in_force.stored.files
        stamps.add(files[TIMESTAMP])
        view = trusted.refresh(fetching(files), clock.now)
        assert view.fresh_until > clock.now
        assert standing.fresh_until is not None
        assert standing.fresh_until > clock.now + dt.timedelta(hours=8)
    assert 15 <= len(stamps) <= 30  # every half day, not every look
    on_disk = (state.policies / TIMESTAMP).read_bytes()
    assert on_disk == files[TIMESTAMP]
    trusted.refresh(fetching(opened().in_force.stored.files), clock.now)  # type: ignore[union-attr]


async def test_a_hub_that_starts_signs_that_policies_are_the_newest(
    world: World,
) -> None:
    before = world.hub.standing.file(TIMESTAMP)
    await world.stop_hub()
    await world.start()
    assert world.hub.standing.file(TIMESTAMP) != before


async def test_policies_that_the_board_let_expire_are_not_decided_by(
    world: World,
) -> None:
    agent = await world.agent("city-police")
    await agent.stop()
    stub = world.analyst(add_analyst(world.state, "ana"))
    clock = Clock()
    world.hub.standing._clock = clock
    clock.pass_(days=500)
    with pytest.raises(PreconditionFailed) as caught:
        await call(stub.ListAgreements(analyst_pb2.ListAgreementsRequest()))
    assert caught.value.reason == "POLICIES_EXPIRED"
    again = await world.agent("city-police")
    assert again.welcome is not None  # so that it hears of the renewal


async def test_a_hub_without_policies_serves_its_board_and_nobody_else(
    tmp_path: Path,
) -> None:
    state = bare_state(tmp_path)
    proposal = first_proposal(state)
    other = bare_state(tmp_path / "other")
    publish(other, first_proposal(other))
    world = World(other)
    world.state = state
    await world.start()
    stub = world.analyst(add_analyst(state, "ana"))
    with pytest.raises(PreconditionFailed) as caught:
        await call(stub.ListAgreements(analyst_pb2.ListAgreementsRequest()))
    assert caught.value.reason == "POLICIES_MISSING"
    with pytest.raises(PreconditionFailed):
        await call(stub.SubmitQuery(a_submission()))
    with pytest.raises(NotFound):
        world.hub.standing.file("metadata/1.root.json")
    publish(state, proposal)
    await until(lambda: world.hub.standing.version == 1)
    listed = await call(stub.ListAgreements(analyst_pb2.ListAgreementsRequest()))
    assert [each.name for each in listed.agreements] == [AGREEMENT]
    await world.stop()


EMERGENCY = """
emergency:
  purpose: rescue
  spend: {epsilon: 3}
  at_most: 30 days
  approvers: [alice, bela, chidi]
"""
DECLARATION = """\
emergency: regional-trends
reason: An earthquake.
from: 2026-03-10
until: 2026-03-30
"""


@pytest.mark.parametrize("what", ["an emergency", "an agreement of parties"])
def test_what_parties_and_approvers_let_expire_ends_here_as_at_agencies(
    opened: Callable[..., Standing], state: State, what: str
) -> None:
    """The hub never decides by what no agency believes any more."""
    clock = Clock()
    base = repository(state)
    text = edited(base, DOCUMENT, ("\nversion: 1\n", "\nversion: 2\n"))
    if what == "an emergency":
        path = f"emergencies/{AGREEMENT}.yaml"
        grown = proposed(base, {DOCUMENT: text + EMERGENCY.encode()}, now=clock())
        publish(state, grown)
        change = proposed(repository(state), {path: DECLARATION}, now=clock())
    else:
        path = DOCUMENT
        signers = {label: key(f"signs/{label}") for label in PARTIES}
        listed = base.documents()[MEMBERS].decode()
        for label in PARTIES:
            agent = text_of(key_of_agency(label))
            assert listed.count(agent) == 1
            indent = re.search(rf"\n( *)key: \"?{agent}", listed)
            assert indent is not None
            listed = listed.replace(
                indent[0],
                f"\n{indent[1]}signatory: {text_of(signers[label])}{indent[0]}",
            )
        own = text.replace(b"\napproval: {", b"\napproval: {signatories: parties, ")
        assert own != text
        change = proposed(
            base, {MEMBERS: listed, path: own}, keys=signers.values(), now=clock()
        )
    publish(state, change)
    standing = opened(clock)
    before = standing.now()
    assert path in before.documents.documents
    clock.pass_(days=380)
    renewal = Proposal.renewal(repository(state), comment="renewed", now=clock())
    for label in ("alice", "bela"):
        renewal = renewal.sign(THREE.key(label))
    standing.look()
    standing.publish(standing.prepare(renewal), by=None)
    assert path in standing.now().documents.documents
    clock.pass_(days=30)
    standing.look()
    now = standing.now()
    assert path not in now.documents.documents
    assert standing.in_force is not None
    assert standing.in_force.ended == {path}
    agency = standing.in_force.stored.repository.policies(clock())
    assert list(now.by_name) == sorted(agency.agreements)
    for name, policy in now.by_name.items():
        found = agency.policy(name)
        assert found is not None
        assert policy.digest == found.digest
    assert opened(clock).now().documents.documents == now.documents.documents


async def test_a_full_disk_does_not_stop_the_hub_from_looking(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries again, and what was published comes into force."""
    failed: list[int] = []

    def full(*_: object) -> None:
        failed.append(1)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(module, "save", full)
        change = a_change(world.state)
        with governed(world.state) as beside:
            known = beside.publish(beside.prepare(change), by=None)
            assert known.version == 2
        await until(lambda: len(failed) > 2, seconds=10)
        assert world.hub.standing.version == 1
    await until(lambda: world.hub.standing.version == 2, seconds=10)


def test_agreements_that_together_give_a_party_away_are_refused(
    opened: Callable[..., Standing], state: State
) -> None:
    """Only the hub sees all agreements; signatures do not help."""
    base = repository(state)
    text = base.documents()[DOCUMENT].decode()
    other = re.sub(r"\nagreement: .*", "\nagreement: fewer", text)
    few = ", ".join(PARTIES[1:])
    other = re.sub(r"\nparties: \[[^]]*\]", f"\nparties: [{few}]", other)
    other = re.sub(r"\ncohorts:.*\n(?: .*\n)*", "\ncohorts: {all: everyone}\n", other)
    other = re.sub(r"(person_in_at_most:) \w+", r"\1 4", other)
    change = proposed(base, {"agreements/fewer.yaml": other}, now=utc_now())
    standing = opened()
    with pytest.raises(ConfigurationError) as caught:
        standing.prepare(change)
    assert caught.value.reason == "DOCUMENT_INVALID"
    assert PARTIES[0] in caught.value.sentence
    assert "agreements/fewer.yaml" in caught.value.sentence
