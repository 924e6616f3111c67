# SPDX-License-Identifier: Apache-2.0
"""A serving hub's log: what is in it, who is shown what of it, and what proves it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json

import pytest

from accord.client.proof import Proof, proof_from_json, proof_of
from accord.core.canonical import bytes_digest
from accord.core.errors import IntegrityError, NotFound
from accord.core.members import MembersForm
from accord.hub.contact.hub_keys import hub_keys
from accord.hub.log.verifying import Verified, verify_log
from accord.hub.log.witnesses import LOOK_SECONDS
from accord.hub.serve import utc_now
from accord.merkle.heads import SignedHead, Witnessed
from accord.merkle.proofs import has_grown
from accord.rpc.contact import (
    cosignature_to_message,
    head_from_message,
    seen_to_message,
)
from accord.v1 import agent_pb2, analyst_pb2, log_pb2
from tests.unit.hub.scripted import ScriptedAgent, until
from tests.unit.hub.world import (
    PARTIES,
    World,
    a_submission,
    add_analyst,
    audited,
    call,
    finished,
    store_of,
)


def head_of(agent: ScriptedAgent) -> SignedHead:
    assert agent.welcome is not None
    return head_from_message(agent.welcome.head)


async def cosign(agent: ScriptedAgent, signed: SignedHead, **changes: object) -> None:
    label = agent.identity.agency
    signature = agent.agency.secret.sign(signed.head.witnessed_bytes(label))
    word = Witnessed(head=signed.head, agency=label, signature=signature)
    message = cosignature_to_message(word)
    for name, value in changes.items():
        setattr(message, name, value)
    await agent.say(agent_pb2.ConnectRequest(cosignature=message))


def grown(agent: ScriptedAgent) -> list[log_pb2.LogGrown]:
    return [each.log for each in agent.messages if each.HasField("log")]


def verified(world: World, *outside: SignedHead) -> Verified:
    store = store_of(world.state)
    with store.read() as tx:
        keys = hub_keys(tx, world.parts.authority)
        found = verify_log(tx, hub_keys=keys, outside=outside)
    store.close()
    return found


async def asked(world: World) -> tuple[analyst_pb2.Release, str]:
    """Have a question answered; return the release and the token of who asked."""
    token = add_analyst(world.state, "ana")
    stub = world.analyst(token)
    question = a_submission(1.0)
    await call(stub.SubmitQuery(question))
    found = await finished(stub, question.id)
    return found.reply.release, token


async def proof_for(world: World, token: str, release: str) -> Proof:
    stub = world.analyst(token)
    request = analyst_pb2.ProveReleaseRequest(id=release)
    return proof_of(release, await call(stub.ProveRelease(request)))


def members(world: World) -> MembersForm:
    return world.hub.standing.newest().members


async def test_a_release_is_proved_with_all_that_witnessed_it(world: World) -> None:
    await world.all_agents()
    for label in PARTIES:
        await cosign(world.agents[label], head_of(world.agents[label]))
    release, token = await asked(world)
    before = await proof_for(world, token, release.id)
    assert before.verify(members(world)).witnesses == ()
    agents = [world.agents[label] for label in PARTIES]
    await until(lambda: all(grown(agent) for agent in agents), 4 * LOOK_SECONDS)
    for agent in agents[:3]:
        await cosign(agent, head_from_message(grown(agent)[-1].head))
    await until(lambda: verified(world).cosignatures >= len(PARTIES) + 3)
    proof = await proof_for(world, token, release.id)
    proven = proof.verify(members(world))
    assert proven.witnesses == tuple(sorted(PARTIES[:3]))
    assert proven.signed
    assert proof.message == release.SerializeToString(deterministic=True)
    assert proof.result.id == release.id
    entry = json.loads(proof.entry)
    assert entry["facts"]["release_digest"] == bytes_digest(proof.message)
    assert proof_from_json(json.loads(json.dumps(proof.as_json()))) == proof
    without = proof.verify()
    assert (without.signed, without.witnesses) == (False, ())
    assert verified(world, proof.head).findings == ()


async def test_a_proof_that_was_changed_is_none(world: World) -> None:
    await world.all_agents()
    release, token = await asked(world)
    proof = await proof_for(world, token, release.id)
    listed = members(world)
    agent = world.agents[PARTIES[0]]
    word = Witnessed(head=proof.head.head, agency=PARTIES[0], signature=bytes(64))
    other = dataclasses.replace(proof.head.head, size=proof.head.head.size + 1)
    entry = json.loads(proof.entry)
    entry["facts"]["release_digest"] = bytes_digest(b"another")
    for changed in (
        dataclasses.replace(proof, release=agent.identity.agency),
        dataclasses.replace(proof, message=proof.message + b"\x08\x01"),
        dataclasses.replace(proof, entry=json.dumps(entry).encode()),
        dataclasses.replace(proof, entry=b"[]"),
        dataclasses.replace(proof, entry=b"{"),
        dataclasses.replace(proof, index=proof.index + 1),
        dataclasses.replace(proof, path=proof.path[1:]),
        dataclasses.replace(proof, head=SignedHead(head=other, signature=bytes(64))),
        dataclasses.replace(
            proof, head=dataclasses.replace(proof.head, signature=bytes(64))
        ),
        dataclasses.replace(proof, witnesses=(word,)),
        dataclasses.replace(proof, witnesses=(dataclasses.replace(word, head=other),)),
    ):
        with pytest.raises(IntegrityError) as caught:
            changed.verify(listed)
        assert caught.value.reason == "RELEASE_UNPROVEN"


async def test_who_may_not_read_a_release_gets_no_proof(world: World) -> None:
    await world.all_agents()
    release, _ = await asked(world)
    stranger = add_analyst(world.state, "eve", organisation="elsewhere")
    with pytest.raises(NotFound) as caught:
        await proof_for(world, stranger, release.id)
    assert caught.value.reason == "RELEASE_UNKNOWN"


async def test_what_an_agency_has_seen_leads_to_what_it_is_shown(world: World) -> None:
    label = PARTIES[0]
    seen = head_of(await world.agent(label))
    for other in PARTIES[1:]:
        await world.agent(other)
    again = await world.agent(label, log_seen=seen_to_message(seen))
    shown = head_of(again)
    assert again.welcome is not None
    old, new, proof = seen.head, shown.head, again.welcome.consistency
    assert new.size > old.size
    assert has_grown(old.size, old.root, new.size, new.root, proof)
    assert verified(world, seen, shown).findings == ()


async def test_what_the_hub_never_had_is_given_no_proof(world: World) -> None:
    seen = head_of(await world.agent(PARTIES[0]))
    for changes in ({"root": bytes(32)}, {"size": seen.head.size + 1000}):
        other = SignedHead(
            head=dataclasses.replace(seen.head, **changes), signature=bytes(64)
        )
        message = seen_to_message(other)
        message.ledger_height = 0
        again = await world.agent(PARTIES[0], log_seen=message)
        assert again.welcome is not None
        assert not again.welcome.consistency


async def test_a_head_is_shown_once_the_last_one_is_cosigned(world: World) -> None:
    agent = await world.agent(PARTIES[0])
    shown = head_of(agent)
    add_analyst(world.state, "one")
    await world.hub._witnesses.look()
    assert not grown(agent)
    await cosign(agent, shown)
    await until(lambda: verified(world).cosignatures == 1)
    await world.hub._witnesses.look()
    await until(lambda: len(grown(agent)) == 1)
    add_analyst(world.state, "two")
    await world.hub._witnesses.look()
    assert len(grown(agent)) == 1
    message = grown(agent)[0]
    newer = head_from_message(message.head)
    old, new = shown.head, newer.head
    assert message.from_size == old.size
    assert has_grown(old.size, old.root, new.size, new.root, message.consistency)


async def test_words_that_nobody_said_are_not_kept(world: World) -> None:
    agent = await world.agent(PARTIES[0])
    shown = head_of(agent)
    await cosign(agent, shown, signature=bytes(64))
    await cosign(agent, shown, size=shown.head.size + 1)
    await cosign(agent, shown, size=2**60)
    other = dataclasses.replace(shown.head, ledger_height=77)
    await cosign(agent, SignedHead(head=other, signature=bytes(64)))
    await cosign(agent, shown)
    await until(lambda: verified(world).cosignatures == 1)
    assert verified(world).findings == ()


async def test_a_token_is_noted_once_a_day(world: World) -> None:
    now = utc_now()
    moment = {"now": now}
    await world.restart(lambda: moment["now"])
    token = add_analyst(world.state, "ana")

    async def come() -> None:
        stub = world.analyst(token)
        await call(stub.ListAgreements(analyst_pb2.ListAgreementsRequest()))

    for _ in range(3):
        await come()
    assert audited(world, "token.shown") == [{"analyst": "ana"}]
    await world.restart(lambda: moment["now"])
    await come()
    assert len(audited(world, "token.shown")) == 1
    moment["now"] = now + dt.timedelta(days=1)
    await come()
    await come()
    assert len(audited(world, "token.shown")) == 2
